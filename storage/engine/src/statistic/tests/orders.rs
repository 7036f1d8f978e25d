//! First rows and ranks in the order of figures: what their reader has to know follows from the text.

use super::{
    Collection, sentence,
    several_cells::{FUNCTIONS, assert_refused, refused, written},
};
use crate::statistic::{FigureOrder, Form, MissingFigures, OrderedBy};

/// The functions that number rows by those before them only.
const RANKS: [&str; 3] = ["rank()", "dense_rank()", "row_number()"];

/// What the reader of an answer has to know of orders.
fn orders(omop: &Collection, sql: &str) -> Vec<FigureOrder> {
    let sql = written(sql);
    let lowered = omop.lower(&sql);
    let lowered = lowered.unwrap_or_else(|error| panic!("{sql}: {}", sentence(&error)));
    lowered.orders.into_iter().collect()
}

fn order(of: OrderedBy, column: Option<&str>, missing: MissingFigures) -> FigureOrder {
    FigureOrder {
        of,
        column: column.map(str::to_owned),
        missing,
    }
}

#[test]
fn limit_in_the_order_of_figures_has_a_remark() {
    let omop = Collection::named("omop");
    let first = |column| order(OrderedBy::FirstRows, column, MissingFigures::First);
    let last = |column| order(OrderedBy::FirstRows, column, MissingFigures::Last);
    let left_out = || order(OrderedBy::FirstRows, None, MissingFigures::LeftOut);
    for (sql, mut expected) in [
        (
            "SELECT g, n FROM GROUPS t ORDER BY n DESC NULLS LAST LIMIT 3",
            vec![last(Some("n"))],
        ),
        // In this dialect missing values come first then.
        (
            "SELECT g, n FROM GROUPS t ORDER BY n DESC LIMIT 3",
            vec![first(Some("n"))],
        ),
        (
            "SELECT g, n FROM GROUPS t ORDER BY n NULLS FIRST LIMIT 3",
            vec![first(Some("n"))],
        ),
        (
            "SELECT g, n FROM GROUPS t ORDER BY g, n LIMIT 3 OFFSET 1",
            vec![last(Some("n"))],
        ),
        ("SELECT g, n FROM GROUPS t ORDER BY n OFFSET 2", vec![last(Some("n"))]),
        ("SELECT g FROM GROUPS t ORDER BY n / 2 LIMIT 3", vec![last(None)]),
        (
            "SELECT g, n FROM GROUPS t ORDER BY n DESC NULLS LAST, m LIMIT 3",
            vec![last(Some("m")), last(Some("n"))],
        ),
        (
            "SELECT * FROM (SELECT g, n FROM GROUPS t ORDER BY n) q LIMIT 3",
            vec![last(Some("n"))],
        ),
        // What is missing is not more than 3.
        (
            "SELECT g, n FROM GROUPS t WHERE n > 3 ORDER BY n DESC LIMIT 3",
            vec![left_out()],
        ),
        (
            "SELECT g, n FROM GROUPS t WHERE n > 3 OR r = 'x' ORDER BY n LIMIT 3",
            vec![left_out(), last(Some("n"))],
        ),
        (
            "SELECT g, n FROM GROUPS t WHERE n IS NOT NULL AND m > 3 ORDER BY n LIMIT 3",
            vec![left_out()],
        ),
        (
            "SELECT DISTINCT n FROM GROUPS t ORDER BY n LIMIT 3",
            vec![left_out(), last(Some("n"))],
        ),
        (
            "SELECT n FROM ALL_OF a UNION ALL SELECT n FROM OLD_OF b WHERE n IS NOT NULL ORDER BY n LIMIT 3",
            vec![last(Some("n"))],
        ),
        (
            "SELECT count(*) AS c, (SELECT n FROM ALL_OF a ORDER BY n DESC LIMIT 1) AS most FROM omop.person",
            vec![first(Some("n"))],
        ),
        (
            "SELECT g, rank() OVER (ORDER BY n DESC NULLS LAST) AS w FROM GROUPS t ORDER BY w LIMIT 3",
            vec![
                last(Some("w")),
                order(OrderedBy::Ranks, Some("n"), MissingFigures::Last),
            ],
        ),
        (
            "SELECT g, n FROM GROUPS t WHERE n IS NOT NULL ORDER BY n DESC LIMIT 3",
            vec![],
        ),
        (
            "SELECT g, count(*) AS n FROM (SELECT gender_concept_id AS g FROM omop.person) q GROUP BY g \
             HAVING count(*) IS NOT NULL AND count(*) > 5 ORDER BY count(*) DESC LIMIT 3",
            vec![],
        ),
        ("SELECT g, n FROM GROUPS t ORDER BY n DESC", vec![]),
        ("SELECT g, n FROM GROUPS t ORDER BY g, r LIMIT 3", vec![]),
        ("SELECT g, n FROM GROUPS t WHERE n > 3 LIMIT 3", vec![]),
        ("SELECT DISTINCT n FROM GROUPS t", vec![]),
    ] {
        expected.sort();
        assert_eq!(orders(&omop, sql), expected, "{sql}");
    }
}

