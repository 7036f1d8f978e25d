//! Below the tier `records`: the size of a group is counted in patients, not in rows.

use std::fmt::Write;

use concordat_tests::{Import, Person, World};

use super::{answers_released, entries};

/// Wards with their patients and the visits of each. `c` has many rows of too few patients.
const WARDS: [(&str, u32, u32); 4] = [("a", 30, 3), ("b", 25, 2), ("c", 3, 100), ("d", 12, 1)];
const BY_WARD: &str = "SELECT ward, count(*) AS visits FROM cleveland.stays GROUP BY ward ORDER BY ward";

#[test]
fn groups_of_few_patients_are_withheld_despite_many_rows() {
    let world = World::consortium(2);
    for holder in ["cleveland", "budapest"] {
        world.release_exact(holder);
        assert_eq!(share_stays(&world, holder), 452);
    }
    let grant = world.grant("budapest", "cleveland", "stays", &["--tier", "aggregate"]);
    let researcher = world.node("budapest");

    // `c` has three patients; `d`, the smallest of the others, is withheld with it; otherwise the number of all would reveal `c`.
    let answered = researcher.query(BY_WARD).ok();
    // Without these notes a person would take the answer for a complete one.
    for note in [
        "withholds figures of `cleveland.stays` about fewer than 10 subjects",
        "`visits` (3 of 5 rows)",
        "1 receipt signed by both sides",
    ] {
        assert!(answered.stderr.contains(note), "{note}: {}", answered.stderr);
    }
    let answer = answered.table();
    let shown: Vec<&Vec<String>> = answer.rows.iter().filter(|row| !row[1].is_empty()).collect();
    assert_eq!(shown, [&["a", "90"], &["b", "50"]]);
    // A row for each level, also of no one, and the same each time.
    assert!(answer.rows.len() > shown.len(), "{:?}", answer.rows);
    assert_eq!(researcher.query(BY_WARD).ok().table().rows, answer.rows);
    let released = answers_released(world.node("cleveland"));
    assert_eq!(released.last().unwrap()["rows"], answer.rows.len());

    let total = researcher.query("SELECT count(*) AS n FROM cleveland.stays").ok();
    assert!(!total.stderr.contains("values are missing"), "{}", total.stderr);
    assert_eq!(total.table().rows, [["452"]]);
    let few =
        researcher.query("SELECT count(*) AS n FROM cleveland.stays WHERE ward <> 'a' AND ward <> 'b' AND ward <> 'd'");
    assert_eq!(few.ok().table().rows, [[""]], "three hundred rows of three patients");

    for rows in [
        "SELECT * FROM cleveland.stays",
        "SELECT max(score) FROM cleveland.stays",
        "SELECT patient FROM cleveland.stays",
    ] {
        assert_ne!(researcher.query(rows).code, Some(0), "{rows}");
    }
    world.await_grant("cleveland", &grant, "ACTIVE");
}

/// A missing value alone could be read as zero, or as an error. The remark is the same for a figure that is shown.
#[test]
fn figure_without_groups_is_withheld_with_a_remark() {
    const FEW: &str = " WHERE ward <> 'a' AND ward <> 'b' AND ward <> 'd'";
    let world = World::consortium(2);
    world.release_exact("cleveland");
    share_stays(&world, "cleveland");
    world.grant("budapest", "cleveland", "stays", &["--tier", "aggregate"]);
    let remark = "withholds figures of `cleveland.stays` about fewer than 10 subjects";
    for (condition, shown) in [("", "452"), (FEW, "")] {
        let sql = format!("SELECT count(*) AS n FROM cleveland.stays{condition}");
        let answer = world.node("budapest").query(&sql).ok();
        assert_eq!(answer.table().rows, [[shown]], "{sql}");
        assert!(answer.stderr.contains(remark), "{sql}: {}", answer.stderr);
    }
}

/// By default figures have noise, and a repetition has the same.
#[test]
fn figures_of_a_grant_have_noise_that_stays_the_same() {
    let world = World::consortium(2);
    share_stays(&world, "cleveland");
    let grant = world.grant("budapest", "cleveland", "stays", &["--tier", "aggregate"]);
    let researcher = world.node("budapest");
    let first = researcher.query(BY_WARD).ok().table();
    let researcher_sees = |remark: &str| {
        let answer = researcher.query(BY_WARD).ok();
        assert!(answer.stderr.contains(remark), "{remark}: {}", answer.stderr);
    };
    researcher_sees("have noise (perturbed)");
    researcher_sees("withholds figures");
    for again in [
        BY_WARD,
        "SELECT ward, count(*) AS rows FROM cleveland.stays GROUP BY ward ORDER BY ward",
    ] {
        assert_eq!(researcher.query(again).ok().table().rows, first.rows, "{again}");
    }
    let shown = world
        .node("cleveland")
        .json_as(Person::Steward, &["grant", "show", &grant]);
    let protection = shown["protection"].as_str().unwrap();
    assert!(protection.starts_with("perturbed"), "{protection}");
}

