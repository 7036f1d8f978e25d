//! One query over `/concordat/query/1`, from the consumer's side.
//!
//! 1. The signed envelope goes out; the provider refuses, or opens an answer.
//! 2. The answer's bytes are hashed and counted as they arrive, confirmed chunk by chunk, and decoded into rows. The reader applies
//!    backpressure: rows that are not consumed are not read from the network.
//! 3. The receipt has to match this query and these bytes. It is entered in the ledger, signed and sent back.
//!
//! A provider may send anything. Anything that is not a valid answer ends the exchange with [`FederationError::Misbehaved`], and
//! no input makes this node keep more than one message in memory: [`CheckedStream`] checks each message before it is decoded.

use bytes::Bytes;
use concordat_arrow_stream::{CheckedStream, Item, StreamViolation};
use concordat_protocol::identity::NodeKey;
use concordat_protocol::ids::{DatasetRef, Digest32, GrantId, InstitutionId, NodeId};
use concordat_protocol::query::{Outcome, QueryEnvelope, Receipt};
use concordat_protocol::scope::Tier;
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::wire::messages::{
    AnswerDigest, ChunkAccepted, QueryClosing, QueryFrame, QueryOpening, Refusal,
};
use concordat_storage::ledger::Attribution;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::error::FederationError;
use super::handle::Federation;
use super::source::has_columns;
use crate::evidence::{AnswerEnd, Counted, ReceiptBounds, check_receipt};
use concordat_network::{FramedStream, NetworkError};

/// A query on its way to a provider, and what its answer has to match.
#[derive(Debug)]
pub(super) struct OutgoingQuery {
    /// The query.
    pub(super) envelope: QueryEnvelope,
    /// The signed query.
    pub(super) signed: Signed<QueryEnvelope>,
    /// The person on whose behalf the query is sent.
    pub(super) actor: concordat_protocol::ids::ActorId,
    /// The attribution of the ledger entries of this exchange.
    pub(super) by: Attribution,
    /// The node that the query is sent to.
    pub(super) node: NodeId,
    /// The highest tier allowed for the answer.
    pub(super) tier: Tier,
    /// The dataset that is queried.
    pub(super) dataset: DatasetRef,
    /// The columns that the answer must have.
    pub(super) schema: SchemaRef,
}

impl OutgoingQuery {
    fn provider(&self) -> &InstitutionId {
        &self.envelope.to
    }

    /// What a receipt of this query may state at most.
    pub(super) const fn bounds(&self) -> ReceiptBounds {
        ReceiptBounds { tier: self.tier }
    }

    fn misbehaved(&self, detail: impl Into<String>) -> FederationError {
        FederationError::Misbehaved {
            provider: self.provider().clone(),
            detail: detail.into(),
        }
    }

    fn unreachable(&self, source: NetworkError) -> FederationError {
        FederationError::Unreachable {
            provider: self.provider().clone(),
            source,
        }
    }

    fn violated(&self, violation: &StreamViolation) -> FederationError {
        self.misbehaved(format!("its rows are not a valid stream: {violation}"))
    }
}

/// An answer that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    stream: FramedStream,
    outgoing: OutgoingQuery,
    decoder: CheckedStream,
    pending: Bytes,
    digest: AnswerDigest,
    /// What was counted and is not in the digest yet: the chunk that was received last, or the rest of it.
    unhashed: Bytes,
    /// Chunks received and confirmed.
    chunks: u64,
    /// Whether the next confirmation requests another chunk.
    more: bool,
    bytes: u64,
    rows: u64,
    /// Whether the provider has ended the chunks.
    ended: bool,
}

/// An answer that has not begun, and what was received of it.
#[derive(Debug)]
pub(super) struct NotBegun {
    pub(super) error: FederationError,
    pub(super) counted: Counted,
}

impl NotBegun {
    /// No chunk was received.
    fn without_chunk(error: FederationError, end: AnswerEnd) -> Box<Self> {
        let counted = Counted::nothing(end);
        Box::new(Self { error, counted })
    }
}

/// The receipt of an answer that has been read to its end, and the reason if it ended early.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) receipt: Receipt,
    pub(super) digest: Digest32,
    pub(super) cut: Option<FederationError>,
}

