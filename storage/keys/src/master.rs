//! The master key and its file.
//!
//! `master.key` is a CBOR map followed by the BLAKE3 checksum of that map. The checksum is not a protection; it distinguishes
//! damage from a wrong passphrase, which the authenticated encryption alone cannot. The map contains:
//!
//! 1. how the key-encrypting key is derived, and the master key wrapped under it;
//! 2. the root keys (the keys of state, ledger and identity), wrapped under the master key: they stay the same when it is
//!    rotated;
//! 3. during a rotation, the previous master key, wrapped under the new one. Segment keys are wrapped again in between; if the
//!    process is killed there, the rotation continues at the next start.
//!
//! Earlier copies of the file still open: with the secret that unlocked the node then, they lead to the same root keys. So the state
//! knows which file is the current one ([`FileRegister`]), and a start refuses any other.

mod file;
mod roots;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use concordat_protocol::ids::Digest32;

use super::{
    IdentityKey, KeyEncryptingKey, KeyError, KeyProvider, LedgerKey, Parameters, SegmentKey, StateKey, Wrapped, labels,
    raw::RawKey, wrap::context,
};
use file::Stored;
pub(crate) use roots::Material;
use roots::Roots;

/// Where it is recorded, apart from the file itself, which master key file is the current one.
///
/// A file is replaced in three steps, each durable before the next: the new one is prepared, it is written, it is confirmed. A stop
/// in between leaves one of the two files, and both are known.
pub trait FileRegister: fmt::Debug + Send + Sync {
    /// Durably records that the file with the digest `next` is about to replace the current one.
    ///
    /// # Errors
    /// If that cannot be recorded. The file must not be written then.
    fn prepare(&self, next: Digest32) -> io::Result<()>;

    /// Durably records that the file with the digest `current` is the only one that may unlock the node.
    ///
    /// # Errors
    /// If that cannot be recorded.
    fn confirm(&self, current: Digest32) -> io::Result<()>;
}

/// The top-level key of a node: random, and stored only wrapped. It can be rotated while in use.
#[derive(Debug)]
pub struct MasterKey {
    path: PathBuf,
    roots: Roots,
    chain: RwLock<Chain>,
    register: OnceLock<Arc<dyn FileRegister>>,
    /// Whether it was unlocked by a secret in another form than that of today.
    is_as_entered: bool,
}

/// What a rotation replaces.
#[derive(Debug)]
struct Chain {
    /// How `wrapping` is derived again.
    kdf: Parameters,
    /// Wraps `master` and nothing else.
    wrapping: KeyEncryptingKey,
    master: RawKey,
    previous: Option<RawKey>,
    /// The digest of the file that holds this; `None` before it is written.
    file: Option<Digest32>,
}

impl MasterKey {
    /// Creates a new master key and stores it at `path`; `provider` unlocks it.
    ///
    /// # Errors
    /// [`KeyError::Exists`] if there is already one; otherwise as for the provider, or if the file cannot be written.
    pub fn create(path: &Path, provider: &dyn KeyProvider) -> Result<Self, KeyError> {
        if path.exists() {
            return Err(KeyError::Exists { path: path.to_owned() });
        }
        let (wrapping, kdf) = provider.fresh()?;
        let chain = Chain {
            kdf,
            wrapping,
            master: RawKey::random()?,
            previous: None,
            file: None,
        };
        let created = Self {
            path: path.to_owned(),
            roots: Roots::random()?,
            chain: RwLock::new(chain),
            register: OnceLock::new(),
            is_as_entered: false,
        };
        created.rewrite()?;
        Ok(created)
    }

    /// Opens the master key stored at `path`. If its key-encrypting key is weaker than one derived today, it should be stored again
    /// with [`MasterKey::strengthen`].
    ///
    /// # Errors
    /// A wrong passphrase, a damaged file, a file that other accounts can read and a missing file are distinct errors.
    pub fn unlock(path: &Path, provider: &dyn KeyProvider) -> Result<Self, KeyError> {
        let (stored, file) = Stored::read(path)?;
        let opened = stored.open(provider.rederive(&stored.kdf, path)?);
        let is_as_entered = opened.is_none();
        let opened = match opened {
            Some(opened) => Some(opened),
            None => provider
                .rederive_as_entered(&stored.kdf)?
                .and_then(|key| stored.open(key)),
        };
        let (wrapping, master) = opened.ok_or_else(|| provider.unlock_error(path))?;
        let previous = stored.previous.as_ref().map(|wrapped| {
            let context = context_of(labels::PREVIOUS_WRAP);
            wrapped.open_key(&master, &context, "previous master key")
        });
        let roots = Roots::unwrap(&master, &stored.roots)?;
        Ok(Self {
            path: path.to_owned(),
            roots,
            chain: RwLock::new(Chain {
                kdf: stored.kdf,
                wrapping,
                master,
                previous: previous.transpose()?,
                file: Some(file),
            }),
            register: OnceLock::new(),
            is_as_entered,
        })
    }

