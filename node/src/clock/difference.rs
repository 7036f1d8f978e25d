//! The clock compared with the ledger at a start.

use std::fmt;

use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Ledger, LedgerError};

/// How far the clock may be from the newest entry without notice. A correct clock is never before it, and a node that serves is not
/// stopped for a day.
const NOTICED_MS: u64 = 86_400_000;

/// A clock that differed by more than a day from the newest entry of the ledger when the node started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDifference {
    newest: Timestamp,
    started: Timestamp,
}

impl ClockDifference {
    /// Compares `now` with the newest entry that an earlier run wrote; `None` if they differ by a day or less. Blocks.
    ///
    /// # Errors
    /// If the entry cannot be read.
    pub fn at_start(ledger: &Ledger, now: Timestamp) -> Result<Option<Self>, LedgerError> {
        let opened = ledger.opened();
        let newest = ledger.range_for_start(opened.saturating_sub(1), opened)?.pop();
        let found = newest.map(|newest| Self {
            newest: newest.entry.at,
            started: now,
        });
        Ok(found.filter(|found| found.millis().unsigned_abs() > NOTICED_MS))
    }

    /// Whether the clock was before the newest entry, so that one of the two times is wrong. If it was after, the node may have been
    /// stopped or idle that long.
    pub const fn is_before(&self) -> bool {
        self.millis() < 0
    }

    const fn millis(&self) -> i64 {
        self.started.since(self.newest)
    }
}

impl fmt::Display for ClockDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.millis().unsigned_abs().div_euclid(NOTICED_MS);
        let Self { newest, started } = self;
        if self.is_before() {
            write!(
                f,
                "the node started at {started}, {days} days before the newest entry of its ledger, {newest}: one of the two times is wrong"
            )
        } else {
            write!(
                f,
                "the node started at {started}, {days} days after the newest entry of its ledger, {newest}: the time is wrong unless the node was \
                 stopped or idle that long"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
    use concordat_protocol::audit::{EntryBody, NodeTask};
    use concordat_protocol::text::Label;

    use super::*;
    use crate::attribution::by_node;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const DAY: i64 = 86_400;

    #[test]
    fn clock_far_from_the_newest_entry_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        let open = || Ledger::open(&dir.path().join("ledger"), master.ledger(), "budapest".parse().unwrap()).unwrap();
        let append = |ledger: &Ledger, at| {
            let version = Label::sanitized("1");
            let entry = EntryBody::NodeStarted { version, start: None };
            drop(ledger.append(entry, &by_node(NodeTask::Start), at).unwrap());
        };
        let ledger = open();
        assert_eq!(
            ClockDifference::at_start(&ledger, NOON).unwrap(),
            None,
            "there is no entry"
        );
        append(&ledger, NOON);
        drop(ledger);

        let ledger = open();
        // What this run writes is not compared: it has the time of the same clock.
        append(&ledger, NOON.plus_seconds(100 * DAY));
        let found = |days: i64| ClockDifference::at_start(&ledger, NOON.plus_seconds(days * DAY)).unwrap();
        assert_eq!((found(0), found(1), found(-1)), (None, None, None));
        let after = found(2240).unwrap();
        assert!(
            !after.is_before() && after.to_string().contains("2240 days after"),
            "{after}"
        );
        let before = found(-30).unwrap();
        assert!(
            before.is_before() && before.to_string().contains("30 days before"),
            "{before}"
        );
    }
}
