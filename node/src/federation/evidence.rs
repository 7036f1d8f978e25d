//! What the consumer enters and keeps of a query that it puts to another institution.
//!
//! 1. The query is entered in the ledger before it is signed, on the account of the person.
//! 2. The signed query is kept before it is sent.
//! 3. Its end is entered however it comes: complete, cut, refused, failed, or because its reader stopped. What a stop of this node
//!    breaks off is entered at the next start.
//! 4. A receipt is countersigned at once, or later over [`RECEIPT`] if the answer was not read to its end.

use concordat_protocol::audit::{EntryBody, Outcome};
use concordat_protocol::ids::{GrantId, InstitutionId, NodeId, QueryId};
use concordat_protocol::query::{QueryEnvelope, Receipt, Received};
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{
    AnswerDigest, Countersignature, MAX_RECEIPTS, ReceiptReply, ReceiptRequest, Refusal, Reply,
};
use concordat_storage::ledger::Attribution;

use super::fault::QueryFault;
use super::{Federation, FederationParts};
use crate::evidence::{Counted, EvidenceError, EvidencePeer, EvidenceRecord, EvidenceSide};
use crate::ledger_heads::LedgerHeadsError;
use crate::network::Session;
use crate::sharing::RECEIPT;
use crate::shutdown::Stage;

/// A query that is in the ledger and whose end is not. It is closed exactly once.
#[derive(Debug)]
#[must_use = "its end has to be entered"]
pub(super) struct OpenQuery {
    pub(super) id: QueryId,
    by: Attribution,
}

/// What is asked, before it is signed.
#[derive(Debug)]
pub(super) struct Intent<'a> {
    pub(super) provider: &'a InstitutionId,
    pub(super) grant: GrantId,
    pub(super) sql: &'a str,
}

