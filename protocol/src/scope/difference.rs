//! Where two scopes differ, as text that a person can check.
//!
//! Both sides of a negotiation compare these texts, so their order and words are part of the protocol (`texts.golden`).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::datasets::DatasetScope;
use super::invalid::Part;
use super::{Scope, Transform};
use crate::ids::{CollectionRef, ColumnName, DatasetName};

/// One difference between what was requested and what is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// In which part.
    pub part: Part,
    /// What was requested.
    pub requested: String,
    /// What is offered instead.
    pub offered: String,
}

/// A column as texts about a scope name it: with its dataset, unless that has the name of the collection.
pub fn column_label(collection: &CollectionRef, dataset: &DatasetName, column: &ColumnName) -> String {
    if collection.collection.is_name_of(dataset) {
        column.to_string()
    } else {
        format!("{dataset}.{column}")
    }
}

impl Scope {
    /// Where `offered` differs from this scope, as text that a person can check: one line for each part, dataset or column. A dataset that
    /// is left out is one line, whatever its columns.
    pub fn differences(&self, offered: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let part = |part, text: fn(&Self) -> String| pair(part, text(self), text(offered));
        found.extend(part(Part::Collection, |scope| scope.collection.to_string()));
        found.extend(part(Part::Tier, |scope| scope.tier.to_string()));
        found.extend(part(Part::Protection, |scope| scope.protection.to_string()));
        found.extend(part(Part::Subjects, |scope| scope.subjects.to_string()));
        found.extend(self.differences_in_datasets(offered));
        found.extend(part(Part::Purposes, |scope| scope.purposes.to_string()));
        found.extend(part(Part::People, |scope| scope.people.to_string()));
        found.extend(part(Part::Places, |scope| scope.places.to_string()));
        found.extend(part(Part::Limits, |scope| scope.limits.to_string()));
        found.extend(part(Part::Window, |scope| scope.window.to_string()));
        found
    }

    fn differences_in_datasets(&self, offered: &Self) -> Vec<Difference> {
        let names: BTreeSet<&DatasetName> = self.datasets.names().chain(offered.datasets.names()).collect();
        let mut found = Vec::new();
        for name in names {
            match (self.datasets.get(name), offered.datasets.get(name)) {
                (Some(mine), Some(theirs)) => found.extend(self.differences_in(name, mine, theirs)),
                (mine, theirs) => {
                    let text = |dataset: Option<_>| match dataset {
                        Some(_) => format!("{name} included"),
                        None => format!("{name} left out"),
                    };
                    found.extend(pair(Part::Datasets, text(mine), text(theirs)));
                }
            }
        }
        found.sort_by_key(|difference| difference.part);
        found
    }

    fn differences_in(&self, name: &DatasetName, mine: &DatasetScope, theirs: &DatasetScope) -> Vec<Difference> {
        let columns: BTreeSet<&ColumnName> = mine.columns.names().chain(theirs.columns.names()).collect();
        let compare = |column: &ColumnName| {
            let label = column_label(&self.collection, name, column);
            let text = |transform: Transform| format!("{label} {transform}");
            let requested = text(mine.columns.transform(column));
            pair(Part::Columns, requested, text(theirs.columns.transform(column)))
        };
        let of_dataset = |rows: &super::Rows| {
            if self.collection.collection.is_name_of(name) {
                rows.to_string()
            } else {
                format!("{name}: {rows}")
            }
        };
        let rows = pair(Part::Rows, of_dataset(&mine.rows), of_dataset(&theirs.rows));
        columns.into_iter().filter_map(compare).chain(rows).collect()
    }
}

/// `None` if the two are the same.
fn pair(part: Part, requested: String, offered: String) -> Option<Difference> {
    (requested != offered).then_some(Difference {
        part,
        requested,
        offered,
    })
}
