//! Changes of what is declared about a collection, each with its ledger entry.
//!
//! 1. A change is planned: it is checked, and its entry is made of what will be stored.
//! 2. The caller writes the entry to the ledger.
//! 3. The change is made for the receipt of exactly this entry.
//!
//! Apart from that, only a new version changes what is declared ([`super::VersionEntries`]).

use concordat_protocol::{
    audit::EntryBody,
    collection::CollectionRules,
    ids::{CollectionName, ColumnName, CreationId, DatasetName, Digest32},
    release::{ReleaseChange, ReleaseRules},
    schema::VersionNumber,
};

use super::{
    CatalogError, Classification, CollectionRecord, OpenColumns, datasets::Datasets, entered::Entered,
    proposed::retain_open,
};
use crate::{ledger::LedgerReceipt, meta::Batch};

/// A change of what is declared about a collection that was checked, and its ledger entry.
#[derive(Debug)]
#[must_use = "what is planned is not made yet"]
pub struct PlannedChange {
    name: DatasetName,
    seen: Seen,
    change: Change,
    entry: EntryBody,
}

#[derive(Debug)]
enum Change {
    Classes(Classification),
    /// The columns that stay open follow.
    Rules(Box<CollectionRules>, OpenColumns),
    Published,
    Withdrawn,
    Release(ReleaseRules),
}

/// The record that a change was checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    created: Option<CreationId>,
    version: VersionNumber,
    declared: Digest32,
}

impl Seen {
    fn of(record: &CollectionRecord) -> Self {
        Self {
            created: record.created,
            version: record.current,
            declared: record.declared_digest(),
        }
    }
}

impl PlannedChange {
    /// What the ledger has to state before the change is made.
    pub const fn entry(&self) -> &EntryBody {
        &self.entry
    }
}

impl Change {
    /// The record after the change; `None` for rules of a dataset alone, and classes of several.
    fn applied(&self, old: &CollectionRecord) -> Option<CollectionRecord> {
        let mut new = old.clone();
        match self {
            Self::Classes(classes) => {
                let mut alone = old.alone()?;
                alone.classification.merge(classes);
                return Some(CollectionRecord::from(alone));
            }
            Self::Rules(rules, _) => return new.with_rules(rules.as_ref().clone()),
            Self::Published => new.published = true,
            Self::Withdrawn => new.published = false,
            Self::Release(release) => new.release = release.clone(),
        }
        Some(new)
    }

    fn entry(&self, new: &CollectionRecord) -> EntryBody {
        let dataset = new.dataset_name();
        match self {
            Self::Classes(_) | Self::Rules(..) => EntryBody::DatasetClassified {
                dataset,
                classification: new.declared_digest(),
            },
            Self::Published => EntryBody::DatasetPublished { dataset },
            Self::Withdrawn => EntryBody::DatasetWithdrawn { dataset },
            Self::Release(_) => EntryBody::DatasetLimited {
                dataset,
                rules: new.release_digest(),
            },
        }
    }

    /// Whether the change was checked with columns and declarations, which must be the same when it is made.
    const fn depends_on_declarations(&self) -> bool {
        match self {
            Self::Classes(_) | Self::Rules(..) | Self::Published => true,
            Self::Withdrawn | Self::Release(_) => false,
        }
    }
}

impl Datasets {
    /// Sets the classes of some columns of a dataset alone; the others keep theirs.
    ///
    /// # Errors
    /// [`CatalogError::UnknownColumns`] if the current version lacks any of them.
    pub fn plan_classes(&self, name: &DatasetName, classes: &Classification) -> Result<PlannedChange, CatalogError> {
        let old = self.show(name)?;
        let manifest = self.manifest_alone(&old, old.current)?;
        let is_known = |column: &ColumnName| manifest.own_columns().any(|known| known.name == *column);
        let columns = classes.iter().map(|(column, _)| column);
        let unknown: Vec<ColumnName> = columns.filter(|column| !is_known(column)).cloned().collect();
        if !unknown.is_empty() {
            return Err(CatalogError::UnknownColumns {
                name: name.clone(),
                columns: unknown,
            });
        }
        planned(&CollectionRecord::from(old), Change::Classes(classes.clone()))
    }

    /// Sets the rules of a collection. They were checked with the columns of `version`. What is proposed stays for the columns of `open`.
    ///
    /// # Errors
    /// [`CatalogError::NewVersion`] if that is not the current version any more; [`CatalogError::NotSeveral`] if the collection is a dataset
    /// alone, whose record has no rules; [`CatalogError::CollectionUnclassified`] if it is published, and a column would have no class;
    /// [`CatalogError::CompleteUnchecked`] if a column would be complete that no import has checked.
    pub fn plan_rules(
        &self,
        name: &CollectionName,
        version: VersionNumber,
        rules: CollectionRules,
        open: &OpenColumns,
    ) -> Result<PlannedChange, CatalogError> {
        let old = self.collection(name)?;
        if old.current != version {
            return Err(new_version(&old));
        }
        if old.alone().is_some() {
            return Err(not_applicable(&old));
        }
        if let Some((dataset, column)) = unchecked(old.rules(), &rules) {
            return Err(CatalogError::CompleteUnchecked {
                dataset: dataset.clone(),
                column: column.clone(),
            });
        }
        let change = Change::Rules(Box::new(rules), open.clone());
        if old.published {
            let new = change.applied(&old).ok_or_else(|| not_applicable(&old))?;
            self.check_classified(&new)?;
        }
        planned(&old, change)
    }

