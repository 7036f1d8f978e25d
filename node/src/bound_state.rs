//! Values that are bound into the sealed state: the current one, and the one that is about to replace it.
//!
//! A change takes three steps, each durable before the next: the new value is *prepared* in the state, the ledger announces
//! it, and it becomes the *current* one. A start completes an interrupted change: a prepared value that the ledger announces
//! becomes the current one, and one that it does not announce is dropped. So the current value is the one that the ledger announced last,
//! however many entries follow; if it is another one, the state, or this value in it, is older than the ledger.

use std::sync::{Mutex, PoisonError};

use concordat_protocol::audit::EntryBody;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::Digest32;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Attribution, Ledger, LedgerError};
use concordat_storage::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The key of the only record in a tree of versions.
const KEY: &str = "version";

/// A value that is bound into the sealed state.
pub(crate) trait Bound: Clone + Serialize + DeserializeOwned {
    /// The kind of value, for messages.
    const WHAT: &'static str;
    /// The tree of its record.
    const TREE: TreeId;
    /// The tree that stores every value under its number, if earlier values are retained.
    const HISTORY: Option<TreeId>;

    /// Digest of the value.
    fn digest(&self) -> Digest32;

    /// Its number.
    fn number(&self) -> u64;

    /// The digest of the value that `entry` announces, if it announces one of this kind.
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
    /// Number of ledger entries at that moment: the announcement comes after them.
    ledger: u64,
}

/// The versions of one value in the sealed state.
#[derive(Debug)]
pub(crate) struct Versions<V> {
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
    pub(crate) fn open(meta: &SealedDb) -> Result<Self, MetaError> {
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
    pub(crate) fn current(&self) -> Result<Option<V>, MetaError> {
        Ok(self.record.get(KEY)?.and_then(|record| record.current))
    }

    /// All values that were in use, oldest first; empty if earlier values are not retained.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub(crate) fn history(&self) -> Result<Vec<V>, MetaError> {
        match &self.history {
            Some(history) => Ok(history.iter()?.map(|(_, value)| value).collect()),
            None => Ok(Vec::new()),
        }
    }

    /// Replaces the value: it is prepared, announced by `entry`, and made current. Blocks.
    ///
    /// # Errors
    /// If state or ledger cannot be written. The next start then determines whether the change was made.
    pub(crate) fn adopt(
        &self,
        value: V,
        ledger: &Ledger,
        entry: EntryBody,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<(), BoundStateError> {
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

    /// Completes an interrupted change, and compares the value with `last`, the digest that the ledger announced last.
    ///
    /// # Errors
    /// [`BoundStateError::StateOlder`] if the ledger announced another value; nothing is changed then.
    pub(crate) fn reconcile(&self, ledger: &Ledger, last: Option<Digest32>) -> Result<(), BoundStateError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Record { current, prepared }) = self.record.get(KEY)? else {
            return Self::compare(None, last);
        };
        let Some(prepared) = prepared else {
            return Self::compare(current.as_ref(), last);
        };
        if Self::is_announced(&prepared, ledger)? {
            Self::compare(Some(&prepared.value), last)?;
            return Ok(self.make_current(prepared.value)?);
        }
        Self::compare(current.as_ref(), last)?;
        tracing::warn!(
            what = V::WHAT,
            "a change that the last stop interrupted before it was announced is dropped"
        );
        let prepared = None;
        Ok(self.record.put(KEY, &Record { current, prepared })?)
    }

    fn is_announced(prepared: &Prepared<V>, ledger: &Ledger) -> Result<bool, LedgerError> {
        let digest = prepared.value.digest();
        let since = ledger.range_for_start(prepared.ledger, ledger.size())?;
        let mut announced = since.iter().map(|stored| V::announced(&stored.entry.body));
        Ok(announced.any(|announced| announced == Some(digest)))
    }

    fn compare(value: Option<&V>, last: Option<Digest32>) -> Result<(), BoundStateError> {
        match last {
            Some(last) if value.is_none_or(|value| value.digest() != last) => {
                Err(BoundStateError::StateOlder { what: V::WHAT })
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

    /// Prepares a value and does nothing else, like a stop at that moment.
    #[cfg(test)]
    pub(crate) fn prepare_only(&self, value: V, ledger: u64) {
        let record = Record {
            current: self.current().unwrap(),
            prepared: Some(Prepared { value, ledger }),
        };
        self.record.put(KEY, &record).unwrap();
    }
}

/// Why a value is not bound, or does not match the ledger.
#[derive(Debug, thiserror::Error)]
pub enum BoundStateError {
    /// The ledger records something that the state lacks.
    #[error(
        "the folder `meta`, or a value in it, was replaced by an older copy: its {what} is not the one that the ledger records last"
    )]
    StateOlder {
        /// What the state lacks.
        what: &'static str,
    },
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The state failed.
    #[error("the sealed state cannot be read or written")]
    State(#[from] MetaError),
}

impl Explain for BoundStateError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::StateOlder { .. } => ErrorKind::Integrity,
            Self::Ledger(source) => source.kind(),
            Self::State(source) => source.kind(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::StateOlder { what } => Some(older_state_help(
                &format!("the ledger recorded its {what} last"),
                &format!("compare the {what} with the one that was recorded last"),
            )),
            Self::Ledger(_) | Self::State(_) => None,
        }
    }
}

/// What to do about a folder `meta` that is older than the ledger: it was replaced after `event`. A backup may be older as well, so there
/// is something to do after it is restored.
pub(crate) fn older_state_help(event: &str, afterward: &str) -> String {
    format!(
        "find out who wrote to the folder `meta` after {event}, and restore a copy of the whole folder from after that; if there is none, \
         restore a backup into an empty directory and {afterward}"
    )
}
