//! Older versions of a dataset: users of the holder can query them, and no one else.

use concordat_tests::{Import, Person, World};

use super::entries;

const OLD: &str = "SELECT count(*) AS n, sum(chol) AS total FROM cleveland.heart VERSION AS OF 1";

fn rows(header: &str, numbers: std::ops::Range<u32>, more: &str) -> String {
    let rows: String = numbers.map(|n| format!("{n},{},{}{more}\n", n % 2, 200 + n)).collect();
    format!("{header}\n{rows}")
}

#[test]
fn an_older_version_is_shown_to_the_holders_people_only() {
    let world = World::consortium(2);
    let first = world.file("heart.csv", rows("record,sex,chol", 0..100, ""));
    let classes = ["record=ordinary", "sex=sensitive", "chol=sensitive"];
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &first,
            args: &["--each-row-is-a-subject"],
            classes: &classes,
        },
    );
    let holder = world.node("cleveland");
    let consumer = world.node("budapest");
    world.grant("budapest", "cleveland", "heart", &["--tier", "records"]);

    // Forty patients have withdrawn, and a column is new.
    let second = world.file("fewer.csv", rows("record,sex,chol,smoker", 40..100, ",true"));
    let path = second.to_str().unwrap();
    let replace = ["dataset", "import", "heart", "--from", path, "--replace"];
    holder.run_as(Person::Steward, &replace).ok();
    holder
        .run_as(Person::Steward, &["dataset", "classify", "heart", "smoker=sensitive"])
        .ok();
    holder.run_as(Person::Steward, &["dataset", "publish", "heart"]).ok();

    let csv = |sql: &str| holder.query(sql).ok().stdout;
    let today = OLD.replace(" VERSION AS OF 1", "");
    let of = |numbers: std::ops::Range<u32>| numbers.map(|n| 200 + n).sum::<u32>().to_string();
    for (sql, count, total) in [(OLD, "100", of(0..100)), (today.as_str(), "60", of(40..100))] {
        let answer = csv(sql);
        assert!(answer.contains(count) && answer.contains(&total), "{sql}: {answer}");
    }
    // Rows that one version has and the other lacks, combined locally.
    let removed = "SELECT count(*) AS removed FROM cleveland.heart VERSION AS OF 1 AS old \
                LEFT JOIN cleveland.heart AS new ON new.record = old.record WHERE new.record IS NULL";
    assert!(csv(removed).contains("40"), "{}", csv(removed));

    let unknown = holder.refused_as(
        Person::Researcher,
        2,
        &["query", "SELECT smoker FROM cleveland.heart VERSION AS OF 1"],
    );
    assert!(unknown.to_string().contains("smoker"), "{unknown}");
    // The number of the version is all that differs from a query that was answered.
    let missing = OLD.replace("VERSION AS OF 1", "VERSION AS OF 9");
    holder.refused_as(Person::Researcher, 2, &["query", &missing]);

    // That it names a version is all that differs.
    consumer.run_as(Person::Researcher, &["query", &today]).ok();
    let withheld = consumer.refused_as(Person::Researcher, 3, &["query", OLD]);
    assert_eq!(withheld["code"], "denied", "{withheld}");
    let decisions = entries(holder, "decision_made");
    assert_eq!(decisions.last().unwrap()["permitted"], false, "{decisions:?}");
}
