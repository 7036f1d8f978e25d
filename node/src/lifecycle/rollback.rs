//! Detects a catalog that is older than the ledger.
//!
//! Catalog and ledger are stored separately. If an older copy of the state database is restored, even the whole folder,
//! the catalog lacks versions that the ledger records, or contains datasets that the ledger records as erased. Conversely, a
//! stop between the two leaves a catalog that is one step ahead of the ledger; the missing entry is written here.
//!
//! A statement of an erasure names the keys that it destroyed. A dataset that has one of them was erased and is there again, whatever the
//! ledger records about its name since; one that was imported later under the same name has keys of its own.
//!
//! A summary of what the ledger records about each dataset is stored in the state, with the number of entries that it covers, so that a
//! start only reads newer entries. A restored older state contains its own older summary: the
//! comparison continues from there and finds what that state lacks. The anchor in the state covers the entries before.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::thread::{Builder, available_parallelism};

use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    audit::{EntryBody, NodeTask},
    ids::{CollectionName, DatasetName, Digest32, KeyId},
    schema::VersionNumber,
    text::Reason,
};
use concordat_storage::{
    catalog::{CatalogError, CollectionRecord, ErasureStatement},
    ledger::LedgerError,
    meta::{MetaError, TreeId},
};
use serde::{Deserialize, Serialize};

use super::erasure::erase;
use super::parts::LifecycleParts;
use crate::attribution::by_node;

/// The tree that contains the summary.
const TREE: TreeId = TreeId::new("ledger-datasets");
/// The key of the only summary in it.
const KEY: &str = "summary";
/// Number of entries that are read at a time.
const CHUNK: u64 = 4096;
/// Entries that a start reads again rather than to store a summary for them alone: it has all datasets, and reading these takes less.
const MAX_UNSUMMARIZED: u64 = 256;
/// Most threads that compare datasets.
const MAX_THREADS: usize = 4;
/// Datasets that one thread compares at least: some milliseconds of work, so that it is worth a thread.
const MIN_TOGETHER: usize = 256;

/// Why the catalog does not match the ledger.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// The catalog lacks what the ledger records, or contains what it records as erased.
    #[error("an older copy of the state was restored: according to the ledger, {recorded}, but the catalog {found}")]
    OlderState {
        /// What the ledger records, as text.
        recorded: String,
        /// What the catalog contains instead, as text.
        found: &'static str,
    },
    /// The ledger cannot be read.
    #[error("the catalog cannot be compared with the ledger")]
    Ledger(#[from] LedgerError),
    /// The catalog cannot be read.
    #[error("the catalog cannot be compared with the ledger")]
    Catalog(#[from] CatalogError),
    /// The summary of the ledger cannot be read or stored.
    #[error("the catalog cannot be compared with the ledger")]
    State(#[from] MetaError),
    /// An interrupted operation cannot be completed.
    #[error("an operation that the last stop interrupted cannot be completed: {}", .0.detail)]
    Unfinished(Box<Problem>),
    /// The comparison was interrupted.
    #[error("the comparison of catalog and ledger was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl Explain for RollbackError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::OlderState { .. } => ErrorKind::Integrity,
            Self::Ledger(source) => source.kind(),
            Self::Catalog(source) => source.kind(),
            Self::State(source) => source.kind(),
            Self::Unfinished(problem) => problem.code,
            Self::Interrupted(_) => ErrorKind::Internal,
        }
    }

    fn help(&self) -> Option<String> {
        matches!(self, Self::OlderState { .. }).then(|| {
            "stop, find out who wrote to the folder `meta`, and restore the state that belongs to this ledger; if there is no copy of \
             it, restore a backup into an empty directory"
                .to_owned()
        })
    }
}

/// The last entry of the ledger about a dataset, or a collection of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Last {
    Imported { version: u64, manifest: Digest32 },
    Erased { statement: Digest32 },
}

/// The last entry about each dataset among the first entries of the ledger.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerSummary {
    /// Number of entries covered.
    entries: u64,
    datasets: BTreeMap<DatasetName, Last>,
}

/// An entry that the comparison has written.
struct Entered {
    entry: u64,
    dataset: DatasetName,
    last: Last,
}

