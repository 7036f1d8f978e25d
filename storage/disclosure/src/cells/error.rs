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
    #[error("the budget of distinctions for this collection is used up ({limit})")]
    NoDistinctions {
        /// How many there were.
        limit: u32,
    },
    /// As many figures were released as the noise is for.
    #[error("the answers for which there is noise are used up ({limit})")]
    NoAnswers {
        /// How many there were.
        limit: u32,
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
