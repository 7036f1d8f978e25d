//! Delays that grow with every wrong password.
//!
//! A try is counted *before* the password is looked at, and taken back when it was right, so that tries made at once are
//! counted too. Names that do not exist are counted in memory, so that a lock-out does not tell who exists.

use std::collections::HashMap;

use concordat_protocol::time::Timestamp;
use concordat_storage::meta::{SealedDb, SealedTree, TreeId};
use serde::{Deserialize, Serialize};

use super::IamError;

/// Wrong passwords that cost nothing but the work of hashing.
const FREE_TRIES: u32 = 3;
/// The longest delay: a quarter of an hour, 96 tries a day.
const MAX_DELAY_S: i64 = 900;
/// Most names that do not exist and are remembered; past this they are forgotten together.
const MAX_STRANGERS: usize = 4096;

const TREE: TreeId = TreeId::new("login-failures");

/// Wrong passwords since the last right one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failures {
    count: u32,
    last: i64,
}

impl Failures {
    fn open_at(self) -> Timestamp {
        let doublings = self.count.checked_sub(FREE_TRIES);
        let delay = doublings.map_or(0, |n| 1_i64.checked_shl(n).unwrap_or(MAX_DELAY_S).clamp(1, MAX_DELAY_S));
        Timestamp::from_millis(self.last).plus_seconds(delay)
    }

    fn and_one(self, now: Timestamp) -> Self {
        Self {
            count: self.count.saturating_add(1).min(60),
            last: now.as_millis(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Lockout {
    known: SealedTree<Failures>,
    strangers: HashMap<String, Failures>,
}

impl Lockout {
    pub(super) fn open(db: &SealedDb) -> Result<Self, IamError> {
        Ok(Self {
            known: db.tree(TREE)?,
            strangers: HashMap::new(),
        })
    }

    /// Counts a try, or refuses it.
    pub(super) fn begin(&mut self, name: &str, exists: bool, now: Timestamp) -> Result<(), IamError> {
        let failures = if exists {
            self.known.get(name)?
        } else {
            self.strangers.get(name).copied()
        }
        .unwrap_or_default();
        let until = failures.open_at();
        if now < until {
            return Err(IamError::LockedOut {
                name: name.to_owned(),
                until,
            });
        }
        let failures = failures.and_one(now);
        if exists {
            self.known.put(name, &failures)?;
        } else {
            if self.strangers.len() >= MAX_STRANGERS {
                self.strangers.clear();
            }
            self.strangers.insert(name.to_owned(), failures);
        }
        Ok(())
    }

    /// Forgets all tries: the password was right, or an administrator set a new one.
    pub(super) fn clear(&mut self, name: &str) -> Result<(), IamError> {
        self.strangers.remove(name);
        Ok(self.known.remove(name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_quarter_of_an_hour() {
        let delays: Vec<i64> = (0..16)
            .map(|count| Failures { count, last: 0 }.open_at().as_millis() / 1000)
            .collect();
        assert_eq!(delays, [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(
            Failures {
                count: u32::MAX,
                last: 0
            }
            .open_at()
            .as_millis(),
            900_000
        );
        let many = (0..200).fold(Failures::default(), |failures, _| {
            failures.and_one(Timestamp::from_millis(0))
        });
        assert_eq!(many.open_at().as_millis(), 900_000);
    }
}
