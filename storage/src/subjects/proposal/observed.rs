//! What was observed of the values of a column, by what they are used for.

use super::{
    numbers::Numbers,
    sample::{SampleLimits, Sampled},
    values::Values,
};
use crate::subjects::{column::Column, row_hash::SipHash};

/// What is known about a column.
pub(super) struct ObservedColumn {
    pub(super) index: usize,
    pub(super) name: String,
    /// Whether a steward declared that it has codes of an open list.
    pub(super) is_coded: bool,
    pub(super) observed: Observed,
}

/// The values of a column that were observed, by what they are used for.
pub(super) enum Observed {
    /// None yet: the type of a column is that of its first batch.
    Empty,
    Truth,
    Wholes(Numbers, Values),
    Numbers(Numbers),
    Days(Numbers),
    Texts(Values),
}

/// What the observation of a column needs.
#[derive(Clone, Copy)]
pub(super) struct Context {
    hash: SipHash,
    least: usize,
    columns: usize,
}

impl Context {
    pub(super) fn new(hash: SipHash, least: usize, columns: usize) -> Self {
        Self { hash, least, columns }
    }

    fn numbers(self) -> Numbers {
        Numbers::new(self.hash, SampleLimits::of(self.columns).subjects)
    }

    fn values(self) -> Values {
        Values::new(self.hash, self.least, self.columns)
    }
}

impl ObservedColumn {
    pub(super) fn observe(&mut self, column: &Column, rows: &[Sampled], context: Context) {
        let rows = rows.iter().copied().filter(|sampled| !column.is_null(sampled.row));
        match column {
            Column::Truth(_) => {
                if rows.count() > 0 {
                    self.observed = Observed::Truth;
                }
            }
            Column::Whole(array) => {
                if let Observed::Wholes(numbers, values) =
                    self.start(|| Observed::Wholes(context.numbers(), context.values()))
                {
                    for Sampled { row, subject } in rows {
                        numbers.observe_whole(array.value(row), subject);
                        values.observe_whole(array.value(row), subject);
                    }
                }
            }
            Column::Number(array) => {
                if let Observed::Numbers(numbers) = self.start(|| Observed::Numbers(context.numbers())) {
                    rows.for_each(|sampled| numbers.observe(array.value(sampled.row), sampled.subject));
                }
            }
            Column::Day(array) => {
                if let Observed::Days(days) = self.start(|| Observed::Days(context.numbers())) {
                    rows.for_each(|sampled| days.observe(f64::from(array.value(sampled.row)), sampled.subject));
                }
            }
            Column::Time(array, _) => {
                if let Observed::Days(days) = self.start(|| Observed::Days(context.numbers())) {
                    rows.for_each(|sampled| days.observe_time(array.value(sampled.row), sampled.subject));
                }
            }
            Column::Text(array) => {
                if let Observed::Texts(values) = self.start(|| Observed::Texts(context.values())) {
                    rows.for_each(|sampled| values.observe_text(array.value(sampled.row), sampled.subject));
                }
            }
        }
    }

    fn start(&mut self, empty: impl FnOnce() -> Observed) -> &mut Observed {
        if matches!(self.observed, Observed::Empty) {
            self.observed = empty();
        }
        &mut self.observed
    }
}
