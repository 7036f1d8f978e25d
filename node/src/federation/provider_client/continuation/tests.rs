mod changed;
mod waiting;

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use concordat_protocol::ids::{GrantId, InstitutionId};
use concordat_protocol::scope::{Columns, Purpose, Transform};
use concordat_protocol::wire::messages::Refusal;
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use datafusion::arrow::compute::concat_batches;
use futures::TryStreamExt as _;

use super::*;
use crate::federation::testing::{batch, lines};

/// How a prepared answer ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Complete,
    /// The connection is lost.
    Lost,
    /// The provider cuts it, and states that so many rows came before.
    Cut(u64),
    Misbehaved,
    /// It ends because this node stops.
    Stopped,
}

/// What a provider does with one query.
#[derive(Debug)]
enum Step {
    Rows(RecordBatch, usize, End),
    Refuse(RefusalCode),
    ColumnsChanged,
    /// It does not answer.
    Silence,
    /// It accepts the query and never answers.
    Hang,
}

/// A provider that takes the next step at each query, and is not there after the last.
#[derive(Debug)]
struct Provider {
    steps: Mutex<VecDeque<Step>>,
    /// The thread on which each query was sent.
    threads: Mutex<Vec<Option<String>>>,
}

impl Provider {
    fn new(steps: impl IntoIterator<Item = Step>) -> Arc<Self> {
        Arc::new(Self {
            steps: Mutex::new(steps.into_iter().collect()),
            threads: Mutex::default(),
        })
    }

    fn queries(&self) -> usize {
        self.threads.lock().unwrap().len()
    }
}

fn provider() -> InstitutionId {
    "aachen".parse().unwrap()
}

fn unreachable(source: NetworkError) -> FederationError {
    FederationError::Unreachable {
        provider: provider(),
        source,
    }
}

fn refusal(code: RefusalCode) -> Refusal {
    Refusal::because(code, "a test")
}

#[async_trait]
impl QuerySource for Provider {
    async fn query(&self, _: &Target, query: MemberQuery) -> Result<Answer, FederationError> {
        assert_eq!(query.sql, "SELECT * FROM heart", "it is the same query");
        let thread = std::thread::current().name().map(str::to_owned);
        self.threads.lock().unwrap().push(thread);
        let step = self.steps.lock().unwrap().pop_front().unwrap_or(Step::Silence);
        match step {
            Step::Rows(rows, size, end) => Ok(answer(&rows, size, end)),
            Step::Refuse(code) => Err(FederationError::Refused {
                provider: provider(),
                refusal: refusal(code),
            }),
            Step::ColumnsChanged => Err(FederationError::ColumnsChanged {
                dataset: target(Tier::Records).dataset,
            }),
            Step::Silence => Err(unreachable(NetworkError::Closed)),
            Step::Hang => std::future::pending().await,
        }
    }
}

/// An answer in batches of `size` rows.
fn answer(rows: &RecordBatch, size: usize, end: End) -> Answer {
    let parts = (0..rows.num_rows()).step_by(size);
    let parts: Vec<_> = parts
        .map(|start| Ok(rows.slice(start, size.min(rows.num_rows() - start))))
        .collect();
    let last = match end {
        End::Complete => None,
        End::Lost => Some(unreachable(NetworkError::Closed)),
        End::Cut(rows) => Some(FederationError::Cut {
            provider: provider(),
            rows,
            refusal: refusal(RefusalCode::Denied),
        }),
        End::Misbehaved => Some(FederationError::unreadable(&provider())),
        End::Stopped => Some(unreachable(NetworkError::Stopped)),
    };
    Answer {
        schema: rows.schema(),
        batches: stream::iter(parts).chain(stream::iter(last.map(Err))).boxed(),
    }
}

fn target(tier: Tier) -> Target {
    Target {
        dataset: "aachen.heart".parse().unwrap(),
        version: None,
        access: Access::Grant(GrantId::from_bytes([1; 16])),
        tier,
        purpose: Purpose::HealthResearch,
        columns: Columns::new([("id".parse().unwrap(), Transform::Clear)]).unwrap(),
        rules: None,
    }
}

