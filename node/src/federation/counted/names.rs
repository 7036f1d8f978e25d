//! What a query calls the columns of a grouping.

use std::collections::BTreeMap;

use datafusion::logical_expr::{Aggregate, LogicalPlan};

use crate::federation::cell_table::CellOutput;
use crate::federation::counted::used_in::used_in;
use crate::federation::fragment::{Measure, aggregate_text};

/// The names of groups and figures.
#[derive(Debug)]
pub(super) struct Names<'a> {
    /// The names that the query gives to columns of groupings.
    given: &'a BTreeMap<String, String>,
    /// The columns of the answer that are computed from columns of groupings.
    computed: BTreeMap<String, String>,
}

impl<'a> Names<'a> {
    /// Those that the query gives.
    pub(super) const fn new(given: &'a BTreeMap<String, String>) -> Self {
        Self {
            given,
            computed: BTreeMap::new(),
        }
    }

    /// Adds the columns of the answer that are computed from others: `plan` has the columns as the query has them.
    pub(super) fn read(&mut self, plan: &LogicalPlan) {
        self.computed = used_in(plan);
    }

    /// The names of the groups, and the aggregates.
    pub(super) fn of_columns(&self, grouping: &Aggregate, outputs: &[CellOutput]) -> (Vec<String>, Vec<Measure>) {
        let mut groups = Vec::new();
        let mut measures: Vec<Measure> = Vec::new();
        for (output, field) in outputs.iter().zip(grouping.schema.fields()) {
            match output {
                CellOutput::Group(_) | CellOutput::Institution => groups.push(self.of_group(field.name())),
                CellOutput::Aggregate(combined) => measures.push(Measure {
                    name: self.of_measure(grouping, measures.len(), field.name()),
                    parts: combined.parts(),
                    count: combined.count(),
                }),
            }
        }
        (groups, measures)
    }

    fn of_group(&self, field: &str) -> String {
        self.given.get(field).cloned().unwrap_or_else(|| field.to_owned())
    }

    /// An aggregate as the query names it, or the column of the answer that is computed from it.
    fn of_measure(&self, grouping: &Aggregate, at: usize, field: &str) -> String {
        let given = self.given.get(field).or_else(|| self.computed.get(field)).cloned();
        let text = || grouping.aggr_expr.get(at).map(aggregate_text);
        given.or_else(text).unwrap_or_else(|| field.to_owned())
    }
}
