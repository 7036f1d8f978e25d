//! How many bytes of query texts an institution, or a person of the own one, adds to the evidence in a day.
//!
//! The text of a query is kept until its retention ends: it is a part of the signed query, without which neither the signature nor the digest in
//! the receipt could be verified. So a query whose text would be too much is refused before anything is stored, and what is stored stays
//! whole ([0072](../../../docs/decisions/0072-a-query-is-refused-if-its-institution-has-sent-too-much-text.md)).
//!
//! The own people are counted for what they query here and for what they send to others
//! ([0092](../../../docs/decisions/0092-own-people-are-limited-as-members-are.md)). Nothing else limits the number of their queries, so each counts
//! at least [`LEAST`].

use std::collections::BTreeMap;

use concordat_protocol::ids::{ActorId, InstitutionId};
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Reason, Refusal, RefusalCode};
use concordat_storage::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};
use tokio::sync::Mutex;

use super::hour_counts::{counted_hours, hour};

/// Bytes of a text that are not counted: no more than its signatures and certificates take, which are limited by the number of queries. So
/// an institution whose budget is used up can still send most queries.
const FREE: usize = 2 << 10;
/// What a query of the own people counts at least: 32,768 queries a day of one person, more than programs send that wait for answers.
const LEAST: u64 = 256;
/// Bytes of all texts above [`FREE`] in 24 hours: 132 of the longest texts, or a thousand of 10 KiB. The state grows by about three times as much.
const BUDGET: u64 = 8 << 20;
/// The same for all own people together: four of them are needed to use it up.
const OWN_BUDGET: u64 = 4 * BUDGET;
/// The key of the count of all own people. It is the id of no institution and of no person.
const OWN_PEOPLE: &str = "own people";

/// Who adds a text.
#[derive(Clone, Copy, Debug)]
pub(super) enum TextSender<'a> {
    /// Another institution.
    Institution(&'a InstitutionId),
    /// One of this institution's own people.
    OwnPerson(&'a ActorId),
}

impl TextSender<'_> {
    /// What a text of so many bytes counts.
    fn counted(self, length: usize) -> u64 {
        let above = u64::try_from(length.saturating_sub(FREE)).unwrap_or(u64::MAX);
        match self {
            Self::Institution(_) => above,
            Self::OwnPerson(_) => above.max(LEAST),
        }
    }

    /// The counts to which it is added, each with its budget.
    fn budgets(self) -> Vec<(String, u64)> {
        match self {
            Self::Institution(id) => vec![(id.to_string(), BUDGET)],
            Self::OwnPerson(id) => vec![(id.to_string(), BUDGET), (OWN_PEOPLE.to_owned(), OWN_BUDGET)],
        }
    }

    fn used_up(self) -> Refusal {
        let (text, remedy) = match self {
            Self::Institution(_) => (
                format!(
                    "the texts of your institution's queries within 24 hours would be more than the {} MiB that the holder keeps",
                    BUDGET >> 20
                ),
                format!("try again tomorrow, or send a text of at most {FREE} bytes, which is always kept"),
            ),
            Self::OwnPerson(_) => (
                format!(
                    "the texts of your queries within 24 hours would be more than the {} MiB that this node keeps, or those of all people of your \
                     institution more than {} MiB",
                    BUDGET >> 20,
                    OWN_BUDGET >> 20
                ),
                format!("try again tomorrow, or send shorter texts: each counts without its first {FREE} bytes"),
            ),
        };
        Refusal {
            code: RefusalCode::Denied,
            reasons: vec![Reason {
                text,
                remedy: Some(remedy),
                rule: Some("query-text-per-day".to_owned()),
            }],
        }
    }
}

/// Bytes of texts by sender and hour, stored across restarts.
#[derive(Debug)]
pub(super) struct TextBudget {
    meta: SealedDb,
    added: SealedTree<BTreeMap<i64, u64>>,
    adding: Mutex<()>,
}

