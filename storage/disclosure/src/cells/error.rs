//! Why no cell of an answer was decided.

use crate::perturbation::{InvalidScale, TableError};
use crate::sampling::GaussianError;
use crate::space::SpaceError;

/// Why no cell of an answer was decided. None of them depends on the size of a cell.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum DecideError {
    /// A threshold of 0 or 1 protects no subject.
    #[error("the smallest cell must have at least two subjects, not `{0}`")]
    Threshold(u32),
    /// There is no noise with these parameters.
    #[error("the noise of perturbed figures is not possible")]
    Noise(#[from] TableError),
    /// What was computed has another form than what was requested.
    #[error("the computed cells do not have the form of the statistic")]
    Shape,
    /// The memory cannot be used.
    #[error("what was released before cannot be compared with the answer")]
    Space(#[from] SpaceError),
    /// The budget of distinctions is used up.
    #[error(
        "the budget of distinctions for this collection is used up ({limit}); a query that was answered is answered again and uses none, and \
         for other groups and conditions negotiate with the holder"
    )]
    NoDistinctions {
        /// How many there were.
        limit: u32,
    },
    /// More figures would be released than the noise is for.
    #[error(
        "the answers for which there is noise are used up: {limit} figures are allowed to your institution for this collection, {answered} were \
         answered, {left} are left, and this query has {asked}; {}",
        next_step(*left)
    )]
    NoAnswers {
        /// How many there may be.
        limit: u32,
        /// How many were released, with this noise or with other noise.
        answered: u64,
        /// How many more may be released with this noise.
        left: u64,
        /// How many the query has in each cell.
        asked: u64,
    },
    /// The range of a sum is too small or too large for noise.
    #[error("a measured value has a range for which there is no noise")]
    Scale(#[from] InvalidScale),
    /// In private mode a subject may contribute to a bounded number of cells only, and once to each.
    #[error("private figures are numbers of subjects, or sums of values that each subject has once")]
    Unbounded,
    /// The noise of a private figure cannot be drawn.
    #[error("the loss of privacy of this query is too small for its figures")]
    Gaussian(#[from] GaussianError),
    /// These rules are those of another mode.
    #[error("the figures are protected in another way")]
    OtherMode,
}

/// What to do where so many figures are left. Those that were answered count under every grant, so another one is no way around them.
const fn next_step(left: u64) -> &'static str {
    match left {
        0 => {
            "a query that was answered is answered again and uses none; for other figures negotiate a grant with another protection, because \
             those that were answered count under every grant of the collection"
        }
        _ => {
            "request fewer aggregates in one query; a query that was answered is answered again and uses none; more than are left need \
             another negotiation with the holder"
        }
    }
}