/// The times in which a provider of these tests comes back.
const SOON: ReconnectTimes = ReconnectTimes {
    first_interval: Duration::from_millis(1),
    max_interval: Duration::from_millis(4),
    reconnect: Duration::from_millis(300),
    continuation: Duration::from_secs(60),
};

/// A continuation for `provider`, with its report and what stops it.
fn continuation(provider: &Arc<Provider>) -> (Continuation, QueryReport, CancellationToken) {
    let (report, stopping) = (QueryReport::default(), CancellationToken::new());
    let source = Arc::clone(provider) as Arc<dyn QuerySource>;
    let continuation = Continuation {
        times: SOON,
        ..Continuation::new(source, report.clone(), stopping.clone())
    };
    (continuation, report, stopping)
}

/// The answer of `provider` to the query, as its reader gets it.
async fn opened(provider: &Arc<Provider>, target: &Target, continuation: Continuation) -> Answer {
    let query = MemberQuery {
        sql: "SELECT * FROM heart".to_owned(),
        schema: table().schema(),
        grouped: false,
        figures: None,
    };
    let first = provider.query(target, query.clone()).await.unwrap();
    continuation.follow(first, target, query)
}

/// What a reader got: its rows, how they ended, and the remarks.
struct Read {
    rows: Vec<String>,
    end: Result<(), FederationError>,
    remarks: Vec<String>,
    queries: usize,
}

async fn read_from(target: &Target, steps: impl IntoIterator<Item = Step>) -> Read {
    let provider = Provider::new(steps);
    let (continuation, report, _) = continuation(&provider);
    let mut answer = opened(&provider, target, continuation).await;
    let mut batches = Vec::new();
    let end = loop {
        match answer.batches.try_next().await {
            Ok(Some(batch)) => batches.push(batch),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let rows = concat_batches(&answer.schema, &batches).unwrap();
    Read {
        rows: lines(&rows),
        end,
        remarks: report.summary().notes,
        queries: provider.queries(),
    }
}

async fn read(steps: impl IntoIterator<Item = Step>) -> Read {
    read_from(&target(Tier::Records), steps).await
}

/// Rows whose values look alike once they are joined, with missing values, empty texts and every kind of zero.
fn table() -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from(vec![
        Some(1),
        None,
        Some(0),
        Some(1),
        Some(11),
        Some(-1),
        Some(i64::MIN),
    ]));
    let value: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(f64::NAN),
        Some(-0.0),
        Some(0.0),
        None,
        Some(1.5),
        Some(f64::INFINITY),
        Some(f64::MIN_POSITIVE),
    ]));
    let name = [
        Some("ab"),
        Some("a"),
        Some(""),
        None,
        Some("a,b"),
        Some("a|"),
        Some("\0"),
    ];
    let note = [
        Some("c"),
        Some("bc"),
        None,
        Some(""),
        Some("\"c"),
        Some("b|c"),
        Some("x"),
    ];
    batch(vec![
        ("id", id),
        ("value", value),
        ("name", text_column(name)),
        ("note", text_column(note)),
    ])
}

