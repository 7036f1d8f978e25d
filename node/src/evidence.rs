//! The evidence that this node stores for every query, on either side: the signed query, its text, the receipt with its signatures,
//! and the numbers of the ledger entries about it. Sealed like all state.
//!
//! 1. A record is durable before the step that it is evidence of: before a query is decided or signed, before the engine is opened,
//!    before a receipt is sent, before a countersignature is sent. It exists before the ledger gets the first entry about the query, so
//!    that a start can detect an older copy of the state ([`Evidence::compare`]).
//! 2. A record is *open* until the end of its query is in the ledger. Records that a stop left open are closed at the next start
//!    ([`Evidence::recover`]).
//! 3. A provider knows for each consumer which receipts are not countersigned ([`Evidence::outstanding`]). A steward can write off one
//!    that the consumer cannot sign ([`Evidence::write_off`]).
//! 4. Records older than [`RETENTION_DAYS`] are removed at the start.

mod error;
mod recovery;

pub use error::EvidenceError;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use concordat_protocol::audit::{EntryBody, LedgerHead};
use concordat_protocol::ids::{ActorId, Digest32, GrantId, InstitutionId, NodeId, QueryId};
use concordat_protocol::membership::NodeCertificate;
use concordat_protocol::query::{QueryEnvelope, Receipt};
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Attribution, Ledger};
use concordat_storage::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};
use serde::{Deserialize, Serialize};

/// Six years, as 45 CFR 164.316(b)(2)(i) requires for such documents, and some days.
pub const RETENTION_DAYS: i64 = 2200;
const DAY_MS: i64 = 86_400_000;
/// Number of lists into which the queries of a day are divided by their ids, so that no list becomes long.
const LISTS: u8 = 64;
/// The key of the only value in the tree of the oldest day.
const OLDEST: &str = "oldest";

/// The side of a query that this node is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceSide {
    /// It answers another institution.
    Provider,
    /// It queries another institution.
    Consumer,
    /// It answers one of its own people.
    Local,
}

/// The other node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidencePeer {
    /// Its institution.
    pub institution: InstitutionId,
    /// The node.
    pub node: NodeId,
    /// The certificate that it presented in hello.
    pub certificate: Signed<NodeCertificate>,
    /// This node's own at the same time.
    pub own: Signed<NodeCertificate>,
}

/// What a consumer has received of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Rows received.
    pub rows: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Digest of these bytes.
    pub answer: Digest32,
}

/// The evidence of one query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EvidenceRecord {
    /// The side that this node is on.
    pub side: EvidenceSide,
    /// When it began.
    pub at: Timestamp,
    /// The requester.
    pub actor: ActorId,
    /// The grant; `None` for queries of this node's own people.
    pub grant: Option<GrantId>,
    /// The other node; `None` for queries of this node's own people.
    pub peer: Option<EvidencePeer>,
    /// The text of the query.
    pub sql: String,
    /// The signed query; `None` before it is signed, and for queries of this node's own people.
    pub envelope: Option<Signed<QueryEnvelope>>,
    /// The ledger entries about it, in order.
    pub entries: Vec<u64>,
    /// What a consumer has received, once the query has ended.
    pub counted: Option<Counted>,
    /// The receipt with the provider's signature, and the consumer's if `countersigned`.
    pub receipt: Option<CoSigned<Receipt>>,
    /// Whether both sides have signed.
    pub countersigned: bool,
    /// The head of the consumer's ledger that came with its signature.
    pub consumer_ledger: Option<Signed<LedgerHead>>,
}

/// A receipt that the other side has not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outstanding {
    /// The query.
    pub query: QueryId,
    /// Since when.
    pub since: Timestamp,
}

/// A handle to the evidence; clones share it. Everything blocks.
#[derive(Clone, Debug)]
pub struct Evidence(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: SealedDb,
    records: SealedTree<EvidenceRecord>,
    open: SealedTree<EvidenceSide>,
    outstanding: SealedTree<Vec<Outstanding>>,
    days: SealedTree<BTreeSet<QueryId>>,
    oldest: SealedTree<i64>,
    /// Held while a value is read, changed and written.
    changing: Mutex<()>,
}

