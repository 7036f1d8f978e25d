//! Queries of our own people over our own datasets: no grant, but the same decision, ledger, permit and disclosure rules as for peers.

use std::time::Duration;

use bytes::Bytes;
use concordat_protocol::ids::{DatasetName, DatasetRef, QueryId};
use concordat_protocol::scope::{Purpose, Scope};
use concordat_protocol::wire::messages::Refusal;
use tokio::sync::{mpsc, watch};

use super::Sharing;
use super::concurrency::Party;
use super::decide::{Case, failed};
use super::release::{Outcome, Sink, named_version};
use crate::iam::Actor;
use crate::negotiation::dataset_facts;
use crate::policy::Explanation;

/// Longest time that a local answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// Chunks buffered for the reader: one is read while the next is computed.
const PREFETCH: usize = 1;

/// The bytes of a local answer, an Arrow IPC stream; a refusal as the last item means that the answer is incomplete.
pub type OwnChunks = mpsc::Receiver<Result<Bytes, Refusal>>;

impl Sharing {
    /// The scope of our dataset that `actor` may see now; `None` if there is no dataset of that name. Nothing is released or recorded:
    /// this is for planning.
    ///
    /// # Errors
    /// [`Refusal`] with every reason.
    pub async fn own_scope(
        &self,
        actor: &Actor,
        purpose: &Purpose,
        dataset: &DatasetName,
    ) -> Result<Option<Scope>, Refusal> {
        let case = self.own_case(actor, purpose, dataset, String::new())?;
        let Case::Own { dataset, .. } = &case else {
            return Ok(None);
        };
        let known = dataset_facts(&self.0.parts.storage, dataset).await;
        match known.map_err(|_| failed("the catalog cannot be read"))? {
            Some(_) => self.decide(&case, &self.policy()).await.map(Some),
            None => Ok(None),
        }
    }

    /// The decision about `actor` and our dataset, rule by rule; empty if a check before the rules fails.
    pub async fn explain_own(&self, actor: &Actor, purpose: &Purpose, dataset: &DatasetName) -> Explanation {
        let Ok(case) = self.own_case(actor, purpose, dataset, String::new()) else {
            return Explanation::default();
        };
        self.evaluate(&case, &self.policy())
            .await
            .map(|(_, explanation)| explanation)
            .unwrap_or_default()
    }

    /// Answers `sql` over our dataset for one of our own people.
    ///
    /// # Errors
    /// [`Refusal`] with every reason; the decision is in the ledger either way.
    pub async fn answer_own(
        &self,
        actor: &Actor,
        purpose: &Purpose,
        dataset: &DatasetName,
        sql: String,
    ) -> Result<OwnChunks, Refusal> {
        let case = self.own_case(actor, purpose, dataset, sql)?;
        let slot = self.0.limits.acquire(Party::Person(actor.id().clone())).await?;
        let decision_slot = slot.decision_slot().await?;
        let mut running = self
            .admit(case, ANSWER_TIMEOUT, decision_slot, std::future::pending())
            .await?;
        let (chunks, reader) = mpsc::channel(PREFETCH);
        let sharing = self.clone();
        tokio::spawn(async move {
            let mut sink = ToReader(chunks);
            let ended = sharing.stream_answer(&mut running, &mut sink).await;
            drop(slot);
            let entered = sharing.record_outcome(&running.case, &ended, None).await;
            let last = match (entered, ended.outcome) {
                (Err(_), _) => Some(failed("the ledger cannot be written")),
                (Ok(()), Outcome::Cut(refusal) | Outcome::Interrupted(refusal) | Outcome::Failed(refusal)) => {
                    Some(refusal)
                }
                (Ok(()), Outcome::Completed | Outcome::Abandoned(_)) => None,
            };
            if let Some(refusal) = last {
                // The reader may have been dropped.
                let _ = sink.0.send(Err(refusal)).await;
            }
        });
        Ok(reader)
    }

    fn own_case(&self, actor: &Actor, purpose: &Purpose, dataset: &DatasetName, sql: String) -> Result<Case, Refusal> {
        let parts = &self.0.parts;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| failed("the system provides no random numbers"))?;
        let ours = parts.identity.institution.clone();
        let expires = parts
            .clock
            .now()
            .plus_seconds(i64::try_from(ANSWER_TIMEOUT.as_secs()).unwrap_or(i64::MAX));
        let assertion = actor.assert_for(ours.clone(), QueryId::from_bytes(id), expires);
        Ok(Case::Own {
            actor: Box::new(actor.clone()),
            assertion: Box::new(assertion),
            purpose: purpose.clone(),
            dataset: DatasetRef {
                institution: ours,
                dataset: dataset.clone(),
            },
            version: named_version(&sql),
            sql,
        })
    }
}

struct ToReader(mpsc::Sender<Result<Bytes, Refusal>>);

impl Sink for ToReader {
    async fn send(&mut self, chunk: Bytes) -> Result<(), String> {
        self.0
            .send(Ok(chunk))
            .await
            .map_err(|_| "the reader disconnected".to_owned())
    }

    async fn reader_gone(&mut self) {
        self.0.closed().await;
    }

    fn change_signal(&mut self) -> Option<&mut watch::Receiver<u64>> {
        None
    }
}
