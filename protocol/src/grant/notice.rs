//! Notices: how one side notifies the other that a grant changed, and how the other confirms it.

use serde::{Deserialize, Serialize};

use super::{GrantEvent, GrantTerms, Party};
use crate::identity::Side;
use crate::ids::{Digest32, GrantId, InstitutionId, NodeId};
use crate::labels::{self, DomainLabel};
use crate::signed::{Document, Verified};
use crate::text::Reason;
use crate::time::{MAX_CLOCK_SKEW_MS, Staleness, Timestamp};

/// Oldest notice that may widen access again, in milliseconds: ten minutes. A notice that narrows access is accepted however
/// late it arrives, because a peer that was cut off must still learn of a revocation.
pub const MAX_RESUME_AGE_MS: i64 = 600_000;

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

/// The answer to a notice: from this time on the notice is applied. Signed by a node of the party that was notified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// Digest of the signed notice.
    pub notice: Digest32,
    /// Who applies it.
    pub by: InstitutionId,
    /// Since when.
    pub at: Timestamp,
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
    /// Checks a notice that a node of `sender` sent to us; `us` is our side of the grant under `terms`, and `last` is the number
    /// of the previous notice from the same sender (0 if there was none). The sender's key must be the one that the terms name.
    ///
    /// # Errors
    /// [`NoticeError`] names the rule that it breaks; the grant is then unchanged.
    pub fn check(
        verified: Verified<Notice, NodeId>,
        sender: &Side,
        us: Party,
        terms: &GrantTerms,
        last: u32,
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
        if notice.sequence <= last {
            return Err(NoticeError::Replayed {
                sequence: notice.sequence,
                last,
            });
        }
        check_age(notice, now).map_err(NoticeError::Stale)?;
        Ok(Self { by, verified })
    }

    /// The notice.
    pub fn notice(&self) -> &Notice {
        self.verified.document()
    }

    /// Which side made it.
    pub fn by(&self) -> Party {
        self.by
    }

    /// Digest of the signed notice.
    pub fn digest(&self) -> Digest32 {
        self.verified.digest()
    }

    /// The answer, to be signed once the change is durable here.
    pub fn acknowledge(&self, now: Timestamp) -> Acknowledgement {
        Acknowledgement {
            notice: self.digest(),
            by: self.notice().to.clone(),
            at: now,
        }
    }
}

fn check_age(notice: &Notice, now: Timestamp) -> Result<(), Staleness> {
    let max_age = match notice.event {
        GrantEvent::Resume => MAX_RESUME_AGE_MS,
        GrantEvent::Suspend | GrantEvent::Revoke | GrantEvent::Relinquish => i64::MAX,
    };
    notice.at.fresh_at(now, max_age)
}

/// An acknowledgement that was checked against the notice that it answers.
#[derive(Clone, Debug)]
pub struct ValidAcknowledgement {
    verified: Verified<Acknowledgement, NodeId>,
}

impl ValidAcknowledgement {
    /// Checks that a node of `sender` answered exactly the notice `sent`.
    ///
    /// # Errors
    /// [`NoticeError`] names the rule that it breaks; the notice then stays unacknowledged.
    pub fn check(
        verified: Verified<Acknowledgement, NodeId>,
        sender: &InstitutionId,
        sent: &Verified<Notice, NodeId>,
        now: Timestamp,
    ) -> Result<Self, NoticeError> {
        let answer = verified.document();
        if answer.by != *sender || answer.by != sent.document().to {
            return Err(NoticeError::OtherParties);
        }
        if answer.notice != sent.digest() {
            return Err(NoticeError::OtherNotice);
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
    /// Its number was already used.
    #[error("notice {sequence} comes after notice {last}: it is a replay")]
    Replayed {
        /// Its number.
        sequence: u32,
        /// The highest number seen.
        last: u32,
    },
    /// Its time is not plausible.
    #[error("the time of the notice is not acceptable")]
    Stale(#[source] Staleness),
    /// The acknowledgement answers another notice.
    #[error("the acknowledgement answers another notice")]
    OtherNotice,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::testing::{T0, node, side, terms};
    use crate::signed::Signed;

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

    fn check(notice: &Notice, last: u32, now: Timestamp) -> Result<ValidNotice, NoticeError> {
        let verified = Signed::sign(notice, &node(1)).unwrap();
        ValidNotice::check(
            verified,
            &terms().side(Party::Provider),
            Party::Consumer,
            &terms(),
            last,
            now,
        )
    }

    #[test]
    fn revocation_notice_is_accepted_however_late() {
        assert_eq!(
            check(&revocation(), 0, T0.plus_seconds(30 * 86_400)).unwrap().by(),
            Party::Provider
        );
    }

    #[test]
    fn a_resumption_must_be_fresh_and_nothing_comes_from_the_future() {
        let resume = Notice {
            event: GrantEvent::Resume,
            ..revocation()
        };
        assert!(check(&resume, 0, T0.plus_seconds(60)).is_ok());
        assert!(matches!(
            check(&resume, 0, T0.plus_seconds(3600)),
            Err(NoticeError::Stale(Staleness::Stale { .. }))
        ));
        assert!(matches!(
            check(&revocation(), 0, T0.plus_seconds(-3600)),
            Err(NoticeError::Stale(_))
        ));
    }

    #[test]
    fn a_number_is_used_once() {
        assert_eq!(
            check(&revocation(), 1, T0).unwrap_err(),
            NoticeError::Replayed { sequence: 1, last: 1 }
        );
        assert!(
            check(
                &Notice {
                    sequence: 0,
                    ..revocation()
                },
                0,
                T0
            )
            .is_err()
        );
    }

    #[test]
    fn notice_from_the_wrong_party_is_refused() {
        let (provider, consumer) = (terms().provider, terms().consumer);
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
            assert_eq!(
                check(&notice, 0, T0).unwrap_err(),
                NoticeError::OtherParties,
                "{notice:?}"
            );
        }
        let by = |sender: Side, us: Party| {
            let verified = Signed::sign(&revocation(), &node(1)).unwrap();
            ValidNotice::check(verified, &sender, us, &terms(), 0, T0).map(|_| ())
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
        assert!(matches!(check(&other, 0, T0), Err(NoticeError::OtherGrant { .. })));
    }

    #[test]
    fn an_acknowledgement_answers_one_notice() {
        let sent = Signed::sign(&revocation(), &node(1)).unwrap();
        let answer = check(&revocation(), 0, T0).unwrap().acknowledge(T0);
        let check_answer = |answer: &Acknowledgement, sender: &InstitutionId| {
            let verified = Signed::sign(answer, &node(2)).unwrap();
            ValidAcknowledgement::check(verified, sender, &sent, T0).map(|_| ())
        };
        let consumer = terms().consumer;
        assert_eq!(check_answer(&answer, &consumer), Ok(()));
        assert_eq!(check_answer(&answer, &terms().provider), Err(NoticeError::OtherParties));
        let other = Acknowledgement {
            notice: Digest32::ZERO,
            ..answer.clone()
        };
        assert_eq!(check_answer(&other, &consumer), Err(NoticeError::OtherNotice));
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
