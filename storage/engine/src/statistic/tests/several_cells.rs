//! What depends on several cells is refused, or is of those that are shown.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::{
    common::TableReference, datasource::empty::EmptyTable, execution::context::SessionContext,
    logical_expr::LogicalPlan,
};

use super::{Collection, sentence};
use crate::{
    home_state,
    meaning::plan_of,
    parse,
    statistic::{CellTables, Form, NotCountable},
};

pub(super) const FUNCTIONS: [&str; 11] = [
    "rank()",
    "dense_rank()",
    "row_number()",
    "percent_rank()",
    "cume_dist()",
    "ntile(4)",
    "lag(n)",
    "lead(n)",
    "first_value(n)",
    "last_value(n)",
    "nth_value(n, 2)",
];
const AGGREGATES: [&str; 6] = ["sum(n)", "avg(n)", "count(n)", "count(*)", "min(n)", "max(n)"];
const WINDOWS: [&str; 6] = [
    "",
    "ORDER BY n DESC",
    "ORDER BY g",
    "PARTITION BY r ORDER BY n / 2 DESC",
    "PARTITION BY n ORDER BY g",
    "ORDER BY coalesce(n, 0)",
];
/// Conditions after which `n` can be missing, or after which it is not stated that groups are left out.
const NOT_STATED: [&str; 8] = [
    "",
    "WHERE n > 10",
    "WHERE n IS NULL",
    "WHERE g IS NOT NULL",
    "WHERE coalesce(n, 0) IS NOT NULL",
    "WHERE n > 10 OR n IS NOT NULL",
    "WHERE n IS NOT NULL OR m IS NOT NULL",
    "WHERE (n IS NOT NULL) IS NOT NULL",
];
const STATED: [&str; 4] = [
    "WHERE n IS NOT NULL",
    "WHERE n IS NOT NULL AND n > 10",
    "WHERE n * 2 IS NOT NULL AND g IS NOT NULL",
    "WHERE m IS NOT NULL AND n IS NOT NULL AND m > 3",
];
const GROUPS: &str = "(SELECT gender_concept_id AS g, race_source_value AS r, count(*) AS n, avg(year_of_birth) AS m \
                      FROM omop.person GROUP BY 1, 2)";
const ALL: &str = "(SELECT gender_concept_id AS g, count(*) AS n FROM omop.person GROUP BY 1)";
const OLD: &str =
    "(SELECT gender_concept_id AS g, count(*) AS n FROM omop.person WHERE year_of_birth < 1950 GROUP BY 1)";

/// The text with the derived tables in place of their names.
pub(super) fn written(sql: &str) -> String {
    sql.replace("GROUPS", GROUPS)
        .replace("ALL_OF", ALL)
        .replace("OLD_OF", OLD)
}

/// The form because of which a query is refused; `None` if it is lowered.
pub(super) fn refused(omop: &Collection, sql: &str) -> Option<Form> {
    let sql = written(sql);
    form(&sql, omop.lower(&sql).map(drop))
}

fn form(sql: &str, found: Result<(), NotCountable>) -> Option<Form> {
    match found {
        Ok(()) => None,
        Err(NotCountable::Form(form)) => Some(form),
        Err(other) => panic!("{sql}: {}", sentence(&other)),
    }
}

pub(super) fn assert_refused(omop: &Collection, expected: &[(&str, Option<Form>)]) {
    for (sql, form) in expected {
        assert_eq!(refused(omop, sql), *form, "{sql}");
    }
}

#[test]
fn window_over_cells_needs_those_that_are_shown() {
    let omop = Collection::named("omop");
    for function in FUNCTIONS {
        for window in WINDOWS {
            let sql = |condition: &str| format!("SELECT g, {function} OVER ({window}) AS w FROM GROUPS t {condition}");
            for condition in NOT_STATED {
                let sql = sql(condition);
                assert_eq!(refused(&omop, &sql), Some(Form::WindowOfCells), "{sql}");
            }
            for condition in STATED {
                let sql = sql(condition);
                assert_eq!(refused(&omop, &sql), None, "{sql}");
            }
        }
    }
}

