//! Answers without a member's part: an error, unless one is requested; then what is missing is stated wherever the rows go.

use std::fmt::Write as _;
use std::fs;

use concordat_tests::{Import, Outcome, Person, TestNode, World};
use serde_json::Value;

const GROUPS: &str = "SELECT ward, count(*) AS n FROM consortium.wards GROUP BY ward ORDER BY ward";
const COUNT: &str = "SELECT count(*) AS n FROM consortium.wards";

/// Two holders: budapest has two wards of 20, zurich has one of 20 and one of 3, which is too small to be released.
fn prepared() -> World {
    with_grants().0
}

/// The same, with the grants of budapest and zurich.
fn with_grants() -> (World, [String; 2]) {
    let world = World::consortium(3);
    let grants = [("budapest", 20), ("zurich", 3)].map(|(holder, oncology)| {
        let mut text = "patient,ward\n".to_owned();
        for patient in 0..20 + oncology {
            let ward = if patient < 20 { "card" } else { "onc" };
            writeln!(text, "{holder}{patient},{ward}").unwrap();
        }
        let file = world.file(&format!("{holder}.csv"), text);
        world.share(
            holder,
            Import {
                dataset: "wards",
                from: &file,
                args: &["--subject-column", "patient"],
                classes: &["patient=direct-identifier", "ward=ordinary"],
            },
        );
        world.grant("cleveland", holder, "wards", &["--tier", "aggregate"])
    });
    (world, grants)
}

/// Two holders of one ward of 20: budapest knows a value of each patient, zurich of all but two.
fn with_values() -> World {
    let world = World::consortium(3);
    for (holder, value, unknown) in [("budapest", 200, 0), ("zurich", 100, 2)] {
        let mut text = "patient,ward,chol\n".to_owned();
        for patient in 0..20 {
            let chol = value + patient % 2;
            let chol = if patient < unknown {
                String::new()
            } else {
                chol.to_string()
            };
            writeln!(text, "{holder}{patient},card,{chol}").unwrap();
        }
        let file = world.file(&format!("{holder}.csv"), text);
        world.share(
            holder,
            Import {
                dataset: "labs",
                from: &file,
                args: &["--subject-column", "patient"],
                classes: &["patient=direct-identifier", "ward=ordinary", "chol=ordinary"],
            },
        );
        world.grant("cleveland", holder, "labs", &["--tier", "aggregate"]);
    }
    world
}

/// The remarks among the objects on standard error.
fn remarks(outcome: &Outcome) -> Vec<Value> {
    let objects = outcome.stderr.lines().map(serde_json::from_str::<Value>);
    let with_remark = objects.map(Result::unwrap).filter(|object| !object["remark"].is_null());
    with_remark
        .map(|mut object| {
            assert_eq!(object["note"], object["remark"]["text"]);
            object["remark"].take()
        })
        .collect()
}

fn missing_cells(remarks: &[Value]) -> &Value {
    remarks
        .iter()
        .find(|remark| remark["kind"] == "missing-cells")
        .unwrap_or_else(|| panic!("{remarks:?}"))
}

fn query(node: &TestNode, args: &[&str]) -> Outcome {
    node.run_as(Person::Researcher, &[&["--format", "json", "query"], args].concat())
}

#[test]
fn cells_without_a_members_part_are_named_wherever_rows_go() {
    let world = prepared();
    let node = world.node("cleveland");
    // Zurich has three subjects in one ward, and hides the other one too: its total minus that would reveal the three.
    let answer = query(node, &[GROUPS]).ok();
    let rows = answer.json();
    assert_eq!(
        rows,
        serde_json::json!([{ "ward": "card", "n": 20 }, { "ward": "onc", "n": 20 }])
    );
    let found = remarks(&answer);
    let missing = missing_cells(&found);
    assert_eq!(missing["institution"], "zurich");
    assert_eq!(
        missing["cells"],
        serde_json::json!([{ "ward": "card" }, { "ward": "onc" }])
    );
    for format in ["csv", "table"] {
        let answer = node
            .run_as(Person::Researcher, &["--format", format, "query", GROUPS])
            .ok();
        let text = missing["text"].as_str().unwrap();
        assert!(answer.stderr.contains(text), "{}", answer.report());
    }
    for ending in ["csv", "ndjson"] {
        let out = world.dir().join(format!("wards.{ending}"));
        query(node, &[GROUPS, "--out", out.to_str().unwrap()]).ok();
        let beside = fs::read_to_string(out.with_extension(format!("{ending}.remarks.json"))).unwrap();
        let kept: Vec<Value> = serde_json::from_str(&beside).unwrap();
        assert_eq!(missing_cells(&kept), missing, "{ending}");
    }
    for ending in ["arrow", "parquet"] {
        let out = world.dir().join(format!("wards.{ending}"));
        query(node, &[GROUPS, "--out", out.to_str().unwrap()]).ok();
        let bytes = fs::read(&out).unwrap();
        assert!(
            String::from_utf8_lossy(&bytes).contains("\"kind\":\"missing-cells\""),
            "{ending}"
        );
    }
}

