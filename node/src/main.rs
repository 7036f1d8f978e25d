//! The binary `concordat`: node and command line in one.

use std::process::ExitCode;

use clap::Parser;
use concordat_node::{
    cli::{self, Cli},
    fault::{Code, Problem},
};
use nix::sys::stat::{Mode, umask};

/// Threads that run the node's tasks; work that blocks has threads of its own.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    // Whatever this process writes is for its owner only.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
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

fn run(cli: Cli) -> Result<(), Problem> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| Problem::new(Code::Fault, format!("cannot start the runtime: {error}")))?;
    runtime.block_on(cli::run(cli))
}
