//! The widest scope that policies allow, and why it is not wider.

use std::collections::BTreeMap;

use concordat_protocol::decision::RuleReason;
use concordat_protocol::{
    ids::ColumnName,
    scope::{Difference, Part, Scope, Transform},
};

use super::decision::Narrowing;
use crate::rows;

/// The rule that treats ages and years of birth as one quasi-identifier.
pub(super) const ONE_AGE: &str = "one-age";

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

    /// A difference in columns begins with the column's name. The reason why a column is removed is not given, because it would reveal
    /// that the column exists.
    fn explain_column(&self, difference: &Difference) -> Option<RuleReason> {
        let name = ColumnName::new(difference.requested.split(' ').next()?).ok()?;
        match self.scope.columns.transform(&name) {
            Transform::Removed => {
                let known = self.columns.get(&name).filter(|reason| reason.rule == ONE_AGE);
                Some(known.cloned().unwrap_or_else(|| rows::unavailable(&name)))
            }
            Transform::Clear | Transform::Generalized(_) | Transform::Pseudonym => self.columns.get(&name).cloned(),
        }
    }
}