/// What was released is known after a restart, and what was used up stays so.
#[test]
fn figures_after_a_restart_are_those_before_it() {
    // The number of all patients is one distinction, and known.
    let exact = [
        ("protection = \"perturbed\"", "protection = \"exact\""),
        ("distinctions = 512", "distinctions = 2"),
    ];
    let mut world = granted_under(&exact);
    for _ in 0..2 {
        let answer = world.node("budapest").query(&of_ward("a")).ok().table();
        assert_eq!(answer.rows, [["30"]]);
        assert_is_refused(&world, "b", "the budget of distinctions for this collection is used up");
        restart(&mut world, "cleveland");
    }
}

/// Loss of privacy is not given back, whatever becomes of the node.
#[test]
fn loss_of_privacy_stays_reserved_after_a_restart() {
    let private = [
        ("protection = \"perturbed\"", "protection = \"private\""),
        ("total = 1000000", "total = 15000"),
    ];
    let mut world = granted_under(&private);
    let answer = world.node("budapest").query(&of_ward("a")).ok();
    assert!(answer.stderr.contains("have noise (private)"), "{}", answer.stderr);
    assert!(!answer.stderr.contains("withholds figures"), "{}", answer.stderr);
    let answer = answer.table();
    assert_eq!(answer.rows.len(), 1);
    for _ in 0..2 {
        assert_is_refused(&world, "b", "the budget for the loss of privacy is used up");
        restart(&mut world, "cleveland");
        // What was answered costs nothing, and is the same.
        let again = world.node("budapest").query(&of_ward("a")).ok().table();
        assert_eq!(again.rows, answer.rows);
    }
    let reserved = entries(world.node("cleveland"), "budget_reserved");
    assert_eq!(reserved.len(), 1, "{reserved:?}");
    assert_eq!(reserved[0]["left"], 5000);
}

/// A steward offers figures where records were requested, protected as the policy set states, or more.
#[test]
fn figures_are_offered_where_records_were_requested() {
    let world = World::consortium(2);
    share_stays(&world, "cleveland");
    let holder = world.node("cleveland");
    let offered = |protection: &[&str]| {
        let id = world.request("budapest", "cleveland", "stays", &[]);
        let offer = ["grant", "offer", id.as_str(), "--tier", "aggregate"];
        holder.json_as(Person::Steward, &[&offer[..], protection].concat())
    };
    for (wanted, protection) in [
        (&[][..], "perturbed"),
        (&["--protection", "perturbed"][..], "perturbed"),
        (&["--protection", "private"][..], "private"),
    ] {
        let offer = offered(wanted);
        assert_eq!(offer["tier"], "aggregate", "{offer}");
        assert!(offer["protection"].as_str().unwrap().starts_with(protection), "{offer}");
        assert_eq!(offer["limits"]["max_cells"], 500, "{offer}");
    }
    let id = world.request("budapest", "cleveland", "stays", &[]);
    let exact = [
        "grant",
        "offer",
        id.as_str(),
        "--tier",
        "aggregate",
        "--protection",
        "exact",
    ];
    let refused = holder.refused_as(Person::Steward, 3, &exact).to_string();
    assert!(
        refused.contains("the holder protects figures below `records` as `perturbed`"),
        "{refused}"
    );
    // A consumer can request more protection than the policy set states, as for data of people who expect it.
    let request = ["--tier", "aggregate", "--protection", "private"];
    let grant = world.grant("budapest", "cleveland", "stays", &request);
    let shown = world.await_grant("budapest", &grant, "ACTIVE");
    assert!(shown["protection"].as_str().unwrap().starts_with("private"), "{shown}");
}

