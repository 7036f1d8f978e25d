//! Grants in a table, and the differences between two.

use concordat_documents::grant::{Grant, GrantColumn, GrantLimits};
use concordat_protocol::scope::Purpose;
use serde::Serialize;

/// A grant in a table: its datasets, its columns, its narrowings and the steps of its policy are text, and replace the lists in the grant.
#[derive(Serialize)]
pub(crate) struct ShownGrant {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
    #[serde(flatten)]
    grant: Grant,
    #[serde(skip_serializing_if = "Option::is_none")]
    datasets: Option<String>,
    columns: String,
    narrowings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Vec<String>>,
}

impl ShownGrant {
    /// With its narrowings on one line.
    pub(super) fn summarized(grant: Grant) -> Self {
        let narrowings = grant.narrowings.iter();
        let narrowings: Vec<String> = narrowings
            .map(|narrowing| format!("{} -> {}: {}", narrowing.requested, narrowing.offered, narrowing.reason))
            .collect();
        Self {
            missing: Vec::new(),
            datasets: datasets(&grant),
            columns: columns(&grant),
            narrowings: vec![narrowings.join("; ")],
            policy: None,
            grant,
        }
    }

    /// With what is missing, with its narrowings and their rules, and with what its policy decides.
    pub(crate) fn explained(grant: Grant, missing: Vec<String>, policy: Option<Vec<String>>) -> Self {
        let narrowings = grant.narrowings.iter().map(|narrowing| {
            let rule = narrowing.rule.as_ref().map(|rule| format!(" [{rule}]"));
            format!(
                "{} -> {}: {}{}",
                narrowing.requested,
                narrowing.offered,
                narrowing.reason,
                rule.unwrap_or_default()
            )
        });
        Self {
            missing,
            datasets: datasets(&grant),
            columns: columns(&grant),
            narrowings: narrowings.collect(),
            policy,
            grant,
        }
    }
}

