//! One exchange with a provider as a task, between the network and the reader of its rows.

use std::pin::pin;
use std::time::Duration;

use concordat_protocol::audit::Outcome;
use concordat_protocol::ids::{DatasetRef, GrantId, InstitutionId};
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::Refusal;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::{StreamExt, stream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::error::FederationError;
use super::evidence::outcome_of;
use super::exchange::{NotBegun, OutgoingQuery, Reading};
use super::handle::Federation;
use super::outgoing::ProviderSlot;
use super::report::QueryReport;
use super::source::{Answer, Batches};
use crate::evidence::{AnswerEnd, Counted};
use concordat_network::FramedStream;

/// Batches buffered for the reader: one is read while the next arrives.
const PREFETCH: usize = 2;
/// How often, and how many times, the node checks for the notice that explains a broken answer: three seconds in total, because the
/// provider may have reset the connection, so that the notice comes over a new one.
const NOTICE_POLL_INTERVAL: Duration = Duration::from_millis(50);
const NOTICE_POLLS: u32 = 60;
/// How long everything that is in transit may take to arrive once the reader wants no more rows: the largest chunk at one megabit a second.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// One exchange as a task, so that its receipt is handled even if its reader stops early.
pub(super) struct Exchange {
    pub(super) federation: Federation,
    pub(super) report: QueryReport,
    pub(super) dataset: DatasetRef,
    /// How many subjects a figure of the answer is about at least, below tier `records`; `None` if figures are not withheld.
    pub(super) min_cell: Option<u32>,
    pub(super) _slot: ProviderSlot,
}

impl Exchange {
    /// Enters that the query is sent, runs the exchange and enters its end. All of it is one task, so that a query whose reader leaves at any instant
    /// has an end; and the exchange is one of its own, so that its end is entered even if its decoder panics on the received bytes.
    pub(super) async fn run(self, stream: FramedStream, outgoing: OutgoingQuery, reader: Reader) {
        if reader.opened.is_closed() {
            return;
        }
        let federation = self.federation.clone();
        let open = match federation.open_query(&outgoing, stream.session()).await {
            Ok(open) => open,
            // The reader may have been dropped.
            Err(error) => return drop(reader.opened.send(Err(error))),
        };
        let rows = reader.rows.clone();
        let exchange = self.exchange(stream, outgoing, reader).in_current_span();
        let ended = tokio::spawn(exchange).await;
        let Ended { counted, outcome, last } = ended.unwrap_or_else(|_| Ended {
            counted: Counted::nothing(AnswerEnd::Unknown),
            outcome: Outcome::Failed {
                reason: Reason::sanitized("its rows could not be decoded"),
            },
            last: LastMessage::None,
        });
        // The reader gets the end once it is durable.
        let last = match federation.close_query(open, counted, outcome).await {
            Ok(()) => last,
            Err(error) => LastMessage::Rows(Err(error)),
        };
        match last {
            LastMessage::None => {}
            LastMessage::Rows(last) => drop(rows.send(last).await),
            // The reader may have been dropped.
            LastMessage::Opening(opened, error) => drop(opened.send(Err(error))),
        }
    }

    async fn exchange(self, stream: FramedStream, outgoing: OutgoingQuery, Reader { opened, rows }: Reader) -> Ended {
        let (mut reading, schema) = match Reading::begin(stream, outgoing).await {
            Ok(begun) => begun,
            Err(not_begun) => {
                let NotBegun { error, counted } = *not_begun;
                return Ended::before_rows(counted, opened, error);
            }
        };
        let Some(schema) = schema else {
            let counted = reading.counted();
            let ended = self.finish(reading).await.err();
            let error = ended.unwrap_or_else(|| FederationError::unreadable(&self.dataset.institution));
            return Ended::before_rows(counted, opened, error);
        };
        // If the reader was dropped, sending the first batch fails.
        let _ = opened.send(Ok(schema));
        let forwarded = forward(&mut reading, &rows).await;
        let counted = reading.counted();
        let ended = match forwarded {
            Ok(true) => self.finish(reading).await,
            Ok(false) => {
                return Ended {
                    counted,
                    outcome: Outcome::Abandoned,
                    last: LastMessage::None,
                };
            }
            Err(error @ FederationError::Unreachable { .. }) => {
                let ended = self.grant_end(reading.grant()).await;
                Err(ended.map_or(error, |refusal| reading.cut(refusal)))
            }
            Err(error) => Err(error),
        };
        Ended {
            counted,
            outcome: ended.as_ref().err().map_or(Outcome::Completed, outcome_of),
            last: LastMessage::Rows(ended.map(|()| None)),
        }
    }

    /// Why the grant of an interrupted answer has ended, if it has. The provider could not send the reason on a stream that was not
    /// being read, so it sends it as a notice.
    async fn grant_end(&self, grant: GrantId) -> Option<Refusal> {
        let parts = &self.federation.0.parts;
        for _ in 0..NOTICE_POLLS {
            let refusal = parts.grants.refusal(&grant, parts.clock.now()).await;
            if refusal.is_some() {
                return refusal;
            }
            tokio::time::sleep(NOTICE_POLL_INTERVAL).await;
        }
        None
    }

    async fn finish(&self, reading: Reading) -> Result<(), FederationError> {
        let parts = &self.federation.0.parts;
        let closing = reading.finish(&parts.identity.node_key, &self.federation).await?;
        self.report
            .receipt(&self.dataset, &closing.receipt, closing.digest, self.min_cell);
        closing.cut.map_or(Ok(()), Err)
    }
}

/// The exchange's end of the way to its reader.
pub(super) struct Reader {
    opened: Opened,
    rows: mpsc::Sender<Rows>,
}

/// The reader's end.
pub(super) struct Opening {
    opened: oneshot::Receiver<Result<SchemaRef, FederationError>>,
    rows: mpsc::Receiver<Rows>,
}

/// Receives the columns once the answer has begun, or the reason why it has not.
type Opened = oneshot::Sender<Result<SchemaRef, FederationError>>;

/// Rows on their way from an exchange to its reader; `None` means that there are no more.
type Rows = Result<Option<RecordBatch>, FederationError>;

/// The two ends of the way from an exchange to its reader.
pub(super) fn channel() -> (Reader, Opening) {
    let (opened, opening) = oneshot::channel();
    let (rows, reader) = mpsc::channel(PREFETCH);
    let opening = Opening {
        opened: opening,
        rows: reader,
    };
    (Reader { opened, rows }, opening)
}

impl Opening {
    /// Waits until the answer of `provider` has begun.
    ///
    /// # Errors
    /// The reason why it has not.
    pub(super) async fn answer(self, provider: &InstitutionId) -> Result<Answer, FederationError> {
        // A task that ends without a message received bytes on which its decoder panicked.
        let schema = self.opened.await.map_err(|_| FederationError::unreadable(provider))??;
        Ok(Answer {
            schema,
            batches: rows_of(self.rows, provider.clone()),
        })
    }
}

fn rows_of(reader: mpsc::Receiver<Rows>, provider: InstitutionId) -> Batches {
    let next = |(mut reader, provider): (mpsc::Receiver<Rows>, InstitutionId)| async move {
        match reader.recv().await {
            Some(Ok(Some(batch))) => Ok(Some((batch, (reader, provider)))),
            Some(Ok(None)) => Ok(None),
            Some(Err(error)) => Err(error),
            None => Err(FederationError::unreadable(&provider)),
        }
    };
    stream::try_unfold((reader, provider), next).boxed()
}

/// How an exchange ended.
struct Ended {
    counted: Counted,
    outcome: Outcome,
    last: LastMessage,
}

/// The last message to the reader.
enum LastMessage {
    /// None: there is no reader.
    None,
    /// The end of the rows.
    Rows(Rows),
    /// The error that ended the answer before its first row.
    Opening(Opened, FederationError),
}

impl Ended {
    fn before_rows(counted: Counted, opened: Opened, error: FederationError) -> Self {
        Self {
            counted,
            outcome: outcome_of(&error),
            last: LastMessage::Opening(opened, error),
        }
    }
}

/// What follows in an answer.
#[derive(Debug)]
pub(super) enum Next {
    Rows(RecordBatch),
    /// The provider has ended the rows.
    End,
    /// The reader wants no more rows; the chunk that was in transit has arrived. What follows it may arrive until then.
    Unwanted {
        until: Instant,
    },
    /// The reader wants no more rows, and what was in transit, if anything, has not arrived in time.
    Silence,
}

/// Forwards rows until the provider has ended them (true) or the reader wants no more (false).
async fn forward(reading: &mut Reading, rows: &mpsc::Sender<Rows>) -> Result<bool, FederationError> {
    loop {
        match next_wanted(reading, rows).await? {
            Next::End => return Ok(true),
            Next::Silence => return Ok(false),
            Next::Unwanted { until } => return Ok(is_at_end(reading, until).await),
            Next::Rows(batch) => {
                if rows.send(Ok(Some(batch))).await.is_err() {
                    return Ok(is_at_end(reading, end_of_drain()).await);
                }
            }
        }
    }
}

/// Receives the next rows while the reader wants them.
///
/// A chunk of which a part has arrived is received and confirmed all the same: were its reading canceled, the stream would be out of step, and
/// the provider would not learn what arrived.
pub(super) async fn next_wanted(reading: &mut Reading, rows: &mpsc::Sender<Rows>) -> Result<Next, FederationError> {
    let mut next = pin!(reading.next_batch());
    let batch = tokio::select! {
        biased;
        batch = &mut next => batch?,
        () = rows.closed() => {
            let until = end_of_drain();
            let Ok(batch) = timeout_at(until, next).await else {
                return Ok(Next::Silence);
            };
            return Ok(batch?.map_or(Next::End, |_| Next::Unwanted { until }));
        }
    };
    Ok(batch.map_or(Next::End, Next::Rows))
}

/// The reader wants no more rows. If there are none left anyway, which is known by `until`, the receipt is still exchanged.
pub(super) async fn is_at_end(reading: &mut Reading, until: Instant) -> bool {
    timeout_at(until, reading.stop()).await.unwrap_or(false)
}

/// Until when what is in transit may arrive, if the reader wants no more rows from now on.
fn end_of_drain() -> Instant {
    tokio::time::sleep(DRAIN_TIMEOUT).deadline()
}
