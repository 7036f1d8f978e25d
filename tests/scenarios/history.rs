//! Data as it was: the holder's people look at older versions, and nobody else does.

use concordat_tests::{Import, Person, World};

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
    let (holder, asker) = (world.house("cleveland"), world.house("budapest"));
    world.grant("budapest", "cleveland", "heart", &["--tier", "records"]);

    // Forty have withdrawn, and a column is new.
    let second = world.file("fewer.csv", rows("record,sex,chol,smoker", 40..100, ",true"));
    let path = second.to_str().unwrap();
    let replace = ["dataset", "import", "heart", "--from", path, "--replace"];
    holder.as_(Person::Steward, &replace).ok();
    holder
        .as_(Person::Steward, &["dataset", "classify", "heart", "smoker=sensitive"])
        .ok();
    holder.as_(Person::Steward, &["dataset", "publish", "heart"]).ok();

    let csv = |sql: &str| holder.ask(sql).ok().stdout;
    let today = OLD.replace(" VERSION AS OF 1", "");
    let of = |numbers: std::ops::Range<u32>| numbers.map(|n| 200 + n).sum::<u32>().to_string();
    for (sql, count, total) in [(OLD, "100", of(0..100)), (today.as_str(), "60", of(40..100))] {
        let answer = csv(sql);
        assert!(answer.contains(count) && answer.contains(&total), "{sql}: {answer}");
    }
    // What one version has and the other lacks, put together at home.
    let gone = "SELECT count(*) AS gone FROM cleveland.heart VERSION AS OF 1 AS old \
                LEFT JOIN cleveland.heart AS new ON new.record = old.record WHERE new.record IS NULL";
    assert!(csv(gone).contains("40"), "{}", csv(gone));

    let unknown = holder.refused_as(
        Person::Researcher,
        2,
        &["query", "SELECT smoker FROM cleveland.heart VERSION AS OF 1"],
    );
    assert!(unknown.to_string().contains("smoker"), "{unknown}");
    let never = holder.refused_as(
        Person::Researcher,
        2,
        &["query", "SELECT * FROM cleveland.heart VERSION AS OF 9"],
    );
    assert!(never.to_string().contains("version"), "{never}");

    asker.as_(Person::Researcher, &["query", &today]).ok();
    let withheld = asker.refused_as(Person::Researcher, 3, &["query", OLD]);
    assert!(withheld.to_string().contains("withdrawn"), "{withheld}");
    assert!(withheld.to_string().contains("VERSION AS OF"), "{withheld}");
}
