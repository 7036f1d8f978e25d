//! How many bytes of query texts an institution adds to the evidence in a day.
//!
//! The text of a query is kept until its retention ends: it is a part of the signed query, without which neither the signature nor the digest in
//! the receipt could be verified. So a query whose text would be too much is refused before anything is stored, and what is stored stays
//! whole ([0072](../../../docs/decisions/0072-a-query-is-refused-if-its-institution-has-sent-too-much-text.md)).

use std::collections::BTreeMap;

use concordat_protocol::ids::InstitutionId;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Reason, Refusal, RefusalCode};
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use tokio::sync::Mutex;

use super::grant_quota::{counted_hours, hour};

/// Bytes of a text that are not counted: no more than its signatures and certificates take, which are limited by the number of queries. So
/// an institution whose budget is used up can still send most queries.
const FREE: usize = 2 << 10;
/// Bytes of all texts above [`FREE`] in 24 hours: 132 of the longest texts, or a thousand of 10 KiB. The state grows by about three times as much.
const BUDGET: u64 = 8 << 20;

/// Bytes of texts by institution and hour, stored across restarts.
#[derive(Debug)]
pub(super) struct TextBudget {
    added: SealedTree<BTreeMap<i64, u64>>,
    adding: Mutex<()>,
}

impl TextBudget {
    pub(super) fn open(db: &SealedDb) -> Result<Self, MetaError> {
        Ok(Self {
            added: db.tree(TreeId::new("query-texts"))?,
            adding: Mutex::default(),
        })
    }

    /// Counts the text of a query of `consumer`, before it is stored; one that is denied later counts too, since it is stored. The count is
    /// durable once the record of the query is.
    ///
    /// # Errors
    /// A denial if the texts of 24 hours are more than the budget; a failure if the count cannot be stored.
    pub(super) async fn count(&self, consumer: &InstitutionId, text: &str, now: Timestamp) -> Result<(), Refusal> {
        let bytes = text.len().saturating_sub(FREE);
        if bytes == 0 {
            return Ok(());
        }
        let _adding = self.adding.lock().await;
        let added = self.added.clone();
        let consumer = consumer.clone();
        let counted = tokio::task::spawn_blocking(move || count(&added, &consumer, bytes, now)).await;
        match counted {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(used_up()),
            Ok(Err(_)) | Err(_) => Err(Refusal::because(
                RefusalCode::Failed,
                "the texts of queries could not be counted",
            )),
        }
    }
}

fn count(
    added: &SealedTree<BTreeMap<i64, u64>>,
    consumer: &InstitutionId,
    bytes: usize,
    now: Timestamp,
) -> Result<bool, MetaError> {
    let mut hours = added.get(consumer.as_str())?.unwrap_or_default();
    let counted = counted_hours(now);
    hours.retain(|then, _| counted.contains(then));
    let used = hours.values().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    if used.saturating_add(bytes) > BUDGET {
        return Ok(false);
    }
    let current = hours.entry(hour(now)).or_insert(0);
    *current = current.saturating_add(bytes);
    // On the disk with the record of the query, which is stored next.
    let _with_the_record = added.apply(consumer.as_str(), &hours)?;
    Ok(true)
}

fn used_up() -> Refusal {
    Refusal {
        code: RefusalCode::Denied,
        reasons: vec![Reason {
            text: format!(
                "the texts of your institution's queries within 24 hours would be more than the {} MiB that the holder keeps",
                BUDGET >> 20
            ),
            remedy: Some(format!(
                "try again tomorrow, or send a text of at most {FREE} bytes, which is always kept"
            )),
            rule: Some("query-text-per-day".to_owned()),
        }],
    }
}

#[cfg(test)]
mod tests {
    use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
    use concordat_protocol::query::MAX_SQL;

    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    async fn is_kept(budget: &TextBudget, consumer: &str, bytes: usize, now: Timestamp) -> bool {
        let counted = budget.count(&consumer.parse().unwrap(), &"x".repeat(bytes), now).await;
        match counted {
            Ok(()) => true,
            Err(refusal) => {
                let rule = refusal.reasons.first().and_then(|reason| reason.rule.as_deref());
                assert_eq!((refusal.code, rule), (RefusalCode::Denied, Some("query-text-per-day")));
                false
            }
        }
    }

    #[tokio::test]
    async fn text_budget_limits_long_texts_of_one_institution() {
        let dir = tempfile::tempdir().unwrap();
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        let db = SealedDb::open(&dir.path().join("meta"), master.state()).unwrap();
        let budget = TextBudget::open(&db).unwrap();
        let mut kept = 0_u64;
        while is_kept(&budget, "zurich", MAX_SQL, NOON).await {
            kept += 1;
        }
        let each = u64::try_from(MAX_SQL - FREE).unwrap();
        assert_eq!(kept, BUDGET / each);
        // What is left is used to the last byte.
        let left = usize::try_from(BUDGET % each).unwrap();
        assert!(!is_kept(&budget, "zurich", FREE + left + 1, NOON).await);
        assert!(is_kept(&budget, "zurich", FREE + left, NOON).await);
        assert!(!is_kept(&budget, "zurich", FREE + 1, NOON).await);
        // Other institutions, and short texts, are not affected.
        assert!(is_kept(&budget, "budapest", MAX_SQL, NOON).await);
        for _ in 0..10 {
            assert!(is_kept(&budget, "zurich", FREE, NOON).await);
        }
        // It is known after a restart, and until 24 hours are over.
        let budget = TextBudget::open(&db).unwrap();
        assert!(!is_kept(&budget, "zurich", MAX_SQL, NOON.plus_seconds(86_400)).await);
        assert!(is_kept(&budget, "zurich", MAX_SQL, NOON.plus_seconds(86_400 + 3_600)).await);
    }
}
