//! What is computed above released cells.

use super::*;
use crate::statistic::CellAggregate;

/// What a query computes of its aggregates, from released cells.
fn above(collection: &Collection, sql: &str, cells: &[Range<u32>]) -> Result<RecordBatch, QueryError> {
    let lowered = collection.lower(sql).map_err(|error| QueryError::Invalid {
        detail: error.to_string(),
    })?;
    let found = answered((collection, sql), cells, (&Protection::Exact, &mut Stored::new()))?;
    computed(collection, &lowered, &[found])
}

/// The same from what was released of each grouping.
fn computed(collection: &Collection, lowered: &Lowered, found: &[Released]) -> Result<RecordBatch, QueryError> {
    let tables = cells_tables(lowered, &collection.known, found)?;
    let dataset: DatasetRef = "budapest.person".parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let state = home_state(1 << 24, "budapest").unwrap();
        let stream = computed_above(&state, lowered, &tables, &dataset).await?;
        let schema = stream.schema();
        let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
        Ok(arrow::compute::concat_batches(&schema, &batches).unwrap())
    })
}

#[test]
fn answer_above_cells_has_the_full_grid() {
    let collection = Collection::named("omop");
    let answer = above(&collection, BY_GENDER, &[0..20, 20..35]).unwrap();
    let statistic = statistic(&collection, BY_GENDER);
    assert_eq!(answer.num_rows(), statistic.grid(&collection.known));
    let numbers = answer.column(1).as_primitive::<Int64Type>();
    let mut shown: Vec<i64> = numbers.iter().flatten().collect();
    shown.sort_unstable();
    assert_eq!(shown, [15, 20]);
    let label = answer.column(0).as_string::<i32>();
    assert!((0..answer.num_rows()).any(|row| label.is_valid(row) && label.value(row) == "M"));
}

/// The names of codes are the values of a column with text, and a condition above the groups compares them.
#[test]
fn answer_above_cells_has_the_names_of_codes() {
    let collection = Collection::named("omop");
    let by_name = "SELECT k.concept_name AS sex, count(*) AS n FROM person p \
                   JOIN concept k ON k.concept_id = p.gender_concept_id GROUP BY k.concept_name";
    let only = format!("SELECT sex, n FROM ({by_name}) t WHERE sex = 'FEMALE'");
    for (sql, expected) in [
        (by_name, vec![None, Some("FEMALE"), Some("MALE"), Some("other")]),
        (only.as_str(), vec![Some("FEMALE")]),
    ] {
        let answer = above(&collection, sql, &[0..20, 20..35]).unwrap();
        let mut labels: Vec<Option<&str>> = answer.column(0).as_string::<i32>().iter().collect();
        labels.sort_unstable();
        assert_eq!(labels, expected, "{sql}");
    }
}

/// A subtotal is a grouping of its own, whose column is missing where the labels of the groups are text.
#[test]
fn answer_above_cells_has_the_rows_of_all_grouping_sets() {
    let collection = Collection::named("omop");
    let sql = "SELECT gender_concept_id AS g, count(*) AS n FROM person GROUP BY ROLLUP (gender_concept_id)";
    let lowered = collection.lower(sql).unwrap();
    let mut memory = Stored::new();
    let mut found = Vec::new();
    for (block, cells) in lowered
        .blocks
        .iter()
        .zip([vec![0..15, 15..30, 30..45, 45..60], one(0..60)])
    {
        let report = report(&block.statistic, &collection.known, &cells);
        let of_set = (&collection, &block.statistic, &report);
        found.push(released(of_set, (&Protection::Exact, None), &mut memory).unwrap());
    }
    let answer = computed(&collection, &lowered, &found).unwrap();
    let label = answer.column(0).as_string::<i32>();
    let numbers = answer.column(1).as_primitive::<Int64Type>();
    let rows: Vec<_> = (0..answer.num_rows())
        .filter(|row| numbers.is_valid(*row))
        .map(|row| (label.is_valid(row).then(|| label.value(row)), numbers.value(row)))
        .collect();
    assert_eq!(rows.len(), 5, "{rows:?}");
    for row in [
        (Some("8507"), 15),
        (Some("8532"), 15),
        (Some("other"), 15),
        (None, 15),
        (None, 60),
    ] {
        assert!(rows.contains(&row), "{rows:?}");
    }
}

