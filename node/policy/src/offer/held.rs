//! What the requesting institution has of the dataset besides the scope that is decided on.

use std::fmt;

use concordat_protocol::ids::{GrantId, NegotiationId};
use concordat_protocol::scope::Scope;

/// A scope that the requesting institution has under another agreement. What no single scope may cover, two of them may not cover either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldScope {
    /// The agreement.
    pub under: HeldUnder,
    /// What it covers.
    pub scope: Scope,
}

/// The agreement under which a scope is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldUnder {
    /// A grant that has not ended.
    Grant(GrantId),
    /// A negotiation in which there is an offer, and no grant yet.
    Negotiation(NegotiationId),
}

impl HeldUnder {
    /// What ends it, for the end of a sentence about it.
    pub(super) const fn until(self) -> &'static str {
        match self {
            Self::Grant(_) => "until it is relinquished",
            Self::Negotiation(_) => "until it is rejected",
        }
    }

    /// The command that ends it.
    pub(super) fn remedy(self) -> String {
        match self {
            Self::Grant(grant) => format!("give the grant up with `concordat grant relinquish {grant}`"),
            Self::Negotiation(id) => {
                format!("end the negotiation with `concordat grant reject {id}`, or give up the grant that it becomes")
            }
        }
    }
}

impl fmt::Display for HeldUnder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant(grant) => write!(f, "grant `{grant}`"),
            Self::Negotiation(id) => write!(f, "negotiation `{id}`"),
        }
    }
}
