//! The provider's evidence of a query, and the consumer's signature for what it received.
//!
//! A receipt is durable before it is sent, and waits for the consumer's signature. While too many receipts wait, or one waits for too
//! long, no further query of that institution is answered: it fetches the receipts over [`super::RECEIPT`], signs them and continues.
//! Receipts that were left unsigned by a crash of either side are signed in the same way. A consumer that has lost its record of the
//! query cannot sign; a steward of this institution writes such a receipt off ([`crate::evidence::Evidence::write_off`]).

use concordat_protocol::audit::LedgerHead;
use concordat_protocol::error_kind::chain;
use concordat_protocol::ids::{InstitutionId, NodeId, QueryId};
use concordat_protocol::query::{AttestedQuery, Receipt, ValidQuery};
use concordat_protocol::signed::{CoSigned, SignatureError, Signed};
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{
    Countersignature, MAX_RECEIPTS, Reason, ReceiptReply, ReceiptRequest, Refusal, RefusalCode, Reply,
};
use concordat_storage::ledger::Attribution;

use super::case::Case;
use super::handle::Sharing;
use super::pipeline::Closed;
use super::refusal::failed;
use crate::attribution::by_peer;
use crate::evidence::{EvidenceError, EvidencePeer, EvidenceRecord, EvidenceSide, Outstanding};
use crate::ledger_heads::LedgerHeadsError;
use concordat_network::{FramedStream, NetworkError, Session};

/// Receipts of one institution that may wait for its signature while it is answered: more than it may have exchanges at the same time.
pub(super) const MAX_OUTSTANDING: usize = 16;
/// How long one of them may wait: long enough for a crashed node to be started again.
const COUNTERSIGN_GRACE_MS: i64 = 10 * 60_000;

fn not_awaited() -> Refusal {
    Refusal::because(RefusalCode::Invalid, "no such receipt waits for your signature")
}

fn used_before() -> Refusal {
    Refusal::of_rule(
        RefusalCode::Invalid,
        Some("query-id-unused"),
        "the id of this query was used before; send the query again with a new one",
    )
}

impl Sharing {
    /// Refuses a query that has the id of another query, on either side, as long as the evidence of that query is stored; and an institution whose
    /// receipts wait for its signature in too large a number or for too long. Both are read at once.
    pub(super) async fn check_evidence(
        &self,
        query: QueryId,
        consumer: &InstitutionId,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let of = consumer.clone();
        let evidence = &self.0.parts.evidence;
        let read = evidence.blocking(move |evidence| Ok((evidence.has(query)?, evidence.outstanding(&of)?)));
        let unread = |_| failed("the evidence of earlier queries cannot be read");
        let (is_known, waiting) = read.await.map_err(unread)?;
        if is_known {
            return Err(used_before());
        }
        match overdue(&waiting, now) {
            None => Ok(()),
            Some(oldest) => Err(self.countersign_first(waiting.len(), oldest)),
        }
    }

    fn countersign_first(&self, waiting: usize, oldest: QueryId) -> Refusal {
        Refusal {
            code: RefusalCode::CountersignFirst,
            reasons: vec![Reason {
                text: format!(
                    "{waiting} receipts of your institution are not countersigned, the oldest that of query {oldest}"
                ),
                remedy: Some(format!(
                    "countersign them first; a node does so by itself when it connects. If your node has no record of the query, \
                     have a data steward of `{}` write the receipt off: `concordat audit write-off {oldest} --reason …`",
                    self.0.parts.identity.institution
                )),
                rule: Some("countersign-receipts".to_owned()),
            }],
        }
    }

