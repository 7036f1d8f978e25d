//! The temporary folder in which a node is created before it is moved to its target.

use std::{
    ffi::OsString,
    fs::{DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use concordat_documents::problem::Problem;
use concordat_keys::fs::{create_dir_private, write_private};

use crate::config;

/// Name of the temporary folder inside an empty target that cannot be replaced, such as a mounted volume.
const INSIDE: &str = ".init";

/// A temporary folder that is removed unless it is moved to its target.
pub(super) struct Site {
    at: PathBuf,
    target: PathBuf,
    inside: bool,
}

impl Site {
    /// Creates the temporary folder.
    pub(super) fn prepare(target: &Path) -> Result<Self, Problem> {
        let inside = target.exists();
        let at = if inside {
            refuse_unless_empty(target)?;
            target.join(INSIDE)
        } else {
            let mut name = target
                .file_name()
                .map_or_else(|| OsString::from("node"), OsString::from);
            name.push(format!(".tmp-{}", std::process::id()));
            target.with_file_name(name)
        };
        let made = (|| {
            if inside {
                std::fs::set_permissions(target, Permissions::from_mode(0o700))?;
            } else if let Some(parent) = at.parent() {
                create_dir_private(parent)?;
            }
            // Another user may have placed a link or a folder there, if the folder is not private: it is never written through.
            remove(&at)?;
            DirBuilder::new().mode(0o700).create(&at)
        })();
        made.map_err(|error| Problem::internal(&format!("cannot create `{}`", at.display()), &error))?;
        Ok(Self {
            at,
            target: target.to_owned(),
            inside,
        })
    }

    /// The temporary folder.
    pub(super) fn path(&self) -> &Path {
        &self.at
    }

    /// Writes a file that only its owner can read, at a path below the folder.
    pub(super) fn write(&self, file: &str, bytes: &[u8]) -> Result<(), Problem> {
        let path = self.at.join(file);
        write_private(&path, bytes)
            .map_err(|error| Problem::internal(&format!("cannot write `{}`", path.display()), &error))
    }

    /// Moves the contents to the target.
    pub(super) fn move_to_target(self) -> Result<(), Problem> {
        let moved = if self.inside {
            self.move_contents()
        } else {
            std::fs::rename(&self.at, &self.target)
        };
        moved.map_err(|error| Problem::internal(&format!("cannot fill `{}`", self.target.display()), &error))
    }

    /// The configuration comes last: a directory that contains it contains a complete node.
    fn move_contents(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.at)? {
            let name = entry?.file_name();
            if name != config::FILE {
                std::fs::rename(self.at.join(&name), self.target.join(&name))?;
            }
        }
        std::fs::rename(self.at.join(config::FILE), self.target.join(config::FILE))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.at) {
            tracing::warn!(path = %self.at.display(), %error, "the temporary folder could not be removed");
        }
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn refuse_unless_empty(target: &Path) -> Result<(), Problem> {
    let unusable = |error: io::Error| Problem::internal(&format!("cannot read `{}`", target.display()), &error);
    for entry in std::fs::read_dir(target).map_err(unusable)? {
        // Left behind by an interrupted setup.
        if entry.map_err(unusable)?.file_name() != INSIDE {
            let help = "choose a directory that does not exist, with `--dir`";
            return Err(Problem::usage(format!("`{}` exists and is not empty", target.display())).help(help));
        }
    }
    Ok(())
}
