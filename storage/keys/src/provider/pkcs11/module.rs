//! Which file may be loaded into this process as a PKCS#11 module.
//!
//! A module can access the keys of the node, so it must be one that the administrator of the machine installed: owned by root, in
//! folders owned by root, and writable by no other account. It may not be in a data directory or a backup repository, whose
//! contents another account may have written. The rule is checked before each load, because the configuration may have changed.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::token::TokenError;

/// The account that installs software.
const ROOT: u32 = 0;

/// Mode bits with which the group or others may write; write access through an access control list shows in the group bits.
const OTHERS_WRITE: u32 = 0o022;

/// The path of a module that may be loaded, without links.
#[derive(Debug)]
pub(super) struct TrustedModule(PathBuf);

impl TrustedModule {
    /// Checks the file and every folder above it.
    ///
    /// # Errors
    /// [`TokenError::NoModule`] if it does not exist, [`TokenError::UntrustedModule`] if an account other than root could
    /// replace it.
    pub(super) fn check(module: &Path) -> Result<Self, TokenError> {
        let untrusted = |path: &Path, what| TokenError::UntrustedModule {
            module: module.to_owned(),
            path: path.to_owned(),
            what,
        };
        if !module.is_absolute() {
            return Err(untrusted(module, "is not an absolute path"));
        }
        let missing = || TokenError::NoModule {
            module: module.to_owned(),
        };
        let whole = module.canonicalize().map_err(|_| missing())?;
        if !whole.is_file() {
            return Err(missing());
        }
        // The configured path leads to this file only if no other account can replace a link on it.
        for path in whole.ancestors().chain(module.ancestors()) {
            let about = fs::metadata(path).map_err(|_| missing())?;
            if let Some(what) = weakness(&about) {
                return Err(untrusted(path, what));
            }
            if about.is_dir() && is_written_by_nodes(path) {
                return Err(untrusted(path, "is a data directory or a backup repository"));
            }
        }
        Ok(Self(whole))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// Why an account other than root could replace a file or the contents of a folder.
fn weakness(about: &Metadata) -> Option<&'static str> {
    if about.uid() != ROOT {
        Some("does not belong to root")
    } else if about.mode() & OTHERS_WRITE != 0 {
        Some("can be written by accounts other than root")
    } else {
        None
    }
}

/// Whether a folder is a data directory or a backup repository, which is recognized by its two folders.
fn is_written_by_nodes(folder: &Path) -> bool {
    let has = |part: &str| folder.join(part).exists();
    has("concordat.toml") || has("identity/master.key") || (has("snapshots") && has("objects"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    /// A folder that only root can write to, as are all folders above it; `None` if the tests do not run as root.
    fn root_folder() -> Option<tempfile::TempDir> {
        let dir = tempfile::Builder::new().prefix("concordat-").tempdir_in("/opt").ok()?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).ok()?;
        let is_safe = dir
            .path()
            .ancestors()
            .all(|path| fs::metadata(path).is_ok_and(|about| weakness(&about).is_none()));
        is_safe.then_some(dir)
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[track_caller]
    fn rejected(module: &Path, expected: &str) {
        let error = TrustedModule::check(module).unwrap_err();
        assert!(
            matches!(&error, TokenError::UntrustedModule { what, .. } if what.contains(expected)),
            "{expected}: {error}"
        );
    }

    #[test]
    fn pkcs11_module_that_others_can_replace_is_rejected() {
        let Some(dir) = root_folder() else {
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
                rejected(&module, "can be written by accounts other");
            }
            set_mode(path, 0o755);
            chown(path, Some(65534), None).unwrap();
            rejected(&module, "does not belong to root");
            chown(path, Some(0), None).unwrap();
        }
        TrustedModule::check(&module).unwrap();
        rejected(Path::new("m.so"), "is not an absolute path");
        assert!(matches!(
            TrustedModule::check(&folder).unwrap_err(),
            TokenError::NoModule { .. }
        ));

        // A link that root owns is followed to the module; one in a folder that others can write to is not.
        let link = dir.path().join("link.so");
        symlink(&module, &link).unwrap();
        assert_eq!(TrustedModule::check(&link).unwrap().path(), module);
        let shared = dir.path().join("shared");
        fs::create_dir(&shared).unwrap();
        set_mode(&shared, 0o1777);
        symlink(&module, shared.join("link.so")).unwrap();
        rejected(&shared.join("link.so"), "can be written by accounts other");
        fs::copy(&module, shared.join("own.so")).unwrap();
        let outward = dir.path().join("outward.so");
        symlink(shared.join("own.so"), &outward).unwrap();
        rejected(&outward, "can be written by accounts other");
    }

    #[test]
    fn pkcs11_module_in_data_or_backups_is_rejected() {
        let Some(dir) = root_folder() else {
            println!("skipped: there is no folder that only root can write to");
            return;
        };
        for files in [
            &["concordat.toml"][..],
            &["identity/master.key"],
            &["snapshots/x", "objects/x"],
        ] {
            let folder = dir.path().join("folder");
            let deep = folder.join("a/b");
            fs::create_dir_all(&deep).unwrap();
            let module = deep.join("m.so");
            fs::write(&module, "not loaded here").unwrap();
            TrustedModule::check(&module).unwrap();
            for file in files {
                fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
                fs::write(folder.join(file), "").unwrap();
            }
            rejected(&module, "data directory or a backup repository");
            fs::remove_dir_all(&folder).unwrap();
        }
    }
}
