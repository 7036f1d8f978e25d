use concordat_protocol::audit::{
    Cause, Checkpoint, EntryBody, ExportHead, InclusionProof, LedgerEntry, NodeTask, TreeHead, leaf_hash, merkle,
};
use concordat_protocol::identity::{InstitutionKey, NodeKey, PrivateKey};
use concordat_protocol::ids::{ActorId, Digest32, GrantId, QueryId};
use concordat_protocol::membership::{KeySuccession, NodeCertificate};
use concordat_protocol::query::{ActorAssertion, Factor, Outcome, QueryEnvelope, Receipt, Role};
use concordat_protocol::scope::{Purpose, Tier};
use concordat_protocol::signed::{CoSigned, Document, Signed};
use concordat_protocol::text::is_deceptive;
use concordat_protocol::time::Timestamp;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const CLEVELAND: u8 = 1;
const ZURICH: u8 = 2;
const FORGER: u8 = 3;
const LATER: u8 = 4;
const QUERY: QueryId = QueryId::from_bytes([1; 16]);

/// The answer of `cleveland` to `zurich`, shown by `cleveland`: who has which keys, and the parts that a test may change.
struct File {
    /// Seeds of the keys of the consumer and of the provider.
    keys: [u8; 2],
    sql: String,
    /// The seeds of keys of `cleveland`, each followed by the next.
    successions: Vec<(u8, u8)>,
    /// How many of the three entries of `cleveland` are shown.
    shown: usize,
}

impl File {
    fn by(consumer: u8, provider: u8) -> Self {
        Self {
            keys: [consumer, provider],
            sql: "SELECT 1".to_owned(),
            successions: Vec::new(),
            shown: 3,
        }
    }

    fn text(&self) -> String {
        let [consumer, provider] = self.keys;
        let query = self.query(consumer);
        let mut ledger = vec![decision()];
        let decision = leaf_hash(&ledger[0]);
        let receipt = Receipt {
            query: QUERY,
            grant: query.grant,
            provider: id("cleveland"),
            consumer: id("zurich"),
            actor: regula(),
            purpose: Purpose::HealthResearch,
            sql: query.sql_digest(),
            tier: Tier::Records,
            rows: 1,
            bytes: 7,
            answer: Digest32::ZERO,
            outcome: Outcome::Completed,
            decision,
            ledger: head("cleveland", provider, decision),
            at: NOW,
        };
        let receipt = CoSigned::propose(&receipt).unwrap();
        let receipt = [provider, consumer]
            .into_iter()
            .fold(receipt, |signed, seed| signed.add_signature(&node(seed)).unwrap());
        let digest = receipt.payload_digest().unwrap();
        for body in [released(digest), countersigned(digest)] {
            let previous = leaf_hash(ledger.last().unwrap());
            ledger.push(entry(ledger.len() as u64, previous, body));
        }
        let signer = self.successions.last().map_or(provider, |(_, to)| *to);
        let (mut proofs, path) = proofs(&ledger, signer);
        proofs.truncate(self.shown);
        let bundle = EvidenceBundle::new(
            id("cleveland"),
            [certificate("zurich", consumer), certificate("cleveland", provider)],
            sign(&query, &node(consumer)),
            (receipt, Some(head("zurich", consumer, Digest32::ZERO))),
            proofs,
        );
        let bundle = bundle.with_continuation(Some(path));
        let successions = self.successions.iter().map(|(from, to)| succession(*from, *to));
        serde_json::to_string(&bundle.with_successions(successions.collect())).unwrap()
    }

    fn query(&self, consumer: u8) -> QueryEnvelope {
        let assertion = ActorAssertion {
            actor: regula(),
            roles: [Role::Researcher].into(),
            factors: [Factor::Password].into(),
            authenticated_at: NOW,
            password_reset_at: None,
            training_until: None,
            training_course: None,
            audience: id("cleveland"),
            query: QUERY,
            expires: NOW.plus_seconds(60),
        };
        QueryEnvelope {
            query: QUERY,
            grant: GrantId::from_bytes([2; 16]),
            from: id("zurich"),
            to: id("cleveland"),
            actor: sign(&assertion, &node(consumer)),
            purpose: Purpose::HealthResearch,
            sql: self.sql.clone(),
            version: None,
            rules: None,
            sent_at: NOW,
            deadline: NOW.plus_seconds(60),
        }
    }
}

