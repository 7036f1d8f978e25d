//! The evidence that this node stores for every query, on either side: the signed query, its text, the receipt with its signatures,
//! and the numbers of the ledger entries about it. Sealed like all state.
//!
//! 1. A record is durable before the step that it is evidence of: before a query is decided or sent, before a receipt is sent, before a
//!    countersignature is sent. It exists before the ledger gets the first entry about the query, so
//!    that a start can detect an older copy of the state ([`Evidence::compare`]).
//! 2. A record is *open* until the end of its query is in the ledger. Records that a stop left open are closed at the next start
//!    ([`Evidence::recover`]).
//! 3. What is stored is valid evidence: each part of the other side is checked with the parts in the record before it is stored
//!    ([`AttestedQuery`]), and a countersignature is entered once.
//! 4. A provider knows for each consumer which receipts are not countersigned ([`Evidence::outstanding`]). A steward can write off one
//!    that the consumer cannot sign ([`Evidence::write_off`]).
//! 5. Whatever is stored here is applied together with the present head of the ledger ([`Ledger::apply`]), because records name
//!    entries: a ledger that lacks one of them does not open.
//! 6. The numbers of entries, and that a record is closed, are applied without waiting for the disk ([`Evidence::note`],
//!    [`Evidence::close`]): a start finds both in the ledger, from the size on that it had when a record was begun. Everything else is on the disk
//!    when a call returns, and no lock is held meanwhile: queries that are stored at the same time share a sync.
//! 7. Records older than [`RETENTION_DAYS`](retention::RETENTION_DAYS) are removed at the start, as the ledger and the clock agree on the time
//!    ([`Evidence::remove_expired`]).

mod countersignature;
mod days;
mod error;
mod receipt_check;
mod record;
mod recovery;
mod retention;

pub(crate) use error::EvidenceError;
pub(crate) use receipt_check::{UnsignedReceipt, check_receipt};
pub(crate) use record::{AnswerEnd, Counted, EvidencePeer, EvidenceRecord, EvidenceSide, Outstanding, ReceiptBounds};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::{InstitutionId, QueryId};
use concordat_protocol::query::{AttestedQuery, Receipt};
use concordat_protocol::signed::{CoSigned, SignatureError};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{AnchoredHead, Attribution, Ledger, StateChange};
use concordat_storage::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};

use days::{Days, LISTS, list_of};

/// The tree of records.
const RECORDS: TreeId = TreeId::new("evidence");
const DAY_MS: i64 = 86_400_000;
/// The key of the only value in the tree of the oldest day.
const OLDEST: &str = "oldest";

/// A handle to the evidence; clones share it. Everything blocks.
#[derive(Clone, Debug)]
pub struct Evidence(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: SealedDb,
    ledger: Ledger,
    records: SealedTree<EvidenceRecord>,
    open: SealedTree<EvidenceSide>,
    outstanding: SealedTree<Vec<Outstanding>>,
    days: Days,
    oldest: SealedTree<i64>,
    /// Held while what belongs to a query is read, changed and applied, including the ledger entry in between; by the list of the query.
    changing: [Mutex<()>; LISTS as usize],
    /// Held while a value that many queries share is read, changed and applied; taken after the one of the query.
    sharing: Mutex<()>,
}

impl Evidence {
    /// Opens the evidence in `db` of queries that are in `ledger`.
    ///
    /// # Errors
    /// If the database fails.
    pub fn open(db: &SealedDb, ledger: Ledger) -> Result<Self, MetaError> {
        Ok(Self(Arc::new(Inner {
            db: db.clone(),
            ledger,
            records: db.tree(RECORDS)?,
            open: db.tree(TreeId::new("evidence-open"))?,
            outstanding: db.tree(TreeId::new("evidence-outstanding"))?,
            days: Days::open(db)?,
            oldest: db.tree(TreeId::new("evidence-oldest"))?,
            changing: std::array::from_fn(|_| Mutex::default()),
            sharing: Mutex::default(),
        })))
    }

