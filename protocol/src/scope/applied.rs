//! What this version applies of a scope.
//!
//! A scope can express more than this version protects: it would be a false promise to sign it. What is not applied is therefore refused
//! by both sides of a negotiation, in the terms of a grant, and by policies, in one function.

use super::invalid::Part;
use super::{Generalization, Limits, ProtectionName, Scope, Subjects, Tier, Transform};

/// A part of a scope that this version does not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this version does not apply {what}; {remedy}")]
pub struct NotApplied {
    /// The part.
    pub part: Part,
    what: String,
    remedy: &'static str,
}

impl NotApplied {
    /// What is not applied.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to request instead.
    pub const fn remedy(&self) -> &'static str {
        self.remedy
    }
}

impl Scope {
    /// Checks that this version applies all of the scope: answers about all subjects, without a limit on the queries of each person,
    /// without columns that are generalized to levels. A protection of figures and their limits need a tier below records, because records
    /// are as they are.
    ///
    /// # Errors
    /// [`NotApplied`] names the first part that it does not apply.
    pub fn check_applied(&self) -> Result<(), NotApplied> {
        let unapplied = self
            .unapplied_protection()
            .or_else(|| self.unapplied_subjects())
            .or_else(|| self.unapplied_columns())
            .or_else(|| self.unapplied_limits());
        match unapplied {
            Some((part, what, remedy)) => Err(NotApplied { part, what, remedy }),
            None => Ok(()),
        }
    }

    /// Records are not protected as figures are.
    fn unapplied_protection(&self) -> Option<(Part, String, &'static str)> {
        let protection = self.protection.name();
        let is_applied = self.tier < Tier::Records || protection == ProtectionName::Exact;
        (!is_applied).then(|| {
            (
                Part::Protection,
                format!("the protection `{protection}` to records"),
                "request `exact`, or a tier below `records`",
            )
        })
    }

    fn unapplied_subjects(&self) -> Option<(Part, String, &'static str)> {
        match self.subjects {
            Subjects::Any => None,
            Subjects::Only(_) => Some((
                Part::Subjects,
                "a filter on subjects".to_owned(),
                "request rows of the dataset instead",
            )),
        }
    }

    fn unapplied_columns(&self) -> Option<(Part, String, &'static str)> {
        let mut shown = self.datasets.iter().flat_map(|(_, dataset)| dataset.columns.iter());
        let levels = Transform::Generalized(Generalization::Levels);
        shown.find(|(_, transform)| *transform == levels).map(|(column, _)| {
            let what = format!("the generalization of `{column}` to levels");
            (
                Part::Columns,
                what,
                "request the column in another form, or leave it out",
            )
        })
    }

    fn unapplied_limits(&self) -> Option<(Part, String, &'static str)> {
        let Limits {
            max_rows: _,
            max_queries_per_day: _,
            min_cell: _,
            per_person_per_day,
            max_cells,
            distinctions,
        } = self.limits;
        let of_figures = |limit: Option<u32>| limit.filter(|_| self.tier == Tier::Records);
        let limits = [
            ("a limit on the queries of each person", per_person_per_day),
            ("a limit on the cells of an answer to records", of_figures(max_cells)),
            ("a limit on distinctions to records", of_figures(distinctions)),
        ];
        let mut set = limits.into_iter().filter(|(_, limit)| limit.is_some());
        set.next()
            .map(|(what, _)| (Part::Limits, what.to_owned(), "leave the limit out"))
    }
}
