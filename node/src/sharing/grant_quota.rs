//! The number of queries under each grant in the last 24 hours.

use concordat_protocol::ids::GrantId;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Reason, Refusal, RefusalCode};
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use tokio::sync::Mutex;

use super::hour_counts::HourCounts;

/// Queries by grant and hour, stored across restarts.
#[derive(Debug)]
pub(super) struct Quota {
    counts: SealedTree<HourCounts>,
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

    /// How many more queries there may be under `grant` today, without counting one.
    ///
    /// # Errors
    /// The denial of [`Self::count`] if there may be none; a failure if the count cannot be read.
    pub(super) async fn left(&self, grant: GrantId, limit: u32, now: Timestamp) -> Result<u32, Refusal> {
        let counts = self.counts.clone();
        let counted = tokio::task::spawn_blocking(move || counts.get(&grant.to_string())).await;
        let mut hours = match counted {
            Ok(Ok(hours)) => hours.unwrap_or_default(),
            Ok(Err(_)) | Err(_) => {
                return Err(Refusal::because(
                    RefusalCode::Failed,
                    "the number of queries could not be read",
                ));
            }
        };
        hours.retain_counted(now);
        match hours.left(limit) {
            0 => Err(used_up(limit)),
            left => Ok(left),
        }
    }
}

fn count(counts: &SealedTree<HourCounts>, grant: GrantId, limit: u32, now: Timestamp) -> Result<bool, MetaError> {
    let mut hours = counts.get(&grant.to_string())?.unwrap_or_default();
    hours.retain_counted(now);
    if hours.has_reached(limit) {
        return Ok(false);
    }
    hours.add(now);
    // On the disk with the record of the query, which is stored next.
    let _with_the_record = counts.apply(&grant.to_string(), &hours)?;
    Ok(true)
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

    fn quota(dir: &std::path::Path) -> Quota {
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.join("master.key"), &source).unwrap();
        let db = SealedDb::open(&dir.join("meta"), master.state()).unwrap();
        Quota::open(&db).unwrap()
    }

    #[tokio::test]
    async fn quota_that_is_left_is_read_and_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let quota = quota(dir.path());
        let grant = GrantId::from_bytes([1; 16]);
        for left in (1..=3).rev() {
            for _ in 0..5 {
                assert_eq!(quota.left(grant, 3, NOON).await, Ok(left));
            }
            quota.count(grant, Some(3), NOON).await.unwrap();
        }
        let refused = quota.count(grant, Some(3), NOON).await.unwrap_err();
        assert_eq!(quota.left(grant, 3, NOON).await, Err(refused));
        // Another grant has a count of its own, and a day later this one has it again.
        assert_eq!(quota.left(GrantId::from_bytes([2; 16]), 3, NOON).await, Ok(3));
        assert_eq!(quota.left(grant, 3, NOON.plus_seconds(90_000)).await, Ok(3));
    }

    #[test]
    fn quota_counted_by_a_clock_that_was_ahead_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let quota = quota(dir.path());
        let grant = GrantId::from_bytes([1; 16]);
        let counted = |now| count(&quota.counts, grant, 2, now).unwrap();
        let ahead = NOON.plus_seconds(2240 * 86_400);
        assert!(counted(ahead) && counted(ahead) && !counted(ahead));
        assert!(counted(NOON), "the clock is correct again");
        // A clock that is set back by minutes over the end of an hour gives nothing back.
        assert!(counted(NOON.plus_seconds(3_600)));
        assert!(!counted(NOON));
    }
}