    /// Stores the query before it is decided. The record comes before the entry: an entry without a record is detected at the next start.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn begin_evidence(&self, case: &Case) -> Result<(), Refusal> {
        let query = case.query();
        let record = self.record_of(case)?;
        let stored = self
            .0
            .parts
            .evidence
            .blocking(move |evidence| evidence.begin(query, &record))
            .await;
        match stored {
            Ok(true) => Ok(()),
            Ok(false) => Err(used_before()),
            Err(error) => {
                tracing::error!(%error, "the evidence of a query cannot be stored, so it is not answered");
                Err(failed(
                    "the holder cannot store the evidence of the query and therefore does not answer it",
                ))
            }
        }
    }

    /// Stores which entry records the decision. A start finds it in the ledger if a power cut loses this.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn store_decision(&self, case: &Case, entry: u64) -> Result<(), Refusal> {
        let query = case.query();
        let evidence = &self.0.parts.evidence;
        let stored = evidence.blocking(move |evidence| evidence.note(query, entry));
        stored.await.map_err(|error| {
            tracing::error!(%error, "the evidence of a query cannot be stored, so it is not answered");
            failed("the holder cannot store the evidence of the query and therefore does not answer it")
        })
    }

    fn record_of(&self, case: &Case) -> Result<EvidenceRecord, Refusal> {
        let parts = &self.0.parts;
        let (side, peer, envelope) = match case {
            Case::Peer { query, peer, .. } => (
                EvidenceSide::Provider,
                Some((**peer).clone()),
                Some(query.signed().clone()),
            ),
            Case::Local { .. } => (EvidenceSide::Local, None, None),
        };
        Ok(EvidenceRecord {
            side,
            at: parts.clock.now(),
            actor: case.assertion().actor.clone(),
            grant: case.grant(),
            peer,
            sql: envelope.is_none().then(|| case.sql().to_owned()),
            envelope,
            entries: Vec::new(),
            since: None,
            bounds: None,
            counted: None,
            receipt: None,
            countersigned: false,
            consumer_ledger: None,
        })
    }

    /// The other node as it is recorded in the evidence. A query of which no valid evidence could be shown is refused.
    pub(super) fn evidence_peer(&self, session: &Session, query: &ValidQuery) -> Result<EvidencePeer, Refusal> {
        let parts = &self.0.parts;
        let attested = session.attested().ok_or_else(|| failed("the peer is not attested"))?;
        let own = parts.identity.recent_certificate(parts.clock.now());
        let own = own.map_err(|_| failed("the holder cannot create the certificate of its node"))?;
        let certificate = attested.certificate.clone();
        AttestedQuery::check([certificate.clone(), own.clone()], query.signed().clone())
            .map_err(|error| Refusal::because(RefusalCode::Invalid, chain(&error)))?;
        Ok(EvidencePeer {
            institution: attested.institution.clone(),
            node: session.peer(),
            certificate,
            own,
        })
    }

    /// Closes the record of a query: `entry` records its end.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn close_evidence(&self, query: QueryId, entry: u64) {
        let closed = self
            .0
            .parts
            .evidence
            .blocking(move |evidence| evidence.close(query, entry, None));
        if let Err(error) = closed.await {
            tracing::error!(%error, "the record of a query stays open until the next start");
        }
    }

    /// Signs and stores the receipt of a query of a peer, over the head of the ledger with which it is stored. It may be sent afterwards;
    /// `None` if that failed.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn store_receipt(&self, closed: &Closed) -> Option<CoSigned<Receipt>> {
        let Case::Peer { lease, query, .. } = &closed.case else {
            return None;
        };
        let id = closed.case.query();
        let consumer = lease.terms().consumer.clone();
        let now = self.0.parts.clock.now();
        let receipt = receipt(closed, query, now);
        let sharing = self.clone();
        let sign = move |head| {
            let parts = &sharing.0.parts;
            let ledger = parts.membership.heads().sign(head)?;
            CoSigned::propose(&receipt(ledger))?.add_signature(&parts.identity.node_key)
        };
        let evidence = &self.0.parts.evidence;
        let stored = evidence.run(move |evidence| evidence.await_countersignature(id, &consumer, sign, now));
        let stored = stored.await;
        stored
            .inspect_err(|error| tracing::error!(%error, "a receipt could not be stored, so it is not sent"))
            .ok()
    }

    /// Enters a receipt that the consumer's node has signed, and stores it with the head of that node's ledger. The receipt no longer
    /// waits for the signature. The same signature again changes nothing, and another one is refused.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn store_countersigned(
        &self,
        query: QueryId,
        (consumer, node): (&InstitutionId, NodeId),
        signed: Countersignature,
        by: &Attribution,
    ) -> Result<(), Refusal> {
        let parts = &self.0.parts;
        self.check_grown(node, &signed)?;
        self.note_ledger((consumer, node), &signed.ledger, by).await?;
        let by = by.clone();
        let now = parts.clock.now();
        let stored = parts
            .evidence
            .run(move |evidence| evidence.receive_countersignature(query, signed, (&by, now)));
        match stored.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(not_awaited()),
            Err(EvidenceError::Invalid(error)) => Err(Refusal::because(RefusalCode::Invalid, chain(&error))),
            Err(error) => {
                tracing::error!(%error, "a countersigned receipt cannot be entered and stored");
                Err(failed("the countersigned receipt cannot be entered and stored"))
            }
        }
    }

    /// A head from before the answer cannot contain the entry about the countersignature.
    fn check_grown(&self, node: NodeId, signed: &Countersignature) -> Result<(), Refusal> {
        let unread = |error: SignatureError| Refusal::because(RefusalCode::Invalid, error.to_string());
        let receipt = signed.receipt.peek_unverified().map_err(unread)?;
        let head = signed.ledger.peek_unverified().map_err(unread)?;
        if self.0.parts.membership.heads().has_grown(&node, &head, receipt.at) {
            return Ok(());
        }
        let why =
            "the head of the ledger with the countersignature has no more entries than one from before the receipt";
        Err(Refusal::because(RefusalCode::Invalid, why))
    }

    /// Stores the head of the consumer's ledger. A head that contradicts the stored ones ends the session with its node; the receipt is
    /// signed nevertheless.
    async fn note_ledger(
        &self,
        (consumer, node): (&InstitutionId, NodeId),
        ledger: &Signed<LedgerHead>,
        by: &Attribution,
    ) -> Result<(), Refusal> {
        let parts = &self.0.parts;
        ledger
            .head_of(node, consumer)
            .map_err(|error| Refusal::because(RefusalCode::Invalid, error.to_string()))?;
        let heads = parts.membership.heads();
        match heads.note_pending(consumer.clone(), ledger.clone(), by.clone()).await {
            Ok(()) => Ok(()),
            Err(LedgerHeadsError::PeerConflict { .. }) => {
                // The query has been answered; from now on the node is refused.
                let ended = parts.network.disconnect(node).await;
                ended.map_err(|_| failed("the holder is stopping"))
            }
            Err(error) => Err(failed(&error.to_string())),
        }
    }

    /// Sends a consumer the receipts that wait for its signature and receives them signed.
    pub(super) async fn serve_receipts(&self, mut stream: FramedStream) -> Result<(), NetworkError> {
        let consumer = stream.session().until_attested().await?.institution.clone();
        let ReceiptRequest {} = stream.expect().await?;
        let receipts = self.waiting_receipts(&consumer).await;
        let expected = receipts.len();
        stream.send(&ReceiptReply { receipts }).await?;
        for _ in 0..expected {
            let Some(signed) = stream.recv::<Countersignature>().await? else {
                break;
            };
            let reply = match self.receive_countersignature(&consumer, signed, stream.session()).await {
                Ok(()) => Reply::Accepted,
                Err(refusal) => Reply::Refused(refusal),
            };
            stream.send(&reply).await?;
        }
        stream.close().await
    }

    async fn waiting_receipts(&self, consumer: &InstitutionId) -> Vec<CoSigned<Receipt>> {
        let consumer = consumer.clone();
        let listed = self.0.parts.evidence.blocking(move |evidence| {
            let mut receipts = Vec::new();
            for waiting in evidence.outstanding(&consumer)?.iter().take(MAX_RECEIPTS) {
                receipts.extend(evidence.get(waiting.query)?.and_then(|record| record.receipt));
            }
            Ok(receipts)
        });
        listed.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the receipts of a consumer cannot be read");
            Vec::new()
        })
    }

    async fn receive_countersignature(
        &self,
        consumer: &InstitutionId,
        signed: Countersignature,
        session: &Session,
    ) -> Result<(), Refusal> {
        let query = signed.receipt.peek_unverified().map_err(|_| not_awaited())?.query;
        let stored = self.0.parts.evidence.blocking(move |evidence| evidence.get(query));
        let stored = stored.await.map_err(|_| failed("the evidence cannot be read"))?;
        // Another node of the institution did not see the answer: it can sign neither the receipt nor a head that contains it.
        let sent_by = stored
            .as_ref()
            .and_then(|record| record.peer.as_ref())
            .map(|peer| peer.node);
        let record = stored.filter(|_| sent_by == Some(session.peer()));
        let checked = record
            .ok_or_else(not_awaited)?
            .check_receipt(&signed.receipt, Some(&signed.ledger));
        checked.map_err(|error| Refusal::because(RefusalCode::Invalid, chain(&error)))?;
        self.store_countersigned(query, (consumer, session.peer()), signed, &by_peer(session))
            .await
    }
}

