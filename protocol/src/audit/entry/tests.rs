use super::*;
use crate::ids::{ActorId, InstitutionId, NodeId, QueryId};
use crate::text::{Label, Reason};

fn decision(reasons: usize) -> LedgerEntry {
    LedgerEntry {
        sequence: 7,
        previous: Digest32::from_bytes([7; 32]),
        at: Timestamp::from_millis(1_800_000_000_000),
        cause: Cause::Person {
            actor: ActorId::new("eva@budapest").unwrap(),
        },
        body: EntryBody::DecisionMade {
            request: QueryId::from_bytes([1; 16]),
            grant: None,
            permitted: false,
            reasons: vec![Reason::sanitized(&"\u{10ffff}".repeat(500)); reasons],
            policy: Digest32::ZERO,
            sql: Some(Digest32::ZERO),
        },
    }
}

#[test]
fn an_entry_is_read_back_from_its_bytes() {
    let bytes = decision(MAX_LIST).encode().unwrap();
    assert_eq!(LedgerEntry::decode(&bytes).unwrap(), decision(MAX_LIST));
    assert_eq!(decision(MAX_LIST + 1).encode().unwrap_err(), EntryError::LongList);
}

#[test]
fn unknown_kinds_fields_and_trailing_bytes_are_errors() {
    let read = |text: &str| {
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        serde_json::from_value::<EntryBody>(json).is_ok()
    };
    assert!(read(r#"{"login_succeeded":{"one_time":false}}"#));
    assert!(!read(r#"{"login_succeeded":{"one_time":false,"name":"Eva"}}"#));
    assert!(!read(r#"{"erased":{"actor":"eva@budapest"}}"#));
    let mut bytes = decision(0).encode().unwrap();
    bytes.push(0);
    assert_eq!(LedgerEntry::decode(&bytes).unwrap_err(), EntryError::Malformed);
}

#[test]
fn sentences_name_who_and_why() {
    let body = EntryBody::DecisionMade {
        request: QueryId::from_bytes([1; 16]),
        grant: None,
        permitted: false,
        reasons: vec![Reason::new("no grant covers it").unwrap()],
        policy: Digest32::ZERO,
        sql: None,
    };
    assert_eq!(body.describe(), "query 01010101 was denied: no grant covers it");
    let added = EntryBody::UserAdded {
        actor: ActorId::new("eva@budapest").unwrap(),
        roles: vec![Label::new("steward").unwrap()],
    };
    assert_eq!(added.describe(), "eva@budapest was added as steward");
}

#[test]
fn a_cause_names_each_person_and_each_node() {
    let eva = ActorId::new("eva@budapest").unwrap();
    let tom = ActorId::new("tom@budapest").unwrap();
    let node = NodeId::from_bytes([7; 32]);
    let two = Cause::TwoPeople {
        first: eva.clone(),
        second: tom,
    };
    assert_eq!(two.to_string(), "eva@budapest and tom@budapest");
    let peer = Cause::Peer {
        node,
        institution: Some(InstitutionId::new("budapest").unwrap()),
        actor: Some(eva.clone()),
    };
    let expected = format!("eva@budapest at node {} of budapest", node.short());
    assert_eq!((peer.to_string(), peer.actor()), (expected, Some(&eva)));
    assert_eq!(peer.peer().unwrap().as_str(), "budapest");
    let start = Cause::Node { task: NodeTask::Start };
    assert_eq!((start.to_string().as_str(), start.actor()), ("this node (start)", None));
}
