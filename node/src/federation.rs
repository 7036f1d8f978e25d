//! Federated queries: remote datasets as tables.
//!
//! 1. The query is parsed ([`statement`]), and a grant is found for each of its tables ([`targets`], [`resolve`]).
//! 2. The plan decides which member gets which query and what is computed locally ([`mod@plan`], [`decompose`]).
//! 3. Each member is queried over the network ([`provider_client`], [`exchange`]). Our own datasets are queried through the same permit
//!    as all others ([`local_answer`]).
//! 4. Rows stream through the local engine ([`local`], [`table`], [`union`]) to the requester ([`answer_stream`]),
//!    on dedicated threads ([`threads`]).
//! 5. A query is in the ledger before it is signed. Its end is entered too, however the query ends ([`evidence`]).
//! 6. Every answer ends with a receipt that both sides sign ([`report`]). A cut answer ends with an error, never silently.

mod answer_stream;
mod columns;
mod decompose;
mod error;
mod evidence;
mod exchange;
mod exchange_task;
mod explain;
mod filter;
mod handle;
mod local;
mod local_answer;
mod plan;
mod provider_client;
mod remote_catalog;
mod report;
mod resolve;
mod run;
mod schema_cache;
mod source;
mod statement;
mod table;
mod targets;
mod threads;
mod union;

use std::sync::Arc;

use concordat_protocol::scope::Purpose;
use tokio_util::task::TaskTracker;

use self::plan::{Plan, plan};
use self::provider_client::ProviderClient;
use self::report::QueryReport;
use self::statement::ParsedQuery;
use crate::iam::Actor;
use crate::sharing::Requester;

pub(crate) use answer_stream::AnswerStream;
pub use error::FederationError;
pub(crate) use handle::{Federation, FederationParts};
pub(crate) use remote_catalog::RemoteDataset;

impl Federation {
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
        let requester = Requester::authorize(actor)?;
        let parsed = ParsedQuery::parse(sql)?;
        let report = QueryReport::default();
        let targets = self.targets(&parsed, &requester, purpose.as_ref(), &report).await?;
        let plan = plan(parsed, &targets)?;
        let tasks = TaskTracker::new();
        let client = ProviderClient::new(self.clone(), requester, report.clone(), tasks.clone());
        let sharing = &self.0.parts.sharing;
        let slot = match &plan {
            Plan::Whole { .. } => None,
            Plan::Local { .. } => {
                let slot = sharing.local_slot(actor).await;
                Some(slot.map_err(|refusal| self.refused_locally(refusal))?)
            }
        };
        let answer = run::run(plan, Arc::new(client), &self.0.threads, sharing.bounds().memory).await?;
        Ok(AnswerStream::new(answer, report, tasks, slot))
    }
}
