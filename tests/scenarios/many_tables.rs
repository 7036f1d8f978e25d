//! One query that uses many tables of one provider has all of their answers open when the engine needs them.

use std::fmt::Write;

use concordat_tests::{Import, World};

/// More than one person may have open at one provider by queries of their own.
const TABLES: usize = 12;
const PATIENTS: u32 = 40_000;

#[test]
fn query_over_many_tables_of_one_provider_completes() {
    let world = World::consortium(2);
    let mut csv = "patient,age\n".to_owned();
    for n in 0..PATIENTS {
        // One that a few rows only have, so that joins by it stay small.
        writeln!(csv, "{n},{}", if n < 10 { n } else { n + 1000 }).unwrap();
    }
    let file = world.file("ages.csv", csv);
    let ages = Import {
        dataset: "ages",
        from: &file,
        args: &["--subject-column", "patient"],
        classes: &["patient=direct-identifier", "age=ordinary"],
    };
    world.share("cleveland", ages);
    world.grant("budapest", "cleveland", "ages", &[]);

    let tables = |name: fn(usize) -> String, between: &str| -> String {
        (0..TABLES).map(name).collect::<Vec<_>>().join(between)
    };
    let union = tables(|_| "SELECT age FROM cleveland.ages".to_owned(), " UNION ALL ");
    let sorted = tables(
        |_| "(SELECT age FROM cleveland.ages ORDER BY age DESC)".to_owned(),
        " UNION ALL ",
    );
    let inner = tables(
        |n| match n {
            0 => "cleveland.ages a0".to_owned(),
            _ => format!("cleveland.ages a{n} ON a{n}.age = a{}.age", n - 1),
        },
        " JOIN ",
    );
    let rows = u64::from(PATIENTS);
    let researcher = world.node("budapest");
    for (what, from, expected) in [
        ("a join", format!("SELECT count(*) AS n FROM {inner}"), rows),
        (
            "a full join",
            format!("SELECT count(*) AS n FROM {}", inner.replace("JOIN", "FULL JOIN")),
            rows,
        ),
        (
            "a union",
            format!("SELECT count(age) AS n FROM ({union})"),
            rows * TABLES as u64,
        ),
        (
            "sorted rows",
            format!("SELECT count(age) AS n FROM ({sorted})"),
            rows * TABLES as u64,
        ),
        (
            "an ordered union",
            format!("SELECT count(age) AS n FROM (SELECT age, row_number() OVER (ORDER BY age) FROM ({union}))"),
            rows * TABLES as u64,
        ),
    ] {
        let answer = researcher.query(&from).ok().table();
        assert_eq!(answer.rows, [[expected.to_string()]], "{what}");
    }
}