impl TextBudget {
    pub(super) fn open(db: &SealedDb) -> Result<Self, MetaError> {
        Ok(Self {
            meta: db.clone(),
            added: db.tree(TreeId::new("query-texts"))?,
            adding: Mutex::default(),
        })
    }

    /// Counts the text of a query of `sender`, before it is stored; one that is denied later counts too, since it is stored. The count is
    /// durable once the record of the query is.
    ///
    /// # Errors
    /// A denial if the texts of 24 hours are more than the budget; a failure if the count cannot be stored.
    pub(super) async fn count(&self, sender: TextSender<'_>, text: &str, now: Timestamp) -> Result<(), Refusal> {
        let bytes = sender.counted(text.len());
        if bytes == 0 {
            return Ok(());
        }
        let _adding = self.adding.lock().await;
        let (meta, added) = (self.meta.clone(), self.added.clone());
        let budgets = sender.budgets();
        let counted = tokio::task::spawn_blocking(move || count((&meta, &added), &budgets, bytes, now)).await;
        match counted {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(sender.used_up()),
            Ok(Err(_)) | Err(_) => Err(Refusal::because(
                RefusalCode::Failed,
                "the texts of queries could not be counted",
            )),
        }
    }

    /// Whether a text of so many bytes could be kept, without counting it.
    ///
    /// # Errors
    /// The denial of [`Self::count`] if it could not; a failure if the count cannot be read.
    pub(super) async fn check(&self, sender: TextSender<'_>, length: usize, now: Timestamp) -> Result<(), Refusal> {
        let bytes = sender.counted(length);
        if bytes == 0 {
            return Ok(());
        }
        let added = self.added.clone();
        let budgets = sender.budgets();
        let fitting = tokio::task::spawn_blocking(move || fits(&added, &budgets, bytes, now)).await;
        match fitting {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(sender.used_up()),
            Ok(Err(_)) | Err(_) => Err(Refusal::because(
                RefusalCode::Failed,
                "the texts of queries could not be counted",
            )),
        }
    }
}

