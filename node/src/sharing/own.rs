//! Our own people and our own datasets: no grant, but the same decision, ledger, permit and disclosure as for everybody.

use std::time::Duration;

use bytes::Bytes;
use concordat_protocol::ids::{DatasetName, DatasetRef, QueryId};
use concordat_protocol::scope::{Purpose, Scope};
use concordat_protocol::wire::messages::Refusal;
use tokio::sync::{mpsc, watch};

use super::Sharing;
use super::decide::{Case, failed};
use super::places::Party;
use super::release::{How, Sink, named_version};
use crate::iam::Actor;
use crate::negotiation::dataset_facts;
use crate::policy::Explanation;

/// Longest that a local answer may take.
const LONGEST: Duration = Duration::from_secs(600);
/// Chunks that wait for the reader; one is read while the next is computed.
const AHEAD: usize = 1;

/// The bytes of a local answer, an Arrow IPC stream; a refusal as the last item tells that it is not all.
pub type OwnChunks = mpsc::Receiver<Result<Bytes, Refusal>>;

impl Sharing {
    /// What `actor` could see of our dataset at this moment; nothing when there is none of that name. Nothing is shown and
    /// nothing recorded: it is for planning.
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
        match known.map_err(|_| failed("the catalogue cannot be read"))? {
            Some(_) => self.decide(&case, &self.policy()).await.map(Some),
            None => Ok(None),
        }
    }

    /// The decision about `actor` and our dataset, rule by rule; empty when something before the rules stands against it.
    pub async fn explain_own(&self, actor: &Actor, purpose: &Purpose, dataset: &DatasetName) -> Explanation {
        let Ok(case) = self.own_case(actor, purpose, dataset, String::new()) else {
            return Explanation::default();
        };
        self.weigh(&case, &self.policy())
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
        let place = self.0.places.take(Party::Person(actor.id().clone())).await?;
        let turn = place.turn().await?;
        let mut running = self.admit(case, LONGEST, turn, std::future::pending()).await?;
        let (chunks, reader) = mpsc::channel(AHEAD);
        let sharing = self.clone();
        tokio::spawn(async move {
            let mut sink = ToReader(chunks);
            let ended = sharing.let_out(&mut running, &mut sink).await;
            drop(place);
            let entered = sharing.write_down(&running.case, &ended, None).await;
            let last = match (entered, ended.how) {
                (Err(_), _) => Some(failed("the ledger cannot be written")),
                (Ok(()), How::Cut(refusal) | How::Interrupted(refusal) | How::Failed(refusal)) => Some(refusal),
                (Ok(()), How::Completed | How::Abandoned(_)) => None,
            };
            if let Some(refusal) = last {
                // A reader that has gone does not need to know.
                let _ = sink.0.send(Err(refusal)).await;
            }
        });
        Ok(reader)
    }

    fn own_case(&self, actor: &Actor, purpose: &Purpose, dataset: &DatasetName, sql: String) -> Result<Case, Refusal> {
        let parts = &self.0.parts;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| failed("the system gives no random numbers"))?;
        let ours = parts.identity.institution.clone();
        let expires = parts
            .clock
            .now()
            .plus_seconds(i64::try_from(LONGEST.as_secs()).unwrap_or(i64::MAX));
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
    async fn take(&mut self, chunk: Bytes) -> Result<(), String> {
        self.0
            .send(Ok(chunk))
            .await
            .map_err(|_| "the reader went away".to_owned())
    }

    async fn gone(&mut self) {
        self.0.closed().await;
    }

    fn hurry(&mut self) -> Option<&mut watch::Receiver<u64>> {
        None
    }
}
