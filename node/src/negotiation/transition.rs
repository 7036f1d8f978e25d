//! A change of a negotiation or of a grant, from the rules that allow it to the record of it.
//!
//! A [`Transition`] is made by the functions below this module, each of which checks the rules of one step under the lock of what changes.
//! It contains that lock, so that what was checked is what changes. [`Negotiations::apply`] is the only code that makes it happen:
//!
//! 1. the ledger entry is written, after a note of the intended change ([`crate::changes`]),
//! 2. the record is stored and the note removed, in one transaction that also covers the entry; then the record is visible in memory, and
//!    where a grant changes, the epoch is raised,
//! 3. the lock is released, and what has to be sent is returned. It is in the record too.
//!
//! Two entries are written where the provider confirms: first that the grant is active, then the step.
//!
//! # Locks
//! A task that waits for one of these locks may hold those before it in this list, and none after it:
//!
//! 1. the comparison of a grant, while its notices are compared with those of the other side;
//! 2. the delivery lock of a grant, while notices are sent;
//! 3. the delivery lock of a negotiation, while a message is sent;
//! 4. the step lock of a negotiation ([`LockedSlot`]);
//! 5. the admission lock of an institution ([`Admission`]), while its request is counted and stored, or an offer to it is decided on and
//!    stored or signed;
//! 6. the change lock of a grant ([`LockedGrant`]);
//! 7. the record of a grant. Waiting for it is waiting for chunks in transit, which is bounded: their holders see that a change waits. It is
//!    waited for while the entry of the change is written, after which the record changes.
//!
//! The locks 4 to 7 are never held while something is sent: two sides that waited for each other's lock would deadlock.
//!
//! What became of a delivery is no transition: acknowledgments are stored without an entry, and so is the removal of a request that the
//! provider refused at once.
//!
//! [`Negotiations::apply`]: super::Negotiations

mod apply;
mod change_grant;
mod own_steps;
mod peer_steps;

use concordat_protocol::audit::{Direction, GrantChange};
use concordat_protocol::identity::Side;
use concordat_protocol::negotiation::NegotiationMessage;
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

pub(super) use change_grant::Noticed;
pub(super) use peer_steps::Reception;

use super::admission::Admission;
use super::entry::Entry;
use super::grants::{Live, LockedGrant, Record};
use super::store::LockedSlot;

/// A change that the rules allow.
#[derive(Debug)]
#[must_use = "nothing changes before it is applied"]
pub(super) struct Transition {
    change: Change,
    by: Attribution,
    at: Timestamp,
}

impl Transition {
    /// Bytes of the message that is stored with it; 0 without one.
    pub(super) fn message_bytes(&self) -> usize {
        match &self.change {
            Change::Negotiation { step: Some(step), .. } => step.message.as_bytes().len(),
            Change::Negotiation { step: None, .. } | Change::Grant { .. } => 0,
        }
    }
}

/// What changes, with its lock.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one exists at a time, and almost always the large one"
)]
enum Change {
    Negotiation {
        locked: LockedSlot,
        /// The grant that it results in.
        activation: Option<Activation>,
        step: Option<Step>,
        /// Held until a negotiation that the peer begins, an offer to it, or the signature under its terms is stored.
        admission: Option<Admission>,
    },
    Grant {
        locked: LockedGrant,
        amendment: Amendment,
    },
}

/// One message of a negotiation.
#[derive(Debug)]
struct Step {
    /// The negotiation with this message.
    next: Entry,
    message: Signed<NegotiationMessage>,
    direction: Direction,
    kept: Kept,
}

/// What becomes of a negotiation with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// It is stored.
    Stored,
    /// It is removed; the ledger keeps its steps.
    Removed,
}

/// A grant that both sides have signed and that is not in the register.
#[derive(Debug)]
struct Activation {
    live: Live,
    record: Record,
}

/// A change of a grant that is in the register.
#[derive(Debug)]
struct Amendment {
    record: Record,
    /// What happened to the grant; `None` if its state is the same, which is not recorded in the ledger.
    change: Option<(GrantChange, Option<Reason>)>,
}

/// A message to send. It is stored: if it is not sent, or not acknowledged, it is sent when the peer connects or at the next retry.
/// Notices are sent from the list in the record of their grant.
#[derive(Debug)]
#[must_use = "otherwise it waits for the next retry"]
pub(super) struct Outgoing {
    to: Side,
    message: Signed<NegotiationMessage>,
}

impl Outgoing {
    /// The recipient, with the key that the negotiation began with.
    pub(super) const fn to(&self) -> &Side {
        &self.to
    }

    /// The message.
    pub(super) const fn message(&self) -> &Signed<NegotiationMessage> {
        &self.message
    }
}