/// The total of the groups that are shown would be read as the total.
#[test]
fn window_of_an_aggregate_over_cells_is_refused() {
    let omop = Collection::named("omop");
    for aggregate in AGGREGATES {
        for window in WINDOWS {
            for condition in NOT_STATED.iter().chain(&STATED) {
                // That is a grouping of its own.
                if (aggregate, window, *condition) == ("sum(n)", "", "") {
                    continue;
                }
                let sql = format!("SELECT g, {aggregate} OVER ({window}) AS w FROM GROUPS t {condition}");
                assert_eq!(refused(&omop, &sql), Some(Form::TotalOfCells), "{sql}");
            }
        }
    }
}

#[test]
fn window_needs_each_figure_that_it_depends_on() {
    let window = Some(Form::WindowOfCells);
    assert_refused(
        &Collection::named("omop"),
        &[
            (
                "SELECT rank() OVER (ORDER BY g) AS w FROM GROUPS t WHERE m IS NOT NULL",
                None,
            ),
            (
                "SELECT rank() OVER (ORDER BY n DESC) AS w FROM GROUPS t WHERE m IS NOT NULL",
                window,
            ),
            (
                "SELECT rank() OVER (ORDER BY n) AS w FROM GROUPS t WHERE n IS NOT NULL AND m > 3",
                window,
            ),
            (
                "SELECT rank() OVER (ORDER BY n + m DESC) AS w FROM GROUPS t WHERE n IS NOT NULL",
                window,
            ),
            (
                "SELECT row_number() OVER () AS w FROM (SELECT n FROM GROUPS t WHERE m IS NOT NULL ORDER BY n) q",
                window,
            ),
            (
                "SELECT rank() OVER (ORDER BY x) AS w FROM (SELECT n + m AS x FROM GROUPS t) q WHERE x IS NOT NULL",
                None,
            ),
            (
                "SELECT rank() OVER (ORDER BY x) AS w FROM (SELECT greatest(n, 5) AS x FROM GROUPS t) q WHERE x IS NOT NULL",
                window,
            ),
            (
                "SELECT g, rank() OVER (ORDER BY count(*)) AS w FROM (SELECT gender_concept_id AS g FROM omop.person) q GROUP BY g \
                 HAVING count(*) IS NOT NULL",
                None,
            ),
            (
                "SELECT rank() OVER (ORDER BY a.n) AS w FROM ALL_OF a JOIN OLD_OF b ON a.g = b.g WHERE a.n IS NOT NULL",
                window,
            ),
            (
                "SELECT rank() OVER (ORDER BY a.n) AS w FROM ALL_OF a JOIN OLD_OF b ON a.g = b.g WHERE a.n IS NOT NULL AND b.n IS NOT NULL",
                None,
            ),
            (
                "SELECT rank() OVER (ORDER BY n DESC) AS w FROM (SELECT count(*) AS n FROM omop.person) q",
                window,
            ),
        ],
    );
}

