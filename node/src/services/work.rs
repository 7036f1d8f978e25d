//! Work for requests of the API: a policy check, the verification of a dataset, the list of all grants.
//!
//! It keeps threads, memory or streams busy that everything else needs too, so it is limited, for each account and in all; what is not short, more
//! strictly:
//!
//! 1. The route of a request states what it costs. For work, the router begins a [`Work`] before the handler. A request above the limit waits for an
//!    earlier one to end, and occupies no thread meanwhile; it is refused if many wait already, or if it has waited for long.
//! 2. What the handler does belongs to the work, also on a thread for blocking work (`run.rs`): the permit is held until the last of it
//!    has ended, whether or not the client still waits.
//! 3. The response belongs to the work until its client has read it, or has left: it waits in memory (`api/held_body.rs`).
//! 4. If the client does not wait any more, the work is canceled. Loops that only compute an answer check it; a change of the
//!    node's state is completed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::ActorId;
use tokio::time::timeout;

use super::account_permits::{AccountLimits, AccountPermit, AccountPermits, LimitReached};

/// Of work that is not short. A person does one thing after the other, and a command a few at a time; four accounts are needed to use up the
/// limit of all. A policy check takes tens of megabytes.
const LONG: WorkLimits = WorkLimits {
    running: AccountLimits { account: 3, all: 12 },
    // A program may send the commands of a whole folder at the same time.
    waiting: AccountLimits { account: 12, all: 48 },
};
/// Of short work. Even if it took long, it would leave most of the 512 threads for blocking work free.
const SHORT: WorkLimits = WorkLimits {
    running: AccountLimits { account: 8, all: 64 },
    waiting: AccountLimits { account: 32, all: 256 },
};
const LONGEST_WAIT: Duration = Duration::from_secs(30);

tokio::task_local! {
    /// The work of the request that this task or thread belongs to.
    static CURRENT: Work;
}

/// How much work may run, and how many requests may wait for it.
#[derive(Clone, Copy, Debug)]
struct WorkLimits {
    running: AccountLimits,
    waiting: AccountLimits,
}

/// The work of each account of one kind, and what waits for it; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct AccountWork {
    limits: WorkLimits,
    running: AccountPermits,
    waiting: AccountPermits,
}

impl AccountWork {
    /// For work that is not short.
    pub(crate) fn long() -> Self {
        Self::new(LONG)
    }

    /// For short work.
    pub(crate) fn short() -> Self {
        Self::new(SHORT)
    }

    fn new(limits: WorkLimits) -> Self {
        Self {
            limits,
            running: AccountPermits::new(limits.running),
            waiting: AccountPermits::new(limits.waiting),
        }
    }

    /// Begins work of `person`, as soon as less than the most is running.
    ///
    /// # Errors
    /// `unreachable` if as many wait already as may, or after [`LONGEST_WAIT`].
    pub(crate) async fn begin(&self, person: &ActorId) -> Result<Work, Problem> {
        self.begin_within(person, LONGEST_WAIT).await
    }

    async fn begin_within(&self, person: &ActorId, wait: Duration) -> Result<Work, Problem> {
        let permit = match self.running.begin(person) {
            Ok(permit) => permit,
            Err(reached) => {
                let _waiting = self.waiting.begin(person).map_err(|reached| self.too_many(reached))?;
                timeout(wait, self.running.wait(person))
                    .await
                    .map_err(|_| waited_for_long(reached))?
            }
        };
        Ok(Work(Arc::new(Running {
            canceled: Arc::default(),
            _permit: permit,
        })))
    }

    fn too_many(&self, waiting: LimitReached) -> Problem {
        match waiting {
            LimitReached::Account(waiting) => {
                let running = self.limits.running.account;
                let detail = format!("{running} requests of yours are running, and {waiting} wait for them");
                Problem::new(ErrorKind::Unreachable, detail).help("wait until one of them has ended, and try again")
            }
            LimitReached::All => {
                let detail = "the maximum number of requests is running, and many wait for them";
                Problem::new(ErrorKind::Unreachable, detail).help("try again later")
            }
        }
    }
}

fn waited_for_long(running: LimitReached) -> Problem {
    let whose = match running {
        LimitReached::Account(_) => "requests of yours",
        LimitReached::All => "requests of others",
    };
    Problem::new(
        ErrorKind::Unreachable,
        format!(
            "{whose} that take longer have not ended in {} s",
            LONGEST_WAIT.as_secs()
        ),
    )
    .help("wait until one of them has ended, and try again")
}

/// The work of one request; clones share it, and the last one ends it.
#[derive(Clone, Debug)]
pub(crate) struct Work(Arc<Running>);

#[derive(Debug)]
struct Running {
    canceled: Arc<AtomicBool>,
    _permit: AccountPermit,
}

impl Work {
    /// Handles a request as part of this work, which is canceled if the future is dropped.
    pub(crate) async fn handle<F: Future>(self, handling: F) -> F::Output {
        let _canceled_at_the_end = CancelOnDrop(Arc::clone(&self.0.canceled));
        CURRENT.scope(self, handling).await
    }

    /// Runs `blocking` as part of this work, on another thread.
    pub(super) fn run<T>(self, blocking: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, blocking)
    }
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The work that this task or thread belongs to, if it is part of one.
pub(super) fn current() -> Option<Work> {
    CURRENT.try_with(Work::clone).ok()
}

/// Set when the client of the current work does not wait any more; never set outside of work.
pub(super) fn canceled() -> Arc<AtomicBool> {
    current().map_or_else(Arc::default, |work| Arc::clone(&work.0.canceled))
}

