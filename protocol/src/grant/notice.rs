//! Notices: how one side notifies the other that a grant changed, and how the other confirms it.

use serde::{Deserialize, Serialize};

use super::{GrantEvent, GrantState, GrantTerms, Party};
use crate::identity::Side;
use crate::ids::{Digest32, GrantId, InstitutionId, NodeId};
use crate::labels::{self, DomainLabel};
use crate::signed::{Document, Signed, Verified};
use crate::text::Reason;
use crate::time::{MAX_CLOCK_SKEW_MS, Staleness, Timestamp};

/// A change of a grant's state, signed by a node of the party that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The grant.
    pub grant: GrantId,
    /// What was done.
    pub event: GrantEvent,
    /// Why.
    pub reason: Reason,
    /// Who did it.
    pub from: InstitutionId,
    /// Who is notified.
    pub to: InstitutionId,
    /// Counts up from 1 for each sender and grant.
    pub sequence: u32,
    /// When it was done.
    pub at: Timestamp,
}

impl Document for Notice {
    const LABEL: DomainLabel = labels::NOTICE;
}

/// The answer to a notice. Signed by a node of the party that was notified, once the effect is durable there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// Digest of the signed notice.
    pub notice: Digest32,
    /// Who was notified.
    pub by: InstitutionId,
    /// What the notice did there.
    pub effect: NoticeEffect,
    /// Since when.
    pub at: Timestamp,
}

/// What a notice did at its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeEffect {
    /// It is applied.
    Applied,
    /// Nothing: a notice with a later number is applied already.
    Superseded,
    /// Nothing: the grant has ended there already.
    Ended,
}

impl Document for Acknowledgement {
    const LABEL: DomainLabel = labels::ACKNOWLEDGEMENT;
}

/// A notice that this institution has to apply.
#[derive(Clone, Debug)]
pub struct ValidNotice {
    verified: Verified<Notice, NodeId>,
    by: Party,
}

impl ValidNotice {
    /// Checks a notice that a node of `sender` sent to us; `us` is our side of the grant under `terms`. The sender's key must be the
    /// one that the terms name. A notice is valid however late it arrives: its number decides whether it still has an effect.
    ///
    /// # Errors
    /// [`NoticeError`] names the rule that it breaks; the grant is then unchanged.
    pub fn check(
        verified: Verified<Notice, NodeId>,
        sender: &Side,
        us: Party,
        terms: &GrantTerms,
        now: Timestamp,
    ) -> Result<Self, NoticeError> {
        let notice = verified.document();
        if notice.grant != terms.grant {
            return Err(NoticeError::OtherGrant { grant: notice.grant });
        }
        let by = terms.party(sender).ok_or(NoticeError::OtherParties)?;
        let ours = terms.side(us).institution;
        let addressed = notice.from == sender.institution && notice.to == ours && us == by.other();
        if !addressed || by != notice.event.party() {
            return Err(NoticeError::OtherParties);
        }
        notice.at.fresh_at(now, i64::MAX).map_err(NoticeError::Stale)?;
        Ok(Self { by, verified })
    }

    /// What it does to a grant in `state`; `last` is the highest number of the sender's notices that were applied (0 before the
    /// first).
    pub fn outcome(&self, last: u32, state: &GrantState, now: Timestamp) -> NoticeOutcome {
        let notice = self.notice();
        if notice.sequence <= last {
            return NoticeOutcome::NoEffect(NoticeEffect::Superseded);
        }
        if state.status.is_final() {
            return NoticeOutcome::NoEffect(NoticeEffect::Ended);
        }
        match state.apply(notice.event, self.by, notice.reason.clone(), now) {
            Ok(next) => NoticeOutcome::Changed(next),
            // The notice in between was not delivered.
            Err(_) => NoticeOutcome::Unchanged,
        }
    }

    /// The notice.
    pub fn notice(&self) -> &Notice {
        self.verified.document()
    }

    /// The notice with its signature, to be stored.
    pub fn signed(&self) -> &Signed<Notice> {
        self.verified.signed()
    }

    /// Which side made it.
    pub fn by(&self) -> Party {
        self.by
    }

    /// Digest of the signed notice.
    pub fn digest(&self) -> Digest32 {
        self.verified.digest()
    }

    /// The answer, to be signed once `effect` is durable here.
    pub fn acknowledge(&self, effect: NoticeEffect, now: Timestamp) -> Acknowledgement {
        Acknowledgement {
            notice: self.digest(),
            by: self.notice().to.clone(),
            effect,
            at: now,
        }
    }
}

/// What a valid notice does to a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeOutcome {
    /// The grant has this state from now on.
    Changed(GrantState),
    /// The grant is in the state to which the notice leads; only the number of the notice has to be stored.
    Unchanged,
    /// Nothing has to be stored.
    NoEffect(NoticeEffect),
}

/// An acknowledgement that was checked against the notice that it answers.
#[derive(Clone, Debug)]
pub struct ValidAcknowledgement {
    verified: Verified<Acknowledgement, NodeId>,
}

impl ValidAcknowledgement {
    /// Checks that a node of `sender` answered exactly the notice `sent`; `newest` is the number of the newest notice about the grant
    /// that was sent.
    ///
    /// # Errors
    /// [`NoticeError`] names the rule that it breaks; the notice then stays unacknowledged.
    pub fn check(
        verified: Verified<Acknowledgement, NodeId>,
        sender: &InstitutionId,
        sent: &Verified<Notice, NodeId>,
        newest: u32,
        now: Timestamp,
    ) -> Result<Self, NoticeError> {
        let answer = verified.document();
        if answer.by != *sender || answer.by != sent.document().to {
            return Err(NoticeError::OtherParties);
        }
        if answer.notice != sent.digest() {
            return Err(NoticeError::OtherNotice);
        }
        if answer.effect == NoticeEffect::Superseded && sent.document().sequence >= newest {
            return Err(NoticeError::NotSuperseded);
        }
        let early_by = sent.document().at.since(answer.at);
        if early_by > MAX_CLOCK_SKEW_MS {
            return Err(NoticeError::Stale(Staleness::Stale { by_ms: early_by }));
        }
        answer.at.fresh_at(now, i64::MAX).map_err(NoticeError::Stale)?;
        Ok(Self { verified })
    }

    /// The acknowledgement with its signature.
    pub fn verified(&self) -> &Verified<Acknowledgement, NodeId> {
        &self.verified
    }
}

/// Why a notice or its acknowledgement is not accepted. The peer is responsible, except for wrong clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// About another grant.
    #[error("the notice is about the grant `{grant}`, not this one")]
    OtherGrant {
        /// The grant it names.
        grant: GrantId,
    },
    /// Sender and recipient are not the right sides of the grant.
    #[error("the notice is not from the party that may send it to the party it concerns")]
    OtherParties,
    /// Its time is not plausible.
    #[error("the time of the notice is not acceptable")]
    Stale(#[source] Staleness),
    /// The acknowledgement answers another notice.
    #[error("the acknowledgement answers another notice")]
    OtherNotice,
    /// The acknowledgement claims a later notice, but there is none.
    #[error(
        "the other side states that it has applied a later notice, but this is the newest one; was this node restored from an older backup?"
    )]
    NotSuperseded,
}

#[cfg(test)]
mod tests;
