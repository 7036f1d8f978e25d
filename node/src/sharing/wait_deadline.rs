//! How long one query waits before it runs.
//!
//! A query waits for an exchange of its institution, for a slot of its party, for one of our own people's, for one of all slots, and for the
//! decisions before it. The time for all of them begins once, when the query arrives: with a time for each, a query could wait for longer
//! than its consumer, and be answered when no one reads any more.

use std::time::Duration;

use tokio::time::Instant;

/// How long a query waits, for everything together. The consumer waits [`Deadlines::QUIET`](concordat_network::Deadlines::QUIET) for the
/// first message: what is left of that is for the attestation of its session before, and afterward for the ledger, for the process of the
/// query, and for the way back.
pub(super) const WAIT_TIMEOUT: Duration = Duration::from_secs(40);

/// The time up to which one query waits, whatever it waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitDeadline(Instant);

impl WaitDeadline {
    /// The deadline of a query that arrives now.
    pub(super) fn start() -> Self {
        Self::after(WAIT_TIMEOUT)
    }

    /// The deadline that is over after `timeout`.
    pub(super) fn after(timeout: Duration) -> Self {
        Self(tokio::time::sleep(timeout).deadline())
    }

    /// Waits for `awaited`; `None` if the deadline comes first. What is there already is returned after the deadline too.
    pub(super) async fn wait<T>(self, awaited: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.0, awaited).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use concordat_network::{Deadlines, Timeouts};

    use super::*;

    /// Least time for the ledger and the process of a query, on a machine that is busy.
    const LEFT: Duration = Duration::from_secs(15);

    #[test]
    fn wait_of_a_query_ends_before_its_consumer_gives_up() {
        let timeouts = Timeouts::default();
        assert_eq!(timeouts.stream.quiet, Deadlines::QUIET);
        assert!(timeouts.attest + WAIT_TIMEOUT + LEFT <= Deadlines::QUIET);
    }

    #[tokio::test]
    async fn wait_returns_what_is_there_and_ends_otherwise() {
        let passed = WaitDeadline::after(Duration::ZERO);
        assert_eq!(passed.wait(std::future::ready(7)).await, Some(7));
        assert_eq!(passed.wait(std::future::pending::<u8>()).await, None);
        assert_eq!(
            passed.wait(std::future::ready(8)).await,
            Some(8),
            "no wait begins a deadline of its own"
        );
    }
}
