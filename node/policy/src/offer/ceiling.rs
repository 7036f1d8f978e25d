//! The widest scope that policies allow, and why it is not wider.

use std::collections::BTreeMap;

use concordat_protocol::decision::RuleReason;
use concordat_protocol::scope::{Difference, Disjoint, Part, Scope, Transform, column_label};

use super::decision::Narrowing;
use super::one_age;
use crate::rows;

/// How a column is shown at most, with a reason if it is not shown in clear.
pub(super) struct ShownColumn {
    pub(super) transform: Transform,
    pub(super) reason: Option<RuleReason>,
}

/// The maximum that policies allow, with a reason for what they withhold.
pub(super) struct Ceiling {
    pub(super) scope: Scope,
    pub(super) withheld: BTreeMap<Part, RuleReason>,
    /// The columns by the names that texts about a scope have for them.
    pub(super) columns: BTreeMap<String, ShownColumn>,
}

impl Ceiling {
    pub(super) fn explain(&self, difference: Difference) -> Narrowing {
        let reason = match difference.part {
            Part::Columns => self.explain_column(&difference),
            Part::Datasets => Some(unknown_dataset(&difference)),
            part @ (Part::Collection
            | Part::Tier
            | Part::Protection
            | Part::Subjects
            | Part::Rows
            | Part::Purposes
            | Part::People
            | Part::Places
            | Part::Limits
            | Part::Window) => self.withheld.get(&part).cloned(),
        };
        let reason = reason.unwrap_or_else(|| {
            RuleReason::new(
                "narrowed",
                format!("the {} may not be as wide", difference.part),
                "request less",
            )
        });
        Narrowing { difference, reason }
    }

    /// Why nothing of the request is left.
    pub(super) fn nothing_left(&self, request: &Scope, disjoint: &Disjoint) -> Vec<RuleReason> {
        let known = match disjoint.part {
            Part::Columns => {
                let requested = request.datasets.iter().flat_map(|(name, dataset)| {
                    let columns = dataset.columns.names();
                    columns.map(move |column| column_label(&request.collection, name, column))
                });
                let reasons = requested.filter_map(|label| self.columns.get(&label)?.reason.clone());
                reasons.filter(one_age::is_reason).collect()
            }
            part @ (Part::Collection
            | Part::Tier
            | Part::Protection
            | Part::Subjects
            | Part::Datasets
            | Part::Rows
            | Part::Purposes
            | Part::People
            | Part::Places
            | Part::Limits
            | Part::Window) => self.withheld.get(&part).cloned().into_iter().collect::<Vec<_>>(),
        };
        if !known.is_empty() {
            return known;
        }
        let remedy = "request something that may be released";
        vec![RuleReason::new("nothing-left", disjoint.to_string(), remedy)]
    }

    /// A difference in columns begins with the column's label. The reason why a column is removed is not given, because it would reveal
    /// that the column exists.
    fn explain_column(&self, difference: &Difference) -> Option<RuleReason> {
        let label = difference.requested.split(' ').next()?;
        let known = self.columns.get(label);
        let reason = known.and_then(|column| column.reason.clone());
        match known.map_or(Transform::Removed, |column| column.transform) {
            Transform::Removed => {
                let reason = reason.filter(one_age::is_reason);
                Some(reason.unwrap_or_else(|| rows::unavailable(label)))
            }
            Transform::Clear | Transform::Generalized(_) | Transform::Pseudonym => reason,
        }
    }
}

/// The reason for a dataset that the collection does not have. Which ones it has is not hidden from those who see it.
fn unknown_dataset(difference: &Difference) -> RuleReason {
    let name = difference.requested.split(' ').next().unwrap_or_default();
    RuleReason::new(
        "dataset-of-collection",
        format!("the collection has no dataset `{name}`"),
        "see `concordat catalog` for its datasets",
    )
}
