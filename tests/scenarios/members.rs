//! Members are removed from the consortium, and the charter changes.

use concordat_tests::{Import, Person, TestNode, World};

#[test]
fn removed_member_is_disconnected_and_refused() {
    let world = World::consortium(3);
    let file = world.file("patients.csv", "record,sex\n1,0\n2,1\n3,1\n");
    let args = ["--subject-column", "record"];
    let classes = ["record=direct-identifier", "sex=sensitive"];
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &file,
            args: &args,
            classes: &classes,
        },
    );
    world.grant("budapest", "cleveland", "heart", &["--columns", "sex"]);
    world.grant("zurich", "cleveland", "heart", &["--columns", "sex"]);
    let sql = "SELECT sex FROM cleveland.heart";
    assert_eq!(world.node("budapest").query(sql).ok().table().rows.len(), 3);

    let founder = world.node("cleveland");
    let before = founder.status()["roster"]["number"].as_u64().unwrap();
    founder
        .run_as(Person::Administrator, &["consortium", "remove", "budapest"])
        .ok();
    assert_eq!(founder.status()["roster"]["number"], before + 1);

    founder.await_peers(1);
    world.node("zurich").await_peers(1);
    world.node("budapest").await_peers(0);
    let refused = world.node("budapest").query(sql);
    assert!([Some(3), Some(5)].contains(&refused.code), "{}", refused.report());
    let members = founder.json_as(Person::Administrator, &["consortium", "roster", "show"]);
    let members = members["members"].as_array().unwrap();
    let status = |id: &str| {
        members
            .iter()
            .find(|member| member["institution"] == id)
            .map(|member| member["status"].clone())
    };
    assert_eq!(status("budapest"), Some("removed".into()));
    assert_eq!(status("zurich"), Some("active".into()));

    // The others continue.
    assert_eq!(world.node("zurich").query(sql).ok().table().rows.len(), 3);
}

#[test]
fn charter_with_two_holders_needs_both_to_change_the_roster() {
    let world = World::consortium(3);
    let [first, second] = ["cleveland", "budapest"].map(|id| world.node(id));
    let administrator = Person::Administrator;
    let charter = first.status()["roster"]["charter"].take();
    assert_eq!(charter["threshold"], 1, "{charter}");
    assert_eq!(charter["keys"].as_array().map(Vec::len), Some(1), "{charter}");
    second.run_as(administrator, &["whoami"]).ok();

    let set = [
        "consortium",
        "charter",
        "set",
        "--threshold",
        "2",
        "--holder",
        "cleveland",
        "--holder",
        "budapest",
    ];
    let proposal = first.run_as(administrator, &set).ok().stdout;
    let number = first.status()["roster"]["number"].as_u64().unwrap();
    let file = world.file("charter.txt", &proposal);
    // Without a terminal, no document is signed by its file alone, nor under the digest of another document.
    let path = file.to_str().unwrap();
    let blind = second.run_as(administrator, &["consortium", "roster", "sign", path]);
    assert_eq!(blind.code, Some(2), "{}", blind.report());
    assert!(
        blind
            .stderr
            .contains("a holder of the charter from then on: `budapest`"),
        "{}",
        blind.report()
    );
    assert!(blind.stderr.contains("--expect"), "{}", blind.report());
    let other = "00".repeat(32);
    let blind = second.run_as(
        administrator,
        &["consortium", "roster", "sign", path, "--expect", &other],
    );
    assert_eq!(blind.code, Some(2), "{}", blind.report());
    let digest = reviewed(second, path);
    let signed = second.run_as(
        administrator,
        &["consortium", "roster", "sign", path, "--expect", &digest],
    );
    signed.ok();
    for node in &world.nodes {
        node.await_condition("the roster with the new charter", |node| {
            let charter = node.status()["roster"]["charter"].take();
            charter["threshold"] == 2 && charter["keys"].as_array().map(Vec::len) == Some(2)
        });
    }

    // One holder alone changes nothing, with any command.
    let proposal = first
        .run_as(administrator, &["consortium", "remove", "zurich"])
        .ok()
        .stdout;
    assert!(proposal.contains("BEGIN CONCORDAT ROSTER"), "{proposal}");
    let file = world.file("removal.txt", &proposal);
    let alone = first.run_as(
        administrator,
        &[
            "--format",
            "json",
            "consortium",
            "roster",
            "import",
            file.to_str().unwrap(),
        ],
    );
    assert_eq!(alone.exits(2).problem()["code"], "unverified");
    assert_eq!(first.status()["roster"]["number"], number + 1);
    let outsider = world.node("zurich");
    let path = file.to_str().unwrap();
    let digest = reviewed(second, path);
    let expecting = ["consortium", "roster", "sign", path, "--expect", &digest];
    let signed = outsider.run_as(administrator, &expecting);
    assert_eq!(signed.code, Some(3), "{}", signed.report());

    // With the second signature the roster takes effect, and every member receives it.
    second.run_as(administrator, &expecting).ok();
    for node in [first, second] {
        node.await_condition("the removal", |node| node.status()["roster"]["number"] == number + 2);
        node.await_peers(1);
    }
}

/// The digest of the proposal in a file, as the holder sees it with its changes.
fn reviewed(node: &TestNode, file: &str) -> String {
    let review = node.json_as(Person::Administrator, &["consortium", "roster", "review", file]);
    review["digest"].as_str().expect("a digest").to_owned()
}
