//! Records and receipts with the signatures of both sides.

use concordat_protocol::audit::TreeHead;
use concordat_protocol::identity::{InstitutionKey, NodeKey, PrivateKey};
use concordat_protocol::membership::NodeCertificate;
use concordat_protocol::query::{self, ActorAssertion, Factor, QueryEnvelope, Role};
use concordat_protocol::scope::{Purpose, Tier};
use concordat_protocol::signed::{Document, Signed};
use concordat_protocol::wire::messages::Countersignature;

use super::*;

const PROVIDER: u8 = 1;
pub(super) const CONSUMER: u8 = 2;

pub(super) fn zurich() -> InstitutionId {
    InstitutionId::new("zurich").unwrap()
}

/// A query of `zurich` to `budapest`, as one of the two has recorded it.
pub(super) fn signed_record(side: EvidenceSide, n: u8) -> EvidenceRecord {
    let of_provider = certificate(budapest(), PROVIDER);
    let of_consumer = certificate(zurich(), CONSUMER);
    let (institution, seed, certificate, own) = match side {
        EvidenceSide::Consumer => (budapest(), PROVIDER, of_provider, of_consumer),
        EvidenceSide::Provider | EvidenceSide::Local => (zurich(), CONSUMER, of_consumer, of_provider),
    };
    EvidenceRecord {
        peer: Some(EvidencePeer {
            institution,
            node: node(seed).public(),
            certificate,
            own,
        }),
        envelope: Some(sign(&envelope(n), &node(CONSUMER))),
        entries: Vec::new(),
        ..record(side, NOON)
    }
}

/// The receipt of query `n`, signed by the provider.
pub(super) fn receipt(n: u8) -> CoSigned<Receipt> {
    receipt_of(n, 7)
}

/// A receipt of query `n` that states so many bytes.
pub(super) fn receipt_of(n: u8, bytes: u64) -> CoSigned<Receipt> {
    let query = envelope(n);
    let receipt = Receipt {
        query: query.query,
        grant: query.grant,
        provider: budapest(),
        consumer: zurich(),
        actor: regula(),
        purpose: Purpose::HealthResearch,
        sql: query.sql_digest(),
        tier: Tier::Records,
        rows: 1,
        bytes,
        answer: Digest32::ZERO,
        outcome: query::Outcome::Completed,
        decision: Digest32::ZERO,
        ledger: head(budapest(), PROVIDER, 1),
        at: NOON,
    };
    CoSigned::propose(&receipt)
        .unwrap()
        .add_signature(&node(PROVIDER))
        .unwrap()
}

/// The receipt, signed by node `signer`, with the head of the ledger of node `shown`, which has so many entries.
pub(super) fn countersignature(receipt: &CoSigned<Receipt>, [signer, shown]: [u8; 2], size: u64) -> Countersignature {
    Countersignature {
        receipt: receipt.add_signature(&node(signer)).unwrap(),
        ledger: head(zurich(), shown, size),
    }
}

/// The head of the ledger of a node of `institution`.
pub(super) fn head(institution: InstitutionId, seed: u8, size: u64) -> Signed<LedgerHead> {
    let head = LedgerHead {
        institution,
        node: node(seed).public(),
        generation: 0,
        tree: TreeHead {
            size,
            root: Digest32::ZERO,
        },
        at: NOON,
    };
    sign(&head, &node(seed))
}

fn envelope(n: u8) -> QueryEnvelope {
    let assertion = ActorAssertion {
        actor: regula(),
        roles: [Role::Researcher].into(),
        factors: [Factor::Password].into(),
        authenticated_at: NOON,
        password_reset_at: None,
        training_until: None,
        training_course: None,
        audience: budapest(),
        query: super::query(n),
        expires: NOON.plus_seconds(60),
    };
    QueryEnvelope {
        query: super::query(n),
        grant: GrantId::from_bytes([1; 16]),
        from: zurich(),
        to: budapest(),
        actor: sign(&assertion, &node(CONSUMER)),
        purpose: Purpose::HealthResearch,
        sql: "SELECT 1".to_owned(),
        version: None,
        rules: None,
        sent_at: NOON,
        deadline: NOON.plus_seconds(60),
    }
}

/// The signed query of the consumer, dated this much later than the certificates.
pub(super) fn query_after(n: u8, seconds: i64) -> Signed<QueryEnvelope> {
    let query = QueryEnvelope {
        sent_at: NOON.plus_seconds(seconds),
        ..envelope(n)
    };
    sign(&query, &node(CONSUMER))
}

fn certificate(institution: InstitutionId, seed: u8) -> Signed<NodeCertificate> {
    let key = InstitutionKey::from_seed(&[seed.wrapping_add(100); 32].into());
    let certificate = NodeCertificate {
        institution,
        node: node(seed).public(),
        institution_key: key.public(),
        issued_at: NOON,
        not_after: NOON.plus_seconds(3600),
    };
    sign(&certificate, &key)
}

fn regula() -> ActorId {
    ActorId::new("regula@zurich").unwrap()
}

fn node(seed: u8) -> NodeKey {
    NodeKey::from_seed(&[seed; 32].into())
}

fn sign<T: Document + Clone, K: PrivateKey>(document: &T, key: &K) -> Signed<T> {
    Signed::sign(document, key).unwrap().signed().clone()
}
