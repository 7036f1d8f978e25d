//! Putting one question to one dataset: over the network under a grant, or at home through our own permit.

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
use super::columns::AskedColumns;
use super::evidence::{Intent, OpenQuery, nothing, outcome_of};
use super::exchange::{Asked, Reading};
use super::fault::QueryFault;
use super::journal::Journal;
use super::source::{Ask, Batches, Part, Right, Target};
use super::statement::table_text;
use crate::evidence::Counted;
use crate::iam::Actor;
use crate::network::FramedStream;
use crate::sharing::{OwnChunks, QUERY};

/// How long a provider has for all of its answer, in seconds.
const DEADLINE_SECONDS: i64 = 600;
/// Batches that wait for the reader: one is read while the next arrives.
const AHEAD: usize = 2;
/// How often the notice that explains a broken answer is looked for, and how many times: one second in all.
const NOTICE_LOOK: Duration = Duration::from_millis(50);
const NOTICE_LOOKS: u32 = 20;
/// How long an answer of which no more rows are wanted may take to reach its end and its receipt.
const LINGER: Duration = Duration::from_secs(2);

/// Asks on behalf of one person for one query.
#[derive(Debug)]
pub(super) struct Asker {
    federation: Federation,
    actor: Actor,
    journal: Journal,
    tasks: TaskTracker,
}

impl Asker {
    pub(super) fn new(federation: Federation, actor: Actor, journal: Journal, tasks: TaskTracker) -> Self {
        Self {
            federation,
            actor,
            journal,
            tasks,
        }
    }

    /// Asks; a provider that wants receipts countersigned first gets its signatures and is asked again, once.
    async fn ask_peer(&self, target: &Target, grant: GrantId, sql: String) -> Result<Part, QueryFault> {
        match self.ask_once(target, grant, sql.clone()).await {
            Err(fault) if wants_signatures(&fault) => {
                let (node, _) = self.connect(&target.dataset.institution, &grant).await?;
                match self.federation.countersign(node).await {
                    Ok(taken) if taken > 0 => self.ask_once(target, grant, sql).await,
                    Ok(_) | Err(_) => Err(fault),
                }
            }
            answer => answer,
        }
    }

    async fn ask_once(&self, target: &Target, grant: GrantId, sql: String) -> Result<Part, QueryFault> {
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
        let asked = match self.signed(target, grant, sql, (node, open.id)).await {
            Ok(asked) => asked,
            Err(fault) => {
                self.federation.close_query(open, nothing(), outcome_of(&fault)).await?;
                return Err(fault);
            }
        };
        let (opened, opening) = oneshot::channel();
        let (rows, reader) = mpsc::channel(AHEAD);
        let exchange = Exchange {
            federation: self.federation.clone(),
            journal: self.journal.clone(),
            dataset: target.dataset.clone(),
        };
        self.tasks.spawn(exchange.run(stream, asked, open, (opened, rows)));
        // A task that ends without a word has met bytes that its decoder could not bear.
        let schema = opening.await.map_err(|_| unreadable(provider))??;
        Ok(Part {
            schema,
            batches: rows_of(reader, provider.clone()),
        })
    }

    /// The query with its signature, which is kept before it is sent.
    async fn signed(
        &self,
        target: &Target,
        grant: GrantId,
        sql: String,
        (node, query): (NodeId, QueryId),
    ) -> Result<Asked, QueryFault> {
        let asked = self.sign(target, grant, sql, (node, query))?;
        self.federation.keep_signed(query, asked.signed.clone()).await?;
        Ok(asked)
    }

