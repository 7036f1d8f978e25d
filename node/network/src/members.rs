//! The nodes that may connect, and their addresses: the roster as the network uses it.

use std::collections::BTreeMap;

use concordat_protocol::ids::{InstitutionId, NodeId};
use libp2p::{Multiaddr, PeerId, identity::PublicKey, identity::ed25519};

/// The active members: their node ids, institutions, and addresses in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub struct Members {
    by_id: BTreeMap<NodeId, Listed>,
}

#[derive(Debug, Clone)]
struct Listed {
    institution: InstitutionId,
    addresses: Vec<Multiaddr>,
}

impl Members {
    /// Whether `node` is an active member.
    pub fn contains(&self, node: &NodeId) -> bool {
        self.by_id.contains_key(node)
    }

    /// The addresses of `node`; empty if it is not a member or has stated none.
    pub fn addresses(&self, node: &NodeId) -> &[Multiaddr] {
        self.by_id.get(node).map_or(&[], |listed| &listed.addresses)
    }

    /// The institution that runs the node.
    pub fn institution(&self, node: &NodeId) -> Option<&InstitutionId> {
        self.by_id.get(node).map(|listed| &listed.institution)
    }

    /// Whether a node of `institution` is listed.
    pub(crate) fn has(&self, institution: &InstitutionId) -> bool {
        self.by_id.values().any(|listed| listed.institution == *institution)
    }

    /// All members in the order of their ids.
    pub fn ids(&self) -> impl Iterator<Item = &NodeId> {
        self.by_id.keys()
    }
}

impl FromIterator<(NodeId, InstitutionId, Vec<Multiaddr>)> for Members {
    fn from_iter<I: IntoIterator<Item = (NodeId, InstitutionId, Vec<Multiaddr>)>>(members: I) -> Self {
        let listed = members.into_iter().map(|(node, institution, addresses)| {
            let listed = Listed { institution, addresses };
            (node, listed)
        });
        Self {
            by_id: listed.collect(),
        }
    }
}

/// The libp2p peer id of `node`; `None` if its bytes are not an Ed25519 public key.
pub fn peer_id(node: &NodeId) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(node.as_bytes()).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The node id of `peer`; `None` unless the peer id contains an Ed25519 public key.
///
/// libp2p puts keys of up to 42 bytes into the peer id under the identity hash (peer ids specification, "peer ids").
pub fn node_id(peer: &PeerId) -> Option<NodeId> {
    const IDENTITY_HASH: u64 = 0;
    let multihash = peer.as_ref();
    if multihash.code() != IDENTITY_HASH {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(multihash.digest())
        .ok()?
        .try_into_ed25519()
        .ok()?;
    Some(NodeId::from_bytes(key.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::identity::Keypair;

    #[test]
    fn node_ids_and_peer_ids_name_the_same_key() {
        let keypair = Keypair::generate_ed25519();
        let node = node_id(&keypair.public().to_peer_id()).unwrap();
        assert_eq!(
            node.as_bytes(),
            &keypair.public().try_into_ed25519().unwrap().to_bytes()
        );
        assert_eq!(peer_id(&node), Some(keypair.public().to_peer_id()));
    }

    #[test]
    fn peer_id_without_key_has_no_node_id() {
        assert_eq!(node_id(&PeerId::random()), None);
    }
}
