//! Evidence, for readers who trust neither side, of who queried what and what was released.
//!
//! 1. Each node's certificate is signed by the key of its institution. The name in it proves nothing by itself: for each of the two
//!    institutions, compare the key with the one that you know for that institution.
//! 2. The query is signed by the consumer's node and names the person, the grant, the purpose and the text.
//! 3. The receipt is signed by the provider's node, and by the consumer's if it has countersigned.
//! 4. The receipt carries the head of the provider's ledger at that time, signed by the provider's node; the
//!    countersignature comes with the head of the consumer's ledger.
//! 5. The holder's ledger entries about the query are proven against its signed checkpoint, and the checkpoint continues the head that the
//!    holder's node signed with the receipt. Which entries there have to be is known, so that one that is left out is missing.
//! 6. The head of the *other* side is not proven to contain anything: it is a head that its node signed, not before the receipt.

mod attested;
mod encoding;
mod entries;
mod error;
mod holder_head;
mod limits;

pub use attested::{AttestedQuery, AttestedReceipt};
pub use entries::MissingPart;
pub use error::EvidenceError;
pub use limits::{MAX_CERTIFICATE_DELAY_MS, MAX_HEAD_DELAY_MS, MAX_PROOFS, MAX_QUERY_DELAY_MS};

use serde::{Deserialize, Serialize};

use super::{ActorAssertion, QueryEnvelope, Receipt};
use crate::audit::{EntryBody, InclusionProof, LedgerEntry, LedgerHead, ProvenEntry};
use crate::identity::InstitutionPublicKey;
use crate::ids::{Digest32, InstitutionId, QueryId};
use crate::membership::{KeySuccession, NodeCertificate, key_after, keys_before};
use crate::signed::{CoSigned, Signed};
use entries::Stated;

/// The format in which files are written.
const FORMAT: &str = "concordat-evidence/3";
/// The earlier format, which has no `continuation`. Files in it are read, and lack it.
const EARLIER_FORMAT: &str = "concordat-evidence/2";

/// The whole evidence of one query, from one of the two sides; written as JSON, with signed documents in base64.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceBundle {
    format: String,
    /// Which of the two institutions wrote the file.
    pub holder: InstitutionId,
    #[serde(with = "encoding::document")]
    consumer: Signed<NodeCertificate>,
    #[serde(with = "encoding::document")]
    provider: Signed<NodeCertificate>,
    #[serde(with = "encoding::document")]
    query: Signed<QueryEnvelope>,
    #[serde(with = "encoding::co_document")]
    receipt: CoSigned<Receipt>,
    #[serde(with = "encoding::optional_document")]
    consumer_ledger: Option<Signed<LedgerHead>>,
    proofs: Vec<InclusionProof>,
    /// The consistency path from the head that the holder's node signed with the receipt to the checkpoint of the proofs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    continuation: Option<Vec<Digest32>>,
    /// The successions of the holder's keys, oldest first.
    #[serde(default, with = "encoding::documents", skip_serializing_if = "Vec::is_empty")]
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
    /// The head of the consumer's ledger that came with its countersignature; `None` without a countersignature. That it contains the
    /// entry about the countersignature is proven only if the consumer is the holder.
    pub consumer_ledger: Option<LedgerHead>,
    /// The key of the consumer's institution, as its certificate names it.
    pub consumer_key: InstitutionPublicKey,
    /// The key of the provider's institution, as its certificate names it.
    pub provider_key: InstitutionPublicKey,
    /// Which of the two institutions wrote the file.
    pub holder: InstitutionId,
    /// The keys from which the holder's key in its certificate follows, by statements that each of them signed; the nearest first.
    pub earlier_keys: Vec<InstitutionPublicKey>,
    /// The holder's ledger entries about the query, each proven.
    pub entries: Vec<LedgerEntry>,
    /// What complete evidence of this side would contain besides.
    pub missing: Vec<MissingPart>,
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
            continuation: None,
            successions: Vec::new(),
        }
    }

    /// Adds the successions of the holder's keys: from its earlier keys to that of the certificate, and on to the one that signs its
    /// ledger.
    #[must_use]
    pub fn with_successions(mut self, successions: Vec<Signed<KeySuccession>>) -> Self {
        self.successions = successions;
        self
    }

    /// Adds the consistency path from the head that the holder's node signed with the receipt to the checkpoint of all the proofs; `None` if
    /// there is none.
    #[must_use]
    pub fn with_continuation(mut self, path: Option<Vec<Digest32>>) -> Self {
        self.continuation = path;
        self
    }

    /// Checks everything that can be checked with the keys in the bundle. The reader has to compare the key of each institution with
    /// the one that is known for it: any key can sign a certificate with any name.
    ///
    /// # Errors
    /// [`EvidenceError`] names the first check that fails.
    pub fn check(self) -> Result<ValidEvidence, EvidenceError> {
        if self.format != FORMAT && (self.format != EARLIER_FORMAT || self.continuation.is_some()) {
            return Err(EvidenceError::Format);
        }
        let attested = AttestedQuery::check([self.consumer.clone(), self.provider.clone()], self.query.clone())?;
        let stated = attested.check_receipt(&self.receipt, self.consumer_ledger.as_ref())?;
        let consumer = attested.consumer();
        let provider = attested.provider();
        let key = match &self.holder {
            holder if *holder == consumer.institution => consumer.institution_key,
            holder if *holder == provider.institution => provider.institution_key,
            _ => return Err(EvidenceError::Holder),
        };
        let begins = self.successions.iter().position(|signed| starts_at(signed, key));
        let (before, later) = self.successions.split_at(begins.unwrap_or(self.successions.len()));
        let earlier_keys = keys_before(&self.holder, key, before);
        let signer = key_after(&self.holder, key, later).map_err(EvidenceError::Successions)?;
        let proven = proven(&self.proofs, &self.holder, signer, attested.query().query)?;
        let missing = self.check_ledger(&attested, &stated, &proven)?;
        Ok(ValidEvidence {
            consumer_key: consumer.institution_key,
            provider_key: provider.institution_key,
            query: attested.query().clone(),
            assertion: attested.assertion().clone(),
            countersigned: stated.consumer_ledger.is_some(),
            receipt: stated.receipt,
            consumer_ledger: stated.consumer_ledger,
            holder: self.holder,
            earlier_keys,
            entries: proven.iter().map(|proven| proven.entry().clone()).collect(),
            missing,
        })
    }

    /// Checks the proven entries of the holder with the receipt and the head that its node signed with it; returns what is missing.
    fn check_ledger(
        &self,
        attested: &AttestedQuery,
        AttestedReceipt {
            receipt,
            consumer_ledger,
        }: &AttestedReceipt,
        proven: &[ProvenEntry],
    ) -> Result<Vec<MissingPart>, EvidenceError> {
        let provider = self.holder == receipt.provider;
        if provider && !proven.iter().any(|entry| permits(entry, receipt.decision)) {
            return Err(EvidenceError::Inconsistent {
                what: "the decision that the receipt names is not among the proven entries, or does not permit the query",
            });
        }
        let stated = Stated {
            query: attested.query(),
            receipt,
            digest: self.receipt.payload_digest().map_err(EvidenceError::Receipt)?,
            countersigned: consumer_ledger.is_some(),
            provider,
        };
        let entries: Vec<&LedgerEntry> = proven.iter().map(ProvenEntry::entry).collect();
        let mut missing = stated.check(&entries)?;
        let head = if provider {
            Some(receipt.ledger_head().map_err(EvidenceError::Head)?)
        } else {
            consumer_ledger.clone()
        };
        // A consumer that has not signed has shown no head.
        if let Some(head) = head {
            let decision = provider.then_some(receipt.decision);
            missing.extend(holder_head::check(
                &head,
                self.continuation.as_deref(),
                (proven, decision),
            )?);
        }
        Ok(missing)
    }
}

