//! How a grant begins, and how each side changes it.

use concordat_protocol::audit::GrantChange;
use concordat_protocol::grant::{
    GrantEvent, GrantStatus, Notice, NoticeEffect, NoticeOutcome, ValidGrant, ValidNotice,
};
use concordat_protocol::ids::NodeId;
use concordat_protocol::signed::{Signed, Verified};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

use super::{Activation, Amendment, Change, Transition};
use crate::identity::Identity;
use crate::negotiation::NegotiationError;
use crate::negotiation::grants::{GrantBasis, Grants, Live, LockedGrant, Record, Resumable};
use crate::negotiation::store::LockedSlot;
use crate::restorations::RestorationCount;
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
        let basis = grants.basis(peer_since, None);
        let activation = Activation::new(grant, basis, (grants, identity), at)?;
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

    /// This side changes a grant. A resumption needs a proof that the grant can be resumed.
    pub(in crate::negotiation) fn amend(
        locked: LockedGrant,
        (event, reason): (GrantEvent, Reason),
        resumable: Option<Resumable>,
        identity: &Identity,
        (by, at): (&Attribution, Timestamp),
    ) -> Result<Self, NegotiationError> {
        let held = locked.record();
        if let Some(resumable) = &resumable {
            resumable.check_compared(held)?;
        }
        let next = held.state.apply(event, locked.live().party(), reason.clone(), at)?;
        let notice = own_notice(&locked, (event, reason.clone()), held.sent, identity, at)?;
        let mut record = held.after_own_change(next, notice);
        if let Some(resumable) = resumable {
            record.peer_since = resumable.peer_since();
            record.restorations = resumable.restorations();
        }
        let change = Some((change_of(event), Some(reason)));
        Ok(Self::amended(locked, Amendment { record, change }, (by, at)))
    }

    /// This side has changed a grant and did not know it any more, because it was restored from a backup. The notice is its own, so it is
    /// applied as what it is; an end is final. It never widens access: a grant that is suspended here stays so, and the other side learns that
    /// in another notice. `None` if the notice is known.
    pub(in crate::negotiation) fn remember(
        locked: LockedGrant,
        notice: &Verified<Notice, NodeId>,
        identity: &Identity,
        (by, at): (&Attribution, Timestamp),
    ) -> Result<Option<Self>, NegotiationError> {
        let document = notice.document();
        let held = locked.record();
        let live = locked.live();
        let ends = document.event.ends_the_grant();
        let is_ours = document.grant == live.terms().grant
            && document.event.party() == live.party()
            && document.from == identity.institution
            && document.to == *live.peer();
        if !is_ours {
            return Err(NegotiationError::ForeignNotice);
        }
        if held.is_own(notice.signed()) || (document.sequence < held.sent && !ends) || held.state.status.is_final() {
            return Ok(None);
        }
        let reason = Reason::sanitized(&format!("from before a restore: {}", document.reason));
        let applied = held.state.apply(document.event, live.party(), reason.clone(), at).ok();
        let next = applied.filter(|_| document.event != GrantEvent::Resume);
        let change = next.as_ref().map(|_| (change_of(document.event), Some(reason)));
        let state = next.unwrap_or_else(|| held.state.clone());
        let mut record = held.after_forgotten_notice(state, document.sequence, notice.signed().clone());
        if record.state.status == GrantStatus::Suspended && document.event != GrantEvent::Suspend {
            let why = record
                .state
                .reason
                .clone()
                .unwrap_or_else(|| Reason::sanitized("suspended"));
            let again = own_notice(&locked, (GrantEvent::Suspend, why), record.sent, identity, at)?;
            record = record.after_own_change(record.state.clone(), again);
        }
        Ok(Some(Self::amended(locked, Amendment { record, change }, (by, at))))
    }

    /// The notices were compared with those of the other side.
    pub(in crate::negotiation) fn compared(
        locked: LockedGrant,
        restorations: RestorationCount,
        (by, at): (&Attribution, Timestamp),
    ) -> Self {
        let record = locked.record().after_comparison(restorations);
        Self::amended(locked, Amendment { record, change: None }, (by, at))
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
        basis: GrantBasis,
        (grants, identity): (&Grants, &Identity),
        at: Timestamp,
    ) -> Result<Option<Self>, NegotiationError> {
        if grants.contains(&grant.terms().grant) {
            return Ok(None);
        }
        let record = Record::new(grant, basis, at);
        let live = Live::open(record.clone(), &identity.institution)?;
        Ok(Some(Self { live, record }))
    }
}

/// The next notice of this side after number `sent`, signed.
fn own_notice(
    locked: &LockedGrant,
    (event, reason): (GrantEvent, Reason),
    sent: u32,
    identity: &Identity,
    at: Timestamp,
) -> Result<Signed<Notice>, NegotiationError> {
    let live = locked.live();
    let notice = Notice {
        grant: live.terms().grant,
        event,
        reason,
        from: identity.institution.clone(),
        to: live.peer().clone(),
        sequence: sent.saturating_add(1),
        at,
    };
    Ok(Signed::sign(&notice, &identity.node_key)?.signed().clone())
}

const fn change_of(event: GrantEvent) -> GrantChange {
    match event {
        GrantEvent::Suspend => GrantChange::Suspended,
        GrantEvent::Resume => GrantChange::Resumed,
        GrantEvent::Revoke => GrantChange::Revoked,
        GrantEvent::Relinquish => GrantChange::Relinquished,
    }
}
