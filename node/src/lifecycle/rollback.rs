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

use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    audit::{EntryBody, NodeTask},
    ids::{DatasetName, Digest32, KeyId},
    schema::VersionNumber,
    text::Reason,
};
use concordat_storage::{
    catalog::{CatalogError, DatasetRecord, ErasureStatement},
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

/// The last entry of the ledger about a dataset.
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

/// One comparison of the catalog with the ledger.
struct Comparison<'a>(&'a LifecycleParts);

impl Comparison<'_> {
    fn run(&self) -> Result<(), RollbackError> {
        let tree = self.0.storage.meta().tree(TREE)?;
        let known: Option<LedgerSummary> = tree.get(KEY)?;
        let known = known.filter(|known| known.entries <= self.0.ledger.size());
        let summary = self.summarize(known.unwrap_or_default())?;
        let recorded = &summary.datasets;
        let catalog = self.0.storage.catalog();
        for (dataset, last) in recorded {
            match last {
                Last::Imported { version, manifest } => self.must_have(dataset, *version, *manifest)?,
                Last::Erased { statement } => self.must_be_erased(dataset, *statement)?,
            }
        }
        let erased = ErasedDatasets::of(&catalog.erasures().all()?);
        for record in catalog.datasets().list()? {
            self.must_not_be_erased(&record, &erased)?;
            let first = match recorded.get(&record.name) {
                Some(Last::Imported { version, .. }) => version + 1,
                Some(Last::Erased { .. }) | None => record.oldest.get(),
            };
            for version in first.max(record.oldest.get())..=record.current.get() {
                self.enter_version(&record.name, version)?;
            }
        }
        // Only the verified summary is stored; entries that were added here are read at the next start.
        Ok(tree.put(KEY, &summary)?)
    }

    fn summarize(&self, known: LedgerSummary) -> Result<LedgerSummary, LedgerError> {
        let ledger = &self.0.ledger;
        let size = ledger.size();
        let mut datasets = known.datasets;
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
                } else if let EntryBody::DatasetErased { dataset, statement, .. } = stored.entry.body {
                    datasets.insert(dataset, Last::Erased { statement });
                }
            }
            start += CHUNK;
        }
        Ok(LedgerSummary {
            entries: size,
            datasets,
        })
    }

    fn must_have(&self, dataset: &DatasetName, version: u64, manifest: Digest32) -> Result<(), RollbackError> {
        let catalog = self.0.storage.catalog();
        let older = |found| RollbackError::OlderState {
            recorded: format!("version {version} of `{dataset}` was imported"),
            found,
        };
        let record = match catalog.datasets().show(dataset) {
            Ok(record) => record,
            Err(CatalogError::NotFound { .. }) => return Err(older("does not contain that dataset")),
            Err(error) => return Err(error.into()),
        };
        if record.current.get() < version {
            return Err(older("contains only older versions"));
        }
        if record.oldest.get() > version {
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
    fn must_not_be_erased(&self, record: &DatasetRecord, erased: &ErasedDatasets) -> Result<(), RollbackError> {
        let older = |found| RollbackError::OlderState {
            recorded: format!("`{}` was erased", record.name),
            found,
        };
        match self.0.storage.catalog().erasures().all_keys(record) {
            Ok(keys) if keys.iter().any(|key| erased.keys.contains(key)) => {
                Err(older("contains it again, with a key that the erasure destroyed"))
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Integrity && erased.names.contains(&record.name) => {
                Err(older("contains it again, under keys that were destroyed"))
            }
            // Without its keys it cannot be read, and a query reports that.
            Err(error) if error.kind() == ErrorKind::Integrity => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Erases the dataset if the ledger records its erasure and the statement is missing here: the node stopped in between, or the state is
    /// an older copy. In both cases the dataset has to be erased. If the statement is here, [`Self::must_not_be_erased`] compares the keys.
    fn must_be_erased(&self, dataset: &DatasetName, statement: Digest32) -> Result<(), RollbackError> {
        let catalog = self.0.storage.catalog();
        let done = catalog.erasures().all()?.iter().any(|done| done.digest() == statement);
        let is_there = catalog.datasets().list()?.iter().any(|record| record.name == *dataset);
        if done || !is_there {
            return Ok(());
        }
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

    /// Writes the ledger entry of a version that became visible just before a stop.
    fn enter_version(&self, dataset: &DatasetName, version: u64) -> Result<(), RollbackError> {
        let opened = self
            .0
            .storage
            .catalog()
            .open_version(dataset, Some(VersionNumber::new(version)))?;
        let entry = EntryBody::DatasetImported {
            dataset: dataset.clone(),
            version,
            rows: opened.manifest().rows,
            manifest: opened.manifest_digest(),
        };
        drop(
            self.0
                .ledger
                .append(entry, &by_node(NodeTask::Recovery), self.0.clock.now())?,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;
