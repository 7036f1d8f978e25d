//! The evidence that this node stores for every query, on either side: the signed query, its text, the receipt with its signatures,
//! and the numbers of the ledger entries about it. Sealed like all state.
//!
//! 1. A record is durable before the step that it is evidence of: before a query is decided or signed, before the engine is opened,
//!    before a receipt is sent, before a countersignature is sent. It exists before the ledger gets the first entry about the query, so
//!    that a start can detect an older copy of the state ([`Evidence::compare`]).
//! 2. A record is *open* until the end of its query is in the ledger. Records that a stop left open are closed at the next start
//!    ([`Evidence::recover`]).
//! 3. What is stored is valid evidence: each part of the other side is checked with the parts in the record before it is stored
//!    ([`AttestedQuery`]), and a countersignature is entered once.
//! 4. A provider knows for each consumer which receipts are not countersigned ([`Evidence::outstanding`]). A steward can write off one
//!    that the consumer cannot sign ([`Evidence::write_off`]).
//! 5. Whatever is stored here is committed together with the present head of the ledger ([`Ledger::commit`]), because records name
//!    entries: a ledger that lacks one of them does not open.
//! 6. Records older than [`RETENTION_DAYS`](retention::RETENTION_DAYS) are removed at the start, as the ledger and the clock agree on the time
//!    ([`Evidence::remove_expired`]).

mod countersignature;
mod error;
mod record;
mod recovery;
mod retention;

pub(crate) use error::EvidenceError;
pub(crate) use record::{Counted, EvidencePeer, EvidenceRecord, EvidenceSide, Outstanding};

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::{InstitutionId, QueryId};
use concordat_protocol::query::{AttestedQuery, QueryEnvelope, Receipt};
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{AnchoredHead, Attribution, Ledger};
use concordat_storage::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};