/// Checks that the client of the current work still waits.
///
/// # Errors
/// `unreachable` if it does not.
pub(super) fn check_canceled() -> Result<(), Problem> {
    if canceled().load(Ordering::Relaxed) {
        Err(client_left())
    } else {
        Ok(())
    }
}

/// Why work ended early. The client that does not wait does not read it.
pub(super) fn client_left() -> Problem {
    Problem::new(
        ErrorKind::Unreachable,
        "the client does not wait for the answer any more",
    )
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// Longer than a busy machine needs for what is ready.
    const LIMIT: Duration = Duration::from_secs(20);

    fn person(name: &str) -> ActorId {
        format!("{name}@budapest").parse().unwrap()
    }

    /// Polls once: `None` if it waits.
    fn at_once(all: &AccountWork, name: &str) -> Option<Result<Work, Problem>> {
        all.begin(&person(name)).now_or_never()
    }

    fn begun(all: &AccountWork, name: &str, count: usize) -> Vec<Work> {
        (0..count).map(|_| at_once(all, name).unwrap().unwrap()).collect()
    }

    #[tokio::test]
    async fn work_of_one_account_and_of_all_is_limited() {
        let all = AccountWork::long();
        let mut own = begun(&all, "eva", LONG.running.account);
        assert!(at_once(&all, "eva").is_none());
        own.pop();
        own.extend(begun(&all, "eva", 1));
        let others: Vec<_> = (1..LONG.running.all / LONG.running.account)
            .flat_map(|n| begun(&all, &format!("p{n}"), LONG.running.account))
            .collect();
        assert_eq!(others.len() + own.len(), LONG.running.all);
        assert!(at_once(&all, "pal").is_none());
        drop(own);
        begun(&all, "pal", LONG.running.account);
    }

    #[tokio::test]
    async fn work_above_the_limit_begins_when_other_work_ends() {
        let all = AccountWork::long();
        let own = begun(&all, "eva", LONG.running.account);
        let begin = |name: &str| {
            let (all, person) = (all.clone(), person(name));
            tokio::spawn(async move { all.begin(&person).await })
        };
        let waiting: Vec<_> = (0..LONG.waiting.account).map(|_| begin("eva")).collect();
        let all_wait = async {
            while at_once(&all, "eva").is_none() {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, all_wait).await.expect("they wait in time");
        let refused = at_once(&all, "eva").expect("no more may wait").unwrap_err();
        assert_eq!(refused.code, ErrorKind::Unreachable);
        assert!(refused.help.is_some(), "{refused:?}");
        drop(own);
        for work in waiting {
            // It ends at once, for the next one.
            timeout(LIMIT, work).await.expect("it begins in time").unwrap().unwrap();
        }
        assert_eq!((all.running.accounts(), all.waiting.accounts()), (0, 0));
    }

    #[tokio::test]
    async fn work_waits_a_limited_time() {
        let all = AccountWork::long();
        let _own = begun(&all, "eva", LONG.running.account);
        let eva = person("eva");
        let waited = timeout(LIMIT, all.begin_within(&eva, Duration::from_millis(20)));
        let refused = waited.await.expect("it ends").unwrap_err();
        assert_eq!(refused.code, ErrorKind::Unreachable);
        assert_eq!(all.waiting.accounts(), 0);
    }

    #[tokio::test]
    async fn client_that_leaves_while_it_waits_occupies_nothing() {
        let all = AccountWork::long();
        let _own = begun(&all, "eva", LONG.running.account);
        let waits = tokio::spawn({
            let all = all.clone();
            async move { all.begin(&person("eva")).await }
        });
        let begins_to_wait = async {
            while all.waiting.accounts() == 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, begins_to_wait).await.expect("it waits");
        waits.abort();
        waits.await.unwrap_err();
        assert_eq!(all.waiting.accounts(), 0);
    }

    /// A client that disconnects ends only the waiting: its permit is not free before the thread is.
    #[tokio::test]
    async fn work_holds_its_permit_after_its_client_has_left() {
        let all = AccountWork::long();
        let (begun, has_begun) = tokio::sync::oneshot::channel::<()>();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let handling = async move {
            let work = current().expect("a handler is part of the work");
            let blocking = move || {
                work.run(|| {
                    begun.send(()).unwrap();
                    ended.recv().ok();
                    check_canceled().is_err()
                })
            };
            tokio::task::spawn_blocking(blocking).await.unwrap()
        };
        let work = all.begin(&person("eva")).await.unwrap();
        let canceled = Arc::clone(&work.0.canceled);
        let request = tokio::spawn(work.handle(handling));
        timeout(LIMIT, has_begun).await.expect("it begins in time").unwrap();
        assert!(!canceled.load(Ordering::Relaxed));
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        assert!(canceled.load(Ordering::Relaxed));
        assert_eq!(all.running.accounts(), 1);
        end.send(()).unwrap();
        let free = async {
            while all.running.accounts() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LIMIT, free)
            .await
            .expect("the permit is free when the thread is");
    }

    #[tokio::test]
    async fn work_is_not_canceled_while_its_client_waits() {
        let all = AccountWork::long();
        assert!(current().is_none());
        assert!(check_canceled().is_ok());
        let waited = all.begin(&person("eva")).await.unwrap().handle(async {
            let work = current().unwrap();
            tokio::task::spawn_blocking(move || work.run(check_canceled))
                .await
                .unwrap()
        });
        assert!(waited.await.is_ok());
        assert_eq!(all.running.accounts(), 0);
    }
}