fn text_column(values: [Option<&str>; 7]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn first(rows: usize) -> RecordBatch {
    table().slice(0, rows)
}

fn whole(size: usize) -> Step {
    Step::Rows(table(), size, End::Complete)
}

fn lost_after(rows: usize, size: usize) -> Step {
    Step::Rows(first(rows), size, End::Lost)
}

#[track_caller]
fn assert_interrupted(read: &Read, rows: u64, reason: NotContinued) {
    let Err(FederationError::Interrupted {
        rows: arrived,
        reason: found,
        ..
    }) = &read.end
    else {
        panic!("{:?}", read.end)
    };
    assert_eq!((*arrived, *found), (rows, reason));
    assert_eq!(read.rows.len() as u64, rows, "no other row was passed on");
    assert!(read.remarks.is_empty(), "{:?}", read.remarks);
}

#[tokio::test]
async fn continuation_at_any_row_delivers_each_row_once() {
    let all = lines(&table());
    for lost in 1..=table().num_rows() {
        for (before, after) in [(1, 1), (1, 1000), (1000, 1), (2, 3), (3, 2), (7, 7)] {
            let read = read([lost_after(lost, before), whole(after)]).await;
            assert!(read.end.is_ok(), "{:?}", read.end);
            assert_eq!(
                read.rows, all,
                "lost after {lost} rows, batches of {before} and {after}"
            );
            assert_eq!(read.queries, 2);
            let [remark] = read.remarks.as_slice() else {
                panic!("{:?}", read.remarks)
            };
            assert!(
                remark.contains(&format!("lost after {lost} rows of `aachen.heart`")),
                "{remark}"
            );
        }
    }
}

#[tokio::test]
async fn continuation_of_an_answer_without_rows_is_none() {
    let read = read([lost_after(0, 1), whole(1)]).await;
    assert!(
        matches!(read.end, Err(FederationError::Unreachable { .. })),
        "{:?}",
        read.end
    );
    assert_eq!((read.rows.len(), read.queries), (0, 1));
}

#[tokio::test]
async fn continuation_is_interrupted_and_continued_again() {
    let read = read([
        lost_after(2, 1),
        // Once before the rows that had arrived, and once after them.
        lost_after(1, 1),
        lost_after(5, 2),
        Step::Silence,
        Step::Refuse(RefusalCode::Busy),
        whole(3),
    ])
    .await;
    assert!(read.end.is_ok(), "{:?}", read.end);
    assert_eq!(read.rows, lines(&table()));
    assert_eq!(read.queries, 6);
    let rows = |remark: &String| remark.split(' ').find_map(|word| word.parse::<u64>().ok());
    let rows: Vec<_> = read.remarks.iter().filter_map(rows).collect();
    assert_eq!(rows, [2, 5], "{:?}", read.remarks);
}

#[tokio::test]
async fn continuation_that_is_refused_ends_with_the_refusal() {
    let read = read([
        lost_after(3, 1),
        Step::Silence,
        Step::Refuse(RefusalCode::Denied),
        whole(1),
    ])
    .await;
    let Err(FederationError::Refused { refusal, .. }) = &read.end else {
        panic!("{:?}", read.end)
    };
    assert_eq!(refusal.code, RefusalCode::Denied);
    assert_eq!((read.rows.len(), read.queries), (3, 3));
}

#[tokio::test]
async fn continuation_that_is_cut_states_the_rows_that_arrived() {
    for (cut_after, arrived) in [(1, 3), (5, 5)] {
        let rows = u64::try_from(cut_after).unwrap();
        let read = read([
            lost_after(3, 1),
            Step::Rows(first(cut_after), 1, End::Cut(rows)),
            whole(1),
        ])
        .await;
        let Err(FederationError::Cut { rows, .. }) = read.end else {
            panic!("{:?}", read.end)
        };
        assert_eq!((rows, read.rows.len() as u64, read.queries), (arrived, arrived, 2));
    }
}

#[tokio::test]
async fn continuation_follows_lost_connections_only() {
    for end in [End::Misbehaved, End::Cut(2), End::Stopped] {
        let read = read([Step::Rows(first(2), 1, end), whole(1)]).await;
        assert!(read.end.is_err(), "{end:?}");
        assert!(!matches!(read.end, Err(FederationError::Interrupted { .. })), "{end:?}");
        assert_eq!((read.rows.len(), read.queries), (2, 1), "{end:?}");
    }
}

#[tokio::test]
async fn continuation_is_at_tier_records_only() {
    let own = Target {
        access: Access::Own,
        ..target(Tier::Records)
    };
    let below = [Tier::Exists, Tier::Count, Tier::Aggregate].map(target);
    for target in below.into_iter().chain([own]) {
        let read = read_from(&target, [lost_after(3, 1), whole(1)]).await;
        assert!(
            matches!(read.end, Err(FederationError::Unreachable { .. })),
            "{target:?}: {:?}",
            read.end
        );
        assert_eq!((read.rows.len(), read.queries), (3, 1), "{target:?}");
    }
}

#[tokio::test]
async fn continuation_has_a_limit() {
    let most = usize::try_from(MAX_CONTINUATIONS).unwrap();
    let read = read((0..2 * most).map(|_| lost_after(3, 1))).await;
    let Err(FederationError::Interrupted { rows, reason, .. }) = read.end else {
        panic!("{:?}", read.end)
    };
    assert_eq!((rows, reason), (3, NotContinued::TooOften));
    assert_eq!((read.rows.len(), read.queries), (3, 1 + most));
}
