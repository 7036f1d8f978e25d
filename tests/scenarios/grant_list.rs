//! The list of grants: complete over its pages, without what is long, and without those that have ended unless they are requested.

use std::collections::BTreeSet;

use concordat_tests::{Import, Person, World};
use serde_json::{Value, json};

/// More than one page, and fewer than a person may request in a day.
const REQUESTS: usize = 53;
/// Most in one page.
const PAGE: usize = 50;

#[test]
fn grant_list_is_complete_and_short() {
    let world = World::consortium(2);
    let file = world.file("stays.csv", "patient,ward\n1,a\n2,b\n");
    world.share(
        "cleveland",
        Import {
            dataset: "stays",
            from: &file,
            args: &["--subject-column", "patient"],
            classes: &["patient=direct-identifier", "ward=ordinary"],
        },
    );
    let first = world.request("budapest", "cleveland", "stays", &[]);
    let researcher = world.node("budapest");
    let token = researcher.session_token(Person::Researcher);
    let request = json!({
        "dataset": { "institution": "cleveland", "dataset": "stays" },
        "request": { "purposes": ["health-research"], "until": "2027-06-30" },
    });
    for _ in 1..REQUESTS {
        let sent = researcher.http("POST", "/v1/grants/request", Some(&token), &request.to_string());
        assert!(sent.starts_with("HTTP/1.1 200"), "{sent}");
    }

    let page = document(&researcher.http("GET", "/v1/grants", Some(&token), ""));
    assert_eq!(page["items"].as_array().unwrap().len(), PAGE);
    let after = format!("/v1/grants?after={}", page["next"].as_str().expect("another page"));
    let last = document(&researcher.http("GET", &after, Some(&token), ""));
    assert_eq!(last["items"].as_array().unwrap().len(), REQUESTS - PAGE);
    assert!(last["next"].is_null(), "{last}");
    let refused = researcher.http("GET", "/v1/grants?after=5b97", Some(&token), "");
    assert!(
        refused.starts_with("HTTP/1.1 400") && refused.contains("begin without"),
        "{refused}"
    );

    let list = |args: &[&str]| ids(&researcher.json_as(Person::Researcher, &[&["grant", "list"], args].concat()));
    let listed = list(&[]);
    assert_eq!(listed.len(), REQUESTS);
    assert_eq!(
        listed.first(),
        Some(&first),
        "they are in the order in which they began"
    );
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), REQUESTS);
    let shown = researcher.json_as(Person::Researcher, &["grant", "show", &first]);
    for (field, value) in page["items"][0].as_object().unwrap() {
        assert_eq!(shown[field], *value, "`{field}` of the summary");
    }

    // What has ended is found by the beginning of its id, and listed on request. The list of the holder is its own.
    let prefix: String = first.chars().take(8).collect();
    let steward = world.node("cleveland");
    steward.run_as(Person::Steward, &["grant", "reject", &prefix]).ok();
    world.await_grant("budapest", &first, "TERMINATED");
    assert_eq!(list(&[]), listed[1..]);
    assert_eq!(list(&["--all"]), listed);
    let noted = researcher.run_as(Person::Researcher, &["grant", "list"]).ok();
    assert!(
        noted.stderr.contains("1 that have ended are not listed"),
        "{}",
        noted.stderr
    );
    let ended = steward.json_as(Person::Steward, &["grant", "show", &prefix]);
    assert_eq!((&ended["id"], &ended["state"]), (&first.into(), &"TERMINATED".into()));
}

fn document(answer: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).unwrap()
}

fn ids(list: &Value) -> Vec<String> {
    let grants = list.as_array().unwrap().iter();
    grants.map(|grant| grant["id"].as_str().unwrap().to_owned()).collect()
}
