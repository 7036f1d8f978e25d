//! Threads for the engine at home, apart from those of the network.
//!
//! Planning walks a question recursively, and a batch that is computed cannot be interrupted. So both happen on threads with large
//! stacks that stand back behind the others; whatever a question of our own people does there, peers are answered. What is asked of
//! others goes on where it was: on the threads of the node.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use futures::{StreamExt, stream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::fault::QueryFault;
use super::source::{Ask, Part, Target};

/// Threads that compute.
const THREADS: usize = 2;
/// Stack of each, in bytes; memory of it that is not used is not taken.
const STACK: usize = 256 << 20;
/// Longest that a question may take at home.
const LONGEST: Duration = Duration::from_secs(600);

/// The threads of the engine at home; there are none before the first question that needs them.
#[derive(Debug, Default)]
pub(super) struct Threads(OnceLock<Option<Background>>);

/// A runtime that may be dropped anywhere: it does not wait for what still computes.
#[derive(Debug)]
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Threads {
    /// Does `work` and computes its rows on these threads, for as long as somebody reads them.
    ///
    /// # Errors
    /// Those of the work, and [`QueryFault::Usage`] when it takes too long.
    pub(super) async fn part(
        &self,
        work: impl Future<Output = Result<Part, QueryFault>> + Send + 'static,
    ) -> Result<Part, QueryFault> {
        let until = tokio::time::sleep(LONGEST).deadline();
        let (opened, opening) = oneshot::channel();
        let (rows, reader) = mpsc::channel(1);
        let task = self.handle()?.spawn(async move {
            let mut part = match work.await {
                Ok(part) => part,
                // Whoever asked may have gone, here and below.
                Err(fault) => return drop(opened.send(Err(fault))),
            };
            let _ = opened.send(Ok(part.schema.clone()));
            while let Some(batch) = part.batches.next().await {
                let last = batch.is_err();
                if rows.send(Some(batch)).await.is_err() || last {
                    return;
                }
            }
            // Without this the rows were not all.
            let _ = rows.send(None).await;
        });
        let task = AbortOnDropHandle::new(task);
        let opened = tokio::time::timeout_at(until, opening).await.map_err(|_| too_long())?;
        let schema: SchemaRef = opened.map_err(|_| broke_off())??;
        let batches = stream::unfold((reader, Some(task)), move |(mut reader, task)| async move {
            task.as_ref()?;
            match tokio::time::timeout_at(until, reader.recv()).await {
                Ok(Some(Some(Ok(batch)))) => Some((Ok(batch), (reader, task))),
                Ok(Some(Some(Err(fault)))) => Some((Err(fault), (reader, None))),
                Ok(Some(None)) => None,
                Ok(None) => Some((Err(broke_off()), (reader, None))),
                Err(_) => Some((Err(too_long()), (reader, None))),
            }
        });
        Ok(Part {
            schema,
            batches: batches.boxed(),
        })
    }

    fn handle(&self) -> Result<&Handle, QueryFault> {
        let started = self.0.get_or_init(|| start().map(|runtime| Background(Some(runtime))));
        let runtime = started.as_ref().and_then(|background| background.0.as_ref());
        runtime.map(Runtime::handle).ok_or_else(broke_off)
    }
}

fn start() -> Option<Runtime> {
    let started = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(THREADS)
        .thread_stack_size(STACK)
        .thread_name("home-engine")
        .enable_all()
        .build();
    started
        .inspect_err(|error| tracing::error!(%error, "the engine at home has no threads"))
        .ok()
}

fn broke_off() -> QueryFault {
    QueryFault::machine(
        "the engine at home broke off",
        std::io::Error::from(std::io::ErrorKind::BrokenPipe),
    )
}

fn too_long() -> QueryFault {
    QueryFault::usage_with(
        format!("the question took longer than {} seconds", LONGEST.as_secs()),
        "narrow it",
    )
}

/// Asks on the threads of the node, from wherever it is asked.
#[derive(Debug)]
pub(super) struct FromThere {
    asker: Arc<dyn Ask>,
    there: Handle,
}

impl FromThere {
    /// `asker`, on the threads that this is called on.
    pub(super) fn of(asker: Arc<dyn Ask>) -> Self {
        Self {
            asker,
            there: Handle::current(),
        }
    }
}

#[async_trait]
impl Ask for FromThere {
    async fn ask(&self, target: &Target, sql: String) -> Result<Part, QueryFault> {
        let (asker, target) = (self.asker.clone(), target.clone());
        let asked = self.there.spawn(async move { asker.ask(&target, sql).await });
        AbortOnDropHandle::new(asked).await.map_err(|_| broke_off())?
    }

    async fn shape(&self, target: &Target) -> Result<SchemaRef, QueryFault> {
        let (asker, target) = (self.asker.clone(), target.clone());
        let asked = self.there.spawn(async move { asker.shape(&target).await });
        AbortOnDropHandle::new(asked).await.map_err(|_| broke_off())?
    }

    fn forget(&self, target: &Target) {
        self.asker.forget(target);
    }
}
