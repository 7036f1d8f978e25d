//! Queries of an institution's own people that need more memory than there is: each is an error, and the daemon goes on.

use std::fmt::Write as _;

use concordat_tests::{Import, TestNode, World};

/// Subjects of `heart`, each of whom is joined with a row of `notes`.
const SUBJECTS: usize = 303;
/// Text columns of `notes`.
const TEXTS: usize = 30;
/// Length of each text, in bytes: a row is within what an import and a message may have.
const LENGTH: usize = 500_000;

fn share(world: &World) {
    let rows: String = (0..SUBJECTS)
        .map(|n| format!("{n},{},{}\n", n % 2, 30 + n % 60))
        .collect();
    let heart = world.file("heart.csv", format!("patient,sex,age\n{rows}"));
    let heart = Import {
        dataset: "heart",
        from: &heart,
        args: &["--subject-column", "patient"],
        classes: &["patient=direct-identifier", "sex=ordinary", "age=ordinary"],
    };
    let names: Vec<String> = (0..TEXTS).map(|text| format!("text_{text}")).collect();
    let texts = vec!["x".repeat(LENGTH); TEXTS].join(",");
    let mut notes = format!("patient,sex,{}\n", names.join(","));
    for row in 0..2 {
        writeln!(notes, "{row},{row},{texts}").unwrap();
    }
    let notes = world.file("notes.csv", notes);
    let notes = Import {
        dataset: "notes",
        from: &notes,
        args: &["--subject-column", "patient"],
        classes: &["patient=direct-identifier", "sex=ordinary", "text_*=ordinary"],
    };
    for import in [heart, notes] {
        world.share("budapest", import);
        world.grant("cleveland", "budapest", import.dataset, &[]);
    }
}

/// The query has no answer, and the node that it was sent to answers the next one.
#[track_caller]
fn assert_only_an_error(node: &TestNode, sql: &str) {
    let daemon = node.pid();
    let shown: String = sql.chars().take(100).collect();
    let answered = node.query(sql);
    assert_ne!(answered.code, Some(0), "{shown}: {}", answered.report());
    let next = node
        .query("SELECT initcap('a') AS a, count(*) AS n FROM budapest.heart")
        .ok();
    assert_eq!(next.table().rows, [["A".to_owned(), SUBJECTS.to_string()]], "{shown}");
    assert_eq!(node.pid(), daemon, "{shown}");
}

#[test]
fn own_query_without_bound_is_an_error_of_that_query() {
    let world = World::consortium(2);
    share(&world);
    let stars = vec!["*"; 60].join(",");
    let nested = (0..3).fold(format!("SELECT {stars} FROM budapest.heart"), |inner, level| {
        format!("SELECT {stars} FROM ({inner}) AS t{level}")
    });
    let both = "SELECT sex, age FROM budapest.heart UNION ALL SELECT sex, age FROM budapest.heart";
    for sql in [
        // One row of a peer, a few hundred times.
        "SELECT a.age, n.* FROM budapest.heart a JOIN budapest.notes n ON a.sex = n.sex",
        // Columns without number.
        &nested,
        // Text without bound, by a literal and by a value.
        &format!("SELECT max(length(repeat(CAST(age AS TEXT), 1000000000))) AS n FROM ({both})"),
        &format!("SELECT max(length(repeat(CAST(age AS TEXT), age * 1000000))) AS n FROM ({both})"),
    ] {
        assert_only_an_error(world.node("cleveland"), sql);
    }
}