/// The number of figures with noise is a setting, an offer states a smaller one, and both are shown.
#[test]
fn figures_with_noise_are_those_that_a_steward_states() {
    let world = World::consortium(2);
    let few = ("figures_with_noise = 32", "figures_with_noise = 8");
    world.change_settings("cleveland", &[few]);
    share_stays(&world, "cleveland");
    let holder = world.node("cleveland");
    let set = holder.json_as(Person::Steward, &["policy", "show"]);
    assert_eq!(set["settings"]["figures_with_noise"], 8, "{set}");

    // A request for noise does not state how much.
    let request = ["--tier", "aggregate", "--protection", "perturbed"];
    world.grant("budapest", "cleveland", "stays", &request);
    let estimate = ["query", "--estimate", BY_WARD];
    let estimated = world.node("budapest").json_as(Person::Researcher, &estimate);
    let stated = estimated["parts"][0]["protection"].as_str().unwrap();
    assert_eq!(
        stated,
        "perturbed, noise of variance 136 up to 60, multiples of 5, for 8 answers"
    );

    let id = world.request("budapest", "cleveland", "stays", &["--tier", "aggregate"]);
    let offered = |figures: &'static str| ["grant", "offer", id.as_str(), "--limits", figures];
    let refused = holder.refused_as(Person::Steward, 3, &offered("figures-with-noise=9"));
    assert!(refused.to_string().contains("`9` exceeds"), "{refused}");
    let offer = holder.json_as(Person::Steward, &offered("figures-with-noise=2"));
    assert_eq!(offer["limits"]["figures_with_noise"], 2, "{offer}");
    let shown = holder.json_as(Person::Steward, &["grant", "show", id.as_str()]);
    let fewer = "perturbed, noise of variance 136 up to 60, multiples of 5, for 2 answers";
    assert_eq!(shown["protection"], fewer, "the noise is that of the policy set");
}

/// A query with more figures than are left is refused, also after a restart.
#[test]
fn figures_with_noise_are_used_up() {
    let mut world = granted_under(&[("figures_with_noise = 32", "figures_with_noise = 1")]);
    let budget = |sql: &str| {
        let estimated = world
            .node("budapest")
            .json_as(Person::Researcher, &["query", "--estimate", sql]);
        let noise = &estimated["parts"][0]["noise"];
        ["allowed", "used", "left", "query"].map(|of| noise[of].as_u64().unwrap_or_else(|| panic!("{estimated}")))
    };
    let two = "SELECT count(DISTINCT patient) AS n, count(*) AS visits FROM cleveland.stays";
    assert_eq!(budget(&of_ward("a")), [1, 0, 1, 1]);
    assert_eq!(budget(two), [1, 0, 1, 2]);
    let answer = world.node("budapest").query(&of_ward("a")).ok().table();
    assert_eq!(
        budget(&of_ward("b")),
        [1, 1, 0, 1],
        "that there is an answer is counted"
    );
    for _ in 0..2 {
        assert_is_refused(
            &world,
            "b",
            "1 figures are allowed to your institution for this collection, 1 were answered",
        );
        restart(&mut world, "cleveland");
        let again = world.node("budapest").query(&of_ward("a")).ok().table();
        assert_eq!(again.rows, answer.rows);
    }
}

fn of_ward(ward: &str) -> String {
    format!("SELECT count(DISTINCT patient) AS n FROM cleveland.stays WHERE ward = '{ward}'")
}

/// Budapest has a grant for statistics of Cleveland, which was offered under these settings.
fn granted_under(settings: &[(&str, &str)]) -> World {
    let world = World::consortium(2);
    world.change_settings("cleveland", settings);
    share_stays(&world, "cleveland");
    world.grant("budapest", "cleveland", "stays", &["--tier", "aggregate"]);
    world.node("cleveland").pin_ports();
    world
}

#[track_caller]
fn assert_is_refused(world: &World, ward: &str, reason: &str) {
    let sql = of_ward(ward);
    let refused = world
        .node("budapest")
        .refused_as(Person::Researcher, 3, &["query", &sql])
        .to_string();
    assert!(refused.contains(reason), "{refused}");
}

fn restart(world: &mut World, id: &str) {
    let node = world.node_mut(id);
    assert_eq!(node.stop(), Some(0));
    node.start();
    node.forget_login();
    node.await_peers(1);
}

fn share_stays(world: &World, holder: &str) -> u64 {
    let mut text = "patient,ward,score\n".to_owned();
    let mut patient = 1000;
    for (ward, patients, visits) in WARDS {
        for _ in 0..patients {
            patient += 1;
            for _ in 0..visits {
                writeln!(text, "{patient},{ward},7").unwrap();
            }
        }
    }
    let file = world.file(&format!("{holder}-stays.csv"), text);
    let imported = world.share(
        holder,
        Import {
            dataset: "stays",
            from: &file,
            args: &["--subject-column", "patient"],
            classes: &["patient=direct-identifier", "ward=ordinary", "score=sensitive"],
        },
    );
    imported["rows"].as_u64().unwrap()
}
