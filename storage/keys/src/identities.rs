//! The private keys of the institution and its node, each sealed in a separate file.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    identity::{InstitutionKey, InstitutionPublicKey, NodeKey, PrivateKey},
    ids::InstitutionId,
    membership::KeySuccession,
    signed::Signed,
    time::Timestamp,
};
use zeroize::Zeroizing;

use super::{IdentityKey, KeyError, Secret, Wrapped};
use crate::fs::{read_regular, sync_dir, write_private};

/// Most bytes of a sealed file: the statements of thousands of earlier keys.
const MAX_SEALED: u64 = 16 * 1024 * 1024;
/// The name of the institution's key.
const INSTITUTION: &str = "institution";
/// The name of the key that replaces the institution's key once the consortium knows it.
const NEXT: &str = "institution-next";
/// The name of the statements of earlier keys; sealed so that no one else can add one.
const SUCCESSIONS: &str = "institution-successions";
/// The name of the node's key.
const NODE: &str = "node";

/// The private keys in `identity/`.
pub struct Identities {
    dir: PathBuf,
    key: IdentityKey,
    public: RwLock<Option<Arc<[InstitutionPublicKey]>>>,
}

impl Identities {
    /// The private keys in the folder `dir`, sealed under `key`.
    #[must_use]
    pub fn new(dir: PathBuf, key: IdentityKey) -> Self {
        Self {
            dir,
            key,
            public: RwLock::default(),
        }
    }

    /// Seals a private key under a name of `a-z`, `0-9` and `-`; it is on disk when this returns.
    ///
    /// # Errors
    /// [`IdentityError::Exists`] if there is already one with this name.
    pub fn put(&self, name: &str, secret: &Secret) -> Result<(), IdentityError> {
        let path = self.path(name)?;
        if path.exists() {
            return Err(IdentityError::Exists { name: name.to_owned() });
        }
        self.write(name, &path, secret)
    }

    fn write(&self, name: &str, path: &Path, secret: &Secret) -> Result<(), IdentityError> {
        let sealed = self.key.seal_secret(name, secret)?;
        write_private(path, sealed.as_bytes()).map_err(|source| IdentityError::io("write", path, source))
    }

