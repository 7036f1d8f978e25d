//! The child's side: it answers one query after another until the socket is closed.

use std::{
    ffi::OsString,
    io,
    os::{fd::AsFd, unix::net::UnixStream as Socket},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::{Arc, mpsc},
};

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use object_store::{ObjectMeta, ObjectStore};
use tokio::{
    net::{UnixStream, unix::OwnedReadHalf},
    runtime::Runtime,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

use super::{
    ARGUMENT,
    channel::{Channel, LocalEngine},
    frames::{self, Frames, Kind},
    isolation,
    messages::{Failure, Queried, Task, decode, encode, failed, numbered},
    objects::{NodeStore, PendingReads, Writer},
    remote::RemoteCollection,
    send_answer::send_answer,
    statistics::{self, Order},
};
use crate::{
    QueryError, Table, dialect::LARGE_STACK, disclosure::RawAnswer, known_plans::KnownPlans, records, run::compute,
};
use concordat_protocol::error_kind::ErrorKind;

/// Threads that run partitions of a query concurrently.
const THREADS: usize = 2;
/// Stack of the thread that plans, in bytes: planning walks a statement recursively, and so does dropping it.
const PLANNER_STACK: usize = 256 << 20;
/// Stack of each thread that computes, in bytes.
const THREAD_STACK: usize = 64 << 20;
/// The exit code of a process whose limits could not be set; it has answered nothing.
pub(super) const NOT_ISOLATED: u8 = 3;

/// Serves queries of the node on standard input, which is a socket, until the node closes it; `local` computes those of the
/// institution's own people. `None` if the arguments of the program do not request this.
///
/// Nothing is written to standard output or error, because a message could contain a value.
pub fn serve(arguments: impl IntoIterator<Item = OsString>, local: impl LocalEngine) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    arguments.next().filter(|first| first == ARGUMENT)?;
    std::panic::set_hook(Box::new(|_| ()));
    let memory = arguments.next().and_then(|bytes| bytes.to_str()?.parse().ok());
    let served = memory.map(|memory| start(memory, local));
    Some(match served {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) | None => ExitCode::from(NOT_ISOLATED),
    })
}

