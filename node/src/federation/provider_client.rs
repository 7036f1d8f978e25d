//! Sends one query to one dataset: over the network under a grant, or locally through a permit of our own.

use async_trait::async_trait;
use concordat_protocol::grant::Party;
use concordat_protocol::ids::{GrantId, InstitutionId, NodeId, QueryId};
use concordat_protocol::query::QueryEnvelope;
use concordat_protocol::scope::Limits;
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::RefusalCode;
use concordat_protocol::wire::streams::QUERY;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::TryStreamExt;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::columns::RequestedColumns;
use super::error::FederationError;
use super::evidence::{Intent, nothing_received, outcome_of};
use super::exchange::OutgoingQuery;
use super::exchange_task::{Exchange, channel};
use super::handle::Federation;
use super::local_answer::query_local;
use super::report::{Cells, QueryReport};
use super::source::{Access, Answer, QuerySource, Target};
use super::statement::table_text;
use crate::membership::session_span;
use crate::sharing::{LocalQuery, Requester, describe_query, identify_query, query_span};
use concordat_network::FramedStream;

/// How long a provider may take for its whole answer, in seconds.
const DEADLINE_SECONDS: i64 = 600;

/// Queries providers on behalf of one person for one federated query.
#[derive(Debug)]
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

    /// Queries a peer. If the provider first requires countersigned receipts, it gets them and is queried once more.
    async fn query_peer(&self, target: &Target, grant: GrantId, sql: String) -> Result<Answer, FederationError> {
        let query_once = |sql| {
            let span = query_span(Some(&target.dataset.institution));
            self.query_once(target, grant, sql).instrument(span)
        };
        match query_once(sql.clone()).await {
            Err(error) if needs_countersignatures(&error) => {
                let (node, _) = self.connect(&target.dataset.institution, &grant).await?;
                match self.federation.countersign(node).instrument(session_span(node)).await {
                    Ok(accepted) if accepted > 0 => query_once(sql).await,
                    Ok(_) | Err(_) => Err(error),
                }
            }
            answer => answer,
        }
    }

    /// Queries a peer once, in the span of the query.
    async fn query_once(&self, target: &Target, grant: GrantId, sql: String) -> Result<Answer, FederationError> {
        describe_query(Some(&grant), &target.dataset.dataset);
        let provider = &target.dataset.institution;
        let (node, stream) = self.connect(provider, &grant).await?;
        let intent = Intent {
            provider,
            grant,
            sql: &sql,
        };
        let open = self
            .federation
            .open_query(intent, stream.session(), self.requester.by().clone())
            .await?;
        identify_query(&open.id);
        let outgoing = match self.signed(target, grant, sql, (node, open.id)).await {
            Ok(outgoing) => outgoing,
            Err(error) => {
                self.federation
                    .close_query(open, nothing_received(), outcome_of(&error))
                    .await?;
                return Err(error);
            }
        };
        let (reader, opening) = channel();
        let exchange = Exchange {
            federation: self.federation.clone(),
            report: self.report.clone(),
            dataset: target.dataset.clone(),
            cells: self.cells(&grant, &outgoing).await,
        };
        let exchange = exchange.run(stream, outgoing, open, reader);
        self.tasks.spawn(exchange.in_current_span());
        opening.answer(provider).await
    }

    /// The cells that an answer to the query has below tier `records`.
    async fn cells(&self, grant: &GrantId, outgoing: &OutgoingQuery) -> Cells {
        if !outgoing.columns.is_grouped() {
            return Cells::One;
        }
        let view = self.federation.0.parts.grants.get(grant).await;
        let limits = view.map_or_else(Limits::default, |view| view.terms.scope.limits);
        Cells::Groups {
            min_cell: limits.min_cell,
        }
    }

    /// Signs the query and stores the signed query before it is sent.
    async fn signed(
        &self,
        target: &Target,
        grant: GrantId,
        sql: String,
        (node, query): (NodeId, QueryId),
    ) -> Result<OutgoingQuery, FederationError> {
        let outgoing = self.sign(target, grant, sql, (node, query))?;
        self.federation.store_signed(query, outgoing.signed.clone()).await?;
        Ok(outgoing)
    }

    /// A stream to the first node of `provider` that can be reached. The node must have presented the key with which `grant` was
    /// agreed, because no other party may read the query.
    async fn connect(
        &self,
        provider: &InstitutionId,
        grant: &GrantId,
    ) -> Result<(NodeId, FramedStream), FederationError> {
        let parts = &self.federation.0.parts;
        let held = parts.grants.get(grant).await;
        let holder = held.map(|view| view.terms.side(Party::Provider));
        let roster = parts.membership.valid_roster(parts.clock.now());
        let roster = roster.map_err(|error| FederationError::machine("the roster cannot be used", error))?;
        let missing = || FederationError::NotMember {
            provider: provider.clone(),
        };
        let member = roster.active_member(provider).ok_or_else(missing)?;
        let mut last = None;
        for node in &member.nodes {
            match parts.network.open(node.node, QUERY).await {
                Ok(stream) => {
                    let shown = stream.session().attested();
                    let same = shown
                        .zip(holder.as_ref())
                        .is_some_and(|(shown, holder)| shown.acts_for(holder));
                    return same
                        .then_some((node.node, stream))
                        .ok_or_else(|| FederationError::KeyChanged {
                            provider: provider.clone(),
                        });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(missing, |source| FederationError::Unreachable {
            provider: provider.clone(),
            source,
        }))
    }

    fn sign(
        &self,
        target: &Target,
        grant: GrantId,
        sql: String,
        (node, query): (NodeId, QueryId),
    ) -> Result<OutgoingQuery, FederationError> {
        let parts = &self.federation.0.parts;
        let now = parts.clock.now();
        let deadline = now.plus_seconds(DEADLINE_SECONDS);
        let key = &parts.identity.node_key;
        let columns = RequestedColumns::for_query(&sql, &target.columns)
            .ok_or_else(|| FederationError::usage("only one plain SELECT can be sent to a provider"))?;
        let unsigned = |error| FederationError::machine("the query cannot be signed", error);
        let actor = self.requester.actor();
        let assertion = actor.assert_for(target.dataset.institution.clone(), query, deadline);
        let envelope = QueryEnvelope {
            query,
            grant,
            from: parts.identity.institution.clone(),
            to: target.dataset.institution.clone(),
            actor: Signed::sign(&assertion, key).map_err(unsigned)?.signed().clone(),
            purpose: target.purpose.clone(),
            sql,
            version: target.version,
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
            columns,
        })
    }
}

