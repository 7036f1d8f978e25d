//! Which configuration, roster and policy set the ledger announced last.
//!
//! They may have been announced years ago, so a start does not search for them. A summary is stored in the sealed state, with the number of
//! entries that it covers and the hash of the last of them; a start reads the entries after these. The summary itself may be an older copy:
//! then it covers fewer entries, more are read, and the result is the same. A summary of another ledger is not used.

use std::collections::BTreeMap;

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::Digest32;
use concordat_storage::ledger::{Ledger, LedgerError};
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use serde::{Deserialize, Serialize};

use super::AcceptedConfiguration;
use crate::bound_state::{Bound, BoundStateError};
use crate::membership::SealedRoster;
use crate::policies::SealedPolicySet;

/// The tree that contains the summary.
const TREE: TreeId = TreeId::new("ledger-announcements");
/// The key of the only summary in it.
const KEY: &str = "summary";
/// Number of entries that are read at a time.
const CHUNK: u64 = 4096;

/// The last announcement of each kind among the first entries of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Announcements {
    /// Number of entries covered.
    pub(super) entries: u64,
    /// Leaf hash of the last of them; it names the whole ledger up to there.
    pub(super) leaf: Option<Digest32>,
    /// The digest that was announced last, by the kind of value.
    pub(super) last: BTreeMap<String, Digest32>,
}

impl Announcements {
    /// The announcements in the whole ledger. Blocks.
    ///
    /// # Errors
    /// If state or ledger cannot be read.
    pub(super) fn read(meta: &SealedDb, ledger: &Ledger) -> Result<Self, BoundStateError> {
        let mut found = match tree(meta)?.get(KEY)? {
            Some(known) if known.is_about(ledger)? => known,
            Some(_) | None => Self::default(),
        };
        let size = ledger.size();
        while found.entries < size {
            let end = size.min(found.entries.saturating_add(CHUNK));
            for stored in ledger.range_for_start(found.entries, end)? {
                found.note(&stored.entry.body);
                found.leaf = Some(stored.leaf);
            }
            found.entries = end;
        }
        Ok(found)
    }

    /// Stores the summary.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub(super) fn store(&self, meta: &SealedDb) -> Result<(), MetaError> {
        tree(meta)?.put(KEY, self)
    }

    /// The digest of a kind of value that was announced last.
    pub(super) fn last<V: Bound>(&self) -> Option<Digest32> {
        self.last.get(V::WHAT).copied()
    }

    /// Takes the value in the state for the one that was announced last.
    pub(super) fn adopt<V: Bound>(&mut self, value: Option<&V>) {
        match value {
            Some(value) => drop(self.last.insert(V::WHAT.to_owned(), value.digest())),
            None => drop(self.last.remove(V::WHAT)),
        }
    }

    /// Whether these are the first entries of `ledger`.
    fn is_about(&self, ledger: &Ledger) -> Result<bool, LedgerError> {
        let Some(newest) = self.entries.checked_sub(1) else {
            return Ok(true);
        };
        if self.entries > ledger.size() {
            return Ok(false);
        }
        let found = ledger.range_for_start(newest, self.entries)?.pop();
        Ok(found.is_some_and(|stored| Some(stored.leaf) == self.leaf))
    }

    fn note(&mut self, entry: &EntryBody) {
        for (kind, digest) in [
            (AcceptedConfiguration::WHAT, AcceptedConfiguration::announced(entry)),
            (SealedRoster::WHAT, SealedRoster::announced(entry)),
            (SealedPolicySet::WHAT, SealedPolicySet::announced(entry)),
        ] {
            if let Some(digest) = digest {
                self.last.insert(kind.to_owned(), digest);
            }
        }
    }
}

fn tree(meta: &SealedDb) -> Result<SealedTree<Announcements>, MetaError> {
    meta.tree(TREE)
}
