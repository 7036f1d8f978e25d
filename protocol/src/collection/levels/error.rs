//! Why levels are invalid.

use super::axis::MAX_DATE_EDGES;
use super::code_set::MAX_TEXT;
use crate::ids::LevelName;

/// Why levels of a column are invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelsError {
    /// There are no edges.
    #[error("a list of edges is empty")]
    NoEdges,
    /// There are too many edges.
    #[error("there are more than {max} edges")]
    TooManyEdges {
        /// The most for such a column, at most [`MAX_DATE_EDGES`].
        max: usize,
    },
    /// Edges have different kinds, or kinds without an order.
    #[error("the edges must be all whole numbers, all numbers or all dates")]
    MixedKinds,
    /// The column contains something else.
    #[error("the levels are of another kind than the values of the column")]
    OtherKind,
    /// Edges are not in ascending order, or one is there twice.
    #[error("the edges must be in ascending order, none of them twice")]
    NotSorted,
    /// A date is outside of the years 1 to 9999.
    #[error("a date among the edges is outside of the years 1 to 9999")]
    FarDate,
    /// There are too many named levels.
    #[error("there are more than {max} named levels")]
    TooManyLevels {
        /// The most.
        max: usize,
    },
    /// A named level is not made of the edges of the column.
    #[error("the level `{level}` must have some of the edges of the column, in ascending order")]
    NotCoarser {
        /// The level.
        level: LevelName,
    },
    /// No value is listed.
    #[error("a list of values is empty")]
    NoValues,
    /// Too many values are listed.
    #[error("more than {max} values are listed")]
    TooManyValues {
        /// The most.
        max: usize,
    },
    /// A value is listed twice.
    #[error("the value at position {position} of the list is there twice")]
    DoubledValue {
        /// Where it is the second time, counted from one.
        position: usize,
    },
    /// A text is too long.
    #[error("the text at position {position} of the list has more than {MAX_TEXT} bytes")]
    LongText {
        /// Where it is, counted from one.
        position: usize,
    },
}

const _: () = assert!(MAX_DATE_EDGES < u16::MAX as usize, "positions of edges have 16 bits");
