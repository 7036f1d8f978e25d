//! One tree of typed values.

use std::{fmt, marker::PhantomData, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use sled::Tree;

use super::{
    MetaError,
    codec::{HashedKey, decode, encode, hashed, open_value, seal_value},
    database::{Applied, Change, Database, Op, guarded},
};

/// The name of a tree; it is on disk in clear, so it names the kind of data and never a person.
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

/// Values of one type under string keys; see [`super::SealedDb::tree`].
pub struct SealedTree<V> {
    db: Arc<Database>,
    id: TreeId,
    tree: Tree,
    values: PhantomData<fn() -> V>,
}

impl<V: Serialize + DeserializeOwned> SealedTree<V> {
    pub(super) fn new(db: Arc<Database>, id: TreeId, tree: Tree) -> Self {
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

    /// Stores a value, without waiting until it is on disk ([`super::SealedDb::apply`]).
    ///
    /// # Errors
    /// If it cannot be encoded, sealed or applied.
    pub fn apply(&self, key: &str, value: &V) -> Result<Applied, MetaError> {
        self.db.apply_all(&[self.put_op(key, value)?])
    }

    /// Waits until what was applied is on disk.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn until_durable(&self, applied: Applied) -> Result<(), MetaError> {
        self.db.until_durable(applied)
    }

    /// Stores a value; it is on disk when this returns.
    ///
    /// # Errors
    /// If it cannot be encoded, sealed or written.
    pub fn put(&self, key: &str, value: &V) -> Result<(), MetaError> {
        self.db.commit(&[self.put_op(key, value)?])
    }

    /// Removes a value, if there is one; it is removed from the tree when this returns.
    ///
    /// # Errors
    /// If the database fails.
    pub fn remove(&self, key: &str) -> Result<(), MetaError> {
        self.db.commit(&[self.remove_op(key)])
    }

    /// Removes a value, if there is one, without waiting until that is on disk ([`super::SealedDb::apply`]).
    ///
    /// # Errors
    /// If the database fails.
    pub fn apply_removal(&self, key: &str) -> Result<Applied, MetaError> {
        self.db.apply_all(&[self.remove_op(key)])
    }

    /// Replaces `old` by `new` (`None`: no value) if `old` is the present value; returns whether it was.
    ///
    /// # Errors
    /// If the database fails or a value cannot be sealed or opened.
    pub fn compare_and_swap(&self, key: &str, old: Option<&V>, new: Option<&V>) -> Result<bool, MetaError> {
        let change = match new {
            Some(value) => self.put_op(key, value)?,
            None => self.remove_op(key),
        };
        match self.db.commit(&[self.expect_op(key, old)?, change]) {
            Ok(()) => Ok(true),
            Err(MetaError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All keys and values in key order; the whole tree is opened at once.
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

    /// What `of` makes of each value, in key order; one value is open at a time.
    ///
    /// # Errors
    /// [`MetaError::Value`] if any value was changed or moved.
    pub fn map_values<T>(&self, mut of: impl FnMut(&V) -> T) -> Result<Vec<T>, MetaError> {
        let mut made = guarded(|| {
            let entries = self.tree.iter().map(|entry| {
                let (hashed, sealed) = entry?;
                let (key, value) = self.opened(&hashed, &sealed)?;
                Ok((key, of(&value)))
            });
            entries.collect::<Result<Vec<_>, MetaError>>()
        })?;
        made.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(made.into_iter().map(|(_, made)| made).collect())
    }

    pub(crate) fn name(&self) -> &'static str {
        self.id.as_str()
    }

    #[cfg(test)]
    pub(super) fn raw(&self) -> &Tree {
        &self.tree
    }

    pub(super) fn hashed(&self, key: &str) -> HashedKey {
        hashed(&self.db.key, self.name(), key)
    }

    /// Stores a value.
    pub(super) fn put_op(&self, key: &str, value: &V) -> Result<Op, MetaError> {
        let plain = encode(self.name(), key, value)?;
        let sealed = seal_value(&self.db.key, self.name(), &self.hashed(key), &plain)?;
        Ok(self.op(key, Change::Put(sealed)))
    }

    /// Removes a value.
    pub(super) fn remove_op(&self, key: &str) -> Op {
        self.op(key, Change::Remove)
    }

    /// Continues only if this value is there, or none if `None`.
    pub(super) fn expect_op(&self, key: &str, value: Option<&V>) -> Result<Op, MetaError> {
        let expected = value.map(|value| encode(self.name(), key, value)).transpose()?;
        Ok(self.op(key, Change::Expect(expected)))
    }

    fn op(&self, key: &str, change: Change) -> Op {
        Op {
            tree: self.tree.clone(),
            name: self.name(),
            key: self.hashed(key),
            change,
        }
    }

    fn opened(&self, hashed: &[u8], sealed: &[u8]) -> Result<(String, V), MetaError> {
        let plain = open_value(&self.db.key, self.name(), hashed, sealed)?;
        decode(self.name(), &plain)
    }
}

impl<V> Clone for SealedTree<V> {
    fn clone(&self) -> Self {
        Self {
            db: Arc::clone(&self.db),
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
