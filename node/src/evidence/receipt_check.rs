//! Which receipts a consumer signs, at the end of an answer and later alike.
//!
//! A receipt has to be about the query that was sent, at no higher tier than its grant permits, and about the answer that was received:
//!
//! | the answer was | bytes, digest and rows | complete |
//! | --- | --- | --- |
//! | refused | none | no |
//! | read to its end | exactly those that were received | if the rows ended |
//! | interrupted | those that were received, and at most one chunk more: the provider counts a chunk before it sends it | if the rows ended, and nothing more is stated |
//! | received by a process that was ended, or could not be decoded | at least what is known | as stated |
//!
//! What an interrupted answer states beyond what was received, and all of the last row, relies on the provider's count; the ledger entry of
//! the signature states that.

use concordat_arrow_stream::{MAX_BODY, MAX_METADATA, MAX_ROWS};
use concordat_protocol::ids::ActorId;
use concordat_protocol::query::{Outcome, QueryEnvelope, Receipt, ReceiptMismatch, Received};
use concordat_protocol::scope::Tier;

use super::record::{AnswerEnd, Counted, ReceiptBounds};

/// Most bytes that a provider may have sent and counted beyond what was received: one batch of rows, which is one message or, split,
/// little more, and before the first one the columns.
pub(super) const MAX_UNCONFIRMED_BYTES: u64 = 2 * (MAX_BODY as u64 + MAX_METADATA as u64);
/// Most rows of it.
pub(super) const MAX_UNCONFIRMED_ROWS: u64 = MAX_ROWS as u64;

/// Why a receipt is not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnsignedReceipt {
    /// It is about something else.
    #[error(transparent)]
    Mismatch(#[from] ReceiptMismatch),
    /// The record of the query does not have what was sent.
    #[error("the query of the receipt is not known")]
    UnknownQuery,
    /// It carries the head of another node's ledger.
    #[error("the receipt carries a head of another ledger than that of the provider's node")]
    Head,
    /// It is about more than the grant permits.
    #[error("the receipt states tier `{stated}`, above the `{most}` of the grant")]
    Tier {
        /// The tier that it states.
        stated: Tier,
        /// The tier of the grant.
        most: Tier,
    },
    /// It counts other rows.
    #[error("the receipt states a number of rows that differs from what was received")]
    Rows,
    /// It counts other bytes.
    #[error("the receipt states fewer bytes than were received, or more than one chunk beyond them")]
    Bytes,
    /// It states an end that was not received.
    #[error("the rows do not end, but the receipt states that they are complete")]
    Incomplete,
}

/// Checks a receipt before it is signed. Returns whether what it states was received and counted.
///
/// # Errors
/// [`UnsignedReceipt`] for the first thing that is wrong.
pub(crate) fn check_receipt(
    stated: &Receipt,
    (sent, actor): (&QueryEnvelope, &ActorId),
    bounds: ReceiptBounds,
    counted: &Counted,
) -> Result<bool, UnsignedReceipt> {
    let received = match counted.end {
        AnswerEnd::Refused | AnswerEnd::Read => Received {
            bytes: counted.bytes,
            answer: counted.answer,
        },
        AnswerEnd::Interrupted | AnswerEnd::Unknown => Received {
            bytes: stated.bytes,
            answer: stated.answer,
        },
    };
    stated.matches(sent, actor, received)?;
    bounds.check(stated)?;
    match counted.end {
        AnswerEnd::Refused | AnswerEnd::Read if stated.rows != counted.rows => return Err(UnsignedReceipt::Rows),
        AnswerEnd::Refused | AnswerEnd::Read => {}
        AnswerEnd::Interrupted => check_interrupted(stated, counted)?,
        AnswerEnd::Unknown => check_unknown(stated, counted)?,
    }
    let is_counted = stated.bytes == counted.bytes && stated.answer == counted.answer;
    let may_be_complete = match counted.end {
        AnswerEnd::Refused => false,
        AnswerEnd::Read | AnswerEnd::Interrupted => is_counted && counted.complete,
        AnswerEnd::Unknown => true,
    };
    if stated.outcome == Outcome::Completed && !may_be_complete {
        return Err(UnsignedReceipt::Incomplete);
    }
    Ok(is_counted)
}

fn check_interrupted(stated: &Receipt, counted: &Counted) -> Result<(), UnsignedReceipt> {
    let more = stated.bytes.checked_sub(counted.bytes);
    let more = more.filter(|more| *more <= MAX_UNCONFIRMED_BYTES);
    let rows = stated.rows.checked_sub(counted.rows).ok_or(UnsignedReceipt::Rows)?;
    match more.ok_or(UnsignedReceipt::Bytes)? {
        // The digest of the same bytes is the same.
        0 if stated.answer != counted.answer => Err(UnsignedReceipt::Bytes),
        0 if rows > 0 => Err(UnsignedReceipt::Rows),
        _ if rows > MAX_UNCONFIRMED_ROWS => Err(UnsignedReceipt::Rows),
        _ => Ok(()),
    }
}

fn check_unknown(stated: &Receipt, counted: &Counted) -> Result<(), UnsignedReceipt> {
    if stated.bytes < counted.bytes {
        Err(UnsignedReceipt::Bytes)
    } else if stated.rows < counted.rows || stated.bytes == 0 && stated.rows > 0 {
        Err(UnsignedReceipt::Rows)
    } else {
        Ok(())
    }
}

impl ReceiptBounds {
    fn check(self, stated: &Receipt) -> Result<(), UnsignedReceipt> {
        if stated.tier > self.tier {
            return Err(UnsignedReceipt::Tier {
                stated: stated.tier,
                most: self.tier,
            });
        }
        Ok(())
    }
}
