//! Delays that increase with every wrong password.
//!
//! An attempt is counted *before* the password is checked, and the count is cleared if the password was right, so that simultaneous
//! attempts are counted too. Names that do not exist are counted in memory, so that a lockout does not reveal which names exist.

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

#[derive(Debug)]
pub(super) struct Lockout {
    known: SealedTree<Failures>,
    unknown: HashMap<String, Failures>,
}

impl Lockout {
    pub(super) fn open(db: &SealedDb) -> Result<Self, IamError> {
        Ok(Self {
            known: db.tree(TREE)?,
            unknown: HashMap::new(),
        })
    }

    /// Counts an attempt, or refuses it.
    pub(super) fn begin(&mut self, name: &str, exists: bool, now: Timestamp) -> Result<(), IamError> {
        let stored = if exists {
            self.known.get(name)?
        } else {
            self.unknown.get(name).copied()
        }
        .unwrap_or_default();
        let failures = stored.until(now);
        let until = failures.locked_until();
        if now < until {
            // Stored, so that the delay ends although the clock is behind the time of the last attempt.
            if failures != stored {
                self.store(name, exists, failures)?;
            }
            return Err(IamError::LockedOut {
                name: name.to_owned(),
                until,
            });
        }
        self.store(name, exists, failures.increment(now))
    }

    fn store(&mut self, name: &str, exists: bool, failures: Failures) -> Result<(), IamError> {
        if exists {
            return Ok(self.known.put(name, &failures)?);
        }
        if self.unknown.len() >= MAX_UNKNOWN {
            self.unknown.clear();
        }
        self.unknown.insert(name.to_owned(), failures);
        Ok(())
    }

    /// Clears the count: the password was correct, or an administrator set a new one.
    pub(super) fn clear(&mut self, name: &str) -> Result<(), IamError> {
        self.unknown.remove(name);
        Ok(self.known.remove(name)?)
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
