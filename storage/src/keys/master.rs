//! The master key and the file that keeps it.
//!
//! `master.key` is a CBOR map followed by the BLAKE3 checksum of that map. The checksum is not a protection; it tells damage from
//! a wrong passphrase, which the authenticated encryption alone cannot. The map holds:
//!
//! 1. how the key-encrypting key is made, and the master key wrapped under it;
//! 2. the roots (the keys of state, ledger and identity), wrapped under the master key: they stay when it is rotated;
//! 3. while a rotation is under way, the master key before it, wrapped under the new one. Segment keys are wrapped again in
//!    between; a process that is killed there goes on at the next start.
//!
//! In format 1 there are no wrapped roots; they are derived from the master key.

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

/// The key above all keys of a node: random, and stored only wrapped. It can be exchanged while in use.
#[derive(Debug)]
pub struct MasterKey {
    path: PathBuf,
    roots: Roots,
    chain: RwLock<Chain>,
}

/// What is exchanged in a rotation.
#[derive(Debug)]
struct Chain {
    /// How `wrapping` is made again.
    kdf: Parameters,
    /// It opens nothing that the master key beside it does not.
    wrapping: KeyEncryptingKey,
    master: RawKey,
    previous: Option<RawKey>,
}

impl MasterKey {
    /// Makes a new master key and stores it at `path`; `provider` unlocks it.
    ///
    /// # Errors
    /// [`KeyError::Exists`] if there is one already; otherwise as for the provider, or if the file cannot be written.
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

    /// Opens the master key stored at `path`, and stores it again where its key-encrypting key is weaker than one made today.
    ///
    /// # Errors
    /// A wrong passphrase, a damaged file, a file that others can read and a missing file are each an error of its own.
    pub fn unlock(path: &Path, provider: &dyn KeyProvider) -> Result<Self, KeyError> {
        let stored = Stored::read(path)?;
        let wrapping = provider.again(&stored.kdf, path)?;
        let opened = wrapping.unwrap(&stored.kdf, &stored.wrapped);
        let master = opened.map_err(|_| provider.refused(path))?;
        let previous = stored.previous.as_ref().map(|wrapped| {
            let place = context_of(labels::PREVIOUS_WRAP);
            wrapped.open_key(&master, &place, "previous master key")
        });
        let roots = match &stored.roots {
            Some(wrapped) => Roots::unwrap(&master, wrapped)?,
            None => Roots::of_format_1(&master),
        };
        let is_dated = provider.is_dated(&stored.kdf);
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
        if is_dated {
            unlocked.strengthen(provider);
        }
        Ok(unlocked)
    }

    /// Wraps the master key under a key that is as strong as one made today. The file is replaced in one step, so that either the
    /// old or the new one unlocks after a crash. A disk that takes no file is no reason to stay locked.
    fn strengthen(&self, provider: &dyn KeyProvider) {
        let before = self.chain().kdf.clone();
        match self.change_provider(provider) {
            Ok(()) => {
                let now = self.chain().kdf.clone();
                tracing::info!(?before, ?now, "the master key is protected at today's cost from now on");
            }
            Err(error) => tracing::warn!(%error, "the master key stays protected at the cost of an earlier day"),
        }
    }

    /// Stores the keys of an escrow, `material`, at `path` for `provider` to unlock; a file that is there is replaced.
    ///
    /// # Errors
    /// As for [`MasterKey::create`], except that the file is replaced.
    pub(crate) fn restore(path: &Path, material: &Material, provider: &dyn KeyProvider) -> Result<(), KeyError> {
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

    /// Has another provider unlock the same master key from now on, replacing the file in one step.
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

    /// Writes the file as it is written now; brings one of format 1 forward.
    pub(crate) fn rewrite(&self) -> Result<(), KeyError> {
        self.save(&self.chain())
    }

    /// Puts a new master key into the place of this one, which still opens segment keys until
    /// [`MasterKey::finish_rotation`]. Does nothing while a rotation is under way.
    ///
    /// # Errors
    /// If the file cannot be written; the old key then stays.
    pub(crate) fn begin_rotation(&self) -> Result<(), KeyError> {
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

    /// Forgets the master key before the last rotation; nothing may be wrapped under it any more.
    ///
    /// # Errors
    /// If the file cannot be written; the rotation is then still under way.
    pub(crate) fn finish_rotation(&self) -> Result<(), KeyError> {
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

    /// Whether a rotation was begun and not finished.
    #[must_use]
    pub fn is_rotating(&self) -> bool {
        self.chain().previous.is_some()
    }

    /// How it is unlocked, in words.
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

    /// Makes the key of a new segment; keep the wrapped form, it is the only copy.
    ///
    /// # Errors
    /// Only if the machine has no random bytes.
    pub fn create_segment(&self, segment: &str) -> Result<(SegmentKey, Wrapped), KeyError> {
        SegmentKey::create(&segments(&self.chain().master), segment)
    }

    /// Opens the key of the named segment.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] if it was changed, belongs to another segment or to another node.
    pub fn open_segment(&self, segment: &str, wrapped: &Wrapped) -> Result<SegmentKey, KeyError> {
        let chain = self.chain();
        let opened = SegmentKey::unwrap(&segments(&chain.master), segment, wrapped);
        match (&opened, &chain.previous) {
            (Err(_), Some(previous)) => SegmentKey::unwrap(&segments(previous), segment, wrapped),
            (Ok(_) | Err(_), _) => opened,
        }
    }

    /// Wraps the key of a segment under the master key that is in place now.
    ///
    /// # Errors
    /// Only if the machine has no random bytes.
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

#[cfg(test)]
impl MasterKey {
    /// Turns the file into one of format 1. Its roots are others, so this comes before anything is sealed under them.
    pub(crate) fn write_format_1(path: &Path, provider: &dyn KeyProvider) {
        let (wrapping, kdf) = provider.fresh().unwrap();
        let wrapped = wrapping.wrap(&kdf, &RawKey::random().unwrap()).unwrap();
        file::write_format_1(path, kdf, wrapped);
    }
}

/// The key under which a master key wraps segment keys.
fn segments(master: &RawKey) -> RawKey {
    RawKey::derive(master.bytes(), &[], labels::SEGMENTS)
}

fn context_of(label: &str) -> Vec<u8> {
    context(label, &[])
}
