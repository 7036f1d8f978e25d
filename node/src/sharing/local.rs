//! Queries of this institution's own people about its own datasets: no grant, but the same decision, ledger, permit and disclosure
//! control as for peers.

use std::fmt::Display;

use bytes::Bytes;
use concordat_protocol::ids::DatasetName;
use concordat_protocol::scope::{Purpose, Scope};
use concordat_protocol::wire::messages::Refusal;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

use super::case::{Case, LocalQuery};
use super::delivery::LocalReader;
use super::handle::Sharing;
use super::outcome::{NotRun, Outcome};
use super::pipeline::{Received, Running};
use super::refusal::failed;
use super::requester::Requester;
use super::span::query_span;
use crate::negotiation::collection_facts;
use concordat_policy::Explanation;

/// Chunks that wait for the reader: one is read while the next is computed.
const PREFETCH: usize = 1;

/// The bytes of a local answer, an Arrow IPC stream; a refusal as the last item means that the answer is incomplete.
pub(crate) type LocalChunks = mpsc::Receiver<Result<Bytes, Refusal>>;

impl Sharing {
    /// The scope that the requester has in a local dataset now; `None` if there is no dataset of that name. For planning: nothing
    /// is shown and nothing recorded. If a query ends with this refusal, it is entered ([`Self::refused_own`]).
    ///
    /// # Errors
    /// [`Refusal`] with every reason.
    pub async fn local_scope(
        &self,
        requester: &Requester,
        purpose: &Purpose,
        dataset: &DatasetName,
    ) -> Result<Option<Scope>, Refusal> {
        let case = self.planned_case(requester, purpose, dataset)?;
        let known = collection_facts(&self.0.parts.storage, &case.collection()).await;
        match known.map_err(|_| failed("the catalog cannot be read"))? {
            Some(facts) => self.decide_on(&case, &self.policy(), Some(&facts)).map(Some),
            None => Ok(None),
        }
    }

    /// The decision about the requester and a local dataset, rule by rule; empty if something before the rules refuses it.
    pub async fn explain_local(&self, requester: &Requester, purpose: &Purpose, dataset: &DatasetName) -> Explanation {
        let Ok(case) = self.planned_case(requester, purpose, dataset) else {
            return Explanation::default();
        };
        let evaluated = self.evaluate(&case, &self.policy()).await;
        evaluated.map(|(_, explanation)| explanation).unwrap_or_default()
    }

    fn planned_case(&self, requester: &Requester, purpose: &Purpose, dataset: &DatasetName) -> Result<Case, Refusal> {
        self.local_case(LocalQuery {
            requester: requester.clone(),
            purpose: purpose.clone(),
            dataset: dataset.clone(),
            version: None,
            sql: String::new(),
        })
    }

    /// Answers a query about a local dataset for one of this institution's own people.
    ///
    /// The query runs in a task of the service stage: if this future is dropped, the query is closed with its outcome in the ledger.
    ///
    /// # Errors
    /// [`Refusal`] with every reason; the decision, or that there was none, is in the ledger either way.
    pub async fn answer_local(&self, query: LocalQuery) -> Result<LocalChunks, Refusal> {
        let (mut started, start) = oneshot::channel();
        let sharing = self.clone();
        let answered = async move {
            let requester = query.requester.clone();
            let subject = subject(&query.dataset, &query.purpose);
            let received = Received::Local(Box::new(query));
            let run = received.run(&sharing, started.closed()).await;
            match run {
                Ok(running) => {
                    let (chunks, reader) = mpsc::channel(PREFETCH);
                    // If the caller is gone, the channel is closed and the answer ends before its first chunk.
                    drop(started.send(Ok(reader)));
                    sharing.send_local_answer(running, LocalReader(chunks)).await;
                }
                Err(not_run) => {
                    if let NotRun::Unrecorded(refusal) = &not_run {
                        sharing.refused_own(&requester, &subject, refusal).await;
                    }
                    drop(started.send(Err(not_run.into_refusal())));
                }
            }
        };
        self.0.parts.stage.spawn(answered.instrument(query_span(None)));
        let stopping = |_| Err(failed("the node is stopping"));
        start.await.unwrap_or_else(stopping)
    }

    async fn send_local_answer(&self, running: Running, mut reader: LocalReader) {
        let closed = running.stream_answer(self, &mut reader).await;
        let recorded = closed.record_outcome(self, None).await;
        let refusal = match closed.outcome {
            _ if recorded.is_err() => Some(failed("the ledger cannot be written")),
            Outcome::Cut(refusal) => Some(refusal),
            Outcome::Interrupted(refusal) => Some(refusal),
            Outcome::Failed(refusal) => Some(refusal),
            Outcome::Completed => None,
            Outcome::Abandoned(_) => None,
        };
        if let Some(refusal) = refusal {
            // A reader that has gone away does not need to know.
            drop(reader.0.send(Err(refusal)).await);
        }
    }
}

/// What a query is about, as the ledger names it if it is refused.
pub(crate) fn subject(dataset: &impl Display, purpose: &Purpose) -> String {
    format!("`{dataset}` for `{purpose}`")
}
