//! One query of a peer, from its envelope to the countersigned receipt.

use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use concordat_protocol::ids::NodeId;
use concordat_protocol::query::{self, Parties, QueryEnvelope, Receipt, ValidQuery};
use concordat_protocol::signed::{CoSigned, SignatureError, Signed};
use concordat_protocol::wire::messages::{
    Countersignature, QueryClosing, QueryFrame, QueryOpening, Refusal, RefusalCode,
};
use tokio::sync::watch;

use super::Sharing;
use super::concurrency::{DecisionSlot, Party, QuerySlot};
use super::decide::Case;
use super::release::{Ended, Outcome, Running, Sink, named_version};
use crate::network::hello::Attested;
use crate::network::{Deadlines, FramedStream, NetworkError, Session};

/// Longest time that an answer may take, whatever deadline the consumer sets.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// How long the consumer may take to sign the receipt: it has to write its ledger first.
const SIGNING_DEADLINES: Deadlines = Deadlines {
    quiet: Duration::from_secs(15),
    frame: Duration::from_secs(10),
};

impl Sharing {
    /// Answers one query, or refuses it.
    pub(super) async fn answer_peer(&self, mut stream: FramedStream) -> Result<(), NetworkError> {
        let consumer = stream.session().until_attested().await?;
        let QueryFrame { envelope } = stream.expect().await?;
        let session = stream.session().clone();
        let peer = session.peer();
        let admitted = match self.admit_peer(envelope, &consumer, &session).await {
            Ok((case, time, slot, decision_slot)) => {
                let running = self.admit(case, time, decision_slot, session.until_cut()).await;
                running.map(|running| (running, slot))
            }
            Err(refusal) => {
                // The policy was not evaluated, so there is no decision in the ledger.
                self.refused_early(&session, &refusal).await;
                Err(refusal)
            }
        };
        match admitted {
            Ok((running, slot)) => self.stream_to(stream, running, peer, slot).await,
            Err(refusal) => {
                tracing::info!(peer = %consumer.institution, code = ?refusal.code, "a query was refused");
                stream.send(&QueryOpening::Refused(refusal)).await?;
                stream.close().await
            }
        }
    }

    async fn admit_peer(
        &self,
        envelope: Signed<QueryEnvelope>,
        consumer: &Attested,
        session: &Session,
    ) -> Result<(Case, Duration, QuerySlot, DecisionSlot), Refusal> {
        let parts = &self.0.parts;
        let peer = session.peer();
        let slot = self
            .0
            .limits
            .acquire(Party::Institution(consumer.institution.clone()))
            .await?;
        let decision_slot = slot.decision_slot().await?;
        let now = parts.clock.now();
        let parties = Parties {
            peer,
            consumer: consumer.institution.clone(),
            provider: parts.identity.institution.clone(),
        };
        let invalid = |text: String| Refusal::because(RefusalCode::Invalid, text);
        let query = ValidQuery::check(envelope, &parties, now).map_err(|error| invalid(error.to_string()))?;
        let envelope = query.envelope();
        let admitted = {
            let mut replay = self.0.replay.lock().unwrap_or_else(PoisonError::into_inner);
            replay.admit(peer, envelope.query, now)
        };
        admitted.map_err(|error| invalid(error.to_string()))?;
        self.is_new(envelope.query).await?;
        self.require_countersigned_receipts(&consumer.institution, now).await?;
        let lease = parts.grants.lease(&envelope.grant, consumer, now).await?;
        let terms = lease.terms();
        self.0
            .quota
            .count(terms.grant, self.queries_per_day(&terms.scope).await, now)
            .await?;
        let left = Duration::from_millis(u64::try_from(envelope.deadline.since(now)).unwrap_or(0));
        let sql = envelope.sql.clone();
        let version = tokio::task::spawn_blocking(move || named_version(&sql)).await;
        let case = Case::Peer {
            version: version.map_err(|_| invalid("the query cannot be read".to_owned()))?,
            by: session.attribution().on_behalf_of(query.assertion().actor.clone()),
            peer: Box::new(self.evidence_peer(session)?),
            query: Box::new(query),
            lease,
        };
        Ok((case, left.min(ANSWER_TIMEOUT), slot, decision_slot))
    }

