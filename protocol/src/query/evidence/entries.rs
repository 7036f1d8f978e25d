//! Which ledger entries a complete file of evidence contains, and which it may contain.
//!
//! | the holder is | always | if the receipt is countersigned | perhaps |
//! | --- | --- | --- | --- |
//! | the provider | `decision_made`, the one that the receipt names; `answer_released` or, if the node stopped meanwhile, `answer_lost` | `receipt_countersigned` | other decisions, `receipt_written_off` |
//! | the consumer | `query_opened`, `query_closed` | `receipt_countersigned` | |
//!
//! The outcome of the answer changes nothing: an answer that was cut or failed ends with the same entries. An entry that is left out is a
//! [`MissingPart`], because it may not have been written yet; an entry of another side, or one that states something else than the receipt, makes
//! the evidence invalid.

use super::error::EvidenceError;
use crate::audit::{EntryBody, LedgerEntry};
use crate::ids::Digest32;
use crate::query::{QueryEnvelope, Receipt};

/// What complete evidence contains and a valid file lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MissingPart {
    /// The consumer's entry about the beginning of the query.
    #[error("its entry about the beginning of the query")]
    Beginning,
    /// The holder's entry about the end of the query.
    #[error("its entry about the end of the query")]
    End,
    /// The holder's entry about the countersignature.
    #[error("its entry about the countersignature")]
    Countersignature,
    /// What leads from the head that the holder's node signed with the receipt to its checkpoint.
    #[error("that its ledger with these entries continues from the head that its node signed with the receipt")]
    Continuation,
    /// That the times fit: the head is dated before an entry in it.
    #[error(
        "which time is right: the head that its node signed with the receipt is dated before an entry that it contains"
    )]
    Time,
}

/// The documents with which the entries of the holder have to agree.
pub(super) struct Stated<'a> {
    /// The query.
    pub(super) query: &'a QueryEnvelope,
    /// The receipt.
    pub(super) receipt: &'a Receipt,
    /// Its payload digest.
    pub(super) digest: Digest32,
    /// Whether both sides have signed it.
    pub(super) countersigned: bool,
    /// Whether the holder is the provider, and not the consumer.
    pub(super) provider: bool,
}

impl Stated<'_> {
    /// Checks each entry, and returns what is missing among them.
    pub(super) fn check(&self, entries: &[&LedgerEntry]) -> Result<Vec<MissingPart>, EvidenceError> {
        for entry in entries {
            self.check_entry(&entry.body)?;
        }
        let required = [
            (!self.provider).then_some(MissingPart::Beginning),
            Some(MissingPart::End),
            self.countersigned.then_some(MissingPart::Countersignature),
        ];
        let lacks = |part: &MissingPart| !entries.iter().any(|entry| part_of(&entry.body) == Some(*part));
        Ok(required.into_iter().flatten().filter(lacks).collect())
    }

    fn check_entry(&self, body: &EntryBody) -> Result<(), EvidenceError> {
        let fits = if self.provider {
            self.is_of_provider(body)
        } else {
            self.is_of_consumer(body)
        };
        if fits {
            Ok(())
        } else {
            Err(EvidenceError::Inconsistent {
                what: "a ledger entry is not one of this side of the query, or states something else than the receipt",
            })
        }
    }

    fn is_of_provider(&self, body: &EntryBody) -> bool {
        let receipt = self.receipt;
        if let EntryBody::AnswerReleased {
            rows,
            bytes,
            answer,
            receipt: named,
            ..
        } = body
        {
            // A receipt that could not be made durable is not named, although it may be stored after all.
            let same = (*rows, *bytes, *answer) == (receipt.rows, receipt.bytes, receipt.answer);
            return same && named.is_none_or(|named| named == self.digest);
        }
        if let EntryBody::ReceiptWrittenOff { consumer, .. } = body {
            return *consumer == receipt.consumer;
        }
        let decided = matches!(body, EntryBody::DecisionMade { .. } | EntryBody::AnswerLost { .. });
        decided || self.is_of_either(body)
    }

    fn is_of_consumer(&self, body: &EntryBody) -> bool {
        let receipt = self.receipt;
        if let EntryBody::QueryOpened {
            provider, grant, sql, ..
        } = body
        {
            let same = *provider == receipt.provider && *grant == receipt.grant;
            return same && *sql == self.query.sql_digest();
        }
        matches!(body, EntryBody::QueryClosed { .. }) || self.is_of_either(body)
    }

    /// Also if the receipt is not countersigned: the node may have stopped between the entry and the storing.
    fn is_of_either(&self, body: &EntryBody) -> bool {
        matches!(body, EntryBody::ReceiptCountersigned { digest, .. } if *digest == self.digest)
    }
}

/// The part of complete evidence that an entry is.
const fn part_of(body: &EntryBody) -> Option<MissingPart> {
    if matches!(body, EntryBody::QueryOpened { .. }) {
        Some(MissingPart::Beginning)
    } else if matches!(body, EntryBody::ReceiptCountersigned { .. }) {
        Some(MissingPart::Countersignature)
    } else if is_end(body) {
        Some(MissingPart::End)
    } else {
        None
    }
}

const fn is_end(body: &EntryBody) -> bool {
    matches!(
        body,
        EntryBody::AnswerReleased { .. } | EntryBody::AnswerLost { .. } | EntryBody::QueryClosed { .. }
    )
}
