//! The widest scope that policies allow, and why it is not wider.

use std::collections::BTreeMap;

use concordat_protocol::decision::RuleReason;
use concordat_protocol::ids::DatasetName;
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
    /// A difference between the request and what is offered, with its reason.
    pub(super) fn explain(&self, difference: Difference, request: &Scope) -> Narrowing {
        let reason = match difference.part {
            Part::Columns => self.explain_column(&difference),
            Part::Datasets => Some(self.explain_dataset(&difference, request)),
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
        // A dataset that does not exist, and one of which nothing is shown, look the same.
        let part = if disjoint.part == Part::Datasets {
            Part::Columns
        } else {
            disjoint.part
        };
        let known = match part {
            Part::Columns => self.one_age_in(request, |_| true).collect(),
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
        vec![RuleReason::new("nothing-left", Disjoint { part }.to_string(), remedy)]
    }

    /// The reasons of the rule about ages for the requested columns of some datasets.
    fn one_age_in<'a>(
        &'a self,
        request: &'a Scope,
        is_meant: impl Fn(&DatasetName) -> bool + 'a,
    ) -> impl Iterator<Item = RuleReason> + 'a {
        let datasets = request.datasets.iter().filter(move |(name, _)| is_meant(name));
        let labels = datasets.flat_map(move |(name, dataset)| {
            let columns = dataset.columns.names();
            columns.map(move |column| column_label(&request.collection, name, column))
        });
        let reasons = labels.filter_map(move |label| self.columns.get(&label)?.reason.clone());
        reasons.filter(one_age::is_reason)
    }

    /// A difference in datasets begins with the dataset's name.
    fn explain_dataset(&self, difference: &Difference, request: &Scope) -> RuleReason {
        let name = difference.requested.split(' ').next().unwrap_or_default();
        let mut one_age = self.one_age_in(request, |dataset| dataset.as_str() == name);
        one_age.next().unwrap_or_else(|| unavailable_dataset(name))
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

/// The reason for a dataset that the collection does not have, and for one of which nothing is shown: they look the same.
fn unavailable_dataset(name: &str) -> RuleReason {
    RuleReason::new(
        "dataset-of-collection",
        format!(
            "`{name}`: this dataset does not exist here, or none of its requested columns is shown at this tier for this purpose"
        ),
        "leave it out, or see what `concordat catalog` lists",
    )
}
