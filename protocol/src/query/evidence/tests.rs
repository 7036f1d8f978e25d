use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::*;
use crate::audit::merkle;
use crate::audit::{Cause, Checkpoint, LedgerHead, TreeHead, leaf_hash};
use crate::identity::{InstitutionKey, NodeKey, PrivateKey};
use crate::ids::{ActorId, GrantId};
use crate::query::{Factor, InvalidQuery, MAX_QUERY_AGE_MS, Outcome, Parties, Role, ValidQuery};
use crate::scope::{Purpose, Tier};
use crate::text::Label;
use crate::time::{MAX_CLOCK_SKEW_MS, Timestamp};

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

mod complete;

#[test]
fn receipt_with_a_foreign_ledger_head_is_no_evidence() {
    for (institution, seed) in [("budapest", 1), ("cleveland", 2), ("cleveland", 1)] {
        let mut parts = Parts::valid();
        parts.receipt.ledger = ledger_head(institution, seed);
        assert!(parts.bundle().check().is_err(), "{institution} {seed}");
    }
    let mut parts = Parts::valid();
    parts.receipt.ledger = ledger_head("budapest", 1);
    let refused = parts.bundle().check().unwrap_err();
    assert!(matches!(refused, EvidenceError::Head(_)), "{refused:?}");
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
    /// The decision of the provider.
    entry: EntryBody,
    /// When the first entry about the query was made.
    entry_at: Timestamp,
    /// Entries of the holder before the first one about the query.
    before: u64,
    /// Further entries of the holder after the last one.
    extra: Vec<EntryBody>,
    countersign: bool,
    consumer_ledger: Option<Signed<LedgerHead>>,
    successions: Vec<Signed<KeySuccession>>,
    /// Seeds of the provider's two keys: its node's and its institution's.
    provider_keys: (u8, u8),
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
            training_course: None,
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
            rules: None,
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
            entry_at: NOW,
            before: 0,
            extra: Vec::new(),
            countersign: true,
            consumer_ledger: Some(ledger_head("cleveland", 1)),
            successions: Vec::new(),
            provider_keys: (2, 12),
        }
    }

    /// The provider uses these keys everywhere.
    fn with_provider_keys(mut self, node_key: u8, key: u8) -> Self {
        self.provider_keys = (node_key, key);
        self.provider.node = node(node_key).public();
        self.provider.institution_key = institution_key(key).public();
        self.receipt.ledger = ledger_head("budapest", node_key);
        self
    }

    fn certificates(&self) -> [Signed<NodeCertificate>; 2] {
        [(&self.consumer, 11), (&self.provider, self.provider_keys.1)].map(|(certificate, key)| {
            Signed::sign(certificate, &institution_key(key))
                .unwrap()
                .signed()
                .clone()
        })
    }

    fn signed_query(&self) -> Signed<QueryEnvelope> {
        let actor = Signed::sign(&self.assertion, &node(1)).unwrap().signed().clone();
        let query = QueryEnvelope {
            actor,
            ..self.query.clone()
        };
        Signed::sign(&query, &node(1)).unwrap().signed().clone()
    }

    /// The holder's ledger has `before` other entries and then all of this query; the head of its node is signed when it has to be, and everything
    /// is signed by its owner.
    fn bundle(mut self) -> EvidenceBundle {
        let by_consumer = self.holder == id("cleveland");
        let mut ledger = TestLedger::default();
        for _ in 0..self.before {
            let version = Label::sanitized("1");
            ledger.push(NOW, EntryBody::NodeStarted { version, start: None });
        }
        let first = if by_consumer { self.opened() } else { self.entry.clone() };
        let leaf = ledger.push(self.entry_at, first);
        if self.receipt.decision == Digest32::ZERO {
            self.receipt.decision = leaf;
        }
        if !by_consumer {
            self.receipt.ledger = ledger.head(&self.receipt.ledger, self.provider_keys.0);
        }
        let receipt = CoSigned::propose(&self.receipt)
            .unwrap()
            .add_signature(&node(self.provider_keys.0))
            .unwrap();
        let digest = receipt.payload_digest().unwrap();
        let receipt = if self.countersign {
            receipt.add_signature(&node(1)).unwrap()
        } else {
            receipt
        };
        if self.countersign {
            ledger.push(NOW, countersigned(self.query.query, digest));
        }
        let mut head = self.receipt.ledger.clone();
        if by_consumer {
            self.consumer_ledger = self.consumer_ledger.map(|shown| ledger.head(&shown, 1));
            head = self.consumer_ledger.clone().unwrap_or(head);
        }
        ledger.push(
            NOW,
            if by_consumer {
                self.closed()
            } else {
                self.released(digest)
            },
        );
        for body in self.extra.clone() {
            ledger.push(NOW, body);
        }
        let key = if by_consumer { 11 } else { self.provider_keys.1 };
        let proofs = ledger.proofs(&self.holder, self.before, key);
        let head = head.peek_unverified().unwrap().tree;
        let path = merkle::consistency_path(&ledger.leaves, head.size, ledger.leaves.len() as u64);
        let shown = self.countersign || !by_consumer;
        let certificates = self.certificates();
        let query = self.signed_query();
        let receipt = (receipt, self.consumer_ledger);
        EvidenceBundle::new(self.holder, certificates, query, receipt, proofs)
            .with_continuation(path.ok().filter(|_| shown))
            .with_successions(self.successions)
    }

    fn opened(&self) -> EntryBody {
        EntryBody::QueryOpened {
            query: self.query.query,
            provider: id("budapest"),
            grant: self.query.grant,
            sql: self.query.sql_digest(),
        }
    }

    fn closed(&self) -> EntryBody {
        EntryBody::QueryClosed {
            query: self.query.query,
            rows: 1,
            bytes: 7,
            outcome: crate::audit::Outcome::Completed,
        }
    }

    fn released(&self, receipt: Digest32) -> EntryBody {
        EntryBody::AnswerReleased {
            query: self.query.query,
            grant: Some(self.query.grant),
            rows: 1,
            bytes: 7,
            answer: Digest32::ZERO,
            outcome: crate::audit::Outcome::Completed,
            receipt: Some(receipt),
        }
    }
}

