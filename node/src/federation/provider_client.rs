//! Sends one query to one dataset: over the network under a grant, or locally through a permit of our own.

use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use concordat_protocol::audit::Outcome;
use concordat_protocol::grant::Party;
use concordat_protocol::ids::{DatasetRef, GrantId, InstitutionId, NodeId, QueryId};
use concordat_protocol::query::QueryEnvelope;
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use concordat_storage::arrow_stream::{CheckedStream, Item};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::Federation;
use super::columns::RequestedColumns;
use super::error::FederationError;
use super::evidence::{Intent, OpenQuery, nothing_received, outcome_of};
use super::exchange::{OutgoingQuery, Reading};
use super::report::QueryReport;
use super::source::{Access, Answer, Batches, QuerySource, Target};
use super::statement::table_text;
use crate::evidence::Counted;
use crate::iam::Actor;
use crate::network::FramedStream;
use crate::sharing::{LocalChunks, LocalQuery, QUERY};

/// How long a provider may take for its whole answer, in seconds.
const DEADLINE_SECONDS: i64 = 600;
/// Batches buffered for the reader: one is read while the next arrives.
const PREFETCH: usize = 2;
/// How often, and how many times, the node checks for the notice that explains a broken answer: three seconds in total, because the
/// provider may have reset the connection, so that the notice comes over a new one.
const NOTICE_POLL_INTERVAL: Duration = Duration::from_millis(50);
const NOTICE_POLLS: u32 = 60;
/// How long an answer may take to reach its end and its receipt once the reader wants no more rows.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Queries providers on behalf of one person for one federated query.
#[derive(Debug)]
pub(super) struct ProviderClient {
    federation: Federation,
    actor: Actor,
    report: QueryReport,
    tasks: TaskTracker,
}

impl ProviderClient {
    pub(super) fn new(federation: Federation, actor: Actor, report: QueryReport, tasks: TaskTracker) -> Self {
        Self {
            federation,
            actor,
            report,
            tasks,
        }
    }

    /// Queries a peer. If the provider first requires countersigned receipts, it gets them and is queried once more.
    async fn query_peer(&self, target: &Target, grant: GrantId, sql: String) -> Result<Answer, FederationError> {
        match self.query_once(target, grant, sql.clone()).await {
            Err(error) if needs_countersignatures(&error) => {
                let (node, _) = self.connect(&target.dataset.institution, &grant).await?;
                match self.federation.countersign(node).await {
                    Ok(accepted) if accepted > 0 => self.query_once(target, grant, sql).await,
                    Ok(_) | Err(_) => Err(error),
                }
            }
            answer => answer,
        }
    }

    async fn query_once(&self, target: &Target, grant: GrantId, sql: String) -> Result<Answer, FederationError> {
        let provider = &target.dataset.institution;
        let (node, stream) = self.connect(provider, &grant).await?;
        let intent = Intent {
            provider,
            grant,
            sql: &sql,
        };
        let open = self
            .federation
            .open_query(intent, stream.session(), self.actor.attribution())
            .await?;
        let outgoing = match self.signed(target, grant, sql, (node, open.id)).await {
            Ok(outgoing) => outgoing,
            Err(error) => {
                self.federation
                    .close_query(open, nothing_received(), outcome_of(&error))
                    .await?;
                return Err(error);
            }
        };
        let (opened, opening) = oneshot::channel();
        let (rows, reader) = mpsc::channel(PREFETCH);
        let exchange = Exchange {
            federation: self.federation.clone(),
            report: self.report.clone(),
            dataset: target.dataset.clone(),
        };
        self.tasks.spawn(exchange.run(stream, outgoing, open, (opened, rows)));
        // A task that ends without a message received bytes on which its decoder panicked.
        let schema = opening.await.map_err(|_| unreadable(provider))??;
        Ok(Answer {
            schema,
            batches: rows_of(reader, provider.clone()),
        })
    }

    /// Signs the query and stores the signed query before it is sent.
    async fn signed(
        &self,
        target: &Target,
        grant: GrantId,
        sql: String,
        (node, query): (NodeId, QueryId),
    ) -> Result<OutgoingQuery, FederationError> {
        let outgoing = self.sign(target, grant, sql, (node, query))?;
        self.federation.store_signed(query, outgoing.signed.clone()).await?;
        Ok(outgoing)
    }

