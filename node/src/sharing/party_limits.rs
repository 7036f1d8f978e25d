//! Limits on concurrent queries, so that no institution and no person can use the whole capacity.
//!
//! A slot is one query's part of the engine's memory, held as long as its process may run. Slots are limited in total, for each
//! institution (however many nodes it has), for each of our own people, and for all of our own people together. So neither an institution
//! nor our own people can have more than half; two institutions, or one and our own people, can together have all of them.
//!
//! An institution also has a budget of engine time, which is replenished as time passes.
//!
//! An institution may have more exchanges than slots: those whose receipts it is signing need no engine. Their number is limited too, so that the
//! receipts of concurrent queries alone never become so many that a query is refused until they are signed.
//!
//! All waits of one query share one deadline ([`super::wait_deadline`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use concordat_protocol::ids::{ActorId, InstitutionId};
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::wait_deadline::WaitDeadline;
use crate::clock::Clock;

/// Engine time that an institution can use in advance. The budget is replenished by one second per second, so on average an
/// institution can have one query running at all times.
///
/// It is measured by the uptime: a clock that is set back or forward charges and replenishes nothing.
const ENGINE_TIME: Duration = Duration::from_secs(3_600);

/// The party that a query counts against.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    /// Another institution.
    Institution(InstitutionId),
    /// One of our own people.
    Person(ActorId),
}

/// The slots in total and per party.
#[derive(Debug)]
pub(super) struct ConcurrencyLimits {
    all: Arc<Semaphore>,
    /// Those that our own people may have together.
    people: Arc<Semaphore>,
    per_institution: usize,
    per_person: usize,
    clock: Clock,
    parties: Arc<Mutex<BTreeMap<Party, PartySlots>>>,
}

#[derive(Debug)]
struct PartySlots {
    slots: Arc<Semaphore>,
    exchanges: Arc<Semaphore>,
    /// One query of the party is decided at a time.
    decisions: Arc<Semaphore>,
    /// The uptime at which the engine time used so far is replenished.
    replenished_at: Duration,
}

/// A slot for one query, held until it is dropped; then its engine time is charged.
#[derive(Debug)]
pub struct QuerySlot {
    party: Party,
    decisions: Arc<Semaphore>,
    /// Queries of the same party that already had slots.
    running: usize,
    /// The uptime at its beginning.
    since: Duration,
    clock: Clock,
    parties: Arc<Mutex<BTreeMap<Party, PartySlots>>>,
    _own: OwnedSemaphorePermit,
    /// For a query of one of our own people.
    _people: Option<OwnedSemaphorePermit>,
    _all: OwnedSemaphorePermit,
}

/// One exchange with an institution, from the arrival of its query until its receipt is signed and entered.
#[derive(Debug)]
pub(super) struct ExchangeSlot {
    _own: OwnedSemaphorePermit,
}

/// Permission to check and decide one query, or to decide what one page of the catalog shows. They are decided one after the other for
/// each party: deciding runs on the node's own threads, and many decisions at once would block them for all others.
#[derive(Debug)]
pub(super) struct DecisionSlot {
    running: usize,
    _only: OwnedSemaphorePermit,
}

impl DecisionSlot {
    async fn acquire(decisions: &Arc<Semaphore>, running: usize, until: WaitDeadline) -> Result<Self, Refusal> {
        let only = until.wait(Arc::clone(decisions).acquire_owned()).await;
        let only = only
            .and_then(Result::ok)
            .ok_or_else(|| busy("other queries of yours are being decided; try again later"))?;
        Ok(Self { running, _only: only })
    }

    /// Queries of the same party that already had slots.
    pub(super) const fn running(&self) -> usize {
        self.running
    }
}

impl QuerySlot {
    /// Queries of the same party that already had slots.
    pub(crate) const fn running(&self) -> usize {
        self.running
    }

    /// Waits until nothing else of the party is being decided.
    ///
    /// # Errors
    /// [`RefusalCode::Busy`] if that takes until `until`.
    pub(super) async fn decision_slot(&self, until: WaitDeadline) -> Result<DecisionSlot, Refusal> {
        DecisionSlot::acquire(&self.decisions, self.running, until).await
    }
}

impl ConcurrencyLimits {
    /// Slots for `queries` of members and of our own people at the same time: at most half of them for any one institution, and at most
    /// half for all our own people, of which one person may have three quarters. A join over several of our tables needs one slot for
    /// each table. If there is a single slot, any party may have it.
    pub(super) fn new(queries: usize, clock: Clock) -> Self {
        let people = (queries / 2).max(1);
        let per_person = (people.saturating_mul(3) / 4).max(1);
        Self::of(queries, (people, per_person), clock)
    }

    /// Slots for `queries` of our own people alone at the same time, at most half of them for any one person.
    pub(super) fn for_own_people(queries: usize, clock: Clock) -> Self {
        Self::of(queries, (queries, queries.div_ceil(2)), clock)
    }

    fn of(queries: usize, (people, per_person): (usize, usize), clock: Clock) -> Self {
        Self {
            clock,
            all: Arc::new(Semaphore::new(queries)),
            people: Arc::new(Semaphore::new(people)),
            per_institution: queries.div_ceil(2),
            per_person,
            parties: Arc::default(),
        }
    }

