//! Evidence, for readers who trust neither side, of who queried what and what was released.
//!
//! 1. Each node's certificate is signed by the key of its institution; compare the fingerprints of these two keys with the ones
//!    that you know.
//! 2. The query is signed by the consumer's node and names the person, the grant, the purpose and the text.
//! 3. The receipt is signed by the provider's node, and by the consumer's if it has countersigned.
//! 4. The receipt carries the head of the provider's ledger at that time, signed by the provider's node; the
//!    countersignature comes with the head of the consumer's ledger.
//! 5. The holder's ledger entries about the query are proven against its signed checkpoint.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::{ActorAssertion, QueryEnvelope, Receipt};
use crate::audit::{EntryBody, HeadError, InclusionProof, LedgerEntry, LedgerHead, ProofError};
use crate::identity::InstitutionPublicKey;
use crate::ids::{Digest32, InstitutionId, QueryId};
use crate::membership::{KeySuccession, KeySuccessionError, NodeCertificate, key_after};
use crate::signed::{CoSigned, Document, SignatureError, Signed};
use crate::time::{MAX_CLOCK_SKEW_MS, Timestamp};

/// The only format of the file.
const FORMAT: &str = "concordat-evidence/2";
/// Most ledger entries about one query.
const MAX_PROOFS: usize = 16;

/// The whole evidence of one query, from one of the two sides; written as JSON, with signed documents in base64.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceBundle {
    format: String,
    /// Which of the two institutions wrote the file.
    pub holder: InstitutionId,
    #[serde(with = "document")]
    consumer: Signed<NodeCertificate>,
    #[serde(with = "document")]
    provider: Signed<NodeCertificate>,
    #[serde(with = "document")]
    query: Signed<QueryEnvelope>,
    #[serde(with = "co_document")]
    receipt: CoSigned<Receipt>,
    #[serde(with = "optional_document")]
    consumer_ledger: Option<Signed<LedgerHead>>,
    proofs: Vec<InclusionProof>,
    /// The successions from the holder's key at that time to the one that signed its checkpoint.
    #[serde(default, with = "documents", skip_serializing_if = "Vec::is_empty")]
    successions: Vec<Signed<KeySuccession>>,
}

/// Evidence that was checked.
#[derive(Clone, Debug)]
pub struct ValidEvidence {
    /// The query as signed by the consumer's node.
    pub query: QueryEnvelope,
    /// What that node stated about the person.
    pub assertion: ActorAssertion,
    /// The receipt as signed by the provider's node.
    pub receipt: Receipt,
    /// Whether the consumer's node has signed it as well.
    pub countersigned: bool,
    /// The head of the consumer's ledger that contains its countersignature; `None` without a countersignature.
    pub consumer_ledger: Option<LedgerHead>,
    /// The key of the consumer's institution, as its certificate names it.
    pub consumer_key: InstitutionPublicKey,
    /// The key of the provider's institution, as its certificate names it.
    pub provider_key: InstitutionPublicKey,
    /// The holder's ledger entries about the query, each proven.
    pub entries: Vec<LedgerEntry>,
}

