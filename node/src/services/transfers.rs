//! Transfers whose pace the client decides: uploads, exports, and reports of imports.
//!
//! Each of them keeps a thread for blocking work busy. Everything that decides and records needs these threads too, so transfers are
//! limited, for each account and in all, and the node does not wait without end for a client that does not read.

use std::time::Duration;

use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::ActorId;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::account_permits::{AccountLimits, AccountPermit, AccountPermits, LimitReached};
use crate::iam::{Actor, IamError};
use crate::node::Node;

/// In all far fewer than the 512 threads that the runtime has for blocking work. A person imports a few files at a time, and four accounts are
/// needed to use up the limit of all.
const LIMITS: AccountLimits = AccountLimits { account: 4, all: 16 };

/// How long a client may send or read too little. A client that reads or writes a file needs seconds.
pub(crate) const PACE_INTERVAL: Duration = Duration::from_secs(60);
/// How often it is checked that the person behind a transfer may still act.
pub(crate) const ACCOUNT_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The transfers of each account; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Transfers(AccountPermits);

/// Permission for one transfer, held for as long as work for it may run.
pub(crate) type TransferPermit = AccountPermit;

impl Default for Transfers {
    fn default() -> Self {
        Self(AccountPermits::new(LIMITS))
    }
}

impl Transfers {
    /// Permission for another transfer of `person`. It does not wait.
    ///
    /// # Errors
    /// `unreachable` if the account, or the node, has the most transfers that it may have.
    pub(crate) fn begin(&self, person: &ActorId) -> Result<TransferPermit, Problem> {
        self.0.begin(person).map_err(|reached| match reached {
            LimitReached::Account(own) => busy(format!("{own} imports, inspections and exports of yours are running"))
                .help("wait until one of them has ended, and try again"),
            LimitReached::All => {
                busy("the maximum number of imports, inspections and exports is running").help("try again later")
            }
        })
    }
}

/// As a query that is refused because others are running.
fn busy(detail: impl Into<String>) -> Problem {
    Problem::new(ErrorKind::Unreachable, detail)
}

/// Why a value was not delivered.
#[derive(Debug)]
pub(super) enum Undelivered {
    /// The client has disconnected, or delivery to it ended before.
    Closed,
    /// The client does not read, or the person may act no longer.
    Problem(Problem),
}

type Check = Box<dyn Fn() -> Result<(), IamError> + Send>;

/// What a client reads, sent from a thread that may block. It ends for good with the first value that is not delivered.
pub(super) struct Delivery<T> {
    /// `None` after the end.
    values: Option<mpsc::Sender<T>>,
    check: Check,
    check_interval: Duration,
    /// How long may still be waited for the client.
    left: Duration,
}

impl<T> Delivery<T> {
    /// Delivers to `caller`, for whom [`PACE_INTERVAL`] is waited, in all or since the last [`Self::restart`].
    pub(super) fn new(values: mpsc::Sender<T>, node: &Node, caller: &Actor) -> Self {
        let clock = node.clock().clone();
        let caller = caller.clone();
        Self {
            values: Some(values),
            check: Box::new(move || caller.check_current(clock.now())),
            check_interval: ACCOUNT_CHECK_INTERVAL,
            left: PACE_INTERVAL,
        }
    }

    /// Begins a new interval, for a client that has read enough.
    pub(super) fn restart(&mut self) {
        self.left = PACE_INTERVAL;
    }

    /// Waits until there is space for `value`. Blocks: only for threads that may.
    ///
    /// # Errors
    /// If the client has disconnected or does not read, or the person may act no longer.
    pub(super) fn send(&mut self, value: T) -> Result<(), Undelivered> {
        let sent = Handle::current().block_on(self.deliver(value));
        if sent.is_err() {
            self.values = None;
        }
        sent
    }

    /// Sends `value` if there is space for it.
    pub(super) fn send_if_space(&self, value: T) {
        if let Some(values) = &self.values {
            values.try_send(value).ok();
        }
    }

    async fn deliver(&mut self, value: T) -> Result<(), Undelivered> {
        let values = self.values.as_ref().ok_or(Undelivered::Closed)?;
        loop {
            let since = sleep(Duration::ZERO).deadline();
            let space = timeout(self.check_interval.min(self.left), values.reserve()).await;
            self.left = self.left.saturating_sub(since.elapsed());
            match space {
                Ok(Ok(space)) => {
                    space.send(value);
                    return Ok(());
                }
                Ok(Err(_)) => return Err(Undelivered::Closed),
                Err(_) => (self.check)().map_err(|error| Undelivered::Problem(error.into()))?,
            }
            if self.left.is_zero() {
                return Err(Undelivered::Problem(Problem::usage("the client reads too slowly")));
            }
        }
    }
}

#[cfg(test)]
mod tests;
