//! Federated queries: remote datasets as tables.
//!
//! 1. The query is parsed ([`statement`]), and a grant is found for each of its tables ([`resolve`]).
//! 2. The plan decides which member gets which query and what is computed locally ([`mod@plan`], [`decompose`]).
//! 3. Each member is queried over the network ([`exchange`]). Our own datasets are queried through the same permit as all others.
//! 4. Rows stream through the local engine ([`local`], [`table`], [`union`]) to the requester, on dedicated threads ([`threads`]).
//! 5. A query is in the ledger before it is signed. Its end is entered too, however the query ends ([`evidence`]).
//! 6. Every answer ends with a receipt that both sides sign ([`report`]). A cut answer ends with an error, never silently.

mod columns;
mod decompose;
mod error;
mod evidence;
mod exchange;
mod filter;
mod local;
mod plan;
mod provider_client;
mod remote_catalog;
mod report;
mod resolve;
mod run;
mod source;
mod statement;
mod table;
mod threads;
mod union;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use concordat_documents::query::AnswerSummary;
use concordat_protocol::ids::{DatasetName, GrantId};
use concordat_protocol::scope::Purpose;
use concordat_protocol::wire::messages::Refusal;
use concordat_storage::ledger::Ledger;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::StreamExt;
use tokio_util::task::TaskTracker;

use self::plan::{Plan, Targets, plan};
use self::provider_client::ProviderClient;
use self::report::QueryReport;
use self::resolve::{ResolveContext, target_of};
use self::source::{Access, Batches, Target};
use self::statement::{ParsedQuery, TableName};
use self::threads::Threads;
use crate::clock::Clock;
use crate::evidence::Evidence;
use crate::iam::{Action, Actor};
use crate::identity::Identity;
use crate::membership::Membership;
use crate::negotiation::Grants;
use crate::network::NetworkHandle;
use crate::policy::Explanation;
use crate::sharing::{QuerySlot, Sharing};

pub use error::FederationError;
pub use remote_catalog::RemoteDataset;

/// A cloneable handle to the federated query service.
#[derive(Clone, Debug)]
pub struct Federation(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: FederationParts,
    /// The columns that each grant exposes, as last reported by the provider.
    schemas: Mutex<BTreeMap<GrantId, SchemaRef>>,
    threads: Threads,
}

/// The dependencies of [`Federation`].
#[derive(Debug)]
pub struct FederationParts {
    /// Who this node is.
    pub identity: Arc<Identity>,
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
    /// Access to our own datasets.
    pub sharing: Sharing,
    /// The evidence records of queries.
    pub evidence: Evidence,
}

impl Federation {
    /// Creates the service.
    pub fn new(parts: FederationParts) -> Self {
        Self(Arc::new(Inner {
            parts,
            schemas: Mutex::default(),
            threads: Threads::default(),
        }))
    }

    /// Answers one `SELECT` over `institution.dataset` and `consortium.dataset` for `actor`. If no purpose is given and the grant
    /// allows exactly one, that one is used. Returns once the first answer has begun.
    ///
    /// # Errors
    /// [`FederationError`]. An error after the first row is the last item of the stream.
    pub async fn query(
        &self,
        actor: &Actor,
        sql: &str,
        purpose: Option<Purpose>,
    ) -> Result<AnswerStream, FederationError> {
        actor.require(Action::Query)?;
        let parsed = ParsedQuery::parse(sql)?;
        let report = QueryReport::default();
        let targets = self.targets(&parsed, actor, purpose.as_ref(), &report).await?;
        let plan = plan(parsed, &targets)?;
        let tasks = TaskTracker::new();
        let client = ProviderClient::new(self.clone(), actor.clone(), report.clone(), tasks.clone());
        let sharing = &self.0.parts.sharing;
        let slot = match &plan {
            Plan::Whole { .. } => None,
            Plan::Local { .. } => {
                let slot = sharing.local_slot(actor).await;
                Some(slot.map_err(|refusal| self.refused_locally(refusal))?)
            }
        };
        let answer = run::run(plan, Arc::new(client), &self.0.threads, sharing.bounds().memory).await?;
        Ok(AnswerStream {
            _slot: slot,
            schema: answer.schema,
            batches: Some(answer.batches),
            report,
            tasks,
        })
    }

    /// Describes in sentences which members would get which queries for `sql`. No query is sent.
    ///
    /// # Errors
    /// The [`FederationError`] that the query would fail with before it begins.
    pub async fn explain(
        &self,
        actor: &Actor,
        sql: &str,
        purpose: Option<Purpose>,
    ) -> Result<Vec<String>, FederationError> {
        actor.require(Action::Query)?;
        let parsed = ParsedQuery::parse(sql)?;
        let report = QueryReport::default();
        let targets = self.targets(&parsed, actor, purpose.as_ref(), &report).await?;
        let mut steps = match plan(parsed, &targets)? {
            Plan::Whole { target, sql } => vec![describe_query(&target, &sql)],
            Plan::Local {
                query,
                fragments,
                tables,
            } => {
                let mut steps: Vec<_> = fragments
                    .iter()
                    .flat_map(|fragment| &fragment.queries)
                    .map(|(target, sql)| describe_query(target, sql))
                    .collect();
                for (table, targets) in tables {
                    let from: Vec<_> = targets.iter().map(|target| target.dataset.to_string()).collect();
                    steps.push(format!(
                        "the records of `{table}` are transferred from {}",
                        from.join(", ")
                    ));
                }
                steps.push(format!("computed locally: {query}"));
                steps
            }
        };
        steps.extend(report.summary().notes);
        Ok(steps)
    }

