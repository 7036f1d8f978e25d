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
mod tests {
    use super::*;
    use crate::grant::GrantStatus;
    use crate::grant::testing::{T0, node, side, terms};

    fn revocation() -> Notice {
        let terms = terms();
        Notice {
            grant: terms.grant,
            event: GrantEvent::Revoke,
            reason: Reason::sanitized("the study was stopped"),
            from: terms.provider,
            to: terms.consumer,
            sequence: 1,
            at: T0,
        }
    }

    fn check(notice: &Notice, now: Timestamp) -> Result<ValidNotice, NoticeError> {
        let verified = Signed::sign(notice, &node(1)).unwrap();
        ValidNotice::check(verified, &terms().side(Party::Provider), Party::Consumer, &terms(), now)
    }

    fn with(event: GrantEvent, sequence: u32) -> ValidNotice {
        let notice = Notice {
            event,
            sequence,
            ..revocation()
        };
        check(&notice, T0).unwrap()
    }

    fn state(status: GrantStatus) -> GrantState {
        GrantState {
            status,
            ..GrantState::active(T0)
        }
    }

    /// The example of `docs/protocol.md`, computed by another program from that page.
    #[test]
    fn acknowledgment_has_the_documented_bytes() {
        const DOCUMENTED: &str = "\
            8443a10127a05851a4666e6f746963655820000000000000000000000000000000000000000000000000000000000\
            000000062627968627564617065737466656666656374676170706c6965646261741b000001a3185c50005840cb2c\
            f5433f5e4fa2996afa2c96d25b50e781d1378efcd46b3c0e55d9d7a4e91e692ce85295c0e38608da5a1ee5e0038eb\
            29766549bcac11f1647094c88cdd402";
        let acknowledgment = Acknowledgement {
            notice: Digest32::ZERO,
            by: InstitutionId::new("budapest").unwrap(),
            effect: NoticeEffect::Applied,
            at: Timestamp::from_millis(1_800_000_000_000),
        };
        let key = crate::identity::NodeKey::from_seed(&[1; 32].into());
        let signed = Signed::sign(&acknowledgment, &key).unwrap();
        assert_eq!(data_encoding::HEXLOWER.encode(signed.signed().as_bytes()), DOCUMENTED);
        assert_eq!(
            signed.digest().to_string(),
            "2b6073e4aad6e063a69a6bdd81f80c549e48ae9f9dbb4a6a5a234fb3c8799a25"
        );
    }

    #[test]
    fn notice_is_accepted_however_late_but_not_from_the_future() {
        for event in [GrantEvent::Suspend, GrantEvent::Resume, GrantEvent::Revoke] {
            let notice = Notice { event, ..revocation() };
            assert!(check(&notice, T0.plus_seconds(30 * 86_400)).is_ok(), "{event}");
            assert!(matches!(
                check(&notice, T0.plus_seconds(-3600)),
                Err(NoticeError::Stale(_))
            ));
        }
    }

    #[test]
    fn notice_with_a_number_that_was_used_has_no_effect() {
        let superseded = NoticeOutcome::NoEffect(NoticeEffect::Superseded);
        for (sequence, last) in [(0, 0), (1, 1), (1, 2)] {
            let resume = with(GrantEvent::Resume, sequence);
            assert_eq!(resume.outcome(last, &state(GrantStatus::Suspended), T0), superseded);
        }
        let resume = with(GrantEvent::Resume, 2);
        assert!(matches!(
            resume.outcome(1, &state(GrantStatus::Suspended), T0),
            NoticeOutcome::Changed(GrantState {
                status: GrantStatus::Active,
                ..
            })
        ));
    }

