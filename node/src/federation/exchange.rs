//! One question over `/concordat/query/1`, from the consumer's side.
//!
//! 1. The signed envelope goes out; the provider refuses, or opens an answer.
//! 2. The answer's bytes are hashed and counted as they arrive and decoded into rows. The reader sets the pace: rows that
//!    nobody takes are not read from the network.
//! 3. The receipt has to be about this question and these bytes. It is entered in the ledger, signed and sent back.
//!
//! A provider may send anything. Whatever is not exactly an answer ends the exchange with [`QueryFault::Misbehaved`], and
//! nothing it says makes this node keep more than one message in memory.

use concordat_protocol::identity::NodeKey;
use concordat_protocol::ids::{Digest32, GrantId, InstitutionId, NodeId};
use concordat_protocol::query::{Outcome, QueryEnvelope, Receipt, Received};
use concordat_protocol::scope::Tier;
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::wire::messages::{
    AnswerDigest, Countersignature, QueryClosing, QueryFrame, QueryOpening, Refusal,
};
use concordat_storage::ledger::Attribution;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamDecoder;
use futures::{AsyncRead, AsyncWrite};

use super::Federation;
use super::columns::AskedColumns;
use super::fault::QueryFault;
use crate::evidence::Counted;
use crate::network::{FramedStream, NetworkError};

/// Most bytes that may arrive without completing a batch of rows. Providers send batches of about half a MiB.
const MAX_BATCH: u64 = 64 << 20;

/// A question and what an answer to it has to fit.
#[derive(Debug)]
pub(super) struct Asked {
    /// What was asked.
    pub(super) question: QueryEnvelope,
    /// The same as signed.
    pub(super) signed: Signed<QueryEnvelope>,
    /// Who asks.
    pub(super) actor: concordat_protocol::ids::ActorId,
    /// On whose account the exchange is entered.
    pub(super) by: Attribution,
    /// The node that is asked.
    pub(super) node: NodeId,
    /// The highest tier that an answer may have.
    pub(super) tier: Tier,
    /// The columns that an answer has.
    pub(super) columns: AskedColumns,
}

impl Asked {
    fn provider(&self) -> &InstitutionId {
        &self.question.to
    }

    fn misbehaved(&self, detail: impl Into<String>) -> QueryFault {
        QueryFault::Misbehaved {
            provider: self.provider().clone(),
            detail: detail.into(),
        }
    }

    fn unreachable(&self, source: NetworkError) -> QueryFault {
        QueryFault::Unreachable {
            provider: self.provider().clone(),
            source,
        }
    }

    /// The decoder quotes what it read, which may be data; only that it failed is told.
    fn undecodable(&self, _: &ArrowError) -> QueryFault {
        self.misbehaved("its rows are no sound Arrow stream")
    }
}

/// An answer that is being read.
#[derive(Debug)]
pub(super) struct Reading<S = libp2p::Stream> {
    stream: FramedStream<S>,
    asked: Asked,
    decoder: StreamDecoder,
    pending: Buffer,
    digest: AnswerDigest,
    bytes: u64,
    rows: u64,
    since_batch: u64,
}

