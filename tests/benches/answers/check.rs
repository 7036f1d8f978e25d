//! How long the check of a query takes if much was released before ([`super::filled`]), and if hardly anything was.
//!
//! The memory is that of an owner, with its logs. In a node it stays restored while the owner is answered, so it is restored here before
//! queries are measured, by queries of the same rows. How long that takes is a figure of its own. What a query releases is in the memory
//! when the next one is measured.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use concordat_storage::catalog::Collection as _;
use tokio::runtime::Runtime;

use super::{
    filled::{owner, protections},
    memory::Memory,
    processes::{children_peak, own_peak},
    queries::{Holder, QUERIES, median, text},
};

/// How often each query is measured, each time with other codes.
const ROUNDS: u64 = 3;

/// What was measured of an owner.
struct Measured {
    restored: Duration,
    /// Of each query.
    queries: [Spans; QUERIES.len()],
}

/// How long a query and the parts of its decision took, once for each round.
#[derive(Default)]
struct Spans {
    query: Vec<Duration>,
    check: Vec<Duration>,
    store: Vec<Duration>,
    commit: Vec<Duration>,
}

/// Prints, for each protection that compares figures, the medians in milliseconds of the queries and of the parts of their decisions, after
/// the earlier answers and without them; and the peak memory of this process and of those that it started.
pub(crate) fn check(dir: &Path) {
    let mut holder = Holder::open(dir);
    Runtime::new().unwrap().block_on(async {
        let subjects = holder.clinic.version.subjects();
        let mut figures = vec![format!(r#""subjects": {subjects}"#)];
        let mut computes = 0.0_f64;
        for protection in protections() {
            let name = protection.name();
            holder.protect(protection);
            let memory = Memory::restored(&holder.clinic, &owner(protection));
            let earlier = Measured::of(&mut holder, &memory).await.to_json();
            drop(memory);
            computes = computes.max(children_peak());
            let memory = Memory::new(&holder.clinic, &format!("first-{name}"));
            let none = Measured::of(&mut holder, &memory).await.to_json();
            figures.push(format!(r#""{name}": {{"earlier": {earlier}, "none": {none}}}"#));
        }
        let decides = own_peak();
        figures.push(format!(r#""decides_mib": {decides:.1}, "computes_mib": {computes:.1}"#));
        println!("{{{}}}", figures.join(", "));
    });
}

impl Measured {
    /// Restores the memory, and measures each query.
    async fn of(holder: &mut Holder, memory: &Memory) -> Self {
        for query in &QUERIES {
            let all_rows = format!("SELECT count(*) AS n FROM {}", query.rows_of);
            holder.answered(memory, &all_rows).await;
            memory.decided().await;
        }
        let restored = memory.restoring().await;
        let counted = memory.counted().await;
        let mut queries = <[Spans; QUERIES.len()]>::default();
        for round in 0..ROUNDS {
            for (query, spans) in QUERIES.iter().zip(&mut queries) {
                spans.add(holder, memory, &text(query, round)).await;
            }
        }
        let after = memory.counted().await;
        assert_eq!(
            after, counted,
            "a query counts the rows of another dataset, whose memory was not restored"
        );
        Self { restored, queries }
    }

    fn to_json(&self) -> String {
        let queries = QUERIES.iter().zip(&self.queries);
        let queries = queries.map(|(query, spans)| format!("{:?}: {}", query.name, spans.to_json()));
        let queries: Vec<String> = queries.collect();
        let restored = self.restored.as_secs_f64() * 1000.0;
        format!(r#"{{"restore": {restored:.1}, {}}}"#, queries.join(", "))
    }
}

impl Spans {
    async fn add(&mut self, holder: &mut Holder, memory: &Memory, sql: &str) {
        let began = Instant::now();
        holder.answered(memory, sql).await;
        self.query.push(began.elapsed());
        let decided = memory.decided().await;
        self.check.push(decided.check);
        self.store.push(decided.store);
        self.commit.push(decided.commit);
    }

    fn to_json(&self) -> String {
        format!(
            r#"{{"query": {:.1}, "check": {:.1}, "store": {:.1}, "commit": {:.1}}}"#,
            median(&self.query),
            median(&self.check),
            median(&self.store),
            median(&self.commit),
        )
    }
}
