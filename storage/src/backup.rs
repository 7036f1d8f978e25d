//! Snapshots of a data directory, taken while it is in use, and restoring from them.
//!
//! A *repository* is a folder with any number of snapshots:
//!
//! ```text
//! format                        which format the repository has
//! objects/KEY-ID/NAME.parquet   sealed objects as they are; each once, however many snapshots need it
//! snapshots/ID/contents.cose    the contents of the snapshot, signed by the institution
//! snapshots/ID/institution.pub  the key that signed it
//! snapshots/ID/objects          the objects that it needs, with their hashes
//! snapshots/ID/state            the state database: sealed values under hashed keys
//! snapshots/ID/dir/…            the files of the data directory: sealed keys, the ledger, logs of answers, the configuration
//! erasures/DIGEST.cose          statements of later erasures
//! ```
//!
//! 1. Everything in it is already sealed when it is copied. The repository needs no secret and reveals none.
//! 2. State, ledger and list of objects are captured at one instant, for which writers wait. Objects are copied afterwards and
//!    are not removed in the meantime. A snapshot appears complete or not at all.
//! 3. A snapshot is used only if the key that signed it is the one that the operator names ([`Owner`]); the key in the repository
//!    is only used to report whose snapshot it may be instead. A snapshot that is signed with an earlier key of the institution is
//!    used only by its id. Then every hash is checked, and restoring needs what unlocked the master key at that time.
//! 4. A repository is untrusted data. Files in it are opened only by a path that [`FileEntry`] accepts, without following links
//!    ([`crate::beneath::open_beneath`]); the configuration in a snapshot is not restored, and nothing that it names is used.
//! 5. A restore goes into a new folder. Objects are copied out of the store and restored to a separate location, so neither a
//!    failing store nor a node that is still running loses anything through a backup.
//! 6. An erased dataset is also erased in the repositories that the node knows, and a restore erases again every dataset in an
//!    older snapshot that was erased later. So are the logs of what was answered about it.
//! 7. A repository is neither in the data directory nor around it ([`TargetRepository`]), whatever links the paths go through.
//! 8. What was answered after a snapshot is unknown to a node that is restored from it. The restored state records that, and nothing is
//!    answered below tier `records` about a dataset until a steward acknowledges it ([`crate::answers`]).

mod contents;
mod create;
mod draft;
mod erased;
mod error;
mod files;
mod owner;
mod repository;
mod restore;
mod restore_upload;
mod target;
mod verify;

pub use contents::{FileEntry, Snapshot};
pub use create::{BackupRequest, CreatedSnapshot, create};
pub use error::BackupError;
pub use owner::{InvalidOwner, Owner};
pub use repository::{Repository, SnapshotInfo, UnverifiedSnapshot};
pub use restore::{Restored, restore};
pub use target::TargetRepository;
pub use verify::{Checked, verify};

#[cfg(test)]
mod tests;
