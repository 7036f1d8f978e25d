//! A value that decides something: the one in use, and the one that is about to be.
//!
//! A change takes three steps, each durable before the next: the new value is *prepared* in the state, the ledger announces
//! it, and it becomes the *current* one. A start completes what a stop broke off: a prepared value that the ledger announces
//! becomes the current one, one that it does not is dropped. So a ledger that announces a value which is neither is newer than
//! the state.

use std::sync::{Mutex, PoisonError};

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::Digest32;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Attribution, Ledger};
use concordat_storage::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::StartStateError;

/// The key of the one record in a tree of versions.
const KEY: &str = "version";

/// A value that is bound into the sealed state.
pub trait Bound: Clone + Serialize + DeserializeOwned {
    /// What it is, for messages.
    const WHAT: &'static str;
    /// The tree of its record.
    const TREE: TreeId;
    /// The tree that keeps every value under its number, if earlier ones are kept.
    const HISTORY: Option<TreeId>;

    /// Names the value.
    fn digest(&self) -> Digest32;

    /// Its number.
    fn number(&self) -> u64;

    /// The name of the value that `entry` announces, if it announces one of this kind.
    fn announced(entry: &EntryBody) -> Option<Digest32>;
}

/// The record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record<V> {
    current: Option<V>,
    prepared: Option<Prepared<V>>,
}

/// A value that is about to be the current one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prepared<V> {
    value: V,
    /// Entries of the ledger at that moment: the announcement comes behind them.
    ledger: u64,
}

/// The versions of one value in the sealed state.
#[derive(Debug)]
pub struct Versions<V> {
    db: SealedDb,
    record: SealedTree<Record<V>>,
    history: Option<SealedTree<V>>,
    /// Held from the preparation of a change to its end.
    changing: Mutex<()>,
}

impl<V: Bound> Versions<V> {
    /// Opens the record.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn open(meta: &SealedDb) -> Result<Self, MetaError> {
        Ok(Self {
            db: meta.clone(),
            record: meta.tree(V::TREE)?,
            history: V::HISTORY.map(|tree| meta.tree(tree)).transpose()?,
            changing: Mutex::default(),
        })
    }

    /// The value in use.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn current(&self) -> Result<Option<V>, MetaError> {
        Ok(self.record.get(KEY)?.and_then(|record| record.current))
    }

    /// All values that were in use, oldest first; empty where earlier ones are not kept.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn history(&self) -> Result<Vec<V>, MetaError> {
        match &self.history {
            Some(history) => Ok(history.iter()?.map(|(_, value)| value).collect()),
            None => Ok(Vec::new()),
        }
    }

    /// Exchanges the value: prepared, announced by `entry`, current. Blocks.
    ///
    /// # Errors
    /// If state or ledger cannot be written. Whether the change was made shows at the next start then.
    pub fn adopt(
        &self,
        value: V,
        ledger: &Ledger,
        entry: EntryBody,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<(), StartStateError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let record = Record {
            current: self.current()?,
            prepared: Some(Prepared {
                value: value.clone(),
                ledger: ledger.size(),
            }),
        };
        self.record.put(KEY, &record)?;
        drop(ledger.append(entry, by, now)?);
        Ok(self.make_current(value)?)
    }

    /// Completes what a stop broke off, and compares with the last entry of the ledger: all entries before it were known to
    /// the state before the ledger took another one.
    ///
    /// # Errors
    /// [`StartStateError::StateOlder`] if the ledger announces a value that the state lacks.
    pub fn settle(&self, ledger: &Ledger) -> Result<(), StartStateError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Record {
            current,
            prepared: Some(prepared),
        }) = self.record.get(KEY)?
        {
            let name = prepared.value.digest();
            let since = ledger.range_for_start(prepared.ledger, ledger.size())?;
            if since
                .iter()
                .any(|stored| V::announced(&stored.entry.body) == Some(name))
            {
                self.make_current(prepared.value)?;
            } else {
                tracing::warn!(
                    what = V::WHAT,
                    "a change that the last stop broke off before it was announced is dropped"
                );
                let prepared = None;
                self.record.put(KEY, &Record { current, prepared })?;
            }
        }
        let last = ledger.tail(1)?.pop();
        match last.and_then(|stored| V::announced(&stored.entry.body)) {
            Some(name) if self.current()?.is_none_or(|current| current.digest() != name) => {
                Err(StartStateError::StateOlder { what: V::WHAT })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn make_current(&self, value: V) -> Result<(), MetaError> {
        let mut batch = Batch::new();
        if let Some(history) = &self.history {
            batch.put(history, &format!("{:020}", value.number()), &value)?;
        }
        let record = Record {
            current: Some(value),
            prepared: None,
        };
        batch.put(&self.record, KEY, &record)?;
        self.db.commit(batch)
    }

    /// Prepares a value and goes no further, as a stop at that moment would leave it.
    #[cfg(test)]
    pub(super) fn prepare_only(&self, value: V, ledger: u64) {
        let record = Record {
            current: self.current().unwrap(),
            prepared: Some(Prepared { value, ledger }),
        };
        self.record.put(KEY, &record).unwrap();
    }
}
