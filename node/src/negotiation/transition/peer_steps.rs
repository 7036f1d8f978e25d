//! The steps of the other side.

use concordat_protocol::audit::Direction;
use concordat_protocol::negotiation::{Authentic, NegotiationMessage, ProviderNegotiation, Received};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

use super::{Change, Kept, Step, Transition};
use crate::negotiation::NegotiationError;
use crate::negotiation::admission::Admission;
use crate::negotiation::entry::{Admitted, Entry, Origin};
use crate::negotiation::store::LockedSlot;

/// What a message of a known negotiation does.
#[derive(Debug)]
pub(in crate::negotiation) enum Reception {
    /// It is the next step.
    Advanced(Transition),
    /// It withdraws a request to which there was no offer. The negotiation is removed with it; the ledger keeps both steps.
    Withdrawn(Transition),
    /// It was recorded before, so nothing changes.
    Repeated,
}

impl Transition {
    /// The other side continues the negotiation `entry`.
    pub(in crate::negotiation) fn receive(
        locked: LockedSlot,
        entry: &Entry,
        message: Authentic,
        (by, at): (&Attribution, Timestamp),
    ) -> Result<Reception, NegotiationError> {
        let signed = message.signed().clone();
        let next = match entry {
            Entry::Provider(negotiation) => match negotiation.receive(message, at)? {
                Received::Advanced(next) => Entry::Provider(next),
                Received::Duplicate { .. } => return Ok(Reception::Repeated),
            },
            Entry::Consumer(negotiation) => match negotiation.receive(message, at)? {
                Received::Advanced(next) => Entry::Consumer(next),
                Received::Duplicate { .. } => return Ok(Reception::Repeated),
            },
        };
        let is_withdrawn = entry.is_withdrawn_in(&next);
        let kept = if is_withdrawn { Kept::Removed } else { Kept::Stored };
        let change = Change::Negotiation {
            locked,
            activation: None,
            step: Some(Step::received(next, signed, kept)),
            admission: None,
        };
        let transition = Self {
            change,
            by: by.clone(),
            at,
        };
        Ok(if is_withdrawn {
            Reception::Withdrawn(transition)
        } else {
            Reception::Advanced(transition)
        })
    }

    /// The other side begins a negotiation, which was counted.
    pub(in crate::negotiation) fn open(
        locked: LockedSlot,
        (opened, request): (ProviderNegotiation, Signed<NegotiationMessage>),
        (admission, admitted, origin): (Admission, Admitted, Origin),
        (by, at): (&Attribution, Timestamp),
    ) -> Self {
        locked.set_admitted(admitted);
        locked.set_origin(origin);
        let change = Change::Negotiation {
            locked,
            activation: None,
            step: Some(Step::received(opened.into(), request, Kept::Stored)),
            admission: Some(admission),
        };
        Self {
            change,
            by: by.clone(),
            at,
        }
    }
}

impl Step {
    const fn received(next: Entry, message: Signed<NegotiationMessage>, kept: Kept) -> Self {
        Self {
            next,
            message,
            direction: Direction::Received,
            kept,
        }
    }
}
