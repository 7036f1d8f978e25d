//! What a request of a person means, given what the holder's catalog lists.

use concordat_protocol::collection::ColumnRole;
use concordat_protocol::wire::messages::CatalogColumn;
use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

#[test]
fn request_is_as_wide_as_the_catalog_where_nothing_is_stated() {
    let scope = of_heart(&json!({ "where": "age >= 40" }), &[heart()]).unwrap();
    let (_, shown) = scope.only().unwrap();
    let columns: Vec<_> = shown
        .columns
        .iter()
        .map(|(column, how)| (column.as_str(), how))
        .collect();
    assert_eq!(columns, [("age", Transform::Clear), ("sex", Transform::Clear)]);
    assert_eq!(
        (scope.tier, &scope.people, scope.limits),
        (Tier::Records, &People::Any, Limits::WIDEST)
    );
    assert_eq!(shown.rows.to_string(), "age >= 40");
    assert_eq!(scope.places.to_string(), "HU");
    assert_eq!(scope.window.not_before(), NOW);
    assert_eq!(scope.window.not_after().to_string(), "2027-07-01T00:00:00Z");
}

#[test]
fn request_for_what_the_catalog_does_not_list_is_refused() {
    let unlisted = of_heart(&json!({}), &[]);
    assert!(matches!(unlisted, Err(GrantRequestError::NoDataset(_))));
    let column = of_heart(&json!({ "columns": ["age", "name"] }), &[heart()]);
    assert!(matches!(column, Err(GrantRequestError::NoColumn { column, .. }) if column.as_str() == "name"));
    let condition = of_heart(&json!({ "where": "name = 1" }), &[heart()]);
    assert!(matches!(condition, Err(GrantRequestError::Condition(_))));
    let none = of_heart(&json!({ "columns": [], "tier": "count" }), &[heart()]).unwrap();
    assert!(none.only().unwrap().1.columns.is_empty(), "a count needs no column");
}

#[test]
fn request_over_a_collection_is_one_scope() {
    for (target, options, expected) in [
        // A dataset without a column in the catalog cannot be requested.
        (
            "cleveland/omop",
            json!({}),
            "person: age, id, sex; visit: id, sex, ward",
        ),
        ("cleveland/omop/person", json!({}), "person: age, id, sex"),
        (
            "cleveland/omop",
            json!({ "datasets": ["person", "visit"] }),
            "person: age, id, sex; visit: id, sex, ward",
        ),
        (
            "cleveland/omop",
            json!({ "columns": ["person.age", "visit.id"] }),
            "person: age; visit: id",
        ),
        // Without its dataset a column is that of each one that has it.
        (
            "cleveland/omop",
            json!({ "columns": ["id", "ward"] }),
            "person: id; visit: id, ward",
        ),
        (
            "cleveland/omop",
            json!({ "datasets": ["person"], "columns": ["id"] }),
            "person: id",
        ),
        (
            "cleveland/omop",
            json!({ "columns": ["id"], "where": "visit.sex = 1 AND age >= 40" }),
            "person: id where age >= 40; visit: id where sex = 1",
        ),
    ] {
        let scope = into_scope(target, &options, &omop()).unwrap();
        assert_eq!(scope.collection.to_string(), "cleveland.omop");
        assert_eq!(text(&scope), expected, "{options}");
    }
}

#[test]
fn request_over_a_collection_names_what_is_wrong() {
    for (target, options, expected) in [
        (
            "cleveland/omop",
            json!({ "datasets": ["drug"] }),
            "`cleveland.omop.drug` is not in the catalog",
        ),
        (
            "cleveland/omop/drug",
            json!({}),
            "`cleveland.omop.drug` is not in the catalog",
        ),
        (
            "cleveland/omop",
            json!({ "columns": ["drug.id"] }),
            "`cleveland.omop.drug` is not in the catalog",
        ),
        (
            "cleveland/omop",
            json!({ "columns": ["visit.age"] }),
            "`cleveland.omop.visit` has no column `age`",
        ),
        (
            "cleveland/omop",
            json!({ "columns": ["name"] }),
            "`cleveland.omop` has no column `name`",
        ),
        (
            "cleveland/omop",
            json!({ "datasets": ["person"], "columns": ["visit.id"] }),
            "`visit.id` is requested, and its dataset is not",
        ),
        (
            "cleveland/omop",
            json!({ "datasets": ["person", "visit"], "columns": ["person.id"] }),
            "no column of `cleveland.omop.visit` is among",
        ),
        (
            "cleveland/omop",
            json!({ "datasets": ["note"] }),
            "no column of `cleveland.omop.note` can be requested",
        ),
        (
            "cleveland/omop",
            json!({ "columns": [] }),
            "no column of `cleveland.omop` is among",
        ),
        (
            "cleveland/omop/person",
            json!({ "datasets": ["visit"] }),
            "name its collection to request several: `cleveland.omop`",
        ),
        (
            "cleveland/omop",
            json!({ "datasets": ["person"], "where": "visit.sex = 1" }),
            "names `visit`, which is not among the datasets",
        ),
        (
            "cleveland/omop",
            json!({ "where": "sex = 1" }),
            "`sex` is a column of `person` and `visit`",
        ),
    ] {
        let error = into_scope(target, &options, &omop()).unwrap_err().to_string();
        assert!(error.contains(expected), "{options}: {error}");
    }
}

