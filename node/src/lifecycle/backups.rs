//! Snapshots of this node, and the repositories that hold them.

use std::path::{Path, PathBuf};

use concordat_documents::problem::Problem;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::error_kind::chain;
use concordat_storage::{
    backup::{self, BackupError, BackupRequest, CreatedSnapshot, Repository, TargetRepository},
    catalog::ErasureStatement,
    ledger::Attribution,
    meta::{MetaError, SealedTree, TreeId},
};

use super::parts::LifecycleParts;

/// The repositories that contain snapshots of this node: erasures apply to them too.
const REPOSITORIES: TreeId = TreeId::new("repositories");

/// Takes a snapshot into the repository at `to`.
pub(super) fn back_up(parts: &LifecycleParts, to: &Path, by: &Attribution) -> Result<CreatedSnapshot, Problem> {
    parts.ledger.ready()?;
    // What is not a repository, and cannot become one, is refused before it is recorded.
    let to = TargetRepository::prepare(&parts.storage, to)?;
    let root = to.repository().root().to_owned();
    // Recorded before anything of this node is written to it, so that erasures from now on apply to it. By its real path: a link may lead elsewhere then.
    repositories(parts)?.put(&root.to_string_lossy(), &root)?;
    let request = BackupRequest {
        to: &to,
        institution: parts.identity.institution.clone(),
        signer: &parts.identity.institution_key(),
        now: parts.clock.now(),
        by,
    };
    let created = backup::create(&parts.storage, &parts.ledger, &request)?;
    // It exists, so the entry is made whatever has happened to the account since.
    parts.record(
        EntryBody::SnapshotMade {
            snapshot: created.contents.document().id,
            contents: created.contents.digest(),
        },
        &by.for_outcome(),
    )?;
    Ok(created)
}

/// Applies the erasures to all repositories, and returns those that could not be reached.
pub(super) fn erase_in_repositories(
    parts: &LifecycleParts,
    statements: &[ErasureStatement],
) -> Result<Vec<PathBuf>, MetaError> {
    let mut out_of_reach = Vec::new();
    for (_, path) in repositories(parts)?.iter()? {
        if let Err(error) = note(&path, statements) {
            tracing::warn!(repository = %path.display(), error = %chain(&error), "the repository cannot be erased from");
            out_of_reach.push(path);
        }
    }
    Ok(out_of_reach)
}

fn repositories(parts: &LifecycleParts) -> Result<SealedTree<PathBuf>, MetaError> {
    parts.storage.meta().tree(REPOSITORIES)
}

fn note(path: &Path, statements: &[ErasureStatement]) -> Result<(), BackupError> {
    let repository = Repository::open(path)?;
    statements
        .iter()
        .try_for_each(|statement| repository.note_erasure(statement))
}
