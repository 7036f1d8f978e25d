//! The signed head of a ledger, and proofs that can be checked with only the institution's public key.

use std::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::entry::{EntryError, LedgerEntry, MAX_ENTRY, leaf_hash};
use super::merkle::{self, VerifyError};
use crate::identity::InstitutionPublicKey;
use crate::ids::{Digest32, InstitutionId};
use crate::labels::{self, DomainLabel};
use crate::signed::{Document, SignatureError, Signed, Verified};
use crate::time::Timestamp;

/// Most hashes of a proof: twice the height of a tree with 2^64 leaves.
pub const MAX_PATH: usize = 128;

/// Size and root of a ledger at one time; signed by the institution's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Whose ledger it is.
    pub institution: InstitutionId,
    /// Number of entries.
    pub size: u64,
    /// Root of the Merkle tree over them.
    pub root: Digest32,
    /// When it was signed.
    pub at: Timestamp,
}

impl Document for Checkpoint {
    const LABEL: DomainLabel = labels::CHECKPOINT;
}

/// Checks that a ledger whose head was `earlier` only grew until it was `later`.
///
/// # Errors
/// [`ProofError::OtherLedger`] if they belong to two institutions, [`ProofError::Path`] if the path does not prove it: equal
/// sizes with different roots prove two histories.
pub fn check_extension(earlier: &Checkpoint, later: &Checkpoint, path: &[Digest32]) -> Result<(), ProofError> {
    if earlier.institution != later.institution {
        return Err(ProofError::OtherLedger {
            named: later.institution.clone(),
        });
    }
    if path.len() > MAX_PATH {
        return Err(ProofError::Path(VerifyError::Length { found: path.len() }));
    }
    merkle::verify_consistency(earlier.size, earlier.root, later.size, later.root, path).map_err(ProofError::Path)
}

/// Proves that one entry is in a ledger: the entry as written, its path, and the signed head that the path leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    /// Whose ledger it is.
    pub institution: InstitutionId,
    /// The entry's number.
    pub sequence: u64,
    /// The entry as written.
    entry: Blob,
    /// Hashes from the leaf to the root, lowest first.
    pub path: Vec<Digest32>,
    /// The signed head.
    checkpoint: Blob,
}

impl InclusionProof {
    /// Assembles a proof without checking it.
    pub fn new(
        institution: InstitutionId,
        sequence: u64,
        entry: Vec<u8>,
        path: Vec<Digest32>,
        checkpoint: &Signed<Checkpoint>,
    ) -> Self {
        let checkpoint = Blob(checkpoint.as_bytes().to_vec());
        Self {
            institution,
            sequence,
            entry: Blob(entry),
            path,
            checkpoint,
        }
    }

    /// Checks the whole proof with only the institution's public key.
    ///
    /// # Errors
    /// [`ProofError`] names the step that fails.
    pub fn check(&self, key: InstitutionPublicKey) -> Result<ProvenEntry, ProofError> {
        let signed = Signed::<Checkpoint>::from_bytes(self.checkpoint.0.clone()).map_err(ProofError::Signature)?;
        let checkpoint = signed.verify(key).map_err(ProofError::Signature)?;
        let head = checkpoint.document();
        if head.institution != self.institution {
            return Err(ProofError::OtherLedger {
                named: head.institution.clone(),
            });
        }
        if self.path.len() > MAX_PATH {
            return Err(ProofError::Path(VerifyError::Length { found: self.path.len() }));
        }
        let leaf = leaf_hash(&self.entry.0);
        merkle::verify_inclusion(leaf, self.sequence, head.size, head.root, &self.path).map_err(ProofError::Path)?;
        let entry = LedgerEntry::decode(&self.entry.0).map_err(ProofError::Entry)?;
        if entry.sequence != self.sequence {
            return Err(ProofError::WrongPosition {
                named: entry.sequence,
                proven: self.sequence,
            });
        }
        Ok(ProvenEntry {
            entry,
            leaf,
            checkpoint,
        })
    }
}

/// An entry that was proven to be in a ledger.
#[derive(Clone, Debug)]
pub struct ProvenEntry {
    entry: LedgerEntry,
    leaf: Digest32,
    checkpoint: Verified<Checkpoint, InstitutionPublicKey>,
}

impl ProvenEntry {
    /// The entry.
    pub fn entry(&self) -> &LedgerEntry {
        &self.entry
    }

    /// Its leaf hash, which identifies it.
    pub fn leaf(&self) -> Digest32 {
        self.leaf
    }

    /// The head that it was proven against.
    pub fn checkpoint(&self) -> &Checkpoint {
        self.checkpoint.document()
    }
}

/// Why evidence is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The institution's key did not sign the checkpoint.
    #[error("the checkpoint is not signed by the institution's key")]
    Signature(#[source] SignatureError),
    /// The checkpoint is of another institution's ledger.
    #[error("the checkpoint is of the ledger of `{named}`")]
    OtherLedger {
        /// The institution it names.
        named: InstitutionId,
    },
    /// The hashes do not lead to the signed head.
    #[error("the hashes do not lead to the signed head")]
    Path(#[source] VerifyError),
    /// The proven bytes are not an entry.
    #[error("the proven bytes are not a ledger entry")]
    Entry(#[source] EntryError),
    /// The number in the entry differs from the position at which it was proven.
    #[error("the entry states number {named}, but it is at position {proven}")]
    WrongPosition {
        /// The number in the entry.
        named: u64,
        /// The position in the proof.
        proven: u64,
    },
}

/// Bytes in CBOR, base64 in human-readable formats.
#[derive(Clone, PartialEq, Eq)]
struct Blob(Vec<u8>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&BASE64.encode(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(BlobVisitor)
        } else {
            deserializer.deserialize_byte_buf(BlobVisitor)
        }
    }
}

struct BlobVisitor;

impl de::Visitor<'_> for BlobVisitor {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX_ENTRY} bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
        if bytes.len() > MAX_ENTRY {
            Err(E::invalid_length(bytes.len(), &self))
        } else {
            Ok(Blob(bytes.to_vec()))
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Blob, E> {
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| E::custom("not base64"))?;
        self.visit_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests;
