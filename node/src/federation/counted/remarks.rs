//! What the reader of combined figures has to know about the members' declarations.

use std::collections::{BTreeMap, BTreeSet};

use concordat_engine::{ChangedLevels, CommonGrouping, LimitedValues};
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::scope::{ProtectionName, Tier};
use datafusion::logical_expr::{Aggregate, Expr};

use crate::federation::counted::member::Member;
use crate::federation::fragment::Measure;
use crate::federation::remark::Remark;
use crate::federation::report::QueryReport;

/// The range of a member with records.
const WITHOUT_LIMITS: &str = "without limits";

/// Writes remarks about the figures of these members.
pub(super) struct Remarks<'a> {
    report: &'a QueryReport,
    members: &'a [Member],
}

impl<'a> Remarks<'a> {
    pub(super) const fn new(report: &'a QueryReport, members: &'a [Member]) -> Self {
        Self { report, members }
    }

    /// How the figures of each member are protected.
    pub(super) fn protected(&self) {
        for Member { target, declared } in self.members {
            self.report.protected(target, &declared.statistics.scope);
        }
    }

    /// The noise of means and sums of each member, by the range that it declares.
    pub(super) fn noise_of_values(&self, common: &CommonGrouping) {
        for (member, part) in self.members.iter().zip(common.members()) {
            let grouping = part.grouping();
            if member.target.tier < Tier::Records {
                let limited = LimitedValues::of(grouping.statistic(), grouping.known());
                let scope = &member.declared.statistics.scope;
                self.report.noise_of_values(&member.target.dataset, scope, &limited);
            }
        }
    }

    /// Columns that are distinguished in another way than a member declares.
    pub(super) fn levels(&self, changed: &[ChangedLevels]) {
        for ChangedLevels {
            column,
            labels,
            is_coarser,
            unlisted,
        } in changed
        {
            if *is_coarser {
                self.report.remark(Remark::levels_of_all(column, labels));
            }
            for (member, unlisted) in self.members.iter().zip(unlisted) {
                if !unlisted.is_empty() {
                    let dataset = &member.target.dataset;
                    self.report.remark(Remark::unlisted_values(dataset, column, unlisted));
                }
            }
        }
    }

    /// What the figures of each member are computed of, where none is combined.
    pub(super) fn limited(&self, common: &CommonGrouping) {
        for (member, part) in self.members.iter().zip(common.members()) {
            let grouping = part.grouping();
            // What is computed from records has no limits.
            if member.target.tier < Tier::Records {
                let limited = LimitedValues::of(grouping.statistic(), grouping.known());
                self.report.limited(&member.target.dataset, &limited);
            }
        }
    }

    /// The groups of all members that have values beyond the outermost edges.
    pub(super) fn beyond(&self, common: &CommonGrouping) {
        self.report.beyond(common.whole().beyond());
    }

    /// What figures mean that are combined from the parts of several members.
    pub(super) fn combined(&self, measures: &[Measure], grouping: &Aggregate, common: &CommonGrouping) {
        for (measure, aggregate) in measures.iter().zip(&grouping.aggr_expr) {
            if counts_subjects(aggregate) {
                self.report.remark(Remark::counted_at_each_member(&measure.name));
            }
        }
        self.ranges(common);
        self.protections();
    }

    /// Each member limits values to its own range.
    fn ranges(&self, common: &CommonGrouping) {
        let mut columns: BTreeMap<String, Vec<(String, &InstitutionId)>> = BTreeMap::new();
        for (member, part) in self.members.iter().zip(common.members()) {
            let grouping = part.grouping();
            for limited in LimitedValues::of(grouping.statistic(), grouping.known()) {
                let range = if member.target.tier == Tier::Records {
                    WITHOUT_LIMITS.to_owned()
                } else {
                    format!("{} to {}", limited.low.get(), limited.high.get())
                };
                let of_column = columns.entry(limited.column).or_default();
                of_column.push((range, &member.target.dataset.institution));
            }
        }
        for (column, ranges) in &columns {
            let different: BTreeSet<&str> = ranges.iter().map(|(range, _)| range.as_str()).collect();
            let mut different = different.into_iter();
            match (different.next(), different.next()) {
                (None | Some(WITHOUT_LIMITS), None) | (None, Some(_)) => {}
                (Some(range), None) => self.report.remark(Remark::range_of_members(column, range)),
                (Some(_), Some(_)) => {
                    let ranges = ranges.iter();
                    let ranges = ranges.map(|(range, institution)| format!("{range} at {institution}"));
                    let ranges: Vec<String> = ranges.collect();
                    self.report.remark(Remark::ranges_of_members(column, &ranges));
                }
            }
        }
    }

    fn protections(&self) {
        let kinds: BTreeSet<ProtectionName> = self.members.iter().map(Member::protection).collect();
        if let Some(least) = kinds.iter().next_back().filter(|_| kinds.len() > 1) {
            let texts = self.members.iter().map(|member| {
                let institution = &member.target.dataset.institution;
                format!("{} at {institution}", member.protection())
            });
            self.report
                .remark(Remark::mixed_protections(least.as_str(), &texts.collect::<Vec<_>>()));
        }
    }
}

/// Whether an aggregate counts subjects, of whom one may be at several members.
fn counts_subjects(aggregate: &Expr) -> bool {
    let Expr::AggregateFunction(function) = aggregate.clone().unalias() else {
        return false;
    };
    function.func.name() == "count" && function.params.distinct
}
