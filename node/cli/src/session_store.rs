//! Where the token of a session is stored: with the person, not in the node's data directory.
//!
//! `$XDG_RUNTIME_DIR/concordat/<node>/session`, or `~/.local/state/concordat/<node>/session` where there is no such folder. The
//! folders are 0700 and the file 0600, all owned by this account; no link is followed on the last path component, neither to write
//! nor to read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use concordat_documents::problem::Problem;
use concordat_protocol::ids::Digest32;
use nix::fcntl::OFlag;
use zeroize::Zeroizing;

/// Domain of the name of the folder with a node's session.
const NODE_NAME: &str = "concordat/session-place/1";
/// Digits of that name: enough that no two directories of one person share one.
const DIGITS: usize = 16;
/// Longest token that is read.
const MAX_TOKEN: u64 = 1024;

/// The stored session with the node in one data directory.
#[derive(Debug, Clone)]
pub(crate) struct SessionStore {
    folder: PathBuf,
}

impl SessionStore {
    /// The store for the node in `dir`, below the folder that `runtime` or `home` names.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is neither.
    pub(crate) fn new(dir: &Path, runtime: Option<PathBuf>, home: Option<PathBuf>) -> io::Result<Self> {
        let base = match (runtime.filter(|path| path.is_absolute()), home) {
            (Some(runtime), _) => runtime,
            (None, Some(home)) => home.join(".local/state"),
            (None, None) => return Err(ErrorKind::NotFound.into()),
        };
        let node = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        let digest = Digest32::sha256(NODE_NAME, node.as_os_str().as_encoded_bytes()).to_string();
        let name: String = digest.chars().take(DIGITS).collect();
        Ok(Self {
            folder: base.join("concordat").join(name),
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("session")
    }

    /// Stores a token, replacing the previous one.
    ///
    /// # Errors
    /// If the folder is not owned by this account, or cannot be written.
    pub(crate) fn put(&self, token: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        owned(&fs::symlink_metadata(&self.folder)?, 0o077)?;
        let staged = self.folder.join("session.new");
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Newly created, so that no existing file or link is written to.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&staged)?;
        file.write_all(token.as_bytes())?;
        fs::rename(&staged, self.path())
    }

    /// The token, if someone is logged in.
    ///
    /// # Errors
    /// If the file is a link, is not owned by this account, or can be read by others.
    pub(crate) fn get(&self) -> io::Result<Option<Zeroizing<String>>> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(self.path());
        let file: File = match opened {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        owned(&file.metadata()?, 0o077)?;
        let mut token = Zeroizing::new(String::new());
        file.take(MAX_TOKEN).read_to_string(&mut token)?;
        Ok(Some(token))
    }

    /// Forgets the token.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Whether something is owned by this account and inaccessible to others.
fn owned(found: &fs::Metadata, forbidden: u32) -> io::Result<()> {
    let ours = found.uid() == nix::unistd::geteuid().as_raw();
    if ours && !found.is_symlink() && found.mode() & forbidden == 0 {
        Ok(())
    } else {
        Err(io::Error::new(
            ErrorKind::PermissionDenied,
            "it is not owned by this account, or others can access it",
        ))
    }
}

/// The token of the session in `dir`, if someone is logged in.
pub(crate) fn token(dir: &Path) -> Result<Option<Zeroizing<String>>, Problem> {
    let store = session_store(dir)?;
    store.get().map_err(|error| unusable("read", &store, &error))
}

pub(crate) fn session_store(dir: &Path) -> Result<SessionStore, Problem> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    SessionStore::new(dir, runtime, std::env::home_dir())
        .map_err(|_| Problem::usage("there is neither a home directory nor XDG_RUNTIME_DIR to store the session in"))
}

pub(crate) fn unusable(what: &str, store: &SessionStore, error: &std::io::Error) -> Problem {
    Problem::internal(&format!("cannot {what} `{}`", store.path().display()), error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn session_token_is_private_and_follows_no_link() {
        let base = tempfile::tempdir().unwrap();
        let store = |dir: &str| SessionStore::new(Path::new(dir), Some(base.path().to_owned()), None).unwrap();
        let one = store("/node/one");
        let other = store("/node/other");
        assert!(one.get().unwrap().is_none());
        one.put("token").unwrap();
        one.put("token again").unwrap();
        assert_eq!(one.get().unwrap().unwrap().as_str(), "token again");
        assert!(other.get().unwrap().is_none(), "each node has its own");
        assert!(!one.path().starts_with("/node"));
        assert_eq!(fs::metadata(one.path()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&one.folder).unwrap().mode() & 0o777, 0o700);

        // An attacker has created links where the token is staged and where it is stored.
        let target = base.path().join("target");
        fs::write(&target, "untouched").unwrap();
        symlink(&target, one.folder.join("session.new")).unwrap();
        one.remove().unwrap();
        symlink(&target, one.path()).unwrap();
        assert!(one.get().is_err(), "a link is not read");
        one.put("third").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
        assert_eq!(one.get().unwrap().unwrap().as_str(), "third");

        fs::set_permissions(one.path(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(one.get().is_err(), "others could have read it");
        fs::set_permissions(&one.folder, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(one.put("fourth").is_err(), "others could replace it");
        assert!(SessionStore::new(Path::new("/node"), None, None).is_err());
    }
}
