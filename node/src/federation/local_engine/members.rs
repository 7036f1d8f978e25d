//! The members, as an engine process sees them: their rows are requested from the node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use concordat_arrow_stream::{CheckedStream, Item, StreamEncoder};
use concordat_engine::{Channel, ChannelSender};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use futures::{StreamExt, stream};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::messages::{FromEngine, MemberFailed, ToEngine, decode, encode, engine_failed};
use crate::federation::error::FederationError;
use crate::federation::source::{Answer, MemberQuery, QuerySource, Target};

/// The members of a query; clones share the open answers.
#[derive(Clone, Debug)]
pub(super) struct Members {
    sender: ChannelSender,
    targets: Arc<[Target]>,
    open: Arc<Mutex<OpenAnswers>>,
}

#[derive(Debug, Default)]
struct OpenAnswers {
    last: u64,
    readers: HashMap<u64, UnboundedSender<Delivery>>,
}

/// What the node sends of one answer. No more than two batches of one answer are on the way, so this needs no limit.
#[derive(Debug)]
enum Delivery {
    Rows(Bytes),
    End,
    Failed,
}

impl Members {
    pub(super) fn new(sender: ChannelSender, targets: Vec<Target>) -> Self {
        Self {
            sender,
            targets: targets.into(),
            open: Arc::default(),
        }
    }

    /// The number by which the node knows `target`.
    pub(super) fn number_of(&self, target: &Target) -> Result<usize, FederationError> {
        let number = self.targets.iter().position(|known| known == target);
        number.ok_or_else(engine_failed)
    }

    /// Forwards the messages of the node to the readers of their answers, until it sends no more.
    pub(super) async fn receive(self, mut channel: Channel) {
        while let Some(body) = channel.next().await {
            let Ok((message, rows)) = decode::<ToEngine>(body) else {
                return;
            };
            match message {
                ToEngine::Run => {}
                ToEngine::Rows { number } => self.deliver(number, Delivery::Rows(rows)),
                ToEngine::End { number } => self.deliver(number, Delivery::End),
                ToEngine::MemberFailed { number } => self.deliver(number, Delivery::Failed),
            }
        }
    }

    fn deliver(&self, number: u64, delivery: Delivery) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = open.readers.get(&number) {
            // The reader may have been dropped.
            let _ = reader.send(delivery);
        }
    }

    fn open(&self) -> Reader {
        let (sender, deliveries) = unbounded_channel();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.last = open.last.wrapping_add(1);
        let number = open.last;
        open.readers.insert(number, sender);
        Reader {
            number,
            sender: self.sender.clone(),
            open: Arc::clone(&self.open),
            deliveries,
            stream: CheckedStream::new(),
            rows: Bytes::new(),
            ended: false,
        }
    }
}

#[async_trait]
impl QuerySource for Members {
    async fn query(&self, target: &Target, query: MemberQuery) -> Result<Answer, FederationError> {
        let target = self.number_of(target)?;
        let columns = columns(&query.schema)?;
        let mut reader = self.open();
        let request = FromEngine::Query {
            number: reader.number,
            target,
            sql: query.sql,
            grouped: query.grouped,
        };
        send(&self.sender, &request, &columns).await?;
        reader.opened().await?;
        let rows = stream::try_unfold(reader, |mut reader| async move {
            Ok(reader.next().await?.map(|batch| (batch, reader)))
        });
        Ok(Answer {
            schema: query.schema,
            batches: rows.boxed(),
        })
    }
}

/// Reads one answer.
struct Reader {
    number: u64,
    sender: ChannelSender,
    open: Arc<Mutex<OpenAnswers>>,
    deliveries: UnboundedReceiver<Delivery>,
    stream: CheckedStream,
    rows: Bytes,
    ended: bool,
}

impl Reader {
    /// Waits until the answer has begun.
    async fn opened(&mut self) -> Result<(), FederationError> {
        match self.deliveries.recv().await {
            Some(Delivery::Rows(rows)) => {
                self.rows = rows;
                self.request_more().await
            }
            Some(Delivery::End) | None => Err(engine_failed()),
            Some(Delivery::Failed) => Err(self.failed()),
        }
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>, FederationError> {
        loop {
            match self.stream.decode(&mut self.rows).map_err(|_| engine_failed())? {
                Some(Item::Schema(_)) => continue,
                Some(Item::Batch(batch)) => return Ok(Some(batch)),
                None => {}
            }
            match self.deliveries.recv().await {
                Some(Delivery::Rows(rows)) => {
                    self.rows = rows;
                    self.request_more().await?;
                }
                Some(Delivery::End) => {
                    self.ended = true;
                    return Ok(None);
                }
                Some(Delivery::Failed) => return Err(self.failed()),
                None => return Err(engine_failed()),
            }
        }
    }

    async fn request_more(&mut self) -> Result<(), FederationError> {
        send(&self.sender, &FromEngine::More { number: self.number }, &[]).await
    }

    fn failed(&mut self) -> FederationError {
        self.ended = true;
        FederationError::machine("a member's part failed", MemberFailed(self.number))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.readers.remove(&self.number);
        drop(open);
        // The exchange with a member whose other rows are not needed, as below a `LIMIT`, ends now and not with the query.
        if let (false, Ok(runtime)) = (self.ended, Handle::try_current()) {
            let sender = self.sender.clone();
            let number = self.number;
            runtime.spawn(async move {
                let _ = send(&sender, &FromEngine::Close { number }, &[]).await;
            });
        }
    }
}

/// The columns of an answer, as the beginning of a stream.
pub(super) fn columns(schema: &Schema) -> Result<Vec<u8>, FederationError> {
    let mut stream = StreamEncoder::new(schema).map_err(|error| FederationError::planning(error.into()))?;
    Ok(stream.take())
}

/// Sends a message with the bytes of rows. An error means that the node has ended, and this process ends too.
pub(super) async fn send<M: Serialize>(
    sender: &ChannelSender,
    message: &M,
    rows: &[u8],
) -> Result<(), FederationError> {
    let head = encode(message)?;
    sender.send(&head, rows).await.map_err(|_| engine_failed())
}