/// The datasets of a collection; their rows are a text of their own.
fn datasets(grant: &Grant) -> Option<String> {
    let names: Vec<&str> = grant.datasets.iter().map(|dataset| dataset.name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn columns(grant: &Grant) -> String {
    let text = |column: &GrantColumn| match &column.dataset {
        Some(dataset) => format!("{dataset}.{} ({})", column.name, column.transform),
        None => format!("{} ({})", column.name, column.transform),
    };
    let columns: Vec<String> = grant.columns.iter().map(text).collect();
    columns.join(", ")
}

/// A part in which two grants differ.
#[derive(Serialize)]
pub(super) struct Difference<'a> {
    part: &'static str,
    a: Part<'a>,
    b: Part<'a>,
}

/// The parts in which two grants differ, as they are shown.
pub(super) fn differences<'a>(a: &'a Grant, b: &'a Grant) -> Vec<Difference<'a>> {
    let both = parts(a).into_iter().zip(parts(b));
    let differing = both.filter(|((_, a), (_, b))| a != b);
    differing.map(|((part, a), (_, b))| Difference { part, a, b }).collect()
}

#[derive(PartialEq, Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Text(String),
    Columns(&'a [GrantColumn]),
    Purposes(&'a [Purpose]),
    Limits(GrantLimits),
}

fn parts(grant: &Grant) -> [(&'static str, Part<'_>); 12] {
    let text = |text: &dyn std::fmt::Display| Part::Text(text.to_string());
    [
        ("provider", text(&grant.provider)),
        ("dataset", text(&grant.dataset)),
        ("tier", text(&grant.tier)),
        ("protection", Part::Text(grant.protection.clone().unwrap_or_default())),
        ("columns", Part::Columns(&grant.columns)),
        ("rows", text(&grant.rows)),
        ("purposes", Part::Purposes(&grant.purposes)),
        ("people", text(&grant.people)),
        ("places", text(&grant.places)),
        ("not_before", text(&grant.not_before)),
        ("not_after", text(&grant.not_after)),
        ("limits", Part::Limits(grant.limits)),
    ]
}

#[cfg(test)]
mod tests {
    use concordat_documents::decision::DecisionStep;
    use concordat_documents::grant::{GrantDataset, GrantNarrowing, GrantState};
    use concordat_protocol::grant::Party;
    use concordat_protocol::ids::{Digest32, NegotiationId};
    use concordat_protocol::negotiation::RuleName;
    use concordat_protocol::scope::{self, Tier};
    use concordat_protocol::text::Reason;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn grant_is_shown_as_text_in_the_places_of_its_lists() {
        let document = serde_json::to_value(grant()).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let summary = serde_json::to_value(ShownGrant::summarized(grant())).unwrap();
        assert_eq!(keys(&summary), keys(&document));
        assert_eq!(summary["columns"], "age (clear), sex (removed)");
        assert_eq!(summary["narrowings"], json!(["a -> b: why; a -> b: why"]));
        let explained = ShownGrant::explained(grant(), Vec::new(), Some(vec!["yes".to_owned()]));
        let explained = serde_json::to_value(explained).unwrap();
        assert_eq!(keys(&explained), keys(&document));
        assert_eq!(explained["narrowings"], json!(["a -> b: why [rule]", "a -> b: why"]));
        assert_eq!(explained["policy"], json!(["yes"]));
    }

    #[test]
    fn grant_over_datasets_names_each_column_with_its_own() {
        let mut several = grant();
        several.dataset = "omop".parse().unwrap();
        several.datasets = ["person", "visit"]
            .map(|name| GrantDataset {
                name: name.parse().unwrap(),
                rows: "all rows".to_owned(),
            })
            .into();
        for (column, dataset) in several.columns.iter_mut().zip(["person", "visit"]) {
            column.dataset = Some(dataset.parse().unwrap());
        }
        let document = serde_json::to_value(&several).unwrap();
        assert_eq!(document["datasets"][1], json!({ "name": "visit", "rows": "all rows" }));
        assert_eq!(
            document["columns"][0],
            json!({ "dataset": "person", "name": "age", "transform": "clear" })
        );
        let shown = serde_json::to_value(ShownGrant::summarized(several)).unwrap();
        assert_eq!(shown["datasets"], "person, visit");
        assert_eq!(shown["columns"], "person.age (clear), visit.sex (removed)");
        let alone = serde_json::to_value(grant()).unwrap();
        assert!(alone.get("datasets").is_none() && alone["columns"][0].get("dataset").is_none());
    }

    #[test]
    fn grants_differ_in_the_parts_that_are_shown() {
        let a = grant();
        let mut b = grant();
        b.state = GrantState::Revoked;
        assert!(differences(&a, &b).is_empty());
        b.rows = "age >= 40".to_owned();
        b.columns.pop();
        let differences = serde_json::to_value(differences(&a, &b)).unwrap();
        let age = json!({ "name": "age", "transform": "clear" });
        let sex = json!({ "name": "sex", "transform": "removed" });
        assert_eq!(
            differences,
            json!([
                { "part": "columns", "a": [age, sex], "b": [age] },
                { "part": "rows", "a": "all rows", "b": "age >= 40" },
            ])
        );
    }

    fn grant() -> Grant {
        let narrowing = |rule| GrantNarrowing {
            part: scope::Part::Columns,
            requested: "a".to_owned(),
            offered: "b".to_owned(),
            reason: Reason::sanitized("why"),
            rule,
        };
        let column = |name: &str, transform: &str| GrantColumn {
            dataset: None,
            name: name.parse().unwrap(),
            transform: transform.to_owned(),
        };
        Grant {
            id: NegotiationId::from_bytes([1; 16]),
            state: GrantState::Active,
            side: Party::Consumer,
            peer: "budapest".parse().unwrap(),
            peer_fingerprint: "f".to_owned(),
            started_at: "2027-01-31T00:00:00Z".to_owned(),
            transcript_head: Digest32::ZERO,
            signed_by: vec![Party::Provider, Party::Consumer],
            revision: 1,
            narrowings: vec![narrowing(RuleName::new("rule").ok()), narrowing(None)],
            provider: "budapest".parse().unwrap(),
            consumer: "zurich".parse().unwrap(),
            dataset: "heart".parse().unwrap(),
            datasets: Vec::new(),
            tier: Tier::Records,
            protection: None,
            columns: vec![column("age", "clear"), column("sex", "removed")],
            rows: "all rows".to_owned(),
            purposes: vec![Purpose::HealthResearch],
            people: "anyone there with the role".to_owned(),
            places: "CH".to_owned(),
            not_before: "2027-01-31T00:00:00Z".to_owned(),
            not_after: "2028-01-31T00:00:00Z".to_owned(),
            limits: GrantLimits {
                max_rows: None,
                max_queries_per_day: None,
                max_cells: None,
                distinctions: None,
                figures_with_noise: None,
                min_cell: 10,
            },
            reason: None,
            acknowledged: None,
            missing: Vec::new(),
            policy: Some(vec![DecisionStep {
                action: "use".to_owned(),
                about: "p".to_owned(),
                allowed: true,
                rules: Vec::new(),
            }]),
        }
    }
}
