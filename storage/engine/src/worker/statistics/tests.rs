//! The processes' side, with a node that is written out here.

use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch};
use bytes::Bytes;
use concordat_disclosure::{Mode, Precision, Released, ReleasedColumn, Value};
use concordat_protocol::scope::{Finite, Loss, Protection, Scope, Tier};
use concordat_storage::catalog::Collection as _;
use futures::TryStreamExt as _;
use tokio::{
    net::{UnixStream, unix::OwnedReadHalf},
    sync::mpsc::{UnboundedSender, unbounded_channel},
};

use super::{
    above::computed,
    child::{Order, serve},
    foreseen::{ShownStatistics, foreseen_statistic},
    foreseen_cells::foreseen_cells,
    task::{AboveTask, CellsTask, Planning, decoded_statistics, encoded_statistics},
};
use crate::{
    Bounds, QueryError,
    compute::{
        self, CellReport,
        tests::collection::{DATASETS, EVENT, Item, PERSON, Record, Stored, World, at, everything},
    },
    disclosure::RawBatch,
    statistic::{KnownCollection, Statistic},
    worker::{
        cells::{Arriving, Expected, decoded_owners, encoded_rows},
        frames::{Frames, Kind},
        messages::{Failure, ReadRequest, decode, encode},
        objects::PendingReads,
    },
};

const SUBJECTS: u32 = 30;
const BY_SEX: &str = "SELECT sex, count(*) AS n FROM person GROUP BY sex";
const EVENTS: &str = "SELECT count(*) FROM event";

/// 20 women and 10 men, each with two events.
fn world() -> World {
    let record = |of: usize, owner: u32, items: &[(&str, Item)]| {
        let mut all = vec![Item::Null; DATASETS[of].1.len()];
        for (name, item) in items {
            all[at(of, name)] = item.clone();
        }
        Record {
            owner: Some(owner),
            items: all,
        }
    };
    let sex = |owner: u32| Item::Text(if owner < 20 { "f" } else { "m" }.to_owned());
    let mut rows: [Vec<Record>; 4] = std::array::from_fn(|_| Vec::new());
    rows[PERSON] = (0..SUBJECTS)
        .map(|owner| record(PERSON, owner, &[("sex", sex(owner))]))
        .collect();
    rows[EVENT] = (0..2 * SUBJECTS).map(|row| record(EVENT, row / 2, &[])).collect();
    World {
        subjects: SUBJECTS,
        rows,
    }
}

fn planning(world: &World, stored: &Stored, sql: &str) -> Planning {
    Planning::new(stored, (everything(), world.rules()), (sql, None), &Bounds::default()).unwrap()
}

fn known(world: &World) -> KnownCollection {
    compute::shown(&world.rules(), &everything())
}

/// The node, connected to a process that serves the cells of a query.
struct Node {
    frames: Frames<OwnedReadHalf>,
    orders: UnboundedSender<Order>,
    pending: PendingReads,
    stored: Stored,
}

impl Node {
    /// The next frame that is not a request for data; those are answered.
    async fn next(&mut self) -> (Kind, Bytes) {
        loop {
            let (kind, body) = self.frames.next().await.unwrap().unwrap();
            if kind != Kind::ReadRequest {
                return (kind, body);
            }
            let request: ReadRequest = decode(&body).unwrap();
            let objects = self
                .stored
                .datasets()
                .into_iter()
                .filter_map(|name| self.stored.dataset(&name));
            let objects: Vec<_> = objects.flat_map(|dataset| dataset.objects).collect();
            let ranges: Vec<_> = request.ranges.iter().map(|(start, end)| *start..*end).collect();
            let store = self.stored.object_store();
            let found = store
                .get_ranges(&objects[request.object].meta.location, &ranges)
                .await
                .unwrap();
            self.pending.resolve(request.number, Ok(Bytes::from(found.concat())));
        }
    }

    async fn report(&mut self, number: u32, expected: Expected) -> Result<CellReport, QueryError> {
        self.order(Kind::Compute, &number.to_le_bytes());
        let mut arriving = Arriving::new(expected);
        loop {
            match self.next().await {
                (Kind::Cell, body) => arriving.add(&body)?,
                (Kind::CellsDone, body) => return arriving.finish(&body),
                (other, _) => panic!("{other:?}"),
            }
        }
    }

    fn order(&self, kind: Kind, body: &[u8]) {
        self.orders.send((kind, Bytes::copy_from_slice(body))).unwrap();
    }
}