/// An error on a label would be one of the answer.
/// A cell is a row for each value of a list of codes, with the figures of that value.
#[test]
fn answer_above_cells_has_a_row_for_each_value_of_a_list() {
    let collection = Collection::named("omop");
    let listed = |code: i64| {
        format!(
            "SELECT count(DISTINCT person_id) FROM drug_exposure WHERE drug_concept_id IN \
             (SELECT descendant_concept_id FROM concept_ancestor WHERE ancestor_concept_id = {code})"
        )
    };
    let sql = "SELECT a.ancestor_concept_id AS g, count(DISTINCT d.person_id) AS n FROM drug_exposure d \
               JOIN concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id \
               WHERE a.ancestor_concept_id IN (5, 7) GROUP BY 1";
    let shown = format!("{sql} HAVING count(DISTINCT d.person_id) IS NOT NULL ORDER BY n DESC LIMIT 1");
    for (sql, expected) in [(sql, vec![(5, 105), (7, 107)]), (shown.as_str(), vec![(7, 107)])] {
        let lowered = collection.lower(sql).unwrap();
        let of_grouping = &lowered.blocks[0].statistic;
        let columns = of_grouping.cells().iter().map(|cell| {
            let mut codes = [5, 7].into_iter();
            let is_of = |code: &i64| statistic(&collection, &listed(*code)).rows() == cell.filter();
            let code = codes.find(is_of).unwrap();
            ReleasedColumn::exact(vec![
                Some(Value::Whole(100 + code));
                of_grouping.grid(&collection.known)
            ])
        });
        let found = Released::new(Mode::Exact, of_grouping.grid(&collection.known), columns.collect()).unwrap();
        let answer = computed(&collection, &lowered, &[found]).unwrap();
        let column = |at: usize| answer.column(at).as_primitive::<Int64Type>().values().to_vec();
        let mut rows: Vec<(i64, i64)> = column(0).into_iter().zip(column(1)).collect();
        rows.sort_unstable();
        assert_eq!(rows, expected, "{sql}");
    }
}

/// The names of the groups are declared, and all other codes above are one group.
#[test]
fn answer_above_cells_has_a_row_for_each_ancestor() {
    let collection = Collection::named("omop");
    let sql = "SELECT k.concept_name AS g, count(DISTINCT d.person_id) AS n, count(*) AS m FROM drug_exposure d \
               JOIN concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id \
               JOIN concept k ON k.concept_id = a.ancestor_concept_id AND k.concept_class_id = 'Ingredient' \
               GROUP BY k.concept_name ORDER BY n DESC NULLS LAST";
    let lowered = collection.lower(sql).unwrap();
    let of_grouping = &lowered.blocks[0].statistic;
    let columns = of_grouping.cells().iter().map(|cell| {
        let text = format!("{:?}", cell.filter());
        let mut codes = [11, 12, 13]
            .into_iter()
            .filter(|code| text.contains(&format!("Int({code})")));
        // The others are those of which all codes are named, and are withheld.
        let only = codes.next().filter(|_| codes.next().is_none());
        let base = if matches!(cell, CellAggregate::Rows { .. }) {
            200
        } else {
            100
        };
        ReleasedColumn::exact(vec![only.map(|code: i64| Value::Whole(base + code))])
    });
    let found = Released::new(Mode::Exact, 1, columns.collect()).unwrap();
    let answer = computed(&collection, &lowered, &[found]).unwrap();
    let labels: Vec<Option<&str>> = answer.column(0).as_string::<i32>().iter().collect();
    assert_eq!(
        labels,
        [Some("other"), Some("ibuprofen"), Some("aspirin"), Some("(other)")]
    );
    let figures = |at: usize| answer.column(at).as_primitive::<Int64Type>().iter().collect::<Vec<_>>();
    assert_eq!(figures(1), [Some(113), Some(112), Some(111), None]);
    assert_eq!(figures(2), [Some(213), Some(212), Some(211), None]);
}

