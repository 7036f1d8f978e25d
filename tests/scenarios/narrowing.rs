//! A wide request becomes a narrower offer, with a reason for each difference, and both sides sign the same terms.

use concordat_tests::{Import, Person, World};
use serde_json::Value;

const PATIENTS: &str = "record,name,birth_date,age,sex,chol\n\
    77001,Anna Alpha,1950-02-03,76,0,233\n\
    77002,Bela Beta,1931-05-06,95,1,250\n\
    77003,Cora Gamma,1980-11-12,46,0,\n";
const CLASSES: [&str; 6] = [
    "record=direct-identifier",
    "name=direct-identifier",
    "birth_date=quasi-identifier",
    "age=quasi-identifier",
    "sex=sensitive",
    "chol=sensitive",
];
/// The required fields of the document of `grant show`.
const FIELDS: [&str; 14] = [
    "id",
    "state",
    "provider",
    "consumer",
    "dataset",
    "tier",
    "columns",
    "rows",
    "purposes",
    "not_before",
    "not_after",
    "limits",
    "signed_by",
    "revision",
];

#[test]
fn request_too_wide_is_narrowed_with_a_reason_per_difference() {
    let world = World::consortium(2);
    let file = world.file("patients.csv", PATIENTS);
    let args = ["--subject-column", "record"];
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &file,
            args: &args,
            classes: &CLASSES,
        },
    );
    let provider = world.node("cleveland");
    let consumer = world.node("budapest");

    let id = world.request("budapest", "cleveland", "heart", &["--where", "age >= 40"]);
    provider.run_as(Person::Steward, &["grant", "offer", &id]).ok();
    let offered = world.await_grant("budapest", &id, "OFFERED");
    assert_each_difference_has_a_reason(&offered);

    consumer.run_as(Person::Researcher, &["grant", "accept", &id]).ok();
    let here = world.await_grant("budapest", &id, "ACTIVE");
    let there = world.await_grant("cleveland", &id, "ACTIVE");
    assert_same_document(&here, &there);
    assert_transforms_of_the_policy(&here);
    assert_same_transcript(&world, &id);
    assert_no_name_arrives(&world);
}

fn assert_each_difference_has_a_reason(offered: &Value) {
    let narrowings = offered["narrowings"].as_array().unwrap();
    assert!(!narrowings.is_empty(), "{offered}");
    for narrowing in narrowings {
        for part in ["part", "reason"] {
            assert!(
                narrowing[part].as_str().is_some_and(|text| !text.is_empty()),
                "{narrowing}"
            );
        }
        assert_ne!(narrowing["asked"], narrowing["offered"], "{narrowing}");
    }
    for column in ["name", "record", "birth_date", "age"] {
        let named = |narrowing: &&Value| narrowing.to_string().contains(column);
        assert!(
            narrowings.iter().any(|narrowing| named(&narrowing)),
            "no narrowing names `{column}`: {narrowings:?}"
        );
    }
}

fn assert_same_document(here: &Value, there: &Value) {
    for field in FIELDS.into_iter().chain(["transcript_head"]) {
        assert!(!here[field].is_null(), "`{field}` is missing: {here}");
        assert_eq!(here[field], there[field], "`{field}`");
    }
    assert_eq!(here["signed_by"], serde_json::json!(["provider", "consumer"]));
    assert_eq!(
        (&here["provider"], &here["consumer"]),
        (&"cleveland".into(), &"budapest".into())
    );
    assert_eq!((&here["dataset"], &here["tier"]), (&"heart".into(), &"records".into()));
    assert_eq!(here["purposes"], serde_json::json!(["health-research"]));
    assert_eq!(here["rows"], "age >= 40");
    for column in here["columns"].as_array().unwrap() {
        let fields: Vec<&String> = column.as_object().unwrap().keys().collect();
        assert_eq!(fields.len(), 2, "{column}");
        assert!(
            column["name"].is_string() && column["transform"].is_string(),
            "{column}"
        );
    }
}

fn assert_transforms_of_the_policy(grant: &Value) {
    let columns = grant["columns"].as_array().unwrap();
    let of = |name: &str| {
        columns
            .iter()
            .find(|column| column["name"] == name)
            .map(|column| column["transform"].to_string())
    };
    assert_eq!(of("sex").as_deref(), Some("\"clear\""));
    assert_eq!(of("chol").as_deref(), Some("\"clear\""));
    let bands = [
        "\"generalized to bands of 5 years\"",
        "\"generalized to bands of 10 years\"",
    ];
    assert!(
        of("age").is_some_and(|transform| bands.contains(&transform.as_str())),
        "{columns:?}"
    );
    assert_eq!(of("birth_date"), None, "ages and years of birth are treated as one");
    for direct in ["name", "record"] {
        assert_ne!(of(direct).as_deref(), Some("\"clear\""), "{direct}");
    }
}

fn assert_same_transcript(world: &World, id: &str) {
    let shown = |node: &str| world.node(node).json_as(Person::Steward, &["grant", "transcript", id]);
    let here = shown("budapest");
    let there = shown("cleveland");
    assert_eq!(here["head"], there["head"]);
    let kinds = |transcript: &Value| -> Vec<String> {
        transcript["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["digest"].to_string())
            .collect()
    };
    assert_eq!(kinds(&here), kinds(&there));
    assert!(
        kinds(&here).len() >= 6,
        "request, offer, acceptance, agreement, verification, finalization: {here}"
    );
}

fn assert_no_name_arrives(world: &World) {
    let consumer = world.node("budapest");
    let answer = consumer.query("SELECT * FROM cleveland.heart").ok();
    for secret in ["Anna", "Alpha", "Bela", "77001", "77002", "1950-02-03", "1931-05-06"] {
        assert!(
            !answer.stdout.contains(secret),
            "`{secret}` arrived:\n{}",
            answer.stdout
        );
    }
    let answer = answer.table();
    assert_eq!(answer.rows.len(), 3, "all three are forty or older");
    assert!(answer.column("age").contains(&"90+"), "{answer:?}");
}
