//! How many negotiations an institution may begin with this node, and each of the own people with others, and of how many bytes.
//!
//! A request is stored before a person has seen it. So what is counted is what an institution has begun, whatever became of it: one that
//! it ends at once has cost two ledger entries. A request of an own person costs the same here, also if its holder refuses it; and all own people
//! together have what their holder admits of an institution, so one of them leaves half of it to the others.
//!
//! A request over a collection can have a hundred times the bytes of a usual one, and is stored for good once there is an offer. So the bytes of a day are limited,
//! too. The first bytes of each request do not count, so that requests for single datasets are limited in number only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use concordat_protocol::ids::{ActorId, InstitutionId};
use concordat_protocol::time::Timestamp;
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedMutexGuard;

use super::NegotiationError;

/// Open negotiations that one institution may have begun: more than a steward reads in a week, and few enough that it cannot fill the
/// storage of this node with them.
const MAX_OPEN: usize = 64;
/// Negotiations that one institution may begin in 24 hours, ended ones included: enough to begin all open ones twice, and with their ends
/// at most 256 ledger entries.
const MAX_BEGUN: u32 = 128;
/// Bytes of the requests that one institution may begin in 24 hours: 32 of the largest.
const MAX_BEGUN_BYTES: u64 = 8 << 20;
/// What one institution may begin.
const OF_AN_INSTITUTION: DayLimit = DayLimit {
    negotiations: MAX_BEGUN,
    bytes: MAX_BEGUN_BYTES,
};
/// What one of the own people may begin, with all holders together.
const OF_A_PERSON: DayLimit = DayLimit {
    negotiations: MAX_BEGUN / 2,
    bytes: MAX_BEGUN_BYTES / 2,
};
/// Bytes of a request that are not counted: more than a request for one dataset has. The number of requests limits them.
const FREE: u64 = 4 << 10;
const HOUR_MS: i64 = 3_600_000;
/// Hours that count in addition to the current one: together at least 24 hours. The next one counts too, in case the clock was set back by
/// less than an hour; later ones were counted by a clock that was wrong.
const HOURS: i64 = 24;

/// What one party may begin in 24 hours.
#[derive(Clone, Copy, Debug)]
struct DayLimit {
    negotiations: u32,
    /// Of all requests together, of each above [`FREE`].
    bytes: u64,
}

/// Requests by institution, or by own person, and hour, stored across restarts.
#[derive(Clone, Debug)]
struct Counts {
    negotiations: SealedTree<BTreeMap<i64, u32>>,
    bytes: SealedTree<BTreeMap<i64, u64>>,
}

/// What was begun, and who may begin more at this moment.
#[derive(Debug)]
pub(super) struct Admissions {
    begun: Counts,
    /// Held by the thread that counts, also if its client does not wait any more.
    requesting: Arc<tokio::sync::Mutex<()>>,
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
            begun: Counts::open(db)?,
            requesting: Arc::default(),
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

    /// Counts one more negotiation with a request of so many bytes, before it is stored; `open` of the institution are open.
    ///
    /// # Errors
    /// [`NegotiationError::TooManyOpen`], [`NegotiationError::TooManyBegun`], [`NegotiationError::TooMuchBegun`]; [`NegotiationError`] if the count
    /// cannot be stored.
    pub(super) async fn count(
        &self,
        admission: &Admission,
        open: usize,
        bytes: usize,
        now: Timestamp,
    ) -> Result<(), NegotiationError> {
        if open >= MAX_OPEN {
            return Err(NegotiationError::TooManyOpen { max: MAX_OPEN });
        }
        let begun = self.begun.clone();
        let peer = admission.peer.clone();
        tokio::task::spawn_blocking(move || begun.count(peer.as_str(), OF_AN_INSTITUTION, bytes, now)).await?
    }

    /// Counts one more negotiation that `person`, of this institution, begins with a request of so many bytes, before it is entered or stored.
    ///
    /// # Errors
    /// [`NegotiationError::TooManyBegun`], [`NegotiationError::TooMuchBegun`]; [`NegotiationError`] if the count cannot be stored.
    pub(super) async fn count_requested(
        &self,
        person: &ActorId,
        bytes: usize,
        now: Timestamp,
    ) -> Result<(), NegotiationError> {
        let requesting = Arc::clone(&self.requesting).lock_owned().await;
        let begun = self.begun.clone();
        let person = person.clone();
        let count = move || {
            let counted = begun.count(person.as_str(), OF_A_PERSON, bytes, now);
            drop(requesting);
            counted
        };
        tokio::task::spawn_blocking(count).await?
    }
}

impl Counts {
    fn open(db: &SealedDb) -> Result<Self, MetaError> {
        Ok(Self {
            negotiations: db.tree(TreeId::new("negotiations-begun"))?,
            bytes: db.tree(TreeId::new("negotiation-bytes"))?,
        })
    }