impl Reading {
    /// Sends the query and returns the answer with its columns once it has begun. Without columns the answer ended before its first
    /// row.
    ///
    /// # Errors
    /// [`FederationError::Refused`] with the provider's reasons, or the error that ended the exchange.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn begin(
        mut stream: FramedStream,
        outgoing: OutgoingQuery,
    ) -> Result<(Self, Option<SchemaRef>), Box<NotBegun>> {
        match Self::open(&mut stream, &outgoing).await {
            Ok(()) => {}
            Err(error @ FederationError::Refused { .. }) => {
                return Err(NotBegun::without_chunk(error, AnswerEnd::Refused));
            }
            Err(error) => return Err(NotBegun::without_chunk(error, AnswerEnd::Interrupted)),
        }
        let mut reading = Self {
            stream,
            outgoing,
            decoder: CheckedStream::new(),
            pending: Bytes::new(),
            digest: AnswerDigest::default(),
            unhashed: Bytes::new(),
            chunks: 0,
            more: true,
            bytes: 0,
            rows: 0,
            ended: false,
        };
        match reading.expected_schema().await {
            Ok(schema) => Ok((reading, schema)),
            Err(error) => {
                let counted = reading.counted();
                Err(Box::new(NotBegun { error, counted }))
            }
        }
    }

    /// Sends the query, and receives that it is answered.
    async fn open(stream: &mut FramedStream, outgoing: &OutgoingQuery) -> Result<(), FederationError> {
        let frame = QueryFrame {
            envelope: outgoing.signed.clone(),
        };
        stream.send(&frame).await.map_err(|error| outgoing.unreachable(error))?;
        match stream.expect().await.map_err(|error| outgoing.unreachable(error))? {
            QueryOpening::Accepted { query, .. } if query != outgoing.envelope.query => {
                Err(outgoing.misbehaved("it answers another query"))
            }
            QueryOpening::Accepted { tier, .. } if tier > outgoing.tier => Err(outgoing.misbehaved(format!(
                "it answers at tier `{tier}`, above the grant's `{}`",
                outgoing.tier
            ))),
            QueryOpening::Accepted { .. } => Ok(()),
            QueryOpening::Refused(refusal) => {
                let provider = outgoing.provider().clone();
                Err(FederationError::Refused { provider, refusal })
            }
        }
    }

    /// The columns, which must be those that are expected.
    async fn expected_schema(&mut self) -> Result<Option<SchemaRef>, FederationError> {
        let schema = self.schema().await?;
        match &schema {
            Some(found) if !has_columns(found, &self.outgoing.schema) => Err(FederationError::ColumnsChanged {
                dataset: self.outgoing.dataset.clone(),
            }),
            Some(_) | None => Ok(schema),
        }
    }

    /// Reads chunks until the columns are known; `None` if the answer ends before that.
    async fn schema(&mut self) -> Result<Option<SchemaRef>, FederationError> {
        loop {
            match self.item().await? {
                Some(Item::Schema(schema)) => return Ok(Some(schema)),
                // The decoder rejects rows that come before the columns, so this does not happen.
                Some(Item::Batch(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next rows; `None` once the provider has ended the answer.
    ///
    /// # Errors
    /// If the exchange fails or the bytes are not valid rows.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn next_batch(&mut self) -> Result<Option<RecordBatch>, FederationError> {
        loop {
            match self.item().await? {
                // The columns come once, before any rows.
                Some(Item::Schema(_)) => {}
                Some(Item::Batch(batch)) => {
                    self.count(&batch);
                    return Ok(Some(batch));
                }
                None => return Ok(None),
            }
        }
    }

    /// Ends the answer because its reader wants no more rows: the chunk that is in transit is received, and confirmed as the last one.
    /// True if there were no more rows anyway.
    pub(super) async fn stop(&mut self) -> bool {
        self.more = false;
        let confirmed = self.chunks;
        loop {
            match self.next_batch().await {
                Ok(None) => return true,
                Ok(Some(_)) if self.chunks == confirmed => {}
                Ok(Some(_)) | Err(_) => return false,
            }
        }
    }

    async fn item(&mut self) -> Result<Option<Item>, FederationError> {
        loop {
            let item = self.decoder.decode(&mut self.pending);
            if let Some(item) = item.map_err(|violation| self.outgoing.violated(&violation))? {
                return Ok(Some(item));
            }
            if !self.receive().await? {
                let ended = self.decoder.finish();
                ended.map_err(|violation| self.outgoing.violated(&violation))?;
                return Ok(None);
            }
        }
    }

    /// Receives and confirms the next chunk once all earlier ones are read; false if the chunks have ended. The chunk before is hashed meanwhile.
    async fn receive(&mut self) -> Result<bool, FederationError> {
        let hashed = hash_in_steps(&mut self.digest, &mut self.unhashed);
        let (chunk, ()) = tokio::join!(self.stream.recv_chunk(), hashed);
        let Some(chunk) = chunk.map_err(|error| self.outgoing.unreachable(error))? else {
            self.ended = true;
            return Ok(false);
        };
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        self.unhashed = chunk.clone();
        self.pending = chunk;
        // It is counted before it is confirmed: the provider never states less than this node has counted.
        self.chunks = self.chunks.saturating_add(1);
        let number = self.chunks;
        let more = self.more;
        let confirmed = self.stream.send(&ChunkAccepted { number, more }).await;
        confirmed.map_err(|error| self.outgoing.unreachable(error))?;
        Ok(true)
    }

    /// Hashes the chunk that was counted last, if it is not hashed yet.
    fn hash(&mut self) {
        self.digest.update(&std::mem::take(&mut self.unhashed));
    }

    /// Reads the provider's closing message and checks its receipt.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn closing(&mut self) -> Result<(CoSigned<Receipt>, Closing), FederationError> {
        let QueryClosing { receipt, cut } = self
            .stream
            .expect()
            .await
            .map_err(|error| self.outgoing.unreachable(error))?;
        let verified = receipt.verify(&[self.outgoing.node]);
        let verified =
            verified.map_err(|error| self.outgoing.misbehaved(format!("its receipt is invalid: {error}")))?;
        let stated = verified.document();
        let counted = self.counted();
        let of = (&self.outgoing.envelope, &self.outgoing.actor);
        check_receipt(stated, of, self.outgoing.bounds(), &counted)
            .map_err(|error| self.outgoing.misbehaved(error.to_string()))?;
        // A head signed by another node's key could not be attributed to this provider.
        let head = stated.ledger.head_of(self.outgoing.node, self.outgoing.provider());
        head.map_err(|error| self.outgoing.misbehaved(error.to_string()))?;
        if (stated.outcome == Outcome::Completed) != cut.is_none() {
            return Err(self
                .outgoing
                .misbehaved("the receipt and the end of the answer contradict each other"));
        }
        let digest = verified.signed().payload_digest();
        let digest = digest.map_err(|error| self.outgoing.misbehaved(error.to_string()))?;
        let cut = cut.map(|refusal| self.cut(refusal));
        let closing = Closing {
            receipt: stated.clone(),
            digest,
            cut,
        };
        Ok((verified.signed().clone(), closing))
    }

    /// The grant that the query was sent under.
    pub(super) const fn grant(&self) -> GrantId {
        self.outgoing.envelope.grant
    }

    /// The error for an answer that the provider has cut.
    pub(super) fn cut(&self, refusal: Refusal) -> FederationError {
        FederationError::Cut {
            provider: self.outgoing.provider().clone(),
            rows: self.rows,
            refusal,
        }
    }

    /// What has been received so far. Rows of a chunk that is not read are counted too, as the provider has; no row is read afterwards.
    pub(super) fn counted(&mut self) -> Counted {
        while let Ok(Some(item)) = self.decoder.decode(&mut self.pending) {
            match item {
                Item::Schema(_) => {}
                Item::Batch(batch) => self.count(&batch),
            }
        }
        // The chunk that was counted last is hashed while the next one arrives, and none may have been waited for.
        self.hash();
        Counted {
            rows: self.rows,
            bytes: self.bytes,
            answer: self.digest.finish(),
            end: if self.ended {
                AnswerEnd::Read
            } else {
                AnswerEnd::Interrupted
            },
            complete: self.decoder.is_complete(),
        }
    }

    fn count(&mut self, batch: &RecordBatch) {
        let rows = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        self.rows = self.rows.saturating_add(rows);
    }

    /// Ends the exchange: checks the receipt, enters it in the ledger, stores it, signs it and sends it back.
    ///
    /// # Errors
    /// If the receipt does not match the query and the received answer, or if it cannot be entered.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn finish(mut self, key: &NodeKey, federation: &Federation) -> Result<Closing, FederationError> {
        let (receipt, closing) = self.closing().await?;
        let signed = receipt
            .add_signature(key)
            .map_err(|error| self.outgoing.misbehaved(error.to_string()))?;
        // The entry is durable before the signature is sent, so that everything signed can be found in the ledger.
        let of = (self.outgoing.envelope.query, self.outgoing.provider());
        let signed = federation
            .store_countersigned(signed, of, true, &self.outgoing.by.for_outcome())
            .await?;
        let sent = self.stream.send(&signed).await;
        if let Err(error) = sent {
            tracing::debug!(%error, "the countersigned receipt could not be sent");
        } else if let Err(error) = self.stream.close().await {
            tracing::debug!(%error, "the stream did not close");
        }
        Ok(closing)
    }
}

/// Hashes `unhashed`. What runs in the same task continues in between, so that bytes that arrive meanwhile are received.
async fn hash_in_steps(digest: &mut AnswerDigest, unhashed: &mut Bytes) {
    while !unhashed.is_empty() {
        let part = unhashed.split_to(digest.step(unhashed.len()));
        digest.update(&part);
        if !unhashed.is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests;
