//! Federated queries: remote datasets as tables.
//!
//! 1. The query is parsed ([`read_texts`], [`statement`]), and a grant is found for each of its tables ([`targets`], [`resolve`]). Their holders state the
//!    columns that the grants show ([`grant_columns`]); those of several members become one table ([`union_table`]).
//!    Below tier `records` they also state what they declare about them ([`declared`]).
//! 2. The plan decides which member gets which query and what is computed locally ([`mod@plan`], [`decompose`], [`fragment`]). It is made
//!    in an engine process ([`local_engine`]). Groupings over several members below `records` are lowered once for each of them, and what
//!    follows from their parts is computed here ([`counted`], [`parts`], [`merge`], [`cell_table`]).
//! 3. Each member is queried over the network ([`provider_client`], [`exchange`]). Our own datasets are queried through the same permit
//!    as all others ([`local_answer`]). A member that does not answer its part is left out of the plan ([`absent`]), which then states it.
//! 4. The answer of one member streams to the requester ([`answer_stream`]). Several are computed on in the engine process
//!    ([`collect_answers`], [`table`]).
//! 5. A query is in the ledger before it is sent. Its end is entered too, however the query ends ([`evidence`]).
//! 6. Every answer ends with a receipt that both sides sign, and with what its reader has to know ([`report`], [`remark`]). A cut answer ends
//!    with an error, never silently.

mod absent;
mod answer_stream;
mod catalog_requests;
mod cell_table;
mod collect_answers;
mod column_cache;
mod columns_in_use;
mod connect;
mod counted;
mod coverage;
mod declared;
mod decompose;
mod description;
mod error;
mod estimate;
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
mod known_texts;
mod local_answer;
mod local_engine;
mod merge;
mod missing_values;
mod not_granted;
mod outgoing;
mod output_names;
mod parsing;
mod parts;
mod plan;
mod planned_part;
mod provider_client;
mod read_texts;
mod record_columns;
mod remark;
mod remote_catalog;
mod remote_dataset;
mod report;
mod resolve;
mod source;
mod statement;
mod table;
mod tables;
mod targets;
#[cfg(test)]
mod testing;
mod union_table;

use std::sync::Arc;

use concordat_protocol::scope::Purpose;
use concordat_protocol::time::Timestamp;
use tokio_util::task::TaskTracker;

use self::absent::Absent;
use self::local_engine::{LocalQuery, PlanKey, Planned};
use self::provider_client::ProviderClient;
use self::report::QueryReport;
use self::source::{MemberQuery, QuerySource, Target};
use self::statement::QueryTables;
use self::tables::Tables;
use crate::iam::Actor;
use crate::sharing::{QuerySlot, Requester};

pub(crate) use answer_stream::AnswerStream;
pub use error::FederationError;
pub(crate) use handle::{Federation, FederationParts};
pub use local_engine::FederatedEngine;
pub(crate) use remote_dataset::RemoteDataset;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

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
        let parsed = self.query_tables(actor, &question.sql).await?;
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
        (question, parsed): (&Question, &QueryTables),
        report: &QueryReport,
        absent: &mut Absent,
    ) -> Result<AnswerStream, FederationError> {
        let requester = Requester::authorize(actor)?;
        let tasks = TaskTracker::new();
        let client = ProviderClient::new(self.clone(), requester.clone(), report.clone(), tasks.clone());
        let client: Arc<dyn QuerySource> = Arc::new(client);
        let targets = self.targets(parsed, &requester, question, report).await;
        // The denial may end the query here, or leave out the own part of it: no other entry would name it.
        for (subject, refusal) in report.take_refused() {
            self.0.parts.sharing.refused_own(&requester, &subject, &refusal).await;
        }
        let targets = targets?;
        let tables = self.tables(targets, &requester, absent, report).await?;
        let answer = match self.planned(actor, question, &tables, report).await? {
            Ready::Whole { target, query } => client.query(&target, query).await?,
            Ready::Local(local, slot) => local.run(client, report.clone(), slot).await?,
        };
        let until_ended = self.0.parts.sharing.clone().until_ended(actor.clone());
        Ok(AnswerStream::new(answer, (report.clone(), tasks), until_ended))
    }

    /// The plan of the query, and a slot if it needs one. While it waits for a slot, no process waits with it.
    async fn planned(
        &self,
        actor: &Actor,
        question: &Question,
        tables: &Tables,
        report: &QueryReport,
    ) -> Result<Ready, FederationError> {
        let sharing = &self.0.parts.sharing;
        let mut slot = None;
        loop {
            let planned = self.plan(actor, &question.sql, tables, report).await?;
            if !question.allow_partial {
                report.require_complete()?;
            }
            let local = match planned {
                Planned::Whole { target, query } => return Ok(Ready::Whole { target, query }),
                Planned::Local(local) => local,
            };
            match slot.take() {
                Some(slot) => return Ok(Ready::Local(local, slot)),
                None => {
                    if let Some(free) = sharing.free_local_slot(actor).await {
                        return Ok(Ready::Local(local, free));
                    }
                    drop(local);
                    let awaited = sharing.local_slot(actor).await;
                    slot = Some(awaited.map_err(|refusal| self.refused_locally(refusal))?);
                }
            }
        }
    }

    /// The plan of a query over `tables`, and in `report` what is known to be missing.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn plan(
        &self,
        actor: &Actor,
        sql: &str,
        tables: &Tables,
        report: &QueryReport,
    ) -> Result<Planned, FederationError> {
        let day = current_day(self.0.parts.clock.now());
        let key = PlanKey::new((sql, day), tables, report);
        if let Some(known) = self.0.known.find(&key, report) {
            return Ok(known);
        }
        let sharing = &self.0.parts.sharing;
        let slot = sharing.planning_slot(actor).await;
        let _slot = slot.map_err(|refusal| self.refused_locally(refusal))?;
        let planned = local_engine::plan(sharing, actor, (sql, day), tables, report).await?;
        self.0.known.keep(key, &planned, report);
        Ok(planned)
    }
}

/// The day of a point in time in UTC, in days since 1970-01-01.
fn current_day(now: Timestamp) -> i32 {
    // A clock beyond the years of the calendar has no date, and then neither has `current_date`.
    i32::try_from(now.as_millis().div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

/// A query that can begin.
enum Ready {
    /// One member answers it.
    Whole { target: Target, query: MemberQuery },
    /// It is computed in its process, in a slot.
    Local(Box<LocalQuery>, QuerySlot),
}
