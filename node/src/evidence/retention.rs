//! Removal of the records whose retention has ended, at the start.
//!
//! 1. The clock of one start alone makes nothing expire. Ages are counted up to the earliest of the time now and the times of the newest
//!    entries that earlier runs wrote to the ledger. A node that was stopped for long removes at a later start what has expired meanwhile.
//! 2. How many records are removed, and from before which time, is entered in the ledger first. The entry anchors all entries before it in
//!    the sealed state, so no later start looks for the removed records.
//! 3. Some records stay, however old they are, and are examined again at the next start: those of queries that are open, of receipts that
//!    wait for a signature, and of queries with an entry that the sealed state did not cover when the ledger was opened.

use std::collections::BTreeSet;

use concordat_protocol::audit::{EntryBody, NodeTask};
use concordat_protocol::ids::QueryId;
use concordat_protocol::query::query_of;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Ledger, LedgerError};
use concordat_storage::meta::MetaError;

use super::days::{DayList, LISTS};
use super::error::EvidenceError;
use super::{DAY_MS, Evidence, OLDEST};
use crate::attribution::by_node;

/// Six years, as 45 CFR 164.316(b)(2)(i) requires for such documents, and some days.
pub(crate) const RETENTION_DAYS: i64 = 2200;
/// Newest entries of earlier runs whose times are compared: more than a service manager that restarts a node with a wrong clock writes
/// before a person notices, and few enough that they reach back no more than months on a node with little to do.
const COMPARED_ENTRIES: u64 = 64;

impl Evidence {
    /// Removes the records whose retention has ended, and returns their number. Must be called before the first query. Blocks.
    ///
    /// # Errors
    /// If the removal cannot be entered: nothing is removed then. Otherwise if the database fails; calling it again continues.
    pub fn remove_expired(&self, now: Timestamp) -> Result<u64, EvidenceError> {
        let ledger = &self.0.ledger;
        let until = first_retained_day(ledger, now)?;
        let Some(oldest) = self.0.oldest.get(OLDEST)?.filter(|oldest| *oldest < until) else {
            return Ok(0);
        };
        let retained = self.retained()?;
        let lists = self.lists(oldest, until)?;
        let expired = lists.iter().flat_map(|list| &list.queries);
        let records = expired.filter(|query| !retained.contains(*query)).count() as u64;
        if records > 0 {
            let before = Timestamp::from_millis(until.saturating_mul(DAY_MS));
            let entry = EntryBody::EvidenceRemoved { records, before };
            drop(ledger.append(entry, &by_node(NodeTask::Maintenance), now)?);
        }
        for list in lists {
            self.remove_list(&list, until, &retained)?;
        }
        let (records, change) = self.apply(|_, batch| {
            batch.put(&self.0.oldest, OLDEST, &until)?;
            Ok::<_, EvidenceError>(records)
        })?;
        self.until_durable(change)?;
        Ok(records)
    }

    /// The queries whose records stay, however old they are.
    fn retained(&self) -> Result<BTreeSet<QueryId>, EvidenceError> {
        let ledger = &self.0.ledger;
        let open = self.0.open.iter()?.filter_map(|(query, _)| query.parse().ok());
        let mut retained: BTreeSet<QueryId> = open.collect();
        for (_, waiting) in self.0.outstanding.iter()? {
            retained.extend(waiting.iter().map(|one| one.query));
        }
        let recent = ledger.range_for_start(ledger.anchored(), ledger.size())?;
        retained.extend(recent.iter().filter_map(|stored| query_of(&stored.entry.body)));
        Ok(retained)
    }

    /// The lists from day `oldest` to the day before `until` that are not empty.
    fn lists(&self, oldest: i64, until: i64) -> Result<Vec<DayList>, MetaError> {
        let mut lists = Vec::new();
        for day in oldest..until {
            for list in 0..LISTS {
                lists.extend(self.0.days.list(day, list)?);
            }
        }
        Ok(lists)
    }

    /// Removes the records of a list; those that stay are listed under day `until`, so that the next start examines them.
    fn remove_list(&self, expired: &DayList, until: i64, retained: &BTreeSet<QueryId>) -> Result<(), MetaError> {
        let (stay, removed): (BTreeSet<_>, BTreeSet<_>) = expired
            .queries
            .iter()
            .copied()
            .partition(|query| retained.contains(query));
        let ((), change) = self.apply(|_, batch| {
            for query in removed {
                batch.remove(&self.0.records, &query.to_string());
            }
            self.0.days.remove(batch, expired);
            if !stay.is_empty() {
                let page = self.0.days.page_with((until, expired.list), stay)?;
                self.0.days.put(batch, &page)?;
            }
            Ok::<_, MetaError>(())
        })?;
        self.until_durable(change)
    }
}

/// The day on which the oldest records began whose retention has not ended. All are retained if no earlier run wrote an entry.
fn first_retained_day(ledger: &Ledger, now: Timestamp) -> Result<i64, LedgerError> {
    let opened = ledger.opened();
    let compared = ledger.range_for_start(opened.saturating_sub(COMPARED_ENTRIES), opened)?;
    let earliest = compared.iter().map(|stored| stored.entry.at).min();
    let known = earliest.map_or(i64::MIN, |earliest| earliest.min(now).as_millis());
    Ok(known.div_euclid(DAY_MS).saturating_sub(RETENTION_DAYS))
}
