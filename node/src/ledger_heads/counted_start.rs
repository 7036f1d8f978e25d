//! The count of the starts of this node, in its sealed state.

use concordat_protocol::ids::StartId;
use concordat_protocol::membership::NodeStart;
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use serde::{Deserialize, Serialize};

use super::own_ledger::{OWN, OWN_TREE, OwnLedger};

/// The tree of the only record about the starts of this node.
const TREE: TreeId = TreeId::new("starts");

/// The number and id of the last start, as they are in the sealed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastStart {
    number: u64,
    id: StartId,
}

/// The present start of this node: it is durable in the sealed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedStart(NodeStart);

impl CountedStart {
    /// Counts a start. Must be called once for each, before the node shows itself to a peer. A node that knows that it is a copy does not
    /// count further, so that no number of starts makes it look like the newest one. Blocks.
    ///
    /// # Errors
    /// If the state cannot be read or written, or there is no random number.
    pub fn count(meta: &SealedDb) -> Result<Self, StartNotCounted> {
        let own: SealedTree<OwnLedger> = meta.tree(OWN_TREE)?;
        let own = own.get(OWN)?.unwrap_or_default();
        let tree: SealedTree<LastStart> = meta.tree(TREE)?;
        let last = tree.get(OWN)?;
        let start = match last.filter(|_| own.is_older()) {
            Some(last) => last,
            None => {
                let mut id = [0; 16];
                getrandom::fill(&mut id)?;
                let number = last.map_or(0, |last| last.number).saturating_add(1);
                let id = StartId::from_bytes(id);
                let next = LastStart { number, id };
                tree.put(OWN, &next)?;
                next
            }
        };
        Ok(Self(NodeStart {
            generation: own.generation,
            number: start.number,
            id: start.id,
        }))
    }

    /// The start, in the generation of that moment.
    #[must_use]
    pub const fn start(&self) -> NodeStart {
        self.0
    }
}

/// Why a start is not counted: the node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartNotCounted {
    /// The state failed.
    #[error("the starts of this node cannot be read or written")]
    State(#[from] MetaError),
    /// The system's random number generator failed.
    #[error("the system's random number generator failed")]
    Random(#[from] getrandom::Error),
}

#[cfg(test)]
mod tests {
    use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
    use concordat_protocol::ids::NodeId;
    use concordat_protocol::membership::StartOrder;
    use concordat_protocol::signed::Signed;
    use concordat_protocol::time::Timestamp;

    use super::super::own_ledger::OwnStartConflict;
    use super::*;

    fn state(dir: &std::path::Path) -> SealedDb {
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.join("master.key"), &source).unwrap();
        SealedDb::open(&dir.join("meta"), master.state()).unwrap()
    }

    #[test]
    fn start_is_counted_with_another_id_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let db = state(dir.path());
        let first = CountedStart::count(&db).unwrap().start();
        let second = CountedStart::count(&db).unwrap().start();
        assert_eq!((first.number, second.number), (1, 2));
        assert_ne!(first.id, second.id);
        assert_eq!(second.compare(&first), StartOrder::Later);
    }

    #[test]
    fn start_of_a_copy_that_knows_it_is_not_counted() {
        let dir = tempfile::tempdir().unwrap();
        let db = state(dir.path());
        let first = CountedStart::count(&db).unwrap();
        let own: SealedTree<OwnLedger> = db.tree(OWN_TREE).unwrap();
        let conflict = OwnStartConflict {
            signed: Signed::from_bytes(vec![0xa0]).unwrap(),
            start: first.start(),
            shown_by: NodeId::from_bytes([1; 32]),
            at: Timestamp::from_millis(1),
        };
        let copy = OwnLedger {
            later_start: Some(conflict),
            ..OwnLedger::default()
        };
        own.put(OWN, &copy).unwrap();
        assert_eq!(CountedStart::count(&db).unwrap(), first);
        let acknowledged = OwnLedger {
            generation: 1,
            ..OwnLedger::default()
        };
        own.put(OWN, &acknowledged).unwrap();
        let next = CountedStart::count(&db).unwrap().start();
        assert_eq!((next.generation, next.number), (1, 2));
    }
}
