//! The statement that a dataset was erased.

use serde::{Deserialize, Serialize};

use crate::ids::{ActorId, DatasetName, InstitutionId, KeyId};
use crate::labels::{self, DomainLabel};
use crate::signed::Document;
use crate::text::Reason;
use crate::time::Timestamp;

/// Most keys that one statement names.
pub const MAX_KEYS: usize = 1024;

/// A dataset was erased: its keys were destroyed and its objects removed. Signed by the institution's key.
///
/// It names the keys, so that an older copy of the dataset can be recognized by them wherever it appears, and a new dataset of
/// the same name is not mistaken for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasure {
    /// Whose dataset it was.
    pub institution: InstitutionId,
    /// The dataset.
    pub dataset: DatasetName,
    /// The keys under which its objects were sealed, at most [`MAX_KEYS`].
    pub keys: Vec<KeyId>,
    /// Number of versions it had.
    pub versions: u64,
    /// Number of objects that were removed.
    pub objects: u64,
    /// When.
    pub at: Timestamp,
    /// Who ordered it.
    pub by: Option<ActorId>,
    /// Why.
    pub reason: Reason,
}

impl Document for Erasure {
    const LABEL: DomainLabel = labels::ERASURE;
}
