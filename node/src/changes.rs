//! Changes of the sealed state that the ledger tells of first.
//!
//! 1. What is going to change is noted in the state, with a hash of the value as it is.
//! 2. The ledger takes the entry. 3. The value is changed. 4. The note is removed.
//!
//! A kill between 2 and 3 leaves the note and the value as it was: the next start enters that the change was not made, before
//! anything else is entered. A change that fails is entered as not made at once. Roster, policy set and configuration have a
//! mechanism of their own, which completes them ([`crate::start_state`]).

use concordat_protocol::audit::{EntryBody, NodeTask};
use concordat_protocol::ids::Digest32;
use concordat_protocol::time::Timestamp;
use concordat_storage::catalog::DATASETS;
use concordat_storage::ledger::{Attribution, Ledger, LedgerError, StoredEntry};
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::attribution::by_node;
use crate::fault::{Code, Explain};

/// The accounts of people, under their names.
pub const ACCOUNTS: TreeId = TreeId::new("accounts");
/// The grants, under their numbers.
pub const GRANTS: TreeId = TreeId::new("grants");
/// The negotiations, under their numbers.
pub const NEGOTIATIONS: TreeId = TreeId::new("negotiations");
/// The hosts that people allowed, by institution.
pub const ALLOWED_HOSTS: TreeId = TreeId::new("dialed-hosts");

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
}

impl Subject {
    fn place(&self) -> (TreeId, &str) {
        match self {
            Self::Account(key) => (ACCOUNTS, key),
            Self::Dataset(key) => (DATASETS, key),
            Self::Grant(key) => (GRANTS, key),
            Self::Negotiation(key) => (NEGOTIATIONS, key),
            Self::AllowedHosts(key) => (ALLOWED_HOSTS, key),
        }
    }
}

/// A change that is under way, as the state notes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    subject: Subject,
    /// Names the value before the change.
    before: Option<Digest32>,
    /// What the ledger is going to tell.
    entry: EntryBody,
    /// Entries of the ledger at that moment.
    ledger: u64,
}

/// A change whose entry is in the ledger. Whoever has it says whether it was made.
#[derive(Debug)]
#[must_use = "whether the change was made has to be said"]
pub struct OpenChange {
    note: String,
    entry: u64,
    by: Attribution,
    at: Timestamp,
}

/// Makes changes that the ledger tells of; clones share everything. All of it blocks but what is called async.
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

    /// Enters `entry` and makes the change that it tells of.
    ///
    /// # Errors
    /// What `change` says; the ledger tells then that it was not made. [`ChangeEntryError`] if state or ledger cannot be written.
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

    /// Enters `entry`; the change that it tells of may be made then.
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
        let (tree, key) = subject.place();
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
            // The ledger takes nothing any more; what is left of the note is looked at by the next start.
            Err(error) => Err(error.into()),
        }
    }

    /// Says whether a change was made.
    ///
    /// # Errors
    /// If state or ledger cannot be written; the next start finds out by itself then.
    pub fn end(&self, open: OpenChange, made: bool) -> Result<(), ChangeEntryError> {
        let OpenChange { note, entry, by, at } = open;
        if !made {
            drop(self.ledger.append(EntryBody::ChangeNotMade { entry }, &by, at)?);
        }
        Ok(self.notes.remove(&note)?)
    }

    /// As [`Changes::begin`], off the async threads.
    ///
    /// # Errors
    /// As for [`Changes::begin`].
    pub async fn begin_async(
        &self,
        subject: Subject,
        entry: EntryBody,
        (by, at): (&Attribution, Timestamp),
    ) -> Result<OpenChange, ChangeEntryError> {
        let (changes, by) = (self.clone(), by.clone());
        tokio::task::spawn_blocking(move || changes.begin(subject, entry, (&by, at))).await?
    }

    /// As [`Changes::end`], off the async threads.
    ///
    /// # Errors
    /// As for [`Changes::end`].
    pub async fn end_async(&self, open: OpenChange, made: bool) -> Result<(), ChangeEntryError> {
        let changes = self.clone();
        tokio::task::spawn_blocking(move || changes.end(open, made)).await?
    }

    /// Enters which changes the last stop kept from being made. To be called before the ledger takes another entry.
    ///
    /// # Errors
    /// If state or ledger cannot be read or written; calling it again goes on.
    pub fn settle(&self, now: Timestamp) -> Result<(), ChangeEntryError> {
        for (name, note) in self.notes.iter()? {
            let since = self.ledger.range_for_start(note.ledger, self.ledger.size())?;
            let (tree, key) = note.subject.place();
            if let Some(entry) = told(&since, &note.entry)
                && self.meta.fingerprint(tree, key)? == note.before
            {
                tracing::warn!(
                    entry,
                    "a change that the last stop broke off was not made; the ledger tells so"
                );
                let by = by_node(NodeTask::Recovery);
                drop(self.ledger.append(EntryBody::ChangeNotMade { entry }, &by, now)?);
            }
            self.notes.remove(&name)?;
        }
        Ok(())
    }
}

/// The number of the entry that tells of the change, unless a later one says that it was not made.
fn told(since: &[StoredEntry], body: &EntryBody) -> Option<u64> {
    let tells = since.iter().filter(|stored| stored.entry.body == *body);
    let mut numbers = tells.map(|stored| stored.entry.sequence);
    numbers.find(|entry| {
        let denied = EntryBody::ChangeNotMade { entry: *entry };
        !since.iter().any(|stored| stored.entry.body == denied)
    })
}

/// Why a change was not entered.
#[derive(Debug, thiserror::Error)]
pub enum ChangeEntryError {
    /// The state failed.
    #[error("the sealed state cannot be read or written")]
    State(#[from] MetaError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// No randomness to be had.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// A helper thread was ended.
    #[error("the node is stopping")]
    Stopping(#[from] tokio::task::JoinError),
}

impl Explain for ChangeEntryError {
    fn code(&self) -> Code {
        match self {
            Self::State(source) => source.code(),
            Self::Ledger(source) => source.code(),
            Self::Random(_) | Self::Stopping(_) => Code::Fault,
        }
    }
}

#[cfg(test)]
mod tests;
