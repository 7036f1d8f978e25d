//! The newest statement of each peer, in the sealed state, and what it has weakened.
//!
//! A rule that is weaker than before is marked for [`MARK_MS`] after the last step down, compared with the strictest rules in that time: so a
//! statement in between does not hide it. A node may announce a few statements in ten minutes; what it sends beyond that is ignored, and it
//! sends its newest one again later.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::NodeId;
use concordat_protocol::membership::ValidRoster;
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{RulesByTier, RulesOrder, RulesStatement, ValidRules, Weakening};
use concordat_storage::ledger::LedgerError;
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use serde::{Deserialize, Serialize};

use super::error::ExchangeError;
use crate::membership::NewRecords;

/// How many new statements of one node are accepted within [`WINDOW_MS`]: each may be an entry of the ledger.
const MAX_NEW: u32 = 8;
/// The time for which new statements are counted: ten minutes, in milliseconds.
const WINDOW_MS: i64 = 600_000;
/// How long a weaker rule is marked: 30 days, in milliseconds.
const MARK_MS: i64 = 30 * 86_400_000;

/// What is known of the rules of one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerRules {
    /// Its newest statement.
    pub statement: RulesStatement,
    signed: Signed<RulesStatement>,
    /// When it first announced these rules here.
    pub received: Timestamp,
    /// The rules with which its present ones are compared, if they are weaker.
    stricter: Option<StricterRules>,
}

/// The strictest rules of a node before it weakened one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StricterRules {
    rules: RulesByTier,
    /// The last step down.
    since: Timestamp,
}

impl StricterRules {
    fn is_marked(&self, now: Timestamp) -> bool {
        now.since(self.since) < MARK_MS
    }
}

impl PeerRules {
    fn first(valid: &ValidRules, now: Timestamp) -> Self {
        Self {
            statement: valid.statement().clone(),
            signed: valid.signed().clone(),
            received: now,
            stricter: None,
        }
    }

    fn followed_by(&self, valid: &ValidRules, now: Timestamp) -> Self {
        let next = Self::first(valid, now);
        let marked = self.stricter.as_ref().filter(|stricter| stricter.is_marked(now));
        let rules = marked.map_or_else(
            || self.tiers().clone(),
            |stricter| stricter.rules.strictest(self.tiers()),
        );
        let since = if next.is_weaker_than(self) {
            Some(now)
        } else {
            marked.map(|stricter| stricter.since)
        };
        let is_weaker = !next.tiers().weaker_than(&rules).is_empty();
        let stricter = since.map(|since| StricterRules { rules, since });
        Self {
            received: if next.statement.rules == self.statement.rules {
                self.received
            } else {
                now
            },
            stricter: stricter.filter(|_| is_weaker),
            ..next
        }
    }

    fn tiers(&self) -> &RulesByTier {
        self.statement.rules.tiers()
    }

    fn is_weaker_than(&self, before: &Self) -> bool {
        !self.tiers().weaker_than(before.tiers()).is_empty()
    }

    /// The rules that are weaker than before, as long as that is marked.
    pub fn weaker(&self, now: Timestamp) -> Vec<Weakening> {
        let marked = self.stricter.as_ref().filter(|stricter| stricter.is_marked(now));
        marked.map_or_else(Vec::new, |stricter| self.tiers().weaker_than(&stricter.rules))
    }
}

/// What became of a statement that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// It is the newest of its node now.
    Newer,
    /// It is the newest now, and weaker than the one before.
    Weaker,
    /// It is known.
    Known,
    /// The node has announced too many in a short time.
    TooMany,
}

/// The newest statements of all peers.
#[derive(Debug)]
pub(super) struct PeerRulesStore {
    tree: SealedTree<PeerRules>,
    state: Mutex<State>,
    /// Held from the comparison with the known statement until the new one is durable; never while `state` is locked.
    changing: Mutex<()>,
}

#[derive(Debug)]
struct State {
    peers: BTreeMap<NodeId, PeerRules>,
    recent: NewRecords,
}

impl PeerRulesStore {
    /// Loads the stored statements.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub(super) fn open(meta: &SealedDb) -> Result<Self, MetaError> {
        let tree: SealedTree<PeerRules> = meta.tree(TreeId::new("rules"))?;
        let by_node = |(_, rules): (String, PeerRules)| (rules.statement.node, rules);
        let peers = tree.iter()?.map(by_node).collect();
        let state = State {
            peers,
            recent: NewRecords::new(MAX_NEW, WINDOW_MS),
        };
        Ok(Self {
            tree,
            state: Mutex::new(state),
            changing: Mutex::default(),
        })
    }

    /// What is known of each peer.
    pub(super) fn all(&self) -> Vec<PeerRules> {
        locked(&self.state).peers.values().cloned().collect()
    }

    /// Keeps a statement if it is later than the known one of its node; it is durable when this returns. Other rules than before, or the
    /// first ones, are entered in the ledger with `enter` before that. Blocks.
    ///
    /// # Errors
    /// [`ExchangeError::Older`] and [`ExchangeError::Contradiction`]; if ledger or state cannot be written.
    pub(super) fn receive(
        &self,
        valid: &ValidRules,
        now: Timestamp,
        enter: impl FnOnce(EntryBody) -> Result<(), LedgerError>,
    ) -> Result<Received, ExchangeError> {
        let _changing = locked(&self.changing);
        let node = valid.statement().node;
        let known = locked(&self.state).peers.get(&node).cloned();
        let order = known.as_ref().map(|known| valid.statement().compare(&known.statement));
        match order {
            Some(RulesOrder::Same) => return Ok(Received::Known),
            Some(RulesOrder::Earlier) => return Err(ExchangeError::Older),
            Some(RulesOrder::Contradiction) => return Err(ExchangeError::Contradiction),
            Some(RulesOrder::Later) | None => {}
        }
        if !locked(&self.state).recent.admit(node, now) {
            return Ok(Received::TooMany);
        }
        let first = || PeerRules::first(valid, now);
        let next = known.as_ref().map_or_else(first, |known| known.followed_by(valid, now));
        let weaker = known.as_ref().is_some_and(|known| next.is_weaker_than(known));
        if known.is_none_or(|known| known.statement.rules != next.statement.rules) {
            enter(announced(&next, weaker))?;
        }
        self.tree.put(&node.to_string(), &next)?;
        locked(&self.state).peers.insert(node, next);
        Ok(if weaker { Received::Weaker } else { Received::Newer })
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
            state.recent.remove(&node);
        }
        Ok(())
    }
}

fn announced(rules: &PeerRules, weaker: bool) -> EntryBody {
    EntryBody::RulesAnnounced {
        node: rules.statement.node,
        institution: rules.statement.institution.clone(),
        statement: rules.signed.digest(),
        weaker,
    }
}

/// A poisoned lock can be used: every change under these locks is a single assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
