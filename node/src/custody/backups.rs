//! Snapshots of this node, and the repositories that hold them.

use std::path::{Path, PathBuf};

use concordat_protocol::audit::EntryBody;
use concordat_storage::{
    backup::{self, BackupError, BackupRequest, Made, Repository},
    catalog::ErasureStatement,
    ledger::Attribution,
    meta::{MetaError, SealedTree, TreeId},
};

use super::Custody;
use crate::fault::{Problem, chain};

/// The repositories that hold snapshots of this node: whatever is erased is erased there too.
const REPOSITORIES: TreeId = TreeId::new("repositories");

impl Custody {
    /// Takes a snapshot into the repository at `to`. Blocks.
    ///
    /// # Errors
    /// [`BackupError`]; no snapshot appears then.
    pub fn back_up(&self, to: &Path, by: &Attribution) -> Result<Made, Problem> {
        let with = &self.0.with;
        with.ledger.ready()?;
        let request = BackupRequest {
            to,
            institution: with.identity.institution.clone(),
            signer: &with.identity.institution_key(),
            now: with.clock.now(),
        };
        let known = to.to_string_lossy();
        // Known before there is anything in it: what is erased from now on is erased there.
        self.repositories()?.put(&known, &to.to_owned())?;
        let made = backup::create(&with.storage, &with.ledger, &request)?;
        self.record(
            EntryBody::SnapshotMade {
                snapshot: made.contents.document().id,
                contents: made.contents.digest(),
            },
            by,
        )?;
        Ok(made)
    }

    /// Erases in all repositories what was erased here, and names those that could not be reached.
    pub(super) fn erase_in_repositories(&self, statements: &[ErasureStatement]) -> Result<Vec<PathBuf>, MetaError> {
        let mut out_of_reach = Vec::new();
        for (_, path) in self.repositories()?.iter()? {
            if let Err(error) = note(&path, statements) {
                tracing::warn!(repository = %path.display(), error = %chain(&error), "cannot erase in the repository");
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