    /// Counts one negotiation of `key`, or nothing if that is more than the limit. Blocks.
    fn count(&self, key: &str, limit: DayLimit, bytes: usize, now: Timestamp) -> Result<(), NegotiationError> {
        let hour = now.as_millis().div_euclid(HOUR_MS);
        let mut negotiations = counted(&self.negotiations, key, hour)?;
        let used: u64 = negotiations.values().map(|count| u64::from(*count)).sum();
        if used >= u64::from(limit.negotiations) {
            return Err(NegotiationError::TooManyBegun {
                max: limit.negotiations,
            });
        }
        let mut of_hours = counted(&self.bytes, key, hour)?;
        let added = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_sub(FREE);
        let total = of_hours.values().fold(added, |sum, bytes| sum.saturating_add(*bytes));
        if added > 0 && total > limit.bytes {
            return Err(NegotiationError::TooMuchBegun {
                mebibytes: limit.bytes >> 20,
            });
        }
        let current = negotiations.entry(hour).or_insert(0);
        *current = current.saturating_add(1);
        if added > 0 {
            let current = of_hours.entry(hour).or_insert(0);
            *current = current.saturating_add(added);
            let _with_the_count = self.bytes.apply(key, &of_hours)?;
        }
        self.negotiations.put(key, &negotiations)?;
        Ok(())
    }
}

/// What counts of `key` at the hour `hour`.
fn counted<T: Serialize + DeserializeOwned>(
    tree: &SealedTree<BTreeMap<i64, T>>,
    key: &str,
    hour: i64,
) -> Result<BTreeMap<i64, T>, MetaError> {
    let mut hours = tree.get(key)?.unwrap_or_default();
    let counted = hour.saturating_sub(HOURS)..=hour.saturating_add(1);
    hours.retain(|then, _| counted.contains(then));
    Ok(hours)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
    use concordat_protocol::negotiation::MAX_REQUEST;

    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    /// Bytes of a usual request.
    const SMALL: usize = 2 << 10;

    fn admissions(dir: &Path) -> Admissions {
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.join("master.key"), &source).unwrap();
        let db = SealedDb::open(&dir.join("meta"), master.state()).unwrap();
        Admissions::open(&db).unwrap()
    }

    fn person(name: &str) -> ActorId {
        format!("{name}@budapest").parse().unwrap()
    }

    #[test]
    fn negotiations_begun_with_a_clock_that_was_ahead_are_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let begun = admissions(dir.path()).begun;
        let peer: InstitutionId = "zurich".parse().unwrap();
        let hour = NOON.as_millis().div_euclid(HOUR_MS);
        let full = |hour| {
            let negotiations = BTreeMap::from([(hour, MAX_BEGUN)]);
            begun.negotiations.put(peer.as_str(), &negotiations).unwrap();
        };
        let count = || begun.count(peer.as_str(), OF_AN_INSTITUTION, SMALL, NOON);
        full(hour + 2240 * 24);
        assert!(count().is_ok(), "the clock is correct again");
        full(hour + 1);
        assert!(count().is_err(), "the clock was set back by minutes");
    }

    #[tokio::test]
    async fn negotiations_one_person_requests_leave_half_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let admissions = admissions(dir.path());
        let eva = person("eva");
        let pal = person("pal");
        for _ in 0..MAX_BEGUN / 2 {
            admissions.count_requested(&eva, SMALL, NOON).await.unwrap();
        }
        let refused = admissions.count_requested(&eva, SMALL, NOON).await.unwrap_err();
        assert!(
            matches!(refused, NegotiationError::TooManyBegun { max: 64 }),
            "{refused}"
        );
        admissions.count_requested(&pal, SMALL, NOON).await.unwrap();
        let next_day = NOON.plus_seconds(86_400 + 3_600);
        admissions.count_requested(&eva, SMALL, next_day).await.unwrap();
    }

    #[tokio::test]
    async fn negotiations_of_one_person_are_limited_in_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let admissions = admissions(dir.path());
        let eva = person("eva");
        let mut begun = 0;
        let refused = loop {
            match admissions.count_requested(&eva, MAX_REQUEST, NOON).await {
                Ok(()) => begun += 1,
                Err(refused) => break refused,
            }
        };
        assert_eq!(begun, 16);
        assert!(
            matches!(refused, NegotiationError::TooMuchBegun { mebibytes: 4 }),
            "{refused}"
        );
        for _ in 0..8 {
            admissions.count_requested(&eva, 4 << 10, NOON).await.unwrap();
        }
        admissions
            .count_requested(&person("pal"), MAX_REQUEST, NOON)
            .await
            .unwrap();
        let next_day = NOON.plus_seconds(86_400 + 3_600);
        admissions.count_requested(&eva, MAX_REQUEST, next_day).await.unwrap();
    }

    #[tokio::test]
    async fn negotiations_of_one_institution_are_limited_in_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let admissions = admissions(dir.path());
        let zurich = admissions.lock(&"zurich".parse().unwrap()).await;
        let mut begun = 0;
        while admissions.count(&zurich, 0, MAX_REQUEST, NOON).await.is_ok() {
            begun += 1;
        }
        assert_eq!(begun, 32);
        admissions.count(&zurich, 0, SMALL, NOON).await.unwrap();
        let basel = admissions.lock(&"basel".parse().unwrap()).await;
        admissions.count(&basel, 0, MAX_REQUEST, NOON).await.unwrap();
    }
}
