//! What answers below tier `records` cost, step by step: the Rust half of the table of `docs/benchmarks.md`.
//!
//! Each step is a separate process, so that its peak memory can be measured. A step prints one JSON object; `compare.py` runs the steps,
//! runs DuckDB on the same data, starts whole nodes for what only they have, and prints the table. Run it with `.ci/bench-answers`.
//!
//! ```text
//! answers clinic DIR SUBJECTS          three files, with ten rows for each subject
//! answers model DIR ROWS               the forty files of a data model, with about as many events
//! answers import DIR FILES             a data directory DIR/node with the files of a clinic as one collection
//! answers query DIR                    its objects as plain Parquet in DIR/plain; queries through a permit, and by DataFusion over those
//! answers memory DIR                   the peak memory of the process that decides and of the one that computes, in these queries
//! answers fill DIR SETS ANSWERS        logs in which so many sets and answers were released before
//! answers check DIR                    how long the check of a query takes with these logs, and the peak memory of both processes
//! ```
//!
//! The program is also the one that each query runs in ([`concordat_engine::serve`]).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "this program measures and prints, and a step that fails should stop it at once"
)]

mod check;
mod clinic;
mod data;
#[path = "../dice.rs"]
mod dice;
mod filled;
mod logs;
mod memory;
mod plain;
mod processes;
mod queries;

use std::{path::Path, process::ExitCode};

use bytes::Bytes;
use concordat_engine::{Channel, LocalEngine, serve};
use futures::future::{LocalBoxFuture, ready};

/// No one queries the data of others here.
struct NoLocalEngine;

impl LocalEngine for NoLocalEngine {
    fn compute(&self, _: Bytes, _: Channel) -> LocalBoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

fn main() -> ExitCode {
    if let Some(code) = serve(std::env::args_os(), NoLocalEngine) {
        return code;
    }
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["clinic", dir, subjects] => data::write_clinic(Path::new(dir), subjects.parse().unwrap()),
        ["model", dir, rows] => data::write_model(Path::new(dir), rows.parse().unwrap()),
        ["import", dir, files] => clinic::import(Path::new(dir), Path::new(files)),
        ["query", dir] => queries::compared(Path::new(dir)),
        ["memory", dir] => queries::memory(Path::new(dir)),
        ["fill", dir, sets, answers] => {
            filled::fill(Path::new(dir), sets.parse().unwrap(), answers.parse().unwrap());
        }
        ["check", dir] => check::check(Path::new(dir)),
        _ => println!("unknown step; see `.ci/bench-answers`"),
    }
    ExitCode::SUCCESS
}
