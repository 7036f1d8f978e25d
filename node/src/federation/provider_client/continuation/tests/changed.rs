//! Answers that are not the same any more when they are requested again.

use datafusion::arrow::compute::concat;

use super::*;
use crate::federation::testing::{ints, texts};

#[tokio::test]
async fn continuation_with_other_rows_passes_on_none() {
    let rows = table();
    let with = |columns: [ArrayRef; 4]| RecordBatch::try_new(rows.schema(), columns.to_vec()).unwrap();
    let [id, value, name, note] = rows.columns() else {
        panic!("four columns")
    };
    // The two texts of each row are the same as before if they are joined.
    let shifted = with([
        Arc::clone(id),
        Arc::clone(value),
        text_column([Some("a"), Some("ab"), None, Some(""), Some("a"), Some("a"), Some("\0x")]),
        text_column([
            Some("bc"),
            Some("c"),
            Some(""),
            None,
            Some(",b\"c"),
            Some("|b|c"),
            Some(""),
        ]),
    ]);
    let one_number = with([
        ints(&[2, 0, 0, 1, 11, -1, i64::MIN]),
        Arc::clone(value),
        Arc::clone(name),
        Arc::clone(note),
    ]);
    let swapped = concat_batches(&rows.schema(), &[rows.slice(1, 1), rows.slice(0, 1), rows.slice(2, 5)]).unwrap();
    let repeated = concat_batches(&rows.schema(), &[rows.slice(0, 1), rows.slice(0, 6)]).unwrap();
    for (what, others) in [
        ("a number", one_number),
        ("texts that are joined alike", shifted),
        ("rows in another order", swapped),
        ("a row twice", repeated),
        ("the first row is not there", rows.slice(1, 6)),
    ] {
        for lost in 2..=rows.num_rows() {
            for size in [1, 3, 1000] {
                let read = read([lost_after(lost, 2), Step::Rows(others.clone(), size, End::Complete)]).await;
                println!("{what}, lost after {lost}, batches of {size}");
                assert_interrupted(&read, lost as u64, NotContinued::OtherRows);
                assert_eq!(read.queries, 2);
            }
        }
    }
}

#[tokio::test]
async fn continuation_with_one_other_cell_passes_on_none() {
    let rows = table();
    for at in 0..rows.num_rows() {
        for column in 0..rows.num_columns() {
            // The cell of the row after it, which differs everywhere.
            let from = (at + 1) % rows.num_rows();
            let mut columns = rows.columns().to_vec();
            columns[column] = {
                let parts = [(0, at), (from, 1), (at + 1, rows.num_rows() - at - 1)];
                let parts = parts.map(|(start, length)| rows.column(column).slice(start, length));
                concat(&[&parts[0], &parts[1], &parts[2]]).unwrap()
            };
            let others = RecordBatch::try_new(rows.schema(), columns).unwrap();
            let lost = at + 1;
            let read = read([lost_after(lost, 1), Step::Rows(others, 1000, End::Complete)]).await;
            println!("row {at}, column {column}");
            assert_interrupted(&read, lost as u64, NotContinued::OtherRows);
        }
    }
}

#[tokio::test]
async fn continuation_with_fewer_rows_is_refused() {
    for fewer in 0..5 {
        let read = read([lost_after(5, 2), Step::Rows(first(fewer), 3, End::Complete)]).await;
        assert_interrupted(&read, 5, NotContinued::OtherRows);
    }
}

#[tokio::test]
async fn continuation_with_other_columns_is_refused() {
    let others = [
        batch(vec![("id", ints(&[1, 2, 3]))]),
        table().project(&[1, 0, 2, 3]).unwrap(),
        batch(vec![
            ("id", texts(&["1"])),
            ("value", Arc::clone(first(1).column(1))),
            ("name", texts(&["ab"])),
            ("note", texts(&["c"])),
        ]),
    ];
    for others in others {
        let read = read([lost_after(1, 1), Step::Rows(others, 1, End::Complete)]).await;
        assert_interrupted(&read, 1, NotContinued::OtherColumns);
    }
    let read = read([lost_after(1, 1), Step::ColumnsChanged]).await;
    assert_interrupted(&read, 1, NotContinued::OtherColumns);
}
