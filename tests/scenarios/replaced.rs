//! A dataset gets other columns while grants over it are in use, or has columns that are not classified.

use std::fmt::Write as _;

use concordat_tests::{Import, Person, World};

use super::{assert_close, number};

/// The number of rows, each of another person.
const PEOPLE: u32 = 40;

/// Four columns under these names, the first of which identifies persons.
fn table(header: &str) -> String {
    let mut rows = format!("{header}\n");
    for n in 0..PEOPLE {
        writeln!(rows, "P{n},{},{},{}", n % 2, 180 + n, 10 * n).unwrap();
    }
    rows
}

#[test]
fn grant_is_used_for_the_columns_that_a_new_version_has() {
    let world = World::consortium(2);
    own_columns_without_a_class_name_the_command(&world);
    let first = world.file("heart.csv", table("record,sex,chol,score"));
    let import = Import {
        dataset: "heart",
        from: &first,
        args: &["--subject-column", "record"],
        classes: &[
            "record=direct-identifier",
            "sex=ordinary",
            "chol=ordinary",
            "score=ordinary",
        ],
    };
    world.share("cleveland", import);
    let grant = world.grant("budapest", "cleveland", "heart", &["--columns", "sex,chol,score"]);
    world.grant(
        "budapest",
        "cleveland",
        "heart",
        &["--columns", "score", "--where", "CHOL >= 200"],
    );
    let consumer = world.node("budapest");
    let used = "SELECT count(*) AS n, avg(chol) AS chol FROM cleveland.heart";
    consumer.query(used).ok();

    rename(&world);
    let rest = "SELECT count(*) AS n, avg(score) AS score FROM cleveland.heart";
    let answer = consumer.query(rest).ok().stdout;
    let (n, score) = answer.lines().nth(1).and_then(|row| row.split_once(',')).unwrap();
    assert_eq!(n, "40", "{answer}");
    assert_close(number(score), 195.0);
    let all = consumer.query("SELECT * FROM cleveland.heart").ok().stdout;
    assert_eq!(all.lines().next(), Some("sex,score"), "{all}");
    for lost in [used, "SELECT cholesterol FROM cleveland.heart"] {
        let refused = consumer.refused_as(Person::Researcher, 2, &["query", lost]);
        assert!(refused.to_string().contains("no column `chol"), "{refused}");
    }

    // What selects the rows of the other grant is lost, so that it is not known which rows may leave.
    consumer
        .run_as(Person::Researcher, &["grant", "relinquish", &grant, "--reason", "done"])
        .ok();
    let refused = consumer.refused_as(Person::Researcher, 3, &["query", rest]);
    assert!(refused.to_string().contains("`chol`"), "{refused}");
}

/// The holder gives a column another name.
fn rename(world: &World) {
    let holder = world.node("cleveland");
    let second = world.file("renamed.csv", table("record,sex,cholesterol,score"));
    let path = second.to_str().unwrap();
    let steps: [&[&str]; 3] = [
        &["dataset", "import", "heart", "--from", path, "--replace"],
        &["dataset", "classify", "heart", "cholesterol=ordinary"],
        &["dataset", "publish", "heart"],
    ];
    for step in steps {
        holder.run_as(Person::Steward, step).ok();
    }
}

fn own_columns_without_a_class_name_the_command(world: &World) {
    let holder = world.node("cleveland");
    let file = world.file("lab.csv", table("pid,sex,ldl,score"));
    let path = file.to_str().unwrap();
    let import = ["dataset", "import", "lab", "--from", path, "--subject-column", "pid"];
    holder.run_as(Person::Steward, &import).ok();
    let count = "SELECT count(*) AS n FROM cleveland.lab";
    let refused = holder.refused_as(Person::Researcher, 3, &["query", count]);
    for expected in ["not classified", "concordat dataset classify lab"] {
        assert!(refused.to_string().contains(expected), "{expected}: {refused}");
    }
    holder
        .run_as(Person::Steward, &["dataset", "classify", "lab", "sex=ordinary"])
        .ok();
    assert_eq!(holder.query(count).ok().stdout.lines().nth(1), Some("40"));
}
