//! What the reader of combined figures has to know about the members' declarations.

use std::collections::BTreeSet;

use concordat_engine::{ChangedLevels, CommonGrouping};
use concordat_protocol::scope::{ProtectionName, Tier};
use datafusion::logical_expr::{Aggregate, Expr};

use crate::federation::counted::member::Member;
use crate::federation::fragment::Measure;
use crate::federation::remark::Remark;
use crate::federation::report::QueryReport;

/// Writes remarks about the figures of these members.
pub(super) struct Remarks<'a> {
    report: &'a QueryReport,
    members: &'a [Member],
}

impl<'a> Remarks<'a> {
    pub(super) const fn new(report: &'a QueryReport, members: &'a [Member]) -> Self {
        Self { report, members }
    }

    /// How far the figures of each member are from those as they are computed.
    pub(super) fn noise(&self) {
        for Member { target, declared } in self.members {
            let protection = &declared.statistics.scope.protection;
            self.report.noise(&target.dataset, target.tier, protection);
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

    /// What figures mean that are combined from the parts of several members.
    pub(super) fn combined(&self, measures: &[Measure], grouping: &Aggregate, common: &CommonGrouping) {
        // Aggregates are the last columns of a grouping.
        let first = common.whole().columns().len().saturating_sub(measures.len());
        for ((at, measure), aggregate) in (first..).zip(measures).zip(&grouping.aggr_expr) {
            if counts_subjects(aggregate) {
                self.report.remark(Remark::counted_at_each_member(&measure.name));
            }
            self.ranges(&measure.name, at, common);
        }
        self.protections();
    }

    /// Each member clips values to its own range.
    fn ranges(&self, name: &str, column: usize, common: &CommonGrouping) {
        let mut texts = Vec::new();
        for (member, part) in self.members.iter().zip(common.members()) {
            let grouping = part.grouping();
            let column = grouping.columns().get(column).copied();
            let ranges = column.map(|column| grouping.ranges(column)).unwrap_or_default();
            if ranges.is_empty() {
                return;
            }
            let text = if member.target.tier == Tier::Records {
                "without limits".to_owned()
            } else {
                let ranges = ranges
                    .iter()
                    .map(|range| format!("{} to {}", range.low(), range.high()));
                ranges.collect::<Vec<_>>().join(" and ")
            };
            texts.push((text, &member.target.dataset.institution));
        }
        let different: BTreeSet<&String> = texts.iter().map(|(text, _)| text).collect();
        if different.len() > 1 {
            let texts = texts
                .iter()
                .map(|(text, institution)| format!("{text} at {institution}"));
            self.report
                .remark(Remark::ranges_of_members(name, &texts.collect::<Vec<_>>()));
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