/// The receipt of a query of a peer, over a head of this node's ledger.
fn receipt(closed: &Closed, query: &ValidQuery, at: Timestamp) -> impl FnOnce(Signed<LedgerHead>) -> Receipt + use<> {
    let envelope = query.envelope().clone();
    let actor = query.assertion().actor.clone();
    let sql = query.sql_digest();
    let (tier, decision, totals) = (closed.tier, closed.decision, closed.totals);
    let outcome = closed.outcome.to_receipt();
    move |ledger| Receipt {
        query: envelope.query,
        grant: envelope.grant,
        provider: envelope.to,
        consumer: envelope.from,
        actor,
        purpose: envelope.purpose,
        sql,
        tier,
        rows: totals.rows,
        bytes: totals.bytes,
        answer: totals.answer,
        outcome,
        decision,
        ledger,
        at,
    }
}

/// The oldest query whose receipt prevents its consumer from being answered.
fn overdue(waiting: &[Outstanding], now: Timestamp) -> Option<QueryId> {
    let oldest = waiting.iter().min_by_key(|one| one.since)?;
    let too_many = waiting.len() >= MAX_OUTSTANDING;
    (too_many || now.since(oldest.since) >= COUNTERSIGN_GRACE_MS).then_some(oldest.query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_receipts_block_if_many_or_old() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let waiting = |count: u8, age: i64| -> Vec<Outstanding> {
            (0..count)
                .map(|n| Outstanding {
                    query: QueryId::from_bytes([n; 16]),
                    since: now.plus_millis(-age - i64::from(count - n)),
                })
                .collect()
        };
        assert_eq!(overdue(&[], now), None);
        assert_eq!(overdue(&waiting(15, 0), now), None);
        assert_eq!(overdue(&waiting(16, 0), now), Some(QueryId::from_bytes([0; 16])));
        assert_eq!(overdue(&waiting(1, COUNTERSIGN_GRACE_MS - 2), now), None);
        assert_eq!(
            overdue(&waiting(1, COUNTERSIGN_GRACE_MS - 1), now),
            Some(QueryId::from_bytes([0; 16]))
        );
    }
}
