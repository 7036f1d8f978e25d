//! Many columns and many datasets, with one command each.

use std::fmt::Write as _;
use std::fs;

use concordat_tests::{Import, Outcome, Person, TestNode, World};
use serde_json::Value;

/// A dataset of 1,500 columns, none of which has a class.
fn wide() -> World {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    let labs: Vec<String> = (0..1498).map(|number| format!("lab_{number}")).collect();
    let mut text = format!("pid,postcode,{}\n", labs.join(","));
    for patient in 1..4 {
        writeln!(
            text,
            "{patient},EC{patient}A{}",
            format!(",{patient}").repeat(labs.len())
        )
        .unwrap();
    }
    let file = world.file("wide.csv", text);
    let import = ["dataset", "import", "wide", "--subject-column", "pid", "--from"];
    node.run_as(Person::Steward, &[&import[..], &[file.to_str().unwrap()]].concat())
        .ok();
    world
}

#[track_caller]
fn classify(node: &TestNode, args: &[&str]) -> Outcome {
    node.run_as(Person::Steward, &[&["dataset", "classify", "wide"], args].concat())
}

/// The class of a column.
#[track_caller]
fn class(node: &TestNode, column: &str) -> Value {
    let shown = node.json_as(Person::Steward, &["dataset", "show", "wide"]);
    let mut columns = shown["columns"].as_array().unwrap().iter();
    let found = columns.find(|found| found["name"] == column).unwrap();
    found["class"].clone()
}

#[test]
fn columns_are_classified_by_pattern() {
    let world = wide();
    let node = &world.nodes[0];
    let labs = classify(node, &["lab_*=ordinary"]).ok();
    assert!(
        labs.stdout.contains("1498 columns of wide classified"),
        "{}",
        labs.report()
    );
    assert!(
        labs.stderr
            .contains("2 columns of wide have no class yet: `pid`, `postcode`"),
        "{}",
        labs.report()
    );

    let refused = |args: &[&str]| {
        let command = [&["dataset", "classify", "wide"], args].concat();
        node.refused_as(Person::Steward, 2, &command)["detail"].to_string()
    };
    let nothing = refused(&["visit_*=ordinary", "pid=direct-identifier"]);
    assert!(nothing.contains("`visit_*`"), "{nothing}");
    let unknown = refused(&["street=ordinary"]);
    assert!(unknown.contains("`street`"), "{unknown}");
    let both = refused(&["*_7=sensitive", "lab_*=ordinary"]);
    assert!(
        both.contains("`*_7`") && both.contains("`lab_*`") && both.contains("`lab_7`"),
        "{both}"
    );
    assert_eq!(
        (class(node, "pid"), class(node, "lab_7")),
        (Value::Null, "ordinary".into())
    );

    // A name takes precedence. The steward learns that a text as quasi-identifier is shown to no one.
    let all = ["*=ordinary", "PID=direct-identifier", "postcode=quasi-identifier"];
    let all = classify(node, &all).ok();
    assert!(
        all.stdout.contains("1500 columns of wide classified"),
        "{}",
        all.report()
    );
    assert!(!all.stderr.contains("no class yet"), "{}", all.report());
    assert!(
        all.stderr.contains("`postcode` (text)") && all.stderr.contains("shown to no one"),
        "{}",
        all.report()
    );
    assert_eq!(class(node, "pid"), "direct-identifier");
    let listed = node.json_as(Person::Steward, &["dataset", "list"]);
    assert_eq!(listed[0]["unclassified"], 0, "{listed}");
    node.run_as(Person::Steward, &["dataset", "publish", "wide"]).ok();
}

#[test]
fn columns_are_classified_from_a_file() {
    let world = wide();
    let node = &world.nodes[0];
    let path = world.dir().join("classes.csv");
    let file = path.to_str().unwrap();
    classify(node, &["lab_1*=sensitive"]).ok();
    classify(node, &["--template", file]).ok();
    let template = fs::read_to_string(&path).unwrap();
    assert_eq!(template.lines().count(), 1501);
    assert!(
        template.starts_with("column,class\npid,\npostcode,\nlab_0,\nlab_1,sensitive\n"),
        "{template}"
    );

    // Lines without a class change nothing, and patterns are allowed.
    let filled = template.replace("pid,\n", "pid,direct-identifier\nlab_2*,ordinary\n");
    fs::write(&path, filled).unwrap();
    let read = classify(node, &["--from", file, "postcode=ordinary"]).ok();
    assert!(read.stderr.contains(" and "), "{}", read.report());
    for (column, class) in [
        ("pid", Value::from("direct-identifier")),
        ("postcode", "ordinary".into()),
        ("lab_2", "ordinary".into()),
        ("lab_29", "ordinary".into()),
        ("lab_1", "sensitive".into()),
        ("lab_3", Value::Null),
    ] {
        assert_eq!(self::class(node, column), class, "{column}");
    }

    fs::write(&path, "column,class\nlab_3,ordinary\nlab_4,secret\n").unwrap();
    let command = ["dataset", "classify", "wide", "--from", file];
    let problem = node.refused_as(Person::Steward, 2, &command);
    assert!(problem["detail"].to_string().contains("line 3"), "{problem}");
    fs::write(&path, "pid,ordinary\n").unwrap();
    let problem = node.refused_as(Person::Steward, 2, &command);
    assert!(problem["detail"].to_string().contains("first line"), "{problem}");
    assert_eq!(class(node, "lab_3"), Value::Null);
}

