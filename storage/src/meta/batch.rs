//! Several changes that happen together or not at all.

use serde::{Serialize, de::DeserializeOwned};
use sled::Tree;
use zeroize::Zeroizing;

use super::{MetaError, SealedTree, codec::HashedKey};

/// Changes and expectations over any trees of one database, for [`super::SealedDb::commit`].
#[derive(Debug, Default)]
pub struct Batch(Vec<Op>);

/// One step of a batch.
pub(super) struct Op {
    pub(super) tree: Tree,
    pub(super) name: &'static str,
    pub(super) key: HashedKey,
    pub(super) change: Change,
}

pub(super) enum Change {
    /// Store these sealed bytes.
    Put(Vec<u8>),
    /// Remove what is there.
    Remove,
    /// Go on only if this encoded value, or nothing, is there.
    Expect(Option<Zeroizing<Vec<u8>>>),
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a value.
    ///
    /// # Errors
    /// If the value cannot be encoded or sealed.
    pub fn put<V>(&mut self, tree: &SealedTree<V>, key: &str, value: &V) -> Result<&mut Self, MetaError>
    where
        V: Serialize + DeserializeOwned,
    {
        let change = Change::Put(tree.sealed(key, value)?);
        Ok(self.push(tree, key, change))
    }

    /// Removes a value, if there is one.
    pub fn remove<V>(&mut self, tree: &SealedTree<V>, key: &str) -> &mut Self
    where
        V: Serialize + DeserializeOwned,
    {
        self.push(tree, key, Change::Remove)
    }

    /// Makes the whole batch depend on the value that is there now; `None` means that there must be none.
    ///
    /// # Errors
    /// If the value cannot be encoded.
    pub fn expect<V>(&mut self, tree: &SealedTree<V>, key: &str, value: Option<&V>) -> Result<&mut Self, MetaError>
    where
        V: Serialize + DeserializeOwned,
    {
        let expected = value.map(|value| tree.encoded(key, value)).transpose()?;
        Ok(self.push(tree, key, Change::Expect(expected)))
    }

    fn push<V>(&mut self, tree: &SealedTree<V>, key: &str, change: Change) -> &mut Self
    where
        V: Serialize + DeserializeOwned,
    {
        self.0.push(Op {
            tree: tree.raw().clone(),
            name: tree.name(),
            key: tree.hashed(key),
            change,
        });
        self
    }

    pub(super) fn into_ops(self) -> Vec<Op> {
        self.0
    }
}

impl std::fmt::Debug for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.change {
            Change::Put(_) => "put",
            Change::Remove => "remove",
            Change::Expect(_) => "expect",
        };
        write!(f, "{kind} in {}", self.name)
    }
}
