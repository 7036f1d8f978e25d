//! How long the check of a query takes if much was released before ([`super::filled`]), and if nothing was.
//!
//! The memory is that of an owner, with its logs. In a node it stays restored while the owner is answered, so it is restored here before a
//! query is measured, by a query of the same rows. How long that takes is a figure of its own.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use concordat_storage::catalog::Collection as _;
use tokio::runtime::Runtime;

use super::{
    filled::{ROUNDS, owner, protections},
    memory::Memory,
    processes::{children_peak, own_peak},
    queries::{Holder, QUERIES, Query, median, text},
};

/// What was measured of each query, once for each round.
#[derive(Default)]
struct Rounds {
    restored: Vec<Duration>,
    queries: [Spans; QUERIES.len()],
}

/// How long a query and the parts of its decision took.
#[derive(Default)]
struct Spans {
    query: Vec<Duration>,
    check: Vec<Duration>,
    store: Vec<Duration>,
    commit: Vec<Duration>,
}

/// Prints, for each protection that compares figures, the medians in milliseconds of the queries and of the parts of their decisions, with
/// earlier answers and without; and the peak memory of this process and of those that it started.
pub(crate) fn check(dir: &Path) {
    let mut holder = Holder::open(dir);
    Runtime::new().unwrap().block_on(async {
        let subjects = holder.clinic.version.subjects();
        let mut figures = vec![format!(r#""subjects": {subjects}"#)];
        let mut computes = 0.0_f64;
        for protection in protections() {
            holder.protect(protection);
            let (mut earlier, mut none) = (Rounds::default(), Rounds::default());
            for round in 0..ROUNDS {
                let owner = owner(&protection, round);
                let memory = Memory::restored(&holder.clinic, &owner);
                earlier.add(&mut holder, &memory, round).await;
                drop(memory);
                computes = computes.max(children_peak());
                let memory = Memory::new(&holder.clinic, &format!("{owner}-first"));
                none.add(&mut holder, &memory, round).await;
            }
            let (name, earlier, none) = (protection.name(), earlier.to_json(), none.to_json());
            figures.push(format!(r#""{name}": {{"earlier": {earlier}, "none": {none}}}"#));
        }
        figures.push(format!(
            r#""decides_mib": {:.1}, "computes_mib": {computes:.1}"#,
            own_peak()
        ));
        println!("{{{}}}", figures.join(", "));
    });
}

impl Rounds {
    /// Measures each query once.
    async fn add(&mut self, holder: &mut Holder, memory: &Memory, round: u64) {
        for (query, spans) in QUERIES.iter().zip(&mut self.queries) {
            spans.add(query, holder, memory, round).await;
        }
        self.restored.push(memory.restoring().await);
    }

    fn to_json(&self) -> String {
        let queries = QUERIES.iter().zip(&self.queries);
        let queries = queries.map(|(query, spans)| format!("{:?}: {}", query.name, spans.to_json()));
        let queries: Vec<String> = queries.collect();
        let restored = median(&self.restored);
        format!(r#"{{"restore": {restored:.1}, {}}}"#, queries.join(", "))
    }
}

impl Spans {
    async fn add(&mut self, query: &Query, holder: &mut Holder, memory: &Memory, round: u64) {
        holder
            .answered(memory, &format!("SELECT count(*) AS n FROM {}", query.rows_of))
            .await;
        memory.decided().await;
        let counted = memory.counted().await;
        let began = Instant::now();
        holder.answered(memory, &text(query, round)).await;
        self.query.push(began.elapsed());
        assert_eq!(
            memory.counted().await,
            counted,
            "{} counts the rows of another dataset",
            query.name
        );
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
