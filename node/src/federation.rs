//! Federated queries: remote datasets as tables.
//!
//! 1. The query is parsed ([`statement`]), and a grant is found for each of its tables ([`targets`], [`resolve`]). Their holders state the
//!    columns that the grants show ([`grant_columns`]); those of several members become one table ([`union_table`]).
//! 2. The plan decides which member gets which query and what is computed locally ([`mod@plan`], [`decompose`], [`fragment`]).
//! 3. Each member is queried over the network ([`provider_client`], [`exchange`]). Our own datasets are queried through the same permit
//!    as all others ([`local_answer`]). A member that does not answer its part is left out of the plan ([`absent`]), which then states it.
//! 4. Rows stream through the local engine ([`collect_answers`], [`table`]) to the requester ([`answer_stream`]), on dedicated threads ([`threads`]).
//! 5. A query is in the ledger before it is sent. Its end is entered too, however the query ends ([`evidence`]).
//! 6. Every answer ends with a receipt that both sides sign ([`report`]). A cut answer ends with an error, never silently.

mod absent;
mod answer_stream;
mod collect_answers;
mod column_cache;
mod columns_in_use;
mod connect;
mod coverage;
mod decompose;
mod error;
mod evidence;
mod exchange;
mod exchange_task;
mod explain;
mod fair_slots;
mod filter;
mod foreseen;
mod fragment;
mod grant_columns;
mod handle;
mod institution;
mod local_answer;
mod outgoing;
mod output_names;
mod plan;
mod provider_client;
mod remote_catalog;
mod report;
mod resolve;
mod source;
mod statement;
mod table;
mod tables;
mod targets;
#[cfg(test)]
mod testing;
mod threads;
mod union_table;

use std::sync::Arc;

use concordat_protocol::scope::Purpose;
use tokio_util::task::TaskTracker;

use self::absent::Absent;
use self::plan::{Plan, Planner};
use self::provider_client::ProviderClient;
use self::report::QueryReport;
use self::source::QuerySource;
use self::statement::ParsedQuery;
use self::tables::Tables;
use self::threads::OnNodeRuntime;
use crate::iam::Actor;
use crate::sharing::Requester;

pub(crate) use answer_stream::AnswerStream;
pub use error::FederationError;
pub(crate) use handle::{Federation, FederationParts};
pub(crate) use remote_catalog::RemoteDataset;

/// A query of one of this institution's people.
#[derive(Clone, Debug)]
pub struct Question {
    /// One `SELECT` over `institution.dataset` and `consortium.dataset`.
    pub sql: String,
    /// Its purpose. If there is none and the grant allows exactly one, that one is used.
    pub purpose: Option<Purpose>,
    /// Whether an answer without a member's part is an answer.
    pub allow_partial: bool,
}

impl Question {
    /// The complete answer to `sql`, for the only purpose that the grants allow.
    pub fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            purpose: None,
            allow_partial: false,
        }
    }
}

impl Federation {
    /// Answers `question` for `actor`. Returns once the first answer has begun. Query and answer end when the person may act no longer.
    ///
    /// # Errors
    /// [`FederationError`]. An error after the first row is the last item of the stream.
    pub async fn query(&self, actor: &Actor, question: &Question) -> Result<AnswerStream, FederationError> {
        let sharing = self.0.parts.sharing.clone();
        tokio::select! {
            biased;
            error = sharing.until_ended(actor.clone()) => Err(FederationError::NotPermitted(error)),
            answer = self.begin(actor, question) => answer,
        }
    }

    async fn begin(&self, actor: &Actor, question: &Question) -> Result<AnswerStream, FederationError> {
        let parsed = ParsedQuery::parse(&question.sql)?;
        let mut absent = Absent::default();
        let mut replanned = false;
        loop {
            let report = QueryReport::default();
            match self.attempt(actor, (question, &parsed), &report, &mut absent).await {
                // The columns may be others by now: the second attempt plans on the present ones.
                Err(error) if !replanned && report.may_be_of_other_columns(&error) => {
                    replanned = true;
                    self.0.grant_columns.forget_all();
                }
                // The next attempt plans without the member: its remark is then in the answer, or in the error.
                Err(error) => absent.add(error, &parsed, &self.0.parts.identity.institution)?,
                Ok(answer) => return Ok(answer),
            }
        }
    }

    async fn attempt(
        &self,
        actor: &Actor,
        (question, parsed): (&Question, &ParsedQuery),
        report: &QueryReport,
        absent: &mut Absent,
    ) -> Result<AnswerStream, FederationError> {
        let requester = Requester::authorize(actor)?;
        let tasks = TaskTracker::new();
        let client = ProviderClient::new(self.clone(), requester.clone(), report.clone(), tasks.clone());
        let client: Arc<dyn QuerySource> = Arc::new(client);
        let on_node: Arc<dyn QuerySource> = Arc::new(OnNodeRuntime::new(Arc::clone(&client)));
        let targets = self.targets(parsed, &requester, question, report).await?;
        let tables = self.tables(targets, absent, report).await?;
        let plan = self.plan(parsed.clone(), tables, Arc::clone(&on_node), report).await?;
        if !question.allow_partial {
            report.require_complete()?;
        }
        let sharing = &self.0.parts.sharing;
        let (answer, slot) = match plan {
            Plan::Whole { target, query } => (client.query(&target, query).await?, None),
            Plan::Local(local) => {
                let slot = sharing.local_slot(actor).await;
                let slot = slot.map_err(|refusal| self.refused_locally(refusal))?;
                let work = collect_answers::run_local(*local, on_node, report.clone());
                (self.0.threads.run(work).await?, Some(slot))
            }
        };
        let until_ended = sharing.clone().until_ended(actor.clone());
        Ok(AnswerStream::new(answer, (report.clone(), tasks), slot, until_ended))
    }

    /// The plan of a query over `tables`, and in `report` what is known to be missing.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn plan(
        &self,
        parsed: ParsedQuery,
        tables: Tables,
        source: Arc<dyn QuerySource>,
        report: &QueryReport,
    ) -> Result<Plan, FederationError> {
        let planner = Planner {
            tables,
            source,
            memory: self.0.parts.sharing.bounds().memory,
            foreseen: Arc::clone(&self.0.foreseen),
            report: report.clone(),
        };
        self.0.threads.work(planner.plan(parsed)).await
    }
}