/// What became of each dataset.
#[track_caller]
fn outcomes(outcome: &Outcome) -> Vec<Value> {
    outcome.json().as_array().unwrap().clone()
}

#[track_caller]
fn texts(outcomes: &[Value], field: &str) -> Vec<String> {
    let texts = outcomes.iter().map(|line| line[field].as_str());
    texts.map(|text| text.unwrap().to_owned()).collect()
}

#[test]
fn datasets_are_requested_and_granted_several_at_once() {
    let world = World::consortium(2);
    let file = world.file("small.csv", "pid,x\n1,5\n2,6\n");
    for dataset in ["labs", "visits", "wards"] {
        world.share(
            "budapest",
            Import {
                dataset,
                from: &file,
                args: &["--subject-column", "pid"],
                classes: &["pid=direct-identifier", "x=ordinary"],
            },
        );
    }
    let (consumer, provider) = (world.node("cleveland"), world.node("budapest"));
    let terms = ["--purpose", "health-research", "--until", "2031-01-01"];
    let run = |node: &TestNode, person: Person, args: &[&str]| {
        node.run_as(person, &[&["--format", "json", "grant"], args].concat())
    };
    let request = |args: &[&str]| run(consumer, Person::Researcher, &[&["request"], args, &terms[..]].concat());

    // Each has its own outcome, and the exit code is that of the worst.
    let mixed = request(&["budapest/labs,budapest/nothing", "unknown/labs"]).exits(4);
    let lines = outcomes(&mixed);
    assert_eq!(
        texts(&lines, "dataset"),
        ["budapest.labs", "budapest.nothing", "unknown.labs"]
    );
    assert_eq!(
        (&lines[0]["state"], &lines[0]["problem"]),
        (&"REQUESTED".into(), &Value::Null)
    );
    assert!(
        lines[1]["problem"].to_string().contains("budapest.nothing"),
        "{lines:?}"
    );
    let problem: Value = serde_json::from_str(mixed.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(problem["code"], "not_found", "{problem}");
    assert_eq!(
        mixed.stderr.matches("through 2031-01-01").count(),
        1,
        "{}",
        mixed.report()
    );

    // The catalog is a file of datasets.
    let catalog = ["--format", "csv", "catalog", "--peer", "budapest"];
    let catalog = consumer.run_as(Person::Researcher, &catalog).ok().stdout;
    let others: Vec<&str> = catalog
        .lines()
        .filter(|line| !line.starts_with("budapest.labs"))
        .collect();
    let list = world.file("datasets.csv", others.join("\n"));
    let sent = request(&["budapest", "--datasets-from", list.to_str().unwrap()]).ok();
    assert_eq!(
        texts(&outcomes(&sent), "dataset"),
        ["budapest.visits", "budapest.wards"]
    );
    for wrong in [
        &["budapest"][..],
        &["budapest/labs", "--datasets-from", list.to_str().unwrap()],
    ] {
        request(wrong).exits(2);
    }

    let mut ids = texts(&lines[..1], "id");
    ids.extend(texts(&outcomes(&sent), "id"));
    for id in &ids {
        world.await_grant("budapest", id, "REQUESTED");
    }
    let offered = run(provider, Person::Steward, &["offer", "--all-from", "cleveland"]).ok();
    assert_eq!(texts(&outcomes(&offered), "state"), ["OFFERED"; 3]);
    assert_eq!(
        offered.stderr.matches("compare it by telephone").count(),
        1,
        "{}",
        offered.report()
    );
    for id in &ids {
        world.await_grant("cleveland", id, "OFFERED");
    }
    // Two by their ids, and the rest.
    let accepted = run(consumer, Person::Researcher, &["accept", &ids[0], &ids[1]]).ok();
    assert_eq!(texts(&outcomes(&accepted), "id"), ids[..2]);
    let rest = run(consumer, Person::Researcher, &["accept", "--all-from", "budapest"]).ok();
    assert_eq!(texts(&outcomes(&rest), "id"), ids[2..]);
    for id in &ids {
        world.await_grant("cleveland", id, "ACTIVE");
        world.await_grant("budapest", id, "ACTIVE");
    }
    run(consumer, Person::Researcher, &["accept", "--all-from", "budapest"]).exits(4);
    let answer = consumer
        .query("SELECT sum(x) AS total FROM budapest.wards")
        .ok()
        .table();
    assert_eq!(answer.rows, [["11"]]);
}