impl LedgerSummary {
    /// Covers the entries that the comparison has written, as far as no other entry is between them. They state what the catalog contains.
    fn extend(&mut self, entered: Vec<Entered>) {
        for Entered { entry, dataset, last } in entered {
            if entry != self.entries {
                return;
            }
            self.entries = self.entries.saturating_add(1);
            self.datasets.insert(dataset, last);
        }
    }
}

/// What the statements of all erasures name.
struct ErasedDatasets {
    keys: BTreeSet<KeyId>,
    names: BTreeSet<DatasetName>,
}

impl ErasedDatasets {
    fn of(statements: &[ErasureStatement]) -> Self {
        let mut erased = Self {
            keys: BTreeSet::new(),
            names: BTreeSet::new(),
        };
        for statement in statements {
            let erasure = statement.document();
            erased.keys.extend(erasure.keys.iter().copied());
            erased.names.insert(erasure.dataset.clone());
        }
        erased
    }
}

/// Compares the catalog with the ledger, and completes what a stop interrupted between the two. Blocks.
pub(super) fn compare_with_ledger(parts: &LifecycleParts) -> Result<(), RollbackError> {
    Comparison(parts).run()
}

/// The versions of a collection that the catalog contains.
struct StoredVersions {
    dataset: DatasetName,
    oldest: VersionNumber,
    current: VersionNumber,
}

impl StoredVersions {
    fn of(record: &CollectionRecord) -> Self {
        Self {
            dataset: record.dataset_name(),
            oldest: record.oldest,
            current: record.current,
        }
    }
}

/// One comparison of the catalog with the ledger.
struct Comparison<'a>(&'a LifecycleParts);

