//! What a start does with the evidence: it compares it with the ledger, and closes what a stop left open.
//!
//! The record of a query is durable before the first entry about it. So an entry without a record shows that the sealed state is an
//! older copy: no crash explains it. A record without its entries is what a crash leaves.

use std::collections::BTreeMap;

use concordat_protocol::audit::{EntryBody, NodeTask, Outcome};
use concordat_protocol::ids::QueryId;
use concordat_protocol::query::query_of;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Ledger, LedgerError};
use concordat_storage::meta::MetaError;

use super::{Evidence, EvidenceSide};
use crate::attribution::by_node;
use crate::fault::{Code, Explain};

/// Why the queries that a stop broke off could not be closed.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The state cannot be read or written.
    #[error("the evidence of queries cannot be read or written")]
    State(#[from] MetaError),
    /// The ledger does not take their ends.
    #[error("the ends of queries that a stop broke off cannot be entered in the ledger")]
    Ledger(#[from] LedgerError),
    /// The ledger tells of a query of which the state has no record.
    #[error(
        "the folder `meta` was replaced by an older copy: entry {entry} of the ledger tells of query {}, of which the sealed state \
         has no record, and no crash explains that",
        .query.short()
    )]
    StateOlder {
        /// The query.
        query: QueryId,
        /// The entry.
        entry: u64,
    },
    /// The work itself was broken off.
    #[error("closing the queries of the last run was broken off")]
    BrokenOff(#[from] tokio::task::JoinError),
}

impl Explain for EvidenceError {
    fn code(&self) -> Code {
        match self {
            Self::State(source) => source.code(),
            Self::Ledger(source) => source.code(),
            Self::StateOlder { .. } => Code::Integrity,
            Self::BrokenOff(_) => Code::Fault,
        }
    }

    fn help(&self) -> Option<String> {
        matches!(self, Self::StateOlder { .. })
            .then(|| "put the newest copy of `meta` back, or restore a backup into an empty directory".to_owned())
    }
}

impl Evidence {
    /// Compares the records with the entries for which the sealed state did not vouch when the ledger was opened, and gives each record
    /// the entries that a crash kept from it. To be called before the ledger takes another entry. Blocks.
    ///
    /// # Errors
    /// [`EvidenceError::StateOlder`] if there is an entry about a query of which there is no record.
    pub fn compare(&self, ledger: &Ledger) -> Result<(), EvidenceError> {
        for stored in ledger.range_for_start(ledger.anchored(), ledger.size())? {
            let (entry, about) = (stored.entry.sequence, query_of(&stored.entry.body));
            let Some(query) = about else { continue };
            let record = self.get(query)?.ok_or(EvidenceError::StateOlder { query, entry })?;
            if !record.entries.contains(&entry) {
                self.update(query, |record| record.entries.push(entry))?;
            }
        }
        Ok(())
    }

    /// Enters in the ledger that the queries which the last stop left open have ended, before anything else is asked or
    /// answered, and removes what is too old. Says how many were open. Blocks.
    ///
    /// # Errors
    /// [`EvidenceError`]; calling it again goes on.
    pub fn recover(&self, ledger: &Ledger, now: Timestamp) -> Result<usize, EvidenceError> {
        let open = self.0.open.iter()?;
        let mut closed = 0;
        let ended = if open.len() == 0 {
            BTreeMap::new()
        } else {
            ended(ledger)?
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
                        reason: Reason::fitted("ended by a restart of this node; what had arrived is not known"),
                    },
                },
                EvidenceSide::Provider | EvidenceSide::Local => EntryBody::AnswerLost { query },
            };
            let entry = ledger.append(body, &by_node(NodeTask::Recovery), now)?;
            self.close(query, entry.sequence(), None)?;
            closed += 1;
        }
        self.forget_old(now)?;
        Ok(closed)
    }
}

/// Entries at the end of the ledger among which the end of an open query can stand: the stop came between the two.
const SEARCHED: u64 = 10_000;

/// The queries whose ends are in the ledger although their records are open.
fn ended(ledger: &Ledger) -> Result<BTreeMap<QueryId, u64>, LedgerError> {
    let mut ended = BTreeMap::new();
    let size = ledger.size();
    for stored in ledger.range_for_start(size.saturating_sub(SEARCHED), size)? {
        if let EntryBody::QueryClosed { query, .. }
        | EntryBody::AnswerReleased { query, .. }
        | EntryBody::AnswerLost { query } = stored.entry.body
        {
            ended.insert(query, stored.entry.sequence);
        }
    }
    Ok(ended)
}
