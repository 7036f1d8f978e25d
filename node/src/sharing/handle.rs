//! The handle to what this node shares.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use concordat_engine::{Bounds, Computation, QueryError, Workers};
use concordat_protocol::ids::ActorId;
use concordat_protocol::query::ReplayWindow;
use concordat_protocol::wire::messages::Refusal;
use concordat_storage::data_dir::Storage;
use concordat_storage::ledger::Ledger;
use concordat_storage::meta::MetaError;

use super::delivery::Departed;
use super::engine::EngineConfig;
use super::grant_quota::Quota;
use super::limits_below_records::LimitsBelowRecords;
use super::memory::AnswerMemories;
use super::party_limits::{ConcurrencyLimits, Party, QuerySlot};
use super::probe::Probes;
use super::requester::Requester;
use super::text_budget::TextBudget;
use super::wait_deadline::WaitDeadline;
use crate::changes::Changes;
use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::evidence::Evidence;
use crate::iam::{Actor, IamError, Sessions};
use crate::identity::Identity;
use crate::membership::Membership;
use crate::negotiation::{Grants, Negotiations};
use crate::policies::LivePolicy;
use crate::refusals::Refusals;
use crate::shutdown::Stage;
use concordat_network::NetworkHandle;

/// A cloneable handle to what this node shares.
#[derive(Clone, Debug)]
pub struct Sharing(pub(super) Arc<Inner>);

/// What all clones of the handle share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) parts: SharingParts,
    pub(super) replay: Mutex<ReplayWindow>,
    pub(super) workers: Workers,
    pub(super) limits: ConcurrencyLimits,
    /// The limits for queries that our own people have computed locally. They are separate because each such query may query our own
    /// datasets too.
    pub(super) local_limits: ConcurrencyLimits,
    /// The limits for queries of our own people that are planned. They are separate, because a query that one member answers is planned too, and
    /// does not wait until others are computed.
    pub(super) planning_limits: ConcurrencyLimits,
    pub(super) quota: Quota,
    pub(super) below_records: LimitsBelowRecords,
    /// What was answered below `records`.
    pub(super) memories: AnswerMemories,
    pub(super) texts: TextBudget,
    pub(super) departed: Departed,
    pub(super) probes: Probes,
    pub(super) early: Refusals,
    pub(super) early_own: Refusals<ActorId>,
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
    /// The changes that are written to the ledger first.
    pub changes: Changes,
    /// The clock.
    pub clock: Clock,
    /// The network.
    pub network: NetworkHandle,
    /// The consortium.
    pub membership: Membership,
    /// The register of grants.
    pub grants: Grants,
    /// The negotiations, for what a consumer has of a dataset besides.
    pub negotiations: Negotiations,
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
        let below_records =
            LimitsBelowRecords::open(parts.storage.meta(), parts.ledger.clone(), parts.changes.clone())?;
        let texts = TextBudget::open(parts.storage.meta())?;
        let memories = AnswerMemories::new(parts.storage.clone(), parts.ledger.clone());
        let bounds = parts.engine.bounds();
        Ok(Self(Arc::new(Inner {
            replay: Mutex::default(),
            workers: Workers::new(parts.engine.program.clone(), bounds),
            limits: ConcurrencyLimits::new(parts.engine.queries(), parts.clock.clone()),
            local_limits: ConcurrencyLimits::for_own_people(parts.engine.local_queries(), parts.clock.clone()),
            planning_limits: ConcurrencyLimits::for_own_people(parts.engine.planned_queries(), parts.clock.clone()),
            departed: Departed::new(parts.network.clone(), parts.stage.clone()),
            probes: Probes::new(),
            parts,
            quota,
            below_records,
            memories,
            texts,
            early: Refusals::default(),
            early_own: Refusals::default(),
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
        let party = Party::Person(actor.id().clone());
        self.0.local_limits.acquire(party, WaitDeadline::start()).await
    }

    /// A slot for a query of `actor` that is computed locally, if one is free now.
    pub async fn free_local_slot(&self, actor: &Actor) -> Option<QuerySlot> {
        let party = Party::Person(actor.id().clone());
        let now = WaitDeadline::after(Duration::ZERO);
        self.0.local_limits.acquire(party, now).await.ok()
    }

    /// A slot for planning a query of `actor`, held until it is dropped.
    ///
    /// # Errors
    /// [`Refusal`] if none becomes free in time.
    pub async fn planning_slot(&self, actor: &Actor) -> Result<QuerySlot, Refusal> {
        let party = Party::Person(actor.id().clone());
        self.0.planning_limits.acquire(party, WaitDeadline::start()).await
    }

    /// Begins a computation for `actor` in an engine process, with this message.
    ///
    /// # Errors
    /// [`QueryError`] if there is no process.
    pub async fn begin_computation(&self, actor: &Actor, begin: &[u8]) -> Result<Computation, QueryError> {
        self.0.workers.begin(&actor.id().to_string(), begin, &[]).await
    }

    /// Keeps the process of a computation that is complete, and that has received no rows, for the next query of the same person.
    pub fn keep_computation(&self, computation: Computation) {
        self.0.workers.keep(computation);
    }

    /// The same person as of now, for another query on their behalf.
    ///
    /// # Errors
    /// [`IamError`] if the session has ended, the account was changed, or its roles do not include querying any more.
    pub fn recheck(&self, requester: &Requester) -> Result<Requester, IamError> {
        let parts = &self.0.parts;
        let actor = parts.sessions.recheck(requester.actor(), parts.clock.now())?;
        Requester::authorize(&actor)
    }
}
