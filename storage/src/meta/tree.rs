//! One tree of typed values.

use std::{fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};
use sled::Tree;
use zeroize::Zeroizing;

use super::{
    Batch, MetaError, SealedDb,
    codec::{HashedKey, decode, encode, hashed, open_value, seal_value},
    db::guarded,
};

/// The name of a tree; it stands on disk in clear, so it says what is kept and never about whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TreeId(&'static str);

impl TreeId {
    /// Names a tree.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// Values of one type under string keys; see [`SealedDb::tree`].
pub struct SealedTree<V> {
    db: SealedDb,
    id: TreeId,
    tree: Tree,
    values: PhantomData<fn() -> V>,
}

impl<V: Serialize + DeserializeOwned> SealedTree<V> {
    pub(super) fn new(db: SealedDb, id: TreeId, tree: Tree) -> Self {
        Self {
            db,
            id,
            tree,
            values: PhantomData,
        }
    }

    /// The value under `key`.
    ///
    /// # Errors
    /// [`MetaError::Value`] if it was changed or moved.
    pub fn get(&self, key: &str) -> Result<Option<V>, MetaError> {
        let hashed = self.hashed(key);
        let Some(sealed) = guarded(|| Ok(self.tree.get(hashed)?))? else {
            return Ok(None);
        };
        let (_, value) = self.opened(&hashed, &sealed)?;
        Ok(Some(value))
    }

    /// Whether there is a value under `key`.
    ///
    /// # Errors
    /// If the database fails.
    pub fn contains(&self, key: &str) -> Result<bool, MetaError> {
        guarded(|| Ok(self.tree.contains_key(self.hashed(key))?))
    }

    /// Stores a value; it is on disk when this returns.
    ///
    /// # Errors
    /// If it cannot be encoded, sealed or written.
    pub fn put(&self, key: &str, value: &V) -> Result<(), MetaError> {
        let mut batch = Batch::new();
        batch.put(self, key, value)?;
        self.db.commit(batch)
    }

    /// Removes a value, if there is one; it is gone from the tree when this returns.
    ///
    /// # Errors
    /// If the database fails.
    pub fn remove(&self, key: &str) -> Result<(), MetaError> {
        let mut batch = Batch::new();
        batch.remove(self, key);
        self.db.commit(batch)
    }

    /// Replaces `old` by `new` (`None`: no value) if `old` is what is there; says whether it was.
    ///
    /// # Errors
    /// If the database fails or a value cannot be sealed or opened.
    pub fn compare_and_swap(&self, key: &str, old: Option<&V>, new: Option<&V>) -> Result<bool, MetaError> {
        let mut batch = Batch::new();
        batch.expect(self, key, old)?;
        match new {
            Some(value) => batch.put(self, key, value)?,
            None => batch.remove(self, key),
        };
        match self.db.commit(batch) {
            Ok(()) => Ok(true),
            Err(MetaError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All keys and values in the order of the keys; the whole tree is opened at once.
    ///
    /// # Errors
    /// [`MetaError::Value`] if any value was changed or moved.
    pub fn iter(&self) -> Result<std::vec::IntoIter<(String, V)>, MetaError> {
        let mut entries = guarded(|| {
            self.tree
                .iter()
                .map(|entry| {
                    let (hashed, sealed) = entry?;
                    self.opened(&hashed, &sealed)
                })
                .collect::<Result<Vec<_>, _>>()
        })?;
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(entries.into_iter())
    }

    pub(crate) fn name(&self) -> &'static str {
        self.id.as_str()
    }

    pub(super) fn raw(&self) -> &Tree {
        &self.tree
    }

    pub(super) fn hashed(&self, key: &str) -> HashedKey {
        hashed(&self.db.inner().key, self.name(), key)
    }

    pub(super) fn encoded(&self, key: &str, value: &V) -> Result<Zeroizing<Vec<u8>>, MetaError> {
        encode(self.name(), key, value)
    }

    pub(super) fn sealed(&self, key: &str, value: &V) -> Result<Vec<u8>, MetaError> {
        seal_value(
            &self.db.inner().key,
            self.name(),
            &self.hashed(key),
            &self.encoded(key, value)?,
        )
    }

    fn opened(&self, hashed: &[u8], sealed: &[u8]) -> Result<(String, V), MetaError> {
        let plain = open_value(&self.db.inner().key, self.name(), hashed, sealed)?;
        decode(self.name(), &plain)
    }
}

impl<V> Clone for SealedTree<V> {
    fn clone(&self) -> Self {
        Self {
            db: self.db.clone(),
            id: self.id,
            tree: self.tree.clone(),
            values: PhantomData,
        }
    }
}

impl<V> fmt::Debug for SealedTree<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealedTree").field(&self.id).finish()
    }
}
