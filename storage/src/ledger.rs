//! The append-only audit log on disk.
//!
//! ```text
//! ledger/entries.log      8 bytes "CCLEDGR" and format version 1, then records: length (4 bytes, big endian) | sealed entry
//! ledger/head             sealed, in two slots of 512 bytes that are written in turn: number of acknowledged entries, Merkle root over
//!                         them, length of the log up to there
//! ledger/segments         sealed: the state of the ledger after every 1024 entries
//! ledger/checkpoint.cose  the latest signed checkpoint
//! ```
//!
//! 1. Entries contain names of people, so each is sealed (XChaCha20-Poly1305, random nonce) for its number; a record moved to
//!    another position does not open.
//! 2. One thread owns the file. It takes all waiting appends, writes them, syncs the log once, writes the head over the older of its two
//!    slots, and only then acknowledges them. Concurrent appends share the sync. The head is not synced: after a power cut an older one may be
//!    there, or a torn one beside it.
//! 3. An acknowledgment is a [`LedgerReceipt`]. Only the ledger creates one, and without one there is no permit.
//! 4. Records after the head are kept as far as they are complete when the ledger is opened: an acknowledged one is on the disk as a whole, so
//!    a torn one was never acknowledged, and is cut off. (One that was is missed by the sealed state, below.) Anything invalid *before* the head is damage, and the ledger does not open.
//! 5. When a node starts, it reads the newest entries, from the end of a segment on, and compares the result with the head and
//!    the sealed state. Older entries are read in the background ([`Verification`]); until then they are not exported, and no
//!    checkpoint is signed.
//! 6. When a write fails, the ledger rejects every further append until it is opened again.
//! 7. An append is refused if its cause may act no longer ([`Authority`]), except for entries about what was done already
//!    ([`Attribution::for_outcome`]).
//!
//! How truncation and older copies are detected: a log shorter than its head states, a log that alone was replaced by an older
//! copy, a lost head, and a ledger shorter than its own checkpoint are detected here. If only the head was replaced by an older
//! copy, nothing is lost: the entries after it are recovered. An older copy of the whole folder is detected through the sealed
//! state, which contains the ledger's size and root ([`Ledger::open_anchored`]). An older copy of the whole disk is detected only
//! by peers.

mod anchor;
mod anchored;
mod attribution;
mod durable_files;
mod error;
mod files;
mod format;
mod handle;
mod head_file;
mod log_reader;
mod medium;
mod proofs;
mod reading;
mod receipt;
mod record;
mod segments;
mod shared;
#[cfg(test)]
mod tests;
mod tip;
mod verification;
mod verify;
mod writer;

pub use anchor::{AnchoredHead, Anchoring, StateChange};
#[cfg(test)]
pub(crate) use attribution::testing::Ending;
pub use attribution::{Attribution, Authority, AuthorityError};
pub use error::{AnchorError, LedgerError};
pub use handle::Ledger;
pub use proofs::ProvenEntries;
pub use reading::{Frozen, StoredEntry};
pub use receipt::LedgerReceipt;
pub use verification::Verification;
pub use verify::{AuditReport, CheckpointReport};
