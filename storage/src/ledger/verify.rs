//! A full check of the ledger.

use std::path::Path;

use concordat_keys::LedgerKey;
use concordat_protocol::audit::merkle::CompactTree;
use concordat_protocol::identity::InstitutionPublicKey;
use concordat_protocol::ids::{Digest32, InstitutionId};
use concordat_protocol::time::Timestamp;
use serde::{Serialize, Serializer};

use super::format::Head;
use super::{LedgerError, files, head_file, log_reader};

/// The result of a check of the whole ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Number of entries that were acknowledged.
    pub entries: u64,
    /// Merkle root over them, as stated in the head.
    pub root: Digest32,
    /// The latest checkpoint, if it is valid.
    pub checkpoint: Option<CheckpointReport>,
    /// Whether everything is valid.
    pub ok: bool,
    /// Number of the first invalid entry.
    pub first_bad_entry: Option<u64>,
    /// What is wrong, as text for people.
    pub reason: Option<String>,
}

/// A valid checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckpointReport {
    /// Entries that it covers.
    pub size: u64,
    /// Whose key signed it.
    pub signed_by: InstitutionId,
    /// When, written as RFC 3339.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Which peers have cosigned it.
    pub witnesses: Vec<InstitutionId>,
}

fn as_text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// Checks everything on disk: up to `known` if the ledger is open, else up to the head on disk.
pub(super) fn report(
    dir: &Path,
    key: &LedgerKey,
    institution: &[InstitutionPublicKey],
    known: Option<Head>,
) -> AuditReport {
    let mut report = AuditReport {
        entries: 0,
        root: CompactTree::new().root(),
        checkpoint: None,
        ok: true,
        first_bad_entry: None,
        reason: None,
    };
    if let Err(error) = check(dir, key, institution, known, &mut report) {
        report.ok = false;
        if let LedgerError::Damaged { first_bad_entry, .. } = &error {
            report.first_bad_entry = Some(*first_bad_entry);
        }
        report.reason = Some(error.to_string());
    }
    report
}

fn check(
    dir: &Path,
    key: &LedgerKey,
    institution: &[InstitutionPublicKey],
    known: Option<Head>,
    report: &mut AuditReport,
) -> Result<(), LedgerError> {
    let found = head_file::read(dir, key)?.ok_or(LedgerError::damaged(0, "the head is missing"))?;
    let stored = found.head;
    if !found.is_whole {
        return Err(LedgerError::damaged(
            stored.size,
            "one of the two heads does not open: it was changed, or a power cut has torn it and the node was not started since",
        ));
    }
    let head = known.unwrap_or(stored);
    report.entries = head.size;
    report.root = head.root;
    if stored.size < head.size {
        return Err(LedgerError::damaged(
            stored.size,
            "the head on disk is older than the one acknowledged",
        ));
    }
    let mut leaves = Vec::new();
    log_reader::replay(dir, key, &head, |record| leaves.push(record.leaf))?;
    report.checkpoint = check_checkpoint(dir, institution, &leaves)?;
    Ok(())
}

fn check_checkpoint(
    dir: &Path,
    institution: &[InstitutionPublicKey],
    leaves: &[Digest32],
) -> Result<Option<CheckpointReport>, LedgerError> {
    let Some(signed) = files::latest_checkpoint(dir)? else {
        return Ok(None);
    };
    let verified = signed.verify_any(institution).map_err(LedgerError::Signature)?;
    let checkpoint = verified.document();
    let size = leaves.len() as u64;
    let covered = usize::try_from(checkpoint.size)
        .ok()
        .and_then(|covered| leaves.get(..covered));
    let Some(covered) = covered else {
        return Err(LedgerError::damaged(
            size,
            "the checkpoint covers more entries than there are",
        ));
    };
    let mut tree = CompactTree::new();
    covered.iter().for_each(|leaf| tree.push(*leaf));
    if tree.root() != checkpoint.root {
        return Err(LedgerError::damaged(
            0,
            "the entries are not those of the signed checkpoint",
        ));
    }
    let signed_by = checkpoint.institution.clone();
    Ok(Some(CheckpointReport {
        size: checkpoint.size,
        signed_by,
        at: checkpoint.at,
        witnesses: Vec::new(),
    }))
}
