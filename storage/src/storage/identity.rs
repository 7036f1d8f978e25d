//! The private keys of the house, each sealed in a file of its own.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "sources beyond the named ones are all the same here"
)]

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use concordat_protocol::{
    identity::{InstitutionKey, InstitutionPublicKey, NodeKey, PrivateKey},
    ids::InstitutionId,
    membership::KeySuccession,
    signed::Signed,
    time::Timestamp,
};
use zeroize::Zeroizing;

use super::StorageError;
use crate::{
    fs::{sync_dir, write_private},
    keys::{IdentityKey, Secret, Wrapped},
};

/// The name of the institution's key.
const INSTITUTION: &str = "institution";
/// The name of the key that follows the institution's key once the consortium has it.
const NEXT: &str = "institution-next";
/// The name of the statements of the keys before; sealed so that nobody else adds one.
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
    pub(super) fn new(dir: PathBuf, key: IdentityKey) -> Self {
        Self {
            dir,
            key,
            public: RwLock::default(),
        }
    }

    /// Seals a private key under a name of `a-z`, `0-9` and `-`; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`StorageError::IdentityExists`] if there is one of this name.
    pub fn put(&self, name: &str, secret: &Secret) -> Result<(), StorageError> {
        let path = self.path(name)?;
        if path.exists() {
            return Err(StorageError::IdentityExists { name: name.to_owned() });
        }
        self.write(name, &path, secret)
    }

    fn write(&self, name: &str, path: &Path, secret: &Secret) -> Result<(), StorageError> {
        let sealed = self.key.seal_secret(name, secret)?;
        write_private(path, sealed.as_bytes()).map_err(|source| StorageError::io("write", path, source))
    }

    /// Opens a private key.
    ///
    /// # Errors
    /// [`StorageError::NoIdentity`] if there is none of this name; [`crate::keys::KeyError::Unopenable`] if it was changed.
    pub fn get(&self, name: &str) -> Result<Secret, StorageError> {
        let path = self.path(name)?;
        let sealed = fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StorageError::NoIdentity { name: name.to_owned() },
            _ => StorageError::io("read", &path, source),
        })?;
        Ok(self.key.open_secret(name, &Wrapped::from_bytes(sealed))?)
    }

    /// Stores the institution's key.
    ///
    /// # Errors
    /// As [`Identities::put`].
    pub fn put_institution(&self, key: &InstitutionKey) -> Result<(), StorageError> {
        self.put(INSTITUTION, &Secret::from(key.expose_seed().to_vec()))
    }

    /// The institution's key.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn institution(&self) -> Result<InstitutionKey, StorageError> {
        Ok(InstitutionKey::from_seed(&self.seed(INSTITUTION)?))
    }

    /// The public half of the institution's key.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn institution_public(&self) -> Result<InstitutionPublicKey, StorageError> {
        let damaged = || StorageError::IdentityDamaged {
            name: INSTITUTION.to_owned(),
        };
        self.institution_keys()?.first().copied().ok_or_else(damaged)
    }

    /// The public halves of the institution's key and of those before it, the newest first; read once. What this node signed was
    /// signed by one of them.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn institution_keys(&self) -> Result<Arc<[InstitutionPublicKey]>, StorageError> {
        let known = self.public.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let mut keys = vec![self.institution()?.public()];
        for signed in self.successions()?.iter().rev() {
            let earlier = signed.peek_unverified().map(|named| named.from);
            keys.push(earlier.map_err(|_| StorageError::IdentityDamaged {
                name: SUCCESSIONS.to_owned(),
            })?);
        }
        keys.dedup();
        let keys: Arc<[InstitutionPublicKey]> = keys.into();
        *self.public.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&keys));
        Ok(keys)
    }

    /// What the keys before the present one signed about the key after them, the oldest first.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn successions(&self) -> Result<Vec<Signed<KeySuccession>>, StorageError> {
        let damaged = || StorageError::IdentityDamaged {
            name: SUCCESSIONS.to_owned(),
        };
        match self.get(SUCCESSIONS) {
            Ok(kept) => ciborium::from_reader(kept.expose()).map_err(|_| damaged()),
            Err(StorageError::NoIdentity { .. }) => Ok(Vec::new()),
            Err(other) => Err(other),
        }
    }

    /// The key that is to follow the institution's key, if one was made. One that has taken its place already, before a stop, is
    /// forgotten.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn next_institution(&self) -> Result<Option<InstitutionKey>, StorageError> {
        let next = match self.seed(NEXT) {
            Ok(seed) => InstitutionKey::from_seed(&seed),
            Err(StorageError::NoIdentity { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        if next.public() == self.institution()?.public() {
            self.discard_next_institution()?;
            return Ok(None);
        }
        Ok(Some(next))
    }

    /// Stores the key that is to follow the institution's key.
    ///
    /// # Errors
    /// As [`Identities::put`].
    pub fn put_next_institution(&self, key: &InstitutionKey) -> Result<(), StorageError> {
        self.put(NEXT, &Secret::from(key.expose_seed().to_vec()))
    }

    fn discard_next_institution(&self) -> Result<(), StorageError> {
        let path = self.path(NEXT)?;
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StorageError::io("remove", &path, source)),
            Ok(()) | Err(_) => sync_dir(&self.dir).map_err(|source| StorageError::io("sync", &self.dir, source)),
        }
    }

    /// What the present key says of the one that is to follow it; `None` if there is none.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn succession(
        &self,
        institution: &InstitutionId,
        now: Timestamp,
    ) -> Result<Option<Signed<KeySuccession>>, StorageError> {
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
            Signed::sign(&succession, &present).map_err(|_| StorageError::IdentityDamaged { name: NEXT.to_owned() })?;
        Ok(Some(signed.signed().clone()))
    }

    /// Puts the key that was to follow into the place of the institution's key, which signed `succession` about it. The old private key
    /// is gone afterwards. May be repeated after it broke off.
    ///
    /// # Errors
    /// As [`Identities::get`]; [`StorageError::Io`].
    pub fn replace_institution(&self, succession: &Signed<KeySuccession>) -> Result<InstitutionKey, StorageError> {
        let damaged = || StorageError::IdentityDamaged { name: NEXT.to_owned() };
        let next = self.next_institution()?.ok_or_else(damaged)?;
        let named = succession.peek_unverified().map_err(|_| damaged())?;
        if named.from != self.institution()?.public() || named.to != next.public() {
            return Err(damaged());
        }
        let mut kept = self.successions()?;
        let is_same =
            |known: &Signed<KeySuccession>| known.peek_unverified().is_ok_and(|known| known.from == named.from);
        kept.retain(|known| !is_same(known));
        kept.push(succession.clone());
        let mut bytes = Vec::new();
        ciborium::into_writer(&kept, &mut bytes).map_err(|_| damaged())?;
        // First the statements: with them, what either key signed is known as this institution's.
        self.write(SUCCESSIONS, &self.path(SUCCESSIONS)?, &Secret::from(bytes))?;
        self.write(
            INSTITUTION,
            &self.path(INSTITUTION)?,
            &Secret::from(next.expose_seed().to_vec()),
        )?;
        *self.public.write().unwrap_or_else(PoisonError::into_inner) = None;
        let shown = self.dir.join("institution.pub");
        write_private(&shown, format!("{}\n", next.public()).as_bytes())
            .map_err(|source| StorageError::io("write", &shown, source))?;
        self.discard_next_institution()?;
        Ok(next)
    }

    /// Stores the node's key.
    ///
    /// # Errors
    /// As [`Identities::put`].
    pub fn put_node(&self, key: &NodeKey) -> Result<(), StorageError> {
        self.put(NODE, &Secret::from(key.expose_seed().to_vec()))
    }

    /// The node's key.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn node(&self) -> Result<NodeKey, StorageError> {
        Ok(NodeKey::from_seed(&self.seed(NODE)?))
    }

    fn seed(&self, name: &str) -> Result<Zeroizing<[u8; 32]>, StorageError> {
        let secret = self.get(name)?;
        let seed = <[u8; 32]>::try_from(secret.expose()).map(Zeroizing::new);
        seed.map_err(|_| StorageError::IdentityDamaged { name: name.to_owned() })
    }

    fn path(&self, name: &str) -> Result<PathBuf, StorageError> {
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if name.is_empty() || name.len() > 64 || !plain {
            return Err(StorageError::IdentityName { name: name.to_owned() });
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
