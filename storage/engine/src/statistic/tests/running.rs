//! Running sums over an ordered group, each of which is a cell of its own.

use concordat_protocol::scope::Value;

use super::{Collection, refusal, rows};
use crate::statistic::{Block, CellAggregate, Condition, Group, RunningRows};

/// The block with the running sums of a query, which is decided before the others.
fn running(collection: &Collection, sql: &str) -> (Block, RunningRows) {
    let lowered = collection.lower(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(lowered.blocks.len(), 2, "{sql}");
    assert!(lowered.blocks[1].running.is_none(), "{sql}");
    let block = lowered.blocks[0].clone();
    let rows = block.running.clone().unwrap_or_else(|| panic!("{sql}"));
    (block, rows)
}

/// Which rows the sum of a class is of; `None` if there is none.
fn up_to((block, rows): &(Block, RunningRows), class: usize) -> Option<&Condition> {
    let cell = rows.cells[0][class]?;
    Some(block.statistic.cells()[cell].filter())
}

/// The class of a label of the query.
fn labeled(rows: &RunningRows, label: &Value) -> usize {
    let Group::Buckets { buckets, rest, .. } = &rows.group else {
        panic!("{:?}", rows.group)
    };
    let found = buckets.iter().position(|bucket| bucket.label.as_ref() == Some(label));
    found.unwrap_or_else(|| {
        assert_eq!(rest.as_ref(), Some(label));
        buckets.len()
    })
}

fn years(condition: &str, order: &str) -> String {
    format!(
        "SELECT date_part('year', diagdateb) AS y, count(*) AS n, sum(count(*)) OVER (ORDER BY {order}) AS total \
         FROM lymph_node {condition} GROUP BY 1 ORDER BY 1"
    )
}

const YEAR: &str = "date_part('year', diagdateb)";

#[test]
fn running_sum_is_the_number_up_to_the_group() {
    let collection = Collection::named("lymph_node");
    let before = |condition: &str| {
        rows(
            &collection,
            &format!("SELECT count(*) FROM lymph_node WHERE {condition}"),
        )
    };
    for (order, year, condition) in [
        (YEAR, 1980, "diagdateb < DATE '1981-01-01'"),
        (YEAR, 1992, "diagdateb IS NOT NULL"),
        (
            "date_part('year', diagdateb) DESC NULLS LAST",
            1980,
            "diagdateb >= DATE '1980-01-01'",
        ),
        (
            "date_part('year', diagdateb) ASC NULLS FIRST",
            1980,
            "diagdateb < DATE '1981-01-01' OR diagdateb IS NULL",
        ),
        (
            "date_part('year', diagdateb) ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
            1980,
            "diagdateb < DATE '1981-01-01'",
        ),
    ] {
        let found = running(&collection, &years("", order));
        assert!(found.0.statistic.groups().is_empty(), "{order}");
        let class = labeled(&found.1, &Value::Int(year));
        assert_eq!(up_to(&found, class), Some(&before(condition)), "{order} {year}");
    }
}

/// Missing values are a group: after all others, so that its sum is the total.
#[test]
fn running_sum_of_missing_values_is_the_total() {
    let collection = Collection::named("lymph_node");
    let found = running(&collection, &years("", YEAR));
    let Group::Buckets {
        buckets, rest: None, ..
    } = &found.1.group
    else {
        panic!("{:?}", found.1.group)
    };
    assert_eq!(up_to(&found, buckets.len()), Some(&Condition::All));
    let first = running(&collection, &years("", &format!("{YEAR} NULLS FIRST")));
    let missing = rows(&collection, "SELECT count(*) FROM lymph_node WHERE diagdateb IS NULL");
    assert_eq!(up_to(&first, buckets.len()), Some(&missing));
}

#[test]
fn running_sum_is_of_rows_that_meet_the_condition() {
    let collection = Collection::named("lymph_node");
    let within = "WHERE diagdateb >= DATE '1985-01-01' AND diagdateb < DATE '1988-01-01'";
    let found = running(&collection, &years(within, YEAR));
    let of = |year: i64| up_to(&found, labeled(&found.1, &Value::Int(year)));
    assert!(matches!(of(1985), Some(Condition::Test(..))));
    assert_eq!(of(1987), Some(&Condition::All));
    let Group::Buckets { buckets, .. } = &found.1.group else {
        panic!("{:?}", found.1.group)
    };
    assert_eq!(buckets.len(), 3, "no row is in another year");
    assert_eq!(found.0.statistic.cells().len(), 3);
}

#[test]
fn running_sum_in_the_order_of_edges_is_one_of_numbers() {
    let collection = Collection::named("heart");
    let by_age = |order: &str| {
        format!("SELECT age, count(*) AS n, sum(count(*)) OVER (ORDER BY age {order}) AS total FROM heart GROUP BY age")
    };
    let condition = |sql: &str| rows(&collection, &format!("SELECT count(*) FROM heart WHERE {sql}"));
    let ascending = running(&collection, &by_age(""));
    // `<30` is before `30-34`, although it is not in the order of texts.
    assert_eq!(up_to(&ascending, 0), Some(&condition("age < 30")));
    assert_eq!(up_to(&ascending, 4), Some(&condition("age < 50")));
    assert_eq!(up_to(&ascending, 9), Some(&condition("age IS NOT NULL")));
    let descending = running(&collection, &by_age("DESC NULLS LAST"));
    assert_eq!(up_to(&descending, 9), Some(&condition("age >= 70")));
    assert_eq!(up_to(&descending, 0), Some(&condition("age IS NOT NULL")));
}

#[test]
fn running_sum_of_a_partition_has_its_groups() {
    let collection = Collection::named("heart");
    let by = |over: &str| {
        format!("SELECT sex, age, count(*) AS n, sum(count(*)) OVER ({over}) AS total FROM heart GROUP BY sex, age")
    };
    let found = running(&collection, &by("PARTITION BY sex ORDER BY age"));
    assert_eq!(found.0.statistic.groups().len(), 1);
    // Rows of one age are equal in this order, so that both sexes are in the sum.
    let both = running(&collection, &by("ORDER BY age"));
    assert!(both.0.statistic.groups().is_empty());
    let rows = "ORDER BY age ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW";
    assert!(refusal(&collection, &by(rows)).starts_with("an aggregate with `OVER`"));
}

#[test]
fn running_sums_of_several_figures_are_one_grouping() {
    let collection = Collection::named("heart");
    let sql = "SELECT age, sum(count(*)) OVER (ORDER BY age) AS n, sum(sum(target)) OVER (ORDER BY age) AS diseased, \
               100.0 * sum(count(*)) OVER (ORDER BY age) / sum(count(*)) OVER () AS percent FROM heart GROUP BY age";
    let lowered = collection.lower(sql).unwrap();
    let sums: Vec<usize> = lowered
        .blocks
        .iter()
        .map(|block| block.running.as_ref().map_or(0, |rows| rows.cells.len()))
        .collect();
    assert_eq!(sums.iter().sum::<usize>(), 2, "{sums:?}");
    assert_eq!(lowered.blocks.len(), 3, "the total, the running sums, and the groups");
}

/// Each cell is one of a query with a `FILTER` for each group: the audit knows both by one description.
#[test]
fn running_sums_are_filters_of_a_query() {
    let collection = Collection::named("lung");
    let sql = "SELECT age, sum(count(*)) OVER (ORDER BY age) AS n FROM lung GROUP BY age";
    let (block, _) = running(&collection, sql);
    let edges = [50, 60, 65, 66, 70];
    let filters = edges.map(|edge| format!("count(*) FILTER (WHERE age < {edge})"));
    let filters = format!("SELECT {}, count(age), count(*) FROM lung", filters.join(", "));
    let filtered = collection.lower(&filters).unwrap().blocks.remove(0).statistic;
    assert_eq!(block.statistic, filtered);
    assert!(
        filtered
            .cells()
            .iter()
            .all(|cell| matches!(cell, CellAggregate::Subjects { .. }))
    );
}

#[test]
fn running_sums_without_a_known_order_are_refused() {
    let collection = Collection::named("heart");
    let counted = "SELECT sex, age, cp, count(*) AS n, avg(chol) AS m FROM heart GROUP BY sex, age, cp";
    for sql in [
        // Listed values have names.
        format!("SELECT sum(n) OVER (ORDER BY sex) AS t FROM ({counted}) c"),
        format!("SELECT sum(n) OVER (ORDER BY age, cp) AS t FROM ({counted}) c"),
        format!("SELECT sum(n) OVER (ORDER BY n) AS t FROM ({counted}) c"),
        format!("SELECT sum(n) OVER (ORDER BY age + 1) AS t FROM ({counted}) c"),
        format!("SELECT sum(n) OVER (PARTITION BY age ORDER BY age) AS t FROM ({counted}) c"),
        format!("SELECT sum(n) OVER (ORDER BY age ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS t FROM ({counted}) c"),
        format!(
            "SELECT sum(n) OVER (ORDER BY age RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS t FROM ({counted}) c"
        ),
        format!("SELECT sum(m) OVER (ORDER BY age) AS t FROM ({counted}) c"),
        format!("SELECT avg(n) OVER (ORDER BY age) AS t FROM ({counted}) c"),
        format!("SELECT sum(n) OVER (ORDER BY age) AS t FROM ({counted} HAVING count(*) > 5) c"),
        format!("SELECT sum(n) OVER (ORDER BY age) AS t FROM ({counted} LIMIT 3) c"),
        "SELECT sum(count(*)) OVER (ORDER BY age ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS t FROM heart GROUP BY age".to_owned(),
        "SELECT sum(count(*)) OVER (ORDER BY coalesce(age, 0)) AS t FROM heart GROUP BY coalesce(age, 0)".to_owned(),
    ] {
        let found = refusal(&collection, &sql);
        assert!(found.starts_with("an aggregate with `OVER`"), "{sql}: {found}");
    }
}

/// Each is a figure.
#[test]
fn running_sums_of_many_groups_are_refused() {
    let omop = Collection::named("omop");
    let by_month = |condition: &str| {
        format!(
            "SELECT date_trunc('month', condition_start_date) AS m, sum(count(*)) OVER (ORDER BY date_trunc('month', condition_start_date)) \
             AS t FROM condition_occurrence {condition} GROUP BY 1"
        )
    };
    let refused = refusal(&omop, &by_month(""));
    assert!(
        refused.contains("64 running sums") && refused.contains("add a condition"),
        "{refused}"
    );
    let years = "WHERE condition_start_date >= DATE '2010-01-01' AND condition_start_date < DATE '2014-01-01'";
    let found = running(&omop, &by_month(years));
    assert_eq!(found.0.statistic.cells().len(), 48);
}
