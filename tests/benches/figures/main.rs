//! The figures of `docs/benchmarks.md`, measured in one run and printed as one table.
//!
//! Absolute numbers depend on the machine; ratios are portable. So the rows of a query are compared with plain bytes over the same
//! kind of link in the same run ([`link`]), with provider and consumer as whole nodes in this process ([`pair`]). Memory is
//! that of real daemons ([`daemons`]).
//!
//! Run it with `.ci/bench`, which builds everything optimized first; `.ci/bench small` measures small queries only,
//! `.ci/bench spans` shows where their time goes, and `.ci/bench rows` measures large answers only.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "this program prints a table, and a step that fails should stop it at once"
)]

mod cohort;
mod daemons;
mod link;
mod pair;
mod span_tree;

use std::path::{Path, PathBuf};
use std::time::Duration;

use concordat_tests::program;
use pair::Pair;
use tokio::time::Instant;

/// Rows of the large table.
const ROWS: usize = 2_000_000;
/// Subjects of the small table.
const FEW: usize = 400;
/// Small queries whose latency is measured, after a warm-up of a tenth as many.
const SMALL: usize = 300;
const SMALL_QUERY: &str = "SELECT sex, count(*), avg(chol) FROM cleveland.small GROUP BY sex";
/// Clients that send small queries at the same time.
const CLIENTS: usize = 32;
/// How often throughput is measured; the best run counts, because every disturbance makes it worse.
const TRIES: usize = 3;
/// Grants that are revoked while rows stream.
const REVOCATIONS: usize = 5;
const MIB: f64 = 1024.0 * 1024.0;

/// One line of the table.
struct Figure {
    what: &'static str,
    value: String,
    ratio: String,
    aim: &'static str,
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join("small.csv");
    cohort::write(&small, FEW);
    let program = binary();
    program::choose(&program);
    let mode = std::env::args().nth(1);
    if mode.as_deref() == Some("spans") {
        return spans(&small);
    }
    if mode.as_deref() == Some("small") {
        return print(&small_alone(&small));
    }
    let large = dir.path().join("large.csv");
    cohort::write(&large, ROWS);
    if mode.as_deref() == Some("rows") {
        return print(&rows_alone(&large));
    }
    let mut figures = in_process(&large, &small);
    figures.extend(in_daemons(&large));
    figures.push(Figure {
        what: "size of the binary",
        value: format!("{:.0} MiB", std::fs::metadata(&program).unwrap().len() as f64 / MIB),
        ratio: String::new(),
        aim: "",
    });
    print(&figures);
}

/// The binary next to this program.
fn binary() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).unwrap();
    let program = folder.join("concordat");
    assert!(program.exists(), "`{}` is missing; run `.ci/bench`", program.display());
    program
}

/// Where the time of small queries goes, one after the other.
fn spans(small: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let pair = Pair::start(&[("small", small)]).await;
        for _ in 0..SMALL / 10 {
            pair.read(SMALL_QUERY).await;
        }
        let work = async {
            for _ in 0..SMALL {
                pair.read(SMALL_QUERY).await;
            }
        };
        span_tree::print(u32::try_from(SMALL).unwrap(), work).await;
    });
}

fn small_alone(small: &Path) -> Vec<Figure> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { small_queries(&Pair::start(&[("small", small)]).await).await })
}

fn rows_alone(large: &Path) -> Vec<Figure> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let raw = best(async || link::throughput().await).await;
        large_answers(&Pair::start(&[("large", large)]).await, raw).await
    })
}

async fn large_answers(pair: &Pair, raw: f64) -> Vec<Figure> {
    let (busy_before, all_before) = processor_time();
    let full = best(async || throughput(pair, "SELECT * FROM cleveland.large").await).await;
    let clear = best(async || throughput(pair, "SELECT sex, chol, bp, day FROM cleveland.large").await).await;
    let (busy, all) = processor_time();
    let busy = (busy - busy_before) as f64 / (all - all_before) as f64;
    vec![
        rate("plain bytes over one libp2p stream, TCP", raw, raw, ""),
        rate("`records` query, all columns, transformed", full, raw, "0.4"),
        rate("`records` query, columns in clear", clear, raw, "0.4"),
        Figure {
            what: "processors of the machine during these queries, busy",
            value: format!("{:.0} %", busy * 100.0),
            ratio: String::new(),
            aim: "",
        },
    ]
}

/// For how long the processors of the machine have been busy, and the time of all of them, in ticks since its start.
fn processor_time() -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let line = stat.lines().next().expect("the kernel reports all processors first");
    // user, nice, system, idle, iowait, irq, softirq, steal
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .map(|ticks| ticks.parse().unwrap())
        .collect();
    let all: u64 = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    (all - idle, all)
}

async fn small_queries(pair: &Pair) -> Vec<Figure> {
    let (p50, p99) = latency(pair).await;
    let load = load(pair).await;
    vec![
        span("small query, both ledgers durable, p50", p50, p50, "≤ 4 ms"),
        span("small query, both ledgers durable, p99", p99, p50, "≤ 15 ms"),
        Figure {
            what: "small queries, both ledgers durable, at 32 clients",
            value: format!("{:.0}/s", load.per_second),
            ratio: format!("{:.2}", load.per_second * p50.as_secs_f64()),
            aim: "≥ 500/s",
        },
        span("the same, p50", load.p50, p50, ""),
        span("the same, p99", load.p99, p50, ""),
        Figure {
            what: "the same, refused",
            value: match load.refused.first() {
                Some(first) => format!("{}: {first}", load.refused.len()),
                None => "0".to_owned(),
            },
            ratio: String::new(),
            aim: "0",
        },
    ]
}

