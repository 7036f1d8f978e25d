//! One statement of each institution is checked and answered at a time.
//!
//! A peer may open many streams, and each statement needs a thread for blocking work, also one that is known. Those that wait here need none, and belong to
//! the streams of their peer, which are limited.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use concordat_protocol::ids::InstitutionId;
use tokio::sync::OwnedMutexGuard;

/// The exchanges that peers have begun.
#[derive(Debug, Default)]
pub(super) struct Exchanges(Mutex<BTreeMap<InstitutionId, Arc<tokio::sync::Mutex<()>>>>);

/// While this is held, no other exchange of the same institution begins, of whichever of its nodes.
#[derive(Debug)]
pub(super) struct Exchange {
    _only: OwnedMutexGuard<()>,
}

impl Exchanges {
    /// Waits until no other exchange of `institution` is under way.
    pub(super) async fn begin(&self, institution: &InstitutionId) -> Exchange {
        let only = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that no task holds or waits for are removed, so that the list stays short.
            all.retain(|_, only| Arc::strong_count(only) > 1);
            all.entry(institution.clone()).or_default().clone()
        };
        Exchange {
            _only: only.lock_owned().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn exchanges_of_one_institution_come_one_at_a_time() {
        let all = Exchanges::default();
        let zurich: InstitutionId = "zurich".parse().unwrap();
        let basel: InstitutionId = "basel".parse().unwrap();
        let first = all.begin(&zurich).now_or_never().unwrap();
        let mut second = Box::pin(all.begin(&zurich));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(all.begin(&basel).now_or_never().is_some());
        drop(first);
        let second = second.now_or_never().expect("it begins when the first has ended");
        assert!(all.begin(&zurich).now_or_never().is_none());
        drop(second);
        assert!(all.begin(&basel).now_or_never().is_some());
        assert_eq!(all.0.lock().unwrap().len(), 1, "the others are removed");
    }
}