fn proven(
    proofs: &[InclusionProof],
    holder: &InstitutionId,
    key: InstitutionPublicKey,
    query: QueryId,
) -> Result<Vec<ProvenEntry>, EvidenceError> {
    if proofs.is_empty() || proofs.len() > MAX_PROOFS {
        return Err(EvidenceError::Proofs);
    }
    let mut entries: Vec<ProvenEntry> = Vec::new();
    for proof in proofs {
        let entry = proof.check(key).map_err(EvidenceError::Ledger)?;
        if proof.institution != *holder || query_of(&entry.entry().body) != Some(query) {
            return Err(EvidenceError::Inconsistent {
                what: "a ledger entry is about another query",
            });
        }
        // One entry shown several times would look like several releases; two with one number are of two histories.
        if entries
            .iter()
            .any(|known| known.entry().sequence == entry.entry().sequence)
        {
            return Err(EvidenceError::Inconsistent {
                what: "a ledger entry is proven twice, or another one with its number",
            });
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Whether an entry is the decision with this leaf hash, and permits the query: a receipt is about an answer.
fn permits(proven: &ProvenEntry, decision: Digest32) -> bool {
    let permitted = matches!(proven.entry().body, EntryBody::DecisionMade { permitted: true, .. });
    permitted && proven.leaf() == decision
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
        | EntryBody::CollectionImported { .. }
        | EntryBody::DatasetClassified { .. }
        | EntryBody::DatasetPublished { .. }
        | EntryBody::DatasetWithdrawn { .. }
        | EntryBody::DatasetRetentionSet { .. }
        | EntryBody::DatasetTrimmed { .. }
        | EntryBody::DatasetErased { .. }
        | EntryBody::DatasetLimited { .. }
        | EntryBody::ReleaseLocked { .. }
        | EntryBody::ReleaseUnlockProposed { .. }
        | EntryBody::ReleaseUnlocked { .. }
        | EntryBody::AnswersAcknowledged { .. }
        // It counts for the owner of the memory, and is no part of what one query is evidenced by.
        | EntryBody::BudgetReserved { .. }
        | EntryBody::SnapshotMade { .. }
        | EntryBody::SnapshotRestored { .. }
        | EntryBody::NegotiationStep { .. }
        | EntryBody::GrantChanged { .. }
        | EntryBody::EvidenceRemoved { .. }
        | EntryBody::QueriesRefused { .. }
        | EntryBody::UserAdded { .. }
        | EntryBody::UserChanged { .. }
        | EntryBody::UserDisabled { .. }
        | EntryBody::LoginSucceeded { .. }
        | EntryBody::LoginFailed { .. }
        | EntryBody::PeerRefused { .. }
        | EntryBody::PeerStartRefused { .. }
        | EntryBody::RulesAnnounced { .. }
        | EntryBody::RulesMismatch { .. }
        | EntryBody::OwnStartShown { .. }
        | EntryBody::PeerLedgerConflict { .. }
        | EntryBody::PeerLedgerAcknowledged { .. }
        | EntryBody::OwnLedgerConflict { .. }
        | EntryBody::OwnLedgerAcknowledged { .. } => None,
    }
}

#[cfg(test)]
mod tests;