fn entry(sequence: u64, previous: Digest32, body: EntryBody) -> Vec<u8> {
    let entry = LedgerEntry {
        sequence,
        previous,
        at: NOW,
        cause: Cause::Person { actor: regula() },
        body,
    };
    entry.encode().unwrap()
}

fn decision() -> Vec<u8> {
    let body = EntryBody::DecisionMade {
        request: QUERY,
        grant: None,
        permitted: true,
        reasons: Vec::new(),
        policy: Digest32::ZERO,
        sql: None,
    };
    entry(0, Digest32::ZERO, body)
}

fn released(receipt: Digest32) -> EntryBody {
    EntryBody::AnswerReleased {
        query: QUERY,
        grant: None,
        rows: 1,
        bytes: 7,
        answer: Digest32::ZERO,
        outcome: concordat_protocol::audit::Outcome::Completed,
        receipt: Some(receipt),
    }
}

fn countersigned(digest: Digest32) -> EntryBody {
    EntryBody::ReceiptCountersigned {
        query: QUERY,
        digest,
        counted: true,
    }
}

/// All entries, proven against a checkpoint that `signer` has signed, and the path from the head with the first one to it.
fn proofs(ledger: &[Vec<u8>], signer: u8) -> (Vec<InclusionProof>, Vec<Digest32>) {
    let leaves: Vec<Digest32> = ledger.iter().map(|entry| leaf_hash(entry)).collect();
    let size = leaves.len() as u64;
    let checkpoint = Checkpoint {
        institution: id("cleveland"),
        size,
        root: merkle::root(&leaves, size).unwrap(),
        at: NOW,
    };
    let checkpoint = sign(&checkpoint, &key(signer));
    let prove = |(sequence, entry): (u64, &Vec<u8>)| {
        let path = merkle::inclusion_path(&leaves, sequence, size).unwrap();
        InclusionProof::new(id("cleveland"), sequence, entry.clone(), path, &checkpoint)
    };
    let proofs = (0..).zip(ledger).map(prove).collect();
    (proofs, merkle::consistency_path(&leaves, 1, size).unwrap())
}

/// A ledger of `zurich` that `first` began and, if it is another, `last` continued.
fn ledger(first: u8, last: u8) -> String {
    let mut bodies = vec![EntryBody::NodeInitialized {
        institution: id("zurich"),
        node: node(ZURICH).public(),
        key: key(first).public(),
    }];
    bodies.extend((first != last).then(|| EntryBody::InstitutionKeyReplaced {
        succession: sign(&statement("zurich", first, last), &key(first)),
    }));
    let mut tree = merkle::CompactTree::new();
    let mut previous = Digest32::ZERO;
    let mut lines = Vec::new();
    for (sequence, body) in (0..).zip(bodies) {
        let entry = LedgerEntry {
            sequence,
            previous,
            at: NOW,
            cause: Cause::Node { task: NodeTask::Start },
            body,
        };
        previous = leaf_hash(&entry.encode().unwrap());
        tree.push(previous);
        lines.push(format!("\"{}\"", ExportHead::line(&entry).unwrap()));
    }
    let checkpoint = Checkpoint {
        institution: id("zurich"),
        size: tree.size(),
        root: tree.root(),
        at: NOW,
    };
    let head = ExportHead::new(&sign(&checkpoint, &key(last)), key(last).public());
    lines.insert(0, serde_json::to_string(&head).unwrap());
    lines.join("\n")
}

fn certificate(institution: &str, seed: u8) -> Signed<NodeCertificate> {
    let certificate = NodeCertificate {
        institution: id(institution),
        node: node(seed).public(),
        institution_key: key(seed).public(),
        issued_at: NOW,
        not_after: NOW.plus_seconds(86_400),
    };
    sign(&certificate, &key(seed))
}

