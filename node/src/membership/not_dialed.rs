//! An address of a member that this node does not dial.

use std::fmt;

use concordat_protocol::ids::InstitutionId;
use concordat_protocol::text::Address;

use concordat_network::DialRefused;

/// An address of a member that this node does not dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDialed {
    /// The institution that states it.
    pub institution: InstitutionId,
    /// The address as stated.
    pub address: Address,
    /// Why it is not dialed.
    pub reason: DialRefused,
}

impl fmt::Display for NotDialed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.address, self.reason)
    }
}
