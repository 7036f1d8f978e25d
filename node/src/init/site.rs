//! Where a node is built before it moves into its place.

use std::{
    ffi::OsString,
    fs::{DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{config, fault::Problem};

/// Name of the folder inside an empty place that cannot be replaced, such as a mounted volume.
const INSIDE: &str = ".init";

/// A folder that is removed again unless it moves into place.
pub(super) struct Site {
    at: PathBuf,
    place: PathBuf,
    inside: bool,
}

impl Site {
    /// Makes the folder to build in.
    pub(super) fn prepare(place: &Path) -> Result<Self, Problem> {
        let inside = place.exists();
        let at = if inside {
            refuse_unless_empty(place)?;
            place.join(INSIDE)
        } else {
            let mut name = place.file_name().map_or_else(|| OsString::from("node"), OsString::from);
            name.push(format!(".tmp-{}", std::process::id()));
            place.with_file_name(name)
        };
        let made = (|| {
            if inside {
                std::fs::set_permissions(place, Permissions::from_mode(0o700))?;
                remove(&at)?;
            }
            DirBuilder::new().recursive(!inside).mode(0o700).create(&at)
        })();
        made.map_err(|error| Problem::fault(&format!("cannot create `{}`", at.display()), &error))?;
        Ok(Self {
            at,
            place: place.to_owned(),
            inside,
        })
    }

    /// The folder to build in.
    pub(super) fn path(&self) -> &Path {
        &self.at
    }

    /// Moves what was built into its place.
    pub(super) fn move_into_place(self) -> Result<(), Problem> {
        let moved = if self.inside {
            self.move_contents()
        } else {
            std::fs::rename(&self.at, &self.place)
        };
        moved.map_err(|error| Problem::fault(&format!("cannot fill `{}`", self.place.display()), &error))
    }

    /// The configuration comes last: where it is, there is a whole node.
    fn move_contents(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.at)? {
            let name = entry?.file_name();
            if name != config::FILE {
                std::fs::rename(self.at.join(&name), self.place.join(&name))?;
            }
        }
        std::fs::rename(self.at.join(config::FILE), self.place.join(config::FILE))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.at) {
            tracing::warn!(path = %self.at.display(), %error, "what was half built could not be removed");
        }
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn refuse_unless_empty(place: &Path) -> Result<(), Problem> {
    let unusable = |error: io::Error| Problem::fault(&format!("cannot read `{}`", place.display()), &error);
    for entry in std::fs::read_dir(place).map_err(unusable)? {
        // Left behind by a set-up that was killed.
        if entry.map_err(unusable)?.file_name() != INSIDE {
            let help = "choose a directory that does not exist, with `--dir`";
            return Err(Problem::usage(format!("`{}` exists and is not empty", place.display())).help(help));
        }
    }
    Ok(())
}
