//! What is proposed for a column.

/// What is proposed for one column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnProposal {
    /// The name of the column.
    pub column: String,
    /// What conditions and groups may distinguish.
    pub levels: ProposedLevels,
    /// To which values are clipped that are added up.
    pub range: Option<ProposedRange>,
}

/// What conditions and groups may distinguish in a column. Edges and values ascend; an edge is the first value above it.
#[derive(Clone, Debug, PartialEq)]
pub enum ProposedLevels {
    /// Only whether there is a value.
    None,
    /// True and false.
    Truth,
    /// Ranges of whole numbers.
    WholeEdges(Vec<i64>),
    /// Ranges of numbers.
    NumberEdges(Vec<f64>),
    /// Ranges of dates or date-times: days from 1970-01-01.
    DayEdges(Vec<i32>),
    /// These whole numbers, and all others together.
    Wholes(Vec<i64>),
    /// These texts, and all others together.
    Texts(Vec<String>),
    /// Codes of a list that is too long to be proposed.
    Codes,
}

/// The lowest and the highest value that are not clipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProposedRange {
    /// The lowest.
    pub low: f64,
    /// The highest, which is larger.
    pub high: f64,
}
