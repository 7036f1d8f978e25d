//! What was found when each peer was last probed, in the sealed state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::{Digest32, InstitutionId, NodeId};
use concordat_protocol::membership::ValidRoster;
use concordat_protocol::probe::Mismatch;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::LedgerError;
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use serde::{Deserialize, Serialize};

use super::error::ExchangeError;

/// How long after a probe the next one of the same peer is due: a day, in milliseconds.
const INTERVAL_MS: i64 = 86_400_000;
/// How long after a probe that failed: an hour, in milliseconds. The peer answers a few a day.
const RETRY_MS: i64 = 3_600_000;

/// What was found when a peer was last probed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerProbe {
    /// The peer.
    pub node: NodeId,
    /// Its institution.
    pub institution: InstitutionId,
    /// When it was probed.
    pub at: Timestamp,
    /// Digest of the signed statement that its answers were compared with.
    pub statement: Digest32,
    /// What was not as announced; empty if all was.
    pub found: BTreeSet<Mismatch>,
}

/// The last probe of each peer.
#[derive(Debug)]
pub(super) struct PeerProbes {
    tree: SealedTree<PeerProbe>,
    state: Mutex<State>,
    /// Held from the comparison with the last probe until the next one is durable; never while `state` is locked.
    changing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    peers: BTreeMap<NodeId, PeerProbe>,
    /// When a probe was last begun in this run of the node, whatever became of it.
    begun: BTreeMap<NodeId, Timestamp>,
}

impl PeerProbes {
    /// Loads the stored probes.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub(super) fn open(meta: &SealedDb) -> Result<Self, MetaError> {
        let tree: SealedTree<PeerProbe> = meta.tree(TreeId::new("probes"))?;
        let by_node = |(_, probe): (String, PeerProbe)| (probe.node, probe);
        let peers = tree.iter()?.map(by_node).collect();
        let begun = BTreeMap::new();
        Ok(Self {
            tree,
            state: Mutex::new(State { peers, begun }),
            changing: Mutex::default(),
        })
    }

    /// The last probe of a node.
    pub(super) fn of(&self, node: &NodeId) -> Option<PeerProbe> {
        locked(&self.state).peers.get(node).cloned()
    }

    /// Whether a probe of a node is due, which begins then.
    pub(super) fn begin(&self, node: NodeId, now: Timestamp) -> bool {
        let mut state = locked(&self.state);
        // In both directions: the clock may have been wrong.
        let is_past = |at: Timestamp, interval: i64| now.since(at).unsigned_abs() >= interval.unsigned_abs();
        let was_probed = state
            .peers
            .get(&node)
            .is_some_and(|probe| !is_past(probe.at, INTERVAL_MS));
        let was_begun = state.begun.get(&node).is_some_and(|at| !is_past(*at, RETRY_MS));
        let is_due = !was_probed && !was_begun;
        if is_due {
            state.begun.insert(node, now);
        }
        is_due
    }

    /// Keeps a probe; it is durable when this returns. If something is not as announced, and was not so before, that is entered in the ledger
    /// with `enter` before. Blocks.
    ///
    /// # Errors
    /// If ledger or state cannot be written.
    pub(super) fn keep(
        &self,
        probe: PeerProbe,
        enter: impl FnOnce(EntryBody) -> Result<(), LedgerError>,
    ) -> Result<(), ExchangeError> {
        let _changing = locked(&self.changing);
        let known = self.of(&probe.node).map(|known| known.found).unwrap_or_default();
        if !probe.found.is_empty() && probe.found != known {
            enter(mismatch(&probe))?;
        }
        self.tree.put(&probe.node.to_string(), &probe)?;
        locked(&self.state).peers.insert(probe.node, probe);
        Ok(())
    }

    /// Drops what is known of nodes that are no longer nodes of active members. Blocks.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub(super) fn retain(&self, roster: &ValidRoster) -> Result<(), MetaError> {
        let _changing = locked(&self.changing);
        let is_former = |node: &&NodeId| roster.active_node(node).is_none();
        let former: Vec<NodeId> = locked(&self.state).peers.keys().filter(is_former).copied().collect();
        for node in former {
            self.tree.remove(&node.to_string())?;
            let mut state = locked(&self.state);
            state.peers.remove(&node);
            state.begun.remove(&node);
        }
        Ok(())
    }
}

