//! Answers of members become one table of cells, or an error.

use concordat_engine::Output;
use concordat_protocol::ids::GrantId;
use concordat_protocol::scope::{Columns, Purpose, Transform};
use proptest::prelude::*;

use super::*;
use crate::federation::source::Access;

fn target(institution: &str, tier: Tier) -> Target {
    Target {
        dataset: format!("{institution}.heart").parse().unwrap(),
        version: None,
        access: Access::Grant(GrantId::from_bytes([1; 16])),
        tier,
        purpose: Purpose::HealthResearch,
        columns: Columns::new([("sex".parse().unwrap(), Transform::Clear)]).unwrap(),
        rules: None,
    }
}

fn texts(labels: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(labels.to_vec()))
}

/// Those of below `records`: two cells have the same ones.
const LABELS: [Option<&str>; 4] = [Some("f"), Some("m"), None, None];

/// Cells of `f`, `m`, others and missing values, with a number of rows and a mean.
fn table() -> CellTable {
    CellTable {
        labels: vec![texts(&LABELS)],
        cells: 4,
        counts: vec![true, false],
        outputs: vec![
            CellOutput::Group(0),
            CellOutput::Aggregate(Combined::Sum(0)),
            CellOutput::Aggregate(Combined::Values {
                count: 0,
                mean: 1,
                variance: None,
                output: Output::Mean,
            }),
        ],
        members: Vec::new(),
    }
}

/// The grid of a member that declares the same as the others, whose parts are in the other order.
fn grid_of(target: &Target) -> MemberGrid {
    let labels = match target.tier {
        Tier::Records => [Some("f"), Some("m"), Some("other"), None],
        Tier::Exists | Tier::Count | Tier::Aggregate => LABELS,
    };
    MemberGrid {
        labels: vec![texts(&labels)],
        columns: vec![1, 0],
        cells: (0..4).map(Some).collect(),
    }
}

