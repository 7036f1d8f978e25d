//! How a grant begins, and how each side changes it.

use concordat_protocol::audit::GrantChange;
use concordat_protocol::grant::{GrantEvent, Notice, NoticeEffect, NoticeOutcome, ValidGrant, ValidNotice};
use concordat_protocol::ids::NodeId;
use concordat_protocol::signed::{Signed, Verified};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

use super::{Activation, Amendment, Change, Transition};
use crate::identity::Identity;
use crate::negotiation::NegotiationError;
use crate::negotiation::grants::{Grants, Live, LockedGrant, Record};
use crate::negotiation::store::LockedSlot;
use concordat_network::hello::Attested;

/// What a notice of the other side does.
#[derive(Debug)]
pub(in crate::negotiation) struct Noticed {
    /// The notice, to be acknowledged once the transition is applied.
    pub(in crate::negotiation) notice: ValidNotice,
    /// What to acknowledge.
    pub(in crate::negotiation) effect: NoticeEffect,
    /// `None` if nothing changes.
    pub(in crate::negotiation) transition: Option<Transition>,
}

impl Transition {
    /// The consumer records the grant that the provider has confirmed; `None` if it has done so. The provider was admitted to the
    /// consortium with roster `peer_since`.
    pub(in crate::negotiation) fn activate(
        locked: LockedSlot,
        grant: &ValidGrant,
        peer_since: u64,
        (grants, identity): (&Grants, &Identity),
        (by, at): (&Attribution, Timestamp),
    ) -> Result<Option<Self>, NegotiationError> {
        let activation = Activation::new(grant, peer_since, (grants, identity), at)?;
        Ok(activation.map(|activation| Self {
            change: Change::Negotiation {
                locked,
                activation: Some(activation),
                step: None,
                admission: None,
            },
            by: by.clone(),
            at,
        }))
    }

    /// This side changes a grant. A resumption states the roster that admitted the other side (`peer_since`).
    pub(in crate::negotiation) fn amend(
        locked: LockedGrant,
        (event, reason): (GrantEvent, Reason),
        peer_since: Option<u64>,
        identity: &Identity,
        (by, at): (&Attribution, Timestamp),
    ) -> Result<Self, NegotiationError> {
        let live = locked.live();
        let held = locked.record();
        let next = held.state.apply(event, live.party(), reason.clone(), at)?;
        let notice = Notice {
            grant: live.terms().grant,
            event,
            reason: reason.clone(),
            from: identity.institution.clone(),
            to: live.peer().clone(),
            sequence: held.sent.saturating_add(1),
            at,
        };
        let signed = Signed::sign(&notice, &identity.node_key)?;
        let mut record = held.after_own_change(next, signed.signed().clone());
        record.peer_since = peer_since.unwrap_or(held.peer_since);
        let change = Some((change_of(event), Some(reason)));
        Ok(Self::amended(locked, Amendment { record, change }, (by, at)))
    }

    /// The other side has changed a grant. Only a notice that changes the state is recorded in the ledger; a provider can repeat such
    /// changes only as often as it may resume the grant.
    pub(in crate::negotiation) fn notice(
        locked: LockedGrant,
        verified: Verified<Notice, NodeId>,
        sender: &Attested,
        (by, at): (&Attribution, Timestamp),
    ) -> Result<Noticed, NegotiationError> {
        let us = locked.live().party();
        let peer = locked.live().peer_side();
        // A sender that does not act for the other party is checked as itself, and its notice is refused.
        let sender = if sender.acts_for(&peer) { peer } else { sender.side() };
        let notice = ValidNotice::check(verified, &sender, us, locked.live().terms(), at)?;
        let held = locked.record();
        if held.is_repeated(&notice) {
            return Ok(Noticed::without_change(notice, NoticeEffect::Applied));
        }
        let amendment = match notice.outcome(held.received, &held.state, at) {
            NoticeOutcome::NoEffect(effect) => return Ok(Noticed::without_change(notice, effect)),
            NoticeOutcome::Unchanged => Amendment {
                record: held.after_peer_notice(held.state.clone(), &notice, at)?,
                change: None,
            },
            NoticeOutcome::Changed(next) => Amendment {
                record: held.after_peer_notice(next, &notice, at)?,
                change: Some((change_of(notice.notice().event), Some(notice.notice().reason.clone()))),
            },
        };
        Ok(Noticed {
            notice,
            effect: NoticeEffect::Applied,
            transition: Some(Self::amended(locked, amendment, (by, at))),
        })
    }

    fn amended(locked: LockedGrant, amendment: Amendment, (by, at): (&Attribution, Timestamp)) -> Self {
        Self {
            change: Change::Grant { locked, amendment },
            by: by.clone(),
            at,
        }
    }
}

impl Noticed {
    const fn without_change(notice: ValidNotice, effect: NoticeEffect) -> Self {
        Self {
            notice,
            effect,
            transition: None,
        }
    }
}

impl Activation {
    /// The activation of a grant that both sides have signed; `None` if it is in the register. The caller holds the step lock of the
    /// negotiation, so no other task records the same grant.
    pub(super) fn new(
        grant: &ValidGrant,
        peer_since: u64,
        (grants, identity): (&Grants, &Identity),
        at: Timestamp,
    ) -> Result<Option<Self>, NegotiationError> {
        if grants.contains(&grant.terms().grant) {
            return Ok(None);
        }
        let record = Record::new(grant, peer_since, at);
        let live = Live::open(record.clone(), &identity.institution)?;
        Ok(Some(Self { live, record }))
    }
}

const fn change_of(event: GrantEvent) -> GrantChange {
    match event {
        GrantEvent::Suspend => GrantChange::Suspended,
        GrantEvent::Resume => GrantChange::Resumed,
        GrantEvent::Revoke => GrantChange::Revoked,
        GrantEvent::Relinquish => GrantChange::Relinquished,
    }
}
