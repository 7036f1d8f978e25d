//! Answering other institutions: the provider's side of the catalog and of queries.
//!
//! Every query, of peers and of this institution's own people, takes the path of [`pipeline`]; each step can refuse it:
//!
//! 1. what can be checked without the policy ([`admission`]): the session is attested and the institution gets a query slot
//!    ([`party_limits`]); the envelope is valid, fresh, addressed to us, and was not sent before
//!    ([`concordat_protocol::query::ValidQuery`]); the institution has countersigned the receipts of earlier answers ([`evidence`]);
//!    there is a lease under its grant, and the day's queries are not used up;
//! 2. the policy permits it ([`decision`]), and below `records` the person, the institution and all together have not sent too many
//!    ([`limits_below_records`]);
//! 3. the decision is durable in the ledger, also if it is a denial; if it cannot be written, nothing is served;
//! 4. the permit opens the engine, once ([`permit`]). Below `records` the answer is made of cells that are decided with everything that was
//!    answered before ([`statistics`], [`memory`]), and leaves at one of few times ([`time_slot`]);
//! 5. the answer leaves in chunks ([`delivery`]), each under a guard of the grant. After any change of grant, policy, roster or people, the
//!    query is decided again before the next chunk ([`withdrawal`]);
//! 6. the outcome is in the ledger ([`outcome`]). The answer to a peer ends with a receipt that both sides sign ([`peer`]).
//!
//! Statements about a canary, which a peer sends to compare the answers with what this node announces, are no queries and need no permit
//! ([`probe`]).
//!
//! What would be decided about a query is answered before it is sent ([`estimate`]), by the same decision and without a permit.

mod admission;
mod case;
mod catalog;
mod decision;
mod delivery;
mod dictionary;
mod disclosure_rules;
mod early;
mod engine;
mod estimate;
mod evidence;
mod grant_columns;
mod grant_quota;
mod handle;
mod hour_counts;
mod limits_below_records;
mod local;
mod memory;
mod noise_budget;
mod outcome;
mod own_names;
mod party_limits;
mod peer;
mod permit;
mod pipeline;
mod probe;
mod refusal;
mod release_locks;
mod requester;
mod span;
mod statistics;
mod text_budget;
mod time_slot;
mod wait_deadline;
mod withdrawal;

use concordat_protocol::wire::streams::{CATALOG, ESTIMATE, GRANT_COLUMNS, PROBE, QUERY, RECEIPT};
use tracing::Instrument as _;

use crate::membership::session_span;
use crate::shutdown::Stage;
use concordat_network::{IncomingStreams, NetworkError};

pub(crate) use case::LocalQuery;
pub use engine::{DEFAULT_MEMORY, EngineConfig};
pub(crate) use handle::{Sharing, SharingParts};
pub(crate) use limits_below_records::{ISOLATING, Searching, UnlockOrder, Unlocking};
pub(crate) use local::{LocalChunks, subject};
pub(crate) use party_limits::QuerySlot;
pub(crate) use requester::Requester;
pub(crate) use span::{describe_query, identify_query, query_span};

impl Sharing {
    /// Answers peers until `stage` stops.
    ///
    /// # Errors
    /// [`NetworkError::AlreadyServed`].
    pub fn serve(&self, stage: &Stage) -> Result<(), NetworkError> {
        let network = &self.0.parts.network;
        let catalogs = network.accept(CATALOG)?;
        let columns = network.accept(GRANT_COLUMNS)?;
        let estimates = network.accept(ESTIMATE)?;
        let queries = network.accept(QUERY)?;
        let receipts = network.accept(RECEIPT)?;
        let probes = network.accept(PROBE)?;
        stage.spawn(self.clone().enter_counted_refusals(stage.clone()));
        stage.spawn(self.clone().serve_all(receipts, stage.clone(), Protocol::Receipt));
        stage.spawn(self.clone().serve_all(catalogs, stage.clone(), Protocol::Catalog));
        stage.spawn(self.clone().serve_all(probes, stage.clone(), Protocol::Probe));
        stage.spawn(self.clone().serve_all(columns, stage.clone(), Protocol::GrantColumns));
        stage.spawn(self.clone().serve_all(estimates, stage.clone(), Protocol::Estimate));
        stage.spawn(self.clone().serve_all(queries, stage.clone(), Protocol::Query));
        Ok(())
    }

    /// Each stream has a task of its own, so that a slow reader delays no other peer.
    async fn serve_all(self, mut incoming: IncomingStreams, stage: Stage, protocol: Protocol) {
        while let Some(stream) = stage.token().run_until_cancelled(incoming.next()).await {
            let sharing = self.clone();
            let span = session_span(stream.session().peer());
            let served = async move {
                let served = match protocol {
                    Protocol::Catalog => sharing.send_catalog(stream).await,
                    Protocol::GrantColumns => sharing.send_grant_columns(stream).await,
                    Protocol::Estimate => sharing.send_estimates(stream).await,
                    Protocol::Query => sharing.answer_peer(stream).await,
                    Protocol::Receipt => sharing.serve_receipts(stream).await,
                    Protocol::Probe => sharing.answer_probe(stream).await,
                };
                if let Err(error) = served {
                    tracing::debug!(%error, "a stream opened by a peer failed");
                }
            };
            stage.spawn(served.instrument(span));
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Catalog,
    GrantColumns,
    Estimate,
    Query,
    Receipt,
    Probe,
}
