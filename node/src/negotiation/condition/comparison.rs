//! The comparisons that a row condition consists of, as an engine process has read them.

use serde::{Deserialize, Serialize};

use super::constant::Constant;

/// Longest condition, in bytes.
pub(super) const MAX_CONDITION: usize = 16 * 1024;
/// Most comparisons of a condition. Each takes four tokens of the 2,048 that its text may have without a comma.
const MAX_COMPARISONS: usize = 1024;
/// Most constants of a condition: each takes at least two bytes of its text.
const MAX_CONSTANTS: usize = MAX_CONDITION / 2;

/// A condition on rows as people write it: comparisons of columns with constants that a row has to meet, all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Comparison>")]
pub struct RowCondition(Vec<Comparison>);

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Comparison {
    pub(super) column: ColumnText,
    pub(super) test: Test,
}

/// A column as it is written, with its dataset or without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnText {
    pub(super) dataset: Option<Name>,
    pub(super) column: Name,
}

/// A name as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Name {
    pub(super) text: String,
    /// Whether it is in quotes, and meant literally.
    pub(super) quoted: bool,
}

/// What is true of the values that meet a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Test {
    /// They compare so with the constant.
    Is(Operator, Constant),
    /// They are within these ends, both included.
    Between(Constant, Constant),
    /// They are one of these.
    In(Vec<Constant>),
    /// They are missing.
    Missing,
    /// They are not missing.
    Present,
}

/// An operator that compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Operator {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Comparisons that no text contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no row condition consists of these comparisons")]
pub(super) struct InvalidComparisons;

impl RowCondition {
    /// A condition of these comparisons; `None` if no text that is admitted contains them.
    pub(super) fn new(comparisons: Vec<Comparison>) -> Option<Self> {
        let constants = || comparisons.iter().flat_map(|comparison| comparison.test.constants());
        let names = comparisons.iter().map(|comparison| comparison.column.len());
        let bytes = names
            .chain(constants().map(Constant::len))
            .fold(0, usize::saturating_add);
        let are_few = comparisons.len() <= MAX_COMPARISONS && constants().count() <= MAX_CONSTANTS;
        let are_valid = bytes <= MAX_CONDITION && constants().all(Constant::is_valid);
        (are_few && are_valid).then_some(Self(comparisons))
    }

    pub(super) fn comparisons(&self) -> &[Comparison] {
        &self.0
    }
}

impl TryFrom<Vec<Comparison>> for RowCondition {
    type Error = InvalidComparisons;

    fn try_from(comparisons: Vec<Comparison>) -> Result<Self, InvalidComparisons> {
        Self::new(comparisons).ok_or(InvalidComparisons)
    }
}

impl ColumnText {
    fn len(&self) -> usize {
        let dataset = self.dataset.as_ref().map_or(0, |name| name.text.len());
        self.column.text.len().saturating_add(dataset)
    }
}

impl Test {
    fn constants(&self) -> Vec<&Constant> {
        match self {
            Self::Is(_, constant) => vec![constant],
            Self::Between(low, high) => vec![low, high],
            Self::In(list) => list.iter().collect(),
            Self::Missing | Self::Present => Vec::new(),
        }
    }
}