    #[test]
    fn notice_after_one_that_was_lost_is_applied() {
        let outcome = |event, status| with(event, 5).outcome(1, &state(status), T0);
        assert_eq!(
            outcome(GrantEvent::Resume, GrantStatus::Active),
            NoticeOutcome::Unchanged
        );
        assert_eq!(
            outcome(GrantEvent::Suspend, GrantStatus::Suspended),
            NoticeOutcome::Unchanged
        );
        for event in [GrantEvent::Suspend, GrantEvent::Resume, GrantEvent::Revoke] {
            for ended in [GrantStatus::Revoked, GrantStatus::Relinquished, GrantStatus::Expired] {
                assert_eq!(outcome(event, ended), NoticeOutcome::NoEffect(NoticeEffect::Ended));
            }
        }
    }

    #[test]
    fn notice_from_the_wrong_party_is_refused() {
        let provider = terms().provider;
        let consumer = terms().consumer;
        let non_member = InstitutionId::new("geneva").unwrap();
        let wrong = [
            Notice {
                from: non_member.clone(),
                ..revocation()
            },
            Notice {
                to: non_member.clone(),
                ..revocation()
            },
            Notice {
                from: consumer.clone(),
                to: provider.clone(),
                ..revocation()
            },
            Notice {
                event: GrantEvent::Relinquish,
                ..revocation()
            },
        ];
        for notice in wrong {
            assert_eq!(check(&notice, T0).unwrap_err(), NoticeError::OtherParties, "{notice:?}");
        }
        let by = |sender: Side, us: Party| {
            let verified = Signed::sign(&revocation(), &node(1)).unwrap();
            ValidNotice::check(verified, &sender, us, &terms(), T0).map(|_| ())
        };
        assert_eq!(by(side("budapest", 1), Party::Consumer), Ok(()));
        assert_eq!(by(side("zurich", 2), Party::Provider), Err(NoticeError::OtherParties));
        assert_eq!(by(side("geneva", 1), Party::Consumer), Err(NoticeError::OtherParties));
        // The name of a party with another key does not identify that party.
        assert_eq!(by(side("budapest", 4), Party::Consumer), Err(NoticeError::OtherParties));
        let other = Notice {
            grant: GrantId::from_bytes([9; 16]),
            ..revocation()
        };
        assert!(matches!(check(&other, T0), Err(NoticeError::OtherGrant { .. })));
    }

    #[test]
    fn an_acknowledgement_answers_one_notice() {
        let sent = Signed::sign(&revocation(), &node(1)).unwrap();
        let answer = check(&revocation(), T0).unwrap().acknowledge(NoticeEffect::Applied, T0);
        let check_answer = |answer: &Acknowledgement, sender: &InstitutionId| {
            let verified = Signed::sign(answer, &node(2)).unwrap();
            ValidAcknowledgement::check(verified, sender, &sent, 1, T0).map(|_| ())
        };
        let consumer = terms().consumer;
        assert_eq!(check_answer(&answer, &consumer), Ok(()));
        assert_eq!(check_answer(&answer, &terms().provider), Err(NoticeError::OtherParties));
        let other = Acknowledgement {
            notice: Digest32::ZERO,
            ..answer.clone()
        };
        assert_eq!(check_answer(&other, &consumer), Err(NoticeError::OtherNotice));
        let superseded = Acknowledgement {
            effect: NoticeEffect::Superseded,
            ..answer.clone()
        };
        assert_eq!(check_answer(&superseded, &consumer), Err(NoticeError::NotSuperseded));
        let ended = Acknowledgement {
            effect: NoticeEffect::Ended,
            ..answer.clone()
        };
        assert_eq!(check_answer(&ended, &consumer), Ok(()));
        let early = Acknowledgement {
            at: T0.plus_seconds(-3600),
            ..answer.clone()
        };
        assert!(matches!(check_answer(&early, &consumer), Err(NoticeError::Stale(_))));
        let future = Acknowledgement {
            at: T0.plus_seconds(3600),
            ..answer
        };
        assert!(matches!(check_answer(&future, &consumer), Err(NoticeError::Stale(_))));
    }
}