/// Serves the cells of a query to what `node` requests.
fn serving<T>(sql: &str, node: impl AsyncFnOnce(&mut Node, &World) -> T) -> T {
    let world = world();
    let stored = world.stored(7);
    let task = CellsTask::new(&stored, planning(&world, &stored, sql)).unwrap();
    let body = encode(&task).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reader, _writer) = ours.into_split();
        let (_reader, writer) = theirs.into_split();
        let writer = Arc::new(tokio::sync::Mutex::new(writer));
        let (orders, mut ordered) = unbounded_channel();
        let pending = PendingReads::default();
        let mut parent = Node {
            frames: Frames::new(reader),
            orders,
            pending: pending.clone(),
            stored,
        };
        let (served, found) = tokio::join!(serve(&body, &mut ordered, &writer, &pending), node(&mut parent, &world));
        served.unwrap();
        found
    })
}

fn expected(world: &World, statistic: &Statistic, rows: Option<u32>) -> Expected {
    let known = known(world);
    let (set_of, outlines) = compute::outlined(statistic, &known).unwrap();
    Expected {
        version: concordat_protocol::schema::VersionNumber::FIRST,
        subjects: SUBJECTS,
        rows,
        set_of,
        outlines,
        grid: statistic.grid(&known),
    }
}

/// Groupings first, then cells, and nothing after the node needs no more.
#[test]
fn process_returns_groupings_and_then_their_cells() {
    let report = serving(BY_SEX, async |node: &mut Node, world: &World| {
        let (kind, body) = node.next().await;
        assert_eq!(kind, Kind::Statistic);
        let statistics = decoded_statistics(&body, &known(world), 100).unwrap();
        let [statistic] = statistics.as_slice() else {
            panic!("{statistics:?}")
        };
        let report = node.report(0, expected(world, statistic, None)).await.unwrap();
        node.order(Kind::CellsDone, &[]);
        assert_eq!(node.next().await.0, Kind::Done);
        report
    });
    let mut sizes: Vec<u64> = report.cells.iter().map(|cell| cell.subjects.len()).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(sizes[..3], [20, 10, 0]);
    assert!(report.is_complete);
}

/// A query that was answered before: no row is read.
#[test]
fn process_whose_cells_are_not_needed_reads_nothing() {
    serving(BY_SEX, async |node: &mut Node, _: &World| {
        assert_eq!(node.next().await.0, Kind::Statistic);
        node.order(Kind::CellsDone, &[]);
        let (kind, _) = node.frames.next().await.unwrap().unwrap();
        assert_eq!(kind, Kind::Done, "there is no request for data");
    });
}

#[test]
fn process_returns_the_subjects_of_rows() {
    serving(EVENTS, async |node: &mut Node, world: &World| {
        let (_, body) = node.next().await;
        let statistics = decoded_statistics(&body, &known(world), 100).unwrap();
        let report = node
            .report(0, expected(world, &statistics[0], Some(2 * SUBJECTS)))
            .await
            .unwrap();
        assert_eq!(report.cells[0].sets[0].rows.len(), u64::from(2 * SUBJECTS));
        let rows = [0, 1, 2, 59, 17];
        node.order(Kind::Owners, &[&0_u32.to_le_bytes()[..], &encoded_rows(&rows)].concat());
        let (kind, body) = node.next().await;
        assert_eq!(kind, Kind::Owners);
        let owners = decoded_owners(&body, rows.len(), SUBJECTS).unwrap();
        assert_eq!(owners, rows.map(|row| Some(row / 2)));
        node.order(Kind::CellsDone, &[]);
        assert_eq!(node.next().await.0, Kind::Done);
    });
}

#[test]
fn process_refuses_what_cannot_be_counted() {
    for sql in [
        "SELECT sex FROM person",
        "SELECT min(weight) FROM person",
        "DROP TABLE person",
        "SELECT 1; SELECT 2",
    ] {
        serving(sql, async |node: &mut Node, _: &World| {
            let (kind, body) = node.next().await;
            assert_eq!(kind, Kind::Failed, "{sql}");
            let error = QueryError::from(decode::<Failure>(&body).unwrap());
            assert!(matches!(error, QueryError::Reported { .. }), "{sql}: {error:?}");
        });
    }
}

