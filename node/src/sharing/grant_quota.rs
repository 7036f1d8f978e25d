//! The number of queries under each grant in the last 24 hours.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use concordat_protocol::ids::GrantId;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Reason, Refusal, RefusalCode};
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use tokio::sync::Mutex;

const HOUR_MS: i64 = 3_600_000;
/// Hours that count in addition to the current one: together at least 24 hours. The next one counts too, in case the clock was set back by
/// less than an hour; later ones were counted by a clock that was wrong.
const HOURS: i64 = 24;

/// Queries by grant and hour, stored across restarts.
#[derive(Debug)]
pub(super) struct Quota {
    counts: SealedTree<BTreeMap<i64, u32>>,
    counting: Mutex<()>,
}

impl Quota {
    pub(super) fn open(db: &SealedDb) -> Result<Self, MetaError> {
        Ok(Self {
            counts: db.tree(TreeId::new("quota"))?,
            counting: Mutex::default(),
        })
    }

    /// Counts one more query under `grant`, before it is answered; a query that fails later counts too. The count is durable once the record of
    /// the query is.
    ///
    /// # Errors
    /// A denial if there were `limit` queries within 24 hours; a failure if the count cannot be stored.
    pub(super) async fn count(&self, grant: GrantId, limit: Option<u32>, now: Timestamp) -> Result<(), Refusal> {
        let Some(limit) = limit else { return Ok(()) };
        let _counting = self.counting.lock().await;
        let counts = self.counts.clone();
        let counted = tokio::task::spawn_blocking(move || count(&counts, grant, limit, now)).await;
        match counted {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(used_up(limit)),
            Ok(Err(_)) | Err(_) => Err(Refusal::because(
                RefusalCode::Failed,
                "the number of queries could not be counted",
            )),
        }
    }
}

fn count(
    counts: &SealedTree<BTreeMap<i64, u32>>,
    grant: GrantId,
    limit: u32,
    now: Timestamp,
) -> Result<bool, MetaError> {
    let mut hours = counts.get(&grant.to_string())?.unwrap_or_default();
    let counted = counted_hours(now);
    hours.retain(|then, _| counted.contains(then));
    let used: u64 = hours.values().map(|count| u64::from(*count)).sum();
    if used >= u64::from(limit) {
        return Ok(false);
    }
    let current = hours.entry(hour(now)).or_insert(0);
    *current = current.saturating_add(1);
    // On the disk with the record of the query, which is stored next.
    let _with_the_record = counts.apply(&grant.to_string(), &hours)?;
    Ok(true)
}

/// The hour in which a time is.
pub(super) fn hour(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(HOUR_MS)
}

/// The hours that count at a time.
pub(super) fn counted_hours(now: Timestamp) -> RangeInclusive<i64> {
    let hour = hour(now);
    hour.saturating_sub(HOURS)..=hour.saturating_add(1)
}

fn used_up(limit: u32) -> Refusal {
    Refusal {
        code: RefusalCode::Denied,
        reasons: vec![Reason {
            text: format!("the {limit} queries per day that the grant allows are used up"),
            remedy: Some("try again tomorrow, or have the grant amended".to_owned()),
            rule: Some("queries-per-day".to_owned()),
        }],
    }
}

#[cfg(test)]
mod tests {
    use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};

    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn quota_counted_by_a_clock_that_was_ahead_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        let db = SealedDb::open(&dir.path().join("meta"), master.state()).unwrap();
        let quota = Quota::open(&db).unwrap();
        let grant = GrantId::from_bytes([1; 16]);
        let counted = |now| count(&quota.counts, grant, 2, now).unwrap();
        let ahead = NOON.plus_seconds(2240 * 86_400);
        assert!(counted(ahead) && counted(ahead) && !counted(ahead));
        assert!(counted(NOON), "the clock is correct again");
        // A clock that is set back by minutes over the end of an hour gives nothing back.
        assert!(counted(NOON.plus_millis(HOUR_MS)));
        assert!(!counted(NOON));
    }
}
