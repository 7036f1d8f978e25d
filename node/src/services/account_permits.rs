//! How much may run at the same time, for each account and in all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use concordat_protocol::ids::ActorId;
use tokio::sync::Notify;

type Counts = BTreeMap<ActorId, usize>;

/// The most that may run at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct AccountLimits {
    /// Of one account.
    pub(super) account: usize,
    /// Of all accounts together.
    pub(super) all: usize,
}

/// What runs for each account; clones share it.
#[derive(Clone, Debug)]
pub(super) struct AccountPermits {
    limits: AccountLimits,
    running: Arc<Running>,
}

#[derive(Debug, Default)]
struct Running {
    counts: Mutex<Counts>,
    /// Notified whenever a permit ends.
    ended: Notify,
}

/// Permission for one of it, held for as long as work for it may run.
#[derive(Debug)]
pub(crate) struct AccountPermit {
    person: ActorId,
    running: Arc<Running>,
}

/// Why there is no permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitReached {
    /// The account has this many, which is the most that it may have.
    Account(usize),
    /// All accounts together have the most.
    All,
}

impl AccountPermits {
    pub(super) fn new(limits: AccountLimits) -> Self {
        Self {
            limits,
            running: Arc::default(),
        }
    }

    /// Permission for another one of `person`. It does not wait.
    ///
    /// # Errors
    /// [`LimitReached`].
    pub(super) fn begin(&self, person: &ActorId) -> Result<AccountPermit, LimitReached> {
        let mut running = locked(&self.running.counts);
        let own = running.get(person).copied().unwrap_or_default();
        if own >= self.limits.account {
            return Err(LimitReached::Account(own));
        }
        if running.values().sum::<usize>() >= self.limits.all {
            return Err(LimitReached::All);
        }
        running.insert(person.clone(), own.saturating_add(1));
        Ok(AccountPermit {
            person: person.clone(),
            running: Arc::clone(&self.running),
        })
    }

    /// Permission for another one of `person`, as soon as there is one. Waits for as long as it is polled.
    pub(super) async fn wait(&self, person: &ActorId) -> AccountPermit {
        loop {
            let ended = self.running.ended.notified();
            tokio::pin!(ended);
            // Before the attempt, so that a permit which ends in between is noticed.
            ended.as_mut().enable();
            if let Ok(permit) = self.begin(person) {
                return permit;
            }
            ended.await;
        }
    }

    /// The number of accounts for which something runs.
    #[cfg(test)]
    pub(super) fn accounts(&self) -> usize {
        locked(&self.running.counts).len()
    }
}

impl Drop for AccountPermit {
    fn drop(&mut self) {
        let mut running = locked(&self.running.counts);
        let left = running.get(&self.person).map_or(0, |own| own.saturating_sub(1));
        // Accounts without a permit need no entry, so that the list stays short.
        if left == 0 {
            running.remove(&self.person);
        } else {
            running.insert(self.person.clone(), left);
        }
        drop(running);
        self.running.ended.notify_waiters();
    }
}

fn locked(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
