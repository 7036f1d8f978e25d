//! Grouped queries over three joined datasets, through a permit at tier `aggregate` and by DataFusion over plain Parquet.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::{array::RecordBatch, util::display::array_value_to_string};
use concordat_engine::{Bounds, Deciding, Disclosure, Requester, Workers};
use concordat_protocol::scope::Protection;
use tokio::runtime::Runtime;

use super::{
    clinic::Clinic,
    memory::{Memory, OneVersion, Seeded},
    plain,
    processes::{children_peak, own_peak},
};

/// How often each query is run in each way, in turns; the median counts. Each round names other codes, because the same query has the
/// answer that was given before.
const ROUNDS: u64 = 7;
/// Codes of diagnoses and of prescriptions that a query names.
const CODES: u64 = 12;

/// A query about the clinic.
pub(crate) struct Query {
    pub(crate) name: &'static str,
    /// The dataset whose rows the engine counts, also if the answer has only numbers of subjects.
    pub(crate) rows_of: &'static str,
    /// The text with `CODES` in the place of the codes.
    sql: &'static str,
}

/// The queries.
pub(crate) const QUERIES: [Query; 2] = [
    Query {
        name: "counted",
        rows_of: "diagnosis",
        sql: "SELECT p.sex, p.region, count(DISTINCT p.person_id) AS n FROM person p \
         JOIN prescription d ON d.person_id = p.person_id JOIN diagnosis c ON c.person_id = p.person_id \
         WHERE p.born >= 1950 AND c.code IN (CODES) AND d.code IN (CODES) GROUP BY p.sex, p.region",
    },
    Query {
        name: "measured",
        rows_of: "prescription",
        sql: "SELECT p.sex, count(*) AS n, avg(d.value) AS mean FROM prescription d JOIN person p ON p.person_id = d.person_id \
         WHERE p.born >= 1950 AND EXISTS (SELECT 1 FROM diagnosis c WHERE c.person_id = d.person_id AND c.code IN (CODES)) \
         GROUP BY p.sex",
    },
];

/// The text of a query in a round.
pub(crate) fn text(query: &Query, round: u64) -> String {
    let codes: Vec<String> = (round * CODES..(round + 1) * CODES)
        .map(|code| code.to_string())
        .collect();
    query.sql.replace("CODES", &codes.join(", "))
}

/// What answers queries through permits.
pub(crate) struct Holder {
    pub(crate) clinic: Clinic,
    protection: Protection,
    workers: Workers,
    disclosure: Disclosure,
    entropy: Seeded,
}

impl Holder {
    /// The holder of the clinic in this directory. Each query runs in a process of this program.
    pub(crate) fn open(dir: &Path) -> Self {
        let clinic = Clinic::open(dir);
        Self {
            workers: Workers::new(PathBuf::from("/proc/self/exe"), Bounds::default()),
            protection: Protection::Exact,
            disclosure: clinic.disclosure(Protection::Exact),
            entropy: Seeded::new(2),
            clinic,
        }
    }

    /// Protects figures in another way from now on.
    pub(crate) fn protect(&mut self, protection: Protection) {
        self.protection = protection;
        self.disclosure = self.clinic.disclosure(protection);
    }

    /// A query as a member's query runs: a decision in the ledger, a permit, cells that are decided and remembered, released batches.
    pub(crate) async fn answered(&mut self, memory: &Memory, sql: &str) -> Vec<RecordBatch> {
        let deciding = Deciding {
            disclosure: &self.disclosure,
            memory,
            entropy: &mut self.entropy,
            requester: Requester {
                person: "eva@zurich".to_owned(),
                grant: None,
            },
            changes: &OneVersion,
            loss: None,
            since: tokio::time::Instant::now(),
            isolated: &|| (),
        };
        let permit = self.clinic.permit(self.protection);
        let text = (&self.clinic.rules, (sql, None));
        let limits = (Bounds::default().time, 0);
        let collection = &self.clinic.version;
        let answering = self
            .workers
            .disclosed(permit, collection, text, deciding, Arc::new(|| Ok(())), limits);
        let mut answer = answering.await.unwrap().answer;
        let mut batches = Vec::new();
        while let Some(batch) = answer.next_batch().await.unwrap() {
            batches.push(batch.records().clone());
        }
        batches
    }
}

/// Runs every query in both ways in turns. Prints the texts, the medians in milliseconds, and the answers of the first round.
pub(crate) fn compared(dir: &Path) {
    let mut holder = Holder::open(dir);
    Runtime::new().unwrap().block_on(async {
        let session = plain::session(dir, &holder.clinic).await;
        let memory = Memory::new(&holder.clinic, "compared");
        let mut figures = Vec::new();
        for query in &QUERIES {
            let texts: Vec<String> = (0..ROUNDS).map(|round| text(query, round)).collect();
            let mut permitted = Vec::new();
            let mut by_datafusion = Vec::new();
            let mut first = None;
            for sql in &texts {
                let began = Instant::now();
                let plain = plain::answered(&session, sql).await;
                by_datafusion.push(began.elapsed());
                let began = Instant::now();
                let released = holder.answered(&memory, sql).await;
                permitted.push(began.elapsed());
                // It was not a repetition.
                memory.decided().await;
                if first.is_none() {
                    first = Some((rows(&released), rows(&plain)));
                }
            }
            let (released, plain) = first.unwrap();
            figures.push(format!(
                r#"{:?}: {{"texts": {texts:?}, "permit": {:.1}, "datafusion": {:.1}, "released": {released}, "plain": {plain}}}"#,
                query.name,
                median(&permitted),
                median(&by_datafusion),
            ));
        }
        println!("{{{}}}", figures.join(", "));
    });
}

/// Runs every query through a permit, and prints the peak memory of this process and of those that it started.
pub(crate) fn memory(dir: &Path) {
    let mut holder = Holder::open(dir);
    Runtime::new().unwrap().block_on(async {
        let memory = Memory::new(&holder.clinic, "memory");
        let mut computes = 0.0_f64;
        for query in &QUERIES {
            for round in 0..ROUNDS {
                holder.answered(&memory, &text(query, round)).await;
                // The process waits for the next query of the same kind.
                computes = computes.max(children_peak());
            }
        }
        println!(r#"{{"decides_mib": {:.1}, "computes_mib": {computes:.1}}}"#, own_peak());
    });
}

/// The median in milliseconds.
pub(crate) fn median(spans: &[Duration]) -> f64 {
    let mut spans = spans.to_vec();
    spans.sort();
    spans[spans.len() / 2].as_secs_f64() * 1000.0
}

/// The rows of an answer as a JSON array of arrays of texts; what is missing is empty.
fn rows(batches: &[RecordBatch]) -> String {
    let rows = batches.iter().flat_map(|batch| {
        (0..batch.num_rows()).map(move |row| {
            let values = batch.columns().iter();
            let values = values.map(|column| array_value_to_string(column, row).unwrap());
            format!("{:?}", values.collect::<Vec<_>>())
        })
    });
    format!("[{}]", rows.collect::<Vec<_>>().join(", "))
}
