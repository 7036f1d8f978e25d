use zeroize::Zeroizing;

use super::*;
use crate::audit::merkle::{self, CompactTree};
use crate::audit::{Cause, Checkpoint, LedgerHead, TreeHead, leaf_hash};
use crate::identity::{InstitutionKey, NodeKey, PrivateKey};
use crate::ids::{ActorId, GrantId};
use crate::query::{Factor, Outcome, Role};
use crate::scope::{Purpose, Tier};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn node(seed: u8) -> NodeKey {
    NodeKey::from_seed(&Zeroizing::new([seed; 32]))
}

fn institution_key(seed: u8) -> InstitutionKey {
    InstitutionKey::from_seed(&Zeroizing::new([seed; 32]))
}

fn id(text: &str) -> InstitutionId {
    InstitutionId::new(text).unwrap()
}

fn ledger_head(institution: &str, seed: u8) -> Signed<LedgerHead> {
    let head = LedgerHead {
        institution: id(institution),
        node: node(seed).public(),
        generation: 0,
        tree: TreeHead {
            size: 1,
            root: Digest32::ZERO,
        },
        at: NOW,
    };
    Signed::sign(&head, &node(seed)).unwrap().signed().clone()
}

#[test]
fn receipt_with_a_foreign_ledger_head_is_no_evidence() {
    for (institution, seed) in [("budapest", 1), ("cleveland", 2), ("cleveland", 1)] {
        let mut parts = Parts::valid();
        parts.receipt.ledger = ledger_head(institution, seed);
        assert!(parts.bundle().check().is_err(), "{institution} {seed}");
    }
}

#[test]
fn countersignature_needs_the_head_of_the_consumers_ledger() {
    let foreign =
        [("budapest", 1), ("cleveland", 2), ("budapest", 2)].map(|(institution, seed)| Some((institution, seed)));
    for head in foreign.into_iter().chain([None]) {
        let mut parts = Parts::valid();
        parts.consumer_ledger = head.map(|(institution, seed)| ledger_head(institution, seed));
        assert!(parts.bundle().check().is_err(), "{head:?}");
    }
    let mut alone = Parts::valid();
    alone.countersign = false;
    assert!(alone.bundle().check().is_err(), "a head without a countersignature");
    let valid = Parts::valid().bundle().check().unwrap();
    assert_eq!(valid.consumer_ledger.unwrap().institution, id("cleveland"));
}

/// The parts of valid evidence, each of which a test may replace before they are assembled.
struct Parts {
    holder: InstitutionId,
    consumer: NodeCertificate,
    provider: NodeCertificate,
    assertion: ActorAssertion,
    query: QueryEnvelope,
    receipt: Receipt,
    entry: EntryBody,
    countersign: bool,
    consumer_ledger: Option<Signed<LedgerHead>>,
}

impl Parts {
    fn valid() -> Self {
        let certificate = |name: &str, seed: u8| NodeCertificate {
            institution: id(name),
            node: node(seed).public(),
            institution_key: institution_key(seed + 10).public(),
            issued_at: NOW,
            not_after: NOW.plus_seconds(86_400),
        };
        let query = QueryId::from_bytes([1; 16]);
        let actor = ActorId::new("eva@cleveland").unwrap();
        let assertion = ActorAssertion {
            actor: actor.clone(),
            roles: BTreeSet::from([Role::Researcher]),
            factors: BTreeSet::from([Factor::Password]),
            authenticated_at: NOW,
            password_reset_at: None,
            training_until: None,
            audience: id("budapest"),
            query,
            expires: NOW.plus_seconds(60),
        };
        let envelope = QueryEnvelope {
            query,
            grant: GrantId::from_bytes([2; 16]),
            from: id("cleveland"),
            to: id("budapest"),
            actor: Signed::sign(&assertion, &node(1)).unwrap().signed().clone(),
            purpose: Purpose::HealthResearch,
            sql: "SELECT 1".to_owned(),
            version: None,
            sent_at: NOW,
            deadline: NOW.plus_seconds(60),
        };
        let receipt = Receipt {
            query,
            grant: envelope.grant,
            provider: id("budapest"),
            consumer: id("cleveland"),
            actor,
            purpose: Purpose::HealthResearch,
            sql: envelope.sql_digest(),
            tier: Tier::Records,
            rows: 1,
            bytes: 7,
            suppressed_cells: 0,
            answer: Digest32::ZERO,
            outcome: Outcome::Completed,
            decision: Digest32::ZERO,
            ledger: ledger_head("budapest", 2),
            at: NOW,
        };
        Self {
            holder: id("budapest"),
            consumer: certificate("cleveland", 1),
            provider: certificate("budapest", 2),
            assertion,
            query: envelope,
            receipt,
            entry: EntryBody::DecisionMade {
                request: query,
                grant: None,
                permitted: true,
                reasons: Vec::new(),
                policy: Digest32::ZERO,
                sql: None,
            },
            countersign: true,
            consumer_ledger: Some(ledger_head("cleveland", 1)),
        }
    }

