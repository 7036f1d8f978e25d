//! What can be wrong with shares.

use crate::error_kind::ErrorKind;

/// Why a recovery key cannot be split, or its shares not be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// A plan that protects nothing, or that nobody could carry out.
    #[error("{threshold} of {shares} shares cannot be: at least 2 must be needed, and no more than there are")]
    Plan {
        /// How many there should be.
        shares: u8,
        /// How many should open.
        threshold: u8,
    },
    /// The age library writes identities in a form that is not known here.
    #[error("this recovery key cannot be split")]
    Unshareable,
    /// A text without a share.
    #[error("there is no line that begins with `concordat-share-1`")]
    NoShare,
    /// A share that is not as it was written.
    #[error("the share is damaged or mistyped: its last characters do not fit the others")]
    Damaged,
    /// Nothing was given.
    #[error("no share was given")]
    None,
    /// Shares of different escrows.
    #[error("the shares do not belong together: one is of escrow `{one}`, another of `{other}`")]
    Mixed {
        /// The name that one of them carries.
        one: String,
        /// The name that another carries.
        other: String,
    },
    /// The same share more than once.
    #[error("share {number} was given twice; shares with different numbers are needed")]
    Twice {
        /// Its number.
        number: u8,
    },
    /// Not enough of them.
    #[error("{needed} shares are needed and {given} {}", if *given == 1 { "was given" } else { "were given" })]
    TooFew {
        /// How many there are.
        given: usize,
        /// How many open.
        needed: u8,
    },
    /// What comes out is not the key whose shares they say they are.
    #[error("at least one of the shares is not what was handed out, although its check holds")]
    Forged,
}

impl ShareError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Plan { .. } | Self::NoShare | Self::None | Self::Mixed { .. } | Self::Twice { .. } => {
                ErrorKind::Usage
            }
            Self::TooFew { .. } => ErrorKind::Locked,
            Self::Damaged | Self::Forged => ErrorKind::Integrity,
            Self::Unshareable => ErrorKind::Machine,
        }
    }
}