impl Comparison<'_> {
    fn run(&self) -> Result<(), RollbackError> {
        let tree = self.0.storage.meta().tree(TREE)?;
        let known: Option<LedgerSummary> = tree.get(KEY)?;
        let known = known.filter(|known| known.entries <= self.0.ledger.size());
        let known = known.unwrap_or_default();
        let summarized = known.entries;
        let (mut summary, has_changed) = self.summarize(known)?;
        let recorded = &summary.datasets;
        let catalog = self.0.storage.catalog();
        let mut stored = self.stored_versions()?;
        self.must_have_all(recorded, &stored)?;
        let erasures = catalog.erasures().all()?;
        let mut is_erased_now = false;
        for (dataset, last) in recorded {
            if let Last::Erased { statement } = last
                && is_stored(&stored, dataset)
                && !erasures.iter().any(|done| done.digest() == *statement)
            {
                self.erase_now(dataset)?;
                is_erased_now = true;
            }
        }
        if is_erased_now {
            stored = self.stored_versions()?;
        }
        let erased = ErasedDatasets::of(&catalog.erasures().all()?);
        // Without an erasure no key was destroyed, and none has to be opened.
        if !erased.names.is_empty() {
            check_all(&stored, |stored| self.must_not_be_erased(&stored.dataset, &erased))?;
        }
        let missing = missing_entries(&stored, recorded);
        let mut entered = Vec::new();
        if !missing.is_empty() {
            let published = self.published_in_ledger()?;
            for (dataset, version) in missing {
                entered.push(self.enter_version(dataset, version, &published)?);
            }
        }
        if !has_changed && entered.is_empty() && summary.entries.saturating_sub(summarized) < MAX_UNSUMMARIZED {
            return Ok(());
        }
        summary.extend(entered);
        Ok(tree.put(KEY, &summary)?)
    }

    /// Of all collections, by name.
    fn stored_versions(&self) -> Result<Vec<StoredVersions>, RollbackError> {
        let datasets = self.0.storage.catalog().datasets();
        Ok(datasets.map_collections(StoredVersions::of)?)
    }

    /// The summary of all entries, and whether any after the `known` ones is about a dataset.
    fn summarize(&self, known: LedgerSummary) -> Result<(LedgerSummary, bool), LedgerError> {
        let ledger = &self.0.ledger;
        let size = ledger.size();
        let mut datasets = known.datasets;
        let mut has_changed = false;
        let mut start = known.entries;
        while start < size {
            for stored in ledger.range_for_start(start, size.min(start + CHUNK))? {
                if let EntryBody::DatasetImported {
                    dataset,
                    version,
                    manifest,
                    ..
                } = stored.entry.body
                {
                    datasets.insert(dataset, Last::Imported { version, manifest });
                    has_changed = true;
                } else if let EntryBody::CollectionImported {
                    collection,
                    version,
                    manifest,
                    ..
                } = stored.entry.body
                {
                    datasets.insert(DatasetName::from(&collection), Last::Imported { version, manifest });
                    has_changed = true;
                } else if let EntryBody::DatasetErased { dataset, statement, .. } = stored.entry.body {
                    datasets.insert(dataset, Last::Erased { statement });
                    has_changed = true;
                }
            }
            start += CHUNK;
        }
        let summary = LedgerSummary {
            entries: size,
            datasets,
        };
        Ok((summary, has_changed))
    }

    /// Checks that the catalog, which contains the `stored` versions, contains every version that was recorded last.
    fn must_have_all(
        &self,
        recorded: &BTreeMap<DatasetName, Last>,
        stored: &[StoredVersions],
    ) -> Result<(), RollbackError> {
        let stored: BTreeMap<_, _> = stored.iter().map(|stored| (&stored.dataset, stored)).collect();
        let imported = recorded.iter().filter_map(|(dataset, last)| match last {
            Last::Imported { version, manifest } => Some((dataset, *version, *manifest)),
            Last::Erased { .. } => None,
        });
        let imported: Vec<_> = imported.collect();
        check_all(&imported, |(dataset, version, manifest)| {
            self.must_have(dataset, stored.get(dataset).copied(), (*version, *manifest))
        })
    }

    fn must_have(
        &self,
        dataset: &DatasetName,
        stored: Option<&StoredVersions>,
        (version, manifest): (u64, Digest32),
    ) -> Result<(), RollbackError> {
        let catalog = self.0.storage.catalog();
        let older = |found| RollbackError::OlderState {
            recorded: format!("version {version} of `{dataset}` was imported"),
            found,
        };
        let stored = stored.ok_or_else(|| older("does not contain that dataset"))?;
        if stored.current.get() < version {
            return Err(older("contains only older versions"));
        }
        if stored.oldest.get() > version {
            return Ok(());
        }
        if catalog
            .datasets()
            .manifest_digest(dataset, VersionNumber::new(version))?
            == Some(manifest)
        {
            Ok(())
        } else {
            Err(older("contains a different version with that number"))
        }
    }

    /// Refuses a dataset that was erased and is there again: one of its keys is named in a statement, or its keys cannot be opened because
    /// an erasure under its name destroyed those above them.
    fn must_not_be_erased(&self, dataset: &DatasetName, erased: &ErasedDatasets) -> Result<(), RollbackError> {
        let older = |found| RollbackError::OlderState {
            recorded: format!("`{dataset}` was erased"),
            found,
        };
        let catalog = self.0.storage.catalog();
        let record = catalog.datasets().collection(&CollectionName::from(dataset))?;
        match catalog.erasures().all_keys(&record) {
            Ok(keys) if keys.iter().any(|key| erased.keys.contains(key)) => {
                Err(older("contains it again, with a key that the erasure destroyed"))
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Integrity && erased.names.contains(dataset) => {
                Err(older("contains it again, under keys that were destroyed"))
            }
            // Without its keys it cannot be read, and a query reports that.
            Err(error) if error.kind() == ErrorKind::Integrity => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Erases a dataset of which the ledger records the erasure, and the statement is missing here: the node stopped in between, or the state is
    /// an older copy. In both cases the dataset has to be erased. If the statement is here, [`Self::must_not_be_erased`] compares the keys.
    fn erase_now(&self, dataset: &DatasetName) -> Result<(), RollbackError> {
        tracing::warn!(%dataset, "the ledger records the erasure of a dataset that still exists; it is erased now");
        let reason = Reason::sanitized("an erasure that the ledger records had not been carried out");
        match erase(self.0, dataset, reason, &by_node(NodeTask::Recovery)) {
            Ok(_) => Ok(()),
            Err(problem) if problem.code == ErrorKind::Integrity => Err(RollbackError::OlderState {
                recorded: format!("`{dataset}` was erased"),
                found: "still contains it, under keys that were destroyed",
            }),
            Err(problem) => Err(RollbackError::Unfinished(Box::new(problem))),
        }
    }

    /// Writes the ledger entry of a version that became visible just before a stop. The `published` ones are those that the ledger shows.
    fn enter_version(
        &self,
        dataset: &DatasetName,
        version: u64,
        published: &BTreeSet<DatasetName>,
    ) -> Result<Entered, RollbackError> {
        let catalog = self.0.storage.catalog();
        let record = catalog.datasets().collection(&CollectionName::from(dataset))?;
        let opened = catalog.open_collection(&record.name, Some(VersionNumber::new(version)))?;
        let digest = opened.manifest_digest();
        let entry = record.entry_of_version(opened.manifest(), digest);
        let by = by_node(NodeTask::Recovery);
        if !record.published && version == record.current.get() && published.contains(dataset) {
            let dataset = dataset.clone();
            let withdrawn = EntryBody::DatasetWithdrawn { dataset };
            drop(self.0.ledger.append(withdrawn, &by, self.0.clock.now())?);
        }
        let receipt = self.0.ledger.append(entry, &by, self.0.clock.now())?;
        Ok(Entered {
            entry: receipt.sequence(),
            dataset: record.dataset_name(),
            last: Last::Imported {
                version,
                manifest: digest,
            },
        })
    }

    /// The datasets of which the last entry about who sees them is that they were published.
    fn published_in_ledger(&self) -> Result<BTreeSet<DatasetName>, LedgerError> {
        let ledger = &self.0.ledger;
        let size = ledger.size();
        let mut published = BTreeSet::new();
        let mut start = 0;
        while start < size {
            for stored in ledger.range_for_start(start, size.min(start + CHUNK))? {
                if let EntryBody::DatasetPublished { dataset } = stored.entry.body {
                    published.insert(dataset);
                } else if let EntryBody::DatasetWithdrawn { dataset } | EntryBody::DatasetErased { dataset, .. } =
                    stored.entry.body
                {
                    published.remove(&dataset);
                }
            }
            start += CHUNK;
        }
        Ok(published)
    }
}

/// The versions of which the ledger has no entry, by name and number.
fn missing_entries<'a>(
    stored: &'a [StoredVersions],
    recorded: &BTreeMap<DatasetName, Last>,
) -> Vec<(&'a DatasetName, u64)> {
    let of = |stored: &'a StoredVersions| {
        let oldest = stored.oldest.get();
        let first = match recorded.get(&stored.dataset) {
            Some(Last::Imported { version, .. }) => version.saturating_add(1).max(oldest),
            Some(Last::Erased { .. }) | None => oldest,
        };
        (first..=stored.current.get()).map(move |version| (&stored.dataset, version))
    };
    stored.iter().flat_map(of).collect()
}

/// Whether one of these, which are sorted by name, is the dataset.
fn is_stored(stored: &[StoredVersions], dataset: &DatasetName) -> bool {
    stored.binary_search_by(|stored| stored.dataset.cmp(dataset)).is_ok()
}

/// Does `check` for each item, on several threads if there are many; returns the error of the first item that has one.
fn check_all<T: Sync, E: Send>(items: &[T], check: impl Fn(&T) -> Result<(), E> + Sync) -> Result<(), E> {
    let threads = available_parallelism().map_or(1, NonZeroUsize::get).min(MAX_THREADS);
    let together = items.len().div_ceil(threads).max(MIN_TOGETHER);
    let check = &check;
    std::thread::scope(|scope| {
        let mut rest = items.chunks(together);
        let first = rest.next().unwrap_or_default();
        let others: Vec<_> = rest
            .map(|items| {
                let thread = Builder::new().spawn_scoped(scope, move || items.iter().try_for_each(check));
                (items, thread)
            })
            .collect();
        first.iter().try_for_each(check)?;
        others.into_iter().try_for_each(|(items, thread)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // Without another thread it only takes longer.
            Err(_) => items.iter().try_for_each(check),
        })
    })
}

#[cfg(test)]
mod tests;