const DAY_MS: i64 = 86_400_000;
/// Number of lists into which the queries of a day are divided by their ids, so that no list becomes long.
const LISTS: u8 = 64;
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
    days: SealedTree<BTreeSet<QueryId>>,
    oldest: SealedTree<i64>,
    /// Held while a value is read, changed and written.
    changing: Mutex<()>,
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
            records: db.tree(TreeId::new("evidence"))?,
            open: db.tree(TreeId::new("evidence-open"))?,
            outstanding: db.tree(TreeId::new("evidence-outstanding"))?,
            days: db.tree(TreeId::new("evidence-days"))?,
            oldest: db.tree(TreeId::new("evidence-oldest"))?,
            changing: Mutex::default(),
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
        let _changing = self.changing();
        let inner = &self.0;
        if inner.records.contains(&query.to_string())? {
            return Ok(false);
        }
        let day = record.at.as_millis().div_euclid(DAY_MS);
        let list = list_name(day, list_of(query));
        let mut listed = inner.days.get(&list)?.unwrap_or_default();
        listed.insert(query);
        let is_oldest = inner.oldest.get(OLDEST)?.is_none_or(|oldest| day < oldest);
        self.commit(|_, batch| {
            batch.put(&inner.records, &query.to_string(), record)?;
            batch.put(&inner.open, &query.to_string(), &record.side)?;
            batch.put(&inner.days, &list, &listed)?;
            if is_oldest {
                batch.put(&inner.oldest, OLDEST, &day)?;
            }
            Ok(true)
        })
    }

    /// Whether there is a record of the query, on either side.
    ///
    /// # Errors
    /// If the database fails.
    pub fn has(&self, query: QueryId) -> Result<bool, MetaError> {
        self.0.records.contains(&query.to_string())
    }

    /// Changes a record; does nothing if there is none.
    ///
    /// # Errors
    /// If it cannot be made durable.
    pub fn update(&self, query: QueryId, change: impl FnOnce(&mut EvidenceRecord)) -> Result<(), MetaError> {
        let _changing = self.changing();
        let Some(mut record) = self.get(query)? else {
            return Ok(());
        };
        change(&mut record);
        self.put(query, &record)
    }

    /// Stores the query that this node has signed as the consumer, if it can be shown as evidence.
    ///
    /// # Errors
    /// If it cannot be shown, or not be made durable. It must not be sent in that case.
    pub fn store_query(&self, query: QueryId, signed: Signed<QueryEnvelope>) -> Result<(), EvidenceError> {
        let _changing = self.changing();
        let Some(mut record) = self.get(query)? else {
            return Ok(());
        };
        if let Some(certificates) = record.certificates() {
            AttestedQuery::check(certificates, signed.clone())?;
        }
        record.envelope = Some(signed);
        Ok(self.put(query, &record)?)
    }

    /// Closes a record: `entry` is the ledger entry of the end. `counted` is what a consumer received.
    ///
    /// # Errors
    /// If it cannot be made durable.
    pub fn close(&self, query: QueryId, entry: u64, counted: Option<Counted>) -> Result<(), MetaError> {
        let _changing = self.changing();
        let mut found = self.get(query)?;
        if let Some(record) = &mut found {
            record.note(entry);
            record.counted = counted;
        }
        self.commit(|_, batch| {
            if let Some(record) = &found {
                batch.put(&self.0.records, &query.to_string(), record)?;
            }
            batch.remove(&self.0.open, &query.to_string());
            Ok(())
        })
    }

    /// Stores a receipt that this node has signed as the provider, as waiting for the signature of `consumer`.
    ///
    /// # Errors
    /// If it cannot be shown as evidence, or not be made durable. The receipt must not be sent in that case.
    pub fn await_countersignature(
        &self,
        query: QueryId,
        consumer: &InstitutionId,
        receipt: CoSigned<Receipt>,
        now: Timestamp,
    ) -> Result<(), EvidenceError> {
        let _changing = self.changing();
        let Some(mut record) = self.get(query)? else {
            return Ok(());
        };
        record.check_receipt(&receipt, None)?;
        record.receipt = Some(receipt);
        let mut waiting = self.outstanding(consumer)?;
        waiting.push(Outstanding { query, since: now });
        Ok(self.put_with_waiting(query, &record, (consumer, &waiting))?)
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
        let _changing = self.changing();
        let Some((mut record, peer)) = self.get(query)?.and_then(|record| {
            let peer = record.peer.clone()?;
            Some((record, peer))
        }) else {
            return Ok(false);
        };
        let consumer = peer.institution;
        let mut waiting = self.outstanding(&consumer)?;
        if !waiting.iter().any(|one| one.query == query) {
            return Ok(false);
        }
        let entry = EntryBody::ReceiptWrittenOff {
            query,
            consumer: consumer.clone(),
            reason,
        };
        record.note(self.0.ledger.append(entry, by, now)?.sequence());
        waiting.retain(|one| one.query != query);
        self.put_with_waiting(query, &record, (&consumer, &waiting))?;
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
    fn commit<T, E: From<MetaError>>(
        &self,
        make: impl FnOnce(AnchoredHead, &mut Batch) -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.ledger.commit(&self.0.db, make)
    }

    fn put(&self, query: QueryId, record: &EvidenceRecord) -> Result<(), MetaError> {
        self.commit(|_, batch| batch.put(&self.0.records, &query.to_string(), record).map(drop))
    }

    /// Stores a record together with the receipts that wait for the signature of its consumer.
    fn put_with_waiting(
        &self,
        query: QueryId,
        record: &EvidenceRecord,
        (consumer, waiting): (&InstitutionId, &Vec<Outstanding>),
    ) -> Result<(), MetaError> {
        self.commit(|_, batch| {
            batch.put(&self.0.records, &query.to_string(), record)?;
            batch.put(&self.0.outstanding, consumer.as_str(), waiting)?;
            Ok(())
        })
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.0.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list_of(query: QueryId) -> u8 {
    let first = query.as_bytes().first().copied().unwrap_or_default();
    first % LISTS
}

fn list_name(day: i64, list: u8) -> String {
    format!("{day}/{list}")
}

#[cfg(test)]
mod tests;