    /// The decision is recorded, the receipt names its entry, and everything is signed by its owner.
    fn bundle(mut self) -> EvidenceBundle {
        let entry = LedgerEntry {
            sequence: 0,
            previous: Digest32::ZERO,
            at: NOW,
            cause: Cause::Person {
                actor: self.assertion.actor.clone(),
            },
            body: self.entry.clone(),
        };
        let bytes = entry.encode().unwrap();
        let leaf = leaf_hash(&bytes);
        let mut tree = CompactTree::new();
        tree.push(leaf);
        let checkpoint = Checkpoint {
            institution: self.holder.clone(),
            size: 1,
            root: tree.root(),
            at: NOW,
        };
        let signed = Signed::sign(&checkpoint, &institution_key(12)).unwrap();
        let path = merkle::inclusion_path([leaf].as_slice(), 0, 1).unwrap();
        let proof = InclusionProof::new(self.holder.clone(), 0, bytes, path, signed.signed());
        if self.receipt.decision == Digest32::ZERO {
            self.receipt.decision = leaf;
        }
        self.query.actor = Signed::sign(&self.assertion, &node(1)).unwrap().signed().clone();
        let receipt = CoSigned::propose(&self.receipt)
            .unwrap()
            .add_signature(&node(2))
            .unwrap();
        let receipt = if self.countersign {
            receipt.add_signature(&node(1)).unwrap()
        } else {
            receipt
        };
        EvidenceBundle::new(
            self.holder,
            [
                Signed::sign(&self.consumer, &institution_key(11))
                    .unwrap()
                    .signed()
                    .clone(),
                Signed::sign(&self.provider, &institution_key(12))
                    .unwrap()
                    .signed()
                    .clone(),
            ],
            Signed::sign(&self.query, &node(1)).unwrap().signed().clone(),
            (receipt, self.consumer_ledger),
            vec![proof],
        )
    }
}

#[test]
fn valid_evidence_verifies_and_names_both_keys() {
    let text = serde_json::to_string(&Parts::valid().bundle()).unwrap();
    let read: EvidenceBundle = serde_json::from_str(&text).unwrap();
    let valid = read.check().unwrap();
    assert!(valid.countersigned);
    assert_eq!(valid.query.sql, "SELECT 1");
    assert_eq!(valid.consumer_key, institution_key(11).public());
    assert_eq!(valid.provider_key, institution_key(12).public());
    assert_eq!(valid.entries.len(), 1);
    let mut once = Parts::valid();
    once.countersign = false;
    once.consumer_ledger = None;
    assert!(!once.bundle().check().unwrap().countersigned);
}

/// For each part: the part is replaced by another one that is properly signed.
#[test]
fn evidence_of_parts_that_do_not_belong_together_is_refused() {
    type Change = fn(&mut Parts);
    let changes: [(&str, Change); 13] = [
        ("the holder is a third", |p| p.holder = id("zurich")),
        ("another consumer's certificate", |p| {
            p.consumer.institution = id("zurich")
        }),
        ("another provider's certificate", |p| {
            p.provider.institution = id("zurich")
        }),
        ("another node's certificate", |p| p.consumer.node = node(9).public()),
        ("a key that did not sign", |p| {
            p.provider.institution_key = institution_key(19).public();
        }),
        ("a certificate of another day", |p| {
            p.consumer.issued_at = NOW.plus_seconds(7200);
        }),
        ("a certificate that had expired", |p| {
            p.provider.not_after = NOW.plus_seconds(-7200)
        }),
        ("another text", |p| p.query.sql = "SELECT 2".to_owned()),
        ("another recipient", |p| p.query.to = id("zurich")),
        ("a person of another institution", |p| {
            p.assertion.actor = ActorId::new("eva@zurich").unwrap();
        }),
        ("a statement for another query", |p| {
            p.assertion.query = QueryId::from_bytes([9; 16]);
        }),
        ("a receipt about another query", |p| {
            p.receipt.query = QueryId::from_bytes([9; 16]);
        }),
        ("a receipt about another decision", |p| {
            p.receipt.decision = Digest32::from_bytes([9; 32]);
        }),
    ];
    for (what, change) in changes {
        let mut parts = Parts::valid();
        change(&mut parts);
        assert!(parts.bundle().check().is_err(), "{what}");
    }
    let mut other = Parts::valid();
    other.entry = EntryBody::AnswerLost {
        query: QueryId::from_bytes([9; 16]),
    };
    assert!(other.bundle().check().is_err(), "an entry about another query");
}

/// A changed byte makes the file unreadable or invalid, removes the second signature, or does not change its meaning.
#[test]
fn no_single_character_of_the_file_can_be_changed() {
    let text = serde_json::to_string(&Parts::valid().bundle()).unwrap();
    let summary = |valid: &ValidEvidence| format!("{valid:?}");
    let expected = summary(&serde_json::from_str::<EvidenceBundle>(&text).unwrap().check().unwrap());
    for at in (0..text.len()).step_by(7) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let Ok(read) = serde_json::from_slice::<EvidenceBundle>(&bytes) else {
            continue;
        };
        if let Ok(valid) = read.check() {
            let less = ValidEvidence {
                countersigned: true,
                ..valid
            };
            assert_eq!(summary(&less), expected, "byte {at}");
        }
    }
}