    async fn stream_to(
        &self,
        mut stream: FramedStream,
        mut running: Running,
        peer: NodeId,
        slot: QuerySlot,
    ) -> Result<(), NetworkError> {
        let opening = QueryOpening::Accepted {
            query: running.case.query(),
            tier: running.scope.tier,
        };
        let changes = match &running.case {
            Case::Peer { lease, .. } => Some(lease.changes()),
            Case::Own { .. } => None,
        };
        let ended = match stream.send(&opening).await {
            Ok(()) => {
                self.stream_answer(
                    &mut running,
                    &mut ToPeer {
                        stream: &mut stream,
                        changes,
                    },
                )
                .await
            }
            Err(error) => Ended {
                totals: running.totals(),
                outcome: Outcome::Abandoned(error.to_string()),
            },
        };
        // The remaining steps do not need the engine.
        drop(slot);
        let receipt = self.receipt(&running, &ended);
        let digest = receipt.as_ref().ok().and_then(|receipt| receipt.payload_digest().ok());
        // Durable before it is sent; a consumer that has disconnected signs it when it connects again.
        let stored = match &receipt {
            Ok(receipt) => self.store_receipt(&running.case, receipt).await,
            Err(_) => false,
        };
        let signed = match (&ended.outcome, receipt) {
            (Outcome::Abandoned(_) | Outcome::Interrupted(_), _) => Ok(()),
            (_, Ok(_)) if !stored => Ok(()),
            (_, Ok(receipt)) => {
                self.exchange_receipt(&mut stream, &running.case, &ended.outcome, receipt, peer)
                    .await
            }
            (_, Err(error)) => {
                tracing::error!(%error, "a receipt cannot be signed");
                Ok(())
            }
        };
        // Written whether or not the other side signed: the data has been sent in either case.
        let entered = self.record_outcome(&running.case, &ended, digest).await;
        tracing::info!(query = %running.case.query().short(), rows = ended.totals.rows, recorded = entered.is_ok(), "an answer ended");
        signed
    }

    fn receipt(&self, running: &Running, ended: &Ended) -> Result<CoSigned<Receipt>, SignatureError> {
        let parts = &self.0.parts;
        let Case::Peer { query, .. } = &running.case else {
            return Err(SignatureError::Malformed);
        };
        let envelope = query.envelope();
        let receipt = Receipt {
            query: envelope.query,
            grant: envelope.grant,
            provider: envelope.to.clone(),
            consumer: envelope.from.clone(),
            actor: query.assertion().actor.clone(),
            purpose: envelope.purpose.clone(),
            sql: query.sql_digest(),
            tier: running.scope.tier,
            rows: ended.totals.rows,
            bytes: ended.totals.bytes,
            suppressed_cells: ended.totals.suppressed_cells,
            answer: ended.totals.answer,
            outcome: match &ended.outcome {
                Outcome::Completed => query::Outcome::Completed,
                Outcome::Cut(_) | Outcome::Interrupted(_) => query::Outcome::Cut,
                Outcome::Failed(_) | Outcome::Abandoned(_) => query::Outcome::Failed,
            },
            decision: running.decision,
            ledger: parts.membership.heads().signed()?,
            at: parts.clock.now(),
        };
        CoSigned::propose(&receipt)?.add_signature(&parts.identity.node_key)
    }

    /// Ends the answer: sends the receipt and receives it with both signatures.
    async fn exchange_receipt(
        &self,
        stream: &mut FramedStream,
        case: &Case,
        outcome: &Outcome,
        receipt: CoSigned<Receipt>,
        peer: NodeId,
    ) -> Result<(), NetworkError> {
        let digest = receipt.payload_digest().ok();
        let cut = match outcome {
            Outcome::Cut(refusal) | Outcome::Failed(refusal) => Some(refusal.clone()),
            Outcome::Completed | Outcome::Abandoned(_) | Outcome::Interrupted(_) => None,
        };
        stream.end_chunks().await?;
        stream.send(&QueryClosing { receipt, cut }).await?;
        stream.set_deadlines(SIGNING_DEADLINES);
        let signed: Countersignature = stream.expect().await?;
        let same = signed.receipt.payload_digest().ok() == digest;
        let keys = [self.0.parts.identity.node(), peer];
        match digest.filter(|_| same && signed.receipt.clone().verify(&keys).is_ok()) {
            Some(_) => self.countersigned(case, signed, peer).await,
            None => tracing::warn!(query = %case.query().short(), "the receipt was returned without a valid signature"),
        }
        Ok(())
    }

    async fn countersigned(&self, case: &Case, signed: Countersignature, peer: NodeId) {
        let Case::Peer { lease, by, .. } = case else { return };
        let stored = self.store_countersigned(case.query(), (&lease.terms().consumer, peer), signed, by);
        if let Err(refusal) = stored.await {
            tracing::error!(?refusal, "a countersigned receipt is not in the ledger");
        }
    }
}

/// The network as the reader of an answer.
struct ToPeer<'a> {
    stream: &'a mut FramedStream,
    changes: Option<watch::Receiver<u64>>,
}

impl Sink for ToPeer<'_> {
    /// Flushes before it returns, so that no byte of the chunk waits in a buffer while the grant is revoked.
    async fn send(&mut self, chunk: Bytes) -> Result<(), String> {
        self.stream.send_chunk(chunk).await.map_err(|error| error.to_string())?;
        self.stream.flush().await.map_err(|error| error.to_string())
    }

    async fn reader_gone(&mut self) {
        self.stream.session().until_cut().await;
    }

    fn change_signal(&mut self) -> Option<&mut watch::Receiver<u64>> {
        self.changes.as_mut()
    }
}
