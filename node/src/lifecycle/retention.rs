//! How many versions of a dataset, or of a collection of several, are retained, and the removal of the others.
//!
//! The rule is entered in the ledger before it is set, and each removal before it is made, whether the rule or an import causes it. After
//! a stop in between, the next start enters that the change was not made ([`crate::changes`]).

use std::num::NonZeroU32;

use concordat_documents::problem::Problem;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::{CollectionName, DatasetName};
use concordat_storage::catalog::CatalogError;
use concordat_storage::ledger::Attribution;

use super::parts::LifecycleParts;
use crate::changes::{ChangeEntryError, Subject};

/// Sets the rule, and removes what it excludes now. Returns how many versions were removed.
pub(super) fn retain(
    parts: &LifecycleParts,
    dataset: &DatasetName,
    keep: Option<NonZeroU32>,
    by: &Attribution,
) -> Result<u64, Problem> {
    let catalog = parts.storage.catalog();
    let set = || Ok::<_, Problem>(catalog.retention().set_rule(dataset, keep)?);
    let plan = || {
        drop(catalog.datasets().collection(&CollectionName::from(dataset))?);
        let entry = EntryBody::DatasetRetentionSet {
            dataset: dataset.clone(),
            versions: keep,
        };
        Ok::<_, Problem>((entry, set))
    };
    let subject = Subject::Dataset(dataset.to_string());
    parts.changes.make(subject, (by, parts.clock.now()), plan)?;
    trim(parts, dataset, by)
}

/// Removes what the rule excludes. Returns how many versions were removed.
pub(super) fn trim(parts: &LifecycleParts, dataset: &DatasetName, by: &Attribution) -> Result<u64, Problem> {
    let catalog = parts.storage.catalog();
    if catalog.retention().excluded(dataset)?.is_none() {
        return Ok(0);
    }
    // By the rule of that moment: while this waited, it may have been changed, and the versions may have been removed.
    let plan = || {
        let oldest = catalog.retention().excluded(dataset)?.ok_or(NotTrimmed::Nothing)?;
        let entry = EntryBody::DatasetTrimmed {
            dataset: dataset.clone(),
            oldest: oldest.get(),
        };
        Ok::<_, NotTrimmed>((entry, oldest))
    };
    let subject = Subject::Dataset(dataset.to_string());
    let begun = parts.changes.begin(subject, (by, parts.clock.now()), plan);
    let (open, oldest) = match begun {
        Ok(begun) => begun,
        Err(NotTrimmed::Nothing) => return Ok(0),
        Err(NotTrimmed::Failed(problem)) => return Err(problem),
    };
    let removed = catalog.retention().trim(dataset, oldest);
    // The versions may be removed although the removal of their objects failed.
    let found = catalog.datasets().collection(&CollectionName::from(dataset));
    parts
        .changes
        .end(open, found.is_ok_and(|record| record.oldest >= oldest))?;
    Ok(removed?)
}

/// Why no versions are removed.
enum NotTrimmed {
    /// The rule excludes none.
    Nothing,
    /// State or ledger failed.
    Failed(Problem),
}

impl From<CatalogError> for NotTrimmed {
    fn from(error: CatalogError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ChangeEntryError> for NotTrimmed {
    fn from(error: ChangeEntryError) -> Self {
        Self::Failed(error.into())
    }
}