impl Federation {
    /// Enters a query before it is signed. The record comes first, so that a stop in between leaves an end without a beginning and
    /// never a beginning without an end.
    ///
    /// # Errors
    /// If it cannot be made durable: the query must not be signed then.
    pub(super) async fn open_query(
        &self,
        intent: Intent<'_>,
        session: &Session,
        by: Attribution,
    ) -> Result<OpenQuery, QueryFault> {
        let parts = &self.0.parts;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| QueryFault::machine("the system gives no random numbers", error))?;
        let query = QueryId::from_bytes(id);
        let record = record_of(parts, &intent, session, &by)?;
        let kept = parts.evidence.blocking(move |evidence| evidence.begin(query, &record));
        if !kept.await.map_err(unkept)? {
            return Err(QueryFault::machine(
                "the number that was drawn for the query is taken",
                std::io::Error::from(std::io::ErrorKind::AlreadyExists),
            ));
        }
        let entry = EntryBody::QueryOpened {
            query,
            provider: intent.provider.clone(),
            grant: intent.grant,
            sql: concordat_protocol::ids::Digest32::sha256(concordat_protocol::labels::SQL_HASH, intent.sql.as_bytes()),
        };
        let entered = parts.ledger.append_async(entry, &by, parts.clock.now()).await;
        let entry = entered.map_err(|error| QueryFault::machine("the query cannot be entered in the ledger", error))?;
        let sequence = entry.sequence();
        let noted = parts
            .evidence
            .blocking(move |evidence| evidence.update(query, |record| record.entries.push(sequence)));
        noted.await.map_err(unkept)?;
        Ok(OpenQuery { id: query, by })
    }

    /// Keeps the query as it was signed; it may be sent afterwards.
    ///
    /// # Errors
    /// If it cannot be made durable.
    pub(super) async fn keep_signed(&self, query: QueryId, signed: Signed<QueryEnvelope>) -> Result<(), QueryFault> {
        let evidence = &self.0.parts.evidence;
        let kept = evidence.blocking(move |evidence| evidence.update(query, |record| record.envelope = Some(signed)));
        kept.await.map_err(unkept)
    }

    /// Enters the end of a query.
    ///
    /// # Errors
    /// If it cannot be made durable.
    pub(super) async fn close_query(
        &self,
        query: OpenQuery,
        counted: Counted,
        outcome: Outcome,
    ) -> Result<(), QueryFault> {
        let parts = &self.0.parts;
        let OpenQuery { id, by } = query;
        let entry = EntryBody::QueryClosed {
            query: id,
            rows: counted.rows,
            bytes: counted.bytes,
            outcome,
        };
        let entered = parts.ledger.append_async(entry, &by, parts.clock.now()).await;
        let unentered = |error| QueryFault::machine("the end of the query cannot be entered in the ledger", error);
        let sequence = entered.map_err(unentered)?.sequence();
        let kept = parts
            .evidence
            .blocking(move |evidence| evidence.close(id, sequence, Some(counted)));
        kept.await.map_err(unkept)
    }

    /// Enters that the receipt is being signed and keeps it with both signatures and the head of the ledger that has this entry; the
    /// result may be sent.
    ///
    /// # Errors
    /// If it cannot be made durable.
    pub(super) async fn keep_countersigned(
        &self,
        receipt: CoSigned<Receipt>,
        (query, provider): (QueryId, &InstitutionId),
        counted: bool,
        by: &Attribution,
    ) -> Result<Countersignature, QueryFault> {
        let parts = &self.0.parts;
        self.note_ledger(&receipt, provider, by).await?;
        let digest = receipt.payload_digest();
        let digest = digest.map_err(|error| QueryFault::machine("the receipt cannot be read again", error))?;
        let entry = EntryBody::ReceiptCountersigned { query, digest, counted };
        let entered = parts.ledger.append_async(entry, by, parts.clock.now()).await;
        let unentered = |error| QueryFault::machine("the receipt could not be entered in the ledger", error);
        let sequence = entered.map_err(unentered)?.sequence();
        let ledger = parts.membership.heads().signed();
        let ledger = ledger.map_err(|error| QueryFault::machine("the head of the ledger cannot be signed", error))?;
        let (provider, both) = (provider.clone(), (receipt.clone(), ledger.clone()));
        let kept = parts
            .evidence
            .blocking(move |evidence| evidence.countersigned(query, &provider, both, sequence));
        kept.await.map_err(unkept)?;
        Ok(Countersignature { receipt, ledger })
    }

    /// Keeps the head of the provider's ledger. A head that contradicts the one kept ends the session with its node.
    async fn note_ledger(
        &self,
        receipt: &CoSigned<Receipt>,
        provider: &InstitutionId,
        by: &Attribution,
    ) -> Result<(), QueryFault> {
        let parts = &self.0.parts;
        let unread = |error| QueryFault::machine("the receipt cannot be read again", error);
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
                // What has come was answered under the earlier head; from here on the node is refused.
                parts.network.disconnect(node).await.map_err(broken)
            }
            Err(error) => Err(QueryFault::machine(
                "the head of the provider's ledger cannot be kept",
                error,
            )),
        }
    }

    /// Signs receipts that were left unsigned, whenever a peer connects, until `stage` stops.
    pub fn serve(&self, stage: &Stage) {
        stage.spawn(self.clone().countersign_on_connect(stage.clone()));
    }

    async fn countersign_on_connect(self, stage: Stage) {
        let mut sessions = self.0.parts.network.sessions();
        let mut seen = 0;
        loop {
            let standing = sessions.borrow_and_update().clone();
            for session in standing.values().filter(|session| session.number() > seen) {
                let (federation, session) = (self.clone(), session.clone());
                stage.spawn(async move {
                    if session.until_attested().await.is_ok()
                        && let Err(error) = federation.countersign(session.peer()).await
                    {
                        tracing::debug!(peer = %session.peer().short(), %error, "receipts were not countersigned");
                    }
                });
            }
            seen = standing.values().map(Session::number).max().unwrap_or(seen).max(seen);
            match stage.token().run_until_cancelled(sessions.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    /// Signs the receipts of `node` that wait for this institution's signature, and says how many it took.
    ///
    /// # Errors
    /// How the exchange broke. A receipt that is not about what was asked stays unsigned.
    pub(super) async fn countersign(&self, node: NodeId) -> Result<usize, QueryFault> {
        let parts = &self.0.parts;
        let mut taken = 0;
        let mut stream = parts.network.open(node, RECEIPT).await.map_err(broken)?;
        let by = stream.session().attribution();
        stream.send(&ReceiptRequest {}).await.map_err(broken)?;
        let ReceiptReply { receipts } = stream.expect().await.map_err(broken)?;
        for receipt in receipts.into_iter().take(MAX_RECEIPTS) {
            let Some(signed) = self.sign_later(receipt, node, &by).await? else {
                continue;
            };
            stream.send(&signed).await.map_err(broken)?;
            match stream.expect().await.map_err(broken)? {
                Reply::Taken => taken += 1,
                Reply::Refused(refusal) => tracing::debug!(?refusal, "a countersigned receipt was not taken"),
            }
        }
        stream.close().await.map_err(broken)?;
        Ok(taken)
    }

    /// The receipt with our signature, if it is about a query of ours that has ended.
    async fn sign_later(
        &self,
        receipt: CoSigned<Receipt>,
        node: NodeId,
        by: &Attribution,
    ) -> Result<Option<Countersignature>, QueryFault> {
        let parts = &self.0.parts;
        let Ok(verified) = receipt.verify(&[node]) else {
            return Ok(None);
        };
        let (stated, signed) = (verified.document().clone(), verified.signed().clone());
        let query = stated.query;
        let kept = parts.evidence.blocking(move |evidence| {
            let ended = !evidence.is_open(query)?;
            Ok(evidence
                .get(query)?
                .filter(|record| ended && record.side == EvidenceSide::Consumer))
        });
        let Some(record) = kept.await.map_err(unkept)? else {
            return Ok(None);
        };
        if record.peer.as_ref().is_none_or(|peer| peer.node != node) {
            return Ok(None);
        }
        if let Some(before) = record.receipt.as_ref().filter(|_| record.countersigned) {
            // Our signature was lost on the way.
            let same = matches!((before.payload_digest(), signed.payload_digest()), (Ok(a), Ok(b)) if a == b);
            let (receipt, ledger) = (before.clone(), record.consumer_ledger.clone());
            return Ok(ledger
                .filter(|_| same)
                .map(|ledger| Countersignature { receipt, ledger }));
        }
        let head = stated.ledger.head_of(node, &stated.provider);
        let Some(counted) = about_ours(&stated, &record).filter(|_| head.is_ok()) else {
            tracing::warn!(query = %query.short(), "a receipt is not about what was asked; it stays unsigned");
            return Ok(None);
        };
        let ours = signed.add_signature(&parts.identity.node_key);
        let ours = ours.map_err(|error| QueryFault::machine("the receipt cannot be signed", error))?;
        let signed = self.keep_countersigned(ours, (query, &stated.provider), counted, by);
        signed.await.map(Some)
    }
}

/// Whether a receipt that comes later is about the query that was asked, and if so whether its bytes are those that were
/// counted. A provider may have sent more than was read, and never less.
fn about_ours(stated: &Receipt, record: &EvidenceRecord) -> Option<bool> {
    let asked = record.envelope.as_ref()?.peek_unverified().ok()?;
    let as_stated = Received {
        bytes: stated.bytes,
        answer: stated.answer,
    };
    stated.matches(&asked, &record.actor, as_stated).ok()?;
    match record.counted {
        Some(counted) if stated.bytes < counted.bytes => None,
        Some(counted) => Some(counted.bytes == stated.bytes && counted.answer == stated.answer),
        None => Some(false),
    }
}

fn record_of(
    parts: &FederationParts,
    intent: &Intent<'_>,
    session: &Session,
    by: &Attribution,
) -> Result<EvidenceRecord, QueryFault> {
    let now = parts.clock.now();
    let unknown = || QueryFault::NotMember {
        provider: intent.provider.clone(),
    };
    let attested = session.attested().ok_or_else(unknown)?;
    let own = parts.identity.certificate(now);
    Ok(EvidenceRecord {
        side: EvidenceSide::Consumer,
        at: now,
        actor: by.actor().cloned().ok_or_else(unknown)?,
        grant: Some(intent.grant),
        peer: Some(EvidencePeer {
            institution: attested.institution.clone(),
            node: session.peer(),
            certificate: attested.certificate.clone(),
            own: own.map_err(|error| QueryFault::machine("the node cannot be certified", error))?,
        }),
        sql: intent.sql.to_owned(),
        envelope: None,
        entries: Vec::new(),
        counted: None,
        receipt: None,
        countersigned: false,
        consumer_ledger: None,
    })
}

/// How the ledger names an end that a fault brought.
pub(super) fn outcome_of(fault: &QueryFault) -> Outcome {
    let first = |refusal: &Refusal| {
        let first = refusal.reasons.first();
        Reason::fitted(first.map_or("no reason was given", |reason| reason.text.as_str()))
    };
    if let QueryFault::Refused { refusal, .. } = fault {
        Outcome::Refused { reason: first(refusal) }
    } else if let QueryFault::Cut { refusal, .. } = fault {
        Outcome::Cut { reason: first(refusal) }
    } else {
        Outcome::Failed {
            reason: Reason::fitted(&fault.to_string()),
        }
    }
}

/// Nothing was received.
pub(super) fn nothing() -> Counted {
    Counted {
        rows: 0,
        bytes: 0,
        answer: AnswerDigest::default().finish(),
    }
}

fn unkept(error: EvidenceError) -> QueryFault {
    QueryFault::machine("the evidence of the query cannot be kept", error)
}

fn broken(error: crate::network::NetworkError) -> QueryFault {
    QueryFault::machine("the exchange of receipts broke", error)
}
