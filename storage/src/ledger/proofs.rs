//! Checkpoints and proofs, and the check of the whole ledger.

use std::collections::BTreeMap;
use std::path::Path;

use concordat_keys::{LedgerKey, fs::write_private};
use concordat_protocol::audit::{Checkpoint, InclusionProof, TreeHead, merkle};
use concordat_protocol::identity::{InstitutionKey, InstitutionPublicKey};
use concordat_protocol::ids::Digest32;
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;

use super::handle::Ledger;
use super::record::Record;
use super::shared::locked;
use super::verify::{self, AuditReport};
use super::{LedgerError, files, log_reader};

/// Entries that are proven against one checkpoint.
#[derive(Clone, Debug)]
pub struct ProvenEntries {
    /// The proofs, in the order in which the entries were named.
    pub proofs: Vec<InclusionProof>,
    /// The consistency path from an earlier head to the checkpoint; `None` if none was named, or this ledger does not continue from it.
    pub continuation: Option<Vec<Digest32>>,
}

impl Ledger {
    /// Checks that the stored checkpoint, if there is one, is signed by one of the institution's keys. Its entries need no
    /// second check at a start: the head in the sealed state covers them.
    ///
    /// # Errors
    /// [`LedgerError::ForeignCheckpoint`] if it is not.
    pub fn check_checkpoint(&self, institution: &[InstitutionPublicKey]) -> Result<(), LedgerError> {
        let signed = files::latest_checkpoint(&self.0.dir)?;
        let verified = signed.map(|signed| signed.verify_any(institution)).transpose();
        verified.map(drop).map_err(LedgerError::ForeignCheckpoint)
    }

    /// Signs the present size and root, after the sealed state covers them, and stores the signed checkpoint.
    ///
    /// # Errors
    /// [`LedgerError::Io`] or [`LedgerError::Anchor`] if it cannot be stored; [`LedgerError::Verifying`] while the entries are not verified yet.
    pub fn checkpoint(&self, key: &InstitutionKey, now: Timestamp) -> Result<Signed<Checkpoint>, LedgerError> {
        let _one_at_a_time = locked(&self.0.checkpointing);
        let head = self.anchor_head()?.tree();
        self.0.verification.borrow().covers(0, head.size)?;
        let checkpoint = Checkpoint {
            institution: self.0.institution.clone(),
            size: head.size,
            root: head.root,
            at: now,
        };
        let verified = Signed::sign(&checkpoint, key).map_err(LedgerError::Signature)?;
        let path = files::checkpoint_path(&self.0.dir);
        write_private(&path, verified.signed().as_bytes()).map_err(|source| LedgerError::io("write", &path, source))?;
        Ok(verified.signed().clone())
    }

    /// The latest checkpoint; its signature is not checked here.
    ///
    /// # Errors
    /// [`LedgerError::Io`] if it cannot be read.
    pub fn latest_checkpoint(&self) -> Result<Option<Signed<Checkpoint>>, LedgerError> {
        files::latest_checkpoint(&self.0.dir)
    }

    /// Proves that entry `sequence` is in the ledger, against the latest checkpoint. Reads all entries.
    ///
    /// # Errors
    /// [`LedgerError::NotCheckpointed`] if no checkpoint covers the entry.
    pub fn prove(&self, sequence: u64) -> Result<InclusionProof, LedgerError> {
        let size = self.checkpointed()?.map_or(0, |(_, checkpoint)| checkpoint.size);
        let mut proven = self.prove_all(&[sequence], None)?;
        proven.proofs.pop().ok_or(LedgerError::NoSuchEntry { sequence, size })
    }

    /// Proves that all of the entries `sequences` are in the ledger, against the latest checkpoint, and that the ledger up to it continues from
    /// `head`. Reads all entries once.
    ///
    /// # Errors
    /// [`LedgerError::NotCheckpointed`] if no checkpoint covers one of the entries.
    pub fn prove_all(&self, sequences: &[u64], head: Option<&TreeHead>) -> Result<ProvenEntries, LedgerError> {
        let checkpoint = self.checkpointed()?;
        let size = checkpoint.as_ref().map_or(0, |(_, checkpoint)| checkpoint.size);
        let missing = sequences.iter().copied().find(|sequence| *sequence >= size);
        let (signed, checkpoint) = match (checkpoint, missing) {
            (Some(signed), None) => signed,
            (_, missing) => {
                let sequence = missing.unwrap_or(0);
                return Err(LedgerError::NotCheckpointed { sequence, size });
            }
        };
        let mut wanted: BTreeMap<u64, Option<Vec<u8>>> = sequences.iter().map(|sequence| (*sequence, None)).collect();
        let leaves = self.leaves(|record| {
            if let Some(bytes) = wanted.get_mut(&record.entry.sequence) {
                *bytes = Some(record.bytes.clone());
            }
        })?;
        let proofs = sequences.iter().copied().map(|sequence| {
            let path = merkle::inclusion_path(&leaves, sequence, size).map_err(LedgerError::OutOfRange)?;
            let entry = wanted.get(&sequence).cloned().flatten();
            let entry = entry.ok_or(LedgerError::NoSuchEntry { sequence, size })?;
            let institution = self.0.institution.clone();
            Ok::<_, LedgerError>(InclusionProof::new(institution, sequence, entry, path, &signed))
        });
        let proofs = proofs.collect::<Result<Vec<_>, _>>()?;
        let continuation = head.and_then(|head| continuation(&leaves, head, &checkpoint));
        Ok(ProvenEntries { proofs, continuation })
    }

    fn checkpointed(&self) -> Result<Option<(Signed<Checkpoint>, Checkpoint)>, LedgerError> {
        let Some(signed) = self.latest_checkpoint()? else {
            return Ok(None);
        };
        let checkpoint = signed.peek_unverified().map_err(LedgerError::Signature)?;
        Ok(Some((signed, checkpoint)))
    }

    /// The proof that the ledger with `second` entries extends the one with `first`. Reads all entries.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`] if there are no such sizes.
    pub fn consistency(&self, first: u64, second: u64) -> Result<Vec<Digest32>, LedgerError> {
        merkle::consistency_path(&self.leaves(|_| ())?, first, second).map_err(LedgerError::OutOfRange)
    }

    fn leaves(&self, mut inspect: impl FnMut(&Record)) -> Result<Vec<Digest32>, LedgerError> {
        let mut leaves = Vec::new();
        log_reader::replay(&self.0.dir, &self.0.key, &self.tip().head(), |record| {
            inspect(record);
            leaves.push(record.leaf);
        })?;
        Ok(leaves)
    }

    /// Reads everything from the disk again and checks it: each entry, the chain, the root, and the checkpoint with the
    /// institution's public `keys`.
    pub fn verify(&self, keys: &[InstitutionPublicKey]) -> AuditReport {
        verify::report(&self.0.dir, &self.0.key, keys, Some(self.tip().head()))
    }

    /// The same for a ledger that is not open, including one that no longer opens.
    pub fn inspect(dir: &Path, key: &LedgerKey, institution_keys: &[InstitutionPublicKey]) -> AuditReport {
        verify::report(dir, key, institution_keys, None)
    }
}

/// The path from `head` to the checkpoint, if it proves that one continues the other: after a restore a head may be of a history that is lost.
fn continuation(leaves: &[Digest32], head: &TreeHead, checkpoint: &Checkpoint) -> Option<Vec<Digest32>> {
    let path = merkle::consistency_path(leaves, head.size, checkpoint.size).ok()?;
    let verified = merkle::verify_consistency(head.size, head.root, checkpoint.size, checkpoint.root, &path);
    verified.is_ok().then_some(path)
}
