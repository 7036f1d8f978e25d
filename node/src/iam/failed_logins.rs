//! Failed logins: which of them are entered in the ledger.
//!
//! A login needs no session, so any process that reaches the socket can cause them in any number, and each entry is durable. A wrong password
//! for an account is always entered: a lockout bounds their number. Of all other failures (unknown names, locked or disabled accounts,
//! too many logins at once), [`MAX_ENTRIES`] a minute are entered for each account, and as many for all unknown names together. The
//! others are counted, and the log states how many there were.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use concordat_protocol::ids::ActorId;
use concordat_protocol::time::Timestamp;

use super::IamError;
use super::locked::lock;

/// The time in which [`MAX_ENTRIES`] failures are entered.
const WINDOW_MS: i64 = 60_000;
/// Most entries for an account, or for all unknown names, in one window. More than a person causes by mistake.
const MAX_ENTRIES: u32 = 10;

/// The failed logins of the last minute by account, and those with unknown names; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailedLogins(Arc<Mutex<BTreeMap<Option<ActorId>, Window>>>);

#[derive(Debug)]
struct Window {
    began: Timestamp,
    entered: u32,
    left_out: u64,
}

impl Window {
    fn new(began: Timestamp) -> Self {
        Self {
            began,
            entered: 0,
            left_out: 0,
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        // A clock that was set back also ends the window.
        !(0..WINDOW_MS).contains(&now.since(self.began))
    }

    /// Counts a failure; whether it is to be entered.
    fn admit(&mut self) -> bool {
        let admitted = self.entered < MAX_ENTRIES;
        if admitted {
            self.entered = self.entered.saturating_add(1);
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
        admitted
    }
}

impl FailedLogins {
    /// Whether a login as `actor`, or with an unknown name, that failed with `error` is to be entered in the ledger. It is counted
    /// otherwise.
    pub(crate) fn is_entered(&self, actor: Option<&ActorId>, error: &IamError, now: Timestamp) -> bool {
        if actor.is_some() && matches!(error, IamError::WrongLogin) {
            return true;
        }
        self.report_ended(Some(now));
        let mut windows = lock(&self.0);
        let window = windows.entry(actor.cloned());
        window.or_insert_with(|| Window::new(now)).admit()
    }

    /// Ends the windows that are over at `now`, or all of them if `now` is `None`, logs how many failures of each were not entered, and
    /// returns their sum.
    pub(crate) fn report_ended(&self, now: Option<Timestamp>) -> u64 {
        let mut sum = 0_u64;
        lock(&self.0).retain(|actor, window| {
            let over = now.is_none_or(|now| window.is_over(now));
            if over && window.left_out > 0 {
                let known = actor.is_some();
                tracing::warn!(
                    known,
                    count = window.left_out,
                    "failed logins were not entered in the ledger"
                );
                sum = sum.saturating_add(window.left_out);
            }
            !over
        });
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn locked() -> IamError {
        IamError::LockedOut {
            name: "eva".to_owned(),
            until: NOON,
        }
    }

    /// How many of 1,000 failures within a minute are entered.
    fn entered(failures: &FailedLogins, actor: Option<&ActorId>, error: &IamError, from: Timestamp) -> usize {
        let times = (0..1000).map(|n| from.plus_millis(n * 50));
        times.filter(|now| failures.is_entered(actor, error, *now)).count()
    }

    #[test]
    fn login_failures_are_entered_in_bounded_number() {
        let eva: ActorId = "eva@budapest".parse().unwrap();
        let failures = FailedLogins::default();
        assert_eq!(entered(&failures, None, &IamError::WrongLogin, NOON), 10);
        assert_eq!(entered(&failures, Some(&eva), &locked(), NOON), 10);
        assert_eq!(failures.report_ended(None), 2 * 990, "none is lost");
        assert_eq!(failures.report_ended(None), 0);
        assert_eq!(entered(&failures, None, &locked(), NOON), 10);
        assert_eq!(entered(&failures, None, &locked(), NOON.plus_seconds(60)), 10);
    }

    #[test]
    fn login_with_a_wrong_password_is_entered_in_a_flood() {
        let eva: ActorId = "eva@budapest".parse().unwrap();
        let failures = FailedLogins::default();
        assert_eq!(entered(&failures, Some(&eva), &locked(), NOON), 10);
        assert!(failures.is_entered(Some(&eva), &IamError::WrongLogin, NOON.plus_seconds(50)));
    }
}