/// The limits are in place before the first frame is read.
fn start(memory: usize, local: impl LocalEngine) -> io::Result<()> {
    isolation::close_inherited_files()?;
    isolation::restrict_resources()?;
    let stdin = io::stdin();
    let socket = Socket::from(stdin.as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(THREADS)
        .thread_stack_size(THREAD_STACK)
        .enable_all()
        .build()?;
    let (ready, go) = mpsc::channel::<()>();
    let planner = std::thread::Builder::new().name(LARGE_STACK.to_owned());
    planner.stack_size(PLANNER_STACK).spawn(move || {
        if go.recv().is_ok() {
            // A process that has panicked ends, because its node waits for it.
            let served = catch_unwind(AssertUnwindSafe(|| run(&runtime, socket, &local)));
            std::process::exit(i32::from(!matches!(served, Ok(Ok(())))));
        }
    })?;
    isolation::apply_limits(memory)?;
    ready.send(()).map_err(io::Error::other)?;
    // However busy the other threads are, this process ends when the node does.
    let mut hung_up = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    while !hung_up.iter().any(|socket| socket.any().unwrap_or(true)) {
        match poll(&mut hung_up, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What the node requests.
enum Work {
    /// An answer to a query of our own datasets.
    Answer(Bytes),
    /// A computation for the institution's own people, and its messages.
    Compute(Bytes, UnboundedReceiver<Bytes>),
    /// The cells of a query, and which of them are requested.
    Cells(Bytes, UnboundedReceiver<Order>),
    /// What a query computes of released cells.
    Above(Bytes),
    /// The codes of lists.
    Lists(Bytes),
}

fn run(runtime: &Runtime, socket: Socket, local: &dyn LocalEngine) -> Result<(), QueryError> {
    let lost = |_| failed();
    runtime.block_on(async {
        let (reader, writer) = UnixStream::from_std(socket).map_err(lost)?.into_split();
        let writer = Arc::new(tokio::sync::Mutex::new(writer));
        let pending = PendingReads::default();
        let (tasks, mut queue) = tokio::sync::mpsc::channel(1);
        tokio::spawn(receive(Frames::new(reader), pending.clone(), tasks));
        let plans = KnownPlans::default();
        while let Some(work) = queue.recv().await {
            match work {
                Work::Answer(body) => answer(&body, &writer, &pending, &plans).await?,
                Work::Compute(begin, messages) => {
                    let channel = Channel::new(Arc::clone(&writer), messages);
                    local.compute(begin, channel).await;
                }
                Work::Cells(body, mut orders) => statistics::serve(&body, &mut orders, &writer, &pending).await?,
                Work::Above(body) => send_ended(statistics::computed(&body).await, &writer).await?,
                Work::Lists(body) => statistics::serve_lists(&body, &writer, &pending).await?,
            }
        }
        Ok(())
    })
}

/// Receives what the node sends, also while a query is computed.
async fn receive(mut frames: Frames<OwnedReadHalf>, pending: PendingReads, tasks: tokio::sync::mpsc::Sender<Work>) {
    let mut messages = None;
    let mut orders = None;
    while let Ok(Some((kind, body))) = frames.next().await {
        match kind {
            Kind::Task => {
                if tasks.send(Work::Answer(body)).await.is_err() {
                    return;
                }
            }
            Kind::Begin => {
                let (sender, receiver) = unbounded_channel();
                messages = Some(sender);
                if tasks.send(Work::Compute(body, receiver)).await.is_err() {
                    return;
                }
            }
            Kind::Message => {
                let Some(messages) = &messages else { return };
                // The computation may not read any more.
                let _ = messages.send(body);
            }
            Kind::Data | Kind::ReadFailed => {
                let Some((number, rest)) = numbered(body) else { return };
                let found = if kind == Kind::Data {
                    Ok(rest)
                } else {
                    Err(decode(&rest).unwrap_or(ErrorKind::Internal))
                };
                pending.resolve(number, found);
            }
            Kind::Cells => {
                let (sender, receiver) = unbounded_channel();
                orders = Some(sender);
                if tasks.send(Work::Cells(body, receiver)).await.is_err() {
                    return;
                }
            }
            Kind::Compute | Kind::Owners | Kind::CellsDone => {
                let Some(orders) = &orders else { return };
                // The query may have failed.
                let _ = orders.send((kind, body));
            }
            Kind::Above => {
                if tasks.send(Work::Above(body)).await.is_err() {
                    return;
                }
            }
            Kind::Lists => {
                if tasks.send(Work::Lists(body)).await.is_err() {
                    return;
                }
            }
            Kind::ReadRequest | Kind::Columns | Kind::Rows | Kind::Done | Kind::Failed => return,
            Kind::Statistic | Kind::Cell => return,
        }
    }
}

/// A version of a dataset, as described by the node.
#[derive(Debug)]
struct RemoteVersion {
    schema: SchemaRef,
    subject: String,
    objects: Vec<ObjectMeta>,
    store: Arc<NodeStore>,
}

impl Table for RemoteVersion {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn subject_column(&self) -> &str {
        &self.subject
    }

    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store) as Arc<dyn ObjectStore>
    }

    fn objects(&self) -> Vec<ObjectMeta> {
        self.objects.clone()
    }
}

/// Answers one query. An error returned here is an error of the socket and ends the process.
async fn answer(body: &[u8], writer: &Writer, pending: &PendingReads, plans: &KnownPlans) -> Result<(), QueryError> {
    send_ended(computed(body, writer, pending, plans).await, writer).await
}

/// Sends an answer, and how it has ended.
async fn send_ended(answer: Result<RawAnswer, QueryError>, writer: &Writer) -> Result<(), QueryError> {
    let ended = match answer {
        Ok(raw) => send_answer(raw, writer).await,
        Err(error) => Err(error),
    };
    let lost = |_| failed();
    let mut to = writer.lock().await;
    match ended {
        Ok(()) => frames::send(&mut *to, Kind::Done, &[], &[]).await.map_err(lost),
        Err(error) => {
            let failure = encode(&Failure::from(&error))?;
            frames::send(&mut *to, Kind::Failed, &failure, &[]).await.map_err(lost)
        }
    }
}

async fn computed(
    body: &[u8],
    writer: &Writer,
    pending: &PendingReads,
    plans: &KnownPlans,
) -> Result<RawAnswer, QueryError> {
    let task: Task = decode(body)?;
    let ((queried, objects), keys) = task.queried().zip(task.objects()).zip(task.keys()).ok_or(failed())?;
    let store = NodeStore::open(objects, Arc::clone(writer), pending.clone()).await;
    let store = Arc::new(store.map_err(|_| failed())?);
    let statement = (task.sql.as_str(), task.version);
    match queried {
        Queried::Dataset {
            schema,
            subject,
            objects,
        } => {
            let source = RemoteVersion {
                schema,
                subject,
                objects,
                store,
            };
            compute(&source, task.scope.clone(), &keys, statement, task.bounds(), plans).await
        }
        Queried::Collection {
            name,
            version,
            subjects,
            datasets,
        } => {
            let source = RemoteCollection {
                name,
                version,
                subjects,
                datasets,
                store,
            };
            records::compute(&source, &task.scope, &keys, statement, task.bounds(), plans).await
        }
    }
}
