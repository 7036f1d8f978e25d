//! Where a node can be reached now, as the node itself states it between two rosters.
//!
//! The roster pins keys; addresses may change sooner. A node whose addresses differ from those that it has stated signs a record with the
//! next number ([`AddressRecord`]) and sends it to the peers that it can reach. Each member keeps the newest record of each node and passes
//! it on as it was signed, so that it also reaches those whom the node cannot reach itself. A record gives no right: a peer that answers at an
//! address still has to prove the node's key.

use serde::{Deserialize, Serialize};

use super::{MAX_ADDRESSES, ValidRoster};
use crate::ids::NodeId;
use crate::labels::{self, DomainLabel};
use crate::signed::{Document, SignatureError, Signed};
use crate::text::Address;
use crate::time::{MAX_CLOCK_SKEW_MS, Timestamp};

/// Most bytes of one signed record: 16 usual addresses take about a third of it.
pub const MAX_ADDRESS_RECORD: usize = 4096;

/// The addresses of a node, signed by its node key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressRecord {
    /// The node, which signs this.
    pub node: NodeId,
    /// Rises with each record of the node.
    pub number: u64,
    /// Where it listens, in the order in which the addresses are to be tried; 1 to [`MAX_ADDRESSES`].
    pub addresses: Vec<Address>,
    /// When it was signed.
    pub at: Timestamp,
}

impl Document for AddressRecord {
    const LABEL: DomainLabel = labels::ADDRESS_RECORD;
}

/// A record of a node of an active member, signed by the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidAddressRecord {
    record: AddressRecord,
    signed: Signed<AddressRecord>,
}

impl ValidAddressRecord {
    /// Checks a record that any member has sent.
    ///
    /// # Errors
    /// [`AddressRecordError`] with the rule that it breaks; it is not kept and not passed on.
    pub fn check(
        signed: Signed<AddressRecord>,
        roster: &ValidRoster,
        now: Timestamp,
    ) -> Result<Self, AddressRecordError> {
        if signed.as_bytes().len() > MAX_ADDRESS_RECORD {
            return Err(AddressRecordError::TooLong);
        }
        let node = signed.peek_unverified().map_err(AddressRecordError::Signature)?.node;
        let member = roster
            .active_node(&node)
            .ok_or(AddressRecordError::NotAMember { node })?;
        let verified = signed.verify(node).map_err(AddressRecordError::Signature)?;
        let record = verified.document();
        if record.addresses.is_empty() || record.addresses.len() > MAX_ADDRESSES {
            return Err(AddressRecordError::WrongNumberOfAddresses);
        }
        if record.at.since(now) > MAX_CLOCK_SKEW_MS {
            return Err(AddressRecordError::FutureDated { at: record.at });
        }
        if record.at < member.stated_at {
            return Err(AddressRecordError::OlderThanTheRoster);
        }
        Ok(Self {
            record: record.clone(),
            signed: verified.signed().clone(),
        })
    }

    /// What it states.
    #[must_use]
    pub const fn record(&self) -> &AddressRecord {
        &self.record
    }

    /// As the node signed it, to be stored and passed on.
    #[must_use]
    pub const fn signed(&self) -> &Signed<AddressRecord> {
        &self.signed
    }
}

/// Why a record of addresses is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressRecordError {
    /// The signed record is too long.
    #[error("a record of addresses has more than {MAX_ADDRESS_RECORD} bytes")]
    TooLong,
    /// The node does not belong to an active member.
    #[error("node {} does not belong to an active member", .node.short())]
    NotAMember {
        /// The node.
        node: NodeId,
    },
    /// It is malformed, or the node did not sign it.
    #[error("a record of addresses is not signed by its node: {0}")]
    Signature(#[source] SignatureError),
    /// It has no address or too many.
    #[error("a record of addresses must have 1 to {MAX_ADDRESSES} addresses")]
    WrongNumberOfAddresses,
    /// It is of the future.
    #[error("a record of addresses is dated {at}, in the future; one of the two clocks is wrong")]
    FutureDated {
        /// Its date.
        at: Timestamp,
    },
    /// The member has stated its addresses on the roster later.
    #[error("a record of addresses is older than what the roster states")]
    OlderThanTheRoster,
}
