//! Delays that increase with every wrong password.
//!
//! An attempt is counted *before* the password is checked, and the count is cleared if the password was right, so that simultaneous
//! attempts are counted too. Names that do not exist are counted in memory, so that a lockout does not reveal which names exist.
//!
//! Attempts from the account of the operating system that last logged in under a name are counted separately from all others: other
//! processes of the machine cannot lock a person out there. Of guesses, this permits at most twice as many.

use std::collections::HashMap;

use concordat_protocol::time::Timestamp;
use concordat_storage::meta::{SealedDb, SealedTree, TreeId};
use serde::{Deserialize, Serialize};

use super::IamError;

/// Wrong passwords without a delay; they cost only the work of hashing.
const FREE_ATTEMPTS: u32 = 3;
/// The longest delay: a quarter of an hour, 96 attempts per day.
const MAX_DELAY_S: i64 = 900;
/// Most nonexistent names that are counted; beyond this, all of them are discarded.
const MAX_UNKNOWN: usize = 4096;

const TREE: TreeId = TreeId::new("login-failures");
const OWN_TREE: TreeId = TreeId::new("login-failures-own");

/// Wrong passwords since the last correct one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failures {
    count: u32,
    last: i64,
}

impl Failures {
    /// With a last attempt no later than `now`: if the clock was set back, the delay counts from now on instead of from a time
    /// that may be years away.
    fn until(self, now: Timestamp) -> Self {
        Self {
            last: self.last.min(now.as_millis()),
            ..self
        }
    }

    fn locked_until(self) -> Timestamp {
        let doublings = self.count.checked_sub(FREE_ATTEMPTS);
        let delay = doublings.map_or(0, |n| 1_i64.checked_shl(n).unwrap_or(MAX_DELAY_S).clamp(1, MAX_DELAY_S));
        Timestamp::from_millis(self.last).plus_seconds(delay)
    }

    fn increment(self, now: Timestamp) -> Self {
        Self {
            count: self.count.saturating_add(1).min(60),
            last: now.as_millis(),
        }
    }
}

/// The account of the operating system that last logged in under a name, and the wrong passwords from there since.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct OwnFailures {
    uid: u32,
    failures: Failures,
}

/// Where an attempt is counted.
#[derive(Clone, Copy, Debug)]
enum Counter {
    /// From the account of the operating system that last logged in under the name.
    Own(u32),
    /// From all others.
    Others,
    /// Under a name that does not exist.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Lockout {
    known: SealedTree<Failures>,
    own: SealedTree<OwnFailures>,
    unknown: HashMap<String, Failures>,
}

impl Lockout {
    pub(super) fn open(db: &SealedDb) -> Result<Self, IamError> {
        Ok(Self {
            known: db.tree(TREE)?,
            own: db.tree(OWN_TREE)?,
            unknown: HashMap::new(),
        })
    }

    /// Counts an attempt from the account `os_account` of the operating system, or refuses it.
    pub(super) fn begin(
        &mut self,
        name: &str,
        exists: bool,
        os_account: Option<u32>,
        now: Timestamp,
    ) -> Result<(), IamError> {
        let (counter, stored) = self.counted(name, exists, os_account)?;
        let failures = stored.until(now);
        let until = failures.locked_until();
        if now < until {
            // Stored, so that the delay ends although the clock is behind the time of the last attempt.
            if failures != stored {
                self.store(name, counter, failures)?;
            }
            return Err(IamError::LockedOut {
                name: name.to_owned(),
                until,
            });
        }
        self.store(name, counter, failures.increment(now))
    }

    fn counted(&self, name: &str, exists: bool, os_account: Option<u32>) -> Result<(Counter, Failures), IamError> {
        if !exists {
            let failures = self.unknown.get(name).copied();
            return Ok((Counter::Unknown, failures.unwrap_or_default()));
        }
        let own = self.own.get(name)?;
        if let Some(own) = own.filter(|own| os_account == Some(own.uid)) {
            return Ok((Counter::Own(own.uid), own.failures));
        }
        Ok((Counter::Others, self.known.get(name)?.unwrap_or_default()))
    }

    fn store(&mut self, name: &str, counter: Counter, failures: Failures) -> Result<(), IamError> {
        match counter {
            Counter::Own(uid) => self.own.put(name, &OwnFailures { uid, failures })?,
            Counter::Others => self.known.put(name, &failures)?,
            Counter::Unknown => {
                if self.unknown.len() >= MAX_UNKNOWN {
                    self.unknown.clear();
                }
                self.unknown.insert(name.to_owned(), failures);
            }
        }
        Ok(())
    }

    /// Clears the count of an attempt from `os_account`: the password was correct. Attempts from there have a count of their own from
    /// now on; that of all others stays, so that a login does not give them more guesses.
    pub(super) fn succeed(&mut self, name: &str, os_account: Option<u32>) -> Result<(), IamError> {
        let own = self.own.get(name)?;
        if os_account.is_none() || own.is_none_or(|own| os_account != Some(own.uid)) {
            self.known.remove(name)?;
        }
        if let Some(uid) = os_account {
            self.store(name, Counter::Own(uid), Failures::default())?;
        }
        Ok(())
    }

    /// Clears all counts: an administrator set a new password or enabled the account.
    pub(super) fn clear(&mut self, name: &str) -> Result<(), IamError> {
        self.unknown.remove(name);
        self.known.remove(name)?;
        if let Some(own) = self.own.get(name)? {
            self.store(name, Counter::Own(own.uid), Failures::default())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockout_delay_doubles_up_to_a_quarter_of_an_hour() {
        let delays: Vec<i64> = (0..16)
            .map(|count| Failures { count, last: 0 }.locked_until().as_millis() / 1000)
            .collect();
        assert_eq!(delays, [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(
            Failures {
                count: u32::MAX,
                last: 0
            }
            .locked_until()
            .as_millis(),
            900_000
        );
        let many = (0..200).fold(Failures::default(), |failures, _| {
            failures.increment(Timestamp::from_millis(0))
        });
        assert_eq!(many.locked_until().as_millis(), 900_000);
    }
}
