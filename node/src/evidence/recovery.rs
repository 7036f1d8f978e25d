//! Recovery of the evidence at a start: compares it with the ledger, and closes the records that a stop left open.
//!
//! The record of a query is durable before the first entry about it. So an entry without a record shows that the sealed state is an
//! older copy: no crash can cause this. A crash can leave a record without its entries. An entry that a record names is covered by the
//! state ([`Ledger::apply`](concordat_storage::ledger::Ledger::apply)), so a ledger without it did not open.
//!
//! An entry that the state covers need not be named: the change of another query covers all entries, also one whose record is changed a moment later.
//! A record names its end in the change that closes it, and what came before that earlier. So only a record that is open can lack an entry
//! of its query, and none of them is older than the record: a start reads the ledger from there.

use std::collections::BTreeMap;

use concordat_protocol::audit::{EntryBody, NodeTask, Outcome};
use concordat_protocol::ids::QueryId;
use concordat_protocol::query::query_of;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Ledger, LedgerError, StoredEntry};
use concordat_storage::meta::MetaError;

use super::error::EvidenceError;
use super::{Evidence, EvidenceSide};
use crate::attribution::by_node;

impl Evidence {
    /// Compares the records with the entries that were not covered by the sealed state when the ledger was opened, and adds to each
    /// record the entries that are missing from it because of a crash. Must be called before the next entry is appended. Blocks.
    ///
    /// # Errors
    /// [`EvidenceError::StateOlder`] if there is an entry about a query of which there is no record.
    pub fn compare(&self) -> Result<(), EvidenceError> {
        let ledger = &self.0.ledger;
        let mut missing = Vec::new();
        for stored in ledger.range_for_start(ledger.anchored(), ledger.size())? {
            let entry = stored.entry.sequence;
            let about = query_of(&stored.entry.body);
            let Some(query) = about else { continue };
            let record = self.get(query)?.ok_or(EvidenceError::StateOlder { query, entry })?;
            if !record.entries.contains(&entry) {
                missing.push((query, entry));
            }
        }
        // Only now: with the first of these changes the state covers all entries, and the next start would not look for their records.
        for (query, entry) in missing {
            self.note(query, entry)?;
        }
        self.complete_open()
    }

    /// Names in the records of open queries the entries that the state covers and they do not name.
    fn complete_open(&self) -> Result<(), EvidenceError> {
        let ledger = &self.0.ledger;
        let open = self.open_since()?;
        let Some(first) = open.values().copied().min() else {
            return Ok(());
        };
        read_entries(ledger, (first, ledger.anchored()), READ, |stored| {
            let about = query_of(&stored.entry.body).filter(|query| open.contains_key(query));
            if let Some(query) = about {
                self.note(query, stored.entry.sequence)?;
            }
            Ok::<_, EvidenceError>(())
        })
    }

    /// The open queries, each with the size of the ledger when its record was begun.
    fn open_since(&self) -> Result<BTreeMap<QueryId, u64>, MetaError> {
        let mut since = BTreeMap::new();
        for (query, _) in self.0.open.iter()? {
            let Ok(query) = query.parse::<QueryId>() else {
                continue;
            };
            let known = self.get(query)?.and_then(|record| record.since);
            let earlier = self.0.ledger.size().saturating_sub(SEARCHED);
            since.insert(query, known.unwrap_or(earlier));
        }
        Ok(since)
    }

    /// Enters in the ledger that the queries that the last stop left open have ended, before anything else is queried or answered, and
    /// removes expired records. Returns how many queries were open. Blocks.
    ///
    /// # Errors
    /// [`EvidenceError`]; calling it again continues where it failed.
    pub fn recover(&self, now: Timestamp) -> Result<usize, EvidenceError> {
        let ledger = &self.0.ledger;
        let open = self.0.open.iter()?;
        let mut closed = 0;
        let ended = match self.open_since()?.values().copied().min() {
            Some(first) => ended(ledger, first)?,
            None => BTreeMap::new(),
        };
        for (query, side) in open {
            let Ok(query) = query.parse::<QueryId>() else {
                continue;
            };
            if let Some(entry) = ended.get(&query) {
                self.close(query, *entry, None)?;
                continue;
            }
            let body = match side {
                EvidenceSide::Consumer => EntryBody::QueryClosed {
                    query,
                    rows: 0,
                    bytes: 0,
                    outcome: Outcome::Failed {
                        reason: Reason::sanitized(
                            "ended by a restart of this node; what had been received is not known",
                        ),
                    },
                },
                EvidenceSide::Provider | EvidenceSide::Local => EntryBody::AnswerLost { query },
            };
            let entry = ledger.append(body, &by_node(NodeTask::Recovery), now)?;
            self.close(query, entry.sequence(), None)?;
            closed += 1;
        }
        self.remove_expired(now)?;
        Ok(closed)
    }
}

/// Entries at the end of the ledger that are searched for those about an open query whose record, of an earlier version, does not state since when
/// there can be any.
const SEARCHED: u64 = 10_000;
/// Entries that are in memory at the same time: some megabytes.
const READ: u64 = 4096;

/// Passes the entries from one number up to, not including, another one to `each`; `at_once` of them are read together.
pub(super) fn read_entries<E: From<LedgerError>>(
    ledger: &Ledger,
    (from, end): (u64, u64),
    at_once: u64,
    mut each: impl FnMut(StoredEntry) -> Result<(), E>,
) -> Result<(), E> {
    let mut start = from;
    while start < end {
        let next = start.saturating_add(at_once).min(end);
        for stored in ledger.range_for_start(start, next)? {
            each(stored)?;
        }
        start = next;
    }
    Ok(())
}

/// The queries whose ends are in the ledger from entry number `first` on, although their records may still be open: the stop came between the
/// entry and the closing of the record.
fn ended(ledger: &Ledger, first: u64) -> Result<BTreeMap<QueryId, u64>, LedgerError> {
    let mut ended = BTreeMap::new();
    read_entries(ledger, (first, ledger.size()), READ, |stored| {
        if let EntryBody::QueryClosed { query, .. }
        | EntryBody::AnswerReleased { query, .. }
        | EntryBody::AnswerLost { query }
        | EntryBody::DecisionMade {
            request: query,
            permitted: false,
            ..
        } = stored.entry.body
        {
            ended.insert(query, stored.entry.sequence);
        }
        Ok::<_, LedgerError>(())
    })?;
    Ok(ended)
}
