//! What the consumer lowers and writes is what a holder lowers.

mod common;

use std::collections::BTreeMap;

use concordat_protocol::{
    collection::{KnownColumns, RawCollectionRules, RawColumnRules, RawLevels},
    ids::{ColumnName, DatasetName},
    scope::{Columns, DatasetScope, Datasets, Rows, Transform, Value},
};
use datafusion::common::tree_node::TreeNodeRecursion;

use super::*;
use crate::{compute::tests::collection::everything, statistic::tests::collections::Collection};

const BY_SEX: &str = "SELECT gender_source_value, count(*) AS n, avg(year_of_birth) AS m FROM person \
                      WHERE year_of_birth >= 1950 GROUP BY gender_source_value";
const TEXTS: [&str; 5] = [
    BY_SEX,
    "SELECT count(DISTINCT person_id) AS n FROM drug_exposure WHERE days_supply > 30",
    "SELECT p.year_of_birth, count(DISTINCT p.person_id) AS n FROM person p WHERE EXISTS (SELECT 1 FROM drug_exposure d \
     WHERE d.person_id = p.person_id AND d.drug_concept_id IN (5, 7)) GROUP BY p.year_of_birth",
    "SELECT CASE WHEN year_of_birth < 1950 THEN 'old' ELSE 'young' END AS age, stddev(year_of_birth) AS s FROM person GROUP BY 1",
    "SELECT corr(days_supply, days_supply) AS c, count(*) FILTER (WHERE days_supply > 10) AS n FROM drug_exposure",
];

/// A permission for all columns of a collection, in clear.
fn scope(rules: &CollectionRules) -> Scope {
    let datasets = rules.datasets().map(|(name, dataset)| {
        let columns = dataset.columns().map(|(column, _)| (column.clone(), Transform::Clear));
        let scope = DatasetScope {
            columns: Columns::new(columns).unwrap(),
            rows: Rows::all(),
        };
        (name.clone(), scope)
    });
    Scope {
        datasets: Datasets::new(datasets).unwrap(),
        ..everything()
    }
}

