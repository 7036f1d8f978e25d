//! Answering other institutions: the provider's side of the catalog and of queries.
//!
//! Every query, of peers and of this institution's own people, takes the path of [`pipeline`]; each step can refuse it:
//!
//! 1. what can be checked without the policy ([`admission`]): the session is attested and the institution gets a query slot
//!    ([`concurrency`]); the envelope is valid, fresh, addressed to us, and was not sent before
//!    ([`concordat_protocol::query::ValidQuery`]); the institution has countersigned the receipts of earlier answers ([`evidence`]);
//!    there is a lease under its grant, and the day's queries are not used up;
//! 2. the policy permits it ([`decision`]);
//! 3. the decision is durable in the ledger, also if it is a denial; if it cannot be written, nothing is served;
//! 4. the permit opens the engine, once, and the answer leaves in chunks ([`delivery`]), each under a guard of the grant. After any
//!    change of grant, policy, roster or people, the query is decided again before the next chunk;
//! 5. the outcome is in the ledger. The answer to a peer ends with a receipt that both sides sign ([`peer`]).

mod admission;
mod case;
mod catalog;
mod concurrency;
mod decision;
mod delivery;
mod early;
mod engine;
mod evidence;
mod local;
mod peer;
mod pipeline;
mod quota;

use std::sync::{Arc, Mutex};

use concordat_protocol::query::ReplayWindow;
use concordat_protocol::wire::messages::Refusal;
use concordat_storage::meta::MetaError;
use concordat_storage::{
    data_dir::Storage,
    engine::{Bounds, Workers},
    ledger::Ledger,
};
use libp2p::StreamProtocol;

use self::concurrency::{ConcurrencyLimits, Party};
use self::delivery::Departed;
use self::quota::Quota;
use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::evidence::Evidence;
use crate::iam::{Actor, Sessions};
use crate::identity::Identity;
use crate::membership::Membership;
use crate::negotiation::Grants;
use crate::network::{IncomingStreams, NetworkError, NetworkHandle};
use crate::policies::LivePolicy;
use crate::refusals::Refusals;
use crate::shutdown::Stage;

pub use case::LocalQuery;
pub use concurrency::QuerySlot;
pub use engine::{DEFAULT_MEMORY, EngineConfig};
pub use evidence::RECEIPT;
pub use local::LocalChunks;

/// The datasets that a peer may see.
pub const CATALOG: StreamProtocol = StreamProtocol::new("/concordat/catalog/1");
/// Queries under a grant.
pub const QUERY: StreamProtocol = StreamProtocol::new("/concordat/query/1");

/// A cloneable handle to what this node shares.
#[derive(Clone, Debug)]
pub struct Sharing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: SharingParts,
    replay: Mutex<ReplayWindow>,
    workers: Workers,
    limits: ConcurrencyLimits,
    /// The limits for queries that our own people have computed locally. They are separate because each such query may query our own
    /// datasets too.
    local_limits: ConcurrencyLimits,
    quota: Quota,
    departed: Departed,
    early: Refusals,
}

/// The dependencies of [`Sharing`].
#[derive(Debug)]
pub struct SharingParts {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// The datasets.
    pub storage: Storage,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock.
    pub clock: Clock,
    /// The network.
    pub network: NetworkHandle,
    /// The consortium.
    pub membership: Membership,
    /// The register of grants.
    pub grants: Grants,
    /// The policies.
    pub policy: LivePolicy,
    /// The sessions of this institution's own people.
    pub sessions: Sessions,
    /// Counts the changes that running answers depend on.
    pub epoch: Epoch,
    /// The evidence records of queries.
    pub evidence: Evidence,
    /// The configuration of the engine.
    pub engine: EngineConfig,
    /// The stage of the services: queries run in its tasks, so that they end with an outcome.
    pub stage: Stage,
}

impl Sharing {
    /// Creates the service; it answers no peer until [`Sharing::serve`].
    ///
    /// # Errors
    /// [`MetaError`] if the state cannot be opened.
    pub fn open(parts: SharingParts) -> Result<Self, MetaError> {
        let quota = Quota::open(parts.storage.meta())?;
        let bounds = parts.engine.bounds();
        Ok(Self(Arc::new(Inner {
            replay: Mutex::default(),
            workers: Workers::new(parts.engine.program.clone(), bounds),
            limits: ConcurrencyLimits::new(parts.engine.queries(), parts.clock.clone()),
            local_limits: ConcurrencyLimits::new(parts.engine.local_queries(), parts.clock.clone()),
            departed: Departed::new(parts.network.clone(), parts.stage.clone()),
            parts,
            quota,
            early: Refusals::default(),
        })))
    }

    /// The resources that one query may use here.
    pub fn bounds(&self) -> Bounds {
        self.0.workers.bounds()
    }

    /// A slot for a query of `actor` that is computed locally, held until it is dropped.
    ///
    /// # Errors
    /// [`Refusal`] if none becomes free in time.
    pub async fn local_slot(&self, actor: &Actor) -> Result<QuerySlot, Refusal> {
        self.0.local_limits.acquire(Party::Person(actor.id().clone())).await
    }

    /// Answers peers until `stage` stops.
    ///
    /// # Errors
    /// [`NetworkError::AlreadyServed`].
    pub fn serve(&self, stage: &Stage) -> Result<(), NetworkError> {
        let network = &self.0.parts.network;
        let (catalogs, queries) = (network.accept(CATALOG)?, network.accept(QUERY)?);
        let receipts = network.accept(RECEIPT)?;
        stage.spawn(self.clone().enter_counted_refusals(stage.clone()));
        stage.spawn(self.clone().serve_all(receipts, stage.clone(), Protocol::Receipt));
        stage.spawn(self.clone().serve_all(catalogs, stage.clone(), Protocol::Catalog));
        stage.spawn(self.clone().serve_all(queries, stage.clone(), Protocol::Query));
        Ok(())
    }

    /// Each stream has a task of its own, so that a slow reader delays no other peer.
    async fn serve_all(self, mut incoming: IncomingStreams, stage: Stage, protocol: Protocol) {
        while let Some(stream) = stage.token().run_until_cancelled(incoming.next()).await {
            let sharing = self.clone();
            stage.spawn(async move {
                let served = match protocol {
                    Protocol::Catalog => sharing.send_catalog(stream).await,
                    Protocol::Query => sharing.answer_peer(stream).await,
                    Protocol::Receipt => sharing.serve_receipts(stream).await,
                };
                if let Err(error) = served {
                    tracing::debug!(%error, "a stream opened by a peer failed");
                }
            });
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Catalog,
    Query,
    Receipt,
}
