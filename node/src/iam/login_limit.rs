//! How often a person may log in.
//!
//! Each login, and each change of the own password, adds an entry to the ledger that is kept for good. A program that logs in all the time would
//! fill the disk. So those beyond [`MAX_LOGINS`] an hour are refused, once
//! the password was found to be right: wrong ones cannot use up the limit of a person.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use concordat_protocol::ids::ActorId;
use concordat_protocol::time::Timestamp;

use super::IamError;
use super::locked::lock;

/// The time in which logins are counted.
const WINDOW_MS: i64 = 3_600_000;
/// Most logins of an account in one window: one every thirty seconds. A session lasts for hours.
const MAX_LOGINS: u32 = 120;

/// The logins of the last hour by account; clones share them. Accounts beyond those that exist are never counted, so the list stays short.
#[derive(Clone, Debug, Default)]
pub(super) struct LoginLimit(Arc<Mutex<BTreeMap<ActorId, Window>>>);

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Timestamp,
    logins: u32,
}

impl LoginLimit {
    /// Counts a login of `person`, whose password is right.
    ///
    /// # Errors
    /// [`IamError::LoggedInTooOften`].
    pub(super) fn count(&self, person: &ActorId, now: Timestamp) -> Result<(), IamError> {
        let mut windows = lock(&self.0);
        // A clock that was set back also ends a window.
        windows.retain(|_, window| (0..WINDOW_MS).contains(&now.since(window.began)));
        let window = windows
            .entry(person.clone())
            .or_insert(Window { began: now, logins: 0 });
        if window.logins >= MAX_LOGINS {
            return Err(IamError::LoggedInTooOften {
                name: person.name().to_owned(),
                until: window.began.plus_millis(WINDOW_MS),
            });
        }
        window.logins = window.logins.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn login_limit_is_of_one_account_and_one_hour() {
        let limit = LoginLimit::default();
        let (eva, pal): (ActorId, ActorId) = ("eva@budapest".parse().unwrap(), "pal@budapest".parse().unwrap());
        let counted = |at: Timestamp| {
            (0..1000)
                .filter(|n| limit.count(&eva, at.plus_millis(*n)).is_ok())
                .count()
        };
        assert_eq!(counted(NOON), 120);
        assert_eq!(counted(NOON.plus_seconds(3_590)), 0);
        limit.count(&pal, NOON.plus_seconds(3_595)).unwrap();
        let refused = limit.count(&eva, NOON.plus_seconds(3_599)).unwrap_err();
        assert!(matches!(refused, IamError::LoggedInTooOften { until, .. } if until == NOON.plus_seconds(3_600)));
        assert_eq!(counted(NOON.plus_seconds(3_600)), 120);
        // The clock is set back.
        assert_eq!(counted(NOON.plus_seconds(1_000)), 120);
    }
}