    /// A stream to the first node of `provider` that can be reached. The node must have presented the key with which `grant` was
    /// agreed, because no other party may read the query.
    async fn connect(
        &self,
        provider: &InstitutionId,
        grant: &GrantId,
    ) -> Result<(NodeId, FramedStream), FederationError> {
        let parts = &self.federation.0.parts;
        let held = parts.grants.get(grant).await;
        let holder = held.map(|view| view.terms.side(Party::Provider));
        let roster = parts.membership.valid_roster(parts.clock.now());
        let roster = roster.map_err(|error| FederationError::machine("the roster cannot be used", error))?;
        let missing = || FederationError::NotMember {
            provider: provider.clone(),
        };
        let member = roster.active_member(provider).ok_or_else(missing)?;
        let mut last = None;
        for node in &member.nodes {
            match parts.network.open(node.node, QUERY).await {
                Ok(stream) => {
                    let shown = stream.session().attested();
                    let same = shown
                        .zip(holder.as_ref())
                        .is_some_and(|(shown, holder)| shown.acts_for(holder));
                    return same
                        .then_some((node.node, stream))
                        .ok_or_else(|| FederationError::KeyChanged {
                            provider: provider.clone(),
                        });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(missing, |source| FederationError::Unreachable {
            provider: provider.clone(),
            source,
        }))
    }

    fn sign(
        &self,
        target: &Target,
        grant: GrantId,
        sql: String,
        (node, query): (NodeId, QueryId),
    ) -> Result<OutgoingQuery, FederationError> {
        let parts = &self.federation.0.parts;
        let now = parts.clock.now();
        let deadline = now.plus_seconds(DEADLINE_SECONDS);
        let key = &parts.identity.node_key;
        let columns = RequestedColumns::for_query(&sql, &target.columns)
            .ok_or_else(|| FederationError::usage("only one plain SELECT can be sent to a provider"))?;
        let unsigned = |error| FederationError::machine("the query cannot be signed", error);
        let assertion = self
            .actor
            .assert_for(target.dataset.institution.clone(), query, deadline);
        let envelope = QueryEnvelope {
            query,
            grant,
            from: parts.identity.institution.clone(),
            to: target.dataset.institution.clone(),
            actor: Signed::sign(&assertion, key).map_err(unsigned)?.signed().clone(),
            purpose: target.purpose.clone(),
            sql,
            version: target.version,
            sent_at: now,
            deadline,
        };
        let signed = Signed::sign(&envelope, key).map_err(unsigned)?.signed().clone();
        Ok(OutgoingQuery {
            envelope,
            signed,
            actor: self.actor.id().clone(),
            by: self.actor.attribution(),
            node,
            tier: target.tier,
            columns,
        })
    }

    async fn query_local(&self, target: &Target, sql: String) -> Result<Answer, FederationError> {
        let provider = target.dataset.institution.clone();
        let sharing = &self.federation.0.parts.sharing;
        let refused = |refusal: Refusal| FederationError::Refused {
            provider: provider.clone(),
            refusal,
        };
        let chunks = sharing
            .answer_local(LocalQuery {
                actor: self.actor.clone(),
                purpose: target.purpose.clone(),
                dataset: target.dataset.dataset.clone(),
                version: target.version,
                sql,
            })
            .await
            .map_err(refused)?;
        let mut own = LocalAnswer {
            provider: provider.clone(),
            chunks,
            decoder: CheckedStream::new(),
            pending: Bytes::new(),
            rows: 0,
        };
        let first = own.next().await?;
        let schema = own.decoder.schema().ok_or_else(|| unreadable(&provider))?;
        let rest = stream::try_unfold(
            own,
            |mut own| async move { Ok(own.next().await?.map(|batch| (batch, own))) },
        );
        Ok(Answer {
            schema,
            batches: stream::iter(first.map(Ok)).chain(rest).boxed(),
        })
    }
}

#[async_trait]
impl QuerySource for ProviderClient {
    async fn query(&self, target: &Target, sql: String) -> Result<Answer, FederationError> {
        match target.access {
            Access::Grant(grant) => self.query_peer(target, grant, sql).await,
            Access::Own => self.query_local(target, sql).await,
        }
    }

    async fn schema(&self, target: &Target) -> Result<SchemaRef, FederationError> {
        let schemas = &self.federation.0.schemas;
        // The cache holds the schema of the current version.
        if target.version.is_none()
            && let Access::Grant(grant) = target.access
            && let Some(known) = schemas.lock().unwrap_or_else(PoisonError::into_inner).get(&grant)
        {
            return Ok(known.clone());
        }
        let table = table_text(&target.dataset.dataset, target.version);
        let sql = format!("SELECT * FROM {table} LIMIT 0");
        let answer = self.query(target, sql).await?;
        let _: Vec<RecordBatch> = answer.batches.try_collect().await?;
        if target.version.is_none()
            && let Access::Grant(grant) = target.access
        {
            schemas
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(grant, answer.schema.clone());
        }
        Ok(answer.schema)
    }

    fn forget_schema(&self, target: &Target) {
        if let Access::Grant(grant) = target.access {
            self.federation
                .0
                .schemas
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&grant);
        }
    }
}

/// Rows on their way from an exchange to its reader; `None` means that there are no more.
type Rows = Result<Option<RecordBatch>, FederationError>;

fn rows_of(reader: mpsc::Receiver<Rows>, provider: InstitutionId) -> Batches {
    let next = |(mut reader, provider): (mpsc::Receiver<Rows>, InstitutionId)| async move {
        match reader.recv().await {
            Some(Ok(Some(batch))) => Ok(Some((batch, (reader, provider)))),
            Some(Ok(None)) => Ok(None),
            Some(Err(error)) => Err(error),
            None => Err(unreadable(&provider)),
        }
    };
    stream::try_unfold((reader, provider), next).boxed()
}

fn unreadable(provider: &InstitutionId) -> FederationError {
    FederationError::Misbehaved {
        provider: provider.clone(),
        detail: "its rows are not a valid stream".to_owned(),
    }
}

/// Receives the columns once the answer has begun, or the reason why it has not.
type Opened = oneshot::Sender<Result<SchemaRef, FederationError>>;

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

/// Whether the provider refuses only until its receipts are countersigned.
fn needs_countersignatures(error: &FederationError) -> bool {
    matches!(error, FederationError::Refused { refusal, .. } if refusal.code == RefusalCode::CountersignFirst)
}

/// One exchange as a task, so that its receipt is handled even if its reader stops early.
struct Exchange {
    federation: Federation,
    report: QueryReport,
    dataset: DatasetRef,
}

impl Exchange {
    /// Runs the exchange and enters its end. The exchange is a task of its own, so that its end is entered even if its decoder
    /// panics on the received bytes.
    async fn run(
        self,
        stream: FramedStream,
        outgoing: OutgoingQuery,
        open: OpenQuery,
        reader: (Opened, mpsc::Sender<Rows>),
    ) {
        let (federation, rows) = (self.federation.clone(), reader.1.clone());
        let ended = tokio::spawn(self.exchange(stream, outgoing, reader)).await;
        let Ended { counted, outcome, last } = ended.unwrap_or_else(|_| Ended {
            counted: nothing_received(),
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

    async fn exchange(
        self,
        stream: FramedStream,
        outgoing: OutgoingQuery,
        (opened, rows): (Opened, mpsc::Sender<Rows>),
    ) -> Ended {
        let (mut reading, schema) = match Reading::begin(stream, outgoing).await {
            Ok(begun) => begun,
            Err(error) => return Ended::before_rows(nothing_received(), opened, error),
        };
        let Some(schema) = schema else {
            let counted = reading.counted();
            let ended = self.finish(reading).await.err();
            let error = ended.unwrap_or_else(|| unreadable(&self.dataset.institution));
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
        self.report.receipt(&self.dataset, &closing.receipt, closing.digest);
        closing.cut.map_or(Ok(()), Err)
    }
}

/// Forwards rows until the provider has ended them (true) or the reader wants no more (false).
async fn forward(reading: &mut Reading, rows: &mpsc::Sender<Rows>) -> Result<bool, FederationError> {
    loop {
        let batch = tokio::select! {
            biased;
            batch = reading.next_batch() => batch?,
            () = rows.closed() => return Ok(is_at_end(reading).await),
        };
        let Some(batch) = batch else { return Ok(true) };
        if rows.send(Ok(Some(batch))).await.is_err() {
            return Ok(is_at_end(reading).await);
        }
    }
}

/// The reader wants no more rows. If there are none left anyway, the receipt is still exchanged.
async fn is_at_end(reading: &mut Reading) -> bool {
    tokio::time::timeout(DRAIN_TIMEOUT, reading.stop())
        .await
        .unwrap_or(false)
}

/// The answer of our own node, which is decoded like that of any other provider.
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
                .map_err(|_| unreadable(&self.provider))?;
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
                None => return Err(unreadable(&self.provider)),
            }
        }
    }
}
