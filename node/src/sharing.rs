//! Answering other institutions: the provider's side of the catalog and of queries.
//!
//! Every query, of peers and of this institution's own people, takes the path of [`pipeline`]; each step can refuse it:
//!
//! 1. what can be checked without the policy ([`admission`]): the session is attested and the institution gets a query slot
//!    ([`party_limits`]); the envelope is valid, fresh, addressed to us, and was not sent before
//!    ([`concordat_protocol::query::ValidQuery`]); the institution has countersigned the receipts of earlier answers ([`evidence`]);
//!    there is a lease under its grant, and the day's queries are not used up;
//! 2. the policy permits it ([`decision`]);
//! 3. the decision is durable in the ledger, also if it is a denial; if it cannot be written, nothing is served;
//! 4. the permit opens the engine, once ([`permit`]), and the answer leaves in chunks ([`delivery`]), each under a guard of the
//!    grant. After any change of grant, policy, roster or people, the query is decided again before the next chunk ([`withdrawal`]);
//! 5. the outcome is in the ledger ([`outcome`]). The answer to a peer ends with a receipt that both sides sign ([`peer`]).

mod admission;
mod case;
mod catalog;
mod decision;
mod delivery;
mod early;
mod engine;
mod evidence;
mod grant_columns;
mod grant_quota;
mod handle;
mod local;
mod outcome;
mod party_limits;
mod peer;
mod permit;
mod pipeline;
mod refusal;
mod requester;
mod span;
mod text_budget;
mod wait_deadline;
mod withdrawal;

use concordat_protocol::wire::streams::{CATALOG, GRANT_COLUMNS, QUERY, RECEIPT};
use tracing::Instrument as _;

use crate::membership::session_span;
use crate::shutdown::Stage;
use concordat_network::{IncomingStreams, NetworkError};

pub(crate) use case::LocalQuery;
pub use engine::{DEFAULT_MEMORY, EngineConfig};
pub(crate) use handle::{Sharing, SharingParts};
pub(crate) use local::LocalChunks;
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
        let queries = network.accept(QUERY)?;
        let receipts = network.accept(RECEIPT)?;
        stage.spawn(self.clone().enter_counted_refusals(stage.clone()));
        stage.spawn(self.clone().serve_all(receipts, stage.clone(), Protocol::Receipt));
        stage.spawn(self.clone().serve_all(catalogs, stage.clone(), Protocol::Catalog));
        stage.spawn(self.clone().serve_all(columns, stage.clone(), Protocol::GrantColumns));
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
                    Protocol::Query => sharing.answer_peer(stream).await,
                    Protocol::Receipt => sharing.serve_receipts(stream).await,
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
    Query,
    Receipt,
}
