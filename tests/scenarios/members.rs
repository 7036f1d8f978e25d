//! A member is removed from the consortium.

use concordat_tests::{Import, Person, World};

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