    /// From now on, each file is recorded before and after it is written. The present one is already known there.
    pub fn bind(&self, register: Arc<dyn FileRegister>) {
        // A second register would be of the same state: a master key is opened with one data directory.
        drop(self.register.set(register));
    }

    /// The digest of the file that was read or written last; `None` before it is written.
    #[must_use]
    pub fn file(&self) -> Option<Digest32> {
        self.chain().file
    }

    /// If the key that wraps the master key is weaker than one derived today from `provider`, which has unlocked it, or was derived from
    /// another form of its secret, wraps it again.
    /// The file is replaced atomically, so after a crash either the old or the new one unlocks. If the file cannot be written, the
    /// node is still unlocked.
    pub fn strengthen(&self, provider: &dyn KeyProvider) {
        let before = self.chain().kdf.clone();
        if !provider.is_outdated(&before) && !self.is_as_entered {
            return;
        }
        match self.change_provider(provider) {
            Ok(()) => {
                let now = self.chain().kdf.clone();
                tracing::info!(
                    ?before,
                    ?now,
                    "the master key is now protected with the current cost and form of the secret"
                );
            }
            Err(error) => {
                tracing::warn!(%error, "the master key is still protected with an earlier cost or form of the secret")
            }
        }
    }

    /// The keys of an escrow, `material`, which [`MasterKey::rewrite`] stores at `path` for `provider` to unlock; an existing file is
    /// replaced.
    ///
    /// # Errors
    /// As for the provider.
    pub(super) fn of_escrow(path: &Path, material: &Material, provider: &dyn KeyProvider) -> Result<Self, KeyError> {
        let (wrapping, kdf) = provider.fresh()?;
        let chain = Chain {
            kdf,
            wrapping,
            master: material.master.copy(),
            previous: None,
            file: None,
        };
        Ok(Self {
            path: path.to_owned(),
            roots: Roots {
                state: material.state.copy(),
                ledger: material.ledger.copy(),
                identity: material.identity.copy(),
            },
            chain: RwLock::new(chain),
            register: OnceLock::new(),
            is_as_entered: false,
        })
    }

    /// The keys themselves, for an escrow.
    pub(super) fn material(&self) -> Material {
        Material {
            master: self.chain().master.copy(),
            state: self.roots.state.copy(),
            ledger: self.roots.ledger.copy(),
            identity: self.roots.identity.copy(),
        }
    }

    /// Makes another provider unlock the same master key from now on; replaces the file atomically.
    ///
    /// # Errors
    /// As for [`MasterKey::create`], except that the file is replaced.
    pub fn change_provider(&self, provider: &dyn KeyProvider) -> Result<(), KeyError> {
        let (wrapping, kdf) = provider.fresh()?;
        let mut chain = self.chain_mut();
        let changed = Chain {
            kdf,
            wrapping,
            master: chain.master.copy(),
            previous: chain.previous.as_ref().map(RawKey::copy),
            file: chain.file,
        };
        self.replace(&mut chain, changed)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn rewrite(&self) -> Result<(), KeyError> {
        let mut chain = self.chain_mut();
        chain.file = Some(self.save(&chain)?);
        Ok(())
    }

    /// Replaces the master key with a new one; the previous one still opens segment keys until
    /// [`MasterKey::finish_rotation`]. Does nothing during a rotation.
    ///
    /// # Errors
    /// If the file cannot be written; the old key is then still used.
    pub fn begin_rotation(&self) -> Result<(), KeyError> {
        let mut chain = self.chain_mut();
        if chain.previous.is_some() {
            return Ok(());
        }
        let changed = Chain {
            kdf: chain.kdf.clone(),
            wrapping: chain.wrapping.copy(),
            master: RawKey::random()?,
            previous: Some(chain.master.copy()),
            file: chain.file,
        };
        self.replace(&mut chain, changed)
    }

    /// Discards the previous master key; nothing may still be wrapped under it.
    ///
    /// # Errors
    /// If the file cannot be written; the rotation is then still in progress.
    pub fn finish_rotation(&self) -> Result<(), KeyError> {
        let mut chain = self.chain_mut();
        let changed = Chain {
            kdf: chain.kdf.clone(),
            wrapping: chain.wrapping.copy(),
            master: chain.master.copy(),
            previous: None,
            file: chain.file,
        };
        self.replace(&mut chain, changed)
    }

    /// Whether a rotation is in progress.
    #[must_use]
    pub fn is_rotating(&self) -> bool {
        self.chain().previous.is_some()
    }

    /// What unlocks it, as text.
    #[must_use]
    pub fn unlocked_by(&self) -> &'static str {
        self.chain().kdf.label()
    }

