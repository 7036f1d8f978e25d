//! Room for those who ask: no institution and no person can take up all of it.
//!
//! A place is one query's share of the engine's memory, held as long as its process may run. Places are counted in all, for each
//! institution whatever number of nodes it has, and for each of our own people. An institution has time of the engine, too, which
//! comes back as it passes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use concordat_protocol::ids::{ActorId, InstitutionId};
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;

/// How long a query waits for its turn; less than what the asking side waits for its first word.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time of the engine that an institution can take in advance, in milliseconds. A second comes back in each second, so on average it has
/// one query running at all times.
const ENGINE_TIME: i64 = 3_600_000;

/// Who takes up room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    /// Another institution.
    Institution(InstitutionId),
    /// One of our own people.
    Person(ActorId),
}

/// Who is being answered.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    share: usize,
    clock: Clock,
    rooms: Arc<Mutex<BTreeMap<Party, Room>>>,
}

#[derive(Debug)]
struct Room {
    places: Arc<Semaphore>,
    /// One query at a time is decided about.
    turns: Arc<Semaphore>,
    /// When the time that was taken will have come back.
    paid: Timestamp,
}

/// A place for one query, until it is dropped; then its time is counted.
#[derive(Debug)]
pub struct Place {
    party: Party,
    turns: Arc<Semaphore>,
    /// Queries of the same party that had places already.
    running: usize,
    since: Timestamp,
    clock: Clock,
    rooms: Arc<Mutex<BTreeMap<Party, Room>>>,
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// A query's turn to be checked and decided about, which a party's queries take one after the other: it costs the node's own threads
/// something, and many queries at once would take them from everybody else.
#[derive(Debug)]
pub(super) struct Turn {
    /// Queries of the same party that had places already.
    pub(super) running: usize,
    _only: OwnedSemaphorePermit,
}

impl Place {
    /// Waits until no other query of the party is decided about.
    ///
    /// # Errors
    /// [`RefusalCode::Busy`] when that takes too long.
    pub(super) async fn turn(&self) -> Result<Turn, Refusal> {
        let only = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let only = only
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| busy("other queries of yours are being decided about; ask again later"))?;
        Ok(Turn {
            running: self.running,
            _only: only,
        })
    }
}

impl Places {
    /// Room for `queries` at the same time, half of it for any one party. A join over several of our tables needs one place for each.
    pub(super) fn new(queries: usize, clock: Clock) -> Self {
        Self {
            clock,
            all: Arc::new(Semaphore::new(queries)),
            share: queries.div_ceil(2),
            rooms: Arc::default(),
        }
    }

    /// A place for one query of `party`, held until the result is dropped.
    ///
    /// # Errors
    /// [`RefusalCode::Busy`] when none becomes free in time, or the party's time of the engine is used up.
    pub(super) async fn take(&self, party: Party) -> Result<Place, Refusal> {
        self.take_within(party, PATIENCE).await
    }

    async fn take_within(&self, party: Party, patience: Duration) -> Result<Place, Refusal> {
        let (places, turns) = self.room(&party)?;
        let waiting = Arc::clone(&places);
        // The party's own room first, so that who has none left stands in nobody's way.
        let own = tokio::time::timeout(patience, places.acquire_owned()).await;
        let own = own.ok().and_then(Result::ok).ok_or_else(|| {
            let share = self.share;
            busy(format!("{share} of your queries are being answered; ask again later"))
        })?;
        let all = tokio::time::timeout(patience, self.all.clone().acquire_owned()).await;
        let all = all
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| busy("as many queries as there is room for are being answered; ask again later"))?;
        let running = self.share.saturating_sub(waiting.available_permits()).saturating_sub(1);
        Ok(Place {
            party,
            turns,
            running,
            since: self.clock.now(),
            clock: self.clock.clone(),
            rooms: self.rooms.clone(),
            _own: own,
            _all: all,
        })
    }

    fn room(&self, party: &Party) -> Result<(Arc<Semaphore>, Arc<Semaphore>), Refusal> {
        let now = self.clock.now();
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has nothing running, asks nothing and owes nothing is forgotten, so that the list stays short.
        rooms.retain(|_, room| room.paid > now || Arc::strong_count(&room.places) > 1);
        let room = rooms.entry(party.clone()).or_insert_with(|| Room::new(self.share, now));
        match (party, room.used_up(now)) {
            (Party::Institution(_), Some(over)) => {
                let seconds = over / 1000 + 1;
                Err(busy(format!(
                    "your queries have used up their time of the engine; ask again in {seconds} seconds"
                )))
            }
            (Party::Institution(_) | Party::Person(_), _) => Ok((room.places.clone(), room.turns.clone())),
        }
    }
}

