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

/// What conditions and groups may distinguish in a column. Edges and values ascend; an edge is the first value above it. Codes are in the
/// order of the number of their subjects, the most frequent one first.
#[derive(Clone, Debug, PartialEq)]
pub enum ProposedLevels {
    /// Only whether there is a value.
    None,
    /// True and false.
    Truth,
    /// Ranges of whole numbers.
    WholeEdges(Vec<i64>),
    /// Ranges of whole numbers that conditions distinguish, and those that groups do.
    WholeBands {
        /// The edges.
        edges: Vec<i64>,
        /// The edges of groups, which are some of them.
        bands: Vec<i64>,
    },
    /// Ranges of numbers.
    NumberEdges(Vec<f64>),
    /// Ranges of dates or date-times: days from 1970-01-01.
    DayEdges(Vec<i32>),
    /// These whole numbers, and all others together.
    Wholes(Vec<i64>),
    /// These texts, and all others together.
    Texts(Vec<String>),
    /// Codes of a list that is too long to be proposed, and those in it that most subjects have. One of both is empty.
    Codes {
        /// Whole numbers.
        wholes: Vec<i64>,
        /// Texts.
        texts: Vec<String>,
    },
}

impl ProposedLevels {
    /// The lengths of the codes as texts, that of the most frequent one first; none of other levels.
    pub(crate) fn code_lengths(&self) -> impl Iterator<Item = usize> {
        /// Digits of the longest whole number, with a sign.
        const WHOLE: usize = 20;
        let (wholes, texts) = match self {
            Self::Codes { wholes, texts } => (wholes.as_slice(), texts.as_slice()),
            Self::None
            | Self::Truth
            | Self::WholeEdges(_)
            | Self::WholeBands { .. }
            | Self::NumberEdges(_)
            | Self::DayEdges(_)
            | Self::Wholes(_)
            | Self::Texts(_) => (&[][..], &[][..]),
        };
        wholes.iter().map(|_| WHOLE).chain(texts.iter().map(String::len))
    }

    /// Leaves only the most frequent codes.
    pub(crate) fn truncate_codes(&mut self, most: usize) {
        if let Self::Codes { wholes, texts } = self {
            wholes.truncate(most);
            texts.truncate(most);
        }
    }
}

/// The lowest and the highest value that are not clipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProposedRange {
    /// The lowest.
    pub low: f64,
    /// The highest, which is larger.
    pub high: f64,
}