fn countersigned(query: QueryId, digest: Digest32) -> EntryBody {
    EntryBody::ReceiptCountersigned {
        query,
        digest,
        counted: true,
    }
}

/// The ledger of a holder.
#[derive(Default)]
struct TestLedger {
    entries: Vec<Vec<u8>>,
    leaves: Vec<Digest32>,
}

impl TestLedger {
    fn push(&mut self, at: Timestamp, body: EntryBody) -> Digest32 {
        let entry = LedgerEntry {
            sequence: self.entries.len() as u64,
            previous: self.leaves.last().copied().unwrap_or(Digest32::ZERO),
            at,
            cause: Cause::Person {
                actor: ActorId::new("eva@cleveland").unwrap(),
            },
            body,
        };
        let bytes = entry.encode().unwrap();
        let leaf = leaf_hash(&bytes);
        self.entries.push(bytes);
        self.leaves.push(leaf);
        leaf
    }

    fn tree(&self) -> TreeHead {
        let size = self.leaves.len() as u64;
        let root = merkle::root(&self.leaves, size).unwrap();
        TreeHead { size, root }
    }

    /// The same head with the present tree; one that was changed on purpose stays as it is.
    fn head(&self, shown: &Signed<LedgerHead>, seed: u8) -> Signed<LedgerHead> {
        let head = shown.peek_unverified().unwrap();
        if head.tree.root != Digest32::ZERO || head.node != node(seed).public() {
            return shown.clone();
        }
        let tree = self.tree();
        Signed::sign(&LedgerHead { tree, ..head }, &node(seed))
            .unwrap()
            .signed()
            .clone()
    }

