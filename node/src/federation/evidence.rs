//! What the consumer enters in the ledger and stores as evidence for a query to another institution.
//!
//! 1. The signed query is stored, and then entered in the ledger, attributed to the person, before it is sent.
//! 2. The record comes before the entry, so that a start finds a record of each entry.
//! 3. Its end is entered in every case: complete, cut, refused, failed, or because its reader stopped. The end of a query that was
//!    interrupted by a stop of this node is entered at the next start.
//! 4. A receipt is countersigned immediately, or later over [`RECEIPT`] if the answer was not read to its end.

use concordat_protocol::audit::{EntryBody, Outcome};
use concordat_protocol::error_kind::chain;
use concordat_protocol::ids::{Digest32, InstitutionId, NodeId, QueryId};
use concordat_protocol::labels::SQL_HASH;
use concordat_protocol::query::Receipt;
use concordat_protocol::signed::CoSigned;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{
    Countersignature, MAX_RECEIPTS, ReceiptReply, ReceiptRequest, Refusal, Reply,
};
use concordat_protocol::wire::streams::RECEIPT;
use concordat_storage::ledger::{Attribution, LedgerError};
use concordat_storage::meta::MetaError;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::error::FederationError;
use super::exchange::OutgoingQuery;
use super::handle::{Federation, FederationParts};
use crate::attribution::by_peer;
use crate::evidence::{
    AnswerEnd, Counted, EvidenceError, EvidencePeer, EvidenceRecord, EvidenceSide, UnsignedReceipt, check_receipt,
};
use crate::iam::IamError;
use crate::ledger_heads::LedgerHeadsError;
use crate::membership::session_span;
use crate::shutdown::Stage;
use concordat_network::Session;

/// A query that is in the ledger without its end. It is closed exactly once.
#[derive(Debug)]
#[must_use = "the end of the query has to be entered"]
pub(super) struct OpenQuery {
    pub(super) id: QueryId,
    by: Attribution,
    /// Stores the reference from the record to the entry that the query was opened.
    referenced: JoinHandle<Result<(), MetaError>>,
}

