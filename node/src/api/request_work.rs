//! What the requests of a route cost, and how many of an account run at the same time.

use crate::services::work::AccountWork;

/// What a request costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Milliseconds, whatever is sent and stored: a few more at the same time than of [`Self::Work`].
    Short,
    /// More, or a list that can be long: a few at the same time, for each account and in all ([`Work`](crate::services::work::Work)).
    Work,
    /// The handler has a limit of its own, as for queries, uploads and exports.
    OwnLimit,
}

/// The requests that are running, of each account.
#[derive(Clone, Debug)]
pub(super) struct RequestWork {
    long: AccountWork,
    short: AccountWork,
}

impl Default for RequestWork {
    fn default() -> Self {
        Self {
            long: AccountWork::long(),
            short: AccountWork::short(),
        }
    }
}

impl RequestWork {
    /// What a request belongs to; `None` if its handler has a limit of its own.
    pub(super) fn of(&self, cost: Cost) -> Option<&AccountWork> {
        match cost {
            Cost::Work => Some(&self.long),
            // Also limited: how long a request takes depends on what is stored.
            Cost::Short => Some(&self.short),
            Cost::OwnLimit => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn requests_with_a_session_are_limited_whatever_they_cost() {
        let person = "eva@budapest".parse().unwrap();
        for cost in [Cost::Short, Cost::Work] {
            let all = RequestWork::default();
            let work = all.of(cost).expect("a limit");
            let mut begun = Vec::new();
            while let Some(work) = work.begin(&person).now_or_never() {
                begun.push(work.unwrap());
                assert!(begun.len() < 9, "{cost:?}");
            }
            assert!(begun.len() > 2, "{cost:?}");
        }
    }
}
