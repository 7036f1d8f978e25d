//! The binary `concordat`: node and command line in one.

use std::process::ExitCode;

use clap::Parser;
use concordat_node::{
    cli::{self, Cli},
    fault::{Code, Problem},
};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};

/// Threads that run the node's tasks; work that blocks has threads of its own.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    // Whatever this process writes is for its owner only.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    if let Err(error) = keep_memory_to_ourselves() {
        tracing::warn!(%error, "the memory of this process could not be kept out of core dumps");
    }
    if let Some(served) = concordat_storage::engine::serve(std::env::args_os()) {
        return served;
    }
    let cli = Cli::parse();
    let out = cli.output();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            out.problem(&problem);
            ExitCode::from(problem.code.exit())
        }
    }
}

/// Keys and answers are in memory: no core dump holds them, and no other process of the same account reads them (`ptrace(2)`).
fn keep_memory_to_ourselves() -> nix::Result<()> {
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
        .map_err(|error| Problem::new(Code::Fault, format!("cannot start the runtime: {error}")))?;
    runtime.block_on(cli::run(cli))
}
