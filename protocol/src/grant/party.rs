//! The two sides of a grant.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The two sides of a negotiation and of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// Holds the data.
    Provider,
    /// Requests access to it.
    Consumer,
}

impl Party {
    /// The opposite side.
    pub const fn other(self) -> Self {
        match self {
            Self::Provider => Self::Consumer,
            Self::Consumer => Self::Provider,
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Provider => "provider",
            Self::Consumer => "consumer",
        })
    }
}