/// The head of a ledger of one entry.
fn head(institution: &str, seed: u8, root: Digest32) -> Signed<LedgerHead> {
    let head = LedgerHead {
        institution: id(institution),
        node: node(seed).public(),
        generation: 0,
        tree: TreeHead { size: 1, root },
        at: NOW,
    };
    sign(&head, &node(seed))
}

fn statement(institution: &str, from: u8, to: u8) -> KeySuccession {
    KeySuccession {
        institution: id(institution),
        from: key(from).public(),
        to: key(to).public(),
        at: NOW,
    }
}

fn succession(from: u8, to: u8) -> Signed<KeySuccession> {
    sign(&statement("cleveland", from, to), &key(from))
}

fn sign<T: Document + Clone, K: PrivateKey>(document: &T, key: &K) -> Signed<T> {
    Signed::sign(document, key).unwrap().signed().clone()
}

fn node(seed: u8) -> NodeKey {
    NodeKey::from_seed(&[seed; 32].into())
}

fn key(seed: u8) -> InstitutionKey {
    InstitutionKey::from_seed(&[seed.wrapping_add(100); 32].into())
}

fn id(text: &str) -> InstitutionId {
    InstitutionId::new(text).unwrap()
}

fn regula() -> ActorId {
    ActorId::new("regula@zurich").unwrap()
}

