//! Errors of shares.

use concordat_protocol::error_kind::{ErrorKind, Explain};

/// Why a recovery key cannot be split, or cannot be recovered from its shares.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// A plan that protects nothing, or is impossible.
    #[error("{threshold} of {shares} shares is impossible: at least 2 must be needed, and no more than there are")]
    Plan {
        /// How many there should be.
        shares: u8,
        /// How many should recover the key.
        threshold: u8,
    },
    /// The age library writes identities in a form that is not known here.
    #[error("this recovery key cannot be split")]
    Unshareable,
    /// The text contains no share.
    #[error("there is no line that begins with `concordat-share-1`")]
    NoShare,
    /// The share was changed.
    #[error("the share is damaged or mistyped: its last characters do not match the others")]
    Damaged,
    /// No share was given.
    #[error("no share was given")]
    None,
    /// The shares belong to different escrows.
    #[error("the shares do not belong together: one is from escrow `{one}`, another from `{other}`")]
    Mixed {
        /// The escrow of one of them.
        one: String,
        /// The escrow of another.
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
        /// How many recover the key.
        needed: u8,
    },
    /// The recovered key is not the one that the shares name.
    #[error("at least one of the shares was forged, although its checksum is valid")]
    Forged,
}

impl Explain for ShareError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Plan { .. } | Self::NoShare | Self::None | Self::Mixed { .. } | Self::Twice { .. } => {
                ErrorKind::Usage
            }
            Self::TooFew { .. } => ErrorKind::Locked,
            Self::Damaged | Self::Forged => ErrorKind::Unverified,
            Self::Unshareable => ErrorKind::Internal,
        }
    }
}
