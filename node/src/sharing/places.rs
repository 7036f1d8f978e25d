//! Room for those who ask: no peer can take up all of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use concordat_protocol::ids::NodeId;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Queries of one peer that are answered at the same time. A join over several of our tables needs one for each.
const AT_ONCE: usize = 8;
/// How long a query waits for its turn; less than what the asking side waits for its first word.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who is being answered.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<BTreeMap<NodeId, Arc<Semaphore>>>);

impl Places {
    /// A place for one query of `peer`, held until the result is dropped.
    ///
    /// # Errors
    /// [`RefusalCode::Busy`] when none becomes free in time.
    pub(super) async fn take(&self, peer: NodeId) -> Result<OwnedSemaphorePermit, Refusal> {
        self.take_within(peer, PATIENCE).await
    }

    async fn take_within(&self, peer: NodeId, patience: Duration) -> Result<OwnedSemaphorePermit, Refusal> {
        match tokio::time::timeout(patience, self.room(peer).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Refusal::because(
                RefusalCode::Busy,
                format!("{AT_ONCE} of your queries are being answered; ask again later"),
            )),
        }
    }

    fn room(&self, peer: NodeId) -> Arc<Semaphore> {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms
            .entry(peer)
            .or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)))
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_that_asks_too_much_at_once_waits_and_is_refused_while_others_are_answered() {
        let places = Places::default();
        let (greedy, modest) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(places.take_within(greedy, Duration::ZERO).await.unwrap());
        }
        assert_eq!(
            places.take_within(greedy, Duration::ZERO).await.unwrap_err().code,
            RefusalCode::Busy
        );
        assert!(places.take_within(modest, Duration::ZERO).await.is_ok());
        held.pop();
        assert!(places.take_within(greedy, Duration::ZERO).await.is_ok());
    }
}