impl Federation {
    /// Stores a signed query and enters it in the ledger; it may be sent afterwards. The record comes first, so that a stop in between may
    /// leave an end without a beginning, but never a beginning without an end. That the record refers to the entry is stored while the query is
    /// sent; a start finds the entry in the ledger if a stop comes first.
    ///
    /// # Errors
    /// If it cannot be shown as evidence, or not be made durable. The query must not be sent in that case.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn open_query(
        &self,
        outgoing: &OutgoingQuery,
        session: &Session,
    ) -> Result<OpenQuery, FederationError> {
        let parts = &self.0.parts;
        let envelope = &outgoing.envelope;
        let query = envelope.query;
        // Nothing is stored of a query that the entry below would refuse.
        outgoing.by.check(parts.clock.now()).map_err(IamError::from)?;
        let record = record_of(parts, outgoing, session)?;
        let stored = parts
            .evidence
            .run(move |evidence| evidence.begin_signed(query, &record));
        if !stored.await.map_err(evidence_error)? {
            return Err(FederationError::machine(
                "the id that was generated for the query is already in use",
                std::io::Error::from(std::io::ErrorKind::AlreadyExists),
            ));
        }
        let entry = EntryBody::QueryOpened {
            query,
            provider: envelope.to.clone(),
            grant: envelope.grant,
            sql: Digest32::sha256(SQL_HASH, envelope.sql.as_bytes()),
        };
        let by = outgoing.by.for_outcome();
        let entered = parts.ledger.append_async(entry, &outgoing.by, parts.clock.now()).await;
        let entry = entered.map_err(|error| {
            if let LedgerError::Authority(ended) = error {
                return FederationError::NotPermitted(ended.into());
            }
            FederationError::machine("the query cannot be entered in the ledger", error)
        })?;
        let sequence = entry.sequence();
        let evidence = parts.evidence.clone();
        let referenced = tokio::task::spawn_blocking(move || evidence.note(query, sequence));
        Ok(OpenQuery {
            id: query,
            by,
            referenced,
        })
    }

    /// Enters the end of a query.
    ///
    /// # Errors
    /// If it cannot be made durable.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn close_query(
        &self,
        query: OpenQuery,
        counted: Counted,
        outcome: Outcome,
    ) -> Result<(), FederationError> {
        let parts = &self.0.parts;
        let OpenQuery { id, by, referenced } = query;
        let referenced = referenced.await;
        let entry = EntryBody::QueryClosed {
            query: id,
            rows: counted.rows,
            bytes: counted.bytes,
            outcome,
        };
        let entered = parts.ledger.append_async(entry, &by, parts.clock.now()).await;
        let unentered = |error| FederationError::machine("the end of the query cannot be entered in the ledger", error);
        let sequence = entered.map_err(unentered)?.sequence();
        let stored = parts
            .evidence
            .blocking(move |evidence| evidence.close(id, sequence, Some(counted)));
        stored.await.map_err(evidence_error)?;
        let referenced = referenced.map_err(|error| evidence_error(error.into()))?;
        referenced.map_err(|error| evidence_error(error.into()))
    }

    /// Enters that the receipt is being signed, and stores it with both signatures and the head of the ledger that contains this entry.
    /// The result may then be sent. A receipt that was signed before is returned as it was.
    ///
    /// # Errors
    /// If it cannot be made durable; [`FederationError::Misbehaved`] if it cannot be shown as evidence, or another receipt was signed.
    pub(super) async fn store_countersigned(
        &self,
        receipt: CoSigned<Receipt>,
        (query, provider): (QueryId, &InstitutionId),
        counted: bool,
        by: &Attribution,
    ) -> Result<Countersignature, FederationError> {
        let parts = &self.0.parts;
        self.note_ledger(&receipt, provider, by).await?;
        let heads = parts.membership.heads().clone();
        let by = by.clone();
        let now = parts.clock.now();
        let signed = parts
            .evidence
            .run(move |evidence| evidence.countersign(query, (receipt, counted), |head| heads.sign(head), (&by, now)));
        let misbehaved = |detail: String| FederationError::Misbehaved {
            provider: provider.clone(),
            detail,
        };
        match signed.await {
            Ok(Some(signed)) => Ok(signed),
            Ok(None) => Err(misbehaved(
                "it has got a signature under another receipt of this query".to_owned(),
            )),
            Err(EvidenceError::Invalid(error)) => {
                Err(misbehaved(format!("its receipt is not evidence: {}", chain(&error))))
            }
            Err(error) => Err(evidence_error(error)),
        }
    }

    /// Stores the head of the provider's ledger. A head that contradicts the stored one ends the session with its node.
    async fn note_ledger(
        &self,
        receipt: &CoSigned<Receipt>,
        provider: &InstitutionId,
        by: &Attribution,
    ) -> Result<(), FederationError> {
        let parts = &self.0.parts;
        let unread = |error| FederationError::machine("the receipt cannot be decoded", error);
        let signed = receipt.peek_unverified().map_err(unread)?.ledger;
        let node = signed.peek_unverified().map_err(unread)?.node;
        let noted = parts
            .membership
            .heads()
            .note_pending(provider.clone(), signed, by.clone())
            .await;
        match noted {
            Ok(()) => Ok(()),
            Err(LedgerHeadsError::PeerConflict { .. }) => {
                // The answer that was received belongs to the earlier head; from now on the node is refused.
                parts.network.disconnect(node).await.map_err(exchange_error)
            }
            Err(error) => Err(FederationError::machine(
                "the head of the provider's ledger cannot be stored",
                error,
            )),
        }
    }

    /// Whenever a peer connects, signs the receipts that are still unsigned, until `stage` stops.
    pub fn serve(&self, stage: &Stage) {
        stage.spawn(self.clone().countersign_on_connect(stage.clone()));
    }

    async fn countersign_on_connect(self, stage: Stage) {
        let mut sessions = self.0.parts.network.sessions();
        let mut seen = 0;
        loop {
            let connected = sessions.borrow_and_update().clone();
            for session in connected.values().filter(|session| session.number() > seen) {
                let federation = self.clone();
                let session = session.clone();
                let span = session_span(session.peer());
                let countersigned = async move {
                    if session.until_attested().await.is_ok()
                        && let Err(error) = federation.countersign(session.peer()).await
                    {
                        tracing::debug!(%error, "receipts were not countersigned");
                    }
                };
                stage.spawn(countersigned.instrument(span));
            }
            seen = connected.values().map(Session::number).max().unwrap_or(seen).max(seen);
            match stage.token().run_until_cancelled(sessions.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    /// Signs the receipts of `node` that wait for this institution's signature, and returns how many of them `node` accepted.
    ///
    /// # Errors
    /// The error that ended the exchange. A receipt that does not match a query stays unsigned.
    pub(super) async fn countersign(&self, node: NodeId) -> Result<usize, FederationError> {
        let parts = &self.0.parts;
        let mut accepted = 0;
        let mut stream = parts.network.open(node, RECEIPT).await.map_err(exchange_error)?;
        let by = by_peer(stream.session());
        stream.send(&ReceiptRequest {}).await.map_err(exchange_error)?;
        let ReceiptReply { receipts } = stream.expect().await.map_err(exchange_error)?;
        for receipt in receipts.into_iter().take(MAX_RECEIPTS) {
            let Some(signed) = self.sign_later(receipt, node, &by).await? else {
                continue;
            };
            stream.send(&signed).await.map_err(exchange_error)?;
            match stream.expect().await.map_err(exchange_error)? {
                Reply::Accepted => accepted += 1,
                Reply::Refused(refusal) => tracing::debug!(?refusal, "a countersigned receipt was not accepted"),
            }
        }
        stream.close().await.map_err(exchange_error)?;
        Ok(accepted)
    }

    /// The receipt with our signature, if it belongs to a query of ours that has ended.
    async fn sign_later(
        &self,
        receipt: CoSigned<Receipt>,
        node: NodeId,
        by: &Attribution,
    ) -> Result<Option<Countersignature>, FederationError> {
        let parts = &self.0.parts;
        let Ok(verified) = receipt.verify(&[node]) else {
            return Ok(None);
        };
        let stated = verified.document().clone();
        let signed = verified.signed().clone();
        let query = stated.query;
        let stored = parts.evidence.blocking(move |evidence| {
            let ended = !evidence.is_open(query)?;
            Ok(evidence
                .get(query)?
                .filter(|record| ended && record.side == EvidenceSide::Consumer))
        });
        let Some(record) = stored.await.map_err(evidence_error)? else {
            return Ok(None);
        };
        if record.peer.as_ref().is_none_or(|peer| peer.node != node) {
            return Ok(None);
        }
        if let Some(before) = record.receipt.as_ref().filter(|_| record.countersigned) {
            // Our signature did not reach the provider.
            let same = matches!((before.payload_digest(), signed.payload_digest()), (Ok(a), Ok(b)) if a == b);
            let receipt = before.clone();
            let ledger = record.consumer_ledger.clone();
            return Ok(ledger
                .filter(|_| same)
                .map(|ledger| Countersignature { receipt, ledger }));
        }
        let counted = match check_later(&stated, &record, node) {
            Ok(counted) => counted,
            Err(error) => {
                tracing::warn!(query = %query.short(), %error, "a receipt stays unsigned");
                return Ok(None);
            }
        };
        let ours = signed.add_signature(&parts.identity.node_key);
        let ours = ours.map_err(|error| FederationError::machine("the receipt cannot be signed", error))?;
        let signed = self.store_countersigned(ours, (query, &stated.provider), counted, by);
        match signed.await {
            Err(error @ FederationError::Misbehaved { .. }) => {
                tracing::warn!(query = %query.short(), %error, "a receipt stays unsigned");
                Ok(None)
            }
            signed => signed.map(Some),
        }
    }
}

/// Checks a receipt that comes after its query has ended, by the rules for one at the end of an answer. Returns whether what it states was
/// counted.
fn check_later(stated: &Receipt, record: &EvidenceRecord, node: NodeId) -> Result<bool, UnsignedReceipt> {
    let sent = record.envelope.as_ref().and_then(|sent| sent.peek_unverified().ok());
    let sent = sent.ok_or(UnsignedReceipt::UnknownQuery)?;
    let head = stated.ledger.head_of(node, &stated.provider);
    head.map_err(|_| UnsignedReceipt::Head)?;
    let counted = record.counted.unwrap_or_else(|| Counted::nothing(AnswerEnd::Unknown));
    let bounds = record.bounds.unwrap_or_default();
    check_receipt(stated, (&sent, &record.actor), bounds, &counted)
}

fn record_of(
    parts: &FederationParts,
    outgoing: &OutgoingQuery,
    session: &Session,
) -> Result<EvidenceRecord, FederationError> {
    let now = parts.clock.now();
    let envelope = &outgoing.envelope;
    let unknown = || FederationError::NotMember {
        provider: envelope.to.clone(),
    };
    let attested = session.attested().ok_or_else(unknown)?;
    let own = parts.identity.recent_certificate(now);
    Ok(EvidenceRecord {
        side: EvidenceSide::Consumer,
        at: now,
        actor: outgoing.by.actor().cloned().ok_or_else(unknown)?,
        grant: Some(envelope.grant),
        peer: Some(EvidencePeer {
            institution: attested.institution.clone(),
            node: session.peer(),
            certificate: attested.certificate.clone(),
            own: own
                .map_err(|error| FederationError::machine("the certificate of the node cannot be created", error))?,
        }),
        sql: None,
        envelope: Some(outgoing.signed.clone()),
        entries: Vec::new(),
        since: None,
        bounds: Some(outgoing.bounds()),
        counted: None,
        receipt: None,
        countersigned: false,
        consumer_ledger: None,
    })
}

/// The outcome that the ledger records for a query that ended with an error.
pub(super) fn outcome_of(error: &FederationError) -> Outcome {
    let first = |refusal: &Refusal| {
        let first = refusal.reasons.first();
        Reason::sanitized(first.map_or("no reason was given", |reason| reason.text.as_str()))
    };
    if let FederationError::Refused { refusal, .. } = error {
        Outcome::Refused { reason: first(refusal) }
    } else if let FederationError::Cut { refusal, .. } = error {
        Outcome::Cut { reason: first(refusal) }
    } else {
        Outcome::Failed {
            reason: Reason::sanitized(&error.to_string()),
        }
    }
}

fn evidence_error(error: EvidenceError) -> FederationError {
    FederationError::machine("the evidence of the query cannot be stored", error)
}

fn exchange_error(error: concordat_network::NetworkError) -> FederationError {
    FederationError::machine("the exchange of receipts failed", error)
}
