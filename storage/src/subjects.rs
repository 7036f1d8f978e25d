//! Whose rows they are: the subjects of a collection at rest.
//!
//! A collection numbers its subjects. The number of a subject is its [`SubjectOrdinal`], given in the order in which subjects first
//! appear, the same in every version, and never given again. It never leaves the node. An import does the following, on Arrow batches and
//! without reading or writing anything itself:
//!
//! 1. The [`Registry`] of the version before is opened, or a new one is created. It knows a subject only by a [`SubjectKey`]: a keyed
//!    hash of the [form](mod@form) of the value that identifies it.
//! 2. For each dataset, an [`OwnerResolver`] finds the owner of each row: by the subject's key in a column, by a key of another dataset
//!    ([`KeyMap`]), or because each row is a subject. A row without exactly one owner has NULL, and is counted by the reason
//!    ([`OwnerCounts`]).
//! 3. [`SubjectDigests`] adds up what the rows of each subject contain, so that the next version knows whose rows have changed.
//! 4. [`Proposals`] observes the rows of a sample of subjects, and proposes what conditions and groups may distinguish in each column.
//!
//! Registry, digests and changed subjects are columns of ordinary record batches ([`registry_schema`], [`digest_schema`],
//! [`changed_schema`]), whose rows are in the order of the ordinals: the caller writes and seals them as it does with the rows of a
//! dataset, and reading checks them again.
//!
//! # Probabilities
//!
//! The keys of all hashes are secret and belong to the collection, so a supplier of data cannot search for values that collide. For
//! n values, two of which have the same key with a probability of at most n² / 2 / 2^b:
//!
//! | what | bits | consequence of a collision | probability |
//! | --- | --- | --- | --- |
//! | subjects in the registry | 128 | two subjects become one | 2^-73 at 2^28 subjects |
//! | keys of a linked dataset | 96 | the key is ambiguous, its rows have no owner | 2^-49 at 2^24 keys |
//! | a key that the linked dataset lacks | 96 | its rows get a wrong owner | 2^-72 for each such key, 2^-48 for 2^24 of them |
//! | rows of a subject, changed | 64 | the change is not noticed | 2^-63 for each subject and version |

mod changed;
mod column;
mod digest;
mod error;
mod form;
mod key;
mod key_map;
mod owner;
mod proposal;
mod registry;
mod repeated_keys;
mod row_hash;
mod slots;
mod stored;
#[cfg(test)]
mod tests;

pub use changed::{ChangedSubjects, changed_schema};
pub use digest::{SubjectDigests, digest_schema};
pub use error::SubjectError;
pub use key::{SubjectKey, SubjectKeys};
pub use key_map::{KeyMap, KeyMapBuilder, MAX_LINK_KEYS};
pub use owner::{Link, OwnerCounts, OwnerResolver, Owners};
pub use proposal::{ColumnProposal, Proposals, ProposedLevels, ProposedRange};
pub use registry::{Inserted, MAX_SUBJECTS, Registry, SubjectOrdinal, registry_schema};
pub use repeated_keys::RepeatedKeys;
pub use row_hash::RowHasher;
pub use stored::StoredBatches;
