//! The repository that a person names for snapshots.

use std::path::Path;

use super::{
    BackupError, Repository,
    repository::{require_apart, resolved},
};
use crate::data_dir::Storage;

/// A repository for snapshots of a node. It is not in the data directory of the node, nor around it, whatever links its path goes through.
#[derive(Debug)]
pub struct TargetRepository(Repository);

impl TargetRepository {
    /// Opens the repository at `to` for the node of `storage`; an empty or missing folder becomes a repository. Nothing of the node is in it yet, so
    /// nothing has to remember what this refuses.
    ///
    /// # Errors
    /// [`BackupError::Path`] or [`BackupError::Inside`] if the path leads to no other folder, [`BackupError::NoRepository`] if the folder contains
    /// something else; nothing is created then.
    pub fn prepare(storage: &Storage, to: &Path) -> Result<Self, BackupError> {
        let real = resolved(to)?;
        require_apart(storage.dir(), &real)?;
        let repository = Repository::create(&real)?;
        // A part of the path may have become a link in between.
        if resolved(&real)? == real {
            Ok(Self(repository))
        } else {
            Err(BackupError::NoRepository { path: real })
        }
    }

    /// The repository; its path has no links.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.0
    }
}
