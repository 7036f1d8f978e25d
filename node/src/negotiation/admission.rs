//! How many negotiations an institution may begin with this node.
//!
//! A request is stored before a person has seen it. So what is counted is what an institution has begun, whatever became of it: one that
//! it ends at once has cost two ledger entries.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use concordat_protocol::ids::InstitutionId;
use concordat_protocol::time::Timestamp;
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use tokio::sync::OwnedMutexGuard;

use super::NegotiationError;

/// Open negotiations that one institution may have begun: more than a steward reads in a week, and few enough that it cannot fill the
/// storage of this node with them.
const MAX_OPEN: usize = 64;
/// Negotiations that one institution may begin in 24 hours, ended ones included: enough to begin all open ones twice, and with their ends
/// at most 256 ledger entries.
const MAX_BEGUN: u32 = 128;
const HOUR_MS: i64 = 3_600_000;
/// Hours that count in addition to the current one: together at least 24 hours. The next one counts too, in case the clock was set back by
/// less than an hour; later ones were counted by a clock that was wrong.
const HOURS: i64 = 24;

/// Requests by institution and hour, stored across restarts.
#[derive(Debug)]
pub(super) struct Admissions {
    begun: SealedTree<BTreeMap<i64, u32>>,
    peers: Mutex<BTreeMap<InstitutionId, Arc<tokio::sync::Mutex<()>>>>,
}

/// While this is held, no other request of the same institution is admitted, and no other offer to it is made or signed. Hold it until the
/// negotiation is stored, so that the next one finds it.
#[derive(Debug)]
pub(super) struct Admission {
    peer: InstitutionId,
    _locked: OwnedMutexGuard<()>,
}

impl Admissions {
    pub(super) fn open(db: &SealedDb) -> Result<Self, MetaError> {
        Ok(Self {
            begun: db.tree(TreeId::new("negotiations-begun"))?,
            peers: Mutex::default(),
        })
    }

    /// Waits until no other task has the admission of `peer`. The caller may hold the lock of a negotiation: no task waits for one while
    /// it holds an admission.
    pub(super) async fn lock(&self, peer: &InstitutionId) -> Admission {
        let lock = {
            let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
            peers.entry(peer.clone()).or_default().clone()
        };
        Admission {
            peer: peer.clone(),
            _locked: lock.lock_owned().await,
        }
    }

    /// Counts one more negotiation, of which `open` are open, before it is stored.
    ///
    /// # Errors
    /// [`NegotiationError::TooManyOpen`], [`NegotiationError::TooManyBegun`]; [`NegotiationError`] if the count cannot be stored.
    pub(super) async fn count(
        &self,
        admission: &Admission,
        open: usize,
        now: Timestamp,
    ) -> Result<(), NegotiationError> {
        if open >= MAX_OPEN {
            return Err(NegotiationError::TooManyOpen { max: MAX_OPEN });
        }
        let begun = self.begun.clone();
        let peer = admission.peer.clone();
        let counted = tokio::task::spawn_blocking(move || count(&begun, &peer, now)).await??;
        if counted {
            Ok(())
        } else {
            Err(NegotiationError::TooManyBegun { max: MAX_BEGUN })
        }
    }
}

fn count(begun: &SealedTree<BTreeMap<i64, u32>>, peer: &InstitutionId, now: Timestamp) -> Result<bool, MetaError> {
    let hour = now.as_millis().div_euclid(HOUR_MS);
    let mut hours = begun.get(peer.as_str())?.unwrap_or_default();
    let counted = hour.saturating_sub(HOURS)..=hour.saturating_add(1);
    hours.retain(|then, _| counted.contains(then));
    let used: u64 = hours.values().map(|count| u64::from(*count)).sum();
    if used >= u64::from(MAX_BEGUN) {
        return Ok(false);
    }
    let current = hours.entry(hour).or_insert(0);
    *current = current.saturating_add(1);
    begun.put(peer.as_str(), &hours)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};

    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn negotiations_begun_with_a_clock_that_was_ahead_are_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        let db = SealedDb::open(&dir.path().join("meta"), master.state()).unwrap();
        let begun = Admissions::open(&db).unwrap().begun;
        let peer: InstitutionId = "zurich".parse().unwrap();
        let hour = NOON.as_millis().div_euclid(HOUR_MS);
        let full = |hour| begun.put(peer.as_str(), &BTreeMap::from([(hour, MAX_BEGUN)])).unwrap();
        full(hour + 2240 * 24);
        assert!(count(&begun, &peer, NOON).unwrap(), "the clock is correct again");
        full(hour + 1);
        assert!(
            !count(&begun, &peer, NOON).unwrap(),
            "the clock was set back by minutes"
        );
    }
}
