//! Snapshots of a data directory, taken while it is in use, and putting one back.
//!
//! A *repository* is a folder that holds any number of snapshots:
//!
//! ```text
//! format                        which format the repository has
//! objects/KEY-ID/NAME.parquet   sealed objects as they are; each once, whatever snapshots need it
//! snapshots/ID/contents.cose    what the snapshot holds, signed by the institution
//! snapshots/ID/institution.pub  the key that signed it
//! snapshots/ID/objects          the objects that it needs, with their hashes
//! snapshots/ID/state            the state database: sealed values under hashed keys
//! snapshots/ID/dir/…            the files of the data directory: sealed keys, the ledger, the configuration
//! erasures/DIGEST.cose          statements of what was erased since
//! ```
//!
//! 1. Everything in it was sealed before it came here. The repository needs no secret, and gives away none.
//! 2. State, ledger and list of objects are taken at one instant; writers wait for that long. Objects are copied afterwards and
//!    are not removed meanwhile. A snapshot appears whole or not at all.
//! 3. A snapshot is used only if the key that signed it is the one that the operator names ([`Owner`]); the key that lies in
//!    the repository says at most whose else it may be. Then every hash is checked, and what unlocks the master key of that time
//!    is needed.
//! 4. A repository is data. No file in it is opened but by a path that [`FileEntry`] admits, without following links
//!    ([`crate::fs::open_beneath`]); the configuration in a snapshot is copied nowhere and names nothing that is used.
//! 5. What is restored goes into a new folder.
//!    Objects come out of the store where they lie and go into a place of their own, so that neither a store that fails nor a
//!    node that still runs loses anything to a backup.
//! 6. An erased dataset is erased in the repositories that the node knows, and a restore erases whatever an older snapshot would
//!    bring back to life.

mod contents;
mod create;
mod error;
mod files;
mod owner;
mod repository;
mod restore;
mod restore_upload;
mod verify;

pub use contents::{FileEntry, Snapshot};
pub use create::{BackupRequest, Made, create};
pub use error::BackupError;
pub use owner::{InvalidOwner, Owner};
pub use repository::{Claimed, Repository, SnapshotInfo};
pub use restore::{Restored, restore};
pub use verify::{Checked, verify};

#[cfg(test)]
mod tests;
