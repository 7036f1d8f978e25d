//! Remarks on how figures below tier `records` are protected, as the scope of a permission states it.

use concordat_protocol::scope::{Protection, Scope};

use super::QueryReport;
use crate::federation::source::{Access, Target};

impl QueryReport {
    /// Adds a remark on the noise of figures of `target` under a permission of this scope. Of our own datasets it also adds what is withheld: an
    /// answer of another institution has that with its receipt, and our own one has none.
    pub(in crate::federation) fn protected(&self, target: &Target, scope: &Scope) {
        self.noise(&target.dataset, target.tier, scope);
        match (target.access, smallest_cell(scope)) {
            (Access::Own, Some(min_cell)) => self.withheld(&target.dataset, target.tier, min_cell),
            (Access::Own, None) | (Access::Grant(_), _) => {}
        }
    }
}

/// How many subjects a figure of an answer is about at least; `None` if answers withhold none.
pub(in crate::federation) const fn smallest_cell(scope: &Scope) -> Option<u32> {
    match scope.protection {
        Protection::Exact | Protection::Perturbed(_) => Some(scope.limits.min_cell),
        // Each figure is shown, also of no one: its noise is what protects it.
        Protection::Private(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use concordat_documents::query::RemarkKind;
    use concordat_protocol::scope::{Loss, Noise, Tier};

    use super::*;
    use crate::federation::testing::{Dataset, Institutions, ints};

    #[test]
    fn report_of_own_figures_states_what_is_withheld() {
        let heart = Dataset::new("aachen.heart", Tier::Aggregate, vec![("age", ints(&[40, 50]))]);
        let granted = heart.target();
        let own = Target {
            access: Access::Own,
            ..heart.target()
        };
        let scope = Institutions::new(vec![heart]).declared(&granted).statistics.scope;
        let perturbed = Protection::Perturbed(Noise::default());
        let private = Protection::Private(Loss::DEFAULT);
        for (target, protection, expected) in [
            (&own, Protection::Exact, vec![RemarkKind::WithheldCells]),
            (&own, perturbed, vec![RemarkKind::Noise, RemarkKind::WithheldCells]),
            (&own, private, vec![RemarkKind::Noise]),
            (&granted, Protection::Exact, vec![]),
            (&granted, perturbed, vec![RemarkKind::Noise]),
        ] {
            let report = QueryReport::default();
            let scope = Scope {
                protection,
                ..scope.clone()
            };
            report.protected(target, &scope);
            let remarks = report.summary().remarks;
            let kinds: Vec<RemarkKind> = remarks.iter().map(|remark| remark.kind).collect();
            assert_eq!(kinds, expected, "{:?} {protection:?}", target.access);
        }
    }

    #[test]
    fn report_of_private_existence_states_the_threshold() {
        let heart = Dataset::new("aachen.heart", Tier::Exists, vec![("age", ints(&[40, 50]))]);
        let granted = heart.target();
        let scope = Institutions::new(vec![heart]).declared(&granted).statistics.scope;
        let remarks = |protection: Protection| {
            let report = QueryReport::default();
            let scope = Scope {
                protection,
                ..scope.clone()
            };
            report.protected(&granted, &scope);
            report.summary().notes
        };
        let [note] = remarks(Protection::Private(Loss::DEFAULT)).try_into().unwrap();
        assert!(note.contains("with noise"), "{note}");
        assert!(remarks(Protection::Perturbed(Noise::default())).is_empty());
    }
}
