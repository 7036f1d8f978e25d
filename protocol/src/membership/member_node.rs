//! A node as its institution states it, and the limits of the lists.

use serde::{Deserialize, Serialize};

use crate::{ids::NodeId, text::Address};

/// Most members of one roster: with addresses it stays under [`crate::signed::MAX_DOCUMENT`].
pub const MAX_MEMBERS: usize = 1000;
/// Most nodes of one member.
pub const MAX_NODES: usize = 16;
/// Most addresses of one node.
pub const MAX_ADDRESSES: usize = 16;

/// One node of a member and where it can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberNode {
    /// Its key, which is its id.
    pub node: NodeId,
    /// Where it listens, at most [`MAX_ADDRESSES`].
    pub addresses: Vec<Address>,
}