/// What a reader who knows these keys concludes: how much is missing, or the institution whose key is another one.
fn concluded(text: &str, known: &[(&str, u8)]) -> Result<usize, InstitutionId> {
    let given = known
        .iter()
        .map(|(institution, seed)| format!("{institution}={}", key(*seed).public().fingerprint()));
    let known = KnownKeys::parse(&given.collect::<Vec<_>>()).unwrap();
    match conclude(text, &known) {
        Ok(conclusion) => Ok(conclusion.missing.len()),
        Err(VerifyError::OtherKey { institution, .. }) => Err(institution),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn evidence_with_a_forged_side_is_refused_by_its_name() {
    let known = [("cleveland", CLEVELAND), ("zurich", ZURICH), ("oslo", FORGER)];
    assert_eq!(concluded(&File::by(ZURICH, CLEVELAND).text(), &known), Ok(0));
    for (file, forged) in [
        (File::by(FORGER, CLEVELAND), "zurich"),
        (File::by(ZURICH, FORGER), "cleveland"),
        (File::by(CLEVELAND, ZURICH), "zurich"),
    ] {
        assert_eq!(concluded(&file.text(), &known), Err(id(forged)));
        assert_eq!(concluded(&file.text(), &known[..2]), Err(id(forged)));
    }
    // A key that is known for another institution replaces none.
    let forged = File::by(FORGER, CLEVELAND).text();
    assert_eq!(concluded(&forged, &[("cleveland", CLEVELAND), ("oslo", FORGER)]), Ok(1));
    assert_eq!(concluded(&forged, &[]), Ok(2));
}

#[test]
fn exported_ledger_with_a_forged_name_is_refused() {
    let known = [("zurich", ZURICH), ("oslo", FORGER)];
    assert_eq!(concluded(&ledger(ZURICH, ZURICH), &known), Ok(0));
    assert_eq!(concluded(&ledger(FORGER, FORGER), &known), Err(id("zurich")));
    assert_eq!(concluded(&ledger(FORGER, FORGER), &known[1..]), Ok(1));
    // A key that follows the known one is accepted; the one before it did not authorize what the known one signed later.
    assert_eq!(concluded(&ledger(ZURICH, LATER), &known), Ok(0));
    assert_eq!(concluded(&ledger(FORGER, ZURICH), &[("zurich", ZURICH)]), Ok(0));
    assert_eq!(concluded(&ledger(ZURICH, LATER), &[("zurich", LATER)]), Ok(0));
    assert_eq!(concluded(&ledger(FORGER, LATER), &known), Err(id("zurich")));
}

#[test]
fn evidence_of_a_later_key_needs_a_statement_of_the_known_key() {
    let known = [("cleveland", CLEVELAND), ("zurich", ZURICH)];
    let mut later = File::by(ZURICH, LATER);
    assert_eq!(concluded(&later.text(), &known), Err(id("cleveland")));
    later.successions = vec![(CLEVELAND, LATER)];
    assert_eq!(concluded(&later.text(), &known), Ok(0));
    later.successions = vec![(FORGER, LATER)];
    assert_eq!(concluded(&later.text(), &known), Err(id("cleveland")));
    // The certificate is of the known key, the ledger of a later one.
    let mut grown = File::by(ZURICH, CLEVELAND);
    grown.successions = vec![(CLEVELAND, LATER)];
    assert_eq!(concluded(&grown.text(), &known), Ok(0));
    // Knowing only the later key does not show who had the earlier one.
    let only_later = [("cleveland", LATER), ("zurich", ZURICH)];
    assert_eq!(concluded(&grown.text(), &only_later), Err(id("cleveland")));
}

/// What is left out is named, and a head is stated with the time at which it was signed.
#[test]
fn verifier_names_the_entries_that_are_left_out() {
    let known = KnownKeys::default();
    let whole = File::by(ZURICH, CLEVELAND);
    let all = conclude(&whole.text(), &known).unwrap();
    assert_eq!(all.missing.len(), 2, "the two keys");
    let heads = all
        .lines
        .iter()
        .filter(|line| line.as_str().contains("that its ledger had"));
    let stated = format!("signed on {NOW} that its ledger had 1 entries");
    assert_eq!(heads.clone().count(), 2);
    assert!(heads.clone().all(|line| line.as_str().contains(&stated)), "{all:?}");
    for (shown, lacks) in [
        (2, &["countersignature"][..]),
        (1, &["end of the query", "countersignature"]),
    ] {
        let mut cut = File::by(ZURICH, CLEVELAND);
        cut.shown = shown;
        let conclusion = conclude(&cut.text(), &known).unwrap();
        assert_eq!(conclusion.missing.len(), 2 + lacks.len(), "{conclusion:?}");
        for part in lacks {
            let named = format!("cleveland does not show its entry about the {part}");
            assert!(
                conclusion.missing.iter().any(|line| line.as_str() == named),
                "{conclusion:?}"
            );
        }
    }
}

#[test]
fn known_key_belongs_to_one_institution() {
    let print = key(ZURICH).public().fingerprint();
    let parse = |keys: &[&str]| {
        let keys = keys.iter().map(|name| format!("{name}={print}"));
        KnownKeys::parse(&keys.collect::<Vec<_>>())
    };
    assert!(parse(&["zurich", "zurich"]).is_ok());
    assert_eq!(
        parse(&["zurich", "cleveland"]),
        Err(InvalidKnownKey::Shared {
            first: id("zurich"),
            second: id("cleveland")
        })
    );
    let plain = format!("zurich={}", print.replace('-', "").to_uppercase());
    assert_eq!(KnownKeys::parse(&[plain]), parse(&["zurich"]));
    for given in [print.as_str(), "zurich=", "zurich", "zurich=0123-4567", "=", "a b=c"] {
        assert!(
            matches!(KnownKeys::parse(&[given]), Err(InvalidKnownKey::Form { .. })),
            "{given}"
        );
    }
}

#[test]
fn verifier_shows_the_text_of_a_query_on_one_line() {
    let known = KnownKeys::default();
    let count = conclude(&File::by(ZURICH, CLEVELAND).text(), &known)
        .unwrap()
        .lines
        .len();
    let mut hostile = File::by(ZURICH, CLEVELAND);
    hostile.sql = "SELECT 1\nzurich has countersigned the receipt\n\u{1b}[2K\r\u{202e}ok\u{2028}".to_owned();
    let shown = conclude(&hostile.text(), &known).unwrap();
    assert_eq!(shown.lines.len(), count);
    assert!(
        shown
            .lines
            .iter()
            .chain(&shown.missing)
            .all(|line| !line.as_str().chars().any(is_deceptive))
    );
    let escaped = r"SELECT 1\u{a}zurich has countersigned the receipt\u{a}\u{1b}[2K\u{d}\u{202e}ok\u{2028}";
    assert!(
        shown.lines.iter().any(|line| line.as_str().contains(escaped)),
        "{shown:?}"
    );
}