#[test]
fn join_over_cells_has_no_row_because_one_is_withheld() {
    let join = Some(Form::JoinOfCells);
    assert_refused(
        &Collection::named("omop"),
        &[
            (
                "SELECT a.g, a.n - b.n AS d FROM ALL_OF a JOIN OLD_OF b ON a.g = b.g",
                None,
            ),
            (
                "SELECT a.g, b.n FROM ALL_OF a JOIN OLD_OF b ON a.g = b.g AND a.n > b.n",
                None,
            ),
            ("SELECT a.g, b.n FROM ALL_OF a LEFT JOIN OLD_OF b ON a.g = b.g", None),
            (
                "SELECT a.g, b.n FROM ALL_OF a LEFT JOIN OLD_OF b ON a.g = b.g WHERE b.n > 10",
                None,
            ),
            (
                "SELECT a.g, b.g AS h FROM ALL_OF a LEFT JOIN OLD_OF b ON a.g = b.g AND b.n > 10",
                join,
            ),
            (
                "SELECT a.g, b.g AS h FROM ALL_OF a LEFT JOIN (SELECT g FROM OLD_OF c WHERE n > 10) b ON a.g = b.g",
                join,
            ),
            (
                "SELECT a.g, b.g AS h FROM (SELECT g FROM ALL_OF c WHERE n > 10) a RIGHT JOIN OLD_OF b ON a.g = b.g",
                join,
            ),
            (
                "SELECT a.g, b.g AS h FROM ALL_OF a FULL JOIN (SELECT g FROM OLD_OF c WHERE n > 10) b ON a.g = b.g",
                join,
            ),
            (
                "SELECT a.g, b.g AS h FROM ALL_OF a FULL JOIN OLD_OF b ON a.n = b.n",
                join,
            ),
            ("SELECT g FROM ALL_OF a EXCEPT SELECT g FROM OLD_OF b", None),
            (
                "SELECT g FROM ALL_OF a EXCEPT SELECT g FROM OLD_OF b WHERE n > 10",
                join,
            ),
            ("SELECT g, n FROM ALL_OF a EXCEPT SELECT g, n FROM OLD_OF b", join),
            ("SELECT g, n FROM ALL_OF a INTERSECT SELECT g, n FROM OLD_OF b", join),
        ],
    );
}

/// A percentage of a total is missing where either is.
#[test]
fn window_over_a_percentage_needs_the_total_too() {
    let percent = "(SELECT n, n * 100 / (SELECT count(*) FROM omop.person) AS p FROM ALL_OF a)";
    let sql = |condition: &str| format!("SELECT rank() OVER (ORDER BY p DESC) AS w FROM {percent} q {condition}");
    let omop = Collection::named("omop");
    assert_eq!(
        refused(&omop, &format!("SELECT n, p FROM {percent} q ORDER BY p")),
        None
    );
    assert_eq!(refused(&omop, &sql("WHERE p IS NOT NULL")), None);
    assert_eq!(
        refused(&omop, &sql("WHERE n IS NOT NULL")),
        Some(Form::WindowOfCells),
        "the total can be missing"
    );
}

