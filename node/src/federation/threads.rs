//! Threads for the local engine, separate from those of the network.
//!
//! Planning walks a query recursively, and the computation of a batch cannot be interrupted. Both therefore run on dedicated threads
//! with large stacks: whatever a query of our own people does there, peers are still answered. Queries to other institutions continue
//! to run on the threads of the node.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use futures::{StreamExt, stream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::error::FederationError;
use super::source::{Answer, MemberQuery, QuerySource, Target};

/// Number of threads.
const THREADS: usize = 2;
/// Stack size of each, in bytes; unused stack takes no memory.
const STACK: usize = 256 << 20;
/// Longest time that the local part of a query may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(600);

/// The threads of the local engine; they are started by the first query that needs them.
#[derive(Debug, Default)]
pub(super) struct Threads(OnceLock<Option<BackgroundRuntime>>);

/// A runtime that may be dropped anywhere: it does not wait for running work.
#[derive(Debug)]
struct BackgroundRuntime(Option<Runtime>);

impl Drop for BackgroundRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Threads {
    /// Runs `work` and computes its rows on these threads, for as long as the answer is read.
    ///
    /// # Errors
    /// Those of the work, and [`FederationError::Usage`] if it takes too long.
    pub(super) async fn run(
        &self,
        work: impl Future<Output = Result<Answer, FederationError>> + Send + 'static,
    ) -> Result<Answer, FederationError> {
        let until = tokio::time::sleep(QUERY_TIMEOUT).deadline();
        let (opened, opening) = oneshot::channel();
        let (rows, reader) = mpsc::channel(1);
        let task = self.handle()?.spawn(async move {
            let mut answer = match work.await {
                Ok(answer) => answer,
                // The reader may have been dropped, here and below.
                Err(error) => return drop(opened.send(Err(error))),
            };
            let _ = opened.send(Ok(answer.schema.clone()));
            while let Some(batch) = answer.batches.next().await {
                let last = batch.is_err();
                if rows.send(Some(batch)).await.is_err() || last {
                    return;
                }
            }
            // Signals that the rows are complete.
            let _ = rows.send(None).await;
        });
        let task = AbortOnDropHandle::new(task);
        let opened = tokio::time::timeout_at(until, opening).await.map_err(|_| too_long())?;
        let schema: SchemaRef = opened.map_err(|_| engine_stopped())??;
        let batches = stream::unfold((reader, Some(task)), move |(mut reader, task)| async move {
            task.as_ref()?;
            match tokio::time::timeout_at(until, reader.recv()).await {
                Ok(Some(Some(Ok(batch)))) => Some((Ok(batch), (reader, task))),
                Ok(Some(Some(Err(error)))) => Some((Err(error), (reader, None))),
                Ok(Some(None)) => None,
                Ok(None) => Some((Err(engine_stopped()), (reader, None))),
                Err(_) => Some((Err(too_long()), (reader, None))),
            }
        });
        Ok(Answer {
            schema,
            batches: batches.boxed(),
        })
    }

    /// The result of `work`, which runs on these threads.
    ///
    /// # Errors
    /// Those of the work, and [`FederationError::Usage`] if it takes too long.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, FederationError>> + Send + 'static,
    ) -> Result<T, FederationError> {
        let task = AbortOnDropHandle::new(self.handle()?.spawn(work));
        let done = tokio::time::timeout(QUERY_TIMEOUT, task)
            .await
            .map_err(|_| too_long())?;
        done.map_err(|_| engine_stopped())?
    }

    fn handle(&self) -> Result<&Handle, FederationError> {
        let started = self
            .0
            .get_or_init(|| start().map(|runtime| BackgroundRuntime(Some(runtime))));
        let runtime = started.as_ref().and_then(|background| background.0.as_ref());
        runtime.map(Runtime::handle).ok_or_else(engine_stopped)
    }
}

fn start() -> Option<Runtime> {
    let started = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(THREADS)
        .thread_stack_size(STACK)
        .thread_name("local-engine")
        .enable_all()
        .build();
    started
        .inspect_err(|error| tracing::error!(%error, "the threads of the local engine cannot be started"))
        .ok()
}

fn engine_stopped() -> FederationError {
    FederationError::machine(
        "the local engine stopped",
        std::io::Error::from(std::io::ErrorKind::BrokenPipe),
    )
}

fn too_long() -> FederationError {
    FederationError::usage_with(
        format!("the query took longer than {} seconds", QUERY_TIMEOUT.as_secs()),
        "narrow the query",
    )
}

/// Runs queries on the node's runtime, from whichever thread they are sent.
#[derive(Debug)]
pub(super) struct OnNodeRuntime {
    source: Arc<dyn QuerySource>,
    runtime: Handle,
}

impl OnNodeRuntime {
    /// Runs the queries of `source` on the current runtime.
    pub(super) fn new(source: Arc<dyn QuerySource>) -> Self {
        Self {
            source,
            runtime: Handle::current(),
        }
    }
}

#[async_trait]
impl QuerySource for OnNodeRuntime {
    async fn query(&self, target: &Target, query: MemberQuery) -> Result<Answer, FederationError> {
        let source = self.source.clone();
        let target = target.clone();
        let task = self.runtime.spawn(async move { source.query(&target, query).await });
        AbortOnDropHandle::new(task).await.map_err(|_| engine_stopped())?
    }
}
