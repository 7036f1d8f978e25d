//! Replacing keys with new ones.
//!
//! The rotation is entered in the ledger before it is performed. If it fails, the ledger gets an entry that it was not made; after a
//! stop in between, the next start enters that ([`crate::changes`]).

use concordat_documents::problem::Problem;
use concordat_protocol::audit::{EntryBody, KeyChange};
use concordat_protocol::ids::{DatasetName, KeyId, SegmentName};
use concordat_protocol::text::Label;
use concordat_storage::ledger::Attribution;

use super::parts::LifecycleParts;
use crate::changes::Subject;

/// Rotates the master key.
pub(super) fn rotate_master(parts: &LifecycleParts, by: &Attribution) -> Result<(), Problem> {
    let keys = parts.storage.catalog().keys();
    let plan = || Ok::<_, Problem>((rotated("master key"), keys.is_rotating_master()));
    let by = (by, parts.clock.now());
    let (open, was_rotating) = parts.changes.begin(Subject::MasterKey, by, plan)?;
    let done = keys.rotate_master();
    // One that has begun is finished by the next start at the latest: the new key is in use.
    let has_begun = !was_rotating && keys.is_rotating_master();
    parts.changes.end(open, done.is_ok() || has_begun)?;
    Ok(done?)
}

/// Rotates the key of a segment; returns the number of datasets that it wraps.
pub(super) fn rotate_segment(parts: &LifecycleParts, segment: &SegmentName, by: &Attribution) -> Result<u64, Problem> {
    let keys = parts.storage.catalog().keys();
    let known = keys.status()?.segments;
    if !known.iter().any(|(known, _)| known == segment) {
        return Ok(keys.rotate_segment(segment)?);
    }
    let entry = rotated(&format!("key of segment {segment}"));
    let rotate = || Ok::<_, Problem>(keys.rotate_segment(segment)?);
    let subject = Subject::Segment(segment.to_string());
    parts
        .changes
        .make(subject, (by, parts.clock.now()), || Ok::<_, Problem>((entry, rotate)))
}

/// Gives a dataset a new key.
pub(super) fn rotate_dataset(
    parts: &LifecycleParts,
    dataset: &DatasetName,
    reencrypt: bool,
    by: &Attribution,
) -> Result<KeyId, Problem> {
    let keys = parts.storage.catalog().keys();
    let rotate = || Ok::<_, Problem>(keys.rotate_dataset(dataset, reencrypt)?);
    let plan = || {
        drop(keys.check_rotation(dataset)?);
        Ok::<_, Problem>((rotated(&format!("key of dataset {dataset}")), rotate))
    };
    let subject = Subject::Dataset(dataset.to_string());
    parts.changes.make(subject, (by, parts.clock.now()), plan)
}

fn rotated(key: &str) -> EntryBody {
    EntryBody::KeyChanged {
        key: Label::sanitized(key),
        change: KeyChange::Rotated,
    }
}