fn schema(table: &CellTable) -> SchemaRef {
    let fields = table.outputs.iter().enumerate().map(|(at, output)| {
        let data_type = match output {
            CellOutput::Group(_) | CellOutput::Institution => DataType::Utf8,
            CellOutput::Aggregate(Combined::Sum(_)) => DataType::Int64,
            CellOutput::Aggregate(_) => DataType::Float64,
        };
        Field::new(format!("c{at}"), data_type, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// An answer with these labels, means and numbers of rows.
fn answer(rows: &[(Option<&str>, Option<f64>, Option<i64>)]) -> Vec<RecordBatch> {
    let labels: Vec<Option<&str>> = rows.iter().map(|row| row.0).collect();
    let means: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Float64Array>());
    let counts: ArrayRef = Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>());
    let columns = [("g0", texts(&labels)), ("a0", means), ("a1", counts)];
    vec![RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()]
}

fn grid(cells: [(Option<f64>, Option<i64>); 4]) -> Vec<RecordBatch> {
    let labels = [Some("f"), Some("m"), None, None];
    let rows: Vec<_> = labels
        .iter()
        .zip(cells)
        .map(|(label, (mean, count))| (*label, mean, count))
        .collect();
    answer(&rows)
}

fn merged(table: &CellTable, answers: &[(Target, Vec<RecordBatch>)]) -> Result<Vec<String>, FederationError> {
    let answers: Vec<(&Target, Vec<RecordBatch>)> = answers.iter().map(|(of, rows)| (of, rows.clone())).collect();
    let names: Vec<String> = table.outputs.iter().map(|_| "n".to_owned()).collect();
    let table = CellTable {
        members: answers.iter().map(|(target, _)| grid_of(target)).collect(),
        ..table.clone()
    };
    found(&table, &names, &answers)
}

fn found(
    table: &CellTable,
    names: &[String],
    answers: &[(&Target, Vec<RecordBatch>)],
) -> Result<Vec<String>, FederationError> {
    let (table, _) = table.merged((&schema(table), names), answers)?;
    Ok(crate::federation::testing::lines(&table))
}

#[test]
fn cells_of_members_are_added_where_both_have_them() {
    let here = target("aachen", Tier::Aggregate);
    let there = target("basel", Tier::Aggregate);
    let answers = [
        (
            here,
            grid([
                (Some(10.0), Some(20)),
                (Some(1.0), Some(30)),
                (None, Some(12)),
                (None, None),
            ]),
        ),
        (
            there,
            grid([(Some(40.0), Some(10)), (None, None), (None, Some(11)), (None, None)]),
        ),
    ];
    let rows = merged(&table(), &answers).unwrap();
    assert_eq!(rows, ["f|30|20.0", "m|30|1.0", "-|23|-", "-|-|-"]);
}

#[test]
fn cells_of_records_are_found_by_their_labels() {
    let records = target("basel", Tier::Records);
    let cells = grid([(Some(10.0), Some(20)), (None, None), (None, Some(12)), (None, None)]);
    // In another order, and without a row where there are no rows.
    let rows = answer(&[
        (Some("other"), Some(7.0), Some(1)),
        (None, None, Some(0)),
        (Some("f"), Some(40.0), Some(20)),
    ]);
    let answers = [(target("aachen", Tier::Aggregate), cells), (records, rows)];
    let found = merged(&table(), &answers).unwrap();
    // Aachen withholds the mean of the others, so it is not in their number.
    assert_eq!(found, ["f|40|25.0", "m|-|-", "-|1|7.0", "-|-|-"]);
}

#[test]
fn cells_of_each_institution_stay_apart() {
    let mut table = table();
    table.outputs.insert(0, CellOutput::Institution);
    let cells = |count| grid([(None, Some(count)), (None, None), (None, None), (None, None)]);
    let answers = [
        (target("aachen", Tier::Aggregate), cells(20)),
        (target("basel", Tier::Aggregate), cells(30)),
    ];
    let rows = merged(&table, &answers).unwrap();
    assert_eq!(rows.len(), 8);
    assert_eq!((rows[0].as_str(), rows[4].as_str()), ("aachen|f|20|-", "basel|f|30|-"));
}

/// A holder that declares other levels by then has other cells: none of them is added to another one.
#[test]
fn cells_of_another_grid_are_not_combined() {
    let of = |rows: Vec<RecordBatch>| merged(&table(), &[(target("aachen", Tier::Aggregate), rows)]);
    let all = [
        (Some("f"), None, Some(20)),
        (Some("m"), None, None),
        (None, None, None),
        (None, None, None),
    ];
    assert!(of(answer(&all)).is_ok());
    let mut others = vec![all[..3].to_vec(), [&all[..], &all[..1]].concat(), all.to_vec()];
    others[2][0].0 = Some("female");
    for rows in others {
        let error = of(answer(&rows)).unwrap_err();
        assert!(
            matches!(error, FederationError::ColumnsChanged { .. }),
            "{rows:?}: {error}"
        );
    }
    // Twice the same cell instead of another one.
    let mut twice = all.to_vec();
    twice[1].0 = Some("f");
    assert!(of(answer(&twice)).is_err());
}

#[test]
fn sum_of_cells_beyond_64_bits_is_an_error() {
    let cells = || grid([(None, Some(i64::MAX)), (None, None), (None, None), (None, None)]);
    let answers = [
        (target("aachen", Tier::Aggregate), cells()),
        (target("basel", Tier::Aggregate), cells()),
    ];
    let error = merged(&table(), &answers).unwrap_err();
    assert!(error.to_string().contains("beyond 64 bits"), "{error}");
}

/// A member that lists fewer values has no part of the others: its rows with them are among all other values.
#[test]
fn cells_that_a_member_does_not_have_lack_its_part() {
    let here = target("aachen", Tier::Aggregate);
    let there = target("basel", Tier::Aggregate);
    let whole = grid([(None, Some(20)), (None, Some(30)), (None, Some(12)), (None, Some(15))]);
    let fewer = answer(&[
        (Some("f"), None, Some(10)),
        (Some("other"), None, Some(40)),
        (None, None, Some(11)),
    ]);
    let mut table = table();
    table.members = vec![
        grid_of(&here),
        MemberGrid {
            labels: vec![texts(&[Some("f"), Some("other"), None])],
            columns: vec![1, 0],
            cells: vec![Some(0), None, Some(3)],
        },
    ];
    let names = vec!["sex".to_owned(), "n".to_owned(), "m".to_owned()];
    let rows = found(&table, &names, &[(&here, whole), (&there, fewer.clone())]).unwrap();
    assert_eq!(rows, ["f|30|-", "m|30|-", "-|12|-", "-|26|-"]);
    // Its answer has its own grid as a whole.
    let cut = vec![fewer[0].slice(0, 2)];
    let whole = grid([(None, Some(20)), (None, Some(30)), (None, Some(12)), (None, Some(15))]);
    let error = found(&table, &names, &[(&here, whole), (&there, cut)]).unwrap_err();
    assert!(matches!(error, FederationError::ColumnsChanged { .. }), "{error}");
}

/// A number of rows, a mean and a sum of zeros and ones, of members of which each withholds some.
fn rates() -> CellTable {
    CellTable {
        labels: vec![texts(&[Some("f"), None])],
        cells: 2,
        counts: vec![true, false, false],
        outputs: vec![
            CellOutput::Aggregate(Combined::Sum(0)),
            CellOutput::Aggregate(Combined::Values {
                count: 0,
                mean: 1,
                variance: None,
                output: Output::Mean,
            }),
            CellOutput::Aggregate(Combined::Sum(2)),
        ],
        members: Vec::new(),
    }
}

/// The rows of one cell of a member, and which of the three figures it withholds.
type Cell = (Vec<bool>, [bool; 3]);

fn cell() -> impl Strategy<Value = Cell> {
    (prop::collection::vec(any::<bool>(), 1..6), any::<[bool; 3]>())
}

fn ones(rows: &[bool]) -> i64 {
    rows.iter().map(|one| i64::from(*one)).sum()
}

fn length(rows: &[bool]) -> i64 {
    i64::try_from(rows.len()).unwrap()
}

/// What a member answers of its cells.
fn rates_of(cells: &[Cell]) -> Vec<RecordBatch> {
    let figure = |at: usize, value: fn(&[bool]) -> f64| -> ArrayRef {
        let values = cells
            .iter()
            .map(|(rows, withheld)| (!withheld[at]).then(|| value(rows)));
        Arc::new(values.collect::<Float64Array>())
    };
    let counts = cells
        .iter()
        .map(|(rows, withheld)| (!withheld[0]).then(|| length(rows)));
    let columns: [(&str, ArrayRef); 4] = [
        ("g0", texts(&[Some("f"), None])),
        ("a0", Arc::new(counts.collect::<Int64Array>())),
        ("a1", figure(1, |rows| ones(rows) as f64 / length(rows) as f64)),
        ("a2", figure(2, |rows| ones(rows) as f64)),
    ];
    vec![RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()]
}

/// The number, the mean and the sum of the rows of those members that are in the row, from the rows themselves.
fn expected(members: &[&Cell]) -> [Option<f64>; 3] {
    // A mean needs the number of values.
    let has = |withheld: &[bool; 3]| [!withheld[0], !withheld[0] && !withheld[1], !withheld[2]];
    let shown: Vec<usize> = (0..3)
        .filter(|at| members.iter().any(|(_, withheld)| has(withheld)[*at]))
        .collect();
    let in_row = members
        .iter()
        .filter(|(_, withheld)| shown.iter().all(|at| has(withheld)[*at]));
    let rows: Vec<bool> = in_row.flat_map(|(rows, _)| rows.clone()).collect();
    let value = |at: usize, value: f64| (shown.contains(&at) && !rows.is_empty()).then_some(value);
    let number = length(&rows) as f64;
    let sum = ones(&rows) as f64;
    [value(0, number), value(1, sum / number), value(2, sum)]
}

proptest! {
    #[test]
    fn row_is_of_members_that_have_all_its_figures(
        members in prop::collection::vec([cell(), cell()], 1..5),
    ) {
        let targets: Vec<Target> = (0..members.len()).map(|at| target(&format!("m{at}"), Tier::Aggregate)).collect();
        let answers: Vec<(&Target, Vec<RecordBatch>)> =
            targets.iter().zip(&members).map(|(target, cells)| (target, rates_of(cells))).collect();
        let mut table = rates();
        table.members = targets
            .iter()
            .map(|_| MemberGrid {
                labels: table.labels.clone(),
                columns: vec![0, 1, 2],
                cells: vec![Some(0), Some(1)],
            })
            .collect();
        let names = vec!["n".to_owned(); 3];
        let fields = (0..3).map(|at| Field::new(format!("c{at}"), DataType::Float64, true));
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let (rows, _) = table.merged((&schema, names.as_slice()), &answers).unwrap();
        for cell in 0..2 {
            let of_cell: Vec<&Cell> = members.iter().map(|cells| &cells[cell]).collect();
            let figures: Vec<Option<f64>> = (0..3)
                .map(|at| {
                    let column = rows.column(at).as_primitive::<Float64Type>();
                    column.is_valid(cell).then(|| column.value(cell))
                })
                .collect();
            for (found, expected) in figures.iter().zip(expected(&of_cell)) {
                match (found, expected) {
                    (Some(found), Some(expected)) => prop_assert!((found - expected).abs() < 1e-9),
                    (found, expected) => prop_assert_eq!(*found, expected),
                }
            }
            // What a reader divides is a rate.
            if let [Some(count), _, Some(sum)] = figures.as_slice() {
                prop_assert!(sum <= count, "{} {}", sum, count);
            }
        }
    }
}

/// A member that states that no row has a value lacks no value of a mean.
#[test]
fn row_has_members_that_have_no_value() {
    let mut table = rates();
    let member = |count: i64, mean: Option<f64>, sum: i64| {
        let columns: [(&str, ArrayRef); 4] = [
            ("g0", texts(&[Some("f"), None])),
            ("a0", Arc::new(Int64Array::from(vec![Some(count), None]))),
            ("a1", Arc::new(Float64Array::from(vec![mean, None]))),
            ("a2", Arc::new(Int64Array::from(vec![Some(sum), None]))),
        ];
        vec![RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()]
    };
    let here = target("aachen", Tier::Aggregate);
    let there = target("basel", Tier::Aggregate);
    let grid = MemberGrid {
        labels: table.labels.clone(),
        columns: vec![0, 1, 2],
        cells: vec![Some(0), Some(1)],
    };
    table.members = vec![grid.clone(), grid];
    let names = vec!["n".to_owned(); 3];
    let answers = [(&here, member(20, Some(0.5), 10)), (&there, member(0, None, 3))];
    assert_eq!(found(&table, &names, &answers).unwrap(), ["20|0.5|13", "-|-|-"]);
    // One that withholds it is in no figure of the row.
    let answers = [(&here, member(20, Some(0.5), 10)), (&there, member(4, None, 3))];
    assert_eq!(found(&table, &names, &answers).unwrap(), ["20|0.5|10", "-|-|-"]);
}
