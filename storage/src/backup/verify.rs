//! Verifies a repository.

use concordat_protocol::ids::Nonce;

use super::{BackupError, Owner, Repository, erased::ErasedKeys};

/// What was read and found intact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Snapshots.
    pub snapshots: u64,
    /// Objects; one that several snapshots need counts once for each.
    pub objects: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Objects and logs of answers that are missing because their datasets were erased later.
    pub erased: u64,
}

/// Reads one snapshot of `owner`, or all of them, and compares every byte with what was signed. Needs no secret.
///
/// # Errors
/// The first damage found, or the first snapshot of another institution, as an error of
/// [`concordat_protocol::error_kind::ErrorKind::Integrity`].
pub fn verify(repository: &Repository, id: Option<Nonce>, owner: &Owner) -> Result<Checked, BackupError> {
    let snapshots = match id {
        Some(id) => vec![repository.snapshot(Some(id), owner)?],
        None => repository.snapshots(owner)?,
    };
    if snapshots.is_empty() {
        repository.snapshot(id, owner)?;
    }
    let mut checked = Checked::default();
    for snapshot in snapshots {
        let erased = ErasedKeys::of(&repository.erasures(&snapshot.keys())?);
        for file in &snapshot.contents.document().files {
            if erased.cover(file) && !snapshot.has(file) {
                checked.erased += 1;
                continue;
            }
            snapshot.check(file)?;
            checked.bytes += file.len;
        }
        for object in snapshot.objects()? {
            if erased.cover(&object) && !snapshot.has_object(&object) {
                checked.erased += 1;
                continue;
            }
            snapshot.check_object(&object)?;
            checked.objects += 1;
            checked.bytes += object.len;
        }
        checked.snapshots += 1;
    }
    Ok(checked)
}
