//! How many queries this node has with one provider at the same time.
//!
//! A provider answers so many queries of an institution at a time, and refuses more streams than it has capacity for. Those above wait here,
//! where waiting costs nothing, and nothing has been signed or entered yet. Which of them is next is decided by [`FairSlots`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use concordat_protocol::ids::{ActorId, InstitutionId};
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use tokio::sync::oneshot;

use super::error::FederationError;
use super::fair_slots::{FairSlots, SlotLimits, Ticket};

const LIMITS: SlotLimits = SlotLimits {
    // Fewer than the streams that a provider accepts from one peer, because notices and receipts need some too.
    all: 24,
    // Two fewer than the queries that a provider with the default memory answers for one institution at a time, so that a person who reads
    // answers slowly leaves others enough for a join of two tables.
    per_person: 6,
};
/// How long a query waits for a slot.
const SLOT_TIMEOUT: Duration = Duration::from_secs(60);

/// The queries of this node, by provider.
#[derive(Debug, Default)]
pub(super) struct OutgoingQueries(Arc<Mutex<Providers>>);

type Providers = BTreeMap<InstitutionId, FairSlots<ActorId, oneshot::Sender<()>>>;

/// The slot of one query with a provider: while it waits, and then from before it is sent until its end is entered.
#[derive(Debug)]
pub(super) struct ProviderSlot {
    providers: Arc<Mutex<Providers>>,
    provider: InstitutionId,
    ticket: Ticket,
}

impl OutgoingQueries {
    /// Waits until another query of `person` may be sent to `provider`.
    ///
    /// # Errors
    /// [`FederationError::Refused`] with [`RefusalCode::Busy`] if that takes too long.
    pub(super) async fn slot(
        &self,
        provider: &InstitutionId,
        person: &ActorId,
    ) -> Result<ProviderSlot, FederationError> {
        self.slot_within(provider, person, SLOT_TIMEOUT).await
    }

    async fn slot_within(
        &self,
        provider: &InstitutionId,
        person: &ActorId,
        timeout: Duration,
    ) -> Result<ProviderSlot, FederationError> {
        // Dropped, also by a reader that goes away, it leaves, whether it waits or runs.
        let (slot, begun) = self.enter(provider, person);
        match tokio::time::timeout(timeout, begun).await {
            Ok(Ok(())) => Ok(slot),
            Ok(Err(_)) | Err(_) => Err(FederationError::Refused {
                provider: provider.clone(),
                refusal: Refusal::because(
                    RefusalCode::Busy,
                    format!(
                        "{} queries of yours, or {} of this node, are with it already; try again later",
                        LIMITS.per_person, LIMITS.all
                    ),
                ),
            }),
        }
    }

    fn enter(&self, provider: &InstitutionId, person: &ActorId) -> (ProviderSlot, oneshot::Receiver<()>) {
        let (wake, begun) = oneshot::channel();
        let mut providers = locked(&self.0);
        let slots = providers.entry(provider.clone());
        let slots = slots.or_insert_with(|| FairSlots::new(LIMITS));
        let ticket = slots.enter(person.clone(), wake);
        wake_next(slots);
        let slot = ProviderSlot {
            providers: Arc::clone(&self.0),
            provider: provider.clone(),
            ticket,
        };
        (slot, begun)
    }
}

impl Drop for ProviderSlot {
    fn drop(&mut self) {
        let mut providers = locked(&self.providers);
        let Some(slots) = providers.get_mut(&self.provider) else {
            return;
        };
        slots.leave(self.ticket);
        wake_next(slots);
        // Providers without a query need no entry, so that the list stays short.
        if slots.is_empty() {
            providers.remove(&self.provider);
        }
    }
}

fn wake_next(slots: &mut FairSlots<ActorId, oneshot::Sender<()>>) {
    while let Some(wake) = slots.start_next() {
        // A query that no longer waits leaves when its slot is dropped.
        let _ = wake.send(());
    }
}

fn locked(providers: &Mutex<Providers>) -> MutexGuard<'_, Providers> {
    providers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> ActorId {
        format!("{name}@budapest").parse().unwrap()
    }

    async fn fill(queries: &OutgoingQueries, provider: &InstitutionId, persons: usize) -> Vec<ProviderSlot> {
        let mut held = Vec::new();
        for n in 0..persons {
            for _ in 0..LIMITS.per_person {
                let slot = queries
                    .slot_within(provider, &person(&format!("p{n}")), Duration::ZERO)
                    .await;
                held.push(slot.unwrap());
            }
        }
        held
    }

    fn is_busy(refused: &FederationError) -> bool {
        matches!(refused, FederationError::Refused { refusal, .. } if refusal.code == RefusalCode::Busy)
    }

    #[tokio::test]
    async fn queries_above_the_limit_wait_for_those_of_the_same_provider() {
        let queries = OutgoingQueries::default();
        let cleveland: InstitutionId = "cleveland".parse().unwrap();
        let zurich: InstitutionId = "zurich".parse().unwrap();
        let eva = person("eva");
        let mut held = fill(&queries, &cleveland, LIMITS.all / LIMITS.per_person).await;
        assert_eq!(held.len(), LIMITS.all);
        let refused = queries.slot_within(&cleveland, &eva, Duration::ZERO).await.unwrap_err();
        assert!(is_busy(&refused), "{refused:?}");
        drop(queries.slot_within(&zurich, &eva, Duration::ZERO).await.unwrap());
        let mut waiting = Box::pin(queries.slot(&cleveland, &eva));
        assert!(futures::poll!(&mut waiting).is_pending());
        held.pop();
        drop(waiting.await.unwrap());
        assert_eq!(locked(&queries.0).len(), 1, "the other provider has no query");
        drop(held);
        assert!(locked(&queries.0).is_empty());
    }

    #[tokio::test]
    async fn queries_of_a_slow_reader_leave_slots_to_other_persons() {
        let queries = OutgoingQueries::default();
        let cleveland: InstitutionId = "cleveland".parse().unwrap();
        let slow = person("p0");
        let mut held = fill(&queries, &cleveland, 1).await;
        let mut waiting = Box::pin(queries.slot(&cleveland, &slow));
        assert!(futures::poll!(&mut waiting).is_pending(), "one person has all slots");
        let other = queries.slot_within(&cleveland, &person("pal"), Duration::ZERO).await;
        drop(other.unwrap());
        assert!(futures::poll!(&mut waiting).is_pending());
        held.pop();
        waiting.await.unwrap();
    }

    /// A query that leaves at the same time as it begins, or while it waits, keeps no slot.
    #[tokio::test]
    async fn queries_that_leave_while_they_wait_keep_no_slot() {
        let queries = OutgoingQueries::default();
        let cleveland: InstitutionId = "cleveland".parse().unwrap();
        let eva = person("eva");
        for _ in 0..=LIMITS.all {
            drop(queries.enter(&cleveland, &eva));
        }
        assert!(locked(&queries.0).is_empty());
        let held = fill(&queries, &cleveland, LIMITS.all / LIMITS.per_person).await;
        let waiting = queries.enter(&cleveland, &eva);
        drop(held);
        drop(waiting);
        assert!(locked(&queries.0).is_empty());
    }
}
