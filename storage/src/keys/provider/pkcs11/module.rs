//! Which file may be loaded into this process as a PKCS#11 module.
//!
//! A module runs with the keys of the node in reach, so it must be what the administrator of the machine installed: owned by root,
//! in folders of root, and writable by nobody else. It may not lie in a data directory or a repository of backups, whose contents
//! somebody else may have written. The rule is checked before each load, because the configuration may have changed since.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::TokenError;

/// The account that installs software.
const ROOT: u32 = 0;

/// Bits of a mode with which a group or everybody may write; an access control list that lets somebody write shows in the first.
const OTHERS_WRITE: u32 = 0o022;

/// A module that may be loaded: its path without links.
#[derive(Debug)]
pub(super) struct TrustedModule(PathBuf);

impl TrustedModule {
    /// Looks at the file and at every folder above it.
    ///
    /// # Errors
    /// [`TokenError::NoModule`] if it is not there, [`TokenError::UntrustedModule`] if somebody but root could exchange it.
    pub(super) fn check(module: &Path) -> Result<Self, TokenError> {
        let untrusted = |path: &Path, what| TokenError::UntrustedModule {
            module: module.to_owned(),
            path: path.to_owned(),
            what,
        };
        if !module.is_absolute() {
            return Err(untrusted(module, "is not a path from the root"));
        }
        let missing = || TokenError::NoModule {
            module: module.to_owned(),
        };
        let whole = module.canonicalize().map_err(|_| missing())?;
        if !whole.is_file() {
            return Err(missing());
        }
        // The path as it is written leads here only if nobody else can exchange a link on it.
        for path in whole.ancestors().chain(module.ancestors()) {
            let about = fs::metadata(path).map_err(|_| missing())?;
            if let Some(what) = weakness(&about) {
                return Err(untrusted(path, what));
            }
            if about.is_dir() && is_written_by_nodes(path) {
                return Err(untrusted(path, "is a data directory or a repository of backups"));
            }
        }
        Ok(Self(whole))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// What lets somebody other than root exchange a file or what is in a folder.
fn weakness(about: &Metadata) -> Option<&'static str> {
    if about.uid() != ROOT {
        Some("does not belong to root")
    } else if about.mode() & OTHERS_WRITE != 0 {
        Some("can be written by others than root")
    } else {
        None
    }
}

/// Whether a folder is a data directory, or a repository, which is known by its two folders.
fn is_written_by_nodes(folder: &Path) -> bool {
    let has = |part: &str| folder.join(part).exists();
    has("concordat.toml") || has("identity/master.key") || (has("snapshots") && has("objects"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    /// A folder that only root can write to, with all folders above it; none where these tests do not run as root.
    fn place_of_root() -> Option<tempfile::TempDir> {
        let dir = tempfile::Builder::new().prefix("concordat-").tempdir_in("/opt").ok()?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).ok()?;
        let is_fit = dir
            .path()
            .ancestors()
            .all(|path| fs::metadata(path).is_ok_and(|about| weakness(&about).is_none()));
        is_fit.then_some(dir)
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[track_caller]
    fn refused(module: &Path, words: &str) {
        let error = TrustedModule::check(module).unwrap_err();
        assert!(matches!(error, TokenError::UntrustedModule { .. }), "{error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }

    #[test]
    fn pkcs11_module_that_others_could_exchange_is_refused() {
        let Some(dir) = place_of_root() else {
            println!("skipped: there is no folder that only root can write to");
            return;
        };
        let folder = dir.path().join("lib");
        fs::create_dir(&folder).unwrap();
        let module = folder.join("m.so");
        fs::write(&module, "not loaded here").unwrap();
        set_mode(&folder, 0o755);
        set_mode(&module, 0o644);
        assert_eq!(TrustedModule::check(&module).unwrap().path(), module);

        for path in [&module, &folder] {
            for mode in [0o775, 0o757, 0o1777] {
                set_mode(path, mode);
                refused(&module, "can be written by others");
            }
            set_mode(path, 0o755);
            chown(path, Some(65534), None).unwrap();
            refused(&module, "does not belong to root");
            chown(path, Some(0), None).unwrap();
        }
        TrustedModule::check(&module).unwrap();
        refused(Path::new("m.so"), "is not a path from the root");
        assert!(matches!(
            TrustedModule::check(&folder).unwrap_err(),
            TokenError::NoModule { .. }
        ));

        // A link of root leads to the module; one in a folder of others does not.
        let link = dir.path().join("link.so");
        symlink(&module, &link).unwrap();
        assert_eq!(TrustedModule::check(&link).unwrap().path(), module);
        let shared = dir.path().join("shared");
        fs::create_dir(&shared).unwrap();
        set_mode(&shared, 0o1777);
        symlink(&module, shared.join("link.so")).unwrap();
        refused(&shared.join("link.so"), "can be written by others");
        fs::copy(&module, shared.join("own.so")).unwrap();
        let outward = dir.path().join("outward.so");
        symlink(shared.join("own.so"), &outward).unwrap();
        refused(&outward, "can be written by others");
    }

    #[test]
    fn pkcs11_module_in_data_or_backups_is_refused() {
        let Some(dir) = place_of_root() else {
            println!("skipped: there is no folder that only root can write to");
            return;
        };
        for marks in [
            &["concordat.toml"][..],
            &["identity/master.key"],
            &["snapshots/x", "objects/x"],
        ] {
            let place = dir.path().join("place");
            let deep = place.join("a/b");
            fs::create_dir_all(&deep).unwrap();
            let module = deep.join("m.so");
            fs::write(&module, "not loaded here").unwrap();
            TrustedModule::check(&module).unwrap();
            for mark in marks {
                fs::create_dir_all(place.join(mark).parent().unwrap()).unwrap();
                fs::write(place.join(mark), "").unwrap();
            }
            refused(&module, "data directory or a repository");
            fs::remove_dir_all(&place).unwrap();
        }
    }
}
