//! The keys of state, from root keys that are random and stay the same when the master key is rotated.

use super::{KeyError, Secret, Wrapped, labels, raw::RawKey, wrap};

/// Seals the state database (`meta/`).
#[derive(Debug)]
pub struct StateKey {
    values: RawKey,
    names: RawKey,
}

impl StateKey {
    pub(super) fn of(state: &RawKey) -> Self {
        Self {
            values: RawKey::derive(state.bytes(), &[], labels::STATE_VALUES),
            names: RawKey::derive(state.bytes(), &[], labels::STATE_NAMES),
        }
    }

    /// The key under which values are sealed.
    pub(crate) fn values(&self) -> &RawKey {
        &self.values
    }

    /// The key under which logical names are hashed.
    pub(crate) fn names(&self) -> &[u8; 32] {
        self.names.bytes()
    }
}

/// Seals the private contents of the ledger.
#[derive(Debug)]
pub struct LedgerKey(RawKey);

impl LedgerKey {
    pub(super) fn of(root: &RawKey) -> Self {
        Self(root.copy())
    }

    /// Seals one part of the ledger (an entry, a segment end, the head) for its position.
    ///
    /// # Errors
    /// Only if no random bytes are available.
    pub fn seal(&self, position: &str, plain: &[u8]) -> Result<Wrapped, KeyError> {
        Wrapped::seal(&self.0, &wrap::context(labels::LEDGER, &[position.as_bytes()]), plain)
    }

    /// Opens what [`LedgerKey::seal`] sealed for the same position.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] if the bytes were changed or belong elsewhere.
    pub fn open(&self, position: &str, sealed: &Wrapped) -> Result<Secret, KeyError> {
        let context = wrap::context(labels::LEDGER, &[position.as_bytes()]);
        sealed.open(&self.0, &context, "ledger record").map(Secret::from)
    }
}

/// Seals the node's private keys and other small secrets.
#[derive(Debug)]
pub struct IdentityKey(RawKey);

impl IdentityKey {
    pub(super) fn of(root: &RawKey) -> Self {
        Self(root.copy())
    }

    /// Seals a small secret under `name`, such as `node key`.
    ///
    /// # Errors
    /// Only if no random bytes are available.
    pub fn seal_secret(&self, name: &str, secret: &Secret) -> Result<Wrapped, KeyError> {
        Wrapped::seal(&self.0, &secret_context(name), secret.expose())
    }

    /// Opens what [`IdentityKey::seal_secret`] sealed under the same name.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] if it was changed, or sealed under another name or key.
    pub fn open_secret(&self, name: &str, wrapped: &Wrapped) -> Result<Secret, KeyError> {
        wrapped
            .open(&self.0, &secret_context(name), "sealed secret")
            .map(Secret::from)
    }
}

fn secret_context(name: &str) -> Vec<u8> {
    wrap::context(labels::IDENTITY_SECRET, &[name.as_bytes()])
}