impl Evidence {
    /// Opens the evidence in `db`.
    ///
    /// # Errors
    /// If the database fails.
    pub fn open(db: &SealedDb) -> Result<Self, MetaError> {
        Ok(Self(Arc::new(Inner {
            db: db.clone(),
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
        let evidence = self.clone();
        Ok(tokio::task::spawn_blocking(move || work(&evidence)).await??)
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
        let list = list_of(day, query);
        let mut listed = inner.days.get(&list)?.unwrap_or_default();
        listed.insert(query);
        let mut batch = Batch::new();
        batch.put(&inner.records, &query.to_string(), record)?;
        batch.put(&inner.open, &query.to_string(), &record.side)?;
        batch.put(&inner.days, &list, &listed)?;
        if inner.oldest.get(OLDEST)?.is_none_or(|oldest| day < oldest) {
            batch.put(&inner.oldest, OLDEST, &day)?;
        }
        inner.db.commit(batch)?;
        Ok(true)
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
        self.0.records.put(&query.to_string(), &record)
    }

    /// Closes a record: `entry` is the ledger entry of the end. `counted` is what a consumer received.
    ///
    /// # Errors
    /// If it cannot be made durable.
    pub fn close(&self, query: QueryId, entry: u64, counted: Option<Counted>) -> Result<(), MetaError> {
        let _changing = self.changing();
        let mut batch = Batch::new();
        if let Some(mut record) = self.get(query)? {
            if !record.entries.contains(&entry) {
                record.entries.push(entry);
            }
            record.counted = counted;
            batch.put(&self.0.records, &query.to_string(), &record)?;
        }
        batch.remove(&self.0.open, &query.to_string());
        self.0.db.commit(batch)
    }

    /// Stores a receipt that this node has signed as the provider, as waiting for the signature of `consumer`.
    ///
    /// # Errors
    /// If it cannot be made durable. The receipt must not be sent in that case.
    pub fn await_countersignature(
        &self,
        query: QueryId,
        consumer: &InstitutionId,
        receipt: CoSigned<Receipt>,
        now: Timestamp,
    ) -> Result<(), MetaError> {
        let _changing = self.changing();
        let Some(mut record) = self.get(query)? else {
            return Ok(());
        };
        record.receipt = Some(receipt);
        let mut waiting = self.outstanding(consumer)?;
        waiting.push(Outstanding { query, since: now });
        let mut batch = Batch::new();
        batch.put(&self.0.records, &query.to_string(), &record)?;
        batch.put(&self.0.outstanding, consumer.as_str(), &waiting)?;
        self.0.db.commit(batch)
    }

    /// Stores a receipt that both sides have signed; it no longer waits for a signature.
    ///
    /// # Errors
    /// If it cannot be made durable.
    pub fn countersigned(
        &self,
        query: QueryId,
        consumer: &InstitutionId,
        (receipt, consumer_ledger): (CoSigned<Receipt>, Signed<LedgerHead>),
        entry: u64,
    ) -> Result<(), MetaError> {
        let _changing = self.changing();
        let mut batch = Batch::new();
        if let Some(mut record) = self.get(query)? {
            record.receipt = Some(receipt);
            record.countersigned = true;
            record.consumer_ledger = Some(consumer_ledger);
            record.entries.push(entry);
            batch.put(&self.0.records, &query.to_string(), &record)?;
        }
        let mut waiting = self.outstanding(consumer)?;
        waiting.retain(|one| one.query != query);
        batch.put(&self.0.outstanding, consumer.as_str(), &waiting)?;
        self.0.db.commit(batch)
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
        (ledger, by, now): (&Ledger, &Attribution, Timestamp),
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
        record.entries.push(ledger.append(entry, by, now)?.sequence());
        waiting.retain(|one| one.query != query);
        let mut batch = Batch::new();
        batch.put(&self.0.records, &query.to_string(), &record)?;
        batch.put(&self.0.outstanding, consumer.as_str(), &waiting)?;
        self.0.db.commit(batch)?;
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

    /// Removes the records older than [`RETENTION_DAYS`] and returns their number.
    ///
    /// # Errors
    /// If the database fails.
    pub fn remove_expired(&self, now: Timestamp) -> Result<usize, MetaError> {
        let _changing = self.changing();
        let until = now.as_millis().div_euclid(DAY_MS).saturating_sub(RETENTION_DAYS);
        let Some(oldest) = self.0.oldest.get(OLDEST)?.filter(|oldest| *oldest < until) else {
            return Ok(0);
        };
        let mut removed = 0;
        for day in oldest..until {
            removed += self.remove_day(day)?;
            self.0.oldest.put(OLDEST, &day.saturating_add(1))?;
        }
        Ok(removed)
    }

    fn remove_day(&self, day: i64) -> Result<usize, MetaError> {
        let mut removed = 0;
        for list in (0..LISTS).map(|list| format!("{day}/{list}")) {
            let listed = self.0.days.get(&list)?.unwrap_or_default();
            let mut batch = Batch::new();
            for query in &listed {
                batch.remove(&self.0.records, &query.to_string());
            }
            if !listed.is_empty() {
                batch.remove(&self.0.days, &list);
                self.0.db.commit(batch)?;
            }
            removed += listed.len();
        }
        Ok(removed)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.0.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list_of(day: i64, query: QueryId) -> String {
    let first = query.as_bytes().first().copied().unwrap_or_default();
    format!("{day}/{}", first % LISTS)
}

#[cfg(test)]
mod tests;