#[test]
fn answer_above_cells_has_no_cast_that_can_fail() {
    let collection = Collection::named("omop");
    let sql =
        "SELECT CAST(gender_source_value AS INTEGER) AS g, count(*) AS n FROM person GROUP BY gender_source_value";
    let refused = above(&collection, sql, &[0..20, 20..35]);
    assert!(matches!(refused, Err(QueryError::FallibleCast { .. })), "{refused:?}");
}

/// The total is decided for itself: a percentage is one of all groups, also of those that are withheld.
#[test]
fn answer_above_cells_has_percentages_of_the_total() {
    let collection = Collection::named("omop");
    let percent = "100.0 * count(*) / sum(count(*)) OVER () AS p";
    let sql = format!("SELECT gender_source_value AS g, {percent} FROM person GROUP BY gender_source_value");
    let partition = "SELECT gender_source_value AS g, race_source_value AS r, count(*) AS n, \
                     sum(count(*)) OVER (PARTITION BY gender_source_value) AS of_g FROM person GROUP BY 1, 2";
    let answer = |sql: &str, cells: [Vec<Range<u32>>; 2]| {
        let lowered = collection.lower(sql).unwrap();
        let mut memory = Stored::new();
        let found = lowered.blocks.iter().zip(cells).map(|(block, cells)| {
            let report = report(&block.statistic, &collection.known, &cells);
            let of_block = (&collection, &block.statistic, &report);
            released(of_block, (&Protection::Exact, None), &mut memory).unwrap()
        });
        let found: Vec<Released> = found.collect();
        computed(&collection, &lowered, &found).unwrap()
    };
    let all = answer(&sql, [one(0..60), vec![0..15, 15..30, 30..45, 45..60]]);
    assert_eq!(
        percentages(&all, 1),
        [25.0; 4],
        "missing values are a group of the total too"
    );
    let some = answer(&sql, [one(0..60), vec![0..30, 30..58, 58..60]]);
    let shown = percentages(&some, 1);
    assert!(
        shown.iter().all(|shown| [50.0, 100.0 * 28.0 / 60.0].contains(shown)),
        "{shown:?}"
    );
    // No one is in a cell of both.
    let parts = answer(partition, [vec![0..15, 15..30, 30..45, 45..60], Vec::new()]);
    assert_eq!(parts.num_rows(), 20, "each cell is beside one total");
    assert_eq!(percentages(&parts, 3), [15.0; 20]);
}

/// Each group has the sum up to itself, whichever of the two is decided.
#[test]
fn answer_above_cells_has_running_sums_beside_groups() {
    let collection = Collection::named("omop");
    let over = |over: &str| format!("sum(count(*)) OVER ({over}ORDER BY year_of_birth) AS t");
    for (sql, partitions) in [
        (
            format!("SELECT count(*) AS n, {} FROM person GROUP BY year_of_birth", over("")),
            1,
        ),
        (
            format!(
                "SELECT count(*) AS n, {} FROM person GROUP BY gender_source_value, year_of_birth",
                over("PARTITION BY gender_source_value ")
            ),
            4,
        ),
    ] {
        let lowered = collection.lower(&sql).unwrap();
        let [sums, groups] = lowered.blocks.as_slice() else {
            panic!("{sql}")
        };
        let classes = &sums.running.as_ref().unwrap().cells[0];
        // A group is numbered by its class, and each sum by the class that it is up to.
        let number = |class: usize| Some(Value::Whole(i64::try_from(class).unwrap()));
        let of_sums = (0..sums.statistic.cells().len()).map(|cell| {
            let class = classes.iter().position(|at| *at == Some(cell)).unwrap();
            ReleasedColumn::exact(vec![number(100 + class); partitions])
        });
        let of_sums = Released::new(Mode::Exact, partitions, of_sums.collect()).unwrap();
        let grid = groups.statistic.grid(&collection.known);
        let year = groups
            .statistic
            .groups()
            .iter()
            .position(|group| *group == sums.running.as_ref().unwrap().group);
        let step = if year == Some(groups.statistic.groups().len() - 1) {
            1
        } else {
            grid / classes.len()
        };
        let of_groups = (0..grid).map(|cell| number(cell / step % classes.len())).collect();
        let of_groups = Released::new(Mode::Exact, grid, vec![ReleasedColumn::exact(of_groups)]).unwrap();
        let answer = computed(&collection, &lowered, &[of_sums, of_groups]).unwrap();
        assert_eq!(answer.num_rows(), grid, "{sql}");
        let numbers = |at: usize| answer.column(at).as_primitive::<Int64Type>().values().to_vec();
        for (group, sum) in numbers(0).into_iter().zip(numbers(1)) {
            assert_eq!(sum, group + 100, "{sql}");
        }
    }
}

