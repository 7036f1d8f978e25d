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
//! In format 1 there are no wrapped root keys; they are derived from the master key.

mod file;
mod roots;

use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::{
    IdentityKey, KeyEncryptingKey, KeyError, KeyProvider, LedgerKey, Parameters, SegmentKey, StateKey, Wrapped, labels,
    raw::RawKey, wrap::context,
};
use file::Stored;
pub(crate) use roots::Material;
use roots::Roots;

/// The top-level key of a node: random, and stored only wrapped. It can be rotated while in use.
#[derive(Debug)]
pub struct MasterKey {
    path: PathBuf,
    roots: Roots,
    chain: RwLock<Chain>,
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
        };
        let created = Self {
            path: path.to_owned(),
            roots: Roots::random()?,
            chain: RwLock::new(chain),
        };
        created.save(&created.chain())?;
        Ok(created)
    }

    /// Opens the master key stored at `path`, and stores it again if its key-encrypting key is weaker than one derived today.
    ///
    /// # Errors
    /// A wrong passphrase, a damaged file, a file that other accounts can read and a missing file are distinct errors.
    pub fn unlock(path: &Path, provider: &dyn KeyProvider) -> Result<Self, KeyError> {
        let stored = Stored::read(path)?;
        let wrapping = provider.rederive(&stored.kdf, path)?;
        let opened = wrapping.unwrap(&stored.kdf, &stored.wrapped);
        let master = opened.map_err(|_| provider.unlock_error(path))?;
        let previous = stored.previous.as_ref().map(|wrapped| {
            let context = context_of(labels::PREVIOUS_WRAP);
            wrapped.open_key(&master, &context, "previous master key")
        });
        let roots = match &stored.roots {
            Some(wrapped) => Roots::unwrap(&master, wrapped)?,
            None => Roots::of_format_1(&master),
        };
        let is_outdated = provider.is_outdated(&stored.kdf);
        let unlocked = Self {
            path: path.to_owned(),
            roots,
            chain: RwLock::new(Chain {
                kdf: stored.kdf,
                wrapping,
                master,
                previous: previous.transpose()?,
            }),
        };
        if is_outdated {
            unlocked.strengthen(provider);
        }
        Ok(unlocked)
    }

    /// Wraps the master key under a key that is as strong as one derived today. The file is replaced atomically, so after a
    /// crash either the old or the new one unlocks. If the file cannot be written, the node is still unlocked.
    fn strengthen(&self, provider: &dyn KeyProvider) {
        let before = self.chain().kdf.clone();
        match self.change_provider(provider) {
            Ok(()) => {
                let now = self.chain().kdf.clone();
                tracing::info!(?before, ?now, "the master key is now protected with the current cost");
            }
            Err(error) => tracing::warn!(%error, "the master key is still protected with an earlier, lower cost"),
        }
    }

    /// Stores the keys of an escrow, `material`, at `path` for `provider` to unlock; an existing file is replaced.
    ///
    /// # Errors
    /// As for [`MasterKey::create`], except that the file is replaced.
    pub(super) fn restore(path: &Path, material: &Material, provider: &dyn KeyProvider) -> Result<(), KeyError> {
        let (wrapping, kdf) = provider.fresh()?;
        let chain = Chain {
            kdf,
            wrapping,
            master: material.master.copy(),
            previous: None,
        };
        let restored = Self {
            path: path.to_owned(),
            roots: Roots {
                state: material.state.copy(),
                ledger: material.ledger.copy(),
                identity: material.identity.copy(),
            },
            chain: RwLock::new(chain),
        };
        restored.save(&restored.chain())
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
        };
        self.save(&changed)?;
        *chain = changed;
        Ok(())
    }

    /// Writes the file in the current format; migrates one of format 1.
    ///
    /// # Errors
    /// If the file cannot be written; it is then unchanged.
    pub fn rewrite(&self) -> Result<(), KeyError> {
        self.save(&self.chain())
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
        };
        self.save(&changed)?;
        *chain = changed;
        Ok(())
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
        };
        self.save(&changed)?;
        *chain = changed;
        Ok(())
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

    fn save(&self, chain: &Chain) -> Result<(), KeyError> {
        let previous = chain
            .previous
            .as_ref()
            .map(|previous| Wrapped::seal(&chain.master, &context_of(labels::PREVIOUS_WRAP), previous.bytes()));
        Stored::new(
            chain.kdf.clone(),
            chain.wrapping.wrap(&chain.kdf, &chain.master)?,
            self.roots.wrap(&chain.master)?,
            previous.transpose()?,
        )
        .write(&self.path)
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