/// The plan of a consumer's node over tables of cells and a table of records.
fn planned(sql: &str) -> LogicalPlan {
    let context = SessionContext::new_with_state(home_state(1 << 20, "omop").unwrap());
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    for (name, fields) in [
        ("cells_1", vec![text("g"), number("n")]),
        ("cells_2", vec![text("h"), number("k")]),
        ("records", vec![text("y"), number("x")]),
    ] {
        let table = EmptyTable::new(Arc::new(Schema::new(fields)));
        context
            .register_table(TableReference::bare(name), Arc::new(table))
            .unwrap();
    }
    let statement = parse(sql, 64).unwrap().pop().unwrap();
    let plan = futures::executor::block_on(plan_of(&context.state(), &statement));
    plan.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

#[test]
fn plan_of_a_consumer_over_cells_is_checked_whole() {
    let tables = CellTables::new(["cells_1", "cells_2"].map(|name| (name.to_owned(), vec![false, true])));
    let other = Some(Form::OtherOfCells);
    for (sql, expected) in [
        ("SELECT g, n, x FROM cells_1 JOIN records ON g = y", None),
        ("SELECT y, sum(x) OVER () AS s FROM records", None),
        ("SELECT y, rank() OVER (ORDER BY x) AS s FROM records LIMIT 3", None),
        (
            "SELECT y, count(*) AS c FROM records GROUP BY y ORDER BY c LIMIT 3",
            None,
        ),
        (
            "SELECT g, n FROM cells_1 WHERE g IN (SELECT y FROM records WHERE x > 3)",
            None,
        ),
        ("SELECT g, n FROM cells_1 WHERE g NOT IN (SELECT h FROM cells_2)", None),
        ("SELECT sum(n) AS s FROM cells_1", other),
        ("SELECT g, count(*) AS c FROM cells_1 GROUP BY g", other),
        ("SELECT n, count(*) AS c FROM cells_1 GROUP BY n", other),
        ("SELECT x, (SELECT max(n) FROM cells_1) AS most FROM records", other),
        (
            "SELECT g FROM cells_1 WHERE g NOT IN (SELECT h FROM cells_2 WHERE k > 3)",
            other,
        ),
        ("SELECT g FROM cells_1 WHERE n IN (SELECT x FROM records)", other),
        (
            "SELECT g FROM cells_1 WHERE g IN (SELECT h FROM cells_2 WHERE k IS NOT NULL)",
            other,
        ),
        (
            "SELECT y FROM records WHERE NOT EXISTS (SELECT 1 FROM cells_1 WHERE g = y AND n > 3)",
            other,
        ),
        (
            "SELECT g FROM cells_1 WHERE EXISTS (SELECT 1 FROM records WHERE x = cells_1.n)",
            other,
        ),
        (
            "SELECT x, sum(n) OVER () AS s FROM cells_1 JOIN records ON g = y",
            Some(Form::TotalOfCells),
        ),
        (
            "SELECT y, rank() OVER (ORDER BY x) AS r FROM cells_1 JOIN records ON g = y WHERE n > 3",
            Some(Form::WindowOfCells),
        ),
    ] {
        assert_eq!(form(sql, tables.check(&planned(sql)).map(drop)), expected, "{sql}");
    }
}

/// A table of cells that has more columns than are known has figures in them.
#[test]
fn table_of_cells_has_figures_in_unknown_columns() {
    let tables = CellTables::new([("cells_1".to_owned(), vec![false])]);
    let plan = planned("SELECT g FROM cells_1 ORDER BY coalesce(n, 0) LIMIT 1");
    assert_eq!(form("n", tables.check(&plan).map(drop)), Some(Form::LimitOfCells));
}

#[test]
fn grouping_without_an_aggregate_is_refused() {
    let none = Some(Form::NoAggregate);
    assert_refused(
        &Collection::named("omop"),
        &[
            ("SELECT gender_concept_id FROM omop.person GROUP BY 1", none),
            ("SELECT 1 AS one FROM omop.person GROUP BY gender_concept_id", none),
            (
                "SELECT DISTINCT gender_concept_id FROM omop.person GROUP BY gender_concept_id",
                none,
            ),
            (
                "SELECT gender_concept_id FROM omop.person GROUP BY 1 HAVING gender_concept_id IS NOT NULL ORDER BY 1",
                none,
            ),
            (
                "SELECT count(*) AS n FROM omop.person UNION ALL SELECT gender_concept_id FROM omop.person GROUP BY 1",
                none,
            ),
            ("SELECT DISTINCT gender_concept_id FROM omop.person", Some(Form::Rows)),
            ("SELECT 1 AS one FROM omop.person", Some(Form::Rows)),
            ("SELECT 1 AS one", Some(Form::Rows)),
            (
                "SELECT gender_concept_id FROM omop.person GROUP BY 1 HAVING count(*) > 5",
                None,
            ),
            (
                "SELECT gender_concept_id FROM omop.person GROUP BY 1 ORDER BY count(*)",
                None,
            ),
            ("SELECT 1 AS one FROM omop.person HAVING count(*) > 5", None),
        ],
    );
}

/// The planner has one column for both.
#[test]
fn grouping_by_a_column_named_twice_is_by_one() {
    let omop = Collection::named("omop");
    let sql = "SELECT gender_concept_id, count(*) AS n FROM omop.person GROUP BY gender_concept_id, 1";
    let lowered = omop.lower(sql).unwrap();
    let [block] = lowered.blocks.as_slice() else {
        panic!("{lowered:?}")
    };
    assert_eq!(block.columns.len(), 2, "{block:?}");
}
