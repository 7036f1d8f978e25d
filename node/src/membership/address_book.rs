//! The addresses that nodes of members have stated since the roster, and the addresses at which they were reached, in the sealed state.
//!
//! One record of each node, the newest; those of nodes that are no longer on the roster are dropped. A node may state a few new ones a
//! minute: what it sends beyond that is ignored until it connects again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use concordat_protocol::ids::NodeId;
use concordat_protocol::membership::{AddressRecord, MAX_ADDRESSES, ValidAddressRecord, ValidRoster};
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Address;
use concordat_protocol::time::Timestamp;
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use serde::{Deserialize, Serialize};

use super::new_records::NewRecords;

/// How many new records of one node are accepted within [`WINDOW_MS`]: a restart makes one.
const MAX_NEW: u32 = 8;
/// The time for which new records are counted: a minute, in milliseconds.
const WINDOW_MS: i64 = 60_000;
/// An address that was good a moment ago is not written again: a minute, in milliseconds.
const GOOD_MS: i64 = 60_000;
/// Most addresses of one node at which it was reached: as many as a roster and a record can state.
const MAX_GOOD: usize = 2 * MAX_ADDRESSES;

/// What is known about the addresses of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeAddresses {
    /// Its newest record.
    pub(crate) record: Option<StoredRecord>,
    /// Where it was reached, the address that was good last at the end.
    pub(crate) good: Vec<GoodAddress>,
}

/// A record, and as the node signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredRecord {
    pub(crate) record: AddressRecord,
    pub(crate) signed: Signed<AddressRecord>,
}

/// An address at which a node was reached and completed its hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoodAddress {
    pub(crate) address: Address,
    /// The last time.
    pub(crate) at: Timestamp,
}

/// What became of a record that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// It is the newest of its node now.
    Newer,
    /// A record that is as new is known.
    Known,
    /// The node has stated too many in a short time.
    TooMany,
}

/// The addresses of all nodes.
#[derive(Debug)]
pub(super) struct AddressBook {
    tree: SealedTree<NodeAddresses>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    nodes: BTreeMap<NodeId, NodeAddresses>,
    recent: NewRecords,
}

impl AddressBook {
    /// Loads the stored addresses.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub(super) fn open(meta: &SealedDb) -> Result<Self, MetaError> {
        let tree: SealedTree<NodeAddresses> = meta.tree(TreeId::new("addresses"))?;
        let by_node = |(node, addresses): (String, NodeAddresses)| Some((node.parse().ok()?, addresses));
        let nodes = tree.iter()?.filter_map(by_node).collect();
        let state = State {
            nodes,
            recent: NewRecords::new(MAX_NEW, WINDOW_MS),
        };
        Ok(Self {
            tree,
            state: Mutex::new(state),
        })
    }

    /// What is known about the addresses of `node`.
    pub(super) fn of(&self, node: &NodeId) -> NodeAddresses {
        self.state().nodes.get(node).cloned().unwrap_or_default()
    }

    /// The newest record of each node.
    pub(super) fn records(&self) -> Vec<StoredRecord> {
        let state = self.state();
        state.nodes.values().filter_map(|known| known.record.clone()).collect()
    }

    /// Stores a record if it is newer than the known one of its node; it is durable when this returns. Blocks.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub(super) fn receive(&self, valid: &ValidAddressRecord, now: Timestamp) -> Result<Received, MetaError> {
        let record = valid.record();
        let mut state = self.state();
        let mut known = state.nodes.get(&record.node).cloned().unwrap_or_default();
        if known
            .record
            .as_ref()
            .is_some_and(|known| known.record.number >= record.number)
        {
            return Ok(Received::Known);
        }
        if !state.recent.admit(record.node, now) {
            return Ok(Received::TooMany);
        }
        known.record = Some(StoredRecord {
            record: record.clone(),
            signed: valid.signed().clone(),
        });
        self.put(&mut state, record.node, known)?;
        Ok(Received::Newer)
    }

    /// Notes that `node` was reached at `address`. Blocks.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub(super) fn note_good(&self, node: NodeId, address: Address, now: Timestamp) -> Result<(), MetaError> {
        let mut state = self.state();
        let mut known = state.nodes.get(&node).cloned().unwrap_or_default();
        let last = known.good.iter().find(|good| good.address == address);
        if last.is_some_and(|last| now.since(last.at).abs() < GOOD_MS) {
            return Ok(());
        }
        known.good.retain(|good| good.address != address);
        known.good.push(GoodAddress { address, at: now });
        let excess = known.good.len().saturating_sub(MAX_GOOD);
        known.good.drain(..excess);
        self.put(&mut state, node, known)
    }

    /// Drops what is known about nodes that are no longer nodes of active members, except `ours`. Blocks.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub(super) fn retain(&self, roster: &ValidRoster, ours: NodeId) -> Result<(), MetaError> {
        let mut state = self.state();
        let is_listed = |node: &NodeId| *node == ours || roster.active_node(node).is_some();
        let gone: Vec<NodeId> = state.nodes.keys().filter(|node| !is_listed(node)).copied().collect();
        for node in gone {
            state.nodes.remove(&node);
            state.recent.remove(&node);
            self.tree.remove(&node.to_string())?;
        }
        Ok(())
    }

    fn put(&self, state: &mut State, node: NodeId, known: NodeAddresses) -> Result<(), MetaError> {
        self.tree.put(&node.to_string(), &known)?;
        state.nodes.insert(node, known);
        Ok(())
    }

    /// A poisoned lock can be used: every change under it is a single assignment.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
