//! Every kind of refusal has its exit code and reports what happened, why, and what to do.

use concordat_tests::{Import, PASSWORD, Person, TestNode, World};
use serde_json::Value;

const CLASSES: [&str; 3] = ["record=direct-identifier", "sex=sensitive", "chol=sensitive"];

#[test]
fn each_refusal_has_its_exit_code_and_its_reasons() {
    let mut world = World::consortium(3);
    shared(&world, "heart", true);
    shared(&world, "hidden", false);
    world.grant("budapest", "cleveland", "heart", &["--columns", "sex"]);

    query_that_no_rule_permits_is_denied(&world);
    hidden_data_looks_like_missing_data(&world);
    invalid_query_is_a_usage_error(&world);
    request_that_cannot_be_read_names_its_field(&world);
    missing_login_is_reported(&world);
    stopped_node_is_unreachable(&mut world);
}

fn shared(world: &World, dataset: &str, published: bool) {
    let file = world.file("patients.csv", "record,sex,chol\n881,0,233\n882,1,250\n");
    let args = ["--subject-column", "record"];
    world.share(
        "cleveland",
        Import {
            dataset,
            from: &file,
            args: &args,
            classes: &CLASSES,
        },
    );
    if !published {
        world
            .node("cleveland")
            .run_as(Person::Steward, &["dataset", "withdraw", dataset])
            .ok();
    }
}

#[track_caller]
fn refused_query(node: &TestNode, code: i32, args: &[&str]) -> Value {
    let problem = node.refused_as(Person::Researcher, code, &[&["query"], args].concat());
    assert!(
        problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
        "{problem}"
    );
    problem
}

fn query_that_no_rule_permits_is_denied(world: &World) {
    let budapest = world.node("budapest");
    let zurich = world.node("zurich");
    let problem = refused_query(zurich, 3, &["SELECT sex FROM cleveland.heart"]);
    assert_eq!(problem["code"], "denied");
    let help = problem["help"].as_str().expect("help");
    assert!(help.starts_with("concordat grant request cleveland/heart "), "{help}");
    refused_query(
        budapest,
        3,
        &["SELECT sex FROM cleveland.heart", "--purpose", "clinical-care"],
    );

    // A steward of the other node, and a researcher where a steward is needed.
    zurich.refused_as(Person::Steward, 3, &["query", "SELECT sex FROM cleveland.heart"]);
    zurich.refused_as(Person::Researcher, 3, &["user", "list"]);
    budapest.refused_as(Person::Researcher, 3, &["dataset", "publish", "heart"]);
}

fn hidden_data_looks_like_missing_data(world: &World) {
    let cleveland = world.node("cleveland");
    let budapest = world.node("budapest");
    cleveland.refused_as(Person::Steward, 4, &["dataset", "show", "nowhere"]);
    budapest.refused_as(Person::Researcher, 4, &["grant", "show", "00000000"]);

    let until = ["--purpose", "health-research", "--until", "2027-01-01"];
    let request = |target: &str| {
        let args = [&["grant", "request", target][..], &until].concat();
        let problem = budapest.refused_as(Person::Researcher, 4, &args);
        problem.to_string().replace(target.split('/').next_back().unwrap(), "…")
    };
    assert_eq!(request("cleveland/hidden"), request("cleveland/nowhere"));

    let column = |name: &str| {
        let outcome = budapest.run_as(
            Person::Researcher,
            &[
                "--format",
                "json",
                "query",
                &format!("SELECT {name} FROM cleveland.heart"),
            ],
        );
        assert_ne!(outcome.code, Some(0), "{}", outcome.report());
        (outcome.code, outcome.problem().to_string().replace(name, "…"))
    };
    assert_eq!(
        column("chol"),
        column("nosuchcolumn"),
        "a column that was not granted and one that does not exist"
    );
}

fn invalid_query_is_a_usage_error(world: &World) {
    let budapest = world.node("budapest");
    let queries = [
        "SELECT sex FROM cleveland.heart; DROP TABLE heart",
        "DROP TABLE cleveland.heart",
        "COPY cleveland.heart TO 'x.csv'",
        "INSERT INTO cleveland.heart VALUES (1)",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT sex FROM cleveland.heart WHERE",
        "SELECT sex FROM heart",
        "",
    ];
    for sql in queries {
        refused_query(budapest, 2, &[sql]);
    }
    let unknown = budapest.run(&["query", "SELECT 1", "--no-such-option"]).exits(2);
    assert!(unknown.stderr.contains("--no-such-option"), "{}", unknown.report());
}

/// What is wrong is named, and what was sent is not repeated.
fn request_that_cannot_be_read_names_its_field(world: &World) {
    let node = world.node("cleveland");
    let token = node.session_token(Person::Administrator);
    for (method, path, body, status, field) in [
        ("GET", "/v1/audit/proofs/sentinel", "", 404, "sequence"),
        ("GET", "/v1/datasets/%ff", "", 404, "name"),
        ("GET", "/v1/audit/entries?count=sentinel", "", 400, "count"),
        ("GET", "/v1/catalog?sentinels=1", "", 400, "sentinels"),
        ("POST", "/v1/login", "{\"name\":[\"sentinel\"]}", 400, "name"),
    ] {
        let answer = node.http(method, path, Some(&token), body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        let (_, document) = answer.split_once("\r\n\r\n").expect("a body");
        let problem: Value = serde_json::from_str(document).expect("a problem document");
        assert_eq!(problem["field"], field, "{path}: {problem}");
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(
            !detail.contains("sentinel") || field == "sentinels",
            "{path}: {problem}"
        );
    }
}

fn missing_login_is_reported(world: &World) {
    let zurich = world.node("zurich");
    zurich.run_as(Person::Researcher, &["logout"]).ok();
    let outcome = zurich
        .run(&["--format", "json", "query", "SELECT sex FROM cleveland.heart"])
        .exits(7);
    assert_eq!(outcome.problem()["code"], "locked", "{}", outcome.report());
    for (name, password) in [("rufus", "not the password"), ("unknown", PASSWORD)] {
        zurich
            .run_with_input(&["--format", "json", "login", name], Some(password))
            .exits(7)
            .problem();
    }
    zurich.forget_login();
}

fn stopped_node_is_unreachable(world: &mut World) {
    world.node_mut("cleveland").stop();
    let budapest = world.node("budapest");
    budapest.await_peers(1);
    for command in [
        ["query", "SELECT sex FROM cleveland.heart"].as_slice(),
        &["catalog", "--peer", "cleveland"],
    ] {
        let problem = budapest.refused_as(Person::Researcher, 5, command);
        assert_eq!(problem["code"], "unreachable", "{problem}");
        // Neither addresses and keys nor the words of the transport.
        for text in ["/ip4/", "/ip6/", "/tcp/", "os error", "egotiat", "12D3"] {
            assert!(!problem.to_string().contains(text), "{text}: {problem}");
        }
        let help = problem["help"].as_str().expect("help");
        assert!(help.contains("whether its node runs"), "{help}");
        assert!(help.contains("concordat consortium roster show"), "{help}");
    }
    let problem = world
        .node("cleveland")
        .run(&["--format", "json", "whoami"])
        .exits(5)
        .problem();
    assert_eq!(problem["code"], "unreachable", "{problem}");
}
