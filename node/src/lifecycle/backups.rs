//! Snapshots of this node, and the repositories that hold them.

use std::path::{Path, PathBuf};

use concordat_documents::problem::Problem;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::error_kind::chain;
use concordat_storage::{
    backup::{self, BackupError, BackupRequest, CreatedSnapshot, Repository},
    catalog::ErasureStatement,
    ledger::Attribution,
    meta::{MetaError, SealedTree, TreeId},
};

use super::Lifecycle;

/// The repositories that contain snapshots of this node: erasures apply to them too.
const REPOSITORIES: TreeId = TreeId::new("repositories");

impl Lifecycle {
    /// Takes a snapshot into the repository at `to`. Blocks.
    ///
    /// # Errors
    /// [`BackupError`]; no snapshot is created then.
    pub fn back_up(&self, to: &Path, by: &Attribution) -> Result<CreatedSnapshot, Problem> {
        let with = &self.0.with;
        with.ledger.ready()?;
        let request = BackupRequest {
            to,
            institution: with.identity.institution.clone(),
            signer: &with.identity.institution_key(),
            now: with.clock.now(),
        };
        let known = to.to_string_lossy();
        // Recorded before anything is written to it, so that erasures from now on apply to it.
        self.repositories()?.put(&known, &to.to_owned())?;
        let created = backup::create(&with.storage, &with.ledger, &request)?;
        self.record(
            EntryBody::SnapshotMade {
                snapshot: created.contents.document().id,
                contents: created.contents.digest(),
            },
            by,
        )?;
        Ok(created)
    }

    /// Applies the erasures to all repositories, and returns those that could not be reached.
    pub(super) fn erase_in_repositories(&self, statements: &[ErasureStatement]) -> Result<Vec<PathBuf>, MetaError> {
        let mut out_of_reach = Vec::new();
        for (_, path) in self.repositories()?.iter()? {
            if let Err(error) = note(&path, statements) {
                tracing::warn!(repository = %path.display(), error = %chain(&error), "the repository cannot be erased from");
                out_of_reach.push(path);
            }
        }
        Ok(out_of_reach)
    }

    fn repositories(&self) -> Result<SealedTree<PathBuf>, MetaError> {
        self.0.with.storage.meta().tree(REPOSITORIES)
    }
}

fn note(path: &Path, statements: &[ErasureStatement]) -> Result<(), BackupError> {
    let repository = Repository::open(path)?;
    statements
        .iter()
        .try_for_each(|statement| repository.note_erasure(statement))
}