    /// Waits until `institution` may have another exchange.
    ///
    /// # Errors
    /// [`RefusalCode::Busy`] if that takes until `until`, or if its engine time is used up.
    pub(super) async fn exchange(
        &self,
        institution: &InstitutionId,
        until: WaitDeadline,
    ) -> Result<ExchangeSlot, Refusal> {
        let party = self.party(&Party::Institution(institution.clone()))?;
        let own = until.wait(party.exchanges.acquire_owned()).await;
        let own = own.and_then(Result::ok);
        own.map(|own| ExchangeSlot { _own: own })
            .ok_or_else(|| busy("other queries of yours are being answered; try again later"))
    }

    /// Waits until nothing else of the party is being decided, for a decision that needs no engine.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub(super) async fn decision_slot(&self, party: &Party, until: WaitDeadline) -> Result<DecisionSlot, Refusal> {
        let party = self.party(party)?;
        DecisionSlot::acquire(&party.decisions, 0, until).await
    }

    /// A slot for one query of `party`, held until the result is dropped.
    ///
    /// # Errors
    /// [`RefusalCode::Busy`] if none becomes free until `until`, or if the party's engine time is used up.
    pub(super) async fn acquire(&self, party: Party, until: WaitDeadline) -> Result<QuerySlot, Refusal> {
        let Shared { slots, decisions, .. } = self.party(&party)?;
        let waiting = Arc::clone(&slots);
        let limit = self.limit_of(&party);
        // The narrowest limit first: a query that waits for it holds nothing that a query of others could have.
        let own = until.wait(slots.acquire_owned()).await;
        let own = own
            .and_then(Result::ok)
            .ok_or_else(|| busy(format!("{limit} of your queries are being answered; try again later")))?;
        let people = match &party {
            Party::Institution(_) => None,
            Party::Person(_) => Some(self.slot_of_people(until).await?),
        };
        let all = until.wait(self.all.clone().acquire_owned()).await;
        let all = all
            .and_then(Result::ok)
            .ok_or_else(|| busy("the maximum number of queries is being answered; try again later"))?;
        let running = limit.saturating_sub(waiting.available_permits()).saturating_sub(1);
        Ok(QuerySlot {
            party,
            decisions,
            running,
            since: self.clock.uptime(),
            clock: self.clock.clone(),
            parties: self.parties.clone(),
            _own: own,
            _people: people,
            _all: all,
        })
    }

    /// One of the slots that our own people have together.
    async fn slot_of_people(&self, until: WaitDeadline) -> Result<OwnedSemaphorePermit, Refusal> {
        let slot = until.wait(Arc::clone(&self.people).acquire_owned()).await;
        slot.and_then(Result::ok)
            .ok_or_else(|| busy("the maximum number of queries of your institution is being answered; try again later"))
    }

    /// How many slots the party may have.
    const fn limit_of(&self, party: &Party) -> usize {
        match party {
            Party::Institution(_) => self.per_institution,
            Party::Person(_) => self.per_person,
        }
    }

    fn party(&self, party: &Party) -> Result<Shared, Refusal> {
        let now = self.clock.uptime();
        let mut parties = self.parties.lock().unwrap_or_else(PoisonError::into_inner);
        // A party without running or waiting queries and decisions whose engine time is replenished is removed, so that the list stays short.
        parties.retain(|_, entry| {
            let used = [&entry.slots, &entry.exchanges, &entry.decisions];
            entry.replenished_at > now || used.iter().any(|semaphore| Arc::strong_count(semaphore) > 1)
        });
        let entry = parties
            .entry(party.clone())
            .or_insert_with(|| PartySlots::new(self.limit_of(party), now));
        match (party, entry.used_up(now)) {
            (Party::Institution(_), Some(over)) => {
                let seconds = over.as_secs().saturating_add(1);
                Err(busy(format!(
                    "your queries have used up their engine time; try again in {seconds} seconds"
                )))
            }
            (Party::Institution(_) | Party::Person(_), _) => Ok(Shared {
                slots: entry.slots.clone(),
                exchanges: entry.exchanges.clone(),
                decisions: entry.decisions.clone(),
            }),
        }
    }
}

/// What the queries of one party share.
struct Shared {
    slots: Arc<Semaphore>,
    exchanges: Arc<Semaphore>,
    decisions: Arc<Semaphore>,
}

impl PartySlots {
    fn new(slots: usize, now: Duration) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(slots)),
            exchanges: Arc::new(Semaphore::new(slots.saturating_add(slots / 2))),
            decisions: Arc::new(Semaphore::new(1)),
            replenished_at: now,
        }
    }

    /// Charges `used` engine time.
    fn charge(&mut self, used: Duration, now: Duration) {
        self.replenished_at = self.replenished_at.max(now).saturating_add(used);
    }

    /// In how long engine time is available again; `None` if it is available now.
    fn used_up(&self, now: Duration) -> Option<Duration> {
        self.replenished_at.saturating_sub(now).checked_sub(ENGINE_TIME)
    }
}

impl Drop for QuerySlot {
    fn drop(&mut self) {
        let now = self.clock.uptime();
        let mut parties = self.parties.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = parties.get_mut(&self.party) {
            entry.charge(now.saturating_sub(self.since), now);
        }
    }
}

fn busy(text: impl Into<String>) -> Refusal {
    Refusal::because(RefusalCode::Busy, text)
}

#[cfg(test)]
mod tests;
