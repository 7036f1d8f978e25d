//! What the rules have decided about one column is used for others only if they cannot distinguish the two.

use super::*;
use crate::facts::Parties;
use crate::request::{AuthorizationRequest, RequestedColumn};
use crate::verdict::Verdict;

/// Rules that distinguish columns by their names, each in another way.
const DISTINGUISHING: [&str; 8] = [
    "resource is Column) when { resource.name == \"sex\" };",
    "resource is Column) when { resource.name like \"se*\" };",
    "resource is Column) when { [\"sex\", \"height\"].contains(resource.name) };",
    "resource is Column) when { resource.table == \"visit\" };",
    "resource) when { resource.name == \"sex\" };",
    "resource == Column::\"budapest.omop.visit.sex\");",
    "resource is Column) when { [Column::\"budapest.omop.visit.sex\"].contains(resource) };",
    "resource is Column) when { (if context.tier == Tier::\"records\" then resource else resource).name == \"sex\" };",
];

/// Rules that read the names of something else.
const OTHERS: [&str; 3] = [
    "resource is Column) when { resource.dataset.name == \"omop\" };",
    "resource is Column) when { principal.name == \"zurich\" };",
    "resource is Column) when { resource.kind == Kind::\"integer\" };",
];

/// Several datasets, which have columns of the same names, classes and kinds.
fn omop(datasets: &[&str], columns: &[&str]) -> CollectionFacts {
    let classes = [
        ColumnClass::Ordinary,
        ColumnClass::Sensitive,
        ColumnClass::DirectIdentifier,
    ];
    let kinds = [ColumnKind::Int, ColumnKind::Text];
    let column = |(number, column): (usize, &&str)| {
        let class = classes[number % classes.len()];
        ColumnFacts::new(name(column), Some(class), kinds[number / 2 % kinds.len()])
    };
    CollectionFacts {
        reference: "budapest.omop".parse().unwrap(),
        datasets: datasets
            .iter()
            .map(|dataset| DatasetFacts {
                name: dataset.parse().unwrap(),
                columns: columns.iter().enumerate().map(column).collect(),
            })
            .collect(),
        ..heart()
    }
}

/// Every request about every column.
fn requests(facts: &CollectionFacts) -> Vec<AuthorizationRequest> {
    let (consumer, holder) = (zurich(), budapest());
    let parties = Parties {
        consumer: &consumer,
        holder: &holder,
    };
    let mut requests = Vec::new();
    for (dataset, column) in facts.columns() {
        let requested = RequestedColumn {
            column,
            dataset,
            collection: facts,
        };
        for reveal in [Reveal::Clear, Reveal::Generalized, Reveal::Pseudonym] {
            for tier in [Tier::Aggregate, Tier::Records] {
                let purpose = Purpose::HealthResearch;
                requests.push(AuthorizationRequest::for_column(
                    parties, reveal, requested, tier, &purpose,
                ));
            }
        }
    }
    requests
}

fn forbidding(rest: &str) -> Policy {
    with_rule(&format!(
        "@id(\"more\") @reason(\"r\") @remedy(\"m\")
         forbid(principal, action == Action::\"reveal-clear\", {rest}"
    ))
}

#[test]
fn verdict_on_each_column_is_that_of_the_rules() {
    let facts = omop(
        &["person", "visit"],
        &["sex", "height", "mrn", "weight", "ward", "code"],
    );
    let sets = DISTINGUISHING.iter().chain(&OTHERS).map(|rest| forbidding(rest));
    for (number, policy) in sets.chain([shipped()]).enumerate() {
        for _ in 0..2 {
            for request in requests(&facts) {
                let verdict = policy.authorize(&request);
                let by_rules = Verdict::clone(&policy.ask_cedar(&request));
                let expected = match &request.prohibited {
                    Some(reason) => by_rules.prohibited(reason),
                    None => by_rules,
                };
                let denied = policy.check(&request).err();
                assert_eq!(denied, Some(expected.reasons.clone()).filter(|_| !expected.allowed));
                assert_eq!(verdict.step, expected.step, "set {number}");
                assert_eq!(verdict.reasons, expected.reasons, "set {number}");
                assert_eq!(
                    (verdict.allowed, verdict.overruled),
                    (expected.allowed, expected.overruled)
                );
            }
        }
    }
}

#[test]
fn rules_that_read_names_of_columns_are_found() {
    for rest in DISTINGUISHING {
        assert!(forbidding(rest).0.names_matter, "{rest}");
    }
    for rest in OTHERS {
        assert!(!forbidding(rest).0.names_matter, "{rest}");
    }
    assert!(!shipped().0.names_matter);
    // A rule about collections sees no column.
    let about_collections = with_rule(
        "@id(\"more\") @reason(\"r\") @remedy(\"m\")
         forbid(principal is Institution, action == Action::\"see-dataset\", resource is Dataset) when { resource.name == \"x\" };",
    );
    assert!(!about_collections.0.names_matter);
}

/// Forty datasets of twelve columns, each of which is shown in clear, generalized or as a pseudonym.
#[test]
fn verdicts_on_hundreds_of_columns_are_a_few() {
    let datasets: Vec<String> = (0..40).map(|number| format!("table{number}")).collect();
    let datasets: Vec<&str> = datasets.iter().map(String::as_str).collect();
    let columns: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let facts = omop(&datasets, &columns);
    let policy = Policy::shipped(Settings::default()).unwrap();
    let requests = requests(&facts);
    assert_eq!(requests.len(), 40 * 12 * 6);
    for request in &requests {
        assert_eq!(policy.authorize(request).step.about, request.about());
    }
    // Three classes and two kinds, in three forms and at two tiers.
    assert_eq!(policy.0.verdicts.kept(), 36);
}
