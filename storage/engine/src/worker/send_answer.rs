//! Sends an answer from a process to its node while the next rows are computed.
//!
//! The socket takes less than one message. If rows were computed and sent in turn, the process would wait for its node while it sends, and the
//! node for its process while it computes. So a task of its own sends, in the order of the rows, and what waits for it is bounded
//! ([`PREPARED_BYTES`]). An answer of small batches needs no such task.

use std::{io, sync::Arc};

use arrow::buffer::Buffer;
use concordat_arrow_stream::StreamEncoder;
use futures::{StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{
    frames::{self, Kind},
    messages::failed,
    objects::Writer,
};
use crate::{
    QueryError,
    disclosure::{RawAnswer, rows_in_a_chunk, slice_bytes},
};

/// Maximum bytes of messages that are encoded and not sent: some batches, so that a batch that takes longer does not stop the sending. A larger
/// batch is sent before the next one is computed, so that two of them are never in memory. The memory of a process has several times as many
/// bytes for batches.
const PREPARED_BYTES: usize = 16 << 20;
/// Maximum bytes of a batch that is sent before the next one is computed: the socket takes it at once, and to wake another thread would take longer.
const SMALL_BYTES: usize = 64 << 10;

/// Rows that are encoded.
struct Message {
    /// Its bytes, as parts that follow one another.
    parts: Vec<Buffer>,
    /// Its part of [`PREPARED_BYTES`], until it is sent.
    _memory: OwnedSemaphorePermit,
}

/// Sends columns and rows, in chunks small enough to stop quickly. Rows before an error are sent.
///
/// # Errors
/// Those of the answer, [`QueryError::Memory`] if a message is too long for the socket, or the node reads no more.
pub(super) async fn send_answer(mut raw: RawAnswer, writer: &Writer) -> Result<(), QueryError> {
    let mut encoder = StreamEncoder::new(&raw.schema)?;
    let columns = encoder.take();
    let sent = frames::send(&mut *writer.lock().await, Kind::Columns, &[], &columns).await;
    sent.map_err(|_| failed())?;
    while let Some(batch) = raw.batches.next().await.transpose()? {
        if slice_bytes(&batch.rows) > SMALL_BYTES {
            raw.batches = stream::iter([Ok(batch)]).chain(raw.batches).boxed();
            return send_while_computing(raw, encoder, writer).await;
        }
        let sent = send_rows(&encoder.parts(&batch.rows)?, writer).await;
        sent.map_err(|_| QueryError::Memory)?;
    }
    Ok(())
}

/// Sends the rows that are left. Errors are those of [`send_answer`].
async fn send_while_computing(raw: RawAnswer, encoder: StreamEncoder, writer: &Writer) -> Result<(), QueryError> {
    let (prepared, messages) = mpsc::unbounded_channel();
    let sending = tokio::spawn(send_messages(messages, Arc::clone(writer)));
    let computed = prepare(raw, encoder, prepared).await;
    match sending.await {
        Ok(Ok(())) => computed,
        Ok(Err(_)) => Err(QueryError::Memory),
        Err(_) => Err(failed()),
    }
}

/// Computes and encodes all rows.
async fn prepare(
    mut raw: RawAnswer,
    mut encoder: StreamEncoder,
    prepared: mpsc::UnboundedSender<Message>,
) -> Result<(), QueryError> {
    let memory = Arc::new(Semaphore::new(PREPARED_BYTES));
    loop {
        // Nothing is computed while all of the memory is taken.
        drop(memory.acquire().await.map_err(|_| failed())?);
        let Some(batch) = raw.batches.next().await else {
            return Ok(());
        };
        let mut rest = batch?.rows;
        let is_large = slice_bytes(&rest) > PREPARED_BYTES;
        while rest.num_rows() > 0 {
            let rows = rows_in_a_chunk(&rest).clamp(1, rest.num_rows());
            let parts = encoder.parts(&rest.slice(0, rows))?;
            rest = rest.slice(rows, rest.num_rows().saturating_sub(rows));
            let bytes = parts.iter().map(Buffer::len).fold(0, usize::saturating_add);
            let bytes = if is_large {
                PREPARED_BYTES
            } else {
                bytes.min(PREPARED_BYTES)
            };
            let taken = u32::try_from(bytes).unwrap_or(u32::MAX);
            let taken = Arc::clone(&memory).acquire_many_owned(taken).await;
            let message = Message {
                parts,
                _memory: taken.map_err(|_| failed())?,
            };
            // What ended the sending is reported by it.
            prepared.send(message).map_err(|_| failed())?;
        }
    }
}

/// Sends messages until there are no more.
async fn send_messages(mut messages: mpsc::UnboundedReceiver<Message>, writer: Writer) -> io::Result<()> {
    while let Some(message) = messages.recv().await {
        send_rows(&message.parts, &writer).await?;
    }
    Ok(())
}

/// Sends one frame of rows; none if there are no rows.
async fn send_rows(parts: &[Buffer], writer: &Writer) -> io::Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Buffer::as_slice).collect();
    frames::send_parts(&mut *writer.lock().await, Kind::Rows, &parts).await
}

#[cfg(test)]
mod tests;