#[test]
fn limit_in_an_order_that_hides_figures_is_refused() {
    let limit = Some(Form::LimitOfCells);
    assert_refused(
        &Collection::named("omop"),
        &[
            ("SELECT g, n FROM GROUPS t ORDER BY coalesce(n, 0) DESC LIMIT 3", limit),
            ("SELECT g, n FROM GROUPS t ORDER BY n IS NULL, n DESC LIMIT 3", limit),
            ("SELECT g, n FROM GROUPS t ORDER BY greatest(n, 5) LIMIT 3", limit),
            // The ranks of each partition begin with one.
            (
                "SELECT g, rank() OVER (PARTITION BY r ORDER BY n) AS w FROM GROUPS t ORDER BY w LIMIT 3",
                limit,
            ),
            (
                "SELECT a.g FROM (SELECT g, n FROM ALL_OF x ORDER BY n) a JOIN OLD_OF b ON a.g = b.g LIMIT 3",
                limit,
            ),
            (
                "SELECT g, n FROM GROUPS t WHERE n > 3 ORDER BY coalesce(n, 0) DESC LIMIT 3",
                None,
            ),
        ],
    );
}

/// Groups of which the figure is missing have the last ranks, and change no other one.
#[test]
fn rank_with_missing_figures_last_has_a_remark() {
    let omop = Collection::named("omop");
    let last = |column| order(OrderedBy::Ranks, column, MissingFigures::Last);
    for (window, expected) in [
        ("ORDER BY n DESC NULLS LAST", vec![last(Some("n"))]),
        ("ORDER BY n", vec![last(Some("n"))]),
        ("PARTITION BY r ORDER BY n / 2 DESC NULLS LAST, g", vec![last(None)]),
        (
            "ORDER BY n DESC NULLS LAST, m DESC NULLS LAST",
            vec![last(Some("m")), last(Some("n"))],
        ),
    ] {
        for function in RANKS {
            let sql = format!("SELECT g, {function} OVER ({window}) AS w FROM GROUPS t");
            assert_eq!(orders(&omop, &sql), expected, "{sql}");
        }
        // These depend on how many rows there are, or on a row that may be one without anyone.
        for function in FUNCTIONS.iter().filter(|function| !RANKS.contains(function)) {
            let sql = format!("SELECT g, {function} OVER ({window}) AS w FROM GROUPS t");
            assert_eq!(refused(&omop, &sql), Some(Form::WindowOfCells), "{sql}");
        }
    }
}

#[test]
fn rank_of_which_missing_figures_are_not_last_is_refused() {
    let omop = Collection::named("omop");
    for (window, condition) in [
        ("ORDER BY n DESC", ""),
        ("ORDER BY n NULLS FIRST", ""),
        ("ORDER BY coalesce(n, 0) DESC NULLS LAST", ""),
        ("ORDER BY n DESC NULLS LAST, m DESC", ""),
        // Groups without anyone are between the others.
        ("ORDER BY g, n DESC NULLS LAST", ""),
        ("PARTITION BY n ORDER BY m DESC NULLS LAST", ""),
        ("ORDER BY n DESC NULLS LAST", "WHERE m > 3"),
    ] {
        let sql = format!("SELECT g, rank() OVER ({window}) AS w FROM GROUPS t {condition}");
        assert_eq!(refused(&omop, &sql), Some(Form::WindowOfCells), "{sql}");
    }
    // A group of the other table may be one without anyone.
    let joined = "FROM ALL_OF a JOIN OLD_OF b ON a.g = b.g";
    let rank = |by: &str| format!("SELECT rank() OVER (ORDER BY {by} DESC NULLS LAST) AS w {joined}");
    assert_eq!(refused(&omop, &rank("a.n")), Some(Form::WindowOfCells));
    assert_eq!(refused(&omop, &rank("a.n + b.n")), None);
}
