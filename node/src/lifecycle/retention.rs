//! How many versions of a dataset are retained, and the removal of the others.
//!
//! The rule is entered in the ledger before it is set, and each removal before it is made, whether the rule or an import causes it. After
//! a stop in between, the next start enters that the change was not made ([`crate::changes`]).

use std::num::NonZeroU32;

use concordat_documents::problem::Problem;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::DatasetName;
use concordat_storage::ledger::Attribution;

use super::parts::LifecycleParts;
use crate::changes::Subject;

/// Sets the rule, and removes what it excludes now. Returns how many versions were removed.
pub(super) fn retain(
    parts: &LifecycleParts,
    dataset: &DatasetName,
    keep: Option<NonZeroU32>,
    by: &Attribution,
) -> Result<u64, Problem> {
    let catalog = parts.storage.catalog();
    drop(catalog.datasets().show(dataset)?);
    let entry = EntryBody::DatasetRetentionSet {
        dataset: dataset.clone(),
        versions: keep,
    };
    let set = || Ok::<_, Problem>(catalog.retention().set_rule(dataset, keep)?);
    parts.changes.make(
        Subject::Dataset(dataset.to_string()),
        entry,
        (by, parts.clock.now()),
        set,
    )?;
    trim(parts, dataset, by)
}

/// Removes what the rule excludes. Returns how many versions were removed.
pub(super) fn trim(parts: &LifecycleParts, dataset: &DatasetName, by: &Attribution) -> Result<u64, Problem> {
    let catalog = parts.storage.catalog();
    let Some(oldest) = catalog.retention().excluded(dataset)? else {
        return Ok(0);
    };
    let entry = EntryBody::DatasetTrimmed {
        dataset: dataset.clone(),
        oldest: oldest.get(),
    };
    let subject = Subject::Dataset(dataset.to_string());
    let open = parts.changes.begin(subject, entry, (by, parts.clock.now()))?;
    let removed = catalog.retention().trim(dataset, oldest);
    // The versions may be removed although the removal of their objects failed.
    let found = catalog.datasets().show(dataset);
    parts
        .changes
        .end(open, found.is_ok_and(|record| record.oldest >= oldest))?;
    Ok(removed?)
}