    /// The decision of our own policy, rule by rule, about those tables of `sql` that are ours. Other holders decide about the rest
    /// by their own policies.
    ///
    /// # Errors
    /// [`FederationError`] if the actor may not query or the text is not a valid query.
    pub async fn explain_own(
        &self,
        actor: &Actor,
        sql: &str,
        purpose: Option<&Purpose>,
    ) -> Result<Explanation, FederationError> {
        actor.require(Action::Query)?;
        let parts = &self.0.parts;
        let purpose = purpose.cloned().unwrap_or(Purpose::HealthResearch);
        let ours = |table: &&TableName| {
            table
                .institution
                .as_ref()
                .is_none_or(|id| *id == parts.identity.institution)
        };
        let mut explanation = Explanation::default();
        for table in ParsedQuery::parse(sql)?.tables.iter().filter(ours) {
            let own = parts.sharing.explain_local(actor, &purpose, &table.dataset).await;
            explanation.steps.extend(own.steps);
        }
        Ok(explanation)
    }

    async fn targets(
        &self,
        parsed: &ParsedQuery,
        actor: &Actor,
        purpose: Option<&Purpose>,
        report: &QueryReport,
    ) -> Result<Targets, FederationError> {
        let parts = &self.0.parts;
        let grants = parts.grants.list().await;
        let context = ResolveContext {
            grants: &grants,
            institution: &parts.identity.institution,
            purpose,
            now: parts.clock.now(),
        };
        let mut targets = Targets::new();
        for table in &parsed.tables {
            let found = match &table.institution {
                Some(institution) if institution == context.institution => {
                    self.own(actor, purpose, &table.dataset).await?.into_iter().collect()
                }
                Some(institution) => {
                    let dataset = table.dataset.clone();
                    vec![context.remote(&concordat_protocol::ids::DatasetRef {
                        institution: institution.clone(),
                        dataset,
                    })?]
                }
                None => self.all_members(&context, table, actor, report).await?,
            };
            if found.is_empty() {
                return Err(context.no_provider(table));
            }
            let version = table.version;
            let found = found.into_iter().map(|target| Target { version, ..target });
            targets.insert(table.clone(), found.collect());
        }
        Ok(targets)
    }

    /// All members that share `consortium.dataset`, including ourselves if we have a dataset of that name.
    async fn all_members(
        &self,
        context: &ResolveContext<'_>,
        table: &TableName,
        actor: &Actor,
        report: &QueryReport,
    ) -> Result<Vec<Target>, FederationError> {
        let mut targets = context.all_members(&table.dataset, report)?;
        let purpose = context
            .purpose
            .cloned()
            .or_else(|| targets.first().map(|target| target.purpose.clone()));
        match self.own(actor, purpose.as_ref(), &table.dataset).await {
            Ok(own) => targets.extend(own),
            Err(FederationError::Refused { refusal, .. }) => {
                let reasons: Vec<_> = refusal.reasons.into_iter().map(|reason| reason.text).collect();
                report.note(format!(
                    "our own `{}` is not part of the answer: {}",
                    table.dataset,
                    reasons.join("; ")
                ));
            }
            Err(other) => return Err(other),
        }
        targets.sort_by(|a, b| a.dataset.cmp(&b.dataset));
        Ok(targets)
    }

    fn refused_locally(&self, refusal: Refusal) -> FederationError {
        FederationError::Refused {
            provider: self.0.parts.identity.institution.clone(),
            refusal,
        }
    }

    /// Our own dataset, if there is one of that name.
    async fn own(
        &self,
        actor: &Actor,
        purpose: Option<&Purpose>,
        dataset: &DatasetName,
    ) -> Result<Option<Target>, FederationError> {
        let purpose = purpose.cloned().unwrap_or(Purpose::HealthResearch);
        let scope = self.0.parts.sharing.local_scope(actor, &purpose, dataset).await;
        let scope = scope.map_err(|refusal| self.refused_locally(refusal))?;
        Ok(scope.map(|scope| target_of(&scope, Access::Own, purpose)))
    }
}

fn describe_query(target: &Target, sql: &str) -> String {
    let access = match target.access {
        Access::Grant(grant) => format!("under grant {} at tier `{}`", grant.short(), target.tier),
        Access::Own => "as our own dataset".to_owned(),
    };
    format!(
        "`{}` is queried {access} for `{}`: {sql}",
        target.dataset, target.purpose
    )
}

/// An answer: its columns, its rows as they arrive, and at the end a summary of where they came from.
pub struct AnswerStream {
    schema: SchemaRef,
    batches: Option<Batches>,
    report: QueryReport,
    tasks: TaskTracker,
    /// A query that is computed locally occupies a slot for as long as its answer is read.
    _slot: Option<QuerySlot>,
}

impl AnswerStream {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The next rows; `None` at the end. Nothing follows an error: the rows before it are genuine but incomplete.
    ///
    /// # Errors
    /// The [`FederationError`] that ended the answer early.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, FederationError>> {
        let batches = self.batches.as_mut()?;
        let next = batches.next().await;
        if !matches!(next, Some(Ok(_))) {
            // Dropping the reader stops the exchanges that were not read to their end.
            self.batches = None;
            self.tasks.close();
            self.tasks.wait().await;
        }
        next
    }

    /// Receipts and notes; complete once [`Self::next`] has returned `None` or an error.
    pub fn summary(&self) -> AnswerSummary {
        self.report.summary()
    }
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerStream")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}