/// An order that does not fit ends the query.
#[test]
fn process_refuses_orders_of_another_form() {
    let number = 7_u32.to_le_bytes();
    let many = [0; 3];
    let subjects = [&0_u32.to_le_bytes()[..], &[1, 2]].concat();
    for (kind, body) in [
        (Kind::Compute, &number[..]),
        (Kind::Compute, &many[..]),
        (Kind::Owners, &subjects[..]),
    ] {
        serving(BY_SEX, async |node: &mut Node, _: &World| {
            assert_eq!(node.next().await.0, Kind::Statistic);
            node.order(kind, body);
            assert_eq!(node.next().await.0, Kind::Failed);
        });
    }
}

#[test]
fn groupings_of_another_form_are_refused() {
    let world = world();
    let known = known(&world);
    let stored = world.stored(7);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let planned = runtime.block_on(super::planned::planned(&planning(&world, &stored, BY_SEX)));
    let bytes = planned.unwrap().lowered.blocks[0].statistic.to_bytes();
    let one = encoded_statistics(std::slice::from_ref(&bytes));
    assert_eq!(decoded_statistics(&one, &known, 100).unwrap().len(), 1);
    assert!(decoded_statistics(&[], &known, 100).is_err(), "a query has a grouping");
    assert!(decoded_statistics(&encoded_statistics(&vec![bytes; 9]), &known, 100).is_err());
    for cut in 1..one.len() {
        assert!(decoded_statistics(&one[..cut], &known, 100).is_err(), "{cut}");
    }
    assert!(decoded_statistics(&[0xff; 4], &known, 100).is_err());
}

/// The answer of a fresh process to what was released of a grouping, at tier `aggregate`.
fn above(sql: &str, of: &str, values: &[Option<i64>]) -> Result<RecordBatch, QueryError> {
    above_at(Tier::Aggregate, (sql, of), values)
}

/// The same at any tier.
fn above_at(tier: Tier, texts: (&str, &str), values: &[Option<i64>]) -> Result<RecordBatch, QueryError> {
    let scope = Scope { tier, ..everything() };
    above_under(scope, texts, (values, (Mode::Exact, Precision::Exact)))
}

/// The same under any scope, of values in a mode.
fn above_under(
    scope: Scope,
    (sql, of): (&str, &str),
    (values, (mode, precision)): (&[Option<i64>], (Mode, Precision)),
) -> Result<RecordBatch, QueryError> {
    let world = world();
    let stored = world.stored(7);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let decided = super::planned::planned(&planning(&world, &stored, of)).await?;
        let statistic = decided.lowered.blocks[0].statistic.clone();
        let values = values.iter().map(|value| value.map(Value::Whole)).collect::<Vec<_>>();
        let cells = values.len();
        let released = Released::new(mode, cells, vec![ReleasedColumn::new(precision, values)]).unwrap();
        let planning = Planning::new(&stored, (scope, world.rules()), (sql, None), &Bounds::default())?;
        let task = AboveTask::new(planning, &[(statistic, released)]);
        let raw = computed(&encode(&task).unwrap()).await?;
        let batches: Vec<RawBatch> = raw.batches.try_collect().await?;
        let batches: Vec<RecordBatch> = batches.into_iter().map(|batch| batch.rows).collect();
        Ok(arrow::compute::concat_batches(&raw.schema, &batches).unwrap())
    })
}

#[test]
fn fresh_process_computes_from_released_cells() {
    let world = world();
    let stored = world.stored(7);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let planned = runtime
        .block_on(super::planned::planned(&planning(&world, &stored, BY_SEX)))
        .unwrap();
    let grid = planned.lowered.blocks[0].statistic.grid(&planned.known);
    let mut values = vec![None; grid];
    values[0] = Some(20);
    let answer = above(BY_SEX, BY_SEX, &values).unwrap();
    assert_eq!(answer.num_rows(), grid);
    assert_eq!(answer.column(1).null_count(), grid - 1);
    // One value more than there are cells.
    values.push(None);
    assert!(above(BY_SEX, BY_SEX, &values).is_err());
}

/// What was decided for one text is not shown as the answer to another one.
#[test]
fn fresh_process_refuses_another_text() {
    let refused = above(EVENTS, "SELECT count(*) FROM person", &[Some(20)]);
    assert!(matches!(refused, Err(QueryError::Engine { .. })), "{refused:?}");
}