    /// Of all entries from `first` on.
    fn proofs(&self, holder: &InstitutionId, first: u64, key: u8) -> Vec<InclusionProof> {
        let TreeHead { size, root } = self.tree();
        let checkpoint = Checkpoint {
            institution: holder.clone(),
            size,
            root,
            at: NOW,
        };
        let signed = Signed::sign(&checkpoint, &institution_key(key)).unwrap();
        let prove = |sequence: u64| {
            let path = merkle::inclusion_path(&self.leaves, sequence, size).unwrap();
            let entry = self.entries[usize::try_from(sequence).unwrap()].clone();
            InclusionProof::new(holder.clone(), sequence, entry, path, signed.signed())
        };
        (first..size).map(prove).collect()
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
    assert_eq!((valid.entries.len(), valid.missing.len()), (3, 0));
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

/// One release must not look like several.
#[test]
fn evidence_with_an_entry_proven_twice_is_refused() {
    let mut bundle = Parts::valid().bundle();
    bundle.proofs.push(bundle.proofs[0].clone());
    let refused = bundle.check().unwrap_err();
    assert!(matches!(refused, EvidenceError::Inconsistent { .. }), "{refused:?}");
    // Of another history of the ledger, with the same number.
    let mut forked = Parts::valid();
    forked.entry = EntryBody::AnswerLost {
        query: forked.query.query,
    };
    let mut bundle = Parts::valid().bundle();
    bundle.proofs.extend(forked.bundle().proofs);
    let refused = bundle.check().unwrap_err();
    assert!(matches!(refused, EvidenceError::Inconsistent { .. }), "{refused:?}");
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

/// The forger has one key and one node, and writes two names.
#[test]
fn evidence_by_one_key_for_both_sides_is_refused() {
    let refused = |node_key, key| {
        let parts = Parts::valid().with_provider_keys(node_key, key);
        parts.bundle().check().map(|valid| valid.countersigned)
    };
    assert_eq!(refused(2, 12), Ok(true));
    assert_eq!(refused(3, 13), Ok(true));
    assert_eq!(
        refused(2, 11),
        Err(EvidenceError::Inconsistent {
            what: "both sides have the same key"
        })
    );
    assert_eq!(
        refused(1, 12),
        Err(EvidenceError::Inconsistent {
            what: "both sides are the same node"
        })
    );
}

/// At each end of the ages at which a query is admitted, with the certificates that the provider has at that moment.
#[test]
fn evidence_of_a_query_of_any_admitted_age_is_valid() {
    let parties = Parties {
        peer: node(1).public(),
        consumer: id("cleveland"),
        provider: id("budapest"),
    };
    let oldest = -MAX_QUERY_AGE_MS - MAX_CLOCK_SKEW_MS;
    for (age, admitted) in [
        (oldest - 1, false),
        (oldest, true),
        (-MAX_CLOCK_SKEW_MS - 1, true),
        (0, true),
        (MAX_CLOCK_SKEW_MS, true),
        (MAX_CLOCK_SKEW_MS + 1, false),
    ] {
        for (issued, ends) in [(-1000, 86_400_000), (MAX_CLOCK_SKEW_MS, 86_400_000), (-86_400_000, 0)] {
            let mut parts = Parts::valid();
            parts.query.sent_at = NOW.plus_millis(age);
            parts.consumer.issued_at = NOW.plus_millis(issued);
            parts.consumer.not_after = NOW.plus_millis(ends);
            let query = ValidQuery::check(parts.signed_query(), &parties, NOW);
            assert_eq!(query.is_ok(), admitted, "{age}");
            assert!(
                query.is_ok() || matches!(query, Err(InvalidQuery::NotFresh(_))),
                "{age}"
            );
            if admitted {
                let attested = AttestedQuery::check(parts.certificates(), parts.signed_query());
                assert!(attested.is_ok(), "{age} {issued} {ends}: {attested:?}");
                assert!(parts.bundle().check().is_ok(), "{age} {issued} {ends}");
            }
        }
    }
}

/// What a node accepts step by step is what a reader of the bundle accepts.
#[test]
fn countersignature_needs_both_signatures_of_the_querying_node() {
    let parts = Parts::valid();
    let attested = AttestedQuery::check(parts.certificates(), parts.signed_query()).unwrap();
    let receipt = CoSigned::propose(&parts.receipt).unwrap();
    let receipt = receipt.add_signature(&node(2)).unwrap();
    assert!(
        attested
            .check_receipt(&receipt, None)
            .unwrap()
            .consumer_ledger
            .is_none()
    );
    let by = |seed: u8| receipt.add_signature(&node(seed)).unwrap();
    let head = |seed: u8| ledger_head("cleveland", seed);
    let valid = attested.check_receipt(&by(1), Some(&head(1))).unwrap();
    assert_eq!(valid.consumer_ledger.unwrap().node, node(1).public());
    assert_eq!(valid.receipt, parts.receipt);
    for (signer, shown) in [(1, Some(9)), (9, Some(1)), (9, Some(9)), (2, Some(1)), (1, None)] {
        let shown = shown.map(head);
        assert!(
            attested.check_receipt(&by(signer), shown.as_ref()).is_err(),
            "{signer} {shown:?}"
        );
    }
    assert!(attested.check_receipt(&receipt, Some(&head(1))).is_err());
}

#[test]
fn evidence_names_earlier_keys_only_if_they_signed_the_next() {
    let succession = |signer: u8, from: u8, to: u8| {
        let named = KeySuccession {
            institution: id("budapest"),
            from: institution_key(from).public(),
            to: institution_key(to).public(),
            at: NOW,
        };
        Signed::sign(&named, &institution_key(signer)).unwrap().signed().clone()
    };
    let earlier = |successions: Vec<Signed<KeySuccession>>| {
        let mut parts = Parts::valid();
        parts.successions = successions;
        parts.bundle().check().unwrap().earlier_keys
    };
    let key = |seed: u8| institution_key(seed).public();
    assert_eq!(earlier(Vec::new()), []);
    assert_eq!(
        earlier(vec![succession(20, 20, 21), succession(21, 21, 12)]),
        [key(21), key(20)]
    );
    assert_eq!(earlier(vec![succession(9, 20, 21), succession(21, 21, 12)]), [key(21)]);
    assert_eq!(earlier(vec![succession(9, 21, 12)]), []);
    assert_eq!(earlier(vec![succession(21, 21, 12), succession(20, 20, 22)]), []);
}