#[test]
fn value_that_a_member_withholds_is_named_with_its_column() {
    let world = with_values();
    let node = world.node("cleveland");
    for (sql, rows, cell) in [
        (
            "SELECT ward, count(*) AS n, avg(chol) AS mean FROM consortium.labs GROUP BY ward",
            serde_json::json!([{ "ward": "card", "n": 40, "mean": 200.5 }]),
            serde_json::json!({ "ward": "card" }),
        ),
        (
            "SELECT count(*) AS n, avg(chol) AS mean FROM consortium.labs",
            serde_json::json!([{ "n": 40, "mean": 200.5 }]),
            serde_json::json!({}),
        ),
    ] {
        let answer = query(node, &[sql]).ok();
        assert_eq!(answer.json(), rows, "{sql}");
        let found = remarks(&answer);
        let missing = missing_cells(&found);
        assert_eq!(missing["institution"], "zurich", "{sql}");
        assert_eq!(missing["column"], "mean", "{sql}");
        assert_eq!(missing["cells"], serde_json::json!([cell]), "{sql}");
        let csv = node.query(sql).ok();
        assert!(
            csv.stderr.contains(missing["text"].as_str().unwrap()),
            "{}",
            csv.report()
        );
    }
}

#[test]
fn member_without_a_usable_grant_is_missing_or_former() {
    let (world, [budapest, zurich]) = with_grants();
    let node = world.node("cleveland");
    let end = |holder: &str, grant: &str, verb: &str, state: &str| {
        let args = ["grant", verb, grant, "--reason", "audit"];
        world.node(holder).run_as(Person::Steward, &args).ok();
        world.await_grant("cleveland", grant, state);
    };
    end("zurich", &zurich, "suspend", "SUSPENDED");
    let suspended = node.query(COUNT);
    assert_ne!(suspended.code, Some(0), "{}", suspended.report());
    for text in ["zurich.wards", "suspended: audit", "--allow-partial"] {
        assert!(suspended.stderr.contains(text), "{}", suspended.report());
    }
    assert_without_zurich(node);

    end("zurich", &zurich, "revoke", "REVOKED");
    let revoked = query(node, &[COUNT]).ok();
    assert_eq!(revoked.json(), serde_json::json!([{ "n": 40 }]));
    let is_former = |remark: &Value| remark["kind"] == "former-member" && remark["institution"] == "zurich";
    assert!(remarks(&revoked).iter().any(is_former), "{}", revoked.report());

    end("budapest", &budapest, "suspend", "SUSPENDED");
    for args in [[COUNT].as_slice(), &[COUNT, "--allow-partial"]] {
        let none = query(node, args).exits(3);
        let problem = none.problem().to_string();
        for text in [
            "budapest.wards",
            "suspended: audit",
            "zurich.wards",
            "revoked: audit",
            "resume",
        ] {
            assert!(problem.contains(text), "{text}: {problem}");
        }
    }
}

#[test]
fn answer_without_a_member_is_an_error_unless_allowed() {
    for asked_before in [false, true] {
        let mut world = prepared();
        if asked_before {
            // From here on the columns of both members are known.
            world.node("cleveland").query(COUNT).ok();
        }
        world.node_mut("zurich").stop();
        let offline = world.node("cleveland").query(COUNT);
        assert_ne!(offline.code, Some(0), "{}", offline.report());
        assert!(offline.stderr.contains("--allow-partial"), "{}", offline.report());
        assert!(
            offline.stderr.contains("zurich cannot be reached"),
            "{}",
            offline.report()
        );
        assert_without_zurich(world.node("cleveland"));
        // A query that does not need zurich has its whole answer.
        let sql = "SELECT count(*) AS n FROM consortium.wards WHERE institution = 'budapest'";
        let whole = query(world.node("cleveland"), &[sql]).ok();
        assert_eq!(whole.json(), serde_json::json!([{ "n": 40 }]));
        assert!(remarks(&whole).is_empty(), "{}", whole.report());
    }
}

#[test]
fn member_that_refuses_is_a_member_that_is_missing() {
    let world = prepared();
    let node = world.node("cleveland");
    let limits = ["dataset", "limits", "wards", "--queries-per-day", "1"];
    world.node("zurich").run_as(Person::Steward, &limits).ok();
    world.grant("cleveland", "zurich", "wards", &["--tier", "aggregate"]);
    node.query(COUNT).ok();
    let refused = node.query(COUNT);
    assert_ne!(refused.code, Some(0), "{}", refused.report());
    assert!(refused.stderr.contains("--allow-partial"), "{}", refused.report());
    assert_without_zurich(node);
}

/// The count of budapest alone, with a remark about zurich.
fn assert_without_zurich(node: &TestNode) {
    let partial = query(node, &[COUNT, "--allow-partial"]).ok();
    assert_eq!(partial.json(), serde_json::json!([{ "n": 40 }]));
    let is_of_zurich = |remark: &Value| remark["kind"] == "missing-member" && remark["institution"] == "zurich";
    assert!(remarks(&partial).iter().any(is_of_zurich), "{}", partial.report());
}
