//! Does the catalogue know everything that the ledger says was imported?
//!
//! Catalogue and ledger are kept apart. Whoever puts an older copy of the state database back, even the whole folder of it,
//! brings back a catalogue that lacks versions the ledger names, or has datasets it says were erased. The other way round, a
//! stop between the two leaves a catalogue that is one step ahead, which is completed here.
//!
//! What the ledger says of each dataset is kept in the state, with the number of entries that were read for it, so that a start reads those
//! that have come since. A state that is put back brings back its own summary, which ends where it did then: the
//! comparison reads on from there and finds what that state lacks. The state vouches for the entries before by its anchor.

use std::collections::BTreeMap;

use concordat_protocol::{
    audit::{EntryBody, NodeTask},
    ids::{DatasetName, Digest32},
    schema::VersionNumber,
    text::Reason,
};
use concordat_storage::{
    catalog::CatalogError,
    ledger::LedgerError,
    meta::{MetaError, TreeId},
};
use serde::{Deserialize, Serialize};

use super::Custody;
use crate::{
    attribution::by_node,
    fault::{Code, Explain, Problem},
};

/// Where the summary is kept.
const TREE: TreeId = TreeId::new("ledger-datasets");
/// The key of the one summary in it.
const KEY: &str = "summary";
/// Entries that are read at a time.
const PIECE: u64 = 4096;

/// Why the catalogue is not the one that the ledger tells of.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// The catalogue lacks what the ledger tells of, or has what it says is gone.
    #[error("an older state was put back: the ledger says that {told}, and the catalogue {found}")]
    OlderState {
        /// What the ledger says, in words.
        told: String,
        /// What the catalogue has instead, in words.
        found: &'static str,
    },
    /// The ledger cannot be read.
    #[error("the catalogue cannot be compared with the ledger")]
    Ledger(#[from] LedgerError),
    /// The catalogue cannot be read.
    #[error("the catalogue cannot be compared with the ledger")]
    Catalog(#[from] CatalogError),
    /// The summary of the ledger cannot be read or kept.
    #[error("the catalogue cannot be compared with the ledger")]
    State(#[from] MetaError),
    /// What a stop broke off cannot be completed.
    #[error("what the last stop broke off cannot be completed: {}", .0.detail)]
    Unfinished(Box<Problem>),
    /// The comparison itself was broken off.
    #[error("the comparison of catalogue and ledger was broken off")]
    BrokenOff(#[source] tokio::task::JoinError),
}

impl Explain for RollbackError {
    fn code(&self) -> Code {
        match self {
            Self::OlderState { .. } => Code::Integrity,
            Self::Ledger(source) => source.code(),
            Self::Catalog(source) => source.code(),
            Self::State(source) => source.kind().into(),
            Self::Unfinished(problem) => problem.code,
            Self::BrokenOff(_) => Code::Fault,
        }
    }

    fn help(&self) -> Option<String> {
        matches!(self, Self::OlderState { .. }).then(|| {
            "put the state that belongs to this ledger back, or restore a backup into an empty directory".to_owned()
        })
    }
}

/// The last that the ledger says of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Last {
    Imported { version: u64, manifest: Digest32 },
    Erased { statement: Digest32 },
}

/// The last that the first entries of the ledger say of each dataset.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    /// How many entries.
    entries: u64,
    datasets: BTreeMap<DatasetName, Last>,
}

impl Custody {
    pub(super) fn compare_with_ledger(&self) -> Result<(), RollbackError> {
        let kept = self.0.with.storage.meta().tree(TREE)?;
        let known: Option<Told> = kept.get(KEY)?;
        let known = known.filter(|known| known.entries <= self.0.with.ledger.size());
        let summary = self.told(known.unwrap_or_default())?;
        let told = &summary.datasets;
        let catalog = self.0.with.storage.catalog();
        for (dataset, last) in told {
            match last {
                Last::Imported { version, manifest } => self.must_have(dataset, *version, *manifest)?,
                Last::Erased { statement } => self.must_be_erased(dataset, *statement)?,
            }
        }
        for record in catalog.datasets().list()? {
            let first = match told.get(&record.name) {
                Some(Last::Imported { version, .. }) => version + 1,
                Some(Last::Erased { .. }) | None => record.oldest.get(),
            };
            for version in first.max(record.oldest.get())..=record.current.get() {
                self.tell(&record.name, version)?;
            }
        }
        // Only what was found to agree is kept; what was completed here stands in entries that are read the next time.
        Ok(kept.put(KEY, &summary)?)
    }

    fn told(&self, known: Told) -> Result<Told, LedgerError> {
        let ledger = &self.0.with.ledger;
        let (size, mut told, mut start) = (ledger.size(), known.datasets, known.entries);
        while start < size {
            for stored in ledger.range_for_start(start, size.min(start + PIECE))? {
                if let EntryBody::DatasetImported {
                    dataset,
                    version,
                    manifest,
                    ..
                } = stored.entry.body
                {
                    told.insert(dataset, Last::Imported { version, manifest });
                } else if let EntryBody::DatasetErased { dataset, statement, .. } = stored.entry.body {
                    told.insert(dataset, Last::Erased { statement });
                }
            }
            start += PIECE;
        }
        Ok(Told {
            entries: size,
            datasets: told,
        })
    }

    fn must_have(&self, dataset: &DatasetName, version: u64, manifest: Digest32) -> Result<(), RollbackError> {
        let catalog = self.0.with.storage.catalog();
        let older = |found| RollbackError::OlderState {
            told: format!("version {version} of `{dataset}` was imported"),
            found,
        };
        let record = match catalog.datasets().show(dataset) {
            Ok(record) => record,
            Err(CatalogError::NotFound { .. }) => return Err(older("has no such dataset")),
            Err(error) => return Err(error.into()),
        };
        if record.current.get() < version {
            return Err(older("has older versions only"));
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
            Err(older("has another one of that number"))
        }
    }

    /// The ledger said so and the statement is not here: the stop came in between, or the state is an older one. Either way
    /// the dataset goes.
    fn must_be_erased(&self, dataset: &DatasetName, statement: Digest32) -> Result<(), RollbackError> {
        let catalog = self.0.with.storage.catalog();
        let done = catalog.erasures().all()?.iter().any(|done| done.digest() == statement);
        let is_there = catalog.datasets().list()?.iter().any(|record| record.name == *dataset);
        if done || !is_there {
            return Ok(());
        }
        tracing::warn!(%dataset, "the ledger says that it was erased; it is erased now");
        let reason = Reason::fitted("an erasure that the ledger tells of had not been carried out");
        match self.erase(dataset, reason, &by_node(NodeTask::Recovery)) {
            Ok(_) => Ok(()),
            Err(problem) if problem.code == Code::Integrity => Err(RollbackError::OlderState {
                told: format!("`{dataset}` was erased"),
                found: "still has it, under keys that were destroyed",
            }),
            Err(problem) => Err(RollbackError::Unfinished(Box::new(problem))),
        }
    }

    /// Enters a version that became visible just before a stop.
    fn tell(&self, dataset: &DatasetName, version: u64) -> Result<(), RollbackError> {
        let with = &self.0.with;
        let opened = with
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
            with.ledger
                .append(entry, &by_node(NodeTask::Recovery), with.clock.now())?,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;
