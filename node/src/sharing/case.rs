//! A query and what permits it.

use std::sync::Arc;

use concordat_engine::Holder;
use concordat_network::Session;
use concordat_network::hello::Attested;
use concordat_protocol::ids::{CollectionRef, DatasetName, DatasetRef, GrantId, InstitutionId, QueryId};
use concordat_protocol::query::{ActorAssertion, QueryEnvelope, ValidQuery};
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{Purpose, Tier};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::Refusal;
use concordat_storage::ledger::Attribution;
use tokio::sync::watch;

use super::requester::Requester;
use super::wait_deadline::WaitDeadline;
use crate::evidence::EvidencePeer;
use crate::negotiation::{ChunkGuard, Lease};

/// A query of another institution, as it arrived.
#[derive(Debug)]
pub(super) struct PeerQuery {
    /// The query.
    pub(super) envelope: Signed<QueryEnvelope>,
    /// What the session's peer has proved about itself.
    pub(super) consumer: Arc<Attested>,
    /// The session.
    pub(super) session: Session,
    /// Up to when it waits.
    pub(super) until: WaitDeadline,
}

/// A query of one of this institution's own people.
#[derive(Clone, Debug)]
pub struct LocalQuery {
    /// The person.
    pub requester: Requester,
    /// The purpose of the query.
    pub purpose: Purpose,
    /// The dataset, or the collection with the datasets.
    pub dataset: DatasetName,
    /// The version of the dataset that the query names; `None` for the current one.
    pub version: Option<VersionNumber>,
    /// The query's text.
    pub sql: String,
}

/// A query and what permits it.
#[derive(Debug)]
pub(super) enum Case {
    /// Another institution queries under a grant.
    Peer {
        /// The query.
        query: Box<ValidQuery>,
        /// The live permission under its grant.
        lease: Lease,
        /// The peer, acting for the person of the assertion.
        by: Attribution,
        /// The same peer as it is recorded in the evidence.
        peer: Box<EvidencePeer>,
    },
    /// One of this institution's own people queries one of its datasets.
    Local {
        /// The requester.
        requester: Box<Requester>,
        /// The assertion about the requester for this query.
        assertion: Box<ActorAssertion>,
        /// The purpose.
        purpose: Purpose,
        /// The dataset.
        dataset: DatasetRef,
        /// The version of the dataset; `None` for the current one.
        version: Option<VersionNumber>,
        /// The text of the query.
        sql: String,
    },
}

impl Case {
    pub(super) fn query(&self) -> QueryId {
        self.assertion().query
    }

    pub(super) fn assertion(&self) -> &ActorAssertion {
        match self {
            Self::Peer { query, .. } => query.assertion(),
            Self::Local { assertion, .. } => assertion,
        }
    }

    pub(super) fn sql(&self) -> &str {
        match self {
            Self::Peer { query, .. } => &query.envelope().sql,
            Self::Local { sql, .. } => sql,
        }
    }

    /// The version of the dataset that is queried; `None` for the current one. The engine refuses a text that names another one.
    pub(super) fn version(&self) -> Option<VersionNumber> {
        match self {
            Self::Peer { query, .. } => query.envelope().version,
            Self::Local { version, .. } => *version,
        }
    }

    pub(super) fn grant(&self) -> Option<GrantId> {
        match self {
            Self::Peer { lease, .. } => Some(lease.terms().grant),
            Self::Local { .. } => None,
        }
    }

    pub(super) fn holder(&self) -> Holder {
        self.grant().map_or(Holder::Local, Holder::Grant)
    }

    /// The attribution of the answer in the ledger.
    pub(super) fn attribution(&self) -> Attribution {
        match self {
            Self::Peer { by, .. } => by.clone(),
            Self::Local { requester, .. } => requester.by().clone(),
        }
    }

    pub(super) fn collection(&self) -> CollectionRef {
        match self {
            Self::Peer { lease, .. } => lease.terms().scope.collection.clone(),
            Self::Local { dataset, .. } => dataset.collection(),
        }
    }

    /// The institution whose person queries.
    pub(super) fn consumer(&self) -> &InstitutionId {
        match self {
            Self::Peer { lease, .. } => &lease.terms().consumer,
            Self::Local { dataset, .. } => &dataset.institution,
        }
    }

    /// Whether the query is for records under a grant: then deciding it counts nothing that would have to be durable with its record.
    pub(super) fn is_for_records(&self) -> bool {
        match self {
            Self::Peer { lease, .. } => lease.terms().scope.tier >= Tier::Records,
            // What our own people may see follows from the decision only.
            Self::Local { .. } => false,
        }
    }

    /// Permission to send one chunk; the grant does not change while it is held.
    pub(super) async fn guard(&self, now: Timestamp) -> Result<Option<ChunkGuard>, Refusal> {
        match self {
            Self::Peer { lease, .. } => lease.guard(now).await.map(Some),
            Self::Local { .. } => Ok(None),
        }
    }

    /// How many changes of the grant wait for its guards; `None` if there is no grant.
    pub(super) fn changes(&self) -> Option<watch::Receiver<usize>> {
        match self {
            Self::Peer { lease, .. } => Some(lease.changes()),
            Self::Local { .. } => None,
        }
    }
}
