//! One question over `/concordat/query/1`, from the consumer's side.
//!
//! 1. The signed envelope goes out; the provider refuses, or opens an answer.
//! 2. The answer's bytes are hashed and counted as they arrive and decoded into rows. The reader sets the pace: rows that
//!    nobody takes are not read from the network.
//! 3. The receipt has to be about this question and these bytes. It is entered in the ledger, signed and sent back.
//!
//! A provider may send anything. Whatever is not exactly an answer ends the exchange with [`QueryFault::Misbehaved`], and
//! nothing it says makes this node keep more than one message in memory: [`CheckedStream`] looks at each before it is decoded.

use bytes::Bytes;
use concordat_protocol::identity::NodeKey;
use concordat_protocol::ids::{Digest32, GrantId, InstitutionId, NodeId};
use concordat_protocol::query::{Outcome, QueryEnvelope, Receipt, Received};
use concordat_protocol::scope::Tier;
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::wire::messages::{AnswerDigest, QueryClosing, QueryFrame, QueryOpening, Refusal};
use concordat_storage::arrow_stream::{CheckedStream, Item, StreamViolation};
use concordat_storage::ledger::Attribution;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::{AsyncRead, AsyncWrite};

use super::Federation;
use super::columns::AskedColumns;
use super::fault::QueryFault;
use crate::evidence::Counted;
use crate::network::{FramedStream, NetworkError};

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

    fn violated(&self, violation: &StreamViolation) -> QueryFault {
        self.misbehaved(format!("its rows are not a valid stream: {violation}"))
    }
}

/// An answer that is being read.
#[derive(Debug)]
pub(super) struct Reading<S = libp2p::Stream> {
    stream: FramedStream<S>,
    asked: Asked,
    decoder: CheckedStream,
    pending: Bytes,
    digest: AnswerDigest,
    bytes: u64,
    rows: u64,
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
            decoder: CheckedStream::new(),
            pending: Bytes::new(),
            digest: AnswerDigest::default(),
            bytes: 0,
            rows: 0,
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

    /// Reads chunks until the columns are known; `None` if the answer ends before.
    async fn schema(&mut self) -> Result<Option<SchemaRef>, QueryFault> {
        loop {
            match self.item().await? {
                Some(Item::Schema(schema)) => return Ok(Some(schema)),
                // Rows before the columns are a violation, so these are none.
                Some(Item::Batch(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next rows; nothing when the provider has ended the answer.
    ///
    /// # Errors
    /// When the exchange broke or the bytes are no rows.
    pub(super) async fn next_batch(&mut self) -> Result<Option<RecordBatch>, QueryFault> {
        loop {
            match self.item().await? {
                // The columns come once, before any rows.
                Some(Item::Schema(_)) => {}
                Some(Item::Batch(batch)) => {
                    let rows = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
                    self.rows = self.rows.saturating_add(rows);
                    return Ok(Some(batch));
                }
                None => return Ok(None),
            }
        }
    }

    async fn item(&mut self) -> Result<Option<Item>, QueryFault> {
        loop {
            let item = self.decoder.decode(&mut self.pending);
            if let Some(item) = item.map_err(|violation| self.asked.violated(&violation))? {
                return Ok(Some(item));
            }
            if !self.receive().await? {
                let ended = self.decoder.finish();
                ended.map_err(|violation| self.asked.violated(&violation))?;
                return Ok(None);
            }
        }
    }

    /// Takes in the next chunk when all before it are read; false when the chunks have ended.
    async fn receive(&mut self) -> Result<bool, QueryFault> {
        let chunk = self.stream.recv_chunk().await;
        let Some(chunk) = chunk.map_err(|error| self.asked.unreachable(error))? else {
            return Ok(false);
        };
        self.digest.update(&chunk);
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        self.pending = chunk;
        Ok(true)
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
        // A head by another node's key would be kept of nobody.
        let head = stated.ledger.head_of(self.asked.node, self.asked.provider());
        head.map_err(|error| self.asked.misbehaved(error.to_string()))?;
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
        if stated.outcome == Outcome::Completed && !self.decoder.is_complete() {
            return Err(self
                .asked
                .misbehaved("the rows have no end, and the receipt calls them complete"));
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
        let signed = federation.keep_countersigned(signed, of, true, &self.asked.by).await?;
        let sent = self.stream.send(&signed).await;
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