    /// Shows a collection to other institutions.
    ///
    /// # Errors
    /// [`CatalogError::Unclassified`] or [`CatalogError::CollectionUnclassified`] while any column of the current version has no class.
    pub fn plan_publication(&self, name: &CollectionName) -> Result<PlannedChange, CatalogError> {
        let old = self.collection(name)?;
        if let Some(alone) = old.alone() {
            let columns = self.unclassified(&alone)?;
            if !columns.is_empty() {
                return Err(CatalogError::Unclassified {
                    name: alone.name,
                    columns,
                });
            }
        }
        self.check_classified(&old)?;
        planned(&old, Change::Published)
    }

    /// Stops showing a collection to other institutions; this does not affect grants.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no collection with this name.
    pub fn plan_withdrawal(&self, name: &CollectionName) -> Result<PlannedChange, CatalogError> {
        planned(&self.collection(name)?, Change::Withdrawn)
    }

    /// Changes the steward's decisions about the answers of a dataset alone.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no dataset with this name, [`CatalogError::Limits`] for a limit that cannot be set.
    pub fn plan_release(&self, name: &DatasetName, change: &ReleaseChange) -> Result<PlannedChange, CatalogError> {
        let old = self.show(name)?;
        let rules = change.applied(&old.release)?;
        planned(&CollectionRecord::from(old), Change::Release(rules))
    }

    /// Makes exactly the change that was planned. The caller plans and makes it without another change of the collection in between.
    ///
    /// # Errors
    /// [`CatalogError::NotEntered`] if the receipt is that of another entry; [`CatalogError::NewVersion`] if the collection has other columns or
    /// declarations than those that the change was checked with.
    pub fn make_change(
        &self,
        planned: PlannedChange,
        receipt: &LedgerReceipt,
    ) -> Result<CollectionRecord, CatalogError> {
        let PlannedChange {
            name,
            seen,
            change,
            entry,
        } = planned;
        let Some(entered) = Entered::before(&entry, receipt) else {
            return Err(CatalogError::NotEntered { name });
        };
        let _changes = self.lock_changes();
        let old = self.record(&name)?;
        if old.created != seen.created || (change.depends_on_declarations() && Seen::of(&old) != seen) {
            return Err(new_version(&old));
        }
        let new = change.applied(&old).ok_or_else(|| not_applicable(&old))?;
        let mut batch = Batch::new();
        self.put_declared(&mut batch, Some(&old), &new, &entered)?;
        if let Change::Rules(_, open) = &change {
            let mut proposed = self.proposed(&old.name)?;
            retain_open(&mut proposed, open);
            batch.put(&self.proposals, name.as_str(), &proposed)?;
        }
        self.meta.commit(batch)?;
        Ok(new)
    }

    fn check_classified(&self, record: &CollectionRecord) -> Result<(), CatalogError> {
        match self.unclassified_columns(record)?.len() {
            0 => Ok(()),
            columns => Err(CatalogError::CollectionUnclassified {
                name: record.name.clone(),
                columns,
            }),
        }
    }
}

/// A complete column that was not complete with the same levels: an import has checked those that were.
fn unchecked<'a>(
    before: Option<&CollectionRules>,
    now: &'a CollectionRules,
) -> Option<(&'a DatasetName, &'a ColumnName)> {
    let mut datasets = now.datasets();
    datasets.find_map(|(dataset, declared)| {
        let mut columns = declared.columns().filter(|(_, now)| now.is_complete());
        let unchecked = columns.find(|(column, now)| {
            let before = before.and_then(|before| before.dataset(dataset)?.column(column));
            before.is_none_or(|before| !before.is_complete() || before.levels() != now.levels())
        });
        unchecked.map(|(column, _)| (dataset, column))
    })
}

fn planned(old: &CollectionRecord, change: Change) -> Result<PlannedChange, CatalogError> {
    let new = change.applied(old).ok_or_else(|| not_applicable(old))?;
    Ok(PlannedChange {
        name: old.dataset_name(),
        seen: Seen::of(old),
        entry: change.entry(&new),
        change,
    })
}

fn not_applicable(record: &CollectionRecord) -> CatalogError {
    CatalogError::NotSeveral {
        name: record.dataset_name(),
    }
}

fn new_version(record: &CollectionRecord) -> CatalogError {
    CatalogError::NewVersion {
        name: record.dataset_name(),
    }
}
