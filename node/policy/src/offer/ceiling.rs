//! The widest scope that policies allow, and why it is not wider.

use std::collections::BTreeMap;

use concordat_protocol::decision::RuleReason;
use concordat_protocol::{
    ids::ColumnName,
    scope::{Difference, Disjoint, Part, Scope, Transform},
};

use super::decision::Narrowing;
use super::one_age;
use crate::rows;

/// The maximum that policies allow, with a reason for what they withhold.
pub(super) struct Ceiling {
    pub(super) scope: Scope,
    pub(super) withheld: BTreeMap<Part, RuleReason>,
    pub(super) columns: BTreeMap<ColumnName, RuleReason>,
}

impl Ceiling {
    pub(super) fn explain(&self, difference: Difference) -> Narrowing {
        let reason = match difference.part {
            Part::Columns => self.explain_column(&difference),
            part @ (Part::Dataset
            | Part::Tier
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
                let reasons = request.columns.names().filter_map(|name| self.columns.get(name));
                reasons.filter(|reason| one_age::is_reason(reason)).cloned().collect()
            }
            part @ (Part::Dataset
            | Part::Tier
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

    /// A difference in columns begins with the column's name. The reason why a column is removed is not given, because it would reveal
    /// that the column exists.
    fn explain_column(&self, difference: &Difference) -> Option<RuleReason> {
        let name = ColumnName::new(difference.requested.split(' ').next()?).ok()?;
        match self.scope.columns.transform(&name) {
            Transform::Removed => {
                let known = self.columns.get(&name).filter(|reason| one_age::is_reason(reason));
                Some(known.cloned().unwrap_or_else(|| rows::unavailable(&name)))
            }
            Transform::Clear | Transform::Generalized(_) | Transform::Pseudonym => self.columns.get(&name).cloned(),
        }
    }
}
