use super::*;
use crate::ids::{ActorId, CollectionName, DatasetName, InstitutionId, NodeId, QueryId};
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
    let imported = EntryBody::CollectionImported {
        collection: CollectionName::new("omop").unwrap(),
        version: 2,
        datasets: 39,
        rows: 400,
        manifest: Digest32::ZERO,
        declared: None,
    };
    assert_eq!(
        imported.describe(),
        "version 2 of omop was imported, 400 rows in 39 datasets"
    );
    let declared = EntryBody::DatasetClassified {
        dataset: DatasetName::new("heart").unwrap(),
        classification: Digest32::ZERO,
    };
    assert_eq!(declared.describe(), "heart was classified, declared as 00000000");
}

#[test]
fn version_that_states_no_declarations_is_read() {
    let imported = |declared| LedgerEntry {
        body: EntryBody::DatasetImported {
            dataset: DatasetName::new("heart").unwrap(),
            version: 2,
            rows: 400,
            manifest: Digest32::ZERO,
            declared,
        },
        ..decision(0)
    };
    let names_it = |bytes: &[u8]| bytes.windows(8).any(|part| part == b"declared");
    for declared in [None, Some(Digest32::from_bytes([7; 32]))] {
        let entry = imported(declared);
        let bytes = entry.encode().unwrap();
        assert_eq!(
            names_it(&bytes),
            declared.is_some(),
            "entries from before are the same bytes"
        );
        assert_eq!(LedgerEntry::decode(&bytes).unwrap(), entry);
    }
}

#[test]
fn sentences_about_locked_queries_name_whose_they_are() {
    let collection = CollectionName::new("heart").unwrap();
    let institution = InstitutionId::new("zurich").unwrap();
    let eva = ActorId::new("eva@zurich").unwrap();
    let locked = EntryBody::ReleaseLocked {
        collection: collection.clone(),
        institution: institution.clone(),
        actor: eva.clone(),
        reason: Reason::new("limits").unwrap(),
    };
    assert_eq!(
        locked.describe(),
        "queries of eva@zurich below records to heart were locked: limits"
    );
    let unlocked = |actor| EntryBody::ReleaseUnlocked {
        collection: collection.clone(),
        institution: institution.clone(),
        actor,
    };
    assert_eq!(
        unlocked(Some(eva)).describe(),
        "queries of eva@zurich below records to heart were unlocked"
    );
    assert_eq!(
        unlocked(None).describe(),
        "queries of all people of zurich below records to heart were unlocked"
    );
    let proposed = EntryBody::ReleaseUnlockProposed {
        collection,
        institution,
        actor: None,
    };
    assert_eq!(
        proposed.describe(),
        "it was proposed to unlock queries of all people of zurich below records to heart"
    );
}

#[test]
fn sentence_about_missing_answers_names_their_time() {
    let acknowledged = EntryBody::AnswersAcknowledged {
        collection: CollectionName::new("heart").unwrap(),
        known_until: Timestamp::from_millis(1_800_000_000_000),
    };
    assert_eq!(
        acknowledged.describe(),
        "it was acknowledged that answers about heart are known until 2027-01-15T08:00:00Z only"
    );
}

#[test]
fn sentence_about_reserved_loss_names_what_is_left() {
    let query = QueryId::from_bytes([1; 16]);
    let reserved = EntryBody::BudgetReserved {
        query,
        collection: CollectionName::new("heart").unwrap(),
        micro_rho: 10_000,
        left: 990_000,
    };
    assert_eq!(
        reserved.describe(),
        format!("10000 millionths of rho were reserved for query {query} of heart, and 990000 are left")
    );
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
