use super::*;
use crate::grant::GrantStatus;
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
