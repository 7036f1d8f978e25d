//! The binary `concordat`: node and command line in one.

use std::process::ExitCode;
use std::time::Duration;

use concordat_documents::problem::Problem;
use concordat_program::Cli;
use concordat_protocol::error_kind::ErrorKind;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};

/// Threads that run the node's tasks; blocking work runs on other threads.
const WORKERS: usize = 2;
/// How long is waited at the end for threads that do blocking work.
const THREADS_TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // Files that this process writes are accessible to their owner only.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    if let Err(error) = protect_memory() {
        tracing::warn!(%error, "the memory of this process could not be protected from core dumps and debuggers");
    }
    if let Some(served) = concordat_engine::serve(std::env::args_os(), concordat_node::FederatedEngine::default()) {
        return served;
    }
    let cli = Cli::from_arguments();
    let out = cli.output();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            out.problem(&problem);
            ExitCode::from(problem.exit_code())
        }
    }
}

/// Keys and query results are in memory: core dumps must not contain them, and no other process of the same account may read
/// them (`ptrace(2)`).
fn protect_memory() -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

fn run(cli: Cli) -> Result<(), Problem> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| Problem::new(ErrorKind::Internal, format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(concordat_program::run(cli));
    // The parts of a node have stopped, or used up their time. What a thread still reads is not waited for; what is durable is whole.
    runtime.shutdown_timeout(THREADS_TIMEOUT);
    ended
}
