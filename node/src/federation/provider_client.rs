//! Sends one query to one dataset: over the network under a grant, or locally through a permit of our own. An answer whose connection is
//! lost is continued ([`continuation`]).

mod continuation;

use std::sync::Arc;

use async_trait::async_trait;
use concordat_protocol::ids::{DatasetName, GrantId, NodeId, QueryId};
use concordat_protocol::query::QueryEnvelope;
use concordat_protocol::scope::Limits;
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::RefusalCode;
use concordat_protocol::wire::streams::QUERY;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use self::continuation::Continuation;
use super::error::FederationError;
use super::exchange::OutgoingQuery;
use super::exchange_task::{Exchange, channel};
use super::handle::Federation;
use super::local_answer::query_local;
use super::report::QueryReport;
use super::report::protected::smallest_cell;
use super::source::{Access, Answer, MemberQuery, QuerySource, Target, has_columns};
use crate::membership::session_span;
use crate::sharing::{LocalQuery, Requester, describe_query, identify_query, query_span, subject};

/// How long a provider may take for its whole answer, in seconds.
const DEADLINE_SECONDS: i64 = 600;

/// Queries providers on behalf of one person for one federated query.
#[derive(Clone, Debug)]
pub(super) struct ProviderClient {
    federation: Federation,
    requester: Requester,
    report: QueryReport,
    tasks: TaskTracker,
}

impl ProviderClient {
    pub(super) fn new(federation: Federation, requester: Requester, report: QueryReport, tasks: TaskTracker) -> Self {
        Self {
            federation,
            requester,
            report,
            tasks,
        }
    }

    /// Queries a target; what its holder stated about its columns is discarded if the answer has others.
    async fn query_target(&self, target: &Target, query: MemberQuery) -> Result<Answer, FederationError> {
        let answer = match target.access {
            Access::Grant(grant) => self.query_peer(target, grant, query).await,
            Access::Own => self.query_own(target, query).await,
        };
        if matches!(answer, Err(FederationError::ColumnsChanged { .. })) {
            self.federation.0.grant_columns.forget(target);
        }
        answer
    }

    /// The same client for the same query at a later time, if the person may still query and the grant has not ended.
    async fn rechecked(&self, target: &Target) -> Result<Self, FederationError> {
        let parts = &self.federation.0.parts;
        let refusal = match target.access {
            Access::Grant(grant) => parts.grants.refusal(&grant, parts.clock.now()).await,
            Access::Own => None,
        };
        if let Some(refusal) = refusal {
            let provider = target.dataset.institution.clone();
            return Err(FederationError::Refused { provider, refusal });
        }
        let requester = parts.sharing.recheck(&self.requester)?;
        Ok(Self {
            requester,
            ..self.clone()
        })
    }

    /// Queries a peer. If the provider first requires countersigned receipts, it gets them and is queried once more.
    async fn query_peer(&self, target: &Target, grant: GrantId, query: MemberQuery) -> Result<Answer, FederationError> {
        let query_once = |query| {
            let span = query_span(Some(&target.dataset.institution));
            self.query_once(target, grant, query).instrument(span)
        };
        match query_once(query.clone()).await {
            Err(error) if needs_countersignatures(&error) => {
                let Some(node) = self.federation.connected_node(&target.dataset.institution) else {
                    return Err(error);
                };
                match self.federation.countersign(node).instrument(session_span(node)).await {
                    Ok(accepted) if accepted > 0 => query_once(query).await,
                    Ok(_) | Err(_) => Err(error),
                }
            }
            answer => answer,
        }
    }

