//! The keys that a master key protects for the lifetime of the data directory.

use serde::{Deserialize, Serialize};

use crate::{KeyError, Wrapped, labels, raw::RawKey, wrap::context};

/// A master key with its root keys, unwrapped.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) master: RawKey,
    pub(crate) state: RawKey,
    pub(crate) ledger: RawKey,
    pub(crate) identity: RawKey,
}

impl Material {
    pub(crate) fn keys(&self) -> [&RawKey; 4] {
        [&self.master, &self.state, &self.ledger, &self.identity]
    }
}

/// The keys that stay the same for the lifetime of the data directory.
#[derive(Debug)]
pub(super) struct Roots {
    pub(super) state: RawKey,
    pub(super) ledger: RawKey,
    pub(super) identity: RawKey,
}

impl Roots {
    pub(super) fn random() -> Result<Self, KeyError> {
        Ok(Self {
            state: RawKey::random()?,
            ledger: RawKey::random()?,
            identity: RawKey::random()?,
        })
    }

    pub(super) fn wrap(&self, master: &RawKey) -> Result<WrappedRoots, KeyError> {
        let key = roots_key(master);
        let one = |name: &str, root: &RawKey| Wrapped::seal(&key, &root_context(name), root.bytes());
        Ok(WrappedRoots {
            state: one("state", &self.state)?,
            ledger: one("ledger", &self.ledger)?,
            identity: one("identity", &self.identity)?,
        })
    }

    pub(super) fn unwrap(master: &RawKey, wrapped: &WrappedRoots) -> Result<Self, KeyError> {
        let key = roots_key(master);
        let one = |name: &str, root: &Wrapped| root.open_key(&key, &root_context(name), "root key");
        Ok(Self {
            state: one("state", &wrapped.state)?,
            ledger: one("ledger", &wrapped.ledger)?,
            identity: one("identity", &wrapped.identity)?,
        })
    }
}

/// [`Roots`] as they are stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WrappedRoots {
    state: Wrapped,
    ledger: Wrapped,
    identity: Wrapped,
}

fn roots_key(master: &RawKey) -> RawKey {
    RawKey::derive(master.bytes(), &[], labels::ROOTS)
}

fn root_context(name: &str) -> Vec<u8> {
    context(labels::ROOTS_WRAP, &[name.as_bytes()])
}
