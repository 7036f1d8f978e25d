//! Changes of the sealed state that are written to the ledger first.
//!
//! 1. A note of the intended change is stored in the state, with a hash of the present value.
//! 2. The entry is written to the ledger. 3. The value is changed. 4. The note is removed.
//!
//! A kill between 2 and 3 leaves the note and the unchanged value: the next start records in the ledger that the change was not made,
//! before any other entry. A change that fails is recorded as not made at once. Roster, policy set and configuration have a
//! separate mechanism, which completes them ([`crate::bound_state`]).

use concordat_protocol::audit::{EntryBody, NodeTask};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::Digest32;
use concordat_protocol::time::Timestamp;
use concordat_storage::catalog::{DATASETS, SEGMENTS};
use concordat_storage::data_dir::{MASTER_KEY_FILE, MASTER_KEY_RECORD};
use concordat_storage::ledger::{Attribution, Ledger, LedgerError, StoredEntry};
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::attribution::by_node;

/// The accounts of people, by name.
pub(crate) const ACCOUNTS: TreeId = TreeId::new("accounts");
/// The grants, by id.
pub(crate) const GRANTS: TreeId = TreeId::new("grants");
/// The negotiations, by id.
pub(crate) const NEGOTIATIONS: TreeId = TreeId::new("negotiations");
/// The hosts that people allowed, by institution.
pub(crate) const ALLOWED_HOSTS: TreeId = TreeId::new("dialed-hosts");

/// Which value changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The account of a person.
    Account(String),
    /// The record of a dataset.
    Dataset(String),
    /// A grant.
    Grant(String),
    /// A negotiation.
    Negotiation(String),
    /// The hosts that are dialed for an institution.
    AllowedHosts(String),
    /// The key of a segment.
    Segment(String),
    /// The master key.
    MasterKey,
}

impl Subject {
    fn location(&self) -> (TreeId, &str) {
        match self {
            Self::Account(key) => (ACCOUNTS, key),
            Self::Dataset(key) => (DATASETS, key),
            Self::Grant(key) => (GRANTS, key),
            Self::Negotiation(key) => (NEGOTIATIONS, key),
            Self::AllowedHosts(key) => (ALLOWED_HOSTS, key),
            Self::Segment(key) => (SEGMENTS, key),
            Self::MasterKey => (MASTER_KEY_FILE, MASTER_KEY_RECORD),
        }
    }
}

/// The note of a change that is under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    subject: Subject,
    /// Digest of the value before the change.
    before: Option<Digest32>,
    /// The ledger entry of the change.
    entry: EntryBody,
    /// Number of ledger entries at that moment.
    ledger: u64,
}

/// A change whose entry is in the ledger. Its owner has to report whether the change was made.
#[derive(Debug)]
#[must_use = "whether the change was made has to be reported"]
pub struct OpenChange {
    note: String,
    entry: u64,
    by: Attribution,
    at: Timestamp,
}

/// Makes changes that are recorded in the ledger; clones share all state. All methods block, except those with `async` in the name.
#[derive(Clone, Debug)]
pub struct Changes {
    meta: SealedDb,
    ledger: Ledger,
    notes: SealedTree<Note>,
}

