//! Every kind of refusal has its exit code and says what happened, why, and what to do.

use concordat_tests::{House, Import, PASSWORD, Person, World};
use serde_json::Value;

const CLASSES: [&str; 3] = ["record=direct-identifier", "sex=sensitive", "chol=sensitive"];

#[test]
fn each_refusal_has_its_exit_code_and_its_reasons() {
    let mut world = World::consortium(3);
    shared(&world, "heart", true);
    shared(&world, "hidden", false);
    world.grant("budapest", "cleveland", "heart", &["--columns", "sex"]);

    what_no_rule_permits_is_denied(&world);
    what_is_hidden_looks_like_what_does_not_exist(&world);
    what_is_no_question_is_wrong_usage(&world);
    whoever_is_not_logged_in_is_told_so(&world);
    whoever_is_away_is_unreachable(&mut world);
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
            .house("cleveland")
            .as_(Person::Steward, &["dataset", "withdraw", dataset])
            .ok();
    }
}

#[track_caller]
fn asks(house: &House, code: i32, args: &[&str]) -> Value {
    let problem = house.refused_as(Person::Researcher, code, &[&["query"], args].concat());
    assert!(
        problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
        "{problem}"
    );
    problem
}

fn what_no_rule_permits_is_denied(world: &World) {
    let (budapest, zurich) = (world.house("budapest"), world.house("zurich"));
    let problem = asks(zurich, 3, &["SELECT sex FROM cleveland.heart"]);
    assert_eq!(problem["code"], "denied");
    let help = problem["help"].as_str().expect("help");
    assert!(help.contains("grant request cleveland/heart"), "{help}");
    asks(
        budapest,
        3,
        &["SELECT sex FROM cleveland.heart", "--purpose", "clinical-care"],
    );

    // A steward of the other house, and a researcher where a steward is needed.
    zurich.refused_as(Person::Steward, 3, &["query", "SELECT sex FROM cleveland.heart"]);
    zurich.refused_as(Person::Researcher, 3, &["user", "list"]);
    budapest.refused_as(Person::Researcher, 3, &["dataset", "publish", "heart"]);
}

fn what_is_hidden_looks_like_what_does_not_exist(world: &World) {
    let (cleveland, budapest) = (world.house("cleveland"), world.house("budapest"));
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
        let outcome = budapest.as_(
            Person::Researcher,
            &[
                "--format",
                "json",
                "query",
                &format!("SELECT {name} FROM cleveland.heart"),
            ],
        );
        assert_ne!(outcome.code, Some(0), "{}", outcome.story());
        (outcome.code, outcome.problem().to_string().replace(name, "…"))
    };
    assert_eq!(
        column("chol"),
        column("nosuchcolumn"),
        "a column that was not granted and one that does not exist"
    );
}

fn what_is_no_question_is_wrong_usage(world: &World) {
    let budapest = world.house("budapest");
    let questions = [
        "SELECT sex FROM cleveland.heart; DROP TABLE heart",
        "DROP TABLE cleveland.heart",
        "COPY cleveland.heart TO 'x.csv'",
        "INSERT INTO cleveland.heart VALUES (1)",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT sex FROM cleveland.heart WHERE",
        "SELECT sex FROM heart",
        "",
    ];
    for question in questions {
        asks(budapest, 2, &[question]);
    }
    let unknown = budapest.run(&["query", "SELECT 1", "--no-such-option"]).exits(2);
    assert!(unknown.stderr.contains("--no-such-option"), "{}", unknown.story());
}

fn whoever_is_not_logged_in_is_told_so(world: &World) {
    let zurich = world.house("zurich");
    zurich.as_(Person::Researcher, &["logout"]).ok();
    let outcome = zurich
        .run(&["--format", "json", "query", "SELECT sex FROM cleveland.heart"])
        .exits(7);
    assert!(
        outcome.problem()["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("concordat login")),
        "{}",
        outcome.story()
    );
    for (name, password) in [("rufus", "not the password"), ("nobody", PASSWORD)] {
        zurich
            .typed(&["--format", "json", "login", name], Some(password))
            .exits(7)
            .problem();
    }
    zurich.forget_login();
}

fn whoever_is_away_is_unreachable(world: &mut World) {
    world.house_mut("cleveland").stop();
    let budapest = world.house("budapest");
    budapest.await_peers(1);
    asks(budapest, 5, &["SELECT sex FROM cleveland.heart"]);
    let problem = world
        .house("cleveland")
        .run(&["--format", "json", "whoami"])
        .exits(5)
        .problem();
    assert!(problem.to_string().contains("concordat serve"), "{problem}");
}
