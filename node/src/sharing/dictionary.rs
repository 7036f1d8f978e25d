//! What is declared about the columns of a collection, as far as a member may see them.

use concordat_engine::Domains;
use concordat_policy::MaxScope;
use concordat_protocol::collection::{CollectionRules, ColumnRole, ColumnRules};
use concordat_protocol::ids::{ColumnName, DatasetName};
use concordat_protocol::scope::{Columns, DatasetScope, Datasets, InvalidScope, Rows, Transform};
use concordat_protocol::text::Label;
use concordat_storage::catalog::{CollectionManifest, CollectionRecord};

/// Keys and units of the columns of one collection.
#[derive(Debug)]
pub(super) struct Dictionary<'a> {
    /// With what the columns join that the member sees. A collection of one joins with nothing.
    domains: Domains,
    rules: Option<&'a CollectionRules>,
    max_scope: &'a MaxScope,
}

impl<'a> Dictionary<'a> {
    /// What is declared, for a member that can get at most `max_scope`.
    pub(super) fn of(record: &'a CollectionRecord, manifest: &CollectionManifest, max_scope: &'a MaxScope) -> Self {
        let kind_of = |name: &DatasetName| manifest.dataset(name).map(|dataset| dataset.kind.clone());
        let shown = match manifest.alone() {
            None => visible(max_scope).ok(),
            Some(_) => None,
        };
        let domains = shown.map(|shown| Domains::of_kinds(&shown, &kind_of));
        Self {
            domains: domains.unwrap_or_default(),
            rules: record.rules(),
            max_scope,
        }
    }

    /// With which other columns a column joins. No dataset and no key is named that the member does not see.
    pub(super) fn role(&self, dataset: &DatasetName, column: &ColumnName) -> ColumnRole {
        let declared = self.declared(dataset, column).map(ColumnRules::role);
        match declared {
            Some(ColumnRole::Link { to, key }) if !self.is_visible(to, key) => ColumnRole::Value,
            Some(ColumnRole::Value) | None => self.domains.role(dataset, column),
            Some(declared) => declared.clone(),
        }
    }

    /// The unit of the values of a column.
    pub(super) fn unit(&self, dataset: &DatasetName, column: &ColumnName) -> Option<Label> {
        self.declared(dataset, column)?.unit().cloned()
    }

    fn declared(&self, dataset: &DatasetName, column: &ColumnName) -> Option<&'a ColumnRules> {
        self.rules?.dataset(dataset)?.column(column)
    }

    fn is_visible(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        let columns = self.max_scope.datasets.get(dataset);
        columns.is_some_and(|columns| columns.contains(column))
    }
}

/// The columns that the member sees.
fn visible(max_scope: &MaxScope) -> Result<Datasets, InvalidScope> {
    let mut datasets = Vec::new();
    for (name, columns) in &max_scope.datasets {
        let columns = columns.iter().map(|column| (column.clone(), Transform::Clear));
        let scope = DatasetScope {
            columns: Columns::new(columns)?,
            rows: Rows::all(),
        };
        datasets.push((name.clone(), scope));
    }
    Datasets::new(datasets)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use concordat_protocol::collection::{
        Contents, DatasetKind, KeyLink, KnownColumns, OwnerLinks, RawCollectionRules, RawColumnRules, RawDatasetRules,
    };
    use concordat_protocol::schema::ColumnKind;
    use concordat_protocol::scope::Tier;

    use super::*;

    fn max_scope(columns: &[(&str, &[&str])]) -> MaxScope {
        let datasets = columns.iter().map(|(dataset, columns)| {
            let columns: BTreeSet<ColumnName> = columns.iter().map(|column| column.parse().unwrap()).collect();
            (dataset.parse().unwrap(), columns)
        });
        MaxScope {
            tier: Tier::Records,
            protections: BTreeSet::new(),
            datasets: datasets.collect::<BTreeMap<_, _>>(),
        }
    }

    /// The rules of notes, each of which leads to a visit.
    fn rules() -> CollectionRules {
        let contents = Contents::Of(ColumnKind::Int);
        let columns = |names: [&str; 2]| -> BTreeMap<ColumnName, Contents> {
            names.map(|name| (name.parse().unwrap(), contents)).into()
        };
        let known = KnownColumns::new([
            ("note".parse().unwrap(), columns(["visit", "score"])),
            ("visit".parse().unwrap(), columns(["number", "who"])),
        ]);
        let declared = |role, unit: Option<&str>| RawColumnRules {
            role,
            unit: unit.map(|unit| unit.parse().unwrap()),
            ..RawColumnRules::default()
        };
        let link = ColumnRole::Link {
            to: "visit".parse().unwrap(),
            key: "number".parse().unwrap(),
        };
        let note = RawDatasetRules {
            kind: DatasetKind::Owned {
                through: OwnerLinks::new(vec![KeyLink {
                    column: "visit".parse().unwrap(),
                    to: "visit".parse().unwrap(),
                    key: "number".parse().unwrap(),
                }])
                .unwrap(),
            },
            columns: [
                ("visit".parse().unwrap(), declared(link, None)),
                ("score".parse().unwrap(), declared(ColumnRole::Value, Some("points"))),
            ]
            .into(),
            ..RawDatasetRules::default()
        };
        let visit = RawDatasetRules {
            kind: DatasetKind::Keyed {
                subject: "who".parse().unwrap(),
                unique: false,
            },
            columns: [("number".parse().unwrap(), declared(ColumnRole::Key, None))].into(),
            ..RawDatasetRules::default()
        };
        let raw = RawCollectionRules {
            datasets: [("note".parse().unwrap(), note), ("visit".parse().unwrap(), visit)].into(),
            ..RawCollectionRules::default()
        };
        CollectionRules::check(raw, &known).unwrap()
    }

    /// What is declared shows, but no name of what the member does not see.
    #[test]
    fn dictionary_names_keys_and_units_that_a_member_sees() {
        let rules = rules();
        let role = |max_scope: &MaxScope, dataset: &str, column: &str| {
            let dictionary = Dictionary {
                domains: Domains::default(),
                rules: Some(&rules),
                max_scope,
            };
            let (dataset, column) = (dataset.parse().unwrap(), column.parse().unwrap());
            (dictionary.role(&dataset, &column), dictionary.unit(&dataset, &column))
        };
        let all = max_scope(&[("note", &["visit", "score"]), ("visit", &["number", "who"])]);
        let link = ColumnRole::Link {
            to: "visit".parse().unwrap(),
            key: "number".parse().unwrap(),
        };
        assert_eq!(role(&all, "note", "visit"), (link, None));
        assert_eq!(role(&all, "visit", "number"), (ColumnRole::Key, None));
        let points = Some("points".parse().unwrap());
        assert_eq!(role(&all, "note", "score"), (ColumnRole::Value, points));
        for hidden in [
            max_scope(&[("note", &["visit", "score"])]),
            max_scope(&[("note", &["visit", "score"]), ("visit", &["who"])]),
        ] {
            assert_eq!(role(&hidden, "note", "visit").0, ColumnRole::Value);
        }
    }

    #[test]
    fn dictionary_covers_the_columns_that_a_member_can_get() {
        let shown = visible(&max_scope(&[("person", &["id", "sex"]), ("visit", &["visit_id"])])).unwrap();
        let names: Vec<String> = shown
            .iter()
            .flat_map(|(dataset, scope)| scope.columns.names().map(move |column| format!("{dataset}.{column}")))
            .collect();
        assert_eq!(names, ["person.id", "person.sex", "visit.visit_id"]);
        assert!(visible(&max_scope(&[])).is_err(), "then there are no keys");
    }
}
