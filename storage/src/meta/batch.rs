//! Several changes that are applied together or not at all.

use serde::{Serialize, de::DeserializeOwned};

use super::{MetaError, SealedTree, database::Op};

/// Changes and expectations over any trees of one database, for [`super::SealedDb::commit`].
#[derive(Debug, Default)]
pub struct Batch(Vec<Op>);

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
        self.0.push(tree.put_op(key, value)?);
        Ok(self)
    }

    /// Removes a value, if there is one.
    pub fn remove<V>(&mut self, tree: &SealedTree<V>, key: &str) -> &mut Self
    where
        V: Serialize + DeserializeOwned,
    {
        self.0.push(tree.remove_op(key));
        self
    }

    /// Makes the whole batch conditional on the present value; `None` means that there must be none.
    ///
    /// # Errors
    /// If the value cannot be encoded.
    pub fn expect<V>(&mut self, tree: &SealedTree<V>, key: &str, value: Option<&V>) -> Result<&mut Self, MetaError>
    where
        V: Serialize + DeserializeOwned,
    {
        self.0.push(tree.expect_op(key, value)?);
        Ok(self)
    }

    pub(super) fn into_ops(self) -> Vec<Op> {
        self.0
    }
}