#[async_trait]
impl QuerySource for ProviderClient {
    async fn query(&self, target: &Target, sql: String) -> Result<Answer, FederationError> {
        match target.access {
            Access::Grant(grant) => self.query_peer(target, grant, sql).await,
            Access::Own => {
                let query = LocalQuery {
                    requester: self.requester.clone(),
                    purpose: target.purpose.clone(),
                    dataset: target.dataset.dataset.clone(),
                    version: target.version,
                    sql,
                };
                let sharing = &self.federation.0.parts.sharing;
                query_local(sharing, target.dataset.institution.clone(), query).await
            }
        }
    }

    async fn schema(&self, target: &Target) -> Result<SchemaRef, FederationError> {
        let schemas = &self.federation.0.schemas;
        if let Some(known) = schemas.get(target) {
            return Ok(known);
        }
        let table = table_text(&target.dataset.dataset, target.version);
        let sql = format!("SELECT * FROM {table} LIMIT 0");
        let answer = self.query(target, sql).await?;
        let _: Vec<RecordBatch> = answer.batches.try_collect().await?;
        schemas.put(target, &answer.schema);
        Ok(answer.schema)
    }

    fn forget_schema(&self, target: &Target) {
        self.federation.0.schemas.forget(target);
    }
}

/// Whether the provider refuses only until its receipts are countersigned.
fn needs_countersignatures(error: &FederationError) -> bool {
    matches!(error, FederationError::Refused { refusal, .. } if refusal.code == RefusalCode::CountersignFirst)
}
