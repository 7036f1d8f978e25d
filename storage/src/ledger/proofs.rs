//! Checkpoints and proofs, and the check of the whole ledger.

use std::path::Path;

use concordat_keys::{LedgerKey, fs::write_private};
use concordat_protocol::audit::{Checkpoint, InclusionProof, merkle};
use concordat_protocol::identity::{InstitutionKey, InstitutionPublicKey};
use concordat_protocol::ids::Digest32;
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;

use super::handle::Ledger;
use super::record::Record;
use super::shared::locked;
use super::verify::{self, AuditReport};
use super::{LedgerError, files, log_reader};

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
        let signed = self
            .latest_checkpoint()?
            .ok_or(LedgerError::NotCheckpointed { sequence, size: 0 })?;
        let size = signed.peek_unverified().map_err(LedgerError::Signature)?.size;
        if sequence >= size {
            return Err(LedgerError::NotCheckpointed { sequence, size });
        }
        let mut wanted = None;
        let leaves = self.leaves(|record| {
            if record.entry.sequence == sequence {
                wanted = Some(record.bytes.clone());
            }
        })?;
        let path = merkle::inclusion_path(&leaves, sequence, size).map_err(LedgerError::OutOfRange)?;
        let entry = wanted.ok_or(LedgerError::NoSuchEntry { sequence, size })?;
        Ok(InclusionProof::new(
            self.0.institution.clone(),
            sequence,
            entry,
            path,
            &signed,
        ))
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
