//! A member is removed from the consortium.

use concordat_tests::{House, Import, Person, World};

#[test]
fn a_removed_member_is_disconnected_and_asks_in_vain() {
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
    assert_eq!(world.house("budapest").ask(sql).ok().table().rows.len(), 3);

    let founder = world.house("cleveland");
    let before = founder.status()["roster"]["number"].as_u64().unwrap();
    founder
        .as_(Person::Administrator, &["consortium", "remove", "budapest"])
        .ok();
    assert_eq!(founder.status()["roster"]["number"], before + 1);

    founder.await_peers(1);
    world.house("zurich").await_peers(1);
    world.house("budapest").await_peers(0);
    let refused = world.house("budapest").ask(sql);
    assert!([Some(3), Some(5)].contains(&refused.code), "{}", refused.story());
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

    // The others go on.
    assert_eq!(world.house("zurich").ask(sql).ok().table().rows.len(), 3);
}

#[test]
fn two_holders_of_the_charter_change_the_roster_together_and_one_alone_does_not() {
    let world = World::consortium(3);
    let [first, second] = ["cleveland", "budapest"].map(|id| world.house(id));
    let administrator = Person::Administrator;
    let note = |house: &concordat_tests::House| house.status()["roster"]["charter"]["note"].clone();
    assert_eq!(note(first), "charter 1 of 1: one key can change the roster");
    second.as_(administrator, &["whoami"]).ok();

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
    let proposal = first.as_(administrator, &set).ok().stdout;
    let number = first.status()["roster"]["number"].as_u64().unwrap();
    let file = world.file("charter.txt", &proposal);
    // Without a terminal nothing is signed by its file alone, nor under the digest of another document.
    let path = file.to_str().unwrap();
    let blind = second.as_(administrator, &["consortium", "roster", "sign", path]);
    assert_eq!(blind.code, Some(2), "{}", blind.story());
    assert!(
        blind
            .stderr
            .contains("a holder of the charter from then on: `budapest`"),
        "{}",
        blind.story()
    );
    assert!(blind.stderr.contains("--expect"), "{}", blind.story());
    let other = "00".repeat(32);
    let blind = second.as_(
        administrator,
        &["consortium", "roster", "sign", path, "--expect", &other],
    );
    assert_eq!(blind.code, Some(2), "{}", blind.story());
    let digest = reviewed(second, path);
    let signed = second.as_(
        administrator,
        &["consortium", "roster", "sign", path, "--expect", &digest],
    );
    assert!(signed.ok().stdout.contains("is in force"));
    for house in &world.houses {
        house.await_that("the roster with the new charter", |house| {
            note(house) == "charter 2 of 2: 2 keys together change the roster"
        });
    }

    // One holder alone changes nothing, with whatever command.
    let proposal = first
        .as_(administrator, &["consortium", "remove", "zurich"])
        .ok()
        .stdout;
    assert!(proposal.contains("BEGIN CONCORDAT ROSTER"), "{proposal}");
    let file = world.file("removal.txt", &proposal);
    let alone = first.as_(
        administrator,
        &["consortium", "roster", "import", file.to_str().unwrap()],
    );
    assert_eq!(alone.code, Some(6), "{}", alone.story());
    assert_eq!(first.status()["roster"]["number"], number + 1);
    let outsider = world.house("zurich");
    let path = file.to_str().unwrap();
    let digest = reviewed(second, path);
    let expecting = ["consortium", "roster", "sign", path, "--expect", &digest];
    let signed = outsider.as_(administrator, &expecting);
    assert_eq!(signed.code, Some(3), "{}", signed.story());

    // The second signature puts it in force, and everybody hears of it.
    second.as_(administrator, &expecting).ok();
    for house in [first, second] {
        house.await_that("the removal", |house| house.status()["roster"]["number"] == number + 2);
        house.await_peers(1);
    }
}

/// The digest of the proposal in a file, as the holder sees it with what would change.
fn reviewed(house: &House, file: &str) -> String {
    let review = house.json_as(Person::Administrator, &["consortium", "roster", "review", file]);
    review["digest"].as_str().expect("a digest").to_owned()
}
