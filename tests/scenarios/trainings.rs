//! Which courses count as training, and until when: what an administrator records, and what the holder's policy makes of it.

use concordat_tests::{Import, Person, World};

const SQL: &str = "SELECT chol FROM cleveland.lab";

#[test]
fn training_in_a_course_that_no_policy_names_gives_no_access() {
    let world = World::consortium(2);
    let rows: String = (0..40).map(|n| format!("{n},{}\n", 200 + n)).collect();
    let file = world.file("lab.csv", format!("record,chol\n{rows}"));
    world.share(
        "cleveland",
        Import {
            dataset: "lab",
            from: &file,
            args: &["--each-row-is-a-subject"],
            classes: &["record=ordinary", "chol=ordinary"],
        },
    );
    let node = world.node("budapest");
    world.grant("budapest", "cleveland", "lab", &[]);
    // The policy's longest window is shorter than this; what is requested is the whole day.
    let until = ["--until", "2030-06-30", "--zone", "Europe/Budapest"];
    let requested = world.request("budapest", "cleveland", "lab", &until);
    let shown = node.json_as(Person::Researcher, &["grant", "show", &requested]);
    assert_eq!(
        shown["not_after"], "2030-06-30T22:00:00Z",
        "through that day in Budapest"
    );
    node.query(SQL).ok();

    let record = |course: &str| {
        let training = ["user", "training", "rufus", "--course", course, "--until", "2099-12-31"];
        node.run_as(Person::Administrator, &[&["--format", "json"], &training[..]].concat())
            .ok()
    };
    let cooking = record("cooking");
    assert_eq!(cooking.json()["training"]["until"], "2100-01-01T00:00:00Z");
    assert!(
        cooking.stderr.contains("through 2099-12-31 in UTC"),
        "{}",
        cooking.stderr
    );
    let named = "data-protection, good-clinical-practice, human-subjects-protection";
    assert!(cooking.stderr.contains(named), "{}", cooking.stderr);
    let refused = node.refused_as(Person::Researcher, 3, &["query", SQL]);
    assert!(
        refused["reasons"].to_string().contains("good-clinical-practice"),
        "{refused}"
    );

    let counts = record("data-protection");
    assert!(!counts.stderr.contains("gives no access"), "{}", counts.stderr);
    node.query(SQL).ok();
}
