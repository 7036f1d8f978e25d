//! One request at a time for the catalog of each member.
//!
//! A request waits for the one before it to the same member. When it may begin, and another one for the same has begun since it came and has
//! ended, their catalog is shared: it is not older than the request. So however many people of this node list catalogs, a member has one
//! stream for them, and what waits takes the time of two requests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use concordat_protocol::ids::{CollectionName, InstitutionId};

/// The requests of each member; `T` is what a member lists.
#[derive(Debug)]
pub(super) struct CatalogRequests<T>(std::sync::Mutex<BTreeMap<InstitutionId, Arc<Member<T>>>>);

#[derive(Debug)]
struct Member<T> {
    /// The number of requests that have begun.
    begun: AtomicU64,
    /// The number of callers that wait or request.
    callers: AtomicUsize,
    /// Held during a request. What it listed, while others wait.
    newest: tokio::sync::Mutex<Option<Listed<T>>>,
}

#[derive(Debug)]
struct Listed<T> {
    /// What was requested: one collection, or all.
    collection: Option<CollectionName>,
    /// Which request it was.
    number: u64,
    items: Arc<Vec<T>>,
}

impl<T> Default for CatalogRequests<T> {
    fn default() -> Self {
        Self(std::sync::Mutex::default())
    }
}

impl<T: Clone> CatalogRequests<T> {
    /// What `request` lists, or another request for the same `collection` of `member` that has begun since. One runs at a time.
    ///
    /// # Errors
    /// Those of `request`.
    pub(super) async fn share<E>(
        &self,
        member: &InstitutionId,
        collection: Option<&CollectionName>,
        request: impl Future<Output = Result<Vec<T>, E>>,
    ) -> Result<Vec<T>, E> {
        let member = self.member(member);
        let before = member.begun.load(Ordering::SeqCst);
        let caller = Caller::of(&member);
        let mut newest = member.newest.lock().await;
        let known = newest.as_ref().filter(|known| known.number > before);
        if let Some(known) = known.filter(|known| known.collection.as_ref() == collection) {
            let items = Arc::clone(&known.items);
            if caller.is_alone() {
                *newest = None;
            }
            return Ok(Arc::unwrap_or_clone(items));
        }
        *newest = None;
        let number = member.begun.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let items = request.await?;
        if caller.is_alone() {
            return Ok(items);
        }
        *newest = Some(Listed {
            collection: collection.cloned(),
            number,
            items: Arc::new(items.clone()),
        });
        Ok(items)
    }

    fn member(&self, member: &InstitutionId) -> Arc<Member<T>> {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = members.entry(member.clone()).or_insert_with(|| {
            Arc::new(Member {
                begun: AtomicU64::new(0),
                callers: AtomicUsize::new(0),
                newest: tokio::sync::Mutex::new(None),
            })
        });
        Arc::clone(entry)
    }
}

/// A caller that waits or requests.
struct Caller<'a>(&'a AtomicUsize);

impl<'a> Caller<'a> {
    fn of<T>(member: &'a Member<T>) -> Self {
        member.callers.fetch_add(1, Ordering::SeqCst);
        Self(&member.callers)
    }

    /// Whether no other one waits.
    fn is_alone(&self) -> bool {
        self.0.load(Ordering::SeqCst) < 2
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    /// Longer than a busy machine needs for what is ready.
    const LIMIT: Duration = Duration::from_secs(20);

    #[derive(Default)]
    struct Holder {
        running: AtomicUsize,
        most: AtomicUsize,
        requests: AtomicUsize,
    }

    impl Holder {
        /// Lists the number of the request.
        async fn list(&self) -> Result<Vec<usize>, &'static str> {
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(running, Ordering::SeqCst);
            let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
            sleep(Duration::from_millis(20)).await;
            self.running.fetch_sub(1, Ordering::SeqCst);
            Ok(vec![number])
        }

        fn counted(&self) -> (usize, usize) {
            (self.most.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
        }
    }

    fn basel() -> InstitutionId {
        "basel".parse().unwrap()
    }

    #[tokio::test]
    async fn catalog_requests_to_one_member_run_one_at_a_time() {
        let all = CatalogRequests::default();
        let holder = Holder::default();
        let basel = basel();
        let collections: Vec<CollectionName> = (0..4).map(|n| format!("c{n}").parse().unwrap()).collect();
        let requests = (0..40).map(|n| all.share(&basel, collections.get(n % 8), holder.list()));
        let listed = timeout(LIMIT, join_all(requests)).await.unwrap();
        assert!(listed.iter().all(Result::is_ok));
        assert_eq!(holder.counted().0, 1);
        // Another member is not waited for.
        let other = "zurich".parse().unwrap();
        let hanging = all.share(&basel, None, std::future::pending::<Result<Vec<usize>, &'static str>>());
        tokio::select! {
            _ = hanging => unreachable!("it does not end"),
            listed = all.share(&other, None, holder.list()) => assert!(listed.is_ok()),
        }
    }

    #[tokio::test]
    async fn catalog_that_others_wait_for_is_requested_once_more() {
        let all = CatalogRequests::default();
        let holder = Holder::default();
        let basel = basel();
        let requests = (0..50).map(|_| all.share(&basel, None, holder.list()));
        let listed = timeout(LIMIT, join_all(requests)).await.unwrap();
        // The first one, and one that began after all others had come.
        assert_eq!(holder.counted(), (1, 2));
        assert_eq!(listed.iter().filter(|listed| **listed == Ok(vec![2])).count(), 49);
        // Nothing that was listed before is returned later, and nothing is kept.
        assert_eq!(all.share(&basel, None, holder.list()).await, Ok(vec![3]));
        assert!(all.member(&basel).newest.lock().await.is_none());
    }

    #[tokio::test]
    async fn catalog_request_that_is_dropped_lets_the_next_begin() {
        let all = CatalogRequests::default();
        let holder = Holder::default();
        let basel = basel();
        let hanging = all.share(&basel, None, std::future::pending::<Result<Vec<usize>, &'static str>>());
        assert!(timeout(Duration::from_millis(20), hanging).await.is_err());
        assert_eq!(
            all.share(&basel, None, async { Err("unreachable") }).await,
            Err("unreachable")
        );
        let listed = timeout(LIMIT, all.share(&basel, None, holder.list())).await;
        assert_eq!(listed.unwrap(), Ok(vec![1]));
        assert_eq!(all.member(&basel).callers.load(Ordering::SeqCst), 0);
    }
}
