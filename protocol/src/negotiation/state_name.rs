//! The names of the states.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::grant::Party;

/// The name of a state, as the Dataspace Protocol writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(
    missing_docs,
    reason = "each variant names the state struct of the same name, which is documented"
)]
pub enum StateName {
    Requested,
    Offered,
    Accepted,
    Agreed,
    Verified,
    Finalized,
    Terminated,
}

impl StateName {
    /// Whether `by` may end the negotiation here.
    pub const fn may_terminate(self, by: Party) -> bool {
        match self {
            Self::Requested | Self::Offered => true,
            Self::Accepted | Self::Verified => matches!(by, Party::Provider),
            Self::Agreed => matches!(by, Party::Consumer),
            Self::Finalized | Self::Terminated => false,
        }
    }

    /// Whether no other state can follow.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Finalized | Self::Terminated)
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Requested => "REQUESTED",
            Self::Offered => "OFFERED",
            Self::Accepted => "ACCEPTED",
            Self::Agreed => "AGREED",
            Self::Verified => "VERIFIED",
            Self::Finalized => "FINALIZED",
            Self::Terminated => "TERMINATED",
        })
    }
}