impl Room {
    fn new(places: usize, now: Timestamp) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            turns: Arc::new(Semaphore::new(1)),
            paid: now,
        }
    }

    /// Counts so many milliseconds.
    fn take(&mut self, took: i64, now: Timestamp) {
        let from = self.paid.max(now);
        self.paid = Timestamp::from_millis(from.as_millis().saturating_add(took.max(0)));
    }

    /// In how many milliseconds time can be taken again, if it cannot be now.
    fn used_up(&self, now: Timestamp) -> Option<i64> {
        let over = self.paid.since(now).saturating_sub(ENGINE_TIME);
        (over >= 0).then_some(over)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.clock.now();
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = rooms.get_mut(&self.party) {
            room.take(now.since(self.since), now);
        }
    }
}

fn busy(text: impl Into<String>) -> Refusal {
    Refusal::because(RefusalCode::Busy, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn institution(name: &str) -> Party {
        Party::Institution(name.parse().unwrap())
    }

    async fn busy_for(places: &Places, party: &Party) -> bool {
        let taken = places.take_within(party.clone(), Duration::ZERO).await;
        taken.is_err_and(|refusal| refusal.code == RefusalCode::Busy)
    }

    #[tokio::test]
    async fn an_institution_that_asks_too_much_at_once_waits_and_is_refused_while_others_are_answered() {
        let places = Places::new(16, Clock::system());
        let (greedy, modest) = (institution("zurich"), institution("budapest"));
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(places.take_within(greedy.clone(), Duration::ZERO).await.unwrap());
        }
        assert!(busy_for(&places, &greedy).await);
        assert!(!busy_for(&places, &modest).await);
        held.pop();
        assert!(!busy_for(&places, &greedy).await);
    }

    #[tokio::test]
    async fn all_together_have_no_more_places_than_there_is_memory_for() {
        let places = Places::new(3, Clock::system());
        let (a, b, c) = (
            institution("aachen"),
            institution("basel"),
            Party::Person("eva@cleveland".parse().unwrap()),
        );
        let mut held = Vec::new();
        for party in [&a, &a, &b] {
            held.push(places.take_within(party.clone(), Duration::ZERO).await.unwrap());
        }
        assert!(busy_for(&places, &c).await);
        held.pop();
        assert!(!busy_for(&places, &c).await);
    }

    #[tokio::test]
    async fn queries_of_one_party_are_decided_about_one_after_the_other_and_know_how_many_run() {
        let places = Places::new(16, Clock::system());
        let take = async |name| places.take_within(institution(name), Duration::ZERO).await.unwrap();
        let (first, second, other) = (take("zurich").await, take("zurich").await, take("budapest").await);
        let turn = first.turn().await.unwrap();
        assert_eq!((turn.running, other.turn().await.unwrap().running), (0, 0));
        let mut waiting = Box::pin(second.turn());
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(turn);
        assert_eq!(waiting.await.unwrap().running, 1);
    }

    #[tokio::test]
    async fn a_party_that_is_about_to_take_a_place_is_not_forgotten() {
        let places = Places::new(16, Clock::system());
        let (room, _) = places.room(&institution("zurich")).unwrap();
        places.room(&institution("budapest")).unwrap();
        let (again, _) = places.room(&institution("zurich")).unwrap();
        assert!(Arc::ptr_eq(&room, &again), "it has a second share");
    }

    #[tokio::test]
    async fn time_of_the_engine_is_counted_by_institution_and_comes_back() {
        let clock = Clock::still(Timestamp::from_millis(0));
        let places = Places::new(16, clock.clone());
        let zurich = institution("zurich");
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(places.take_within(zurich.clone(), Duration::ZERO).await.unwrap());
        }
        clock.shift(600_000);
        drop(held);
        // Eight times ten minutes were taken, and an hour can be taken in advance.
        assert!(busy_for(&places, &zurich).await);
        assert!(!busy_for(&places, &institution("budapest")).await);
        clock.shift(1_201_000);
        assert!(!busy_for(&places, &zurich).await);
    }
}