    /// A stream to the first node of `provider` that can be reached. It must have shown the key with which `grant` was agreed:
    /// the question is nobody else's to read.
    async fn connect(&self, provider: &InstitutionId, grant: &GrantId) -> Result<(NodeId, FramedStream), QueryFault> {
        let parts = &self.federation.0.parts;
        let held = parts.grants.get(grant).await;
        let holder = held.map(|view| view.terms.side(Party::Provider));
        let roster = parts.membership.in_force(parts.clock.now());
        let roster = roster.map_err(|error| QueryFault::machine("the roster cannot be used", error))?;
        let missing = || QueryFault::NotMember {
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
                    return same.then_some((node.node, stream)).ok_or_else(|| QueryFault::OtherKey {
                        provider: provider.clone(),
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(missing, |source| QueryFault::Unreachable {
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
    ) -> Result<Asked, QueryFault> {
        let parts = &self.federation.0.parts;
        let now = parts.clock.now();
        let deadline = now.plus_seconds(DEADLINE_SECONDS);
        let key = &parts.identity.node_key;
        let columns = AskedColumns::asked_for(&sql, &target.columns)
            .ok_or_else(|| QueryFault::usage("only one plain SELECT can be put to a provider"))?;
        let unsigned = |error| QueryFault::machine("the query cannot be signed", error);
        let assertion = self
            .actor
            .assert_for(target.dataset.institution.clone(), query, deadline);
        let question = QueryEnvelope {
            query,
            grant,
            from: parts.identity.institution.clone(),
            to: target.dataset.institution.clone(),
            actor: Signed::sign(&assertion, key).map_err(unsigned)?.signed().clone(),
            purpose: target.purpose.clone(),
            sql,
            sent_at: now,
            deadline,
        };
        let signed = Signed::sign(&question, key).map_err(unsigned)?.signed().clone();
        Ok(Asked {
            question,
            signed,
            actor: self.actor.id().clone(),
            by: self.actor.attribution(),
            node,
            tier: target.tier,
            columns,
        })
    }

    async fn ask_home(&self, target: &Target, sql: String) -> Result<Part, QueryFault> {
        let provider = target.dataset.institution.clone();
        let sharing = &self.federation.0.parts.sharing;
        let refused = |refusal: Refusal| QueryFault::Refused {
            provider: provider.clone(),
            refusal,
        };
        let chunks = sharing
            .answer_own(&self.actor, &target.purpose, &target.dataset.dataset, sql)
            .await
            .map_err(refused)?;
        let mut own = Own {
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
        Ok(Part {
            schema,
            batches: stream::iter(first.map(Ok)).chain(rest).boxed(),
        })
    }
}

#[async_trait]
impl Ask for Asker {
    async fn ask(&self, target: &Target, sql: String) -> Result<Part, QueryFault> {
        match target.right {
            Right::Grant(grant) => self.ask_peer(target, grant, sql).await,
            Right::Own => self.ask_home(target, sql).await,
        }
    }

    async fn shape(&self, target: &Target) -> Result<SchemaRef, QueryFault> {
        let shapes = &self.federation.0.shapes;
        // What is known is the shape of the current version.
        if target.version.is_none()
            && let Right::Grant(grant) = target.right
            && let Some(known) = shapes.lock().unwrap_or_else(PoisonError::into_inner).get(&grant)
        {
            return Ok(known.clone());
        }
        let table = table_text(&target.dataset.dataset, target.version);
        let sql = format!("SELECT * FROM {table} LIMIT 0");
        let part = self.ask(target, sql).await?;
        let _: Vec<RecordBatch> = part.batches.try_collect().await?;
        if target.version.is_none()
            && let Right::Grant(grant) = target.right
        {
            shapes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(grant, part.schema.clone());
        }
        Ok(part.schema)
    }

    fn forget(&self, target: &Target) {
        if let Right::Grant(grant) = target.right {
            self.federation
                .0
                .shapes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&grant);
        }
    }
}

/// Rows on their way from an exchange to its reader; `None` tells that these were all.
type Rows = Result<Option<RecordBatch>, QueryFault>;

fn rows_of(reader: mpsc::Receiver<Rows>, provider: InstitutionId) -> Batches {
    let next = |(mut reader, provider): (mpsc::Receiver<Rows>, InstitutionId)| async move {
        match reader.recv().await {
            Some(Ok(Some(batch))) => Ok(Some((batch, (reader, provider)))),
            Some(Ok(None)) => Ok(None),
            Some(Err(fault)) => Err(fault),
            None => Err(unreadable(&provider)),
        }
    };
    stream::try_unfold((reader, provider), next).boxed()
}

fn unreadable(provider: &InstitutionId) -> QueryFault {
    QueryFault::Misbehaved {
        provider: provider.clone(),
        detail: "its rows are not a valid stream".to_owned(),
    }
}

/// Where the columns go once the answer has begun, or why it has not.
type Opened = oneshot::Sender<Result<SchemaRef, QueryFault>>;

/// How an exchange ended.
struct Ended {
    counted: Counted,
    outcome: Outcome,
    last: Last,
}

/// What the reader is still told.
enum Last {
    /// Nothing: nobody reads.
    Nothing,
    /// The end of the rows.
    Rows(Rows),
    /// That there are no rows.
    Opening(Opened, QueryFault),
}

impl Ended {
    fn before_rows(counted: Counted, opened: Opened, fault: QueryFault) -> Self {
        Self {
            counted,
            outcome: outcome_of(&fault),
            last: Last::Opening(opened, fault),
        }
    }
}

/// Whether the provider answers once its receipts are countersigned.
fn wants_signatures(fault: &QueryFault) -> bool {
    matches!(fault, QueryFault::Refused { refusal, .. } if refusal.code == RefusalCode::CountersignFirst)
}

/// One exchange as a task, so that its receipt is dealt with even when its reader has seen enough.
struct Exchange {
    federation: Federation,
    journal: Journal,
    dataset: DatasetRef,
}

impl Exchange {
    /// Runs the exchange and enters its end. The exchange is a task of its own, so that its end is entered although its decoder
    /// panics over what it was sent.
    async fn run(self, stream: FramedStream, asked: Asked, open: OpenQuery, reader: (Opened, mpsc::Sender<Rows>)) {
        let (federation, rows) = (self.federation.clone(), reader.1.clone());
        let ended = tokio::spawn(self.exchange(stream, asked, reader)).await;
        let Ended { counted, outcome, last } = ended.unwrap_or_else(|_| Ended {
            counted: nothing(),
            outcome: Outcome::Failed {
                reason: Reason::fitted("its rows could not be decoded"),
            },
            last: Last::Nothing,
        });
        // The reader learns the end once it is durable.
        let last = match federation.close_query(open, counted, outcome).await {
            Ok(()) => last,
            Err(fault) => Last::Rows(Err(fault)),
        };
        match last {
            Last::Nothing => {}
            Last::Rows(last) => drop(rows.send(last).await),
            // Whoever asked has gone.
            Last::Opening(opened, fault) => drop(opened.send(Err(fault))),
        }
    }

    async fn exchange(self, stream: FramedStream, asked: Asked, (opened, rows): (Opened, mpsc::Sender<Rows>)) -> Ended {
        let (mut reading, schema) = match Reading::begin(stream, asked).await {
            Ok(begun) => begun,
            Err(fault) => return Ended::before_rows(nothing(), opened, fault),
        };
        let Some(schema) = schema else {
            let counted = reading.counted();
            let ended = self.finish(reading).await.err();
            let fault = ended.unwrap_or_else(|| unreadable(&self.dataset.institution));
            return Ended::before_rows(counted, opened, fault);
        };
        // If the reader has gone, the first batch finds out.
        let _ = opened.send(Ok(schema));
        let passed = pass_on(&mut reading, &rows).await;
        let counted = reading.counted();
        let ended = match passed {
            Ok(true) => self.finish(reading).await,
            Ok(false) => {
                return Ended {
                    counted,
                    outcome: Outcome::Abandoned,
                    last: Last::Nothing,
                };
            }
            Err(fault @ QueryFault::Unreachable { .. }) => {
                let ended = self.end_of(reading.grant()).await;
                Err(ended.map_or(fault, |refusal| reading.cut(refusal)))
            }
            Err(fault) => Err(fault),
        };
        Ended {
            counted,
            outcome: ended.as_ref().err().map_or(Outcome::Completed, outcome_of),
            last: Last::Rows(ended.map(|()| None)),
        }
    }

    /// Why the grant of an answer that broke off has ended, if it has: the provider could not put the reason into a stream
    /// that nobody read, and sends it as a notice.
    async fn end_of(&self, grant: GrantId) -> Option<Refusal> {
        let parts = &self.federation.0.parts;
        for _ in 0..NOTICE_LOOKS {
            let refusal = parts.grants.refusal(&grant, parts.clock.now()).await;
            if refusal.is_some() {
                return refusal;
            }
            tokio::time::sleep(NOTICE_LOOK).await;
        }
        None
    }

    async fn finish(&self, reading: Reading) -> Result<(), QueryFault> {
        let parts = &self.federation.0.parts;
        let closing = reading.finish(&parts.identity.node_key, &self.federation).await?;
        self.journal.receipt(&self.dataset, &closing.receipt, closing.digest);
        closing.cut.map_or(Ok(()), Err)
    }
}

/// Passes rows on until the provider has ended them (true) or nobody wants more (false).
async fn pass_on(reading: &mut Reading, rows: &mpsc::Sender<Rows>) -> Result<bool, QueryFault> {
    loop {
        let batch = tokio::select! {
            biased;
            batch = reading.next_batch() => batch?,
            () = rows.closed() => return Ok(was_the_end(reading).await),
        };
        let Some(batch) = batch else { return Ok(true) };
        if rows.send(Ok(Some(batch))).await.is_err() {
            return Ok(was_the_end(reading).await);
        }
    }
}

/// Somebody has seen enough rows. If there are no more anyway, the receipt is still exchanged.
async fn was_the_end(reading: &mut Reading) -> bool {
    matches!(tokio::time::timeout(LINGER, reading.next_batch()).await, Ok(Ok(None)))
}

/// The answer of our own node, which is decoded like everybody's.
struct Own {
    provider: InstitutionId,
    chunks: OwnChunks,
    decoder: CheckedStream,
    pending: Bytes,
    rows: u64,
}

impl Own {
    async fn next(&mut self) -> Result<Option<RecordBatch>, QueryFault> {
        loop {
            let decoded = self
                .decoder
                .decode(&mut self.pending)
                .map_err(|_| unreadable(&self.provider))?;
            match decoded {
                // Columns without rows are an answer too; its reader asks for them afterwards.
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
                    return Err(QueryFault::Cut {
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