/// The receipt of an answer that has been read to its end, and why that end came early.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) receipt: Receipt,
    pub(super) digest: Digest32,
    pub(super) cut: Option<QueryFault>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Reading<S> {
    /// Asks; returns the answer with its columns once it has begun. Without columns it has ended before its first row.
    ///
    /// # Errors
    /// [`QueryFault::Refused`] with the provider's reasons, or how the exchange broke.
    pub(super) async fn begin(
        mut stream: FramedStream<S>,
        asked: Asked,
    ) -> Result<(Self, Option<SchemaRef>), QueryFault> {
        let frame = QueryFrame {
            envelope: asked.signed.clone(),
        };
        stream.send(&frame).await.map_err(|error| asked.unreachable(error))?;
        match stream.expect().await.map_err(|error| asked.unreachable(error))? {
            QueryOpening::Accepted { query, .. } if query != asked.question.query => {
                return Err(asked.misbehaved("it answers another query"));
            }
            QueryOpening::Accepted { tier, .. } if tier > asked.tier => {
                return Err(asked.misbehaved(format!(
                    "it answers at tier `{tier}`, above the grant's `{}`",
                    asked.tier
                )));
            }
            QueryOpening::Accepted { .. } => {}
            QueryOpening::Refused(refusal) => {
                let provider = asked.provider().clone();
                return Err(QueryFault::Refused { provider, refusal });
            }
        }
        let mut reading = Self {
            stream,
            asked,
            decoder: StreamDecoder::new(),
            pending: Buffer::from(Vec::<u8>::new()),
            digest: AnswerDigest::default(),
            bytes: 0,
            rows: 0,
            since_batch: 0,
        };
        let schema = reading.schema().await?;
        if let Some(strange) = schema
            .as_ref()
            .and_then(|schema| reading.asked.columns.strange_in(schema))
        {
            return Err(reading.asked.misbehaved(format!("{strange}, which was not asked for")));
        }
        Ok((reading, schema))
    }

    /// Reads chunks until the columns are known; the chunks stay pending.
    async fn schema(&mut self) -> Result<Option<SchemaRef>, QueryFault> {
        while self.receive().await? {
            if let Some(schema) = self.peek_schema()? {
                return Ok(Some(schema));
            }
        }
        Ok(None)
    }

    /// The columns, if all of their message is among the pending bytes, which stay there.
    fn peek_schema(&self) -> Result<Option<SchemaRef>, QueryFault> {
        let mut decoder = StreamDecoder::new();
        let mut bytes = self.pending.clone();
        // A batch behind the columns may be incomplete or bad; that is found when it is read.
        let decoded = decoder.decode(&mut bytes);
        match (decoder.schema(), decoded) {
            (Some(schema), _) => Ok(Some(schema)),
            (None, Err(error)) => Err(self.asked.undecodable(&error)),
            (None, Ok(_)) => Ok(None),
        }
    }

    /// Takes in the next chunk behind what is pending; false when the chunks have ended.
    async fn receive(&mut self) -> Result<bool, QueryFault> {
        let Some(chunk) = self
            .stream
            .recv_chunk()
            .await
            .map_err(|error| self.asked.unreachable(error))?
        else {
            return Ok(false);
        };
        self.digest.update(&chunk);
        let len = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(len);
        self.since_batch = self.since_batch.saturating_add(len);
        if self.since_batch > MAX_BATCH {
            return Err(self
                .asked
                .misbehaved(format!("more than {MAX_BATCH} bytes came without a single row")));
        }
        self.pending = if self.pending.is_empty() {
            Buffer::from(chunk)
        } else {
            Buffer::from([self.pending.as_slice(), &chunk].concat())
        };
        Ok(true)
    }

    /// The next rows; nothing when the provider has ended the answer.
    ///
    /// # Errors
    /// When the exchange broke or the bytes are no rows.
    pub(super) async fn next_batch(&mut self) -> Result<Option<RecordBatch>, QueryFault> {
        loop {
            let batch = self
                .decoder
                .decode(&mut self.pending)
                .map_err(|error| self.asked.undecodable(&error))?;
            if let Some(batch) = batch {
                self.since_batch = 0;
                self.rows = self
                    .rows
                    .saturating_add(u64::try_from(batch.num_rows()).unwrap_or(u64::MAX));
                return Ok(Some(batch));
            }
            if !self.receive().await? {
                self.decoder.finish().map_err(|error| self.asked.undecodable(&error))?;
                return Ok(None);
            }
        }
    }

    /// Reads the provider's last word and checks its receipt.
    async fn closing(&mut self) -> Result<(CoSigned<Receipt>, Closing), QueryFault> {
        let QueryClosing { receipt, cut } = self
            .stream
            .expect()
            .await
            .map_err(|error| self.asked.unreachable(error))?;
        let verified = receipt.verify(&[self.asked.node]);
        let verified =
            verified.map_err(|error| self.asked.misbehaved(format!("its receipt does not hold: {error}")))?;
        let stated = verified.document();
        let received = Received {
            bytes: self.bytes,
            answer: self.digest.finish(),
        };
        stated
            .matches(&self.asked.question, &self.asked.actor, received)
            .map_err(|mismatch| self.asked.misbehaved(mismatch.to_string()))?;
        if stated.rows != self.rows {
            return Err(self
                .asked
                .misbehaved("the receipt states another number of rows than came"));
        }
        if (stated.outcome == Outcome::Completed) != cut.is_none() {
            return Err(self
                .asked
                .misbehaved("the receipt and the end of the answer contradict each other"));
        }
        let digest = verified.signed().payload_digest();
        let digest = digest.map_err(|error| self.asked.misbehaved(error.to_string()))?;
        let cut = cut.map(|refusal| self.cut(refusal));
        let closing = Closing {
            receipt: stated.clone(),
            digest,
            cut,
        };
        Ok((verified.signed().clone(), closing))
    }

    /// The grant under which was asked.
    pub(super) const fn grant(&self) -> GrantId {
        self.asked.question.grant
    }

    /// The end of an answer that the provider has cut.
    pub(super) fn cut(&self, refusal: Refusal) -> QueryFault {
        QueryFault::Cut {
            provider: self.asked.provider().clone(),
            rows: self.rows,
            refusal,
        }
    }

    /// What has been received so far.
    pub(super) fn counted(&self) -> Counted {
        Counted {
            rows: self.rows,
            bytes: self.bytes,
            answer: self.digest.finish(),
        }
    }

    /// Ends the exchange: checks the receipt, enters it in the ledger, keeps it, signs it and sends it back.
    ///
    /// # Errors
    /// When the receipt is not about what was asked and what came, or when it cannot be entered.
    pub(super) async fn finish(mut self, key: &NodeKey, federation: &Federation) -> Result<Closing, QueryFault> {
        let (receipt, closing) = self.closing().await?;
        let signed = receipt
            .add_signature(key)
            .map_err(|error| self.asked.misbehaved(error.to_string()))?;
        // The ledger before the signature leaves: what was signed can always be found here.
        let of = (self.asked.question.query, self.asked.provider());
        federation
            .keep_countersigned(signed.clone(), of, true, &self.asked.by)
            .await?;
        let sent = self.stream.send(&Countersignature { receipt: signed }).await;
        if let Err(error) = sent {
            tracing::debug!(provider = %self.asked.provider(), %error, "the countersigned receipt was not taken");
        } else if let Err(error) = self.stream.close().await {
            tracing::debug!(provider = %self.asked.provider(), %error, "the stream did not close");
        }
        Ok(closing)
    }
}

#[cfg(test)]
mod tests;