impl EvidenceBundle {
    /// Assembles evidence without checking it.
    pub fn new(
        holder: InstitutionId,
        [consumer, provider]: [Signed<NodeCertificate>; 2],
        query: Signed<QueryEnvelope>,
        (receipt, consumer_ledger): (CoSigned<Receipt>, Option<Signed<LedgerHead>>),
        proofs: Vec<InclusionProof>,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            holder,
            consumer,
            provider,
            query,
            receipt,
            consumer_ledger,
            proofs,
            successions: Vec::new(),
        }
    }

    /// Adds the successions of the holder's keys, for a ledger that is signed by a later key than the certificate. Successions
    /// before the certificate's key are skipped.
    #[must_use]
    pub fn with_successions(mut self, successions: Vec<Signed<KeySuccession>>) -> Self {
        self.successions = successions;
        self
    }

    /// Checks everything that can be checked with the keys in the bundle. The reader has to compare the keys with known
    /// fingerprints.
    ///
    /// # Errors
    /// [`EvidenceError`] names the first check that fails.
    pub fn check(self) -> Result<ValidEvidence, EvidenceError> {
        if self.format != FORMAT {
            return Err(EvidenceError::Format);
        }
        let (consumer, provider) = (
            certified(self.consumer, "consumer")?,
            certified(self.provider, "provider")?,
        );
        let query = self.query.verify(consumer.node).map_err(EvidenceError::Query)?;
        let query = query.document().clone();
        let assertion = query
            .actor
            .clone()
            .verify(consumer.node)
            .map_err(EvidenceError::Query)?;
        let assertion = assertion.document().clone();
        consistent(&query, &assertion, &consumer, &provider)?;
        let both = self.receipt.clone().verify(&[provider.node, consumer.node]);
        let countersigned = match both {
            Ok(_) => true,
            Err(SignatureError::MissingSignature) => false,
            Err(other) => return Err(EvidenceError::Receipt(other)),
        };
        let verified = self.receipt.verify(&[provider.node]).map_err(EvidenceError::Receipt)?;
        let receipt = verified.document().clone();
        about(&receipt, &query, &assertion)?;
        let head = receipt.ledger.head_of(provider.node, &provider.institution);
        head.map_err(EvidenceError::Head)?;
        let consumer_ledger = self.consumer_ledger.as_ref();
        let consumer_ledger = consumer_ledger.map(|head| head.head_of(consumer.node, &consumer.institution));
        let consumer_ledger = consumer_ledger.transpose().map_err(EvidenceError::ConsumerHead)?;
        if consumer_ledger.is_some() != countersigned {
            return Err(EvidenceError::Inconsistent {
                what: "a countersignature and the head of the consumer's ledger are valid only together",
            });
        }
        for (certificate, of) in [(&consumer, "consumer"), (&provider, "provider")] {
            in_time(certificate, of, query.sent_at)?;
        }
        let key = match &self.holder {
            holder if *holder == consumer.institution => consumer.institution_key,
            holder if *holder == provider.institution => provider.institution_key,
            _ => return Err(EvidenceError::Holder),
        };
        let later = self.successions.iter().skip_while(|signed| !starts_at(signed, key));
        let later: Vec<_> = later.cloned().collect();
        let key = key_after(&self.holder, key, &later).map_err(EvidenceError::Successions)?;
        let by_provider = self.holder == provider.institution;
        let entries = proven(
            &self.proofs,
            &self.holder,
            key,
            by_provider.then_some(&receipt),
            query.query,
        )?;
        Ok(ValidEvidence {
            query,
            assertion,
            receipt,
            countersigned,
            consumer_ledger,
            consumer_key: consumer.institution_key,
            provider_key: provider.institution_key,
            entries,
        })
    }
}

/// The certificate, if the key of its own institution has signed it.
fn certified(signed: Signed<NodeCertificate>, of: &'static str) -> Result<NodeCertificate, EvidenceError> {
    let failed = |source| EvidenceError::Certificate { of, source };
    let key = signed.peek_unverified().map_err(failed)?.institution_key;
    Ok(signed.verify(key).map_err(failed)?.document().clone())
}

fn in_time(certificate: &NodeCertificate, of: &'static str, at: Timestamp) -> Result<(), EvidenceError> {
    let begun = certificate.issued_at.since(at) <= MAX_CLOCK_SKEW_MS;
    if begun && at.since(certificate.not_after) <= MAX_CLOCK_SKEW_MS {
        Ok(())
    } else {
        Err(EvidenceError::OutOfTime { of })
    }
}

fn consistent(
    query: &QueryEnvelope,
    assertion: &ActorAssertion,
    consumer: &NodeCertificate,
    provider: &NodeCertificate,
) -> Result<(), EvidenceError> {
    let checks = [
        ("the query names another consumer", query.from == consumer.institution),
        ("the query names another provider", query.to == provider.institution),
        (
            "both sides are the same institution",
            consumer.institution != provider.institution,
        ),
        (
            "the person belongs to another institution",
            assertion.actor.belongs_to(&consumer.institution),
        ),
        (
            "the statement about the person is for another provider",
            assertion.audience == provider.institution,
        ),
        (
            "the statement about the person is for another query",
            assertion.query == query.query,
        ),
    ];
    first_failed(checks)
}