#[test]
fn fresh_process_answers_only_whether_a_number_is_released() {
    let exists = |value: Option<i64>| {
        let answer = above_at(Tier::Exists, (EVENTS, EVENTS), &[value]).unwrap();
        assert_eq!((answer.num_rows(), answer.num_columns()), (1, 1));
        answer.column(0).as_boolean().value(0)
    };
    assert!(exists(Some(20)));
    assert!(!exists(None));
}

/// With `private` each number is released: a constant answer would lose privacy and state nothing.
#[test]
fn existence_with_private_noise_is_a_noisy_threshold() {
    let precision = Precision::HalfWidth(Finite::new(14.0).unwrap());
    for (number, expected) in [(20, true), (5, true), (4, false), (0, false), (-3, false)] {
        let mut scope = Scope {
            tier: Tier::Exists,
            protection: Protection::Private(Loss::DEFAULT),
            ..everything()
        };
        scope.limits.min_cell = 5;
        let values = [Some(number)];
        let answer = above_under(scope, (EVENTS, EVENTS), (&values, (Mode::Private, precision))).unwrap();
        assert_eq!(answer.column(0).as_boolean().value(0), expected, "{number}");
    }
}

#[test]
fn foreseen_statistic_has_the_columns_of_the_answer() {
    let world = world();
    let stored = world.stored(7);
    let scope = everything();
    let names = scope.datasets.names();
    let columns = names.map(|name| (name.clone(), stored.dataset(name).unwrap().schema));
    let mut shown = ShownStatistics {
        columns: columns.collect(),
        rules: world.rules(),
        scope: everything(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for sql in [
        BY_SEX,
        EVENTS,
        "SELECT sex AS s, count(*) AS n FROM person GROUP BY sex ORDER BY n",
    ] {
        let planned = runtime.block_on(super::planned::planned(&planning(&world, &stored, sql)));
        let planned = planned.unwrap();
        let cells = planned.lowered.blocks[0].statistic.grid(&planned.known);
        let answer = above(sql, sql, &vec![Some(20); cells]).unwrap();
        let foreseen = runtime.block_on(foreseen_statistic(sql, None, &shown)).unwrap();
        assert_eq!(foreseen.columns, answer.schema(), "{sql}");
        assert!(foreseen.orders.is_empty() && foreseen.beyond.is_empty(), "{sql}");
    }
    let first = format!("{BY_SEX} ORDER BY 2 DESC LIMIT 1");
    let first = runtime.block_on(foreseen_statistic(&first, None, &shown)).unwrap();
    assert_eq!(first.orders.len(), 1, "{:?}", first.orders);
    shown.scope.tier = Tier::Count;
    runtime.block_on(foreseen_statistic(EVENTS, None, &shown)).unwrap();
    let refused = runtime.block_on(foreseen_statistic(BY_SEX, None, &shown));
    assert!(matches!(refused, Err(QueryError::Tier { .. })), "{refused:?}");
    shown.scope.tier = Tier::Exists;
    let exists = runtime.block_on(foreseen_statistic(EVENTS, None, &shown)).unwrap();
    assert_eq!(exists.columns.field(0).name(), "exists");
}

#[test]
fn foreseen_cells_are_those_of_the_grid() {
    let world = world();
    let stored = world.stored(7);
    let scope = everything();
    let names = scope.datasets.names();
    let columns = names.map(|name| (name.clone(), stored.dataset(name).unwrap().schema));
    let mut shown = ShownStatistics {
        columns: columns.collect(),
        rules: world.rules(),
        scope: everything(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cells = |sql: &str, shown: &ShownStatistics| runtime.block_on(foreseen_cells(sql, None, shown));
    assert_eq!(cells(EVENTS, &shown).unwrap(), 1);
    // As many as an answer has rows, if all of them are released.
    let found = cells(BY_SEX, &shown).unwrap();
    let answer = above(BY_SEX, BY_SEX, &vec![Some(20); usize::try_from(found).unwrap()]).unwrap();
    assert_eq!(answer.num_rows() as u64, found);
    assert!(found > 2, "f, m and those of whom it is missing");
    assert!(cells("SELECT nothing FROM person", &shown).is_err());
    shown.scope.tier = Tier::Count;
    let refused = cells(BY_SEX, &shown);
    assert!(matches!(refused, Err(QueryError::Tier { .. })), "{refused:?}");
    shown.scope.tier = Tier::Exists;
    assert_eq!(cells(EVENTS, &shown).unwrap(), 1);
}
