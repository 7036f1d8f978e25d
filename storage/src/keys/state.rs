//! The keys for state: the roots, which are random and stay the same while master keys come and go.

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

/// Seals what the ledger keeps beside its public hashes.
#[derive(Debug)]
pub struct LedgerKey(RawKey);

impl LedgerKey {
    pub(super) fn of(root: &RawKey) -> Self {
        Self(root.copy())
    }

    /// Seals one piece of the ledger (an entry, a tile) for its place.
    ///
    /// # Errors
    /// Only if the machine has no random bytes.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<Wrapped, KeyError> {
        Wrapped::seal(&self.0, &wrap::context(labels::LEDGER, &[place.as_bytes()]), plain)
    }

    /// Opens what [`LedgerKey::seal`] sealed for the same place.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] if the bytes were changed or belong elsewhere.
    pub fn open(&self, place: &str, sealed: &Wrapped) -> Result<Secret, KeyError> {
        let context = wrap::context(labels::LEDGER, &[place.as_bytes()]);
        sealed.open(&self.0, &context, "ledger record").map(Secret::from)
    }
}

/// Seals the node's own private keys and other small secrets.
#[derive(Debug)]
pub struct IdentityKey(RawKey);

impl IdentityKey {
    pub(super) fn of(root: &RawKey) -> Self {
        Self(root.copy())
    }

    /// Seals a small secret for the place that `name` says, such as `node key`.
    ///
    /// # Errors
    /// Only if the machine has no random bytes.
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
