//! `concordat why`: the decision, its rules, and what would help.

use concordat_tests::{Import, Person, World};
use serde_json::Value;

#[test]
fn why_names_the_rules_of_a_grant_a_query_and_a_refusal() {
    let mut world = World::consortium(2);
    let file = world.file("patients.csv", "record,sex,age\n1,0,63\n2,1,41\n3,1,57\n");
    let import = Import {
        dataset: "heart",
        from: &file,
        args: &["--subject-column", "record"],
        classes: &["record=direct-identifier", "sex=sensitive", "age=quasi-identifier"],
    };
    world.share("cleveland", import);
    let grant = world.grant("budapest", "cleveland", "heart", &["--columns", "sex,age"]);
    let cleveland = world.node("cleveland");
    let budapest = world.node("budapest");

    // The holder sees every rule; the consumer sees what the holder sent, and no rule of the holder.
    let explained = cleveland.json_as(Person::Steward, &["why", &grant]);
    let age = step(&explained, "reveal-clear", "age");
    assert_eq!(age["allowed"], false, "{age}");
    let received = budapest.json_as(Person::Researcher, &["why", &grant]);
    assert_eq!(received["policy"], Value::Null, "{received}");
    let narrowings = received["narrowings"].as_array().unwrap();
    let of_age = |narrowing: &&Value| {
        let requested = narrowing["requested"].as_str();
        narrowing["part"] == "columns" && requested.is_some_and(|column| column.starts_with("age "))
    };
    assert!(narrowings.iter().any(|narrowing| of_age(&narrowing)), "{received}");
    let text = cleveland.run_as(Person::Steward, &["why", &grant]).ok().stdout;
    let shown = |line: &str| line.contains("reveal-clear") && line.contains("age");
    assert!(text.lines().any(shown), "{text}");

    // A query to another member is decided there; one on local data is decided by the local rules.
    let remote = budapest.json_as(Person::Researcher, &["why", "SELECT sex FROM cleveland.heart"]);
    assert_eq!(remote["decision"], "permit", "{remote}");
    let short = grant.get(..8).expect("an id");
    assert!(remote["steps"][0].to_string().contains(short), "{remote}");
    assert_eq!(remote["policy"], serde_json::json!([]), "{remote}");
    let own = cleveland.json_as(Person::Researcher, &["why", "SELECT sex FROM cleveland.heart"]);
    assert_eq!(own["decision"], "permit", "{own}");
    assert_eq!(step(&own, "reveal-clear", "sex")["allowed"], true, "{own}");

    // A refused query is explained before it is sent, with what to do.
    let refused = budapest.json_as(Person::Researcher, &["why", "SELECT sex FROM cleveland.lungs"]);
    assert_eq!(refused["decision"], "deny", "{refused}");
    assert!(refused["help"].to_string().contains("grant request"), "{refused}");

    // What this node knows to be missing comes first, each by its name.
    let none: [&str; 0] = [];
    assert_eq!(missing(&remote), none, "{remote}");
    let purpose = [
        "why",
        "SELECT sex FROM cleveland.heart",
        "--purpose",
        "methods-development",
    ];
    assert_eq!(
        missing(&budapest.json_as(Person::Researcher, &purpose)),
        ["purpose-agreed"]
    );
    let administrator = budapest.json_as(Person::Administrator, &["why", "SELECT sex FROM cleveland.lungs"]);
    assert_eq!(
        missing(&administrator),
        ["training-recorded", "grant-agreed"],
        "{administrator}"
    );

    // If only the holder can lift a refusal, the help does not suggest another request.
    cleveland
        .run_as(Person::Steward, &["grant", "suspend", &grant, "--reason", "an audit"])
        .ok();
    world.await_grant("budapest", &grant, "SUSPENDED");
    let suspended = budapest.json_as(Person::Researcher, &["why", "SELECT sex FROM cleveland.heart"]);
    assert!(suspended["detail"].to_string().contains("an audit"), "{suspended}");
    assert!(suspended["help"].to_string().contains("resume"), "{suspended}");
    assert_eq!(missing(&suspended), ["grant-active"], "{suspended}");

    world.node_mut("cleveland").stop();
    let budapest = world.node("budapest");
    budapest.await_peers(0);
    let apart = budapest.json_as(Person::Researcher, &["why", "SELECT sex FROM cleveland.heart"]);
    assert_eq!(missing(&apart), ["peer-connected", "grant-active"], "{apart}");
    let of_grant = budapest.json_as(Person::Researcher, &["why", &grant]);
    assert_eq!(missing(&of_grant), ["peer-connected", "grant-active"], "{of_grant}");
    let text = budapest.run_as(Person::Researcher, &["why", &grant]).ok().stdout;
    let first = text.lines().next().unwrap_or_default();
    assert!(first.contains("`cleveland` is not connected"), "{text}");
}

/// The names of what an explanation states to be missing.
fn missing(explained: &Value) -> Vec<&str> {
    let missing = explained["missing"].as_array().into_iter().flatten();
    missing.filter_map(|missing| missing["rule"].as_str()).collect()
}

/// The step of an explanation about `action` and an entity whose name ends in `about`.
#[track_caller]
fn step<'a>(explained: &'a Value, action: &str, about: &str) -> &'a Value {
    let steps = explained["policy"].as_array();
    let mut steps = steps.unwrap_or_else(|| panic!("no policy in {explained}")).iter();
    let found =
        steps.find(|step| step["action"] == action && step["about"].as_str().is_some_and(|name| name.ends_with(about)));
    found.unwrap_or_else(|| panic!("no `{action}` of `{about}` in {explained}"))
}