/// The first grouping of a plan.
fn grouping_of(plan: &LogicalPlan) -> LogicalPlan {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        if matches!(node, LogicalPlan::Aggregate(_)) && found.is_none() {
            found = Some(node.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    found.unwrap()
}

fn lowered(omop: &Collection, sql: &str, rules: &CollectionRules) -> Result<Grouping, QueryError> {
    let plan = omop.planned(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    Grouping::lowered(&grouping_of(&plan), rules, &scope(omop.known.rules()))
}

#[test]
fn grouping_text_is_lowered_to_the_same_statistic() {
    let omop = Collection::named("omop");
    let rules = omop.known.rules();
    for sql in TEXTS {
        let grouping = lowered(&omop, sql, rules).unwrap();
        let text = grouping.text(grouping.statistic().cells(), false, None).unwrap();
        let again = lowered(&omop, &text.sql, rules).unwrap();
        assert_eq!(again.statistic(), grouping.statistic(), "{sql}: {}", text.sql);
        let numbers: Vec<usize> = (0..grouping.statistic().cells().len()).collect();
        assert_eq!(text.columns, numbers, "they are in the order of the statistic");
    }
}

#[test]
fn grouping_table_has_the_labels_of_all_cells() {
    let omop = Collection::named("omop");
    let grouping = lowered(&omop, BY_SEX, omop.known.rules()).unwrap();
    let cells = grouping.cells();
    assert_eq!((cells.num_rows(), cells.num_columns()), (4, 3));
    assert_eq!(cells.column(1).null_count(), 4);
    let labels = grouping.label_texts(0).unwrap();
    assert_eq!(&labels, grouping.labels(0).unwrap());
    assert_eq!(labels.null_count(), 1, "missing values are the last cell");
}

/// At tier `records` a column is shown as it is, so the text makes the labels.
#[test]
fn grouping_text_of_records_has_labels() {
    let omop = Collection::named("omop");
    let sql = "SELECT year_of_birth, count(*) AS n FROM person GROUP BY year_of_birth";
    let grouping = lowered(&omop, sql, omop.known.rules()).unwrap();
    let version = Some(VersionNumber::new(3));
    let text = grouping.text(grouping.statistic().cells(), true, version).unwrap().sql;
    assert!(text.starts_with("SELECT CASE WHEN "), "{text}");
    assert!(
        text.contains("THEN '<1900'") && text.contains("\"person\" VERSION AS OF 3 AS r1"),
        "{text}"
    );
    let plain = grouping.text(grouping.statistic().cells(), false, None).unwrap().sql;
    assert!(plain.starts_with("SELECT r1.\"year_of_birth\" AS \"g0\""), "{plain}");
}

/// The same rules with these levels of a column of persons.
fn changed(rules: &CollectionRules, name: &str, levels: RawLevels) -> CollectionRules {
    with(rules, name, |column| column.levels = levels)
}

/// The same rules with a change of a column of persons.
fn with(rules: &CollectionRules, name: &str, change: impl FnOnce(&mut RawColumnRules)) -> CollectionRules {
    with_column(rules, ("person", name), change)
}

/// The same rules with a change of a column.
fn with_column(
    rules: &CollectionRules,
    (dataset, name): (&str, &str),
    change: impl FnOnce(&mut RawColumnRules),
) -> CollectionRules {
    let RawCollectionRules { mut datasets, days } = rules.raw();
    let changed = datasets.get_mut(&DatasetName::new(dataset).unwrap()).unwrap();
    change(changed.columns.get_mut(&ColumnName::new(name).unwrap()).unwrap());
    let known = rules.datasets().map(|(name, dataset)| {
        let columns = dataset.columns();
        let columns = columns.map(|(column, declared)| (column.clone(), declared.contents()));
        (name.clone(), columns.collect())
    });
    CollectionRules::check(RawCollectionRules { datasets, days }, &KnownColumns::new(known)).unwrap()
}

/// What a grant sends of the rules is enough for the same statistic.
#[test]
fn grouping_of_shown_rules_is_that_of_the_holder() {
    let omop = Collection::named("omop");
    let rules = omop.known.rules();
    let shown = rules.shown_by(&scope(rules).datasets).unwrap();
    for sql in TEXTS {
        let [holder, consumer] = [rules, &shown].map(|rules| lowered(&omop, sql, rules).unwrap());
        assert_eq!(holder.statistic(), consumer.statistic(), "{sql}");
        assert_eq!(holder.cells(), consumer.cells(), "{sql}");
        let common = CommonGrouping::of(&[(holder, false), (consumer, false)]);
        assert!(common.unwrap().unwrap().changed().is_empty(), "{sql}");
    }
}

/// A cell of it is several rows, which are put together above the cells of one holder.
#[test]
fn grouping_by_values_of_lists_is_of_one_holder() {
    let omop = Collection::named("omop");
    let sql = "SELECT a.ancestor_concept_id, count(DISTINCT d.person_id) AS n FROM drug_exposure d \
               JOIN concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id WHERE a.ancestor_concept_id IN (5, 7) GROUP BY 1";
    let error = lowered(&omop, sql, omop.known.rules()).unwrap_err().to_string();
    assert!(error.contains("one query for each value"), "{error}");
    let one = sql.replace("a.ancestor_concept_id, ", "").replace(" GROUP BY 1", "");
    assert!(lowered(&omop, &one, omop.known.rules()).is_ok());
    let names = "SELECT k.concept_name, count(DISTINCT d.person_id) AS n FROM drug_exposure d \
                 JOIN concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id \
                 JOIN concept k ON k.concept_id = a.ancestor_concept_id GROUP BY k.concept_name";
    let error = lowered(&omop, names, omop.known.rules()).unwrap_err().to_string();
    assert!(error.contains("one query for each value"), "{error}");
}

#[test]
fn grouping_refuses_with_the_error_of_the_holder() {
    let omop = Collection::named("omop");
    let rules = omop.known.rules();
    for (sql, nearest) in [
        ("SELECT min(year_of_birth) FROM person", "approx_percentile_cont"),
        (
            "SELECT count(*) FROM person WHERE year_of_birth > 1951",
            "year_of_birth",
        ),
        (
            "SELECT sum(condition_concept_id) FROM condition_occurrence",
            "no declared range",
        ),
    ] {
        let error = lowered(&omop, sql, rules).unwrap_err().to_string();
        assert!(error.contains(nearest), "{sql}: {error}");
    }
}

/// Members have edges of their own, so that the group of other dates would have other ones at each.
#[test]
fn grouping_by_months_is_limited_to_the_edges() {
    let omop = Collection::named("omop");
    let by = |condition: &str| {
        let sql = format!(
            "SELECT date_part('month', condition_start_date) AS m, count(*) AS n FROM condition_occurrence {condition} GROUP BY 1"
        );
        lowered(&omop, &sql, omop.known.rules())
    };
    let edges = "condition_start_date >= DATE '1980-01-01' AND condition_start_date < DATE '2020-01-01'";
    let Err(refused) = by("") else {
        panic!("dates without a month are counted")
    };
    assert!(refused.to_string().contains(edges), "{refused}");
    assert!(by(&format!("WHERE {edges}")).is_ok());
}
