//! How many queries this node has with one provider at the same time.
//!
//! A provider answers so many queries of an institution at a time, and refuses more streams than it has room for. Those above wait here, where
//! waiting costs nothing, and nothing has been signed or entered yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use concordat_protocol::ids::InstitutionId;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::FederationError;

/// Queries with one provider at a time: fewer than the streams that it accepts from one peer, because notices and receipts need some too.
const PER_PROVIDER: usize = 24;
/// How long a query waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(60);

/// The queries of this node, by provider.
#[derive(Debug, Default)]
pub(super) struct OutgoingQueries(Mutex<BTreeMap<InstitutionId, Arc<Semaphore>>>);

/// One query with a provider, from before it is sent until its end is entered.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl OutgoingQueries {
    /// Waits until another query may be sent to `provider`.
    ///
    /// # Errors
    /// [`FederationError::Refused`] with [`RefusalCode::Busy`] if that takes too long.
    pub(super) async fn turn(&self, provider: &InstitutionId) -> Result<Turn, FederationError> {
        self.turn_within(provider, TURN_TIMEOUT).await
    }

    async fn turn_within(&self, provider: &InstitutionId, timeout: Duration) -> Result<Turn, FederationError> {
        let turns = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Providers without a query need no entry, so that the list stays short.
            all.retain(|_, turns| Arc::strong_count(turns) > 1 || turns.available_permits() < PER_PROVIDER);
            let of_provider = all.entry(provider.clone());
            Arc::clone(of_provider.or_insert_with(|| Arc::new(Semaphore::new(PER_PROVIDER))))
        };
        let permit = tokio::time::timeout(timeout, turns.acquire_owned()).await;
        match permit.ok().and_then(Result::ok) {
            Some(permit) => Ok(Turn { _permit: permit }),
            None => Err(FederationError::Refused {
                provider: provider.clone(),
                refusal: Refusal::because(
                    RefusalCode::Busy,
                    format!("{PER_PROVIDER} queries of this node are with it already; try again later"),
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn queries_above_the_limit_wait_for_those_of_the_same_provider() {
        let queries = OutgoingQueries::default();
        let (cleveland, zurich): (InstitutionId, InstitutionId) =
            ("cleveland".parse().unwrap(), "zurich".parse().unwrap());
        let mut held = Vec::new();
        for _ in 0..PER_PROVIDER {
            held.push(queries.turn_within(&cleveland, Duration::ZERO).await.unwrap());
        }
        let refused = queries.turn_within(&cleveland, Duration::ZERO).await.unwrap_err();
        assert!(
            matches!(&refused, FederationError::Refused { refusal, .. } if refusal.code == RefusalCode::Busy),
            "{refused:?}"
        );
        drop(queries.turn_within(&zurich, Duration::ZERO).await.unwrap());
        let mut waiting = Box::pin(queries.turn(&cleveland));
        assert!(futures::poll!(&mut waiting).is_pending());
        held.pop();
        waiting.await.unwrap();
        drop(held);
        queries.turn(&zurich).await.unwrap();
        assert_eq!(queries.0.lock().unwrap().len(), 1, "the other provider has no query");
    }
}