    /// Runs blocking work on a thread for blocking tasks.
    ///
    /// # Errors
    /// The error of the work, or that it was interrupted.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, MetaError> + Send + 'static,
    ) -> Result<T, EvidenceError> {
        self.run(move |evidence| Ok(work(evidence)?)).await
    }

    /// As [`Self::blocking`], for work that also checks or enters something.
    ///
    /// # Errors
    /// The error of the work, or that it was interrupted.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, EvidenceError> + Send + 'static,
    ) -> Result<T, EvidenceError> {
        let evidence = self.clone();
        tokio::task::spawn_blocking(move || work(&evidence)).await?
    }

    /// Begins a record; it is open from now on.
    ///
    /// A record is never begun twice: the id of a query is chosen by the consumer, and a reused id would replace the query that was
    /// answered. Returns whether the record was begun.
    ///
    /// # Errors
    /// If it cannot be made durable. The query must not proceed in that case.
    pub fn begin(&self, query: QueryId, record: &EvidenceRecord) -> Result<bool, MetaError> {
        let changing = self.changing(query);
        let inner = &self.0;
        if inner.records.contains(&query.to_string())? {
            return Ok(false);
        }
        let day = record.at.as_millis().div_euclid(DAY_MS);
        let page = inner.days.page_with((day, list_of(query)), [query])?;
        let sharing = self.sharing();
        let is_oldest = inner.oldest.get(OLDEST)?.is_none_or(|oldest| day < oldest);
        let mut record = record.clone();
        let ((), change) = self.apply(|head, batch| {
            record.since = Some(head.tree().size);
            batch.put(&inner.records, &query.to_string(), &record)?;
            batch.put(&inner.open, &query.to_string(), &record.side)?;
            inner.days.put(batch, &page)?;
            if is_oldest {
                batch.put(&inner.oldest, OLDEST, &day)?;
            }
            Ok::<_, MetaError>(())
        })?;
        inner.days.applied(page);
        drop((sharing, changing));
        self.until_durable(change)?;
        Ok(true)
    }

    /// Begins the record of a query that this node has signed as the consumer, if it can be shown as evidence. The query may be entered in the
    /// ledger afterwards, and then sent.
    ///
    /// # Errors
    /// If it cannot be shown, or not be made durable.
    pub fn begin_signed(&self, query: QueryId, record: &EvidenceRecord) -> Result<bool, EvidenceError> {
        if let Some((certificates, envelope)) = record.certificates().zip(record.envelope.clone()) {
            AttestedQuery::check(certificates, envelope)?;
        }
        Ok(self.begin(query, record)?)
    }

    /// Whether there is a record of the query, on either side.
    ///
    /// # Errors
    /// If the database fails.
    pub fn has(&self, query: QueryId) -> Result<bool, MetaError> {
        self.0.records.contains(&query.to_string())
    }

    /// Names a ledger entry in the record of a query, if there is one. A start finds what a power cut has lost of this in the ledger
    /// ([`Self::compare`]).
    ///
    /// # Errors
    /// If the database fails.
    pub fn note(&self, query: QueryId, entry: u64) -> Result<(), MetaError> {
        let _changing = self.changing(query);
        let Some(mut record) = self.get(query)? else {
            return Ok(());
        };
        record.note(entry);
        self.put(query, &record).map(drop)
    }

    /// Closes a record: `entry` is the ledger entry of the end. `counted` is what a consumer received; it is durable when this returns, unless
    /// both sides have signed for it. That the record is closed is found in the ledger by the next start.
    ///
    /// # Errors
    /// If the database fails.
    pub fn close(&self, query: QueryId, entry: u64, counted: Option<Counted>) -> Result<(), MetaError> {
        let changing = self.changing(query);
        let mut found = self.get(query)?;
        if let Some(record) = &mut found {
            record.note(entry);
            record.counted = counted;
        }
        let signed = found.as_ref().is_some_and(|record| record.countersigned);
        let ((), change) = self.apply(|_, batch| {
            if let Some(record) = &found {
                batch.put(&self.0.records, &query.to_string(), record)?;
            }
            batch.remove(&self.0.open, &query.to_string());
            Ok::<_, MetaError>(())
        })?;
        drop(changing);
        if counted.is_none() || signed {
            return Ok(());
        }
        self.until_durable(change)
    }

    /// Stores the receipt that `sign` makes as the provider, over the head of the ledger that the state covers with it, as waiting for the
    /// signature of `consumer`. It may be sent once this has returned.
    ///
    /// # Errors
    /// If there is no such record, the receipt cannot be shown as evidence, or it cannot be made durable.
    pub fn await_countersignature(
        &self,
        query: QueryId,
        consumer: &InstitutionId,
        sign: impl FnOnce(AnchoredHead) -> Result<CoSigned<Receipt>, SignatureError>,
        now: Timestamp,
    ) -> Result<CoSigned<Receipt>, EvidenceError> {
        let changing = self.changing(query);
        let mut record = self.get(query)?.ok_or(MetaError::Kind { tree: RECORDS.as_str() })?;
        let sharing = self.sharing();
        let mut waiting = self.outstanding(consumer)?;
        waiting.push(Outstanding { query, since: now });
        let (receipt, change) = self.apply(|head, batch| {
            let receipt = sign(head)?;
            record.check_receipt(&receipt, None)?;
            record.receipt = Some(receipt.clone());
            batch.put(&self.0.records, &query.to_string(), &record)?;
            batch.put(&self.0.outstanding, consumer.as_str(), &waiting)?;
            Ok::<_, EvidenceError>(receipt)
        })?;
        drop((sharing, changing));
        self.until_durable(change)?;
        Ok(receipt)
    }

    /// Writes off a receipt that its consumer cannot sign: it no longer waits for the signature. The entry names the person who decided
    /// it and is durable first; after a crash in between it is written off again. Returns whether it waited.
    ///
    /// # Errors
    /// If it cannot be made durable.
    pub fn write_off(
        &self,
        query: QueryId,
        reason: Reason,
        (by, now): (&Attribution, Timestamp),
    ) -> Result<bool, EvidenceError> {
        let changing = self.changing(query);
        let Some((mut record, peer)) = self.get(query)?.and_then(|record| {
            let peer = record.peer.clone()?;
            Some((record, peer))
        }) else {
            return Ok(false);
        };
        let consumer = peer.institution;
        if !self.outstanding(&consumer)?.iter().any(|one| one.query == query) {
            return Ok(false);
        }
        let entry = EntryBody::ReceiptWrittenOff {
            query,
            consumer: consumer.clone(),
            reason,
        };
        record.note(self.0.ledger.append(entry, by, now)?.sequence());
        let change = self.put_signed(query, &record, &consumer)?;
        drop(changing);
        self.until_durable(change)?;
        Ok(true)
    }

    /// The receipts that `consumer` has not signed, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn outstanding(&self, consumer: &InstitutionId) -> Result<Vec<Outstanding>, MetaError> {
        Ok(self.0.outstanding.get(consumer.as_str())?.unwrap_or_default())
    }

    /// The record of a query.
    ///
    /// # Errors
    /// If the database fails.
    pub fn get(&self, query: QueryId) -> Result<Option<EvidenceRecord>, MetaError> {
        self.0.records.get(&query.to_string())
    }

    /// Whether the end of a query is not in the ledger yet.
    ///
    /// # Errors
    /// If the database fails.
    pub fn is_open(&self, query: QueryId) -> Result<bool, MetaError> {
        self.0.open.contains(&query.to_string())
    }

    /// The only way in which this module changes the state: together with the present head of the ledger, of which records name
    /// entries.
    fn apply<T, E: From<MetaError>>(
        &self,
        make: impl FnOnce(AnchoredHead, &mut Batch) -> Result<T, E>,
    ) -> Result<(T, StateChange), E> {
        self.0.ledger.apply(&self.0.db, make)
    }

    /// Waits until a change is on disk; no lock may be held meanwhile.
    fn until_durable(&self, change: StateChange) -> Result<(), MetaError> {
        self.0.ledger.until_durable(&self.0.db, change)
    }

    fn put(&self, query: QueryId, record: &EvidenceRecord) -> Result<StateChange, MetaError> {
        let put = self.apply(|_, batch| batch.put(&self.0.records, &query.to_string(), record).map(drop))?;
        Ok(put.1)
    }

    /// Stores a record whose receipt no longer waits for the signature of `consumer`.
    fn put_signed(
        &self,
        query: QueryId,
        record: &EvidenceRecord,
        consumer: &InstitutionId,
    ) -> Result<StateChange, MetaError> {
        let _sharing = self.sharing();
        let mut waiting = self.outstanding(consumer)?;
        waiting.retain(|one| one.query != query);
        let put = self.apply(|_, batch| {
            batch.put(&self.0.records, &query.to_string(), record)?;
            batch.put(&self.0.outstanding, consumer.as_str(), &waiting)?;
            Ok::<_, MetaError>(())
        })?;
        Ok(put.1)
    }

    fn changing(&self, query: QueryId) -> MutexGuard<'_, ()> {
        let of_list = self.0.changing.get(usize::from(list_of(query)));
        locked(of_list.unwrap_or(&self.0.sharing))
    }

    fn sharing(&self) -> MutexGuard<'_, ()> {
        locked(&self.0.sharing)
    }
}

fn locked(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
