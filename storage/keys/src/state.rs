//! The keys of state, from root keys that are random and stay the same when the master key is rotated.

use zeroize::Zeroizing;

use super::{KeyError, Secret, Wrapped, labels, raw::RawKey, wrap};

/// Seals the state database (`meta/`).
#[derive(Debug)]
pub struct StateKey {
    values: RawKey,
    names: RawKey,
    contents: RawKey,
}

impl StateKey {
    pub(super) fn of(state: &RawKey) -> Self {
        Self {
            values: RawKey::derive(state.bytes(), &[], labels::STATE_VALUES),
            names: RawKey::derive(state.bytes(), &[], labels::STATE_NAMES),
            contents: RawKey::derive(state.bytes(), &[], labels::STATE_CONTENTS),
        }
    }

    /// A logical name, hashed for its tree.
    #[must_use]
    pub fn hash_name(&self, tree: &str, name: &str) -> [u8; 32] {
        let context = wrap::context(labels::META_VALUE, &[tree.as_bytes(), name.as_bytes()]);
        *blake3::keyed_hash(self.names.bytes(), &context).as_bytes()
    }

    /// A hash of a value as it is stored, with its tree and its hashed name; see the sum that a state database keeps of them.
    #[must_use]
    pub fn hash_stored(&self, tree: &[u8], hashed: &[u8], sealed: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(self.contents.bytes());
        hasher.update(&wrap::context(labels::META_CONTENTS, &[tree, hashed]));
        hasher.update(sealed);
        *hasher.finalize().as_bytes()
    }

    /// Seals a value for its tree and its hashed name.
    ///
    /// # Errors
    /// Only if no random bytes are available.
    pub fn seal_value(&self, tree: &str, hashed: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        wrap::seal(&self.values, &value_context(tree, hashed), plain)
    }

    /// Opens what [`StateKey::seal_value`] sealed for the same tree and name.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] if the bytes were changed or belong elsewhere.
    pub fn open_value(&self, tree: &str, hashed: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        wrap::open(&self.values, &value_context(tree, hashed), sealed, "value")
    }

    /// Seals the commit counter next to the database.
    ///
    /// # Errors
    /// Only if no random bytes are available.
    pub fn seal_head(&self, count: u64) -> Result<Vec<u8>, KeyError> {
        wrap::seal(&self.values, &head_context(), &count.to_be_bytes())
    }

    /// Opens the bytes of a commit counter.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] if they were changed.
    pub fn open_head(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        wrap::open(&self.values, &head_context(), sealed, "head")
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

fn value_context(tree: &str, hashed: &[u8]) -> Vec<u8> {
    wrap::context(labels::META_VALUE, &[tree.as_bytes(), hashed])
}

fn head_context() -> Vec<u8> {
    wrap::context(labels::META_HEAD, &[])
}

fn secret_context(name: &str) -> Vec<u8> {
    wrap::context(labels::IDENTITY_SECRET, &[name.as_bytes()])
}