fn mismatch(probe: &PeerProbe) -> EntryBody {
    EntryBody::RulesMismatch {
        node: probe.node,
        institution: probe.institution.clone(),
        statement: probe.statement,
        found: probe.found.clone(),
    }
}

/// A poisoned lock can be used: every change under these locks is a single assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
    use concordat_protocol::probe::ProbedRule;
    use concordat_protocol::scope::ProtectionName;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn state(dir: &std::path::Path) -> SealedDb {
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.join("master.key"), &source).unwrap();
        SealedDb::open(&dir.join("meta"), master.state()).unwrap()
    }

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    fn probe(days: i64, rules: &[ProbedRule]) -> PeerProbe {
        let protection = ProtectionName::Exact;
        let found = rules.iter().map(|rule| Mismatch {
            protection,
            rule: *rule,
        });
        PeerProbe {
            node: node(1),
            institution: "zurich".parse().unwrap(),
            at: NOW.plus_millis(days * INTERVAL_MS),
            statement: Digest32::ZERO,
            found: found.collect(),
        }
    }

    #[test]
    fn probe_mismatches_are_entered_once_for_each_change() {
        let dir = tempfile::tempdir().unwrap();
        let db = state(dir.path());
        let probes = PeerProbes::open(&db).unwrap();
        let entries = RefCell::new(Vec::new());
        let keep = |probe: PeerProbe| {
            let enter = |entry| {
                entries.borrow_mut().push(entry);
                Ok(())
            };
            probes.keep(probe, enter).unwrap();
            entries.borrow().len()
        };
        let min_cell = [ProbedRule::MinCell];
        let both = [ProbedRule::MinCell, ProbedRule::Difference];
        assert_eq!(keep(probe(0, &[])), 0, "all was as announced");
        assert_eq!(keep(probe(1, &min_cell)), 1);
        assert_eq!(keep(probe(2, &min_cell)), 1, "it is known");
        assert_eq!(keep(probe(3, &both)), 2);
        assert_eq!(keep(probe(4, &[])), 2);
        assert_eq!(keep(probe(5, &both)), 3);
        let entered = entries.borrow();
        let EntryBody::RulesMismatch { found, .. } = &entered[1] else {
            panic!("{entered:?}")
        };
        assert_eq!(found.len(), 2);
        assert_eq!(probes.of(&node(1)), Some(probe(5, &both)));
        let reopened = PeerProbes::open(&db).unwrap();
        assert_eq!(reopened.of(&node(1)), Some(probe(5, &both)));
    }

    #[test]
    fn probe_without_an_entry_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let db = state(dir.path());
        let probes = PeerProbes::open(&db).unwrap();
        let refused = probes.keep(probe(0, &[ProbedRule::Repeat]), |_| Err(LedgerError::Stopped));
        assert!(matches!(refused, Err(ExchangeError::Ledger(_))));
        assert_eq!(probes.of(&node(1)), None);
    }

    #[test]
    fn probe_of_a_peer_is_due_once_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let db = state(dir.path());
        let probes = PeerProbes::open(&db).unwrap();
        let minutes = |minutes: i64| NOW.plus_millis(minutes * 60_000);
        assert!(probes.begin(node(1), NOW));
        assert!(!probes.begin(node(1), minutes(59)), "it has just been begun");
        assert!(probes.begin(node(2), minutes(59)));
        assert!(probes.begin(node(1), minutes(60)), "it has failed");
        probes.keep(probe(0, &[]), |_| Ok(())).unwrap();
        assert!(!probes.begin(node(1), minutes(24 * 60 - 1)));
        let reopened = PeerProbes::open(&db).unwrap();
        assert!(
            !reopened.begin(node(1), minutes(24 * 60 - 1)),
            "a start probes no one again"
        );
        assert!(reopened.begin(node(1), minutes(24 * 60)));
    }
}