    /// Opens a private key.
    ///
    /// # Errors
    /// [`IdentityError::Missing`] if there is none with this name; [`crate::KeyError::Unopenable`] if it was changed.
    pub fn get(&self, name: &str) -> Result<Secret, IdentityError> {
        let path = self.path(name)?;
        let sealed = read_regular(&path, MAX_SEALED).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                IdentityError::Missing { name: name.to_owned() }
            } else {
                IdentityError::io("read", &path, source)
            }
        })?;
        Ok(self.key.open_secret(name, &Wrapped::from_bytes(sealed))?)
    }

    /// Stores the institution's key.
    ///
    /// # Errors
    /// As [`Identities::put`].
    pub fn put_institution(&self, key: &InstitutionKey) -> Result<(), IdentityError> {
        self.put(INSTITUTION, &Secret::from(key.expose_seed().to_vec()))
    }

    /// The institution's key.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn institution(&self) -> Result<InstitutionKey, IdentityError> {
        Ok(InstitutionKey::from_seed(&self.seed(INSTITUTION)?))
    }

    /// The public half of the institution's key.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn institution_public(&self) -> Result<InstitutionPublicKey, IdentityError> {
        let damaged = || IdentityError::Damaged {
            name: INSTITUTION.to_owned(),
        };
        self.institution_keys()?.first().copied().ok_or_else(damaged)
    }

    /// The public halves of the institution's key and of its earlier keys, newest first; read once. Everything that this
    /// institution signed was signed with one of them.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn institution_keys(&self) -> Result<Arc<[InstitutionPublicKey]>, IdentityError> {
        let known = self.public.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let mut keys = vec![self.institution()?.public()];
        for signed in self.successions()?.iter().rev() {
            let earlier = signed.peek_unverified().map(|succession| succession.from);
            keys.push(earlier.map_err(|_| IdentityError::Damaged {
                name: SUCCESSIONS.to_owned(),
            })?);
        }
        keys.dedup();
        let keys: Arc<[InstitutionPublicKey]> = keys.into();
        *self.public.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&keys));
        Ok(keys)
    }

    /// The statements in which each earlier key named its successor, oldest first.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn successions(&self) -> Result<Vec<Signed<KeySuccession>>, IdentityError> {
        let damaged = || IdentityError::Damaged {
            name: SUCCESSIONS.to_owned(),
        };
        match self.get(SUCCESSIONS) {
            Ok(stored) => ciborium::from_reader(stored.expose()).map_err(|_| damaged()),
            Err(IdentityError::Missing { .. }) => Ok(Vec::new()),
            Err(other) => Err(other),
        }
    }

    /// The key that will replace the institution's key, if one was created. If it already has, before an interruption, its
    /// separate file is removed.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn next_institution(&self) -> Result<Option<InstitutionKey>, IdentityError> {
        let next = match self.seed(NEXT) {
            Ok(seed) => InstitutionKey::from_seed(&seed),
            Err(IdentityError::Missing { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        if next.public() == self.institution()?.public() {
            self.discard_next_institution()?;
            return Ok(None);
        }
        Ok(Some(next))
    }

    /// Stores the key that will replace the institution's key.
    ///
    /// # Errors
    /// As [`Identities::put`].
    pub fn put_next_institution(&self, key: &InstitutionKey) -> Result<(), IdentityError> {
        self.put(NEXT, &Secret::from(key.expose_seed().to_vec()))
    }

    fn discard_next_institution(&self) -> Result<(), IdentityError> {
        let path = self.path(NEXT)?;
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(IdentityError::io("remove", &path, source)),
            Ok(()) | Err(_) => sync_dir(&self.dir).map_err(|source| IdentityError::io("sync", &self.dir, source)),
        }
    }

    /// The statement in which the present key names its successor; `None` if there is none.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn succession(
        &self,
        institution: &InstitutionId,
        now: Timestamp,
    ) -> Result<Option<Signed<KeySuccession>>, IdentityError> {
        let Some(next) = self.next_institution()? else {
            return Ok(None);
        };
        let present = self.institution()?;
        let succession = KeySuccession {
            institution: institution.clone(),
            from: present.public(),
            to: next.public(),
            at: now,
        };
        let signed =
            Signed::sign(&succession, &present).map_err(|_| IdentityError::Damaged { name: NEXT.to_owned() })?;
        Ok(Some(signed.signed().clone()))
    }

    /// Replaces the institution's key by the next key; the old key signed `succession` about it. The old private key is
    /// removed. Can be repeated after an interruption.
    ///
    /// # Errors
    /// As [`Identities::get`]; [`IdentityError::Io`].
    pub fn replace_institution(&self, succession: &Signed<KeySuccession>) -> Result<InstitutionKey, IdentityError> {
        let damaged = || IdentityError::Damaged { name: NEXT.to_owned() };
        let next = self.next_institution()?.ok_or_else(damaged)?;
        let stated = succession.peek_unverified().map_err(|_| damaged())?;
        if stated.from != self.institution()?.public() || stated.to != next.public() {
            return Err(damaged());
        }
        let mut statements = self.successions()?;
        let is_same =
            |known: &Signed<KeySuccession>| known.peek_unverified().is_ok_and(|known| known.from == stated.from);
        statements.retain(|known| !is_same(known));
        statements.push(succession.clone());
        let mut bytes = Vec::new();
        ciborium::into_writer(&statements, &mut bytes).map_err(|_| damaged())?;
        // The statements are written first: with them, signatures of either key are recognized as this institution's.
        self.write(SUCCESSIONS, &self.path(SUCCESSIONS)?, &Secret::from(bytes))?;
        self.write(
            INSTITUTION,
            &self.path(INSTITUTION)?,
            &Secret::from(next.expose_seed().to_vec()),
        )?;
        *self.public.write().unwrap_or_else(PoisonError::into_inner) = None;
        let public_file = self.dir.join("institution.pub");
        write_private(&public_file, format!("{}\n", next.public()).as_bytes())
            .map_err(|source| IdentityError::io("write", &public_file, source))?;
        self.discard_next_institution()?;
        Ok(next)
    }

    /// Stores the node's key.
    ///
    /// # Errors
    /// As [`Identities::put`].
    pub fn put_node(&self, key: &NodeKey) -> Result<(), IdentityError> {
        self.put(NODE, &Secret::from(key.expose_seed().to_vec()))
    }

    /// The node's key.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn node(&self) -> Result<NodeKey, IdentityError> {
        Ok(NodeKey::from_seed(&self.seed(NODE)?))
    }

    fn seed(&self, name: &str) -> Result<Zeroizing<[u8; 32]>, IdentityError> {
        let secret = self.get(name)?;
        let seed = <[u8; 32]>::try_from(secret.expose()).map(Zeroizing::new);
        seed.map_err(|_| IdentityError::Damaged { name: name.to_owned() })
    }

    fn path(&self, name: &str) -> Result<PathBuf, IdentityError> {
        let is_plain = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if name.is_empty() || name.len() > 64 || !is_plain {
            return Err(IdentityError::Name { name: name.to_owned() });
        }
        Ok(self.dir.join(format!("{name}.sealed")))
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// Why a private key cannot be read or stored.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A name that no private key can have.
    #[error("`{name}` cannot be the name of a private key: use `a-z`, `0-9` and `-`")]
    Name {
        /// The name as given.
        name: String,
    },
    /// There is no private key with this name.
    #[error("there is no private key `{name}`; run `concordat init`")]
    Missing {
        /// The name.
        name: String,
    },
    /// There is already a private key with this name, which is not overwritten.
    #[error("there is already a private key `{name}`, and it is not overwritten")]
    Exists {
        /// The name.
        name: String,
    },
    /// A private key opens but has the wrong length.
    #[error("the private key `{name}` is damaged; restore it from a backup")]
    Damaged {
        /// The name.
        name: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// It cannot be sealed or opened.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Explain for IdentityError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Name { .. } | Self::Exists { .. } => ErrorKind::Usage,
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::Damaged { .. } => ErrorKind::Integrity,
            Self::Io { .. } => ErrorKind::Internal,
            Self::Key(source) => source.kind(),
        }
    }
}

impl IdentityError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