/// How much noise there is, or how much may be lost, the policy of the holder states.
#[test]
fn request_for_a_protection_states_its_name_only() {
    for name in ProtectionName::ALL {
        let options = json!({ "tier": "aggregate", "protection": name.as_str() });
        let scope = of_heart(&options, &[heart()]).unwrap();
        assert_eq!(scope.protection, name.widest());
    }
    let unnamed = of_heart(&json!({ "tier": "aggregate" }), &[heart()]).unwrap();
    assert_eq!(unnamed.protection, ProtectionName::Exact.widest());
}

#[test]
fn request_over_a_collection_can_be_for_figures() {
    for tier in ["exists", "count", "aggregate"] {
        for target in ["cleveland/omop", "cleveland/omop/person"] {
            let scope = into_scope(target, &json!({ "tier": tier }), &omop()).unwrap();
            assert_eq!(scope.tier.to_string(), tier, "{target}");
        }
    }
}

proptest::proptest! {
    /// A request names exactly the listed columns that its options mean, or it is refused.
    #[test]
    fn request_over_a_collection_has_the_columns_of_a_model(
        datasets in proptest::option::of(proptest::collection::btree_set(0..4usize, 0..4)),
        columns in proptest::option::of(proptest::collection::btree_set(0..8usize, 0..4)),
    ) {
        let names = ["note", "person", "visit", "drug"];
        let selections = ["id", "sex", "age", "name", "person.id", "person.ward", "visit.ward", "note.text"];
        let named: Option<Vec<&str>> = datasets.map(|all| all.into_iter().map(|index| names[index]).collect());
        let selected: Option<Vec<&str>> = columns.map(|all| all.into_iter().map(|index| selections[index]).collect());
        let mut options = json!({});
        if let Some(named) = &named {
            options["datasets"] = json!(named);
        }
        if let Some(selected) = &selected {
            options["columns"] = json!(selected);
        }
        let means = |selection: &str, dataset: &str, column: &str| {
            selection == column || selection == format!("{dataset}.{column}")
        };
        let pairs = omop().into_iter().flat_map(|listed| {
            let dataset = listed.name.to_string();
            listed.columns.into_iter().map(move |column| (dataset.clone(), column.name.to_string()))
        });
        let among: Vec<(String, String)> = pairs
            .filter(|(dataset, _)| named.as_ref().is_none_or(|named| named.contains(&dataset.as_str())))
            .collect();
        let is_selected = |(dataset, column): &&(String, String)| {
            let mut all = selected.iter().flatten();
            selected.is_none() || all.any(|selection| means(selection, dataset, column))
        };
        let expected: BTreeSet<(String, String)> = among.iter().filter(is_selected).cloned().collect();
        let has_column = |name: &&str| expected.iter().any(|(dataset, _)| dataset == name);
        let is_known = |selection: &&str| among.iter().any(|(dataset, column)| means(selection, dataset, column));
        let is_valid = !expected.is_empty()
            && named.iter().flatten().all(has_column)
            && selected.iter().flatten().all(is_known);
        match into_scope("cleveland/omop", &options, &omop()) {
            Ok(scope) => {
                let found = scope.datasets.iter().flat_map(|(dataset, shown)| {
                    shown.columns.names().map(move |column| (dataset.to_string(), column.to_string()))
                });
                proptest::prop_assert!(is_valid);
                proptest::prop_assert_eq!(found.collect::<BTreeSet<_>>(), expected);
            }
            Err(error) => proptest::prop_assert!(!is_valid, "{error}"),
        }
    }
}

/// The datasets of a scope with their columns and rows.
fn text(scope: &Scope) -> String {
    let each = scope.datasets.iter().map(|(name, dataset)| {
        let columns: Vec<&str> = dataset.columns.names().map(ColumnName::as_str).collect();
        let columns = columns.join(", ");
        match dataset.rows.is_all() {
            true => format!("{name}: {columns}"),
            false => format!("{name}: {columns} where {}", dataset.rows),
        }
    });
    each.collect::<Vec<_>>().join("; ")
}

fn of_heart(options: &Value, listed: &[CatalogDataset]) -> Result<Scope, GrantRequestError> {
    into_scope("cleveland.heart", options, listed)
}

fn into_scope(target: &str, options: &Value, listed: &[CatalogDataset]) -> Result<Scope, GrantRequestError> {
    let mut request = json!({ "purposes": ["health-research"], "until": "2027-06-30" });
    let fields = request.as_object_mut().unwrap();
    fields.extend(options.as_object().unwrap().clone());
    let condition = request.as_object_mut().unwrap().remove("where");
    let condition = condition.map(|text| RowCondition::parse(text.as_str().unwrap()).unwrap());
    let request = GrantRequest {
        condition,
        ..serde_json::from_value(request).unwrap()
    };
    request.into_scope(&target.parse().unwrap(), listed, "HU".parse().unwrap(), NOW)
}

fn heart() -> CatalogDataset {
    dataset("heart", &["age", "sex"])
}

fn omop() -> [CatalogDataset; 3] {
    [
        dataset("note", &[]),
        dataset("person", &["age", "id", "sex"]),
        dataset("visit", &["id", "sex", "ward"]),
    ]
}

fn dataset(name: &str, columns: &[&str]) -> CatalogDataset {
    let column = |name: &&str| CatalogColumn {
        name: name.parse().unwrap(),
        kind: "integer".to_owned(),
        class: "ordinary".to_owned(),
        role: ColumnRole::Value,
        unit: None,
    };
    CatalogDataset {
        name: name.parse().unwrap(),
        columns: columns.iter().map(column).collect(),
        about_rows: 300,
    }
}
