//! A statistic, ready to be computed: columns are positions, conditions are classes of atoms, and what must be read first is listed in an
//! order in which each part needs earlier ones only.

use concordat_protocol::{collection::Range, ids::ColumnName};
use concordat_storage::catalog::StoredDataset;

use super::{
    classify::{Classifier, CodeIndex, Truth},
    fixed::Quantum,
    like::Like,
    report::Monomial,
};

/// A column as a row reaches it.
pub(super) struct Path {
    /// Whether it begins at the row around a set of events.
    pub(super) is_outer: bool,
    pub(super) steps: Vec<Hop>,
    /// The position of the column among those that are read of the last row.
    pub(super) column: usize,
}

/// A step to at most one row.
#[derive(Clone, Copy)]
pub(super) struct Hop {
    pub(super) lookup: usize,
    /// The position of the column with the key; the row of the subject if `None`.
    pub(super) by: Option<usize>,
}

/// A value of a subject.
#[derive(Clone, Copy)]
pub(super) struct ValueRef {
    pub(super) events: usize,
    pub(super) of: ValueOf,
}

#[derive(Clone, Copy)]
pub(super) enum ValueOf {
    Count,
    /// A position among the first dates of the events.
    First(usize),
    /// A position among the last dates of the events.
    Last(usize),
}

pub(super) enum DayOf {
    Column(Path),
    Subject(ValueRef),
}

/// What is tested, grouped and measured.
pub(super) enum Operand {
    Column(Path),
    /// The number that a text is.
    InText(Path),
    /// The seconds between two points in time.
    Seconds {
        from: Path,
        to: Path,
    },
    Days {
        from: DayOf,
        to: DayOf,
    },
    Age {
        born: Path,
        at: DayOf,
    },
    /// A sum of values with factors, each within the range of its column: so it is the sum of what these measure alone.
    Linear {
        terms: Vec<(f64, Path, Range)>,
        plus: f64,
    },
    Subject(ValueRef),
}

/// A condition on a row.
pub(super) enum Check {
    All,
    Never,
    Test {
        of: Operand,
        test: Box<Classifier<Truth>>,
    },
    /// The subject has an event.
    Events {
        events: usize,
        exist: bool,
    },
    /// The subject has an event for which this is true too, which relates it to the row.
    Related {
        events: usize,
        related: Box<Self>,
        exist: bool,
    },
    /// The subject has an event on a day that lies so far from a day of the row.
    Within {
        events: usize,
        days: Box<DaySpans>,
        exist: bool,
    },
    Listed {
        of: Path,
        list: usize,
        is_in: bool,
    },
    Reference {
        of: Path,
        test: Pattern,
        negated: bool,
    },
    /// The row is another one than the row around it, by the values of a key.
    OtherRow {
        of: Path,
        around: Path,
        is_other: bool,
    },
    And(Vec<Self>),
    Or(Vec<Self>),
}

/// How many days lie between an event and a row.
pub(super) struct DaySpans {
    /// The day of the row, which is the one around the events.
    pub(super) of_row: DayOf,
    /// Whether the day of the row is subtracted from that of the event, and not the other way round.
    pub(super) is_forward: bool,
    /// The differences for which it is true, as spans that have both of their ends.
    pub(super) spans: Vec<(i64, i64)>,
}

/// What a column of a reference dataset must satisfy.
pub(super) enum Pattern {
    OneOf { codes: CodeIndex, count: usize },
    Like(Like),
}

/// One column of the grid.
pub(super) struct Grouping {
    pub(super) by: GroupedBy,
    /// The number of classes, the last one for all other values.
    pub(super) size: usize,
}

pub(super) enum GroupedBy {
    Classes {
        of: Operand,
        classes: Box<Classifier<usize>>,
    },
    Codes {
        of: Path,
        codes: CodeIndex,
    },
    Cases(Vec<Check>),
}

/// The rows of a cell with one filter and the values of one measure.
pub(super) struct Selection {
    pub(super) filter: Check,
    /// The first and the second value.
    pub(super) measures: Vec<Measure>,
    pub(super) sums: Vec<(Monomial, Quantum)>,
    /// Whether the filter is all that rows must satisfy: of a neighbor, which lacks a condition of the rows.
    pub(super) is_neighbor: bool,
    /// Whether the set of rows is needed.
    pub(super) has_rows: bool,
    /// Where the bands of a quantile begin.
    pub(super) edges: Option<Vec<f64>>,
}

/// A value that is measured.
pub(super) struct Measure {
    pub(super) of: Operand,
    pub(super) range: Range,
}

/// What must be read before the measured rows.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) lookups: Vec<LookupSource>,
    pub(super) lists: Vec<ListSource>,
    pub(super) events: Vec<EventsSource>,
}

/// Rows that are reached by key or by subject.
pub(super) struct LookupSource {
    pub(super) dataset: StoredDataset,
    pub(super) columns: Vec<ColumnName>,
    /// The position of the key; by subject if `None`.
    pub(super) key: Option<usize>,
    /// The columns whose values are the only keys that are looked up; all rows are kept if `None`.
    pub(super) used_by: Option<Vec<KeyUse>>,
}

/// A column with keys of a lookup.
#[derive(Clone, PartialEq)]
pub(super) struct KeyUse {
    pub(super) dataset: StoredDataset,
    pub(super) column: ColumnName,
}

/// Keys of a reference dataset.
pub(super) struct ListSource {
    pub(super) dataset: StoredDataset,
    pub(super) columns: Vec<ColumnName>,
    pub(super) key: usize,
    pub(super) rows: Check,
    /// Whether the rows are found without other lists.
    pub(super) is_alone: bool,
}

impl ListSource {
    /// Whether both are found by reading the same columns once.
    pub(super) fn is_read_with(&self, other: &Self) -> bool {
        let are_alone = self.is_alone && other.is_alone;
        are_alone && self.dataset.name == other.dataset.name && self.columns == other.columns
    }
}

/// Events of subjects.
pub(super) struct EventsSource {
    pub(super) dataset: StoredDataset,
    pub(super) columns: Vec<ColumnName>,
    pub(super) rows: Check,
    pub(super) uses: EventsUses,
}

/// What is needed of events.
#[derive(Default)]
pub(super) struct EventsUses {
    /// Which subjects have one.
    pub(super) subjects: bool,
    /// How many they have.
    pub(super) counts: bool,
    /// The columns of which the first date is needed.
    pub(super) firsts: Vec<usize>,
    /// The columns of which the last date is needed.
    pub(super) lasts: Vec<usize>,
    /// The rows themselves.
    pub(super) rows: bool,
    /// The days of the rows.
    pub(super) days: Option<DayOf>,
}

/// All of it.
pub(super) struct Plan {
    /// The measured dataset; the subjects if `None`.
    pub(super) measured: Option<StoredDataset>,
    /// The columns that are read of it.
    pub(super) columns: Vec<ColumnName>,
    pub(super) rows: Check,
    pub(super) groups: Vec<Grouping>,
    pub(super) selections: Vec<Selection>,
    /// Whether some of them are neighbors.
    pub(super) has_neighbors: bool,
    /// The position of the selection of each aggregate.
    pub(super) selection_of: Vec<usize>,
    /// Whether a subject can be counted several times, because it can have several rows.
    pub(super) counts_rows: bool,
}

impl Plan {
    /// The number of cells.
    pub(super) fn grid(&self) -> usize {
        self.groups
            .iter()
            .fold(1, |cells, group| cells.saturating_mul(group.size))
    }
}