fn in_process(large: &Path, small: &Path) -> Vec<Figure> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let raw = best(async || link::throughput().await).await;
        let pair = Pair::start(&[("large", large), ("small", small)]).await;
        let mut figures = large_answers(&pair, raw).await;
        let small = small_queries(&pair).await;
        let (returned, last) = revocation(&pair).await;
        figures.extend(small);
        figures.extend([
            span("`grant revoke` until it returns, slowest", returned, returned, ""),
            span("`grant revoke` until the last byte, slowest", last, returned, "≤ 1.0"),
        ]);
        figures
    })
}

fn in_daemons(large: &Path) -> Vec<Figure> {
    let memory = daemons::memory(large);
    let (started, resident) = daemons::start();
    let mib = |kib: u64| format!("{:.0} MiB", kib as f64 / 1024.0);
    let against = |kib: u64| format!("{:.2}", kib as f64 / memory.idle as f64);
    vec![
        Figure {
            what: "memory of an idle node",
            value: mib(memory.idle),
            ratio: against(memory.idle),
            aim: "60 MB",
        },
        Figure {
            what: "provider during the largest stream, peak",
            value: mib(memory.provider),
            ratio: against(memory.provider),
            aim: "",
        },
        Figure {
            what: "consumer during the largest stream, peak",
            value: mib(memory.consumer),
            ratio: against(memory.consumer),
            aim: "",
        },
        Figure {
            what: "start of a daemon with 10,000 datasets, until it answers",
            value: format!("{:.2} s", started.as_secs_f64()),
            ratio: String::new(),
            aim: "≤ 1 s",
        },
        Figure {
            what: "memory of that daemon",
            value: mib(resident),
            ratio: against(resident),
            aim: "≤ 80 MB",
        },
    ]
}

/// Answer bytes per second.
async fn throughput(pair: &Pair, sql: &str) -> f64 {
    let began = Instant::now();
    let (rows, bytes) = pair.read(sql).await;
    assert_eq!(rows, ROWS, "every row must arrive");
    bytes as f64 / began.elapsed().as_secs_f64()
}

async fn best(measure: impl AsyncFn() -> f64) -> f64 {
    let mut best: f64 = 0.0;
    for _ in 0..TRIES {
        best = best.max(measure().await);
    }
    best
}

/// The latency of small queries: p50 and p99.
async fn latency(pair: &Pair) -> (Duration, Duration) {
    let mut spans = Vec::new();
    for number in 0..SMALL + SMALL / 10 {
        let began = Instant::now();
        pair.read(SMALL_QUERY).await;
        if number >= SMALL / 10 {
            spans.push(began.elapsed());
        }
    }
    spans.sort();
    let at = |percent: usize| spans.get(spans.len() * percent / 100).copied().unwrap();
    (at(50), at(99))
}

/// Small queries of many clients at the same time.
struct Load {
    per_second: f64,
    p50: Duration,
    p99: Duration,
    /// Why, for each that was refused.
    refused: Vec<String>,
}

async fn load(pair: &Pair) -> Load {
    let began = Instant::now();
    let client = async |_| {
        let mut spans = Vec::new();
        for _ in 0..SMALL / 3 {
            let began = Instant::now();
            let answered = pair.answered(SMALL_QUERY).await;
            spans.push(answered.map(|()| began.elapsed()).map_err(|error| error.to_string()));
        }
        spans
    };
    let ended = futures::future::join_all((0..CLIENTS).map(client)).await;
    let elapsed = began.elapsed();
    let (spans, refused): (Vec<_>, Vec<_>) = ended.into_iter().flatten().partition(Result::is_ok);
    let mut spans: Vec<Duration> = spans.into_iter().flatten().collect();
    spans.sort();
    Load {
        per_second: spans.len() as f64 / elapsed.as_secs_f64(),
        p50: spans.get(spans.len() / 2).copied().unwrap_or_default(),
        p99: spans.get(spans.len() * 99 / 100).copied().unwrap_or_default(),
        refused: refused.into_iter().filter_map(Result::err).collect(),
    }
}

/// From the call of `revoke` until it returns, and until the consumer has its last rows; the slowest of each.
async fn revocation(pair: &Pair) -> (Duration, Duration) {
    let mut slowest = (Duration::ZERO, Duration::ZERO);
    for _ in 0..REVOCATIONS {
        let (returned, last) = pair.revoke_midway("SELECT * FROM cleveland.large").await;
        slowest = (slowest.0.max(returned), slowest.1.max(last));
    }
    slowest
}

fn rate(what: &'static str, rate: f64, against: f64, aim: &'static str) -> Figure {
    Figure {
        what,
        value: format!("{:.0} MiB/s", rate / MIB),
        ratio: format!("{:.2}", rate / against),
        aim,
    }
}

fn span(what: &'static str, span: Duration, against: Duration, aim: &'static str) -> Figure {
    let millis = span.as_secs_f64() * 1000.0;
    let ratio = span.as_secs_f64() / against.as_secs_f64();
    Figure {
        what,
        value: format!("{millis:.1} ms"),
        ratio: format!("{ratio:.2}"),
        aim,
    }
}

fn print(figures: &[Figure]) {
    println!("| what | measured | ratio | aim |\n| --- | ---: | ---: | ---: |");
    for Figure {
        what,
        value,
        ratio,
        aim,
    } in figures
    {
        println!("| {what} | {value} | {ratio} | {aim} |");
    }
}