impl Changes {
    /// Opens the notes.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn open(meta: &SealedDb, ledger: Ledger) -> Result<Self, MetaError> {
        let notes = meta.tree(TreeId::new("changes"))?;
        Ok(Self {
            meta: meta.clone(),
            ledger,
            notes,
        })
    }

    /// Writes `entry` to the ledger and makes the change that it records.
    ///
    /// # Errors
    /// The error of `change`; the ledger then records that it was not made. [`ChangeEntryError`] if state or ledger cannot be written.
    pub fn make<T, E: From<ChangeEntryError>>(
        &self,
        subject: Subject,
        entry: EntryBody,
        (by, at): (&Attribution, Timestamp),
        change: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let open = self.begin(subject, entry, (by, at))?;
        let made = change();
        self.end(open, made.is_ok())?;
        made
    }

    /// Writes `entry` to the ledger; after that the change that it records may be made.
    ///
    /// # Errors
    /// If state or ledger cannot be written: the change must not be made.
    pub fn begin(
        &self,
        subject: Subject,
        entry: EntryBody,
        (by, at): (&Attribution, Timestamp),
    ) -> Result<OpenChange, ChangeEntryError> {
        let mut number = [0; 16];
        getrandom::fill(&mut number)?;
        let note = HEXLOWER.encode(&number);
        let (tree, key) = subject.location();
        let noted = Note {
            before: self.meta.fingerprint(tree, key)?,
            subject,
            entry: entry.clone(),
            ledger: self.ledger.size(),
        };
        self.notes.put(&note, &noted)?;
        match self.ledger.append(entry, by, at) {
            Ok(receipt) => Ok(OpenChange {
                note,
                entry: receipt.sequence(),
                by: by.clone(),
                at,
            }),
            // The ledger no longer accepts entries; the next start handles the note.
            Err(error) => Err(error.into()),
        }
    }

    /// Reports whether a change was made.
    ///
    /// # Errors
    /// If state or ledger cannot be written; the next start then determines whether the change was made.
    pub fn end(&self, open: OpenChange, made: bool) -> Result<(), ChangeEntryError> {
        let OpenChange { note, entry, by, at } = open;
        if !made {
            drop(self.ledger.append(EntryBody::ChangeNotMade { entry }, &by, at)?);
        }
        Ok(self.notes.remove(&note)?)
    }

    /// As [`Changes::begin`], on a blocking thread.
    ///
    /// # Errors
    /// As for [`Changes::begin`].
    pub async fn begin_async(
        &self,
        subject: Subject,
        entry: EntryBody,
        (by, at): (&Attribution, Timestamp),
    ) -> Result<OpenChange, ChangeEntryError> {
        let changes = self.clone();
        let by = by.clone();
        tokio::task::spawn_blocking(move || changes.begin(subject, entry, (&by, at))).await?
    }

    /// As [`Changes::end`], on a blocking thread.
    ///
    /// # Errors
    /// As for [`Changes::end`].
    pub async fn end_async(&self, open: OpenChange, made: bool) -> Result<(), ChangeEntryError> {
        let changes = self.clone();
        tokio::task::spawn_blocking(move || changes.end(open, made)).await?
    }

    /// Records which changes were not made because of the last stop. Must be called before another entry is written to the ledger.
    ///
    /// # Errors
    /// If state or ledger cannot be read or written; calling it again continues.
    pub fn reconcile(&self, now: Timestamp) -> Result<(), ChangeEntryError> {
        for (name, note) in self.notes.iter()? {
            let since = self.ledger.range_for_start(note.ledger, self.ledger.size())?;
            let (tree, key) = note.subject.location();
            if let Some(entry) = entry_of_change(&since, &note.entry)
                && self.meta.fingerprint(tree, key)? == note.before
            {
                tracing::warn!(
                    entry,
                    "a change that the last stop interrupted was not made; this is recorded in the ledger"
                );
                let by = by_node(NodeTask::Recovery);
                drop(self.ledger.append(EntryBody::ChangeNotMade { entry }, &by, now)?);
            }
            self.notes.remove(&name)?;
        }
        Ok(())
    }
}

/// The number of the entry that records the change, unless a later one records that it was not made.
fn entry_of_change(since: &[StoredEntry], body: &EntryBody) -> Option<u64> {
    let matching = since.iter().filter(|stored| stored.entry.body == *body);
    let mut numbers = matching.map(|stored| stored.entry.sequence);
    numbers.find(|entry| {
        let denied = EntryBody::ChangeNotMade { entry: *entry };
        !since.iter().any(|stored| stored.entry.body == denied)
    })
}

/// Why a change was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum ChangeEntryError {
    /// The state failed.
    #[error("the sealed state cannot be read or written")]
    State(#[from] MetaError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The system's random number generator failed.
    #[error("the system's random number generator failed")]
    Random(#[from] getrandom::Error),
    /// A blocking task was canceled.
    #[error("the node is stopping")]
    Stopping(#[from] tokio::task::JoinError),
}

impl Explain for ChangeEntryError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::State(source) => source.kind(),
            Self::Ledger(source) => source.kind(),
            Self::Random(_) | Self::Stopping(_) => ErrorKind::Internal,
        }
    }
}

#[cfg(test)]
mod tests;
