use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::*;
use crate::audit::{LedgerHead, TreeHead};
use crate::identity::{NodeKey, PrivateKey};
use crate::ids::{ActorId, Digest32, GrantId, InstitutionId, NodeId, QueryId};
use crate::scope::{Purpose, Tier};
use crate::signed::Signed;
use crate::time::{MAX_CLOCK_SKEW_MS, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

#[test]
fn a_valid_query_is_accepted() {
    let valid = check(&valid_query(), &key(1)).unwrap();
    assert_eq!(valid.envelope().sql, "SELECT 1");
    assert_eq!(valid.assertion().actor.name(), "eva");
}

#[test]
fn query_is_accepted_only_from_the_peer_itself() {
    assert!(matches!(
        check(&valid_query(), &key(2)),
        Err(InvalidQuery::Signature(_))
    ));
    let mut other_institution = valid_query();
    other_institution.from = id("zurich");
    assert_eq!(
        check(&other_institution, &key(1)).unwrap_err(),
        InvalidQuery::ForeignSender
    );
    let mut foreign_person = valid_query();
    foreign_person.actor = assertion(|a| a.actor = ActorId::new("eva@zurich").unwrap());
    assert_eq!(
        check(&foreign_person, &key(1)).unwrap_err(),
        InvalidQuery::ForeignSender
    );
}

#[test]
fn query_for_another_recipient_is_refused() {
    let mut elsewhere = valid_query();
    elsewhere.to = id("zurich");
    assert_eq!(check(&elsewhere, &key(1)).unwrap_err(), InvalidQuery::WrongRecipient);
    let mut other_audience = valid_query();
    other_audience.actor = assertion(|a| a.audience = id("zurich"));
    assert_eq!(
        check(&other_audience, &key(1)).unwrap_err(),
        InvalidQuery::WrongRecipient
    );
}

#[test]
fn an_assertion_serves_one_query_and_ends() {
    let mut borrowed = valid_query();
    borrowed.actor = assertion(|a| a.query = QueryId::from_bytes([9; 16]));
    assert_eq!(
        check(&borrowed, &key(1)).unwrap_err(),
        InvalidQuery::AssertionForOtherQuery
    );
    let mut expired = valid_query();
    expired.actor = assertion(|a| a.expires = NOW);
    assert_eq!(check(&expired, &key(1)).unwrap_err(), InvalidQuery::AssertionExpired);
}

#[test]
fn time_and_size_have_limits() {
    let mut old = valid_query();
    old.sent_at = NOW.plus_seconds(-3600);
    assert!(matches!(check(&old, &key(1)), Err(InvalidQuery::NotFresh(_))));
    let mut early = valid_query();
    early.sent_at = NOW.plus_seconds(3600);
    assert!(matches!(check(&early, &key(1)), Err(InvalidQuery::NotFresh(_))));
    let mut late = valid_query();
    late.deadline = NOW;
    assert_eq!(check(&late, &key(1)).unwrap_err(), InvalidQuery::DeadlinePassed);
    let mut long = valid_query();
    long.sql = " ".repeat(MAX_SQL + 1);
    assert_eq!(check(&long, &key(1)).unwrap_err(), InvalidQuery::TooLong);
}

#[test]
fn a_replay_is_refused_for_as_long_as_it_could_be_fresh() {
    let mut window = ReplayWindow::default();
    let peer = NodeId::from_bytes([1; 32]);
    let other = NodeId::from_bytes([2; 32]);
    let query = QueryId::from_bytes([1; 16]);
    window.admit(peer, query, NOW).unwrap();
    assert_eq!(window.admit(peer, query, NOW).unwrap_err(), Replayed::Again);
    window.admit(other, query, NOW).unwrap();
    let still_fresh = NOW.plus_millis(MAX_QUERY_AGE_MS + 2 * MAX_CLOCK_SKEW_MS);
    assert_eq!(window.admit(peer, query, still_fresh).unwrap_err(), Replayed::Again);
}

#[test]
fn receipt_must_match_what_was_sent_and_received() {
    let sent = valid_query();
    let actor = ActorId::new("eva@cleveland").unwrap();
    let received = Received {
        bytes: 7,
        answer: Digest32::ZERO,
    };
    assert!(receipt().matches(&sent, &actor, received).is_ok());
    let mut more = receipt();
    more.bytes = 8;
    assert_eq!(more.matches(&sent, &actor, received).unwrap_err().field, "bytes");
    let mut other = receipt();
    other.sql = Digest32::ZERO;
    assert_eq!(other.matches(&sent, &actor, received).unwrap_err().field, "sql");
}

fn ledger_head() -> Signed<LedgerHead> {
    let head = LedgerHead {
        institution: id("budapest"),
        node: key(2).public(),
        generation: 0,
        tree: TreeHead {
            size: 1,
            root: Digest32::ZERO,
        },
        at: NOW,
    };
    Signed::sign(&head, &key(2)).unwrap().signed().clone()
}

fn receipt() -> Receipt {
    Receipt {
        query: QueryId::from_bytes([1; 16]),
        grant: GrantId::from_bytes([2; 16]),
        provider: id("budapest"),
        consumer: id("cleveland"),
        actor: ActorId::new("eva@cleveland").unwrap(),
        purpose: Purpose::HealthResearch,
        sql: valid_query().sql_digest(),
        tier: Tier::Records,
        rows: 1,
        bytes: 7,
        answer: Digest32::ZERO,
        outcome: Outcome::Completed,
        decision: Digest32::ZERO,
        ledger: ledger_head(),
        at: NOW,
    }
}

fn check(envelope: &QueryEnvelope, peer: &NodeKey) -> Result<ValidQuery, InvalidQuery> {
    let signed = Signed::sign(envelope, &key(1)).unwrap().signed().clone();
    let parties = Parties {
        peer: peer.public(),
        consumer: id("cleveland"),
        provider: id("budapest"),
    };
    ValidQuery::check(signed, &parties, NOW)
}

fn valid_query() -> QueryEnvelope {
    QueryEnvelope {
        query: QueryId::from_bytes([1; 16]),
        grant: GrantId::from_bytes([2; 16]),
        from: id("cleveland"),
        to: id("budapest"),
        actor: assertion(|_| ()),
        purpose: Purpose::HealthResearch,
        sql: "SELECT 1".into(),
        version: None,
        rules: None,
        sent_at: NOW,
        deadline: NOW.plus_seconds(30),
    }
}

fn assertion(change: impl FnOnce(&mut ActorAssertion)) -> Signed<ActorAssertion> {
    let mut assertion = ActorAssertion {
        actor: ActorId::new("eva@cleveland").unwrap(),
        roles: BTreeSet::from([Role::Researcher]),
        factors: BTreeSet::from([Factor::Password]),
        authenticated_at: NOW.plus_seconds(-60),
        password_reset_at: None,
        training_until: Some(NOW.plus_seconds(86_400)),
        training_course: None,
        audience: id("budapest"),
        query: QueryId::from_bytes([1; 16]),
        expires: NOW.plus_seconds(60),
    };
    change(&mut assertion);
    Signed::sign(&assertion, &key(1)).unwrap().signed().clone()
}

fn key(seed: u8) -> NodeKey {
    NodeKey::from_seed(&Zeroizing::new([seed; 32]))
}

fn id(text: &str) -> InstitutionId {
    InstitutionId::new(text).unwrap()
}
