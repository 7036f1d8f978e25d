//! Answers without a member's part: an error, unless one is requested; then what is missing is stated wherever the rows go.

use std::fmt::Write as _;
use std::fs;

use concordat_tests::{Import, Outcome, Person, TestNode, World};
use serde_json::Value;

const GROUPS: &str = "SELECT ward, count(*) AS n FROM consortium.wards GROUP BY ward ORDER BY ward";
const COUNT: &str = "SELECT count(*) AS n FROM consortium.wards";

/// Patients of budapest. Levels without patients are withheld, and so is the smallest ward beside them.
const BUDAPEST: [(&str, usize); 3] = [("card", 60), ("onc", 50), ("derm", 20)];
/// Of a ward with three patients nothing is proposed, so zurich does not list it.
const ZURICH: [(&str, usize); 3] = [("card", 60), ("onc", 3), ("derm", 20)];
const OF_BUDAPEST: u64 = 130;

/// Two holders, of which zurich has too few patients of one ward.
fn prepared() -> World {
    with_grants().0
}

/// The same, with the grants of budapest and zurich.
fn with_grants() -> (World, [String; 2]) {
    let world = World::consortium(3);
    let grants = [("budapest", BUDAPEST), ("zurich", ZURICH)].map(|(holder, wards)| {
        let mut text = "patient,ward\n".to_owned();
        for (ward, patients) in wards {
            for patient in 0..patients {
                writeln!(text, "{holder}{ward}{patient},{ward}").unwrap();
            }
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
        world.release_exact(holder);
        world.grant("cleveland", holder, "wards", &["--tier", "aggregate"])
    });
    (world, grants)
}

/// Two holders of the same wards: budapest knows a value of each patient, zurich of all but two of one ward.
fn with_values() -> World {
    let world = World::consortium(3);
    for (holder, value, unknown) in [("budapest", 200, 0), ("zurich", 100, 2)] {
        let mut text = "patient,ward,chol\n".to_owned();
        for (ward, patients) in BUDAPEST {
            for patient in 0..patients {
                let is_known = ward != "card" || patient >= unknown;
                // Many values, which are not listed as levels: a listed one has no exact mean.
                let off = patient / 2 % 15;
                let chol = if patient % 2 == 0 { value - off } else { value + off + 1 }.to_string();
                let chol = if is_known { chol.as_str() } else { "" };
                writeln!(text, "{holder}{ward}{patient},{ward},{chol}").unwrap();
            }
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
        world.release_exact(holder);
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
    // Zurich does not list one ward: the number of it is that of budapest, and that of all other wards is not that of both.
    let answer = query(node, &[GROUPS]).ok();
    let rows = answer.json();
    let rows = rows.as_array().unwrap();
    let shown: Vec<&Value> = rows.iter().filter(|row| !row["n"].is_null()).collect();
    assert_eq!(
        shown,
        [
            &serde_json::json!({ "ward": "card", "n": 120 }),
            &serde_json::json!({ "ward": "onc", "n": 50 })
        ],
        "{rows:?}"
    );
    let wards: Vec<Option<&str>> = rows.iter().map(|row| row["ward"].as_str()).collect();
    assert_eq!(wards, [Some("card"), Some("derm"), Some("onc"), Some("other"), None]);
    let found = remarks(&answer);
    let missing = missing_cells(&found);
    assert_eq!(missing["institution"], "zurich");
    assert_eq!(missing["column"], "n");
    assert_eq!(missing["cells"], serde_json::json!([{ "ward": "onc" }]));
    let is_unlisted = |remark: &Value| {
        let text = remark["text"].as_str().unwrap();
        text.contains("`zurich.wards` does not list `onc` in `wards.ward`")
    };
    assert!(found.iter().any(is_unlisted), "{found:?}");
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
    assert_orders_are_stated(&world);
}

/// First rows in the order of figures have a remark for one holder and for several, wherever rows go, and are an answer without
/// `--allow-partial`.
fn assert_orders_are_stated(world: &World) {
    let node = world.node("cleveland");
    for table in ["budapest.wards", "consortium.wards"] {
        let sql = format!("SELECT ward, count(*) AS n FROM {table} GROUP BY ward ORDER BY n DESC NULLS LAST LIMIT 1");
        let answer = query(node, &[&sql]).ok();
        assert_eq!(answer.json()[0]["ward"], "card", "{}", answer.report());
        let found = remarks(&answer);
        let order = found.iter().find(|remark| remark["kind"] == "order-of-figures");
        let order = order.unwrap_or_else(|| panic!("{found:?}"));
        assert_eq!(order["column"], "n");
        for format in ["csv", "table"] {
            let answer = node
                .run_as(Person::Researcher, &["--format", format, "query", &sql])
                .ok();
            assert!(
                answer.stderr.contains(order["text"].as_str().unwrap()),
                "{}",
                answer.report()
            );
        }
        let out = world.dir().join("first.csv");
        query(node, &[&sql, "--out", out.to_str().unwrap()]).ok();
        let beside = fs::read_to_string(out.with_extension("csv.remarks.json")).unwrap();
        let kept: Vec<Value> = serde_json::from_str(&beside).unwrap();
        assert!(kept.contains(order), "{kept:?}");
    }
}

#[test]
fn value_that_a_member_withholds_is_named_with_its_column() {
    let world = with_values();
    let node = world.node("cleveland");
    // Zurich is in no figure of the row, whichever of the two it withholds, so that both are of the same patients.
    for (sql, row, cell) in [
        (
            "SELECT ward, count(*) AS n, avg(chol) AS mean FROM consortium.labs GROUP BY ward",
            serde_json::json!({ "ward": "card", "n": 60, "mean": 200.5 }),
            serde_json::json!({ "ward": "card" }),
        ),
        (
            "SELECT count(*) AS n, avg(chol) AS mean FROM consortium.labs",
            serde_json::json!({ "n": OF_BUDAPEST, "mean": 200.5 }),
            serde_json::json!({}),
        ),
    ] {
        let answer = query(node, &[sql]).ok();
        let rows = answer.json();
        assert!(rows.as_array().unwrap().contains(&row), "{sql}: {rows}");
        let found = remarks(&answer);
        let is_of_zurich = |remark: &&Value| {
            let cells = remark["cells"].as_array();
            remark["institution"] == "zurich" && cells.is_some_and(|cells| cells.contains(&cell))
        };
        let missing = found
            .iter()
            .find(is_of_zurich)
            .unwrap_or_else(|| panic!("{sql}: {found:?}"));
        assert!(["n", "mean"].map(Value::from).contains(&missing["column"]), "{missing}");
        let text = missing["text"].as_str().unwrap();
        assert!(text.contains("no other figure of the same row"), "{text}");
        let csv = node.query(sql).ok();
        assert!(csv.stderr.contains(text), "{}", csv.report());
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
    assert_eq!(revoked.json(), serde_json::json!([{ "n": OF_BUDAPEST }]));
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
        assert_eq!(whole.json(), serde_json::json!([{ "n": OF_BUDAPEST }]));
        let is_of_every_answer =
            |remark: &Value| remark["kind"] == "withheld-cells" && remark["institution"] == "budapest";
        assert!(remarks(&whole).iter().all(is_of_every_answer), "{}", whole.report());
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
    assert_eq!(partial.json(), serde_json::json!([{ "n": OF_BUDAPEST }]));
    let is_of_zurich = |remark: &Value| remark["kind"] == "missing-member" && remark["institution"] == "zurich";
    assert!(remarks(&partial).iter().any(is_of_zurich), "{}", partial.report());
}
