//! What the last stop interrupted, as notes, values and the ledger show together.

use concordat_protocol::audit::{EntryBody, NodeTask};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::StoredEntry;

use super::{ChangeEntryError, Changes, Note, Subject};
use crate::attribution::by_node;
use crate::bound_state::older_state_help;

/// Longest time in milliseconds from the entry of a change to the change of its value. A value is changed in one commit, which takes
/// milliseconds; the rotation of a master key derives keys first, and a grant waits some seconds for answers that run.
pub(super) const LONGEST: i64 = 10 * 60 * 1000;

impl Changes {
    /// Records which changes were not made because of the last stop. Must be called before another entry is written to the ledger.
    ///
    /// # Errors
    /// [`ReconcileError::StateOlder`] if a change had ended that the state has as interrupted; nothing is changed then. Otherwise if state or
    /// ledger cannot be read or written; calling it again continues.
    pub fn reconcile(&self, now: Timestamp) -> Result<(), ReconcileError> {
        let mut notes = Vec::new();
        for (name, note) in self.notes.iter().map_err(ChangeEntryError::from)? {
            let not_made = self.not_made(&note)?;
            notes.push((name, not_made));
        }
        for (name, not_made) in notes {
            self.resolve(&name, not_made, now)?;
        }
        Ok(())
    }

    /// The entry of a change that was not made because of the last stop.
    fn not_made(&self, note: &Note) -> Result<Option<u64>, ReconcileError> {
        let end = self.ledger.size();
        let since = self.ledger.range_for_start(note.ledger, end);
        let since = Entries(since.map_err(ChangeEntryError::from)?);
        let (tree, key) = note.subject.location();
        let present = self.meta.fingerprint(tree, key).map_err(ChangeEntryError::from)?;
        let Some(change) = since.of_change(&note.entry).filter(|_| present == note.before) else {
            return Ok(None);
        };
        let entry = change.entry.sequence;
        match since.ended_before(change, &note.subject) {
            Some(later) => Err(ReconcileError::StateOlder { entry, later }),
            None => Ok(Some(entry)),
        }
    }

    fn resolve(&self, note: &str, not_made: Option<u64>, now: Timestamp) -> Result<(), ChangeEntryError> {
        if let Some(entry) = not_made {
            tracing::warn!(
                entry,
                "a change that the last stop interrupted was not made; this is recorded in the ledger"
            );
            let by = by_node(NodeTask::Recovery);
            drop(self.ledger.append(EntryBody::ChangeNotMade { entry }, &by, now)?);
        }
        Ok(self.notes.remove(note)?)
    }
}

impl Subject {
    /// The value whose change an entry records; `None` if it records no such change, or one of a key: its label may be cut.
    fn of(entry: &EntryBody) -> Option<Self> {
        if let EntryBody::UserAdded { actor, .. }
        | EntryBody::UserChanged { actor, .. }
        | EntryBody::UserDisabled { actor } = entry
        {
            Some(Self::Account(actor.name().to_owned()))
        } else if let EntryBody::DatasetClassified { dataset, .. }
        | EntryBody::DatasetPublished { dataset }
        | EntryBody::DatasetWithdrawn { dataset }
        | EntryBody::DatasetLimited { dataset, .. }
        | EntryBody::DatasetRetentionSet { dataset, .. }
        | EntryBody::DatasetTrimmed { dataset, .. } = entry
        {
            Some(Self::Dataset(dataset.to_string()))
        } else if let EntryBody::GrantChanged { grant, .. } = entry {
            Some(Self::Grant(grant.to_string()))
        } else if let EntryBody::NegotiationStep { negotiation, .. } = entry {
            Some(Self::Negotiation(negotiation.to_string()))
        } else if let EntryBody::HostsAllowed { institution, .. } = entry {
            Some(Self::AllowedHosts(institution.to_string()))
        } else if let EntryBody::ReleaseLocked {
            collection,
            institution,
            ..
        }
        | EntryBody::ReleaseUnlocked {
            collection,
            institution,
            ..
        } = entry
        {
            Some(Self::ReleaseLocks(format!("{collection}/{institution}")))
        } else {
            None
        }
    }
}

/// The entries since a note was stored.
struct Entries(Vec<StoredEntry>);

impl Entries {
    /// The entry that records the change, unless a later one records that it was not made.
    fn of_change(&self, body: &EntryBody) -> Option<&StoredEntry> {
        let mut matching = self.0.iter().filter(|stored| stored.entry.body == *body);
        matching.find(|stored| {
            let entry = stored.entry.sequence;
            let denied = EntryBody::ChangeNotMade { entry };
            !self.0.iter().any(|stored| stored.entry.body == denied)
        })
    }

    /// The first entry that was written after `change`, a change of `subject`, had ended.
    fn ended_before(&self, change: &StoredEntry, subject: &Subject) -> Option<u64> {
        let begun = &change.entry;
        let mut later = self.0.iter().map(|stored| &stored.entry);
        let ended = later.find(|entry| {
            entry.sequence > begun.sequence
                && (matches!(entry.body, EntryBody::NodeStarted { .. })
                    || Subject::of(&entry.body).as_ref() == Some(subject)
                    || entry.at.since(begun.at) > LONGEST)
        });
        ended.map(|entry| entry.sequence)
    }
}

/// Why a start cannot determine which changes the last stop interrupted.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The state has a change as interrupted that had ended.
    #[error(
        "a value in the folder `meta` was replaced by an older copy: there, the change that entry {entry} of the ledger records is not made \
         yet, but it had ended before entry {later}"
    )]
    StateOlder {
        /// The number of the entry of the change.
        entry: u64,
        /// The number of an entry that was written after it had ended.
        later: u64,
    },
    /// State or ledger failed.
    #[error(transparent)]
    Entry(#[from] ChangeEntryError),
}

impl Explain for ReconcileError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::StateOlder { .. } => ErrorKind::Integrity,
            Self::Entry(source) => source.kind(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::StateOlder { entry, later } => Some(older_state_help(
                &format!("entry {later}"),
                &format!("make the change of entry {entry} again if the backup lacks it"),
            )),
            Self::Entry(_) => None,
        }
    }
}
