//! The keys of other members that people here have confirmed.

use std::sync::{PoisonError, RwLock};

use concordat_protocol::identity::InstitutionPublicKey;
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::membership::{ConfirmedKeys, Member};
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};

/// The confirmed keys: in the sealed state by institution, and in memory for use at each hello.
#[derive(Debug)]
pub(super) struct Confirmations {
    tree: SealedTree<Vec<InstitutionPublicKey>>,
    known: RwLock<ConfirmedKeys>,
}

impl Confirmations {
    pub(super) fn open(meta: &SealedDb) -> Result<Self, MetaError> {
        let tree: SealedTree<Vec<InstitutionPublicKey>> = meta.tree(TreeId::new("confirmed-keys"))?;
        let mut known = ConfirmedKeys::default();
        for (name, keys) in tree.iter()? {
            let Ok(institution) = InstitutionId::new(&name) else {
                continue;
            };
            for key in keys {
                known.confirm(institution.clone(), key);
            }
        }
        Ok(Self {
            tree,
            known: RwLock::new(known),
        })
    }

    pub(super) fn add(&self, institution: &InstitutionId, key: InstitutionPublicKey) -> Result<(), MetaError> {
        let mut keys = self.tree.get(institution.as_str())?.unwrap_or_default();
        keys.push(key);
        keys.dedup();
        self.tree.put(institution.as_str(), &keys)?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.confirm(institution.clone(), key);
        Ok(())
    }
    /// The keys whose rights `member` has at this node, its present key first.
    pub(super) fn recognized_keys(&self, member: &Member) -> Vec<InstitutionPublicKey> {
        member.recognized_keys(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether someone here has confirmed `key` as the key of `institution`.
    pub(super) fn contains(&self, institution: &InstitutionId, key: &InstitutionPublicKey) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.contains(institution, key)
    }
}