    /// The key of the state database.
    #[must_use]
    pub fn state(&self) -> StateKey {
        StateKey::of(&self.roots.state)
    }

    /// The key of the ledger.
    #[must_use]
    pub fn ledger(&self) -> LedgerKey {
        LedgerKey::of(&self.roots.ledger)
    }

    /// The key that seals the node's private keys.
    #[must_use]
    pub fn identity(&self) -> IdentityKey {
        IdentityKey::of(&self.roots.identity)
    }

    /// Creates the key of a new segment; store the wrapped form, it is the only copy.
    ///
    /// # Errors
    /// Only if no random bytes are available.
    pub fn create_segment(&self, segment: &str) -> Result<(SegmentKey, Wrapped), KeyError> {
        SegmentKey::create(&segments(&self.chain().master), segment)
    }

    /// Opens the key of the named segment.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] if it was changed, or belongs to another segment or node.
    pub fn open_segment(&self, segment: &str, wrapped: &Wrapped) -> Result<SegmentKey, KeyError> {
        let chain = self.chain();
        let opened = SegmentKey::unwrap(&segments(&chain.master), segment, wrapped);
        match (&opened, &chain.previous) {
            (Err(_), Some(previous)) => SegmentKey::unwrap(&segments(previous), segment, wrapped),
            (Ok(_) | Err(_), _) => opened,
        }
    }

    /// Wraps the key of a segment under the present master key.
    ///
    /// # Errors
    /// Only if no random bytes are available.
    pub fn wrap_segment(&self, key: &SegmentKey) -> Result<Wrapped, KeyError> {
        key.wrap(&segments(&self.chain().master))
    }

    /// Stores `changed`, and uses it from then on.
    fn replace(&self, chain: &mut Chain, changed: Chain) -> Result<(), KeyError> {
        let file = Some(self.save(&changed)?);
        *chain = Chain { file, ..changed };
        Ok(())
    }

    /// Writes the file of `chain`, whose `file` is the digest of the present one, and returns the digest of the new one.
    fn save(&self, chain: &Chain) -> Result<Digest32, KeyError> {
        let previous = chain
            .previous
            .as_ref()
            .map(|previous| Wrapped::seal(&chain.master, &context_of(labels::PREVIOUS_WRAP), previous.bytes()));
        let stored = Stored::new(
            chain.kdf.clone(),
            chain.wrapping.wrap(&chain.kdf, &chain.master)?,
            self.roots.wrap(&chain.master)?,
            previous.transpose()?,
        );
        let bytes = stored.to_bytes()?;
        let next = file::digest(&bytes);
        self.registered(|register| register.prepare(next))?;
        let written = file::write(&self.path, &bytes);
        if written.is_err() {
            // Which of the two is there is known only if it can be read; otherwise the next start determines it.
            let found = file::digest_at(&self.path).ok();
            if let Some(found) = found.filter(|found| *found == next || Some(*found) == chain.file) {
                self.registered(|register| register.confirm(found))?;
            }
        }
        written?;
        self.registered(|register| register.confirm(next))?;
        Ok(next)
    }

    fn registered(&self, step: impl FnOnce(&dyn FileRegister) -> io::Result<()>) -> Result<(), KeyError> {
        let Some(register) = self.register.get() else {
            return Ok(());
        };
        step(register.as_ref()).map_err(|source| KeyError::Io {
            action: "record in the sealed state the replacement of",
            path: self.path.clone(),
            source,
        })
    }

    fn chain(&self) -> RwLockReadGuard<'_, Chain> {
        self.chain.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn chain_mut(&self) -> RwLockWriteGuard<'_, Chain> {
        self.chain.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key under which a master key wraps segment keys.
fn segments(master: &RawKey) -> RawKey {
    RawKey::derive(master.bytes(), &[], labels::SEGMENTS)
}

fn context_of(label: &str) -> Vec<u8> {
    context(label, &[])
}