    /// Queries a peer once, in the span of the query.
    async fn query_once(&self, target: &Target, grant: GrantId, query: MemberQuery) -> Result<Answer, FederationError> {
        describe_query(Some(&grant), &target.dataset.dataset);
        let provider = &target.dataset.institution;
        let person = self.requester.actor().id();
        let slot = self.federation.0.outgoing.slot(provider, person).await?;
        let (node, stream) = self.federation.connect(provider, &grant, QUERY).await?;
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|error| FederationError::machine("the system provides no random numbers", error))?;
        let id = QueryId::from_bytes(id);
        identify_query(&id);
        let sharing = &self.federation.0.parts.sharing;
        let subject = subject(&target.dataset, &target.purpose);
        let counted = sharing.count_sent_text(&self.requester, &subject, &query.sql).await;
        counted.map_err(|refusal| self.federation.refused_locally(refusal))?;
        let outgoing = self.sign(target, grant, query, (node, id))?;
        let (reader, opening) = channel();
        let exchange = Exchange {
            federation: self.federation.clone(),
            report: self.report.clone(),
            dataset: target.dataset.clone(),
            min_cell: self.min_cell(&grant).await,
            _slot: slot,
        };
        let exchange = exchange.run(stream, outgoing, reader);
        self.tasks.spawn(exchange.in_current_span());
        opening.answer(provider).await
    }

    async fn query_own(&self, target: &Target, query: MemberQuery) -> Result<Answer, FederationError> {
        let own = LocalQuery {
            requester: self.requester.clone(),
            purpose: target.purpose.clone(),
            dataset: DatasetName::from(&target.dataset.collection),
            version: target.version,
            sql: query.sql,
        };
        let sharing = &self.federation.0.parts.sharing;
        let answer = query_local(sharing, target.dataset.institution.clone(), own).await?;
        if has_columns(&answer.schema, &query.schema) {
            return Ok(answer);
        }
        Err(FederationError::ColumnsChanged {
            dataset: target.dataset.clone(),
        })
    }

    /// How many subjects a figure under the grant is about at least; `None` for private figures, of which none is withheld.
    async fn min_cell(&self, grant: &GrantId) -> Option<u32> {
        let view = self.federation.0.parts.grants.get(grant).await;
        view.map_or_else(
            || Some(Limits::default().min_cell),
            |view| smallest_cell(&view.terms.scope),
        )
    }

    fn sign(
        &self,
        target: &Target,
        grant: GrantId,
        query: MemberQuery,
        (node, id): (NodeId, QueryId),
    ) -> Result<OutgoingQuery, FederationError> {
        let MemberQuery { sql, schema, .. } = query;
        let parts = &self.federation.0.parts;
        let now = parts.clock.now();
        let deadline = now.plus_seconds(DEADLINE_SECONDS);
        let key = &parts.identity.node_key;
        let unsigned = |error| FederationError::machine("the query cannot be signed", error);
        let actor = self.requester.actor();
        let assertion = actor.assert_for(target.dataset.institution.clone(), id, deadline)?;
        let envelope = QueryEnvelope {
            query: id,
            grant,
            from: parts.identity.institution.clone(),
            to: target.dataset.institution.clone(),
            actor: Signed::sign(&assertion, key).map_err(unsigned)?.signed().clone(),
            purpose: target.purpose.clone(),
            sql,
            version: target.version,
            rules: target.rules,
            sent_at: now,
            deadline,
        };
        let signed = Signed::sign(&envelope, key).map_err(unsigned)?.signed().clone();
        Ok(OutgoingQuery {
            envelope,
            signed,
            actor: actor.id().clone(),
            by: self.requester.by().clone(),
            node,
            tier: target.tier,
            dataset: target.dataset.clone(),
            schema,
        })
    }
}

#[async_trait]
impl QuerySource for ProviderClient {
    async fn query(&self, target: &Target, query: MemberQuery) -> Result<Answer, FederationError> {
        let answer = self.query_target(target, query.clone()).await?;
        let again = Arc::new(Again(self.clone()));
        let stopping = self.federation.0.parts.stopping.clone();
        Ok(Continuation::new(again, self.report.clone(), stopping).follow(answer, target, query))
    }
}

/// Sends a query again: with a new id, signed and recorded like any other.
#[derive(Debug)]
struct Again(ProviderClient);

#[async_trait]
impl QuerySource for Again {
    async fn query(&self, target: &Target, query: MemberQuery) -> Result<Answer, FederationError> {
        self.0.rechecked(target).await?.query_target(target, query).await
    }
}

/// Whether the provider refuses only until its receipts are countersigned.
fn needs_countersignatures(error: &FederationError) -> bool {
    matches!(error, FederationError::Refused { refusal, .. } if refusal.code == RefusalCode::CountersignFirst)
}
