//! Queries of our own datasets: the answer of our own node is decoded like that of any other provider.

use bytes::Bytes;
use concordat_arrow_stream::{CheckedStream, Item};
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::wire::messages::Refusal;
use datafusion::arrow::array::RecordBatch;
use futures::{StreamExt, stream};

use super::error::FederationError;
use super::source::Answer;
use crate::sharing::{LocalChunks, LocalQuery, Sharing};

/// Sends `query` to our own node, `provider`.
///
/// # Errors
/// [`FederationError::Refused`] with every reason.
pub(super) async fn query_local(
    sharing: &Sharing,
    provider: InstitutionId,
    query: LocalQuery,
) -> Result<Answer, FederationError> {
    let refused = |refusal: Refusal| FederationError::Refused {
        provider: provider.clone(),
        refusal,
    };
    let chunks = sharing.answer_local(query).await.map_err(refused)?;
    let mut own = LocalAnswer {
        provider: provider.clone(),
        chunks,
        decoder: CheckedStream::new(),
        pending: Bytes::new(),
        rows: 0,
    };
    let first = own.next().await?;
    let schema = own
        .decoder
        .schema()
        .ok_or_else(|| FederationError::unreadable(&provider))?;
    let rest = stream::try_unfold(
        own,
        |mut own| async move { Ok(own.next().await?.map(|batch| (batch, own))) },
    );
    Ok(Answer {
        schema,
        batches: stream::iter(first.map(Ok)).chain(rest).boxed(),
    })
}

/// An answer of our own node.
struct LocalAnswer {
    provider: InstitutionId,
    chunks: LocalChunks,
    decoder: CheckedStream,
    pending: Bytes,
    rows: u64,
}

impl LocalAnswer {
    async fn next(&mut self) -> Result<Option<RecordBatch>, FederationError> {
        loop {
            let decoded = self
                .decoder
                .decode(&mut self.pending)
                .map_err(|_| FederationError::unreadable(&self.provider))?;
            match decoded {
                // Columns without rows are an answer too; the caller reads them afterwards.
                Some(Item::Schema(_)) => continue,
                Some(Item::Batch(batch)) => {
                    let rows = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
                    self.rows = self.rows.saturating_add(rows);
                    return Ok(Some(batch));
                }
                None => {}
            }
            match self.chunks.recv().await {
                Some(Ok(chunk)) => self.pending = chunk,
                Some(Err(refusal)) => {
                    return Err(FederationError::Cut {
                        provider: self.provider.clone(),
                        rows: self.rows,
                        refusal,
                    });
                }
                None if self.decoder.is_complete() => return Ok(None),
                None => return Err(FederationError::unreadable(&self.provider)),
            }
        }
    }
}