/// The numbers of a column that are not missing.
fn percentages(answer: &RecordBatch, column: usize) -> Vec<f64> {
    let values = arrow::compute::cast(answer.column(column), &arrow::datatypes::DataType::Float64).unwrap();
    values
        .as_primitive::<arrow::datatypes::Float64Type>()
        .iter()
        .flatten()
        .collect()
}

/// The total of the groups that are shown is not the total.
#[test]
fn answer_above_cells_has_no_total_of_shown_ones() {
    let collection = Collection::named("omop");
    for sql in [
        "SELECT gender_source_value, avg(count(*)) OVER () FROM person GROUP BY gender_source_value".to_owned(),
        format!("SELECT sum(n) OVER () AS s FROM ({BY_GENDER}) t WHERE n IS NOT NULL"),
    ] {
        let refused = above(&collection, &sql, &[0..20, 20..35]);
        assert!(matches!(refused, Err(QueryError::Invalid { .. })), "{sql}: {refused:?}");
    }
}

/// Ranks and first rows are those of the groups that are shown: a withheld one, or one without anyone, has no number.
#[test]
fn answer_above_cells_ranks_the_shown_ones_only() {
    let collection = Collection::named("omop");
    let shown = format!("FROM ({BY_GENDER}) t WHERE n IS NOT NULL");
    let ranked =
        format!("SELECT n, rank() OVER (ORDER BY n DESC) AS r, lag(n) OVER (ORDER BY n DESC) AS before {shown}");
    let first = format!("SELECT n {shown} ORDER BY n DESC LIMIT 2");
    for cells in [
        vec![0..20, 20..35],
        vec![0..20, 20..22],
        vec![0..20, 20..32, 32..60],
        vec![0..15, 15..30],
    ] {
        let column = |answer: &RecordBatch, at: usize| -> Vec<Option<i64>> {
            let values = arrow::compute::cast(answer.column(at), &arrow::datatypes::DataType::Int64).unwrap();
            values.as_primitive::<Int64Type>().iter().collect()
        };
        let plain = above(&collection, BY_GENDER, &cells).unwrap();
        let mut largest: Vec<i64> = column(&plain, 1).into_iter().flatten().collect();
        largest.sort_unstable();
        largest.reverse();
        let answer = above(&collection, &ranked, &cells).unwrap();
        let mut rows: Vec<_> = column(&answer, 0).into_iter().zip(column(&answer, 1)).collect();
        rows.sort_unstable();
        let rank = |n: i64| i64::try_from(largest.iter().filter(|other| **other > n).count()).unwrap() + 1;
        let mut expected: Vec<_> = largest.iter().map(|n| (Some(*n), Some(rank(*n)))).collect();
        expected.sort_unstable();
        assert_eq!(rows, expected, "{cells:?}");
        let missing = column(&answer, 2).into_iter().filter(Option::is_none).count();
        assert_eq!(
            missing,
            usize::from(!largest.is_empty()),
            "the first one has no neighbor"
        );
        let top: Vec<i64> = column(&above(&collection, &first, &cells).unwrap(), 0)
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(top, largest.iter().copied().take(2).collect::<Vec<_>>(), "{cells:?}");
    }
}

/// Labels are text, also of a column with numbers: computing with them is refused, and is not a failure of the process.
#[test]
fn answer_above_cells_with_arithmetic_on_labels_is_refused() {
    let collection = Collection::named("omop");
    let sql = "SELECT year_of_birth + 1 AS y, count(*) AS n FROM person GROUP BY year_of_birth";
    let refused = above(&collection, sql, &[0..20, 20..35]);
    assert!(matches!(refused, Err(QueryError::Invalid { .. })), "{refused:?}");
}