/// Whether `bytes` would be within each of the budgets. Nothing is added.
fn fits(
    added: &SealedTree<BTreeMap<i64, u64>>,
    budgets: &[(String, u64)],
    bytes: u64,
    now: Timestamp,
) -> Result<bool, MetaError> {
    for (key, budget) in budgets {
        if used(&counted(added, key, now)?).saturating_add(bytes) > *budget {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The bytes by hour of a count, as far as they count at `now`.
fn counted(added: &SealedTree<BTreeMap<i64, u64>>, key: &str, now: Timestamp) -> Result<BTreeMap<i64, u64>, MetaError> {
    let mut hours = added.get(key)?.unwrap_or_default();
    let counted = counted_hours(now);
    hours.retain(|then, _| counted.contains(then));
    Ok(hours)
}

fn used(hours: &BTreeMap<i64, u64>) -> u64 {
    hours.values().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes))
}

/// Adds `bytes` to each of the counts, or to none if one of them would exceed its budget.
fn count(
    (meta, added): (&SealedDb, &SealedTree<BTreeMap<i64, u64>>),
    budgets: &[(String, u64)],
    bytes: u64,
    now: Timestamp,
) -> Result<bool, MetaError> {
    let mut batch = Batch::new();
    for (key, budget) in budgets {
        let mut hours = counted(added, key, now)?;
        if used(&hours).saturating_add(bytes) > *budget {
            return Ok(false);
        }
        let current = hours.entry(hour(now)).or_insert(0);
        *current = current.saturating_add(bytes);
        batch.put(added, key, &hours)?;
    }
    // On the disk with the record of the query, which is stored next.
    let _with_the_record = meta.apply(batch)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
    use concordat_protocol::query::MAX_SQL;

    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    async fn is_kept(budget: &TextBudget, consumer: &str, bytes: usize, now: Timestamp) -> bool {
        let consumer = consumer.parse().unwrap();
        let sender = TextSender::Institution(&consumer);
        is_kept_of(budget, sender, bytes, now).await
    }

    async fn is_kept_of(budget: &TextBudget, sender: TextSender<'_>, bytes: usize, now: Timestamp) -> bool {
        match budget.count(sender, &"x".repeat(bytes), now).await {
            Ok(()) => true,
            Err(refusal) => {
                let rule = refusal.reasons.first().and_then(|reason| reason.rule.as_deref());
                assert_eq!((refusal.code, rule), (RefusalCode::Denied, Some("query-text-per-day")));
                false
            }
        }
    }

    fn state(dir: &Path) -> SealedDb {
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.join("master.key"), &source).unwrap();
        SealedDb::open(&dir.join("meta"), master.state()).unwrap()
    }

    #[tokio::test]
    async fn text_budget_limits_own_people_each_and_together() {
        let dir = tempfile::tempdir().unwrap();
        let budget = TextBudget::open(&state(dir.path())).unwrap();
        let each = u64::try_from(MAX_SQL - FREE).unwrap();
        let mut kept = 0;
        let mut by_person = Vec::new();
        for name in ["ada", "eva", "ida", "mia", "pal"] {
            let person: ActorId = format!("{name}@budapest").parse().unwrap();
            let mut own = 0;
            while is_kept_of(&budget, TextSender::OwnPerson(&person), MAX_SQL, NOON).await {
                own += 1;
            }
            kept += own;
            by_person.push(own);
        }
        assert_eq!(by_person.first().copied(), Some(BUDGET / each), "of one person");
        assert_eq!(kept, OWN_BUDGET / each, "of all: {by_person:?}");
        // Members have budgets of their own, and a day later so do the own people.
        assert!(is_kept(&budget, "zurich", MAX_SQL, NOON).await);
        let person = "ada@budapest".parse().unwrap();
        let next_day = NOON.plus_seconds(86_400 + 3_600);
        assert!(is_kept_of(&budget, TextSender::OwnPerson(&person), MAX_SQL, next_day).await);
    }

    #[tokio::test]
    async fn text_budget_counts_short_queries_of_own_people() {
        let dir = tempfile::tempdir().unwrap();
        let db = state(dir.path());
        let budget = TextBudget::open(&db).unwrap();
        let person: ActorId = "ada@budapest".parse().unwrap();
        // All but what two short queries count.
        let used = BTreeMap::from([(hour(NOON), BUDGET - 2 * LEAST)]);
        budget.added.put("ada@budapest", &used).unwrap();
        let short = |bytes| is_kept_of(&budget, TextSender::OwnPerson(&person), bytes, NOON);
        assert!(short(1).await);
        assert!(!short(FREE + 2 * 256).await, "it counts more than is left");
        assert!(short(FREE).await);
        assert!(!short(1).await);
    }

    #[tokio::test]
    async fn text_budget_is_checked_without_being_used() {
        let dir = tempfile::tempdir().unwrap();
        let budget = TextBudget::open(&state(dir.path())).unwrap();
        let consumer = "zurich".parse().unwrap();
        let sender = TextSender::Institution(&consumer);
        let left = usize::try_from(BUDGET).unwrap();
        for _ in 0..3 {
            assert!(budget.check(sender, FREE + left, NOON).await.is_ok());
            let refused = budget.check(sender, FREE + left + 1, NOON).await.unwrap_err();
            assert_eq!(refused, sender.used_up());
        }
        assert!(is_kept(&budget, "zurich", MAX_SQL, NOON).await);
        assert!(budget.check(sender, FREE + left, NOON).await.is_err());
        // A short text is always kept.
        assert!(budget.check(sender, FREE, NOON).await.is_ok());
    }

    #[tokio::test]
    async fn text_budget_limits_long_texts_of_one_institution() {
        let dir = tempfile::tempdir().unwrap();
        let db = state(dir.path());
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
