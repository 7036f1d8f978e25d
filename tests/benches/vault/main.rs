//! What sealing costs, step by step: the Rust half of the second table of `docs/benchmarks.md`.
//!
//! Each step is a separate process, so that its peak memory can be measured. A step prints one JSON object; `compare.py` runs the
//! steps, runs DuckDB on the same files, and prints the table. Run it with `.ci/bench-storage`.
//!
//! ```text
//! vault generate FILE ROWS     a CSV of 12 columns of mixed types
//! vault import DIR FILE        a data directory with that file as its only dataset
//! vault query DIR              its objects as plain Parquet in DIR/plain, and the same queries over those and sealed ones
//! vault many DIR COUNT         as many small datasets
//! vault open DIR               the time and memory it takes to open them
//! vault rotate DIR             a new key for the segment that holds them
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "this program measures and prints, and a step that fails should stop it at once"
)]

mod cohort;
mod data_dirs;
#[path = "../dice.rs"]
mod dice;
mod queries;

use std::path::Path;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["generate", file, rows] => cohort::write(Path::new(file), rows.parse().unwrap()),
        ["import", dir, file] => data_dirs::import(Path::new(dir), Path::new(file)),
        ["query", dir] => queries::query(Path::new(dir)),
        ["many", dir, count] => data_dirs::many(Path::new(dir), count.parse().unwrap()),
        ["open", dir] => data_dirs::open(Path::new(dir)),
        ["rotate", dir] => data_dirs::rotate(Path::new(dir)),
        _ => println!("unknown step; see `.ci/bench-storage`"),
    }
}

/// The peak memory of this process in MiB, as the kernel reports it.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024.0
}