/// The same checks as before a countersignature, except for the bytes of the answer, which are no longer available.
fn about(receipt: &Receipt, query: &QueryEnvelope, assertion: &ActorAssertion) -> Result<(), EvidenceError> {
    let stated = super::Received {
        bytes: receipt.bytes,
        answer: receipt.answer,
    };
    receipt
        .matches(query, &assertion.actor, stated)
        .map_err(|_| EvidenceError::Inconsistent {
            what: "the receipt is about another query",
        })
}

fn first_failed<const N: usize>(checks: [(&'static str, bool); N]) -> Result<(), EvidenceError> {
    match checks.into_iter().find(|(_, valid)| !valid) {
        Some((what, _)) => Err(EvidenceError::Inconsistent { what }),
        None => Ok(()),
    }
}

fn proven(
    proofs: &[InclusionProof],
    holder: &InstitutionId,
    key: InstitutionPublicKey,
    answered: Option<&Receipt>,
    query: QueryId,
) -> Result<Vec<LedgerEntry>, EvidenceError> {
    if proofs.is_empty() || proofs.len() > MAX_PROOFS {
        return Err(EvidenceError::Proofs);
    }
    let (mut entries, mut leaves) = (Vec::new(), BTreeSet::<Digest32>::new());
    for proof in proofs {
        let entry = proof.check(key).map_err(EvidenceError::Ledger)?;
        if proof.institution != *holder || query_of(&entry.entry().body) != Some(query) {
            return Err(EvidenceError::Inconsistent {
                what: "a ledger entry is about another query",
            });
        }
        leaves.insert(entry.leaf());
        entries.push(entry.entry().clone());
    }
    if answered.is_some_and(|receipt| !leaves.contains(&receipt.decision)) {
        return Err(EvidenceError::Inconsistent {
            what: "the decision that the receipt names is not among the proven entries",
        });
    }
    Ok(entries)
}

/// Whether a statement names `key` as the old key; its signature is checked afterward.
fn starts_at(signed: &Signed<KeySuccession>, key: InstitutionPublicKey) -> bool {
    signed.peek_unverified().is_ok_and(|named| named.from == key)
}

/// The query that an entry is about.
pub const fn query_of(body: &EntryBody) -> Option<QueryId> {
    match body {
        EntryBody::DecisionMade { request, .. } => Some(*request),
        EntryBody::AnswerReleased { query, .. }
        | EntryBody::ReceiptCountersigned { query, .. }
        | EntryBody::ReceiptWrittenOff { query, .. }
        | EntryBody::QueryOpened { query, .. }
        | EntryBody::QueryClosed { query, .. }
        | EntryBody::AnswerLost { query } => Some(*query),
        EntryBody::NodeInitialized { .. }
        | EntryBody::NodeStarted { .. }
        | EntryBody::KeyChanged { .. }
        | EntryBody::InstitutionKeyReplaced { .. }
        | EntryBody::PeerKeyConfirmed { .. }
        | EntryBody::ConfigurationAccepted { .. }
        | EntryBody::PolicyProposed { .. }
        | EntryBody::PolicyApplied { .. }
        | EntryBody::RosterAccepted { .. }
        | EntryBody::RosterRefused { .. }
        | EntryBody::CharterSigned { .. }
        | EntryBody::ChangeNotMade { .. }
        | EntryBody::HostsAllowed { .. }
        | EntryBody::DatasetImported { .. }
        | EntryBody::DatasetClassified { .. }
        | EntryBody::DatasetPublished { .. }
        | EntryBody::DatasetWithdrawn { .. }
        | EntryBody::DatasetTrimmed { .. }
        | EntryBody::DatasetErased { .. }
        | EntryBody::DatasetLimited { .. }
        | EntryBody::SnapshotMade { .. }
        | EntryBody::SnapshotRestored { .. }
        | EntryBody::NegotiationStep { .. }
        | EntryBody::GrantChanged { .. }
        | EntryBody::QueriesRefused { .. }
        | EntryBody::UserAdded { .. }
        | EntryBody::UserChanged { .. }
        | EntryBody::UserDisabled { .. }
        | EntryBody::LoginSucceeded { .. }
        | EntryBody::LoginFailed { .. }
        | EntryBody::PeerRefused { .. }
        | EntryBody::PeerLedgerConflict { .. }
        | EntryBody::PeerLedgerAcknowledged { .. }
        | EntryBody::OwnLedgerConflict { .. }
        | EntryBody::OwnLedgerAcknowledged { .. } => None,
    }
}

/// Why evidence is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not an evidence file, or another version of the format.
    #[error("the file is not evidence in a known format")]
    Format,
    /// A certificate is not signed by the key that it names.
    #[error("the certificate of the {of}'s node is invalid")]
    Certificate {
        /// Whose.
        of: &'static str,
        /// Why.
        #[source]
        source: SignatureError,
    },
    /// A certificate was not valid when the query was signed.
    #[error("the certificate of the {of}'s node was not valid at the time of the query")]
    OutOfTime {
        /// Whose.
        of: &'static str,
    },
    /// The query is not signed by the node of the certificate.
    #[error("the query is not signed by the consumer's node")]
    Query(#[source] SignatureError),
    /// The receipt is not signed by the nodes of the certificates.
    #[error("the receipt is not signed as required")]
    Receipt(#[source] SignatureError),
    /// The head of the ledger in the receipt is not the provider's.
    #[error("the head of the ledger in the receipt is not that of the provider's node")]
    Head(#[source] HeadError),
    /// The head of the ledger with the countersignature is not the consumer's.
    #[error("the head of the ledger with the countersignature is not that of the consumer's node")]
    ConsumerHead(#[source] HeadError),
    /// The parts do not belong together.
    #[error("the parts do not belong together: {what}")]
    Inconsistent {
        /// What differs.
        what: &'static str,
    },
    /// The holder is neither side.
    #[error("the holder of the evidence is neither of the two sides")]
    Holder,
    /// The keys of the holder do not follow one another.
    #[error("the keys of the holder do not follow one another")]
    Successions(#[source] KeySuccessionError),
    /// No proofs, or too many.
    #[error("between 1 and {MAX_PROOFS} ledger entries have to be proven")]
    Proofs,
    /// A ledger entry is not in the holder's ledger.
    #[error("a ledger entry is not proven")]
    Ledger(#[source] ProofError),
}

/// Signed documents as base64.
mod document {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use super::{BASE64, Document, Signed};

    pub(super) fn serialize<T: Document, S: Serializer>(signed: &Signed<T>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(signed.as_bytes()))
    }

    pub(super) fn deserialize<'de, T: Document, D: Deserializer<'de>>(deserializer: D) -> Result<Signed<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(de::Error::custom)?;
        Signed::from_bytes(bytes).map_err(de::Error::custom)
    }
}

/// The same for several documents.
mod documents {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use super::{BASE64, Document, Signed};

    pub(super) fn serialize<T: Document, S: Serializer>(all: &[Signed<T>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(|signed| BASE64.encode(signed.as_bytes())))
    }

    pub(super) fn deserialize<'de, T: Document, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Signed<T>>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let decoded = texts.iter().map(|text| {
            let bytes = BASE64.decode(text.as_bytes()).map_err(de::Error::custom)?;
            Signed::from_bytes(bytes).map_err(de::Error::custom)
        });
        decoded.collect()
    }
}

/// The same for documents that may be missing.
mod optional_document {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use super::{BASE64, Document, Signed};

    pub(super) fn serialize<T: Document, S: Serializer>(
        signed: &Option<Signed<T>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match signed {
            Some(signed) => super::document::serialize(signed, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T: Document, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Signed<T>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let bytes = BASE64.decode(text.as_bytes()).map_err(de::Error::custom)?;
        Signed::from_bytes(bytes).map(Some).map_err(de::Error::custom)
    }
}

/// The same for documents with several signers.
mod co_document {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use super::{BASE64, CoSigned, Document};

    pub(super) fn serialize<T: Document, S: Serializer>(
        signed: &CoSigned<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(signed.as_bytes()))
    }

    pub(super) fn deserialize<'de, T: Document, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<CoSigned<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(de::Error::custom)?;
        CoSigned::from_bytes(bytes).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
