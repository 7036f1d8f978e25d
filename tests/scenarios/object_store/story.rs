//! A house whose objects lie in a store elsewhere, with the real daemon and the commands that people type.

use concordat_tests::s3::Kind;
use concordat_tests::{House, Import, PASSWORD, Person, World};

use super::super::assert_ledger_holds;
use super::*;

const QUESTION: &str = "SELECT count(*) AS n, sum(chol) AS total FROM cleveland.heart";

/// `[storage]` as an operator writes it.
fn section(endpoint: &str, prefix: &str) -> String {
    let plain = if endpoint.starts_with("https") {
        "refused"
    } else {
        "loopback"
    };
    format!(
        "[storage]\nobjects = \"s3://{BUCKET}/{prefix}\"\nendpoint = \"{endpoint}\"\nplain_http = \"{plain}\"\n\
         credentials = \"store.key\"\nrequest_timeout = 2\nretries = 2\n"
    )
}

fn configure(house: &House, section: &str) {
    let path = house.dir.join("concordat.toml");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("[storage]").unwrap();
    let (_, after) = rest.split_once("\n[log]").unwrap();
    fs::write(&path, format!("{before}{section}\n[log]{after}")).unwrap();
}

fn rows(numbers: std::ops::Range<u32>) -> String {
    let rows: String = numbers
        .map(|n| format!("{n},Sentinel {n},{}\n", 200 + n % 61))
        .collect();
    format!("record,name,chol\n{rows}")
}

fn settled(server: &S3Server) -> World {
    let mut world = World::strangers(1);
    let house = &mut world.houses[0];
    house.stop();
    configure(house, &section(&server.endpoint(), "cleveland"));
    server.credentials(&house.dir);
    house.accept_configuration();
    house.start();
    share(&mut world);
    world
}

fn share(world: &mut World) {
    let house = &world.houses[0];
    house.hire();
    house
        .as_(Person::Administrator, &["consortium", "found", "--name", "Alone"])
        .ok();
    let file = world.file("heart.csv", rows(0..1000));
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &file,
            args: &["--subject-column", "record"],
            classes: &["record=direct-identifier", "name=direct-identifier", "chol=sensitive"],
        },
    );
}

fn is_ready(house: &House) -> bool {
    house.run(&["status", "--ready"]).code == Some(0)
}

fn tells_of_the_store(text: &serde_json::Value) {
    assert!(text.to_string().contains("the object store"), "{text}");
}

#[test]
fn a_node_whose_store_goes_away_says_so_and_works_again_when_it_is_back() {
    let server = S3Server::start();
    let mut world = settled(&server);
    let more = world.file("more.csv", rows(1000..1200));
    let append = [
        "dataset",
        "import",
        "heart",
        "--from",
        more.to_str().unwrap(),
        "--append",
    ];
    let house = &mut world.houses[0];
    house.await_that("readiness", is_ready);
    let right = house.ask(QUESTION).ok().stdout;
    assert_eq!(
        readable(&server, &["Sentinel", "PAR1", "heart", "chol", "cleveland/cleveland"]),
        None
    );
    assert_eq!(server.objects("cleveland").len(), 1);
    assert!(
        !house
            .files()
            .iter()
            .any(|path| path.to_string_lossy().ends_with(".parquet"))
    );

    server.go_down();
    house.await_that("unreadiness", |house| !is_ready(house));
    let refused = house.refused_as(Person::Steward, 5, &append);
    tells_of_the_store(&refused["detail"]);
    assert!(
        refused["detail"].to_string().contains("s3://hospital/cleveland"),
        "{refused}"
    );
    let refused = house.refused_as(Person::Researcher, 5, &["query", QUESTION]);
    tells_of_the_store(&refused["reasons"]);
    let unready = house.run(&["--format", "json", "status", "--ready"]).exits(5);
    assert!(unready.stderr.contains("the object store"), "{}", unready.story());
    let doctor = house.run(&["doctor"]).exits(1);
    assert!(
        doctor
            .stdout
            .contains("the object store `s3://hospital/cleveland` cannot be reached"),
        "{}",
        doctor.story()
    );
    assert_eq!(
        house.json_as(Person::Steward, &["dataset", "show", "heart"])["version"],
        1
    );

    // It starts without its store, and does not pretend.
    house.stop();
    house.start();
    house.forget_login();
    assert_eq!(house.status()["ready"], false);
    house.await_that("word of the store", |house| {
        house.status()["reasons"].to_string().contains("cannot be reached")
    });
    house.refused_as(Person::Researcher, 5, &["query", QUESTION]);

    server.come_back();
    house.await_that("readiness", is_ready);
    assert_eq!(house.ask(QUESTION).ok().stdout, right);
    house.as_(Person::Steward, &append).ok();
    assert_ne!(house.ask(QUESTION).ok().stdout, right);
    house.as_(Person::Steward, &["dataset", "verify", "heart"]).ok();
    assert_eq!(server.objects("cleveland").len(), 2);
    assert_ledger_holds(house);
}

#[test]
fn a_store_behind_tls_is_used_if_the_machine_trusts_its_authority() {
    let server = S3Server::start();
    let secured = server.secured();
    let mut world = World::strangers(1);
    let house = &mut world.houses[0];
    house.stop();
    configure(house, &section(&secured.endpoint, "cleveland"));
    server.credentials(&house.dir);
    house.accept_configuration();

    house.start();
    house.await_that("word of the store", |house| {
        house.status()["reasons"].to_string().contains("certificate")
    });
    assert_eq!(server.faults().asked(Kind::Read), 0, "nothing was said to a stranger");

    house.stop();
    house.surround(&[("SSL_CERT_FILE", secured.authority.to_str().unwrap())]);
    house.start();
    share(&mut world);
    world.houses[0].await_that("readiness", is_ready);
    assert!(world.houses[0].ask(QUESTION).ok().stdout.contains("1000"));
    assert_eq!(server.objects("cleveland").len(), 1);
}

#[test]
fn a_lost_machine_is_made_anew_in_another_place_of_its_store() {
    let server = S3Server::start();
    let mut world = settled(&server);
    let place = world.place().to_owned();
    let backups = place.join("backups");
    let house = &mut world.houses[0];
    house.await_that("readiness", is_ready);
    let right = house.ask(QUESTION).ok().stdout;
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    house
        .as_(Person::Administrator, &["backup", "create", "--to", &text(&backups)])
        .ok();
    let kept = place.join("unlock.key");
    fs::copy(house.dir.join("unlock.key"), &kept).unwrap();
    let key = text(&kept);
    let owner = house.status()["fingerprint"].as_str().unwrap().to_owned();
    house.kill();
    let lost = std::mem::replace(&mut house.dir, place.join("anew"));
    let restore = |house: &House, more: &[&str]| {
        let words = [
            "--format",
            "json",
            "restore",
            "--from",
            &text(&backups),
            "--institution-key",
            &owner,
        ];
        house.run(&[&words[..], more].concat())
    };

    // Where the objects go is the operator's to say, and a place that is in use is not written to.
    let unsaid = restore(house, &["--key-file", &key]).exits(2).problem();
    assert!(unsaid["help"].to_string().contains("--config"), "{unsaid}");
    let config = fs::read_to_string(lost.join("concordat.toml")).unwrap();
    let credentials = text(&lost.join("store.key"));
    let config = config
        .replace("\"store.key\"", &format!("\"{credentials}\""))
        .replace("\"unlock.key\"", &format!("\"{key}\""));
    let given = place.join("given.toml");
    fs::write(&given, &config).unwrap();
    let occupied = restore(house, &["--config", &text(&given)]).exits(2).problem();
    assert!(occupied["detail"].to_string().contains("is not empty"), "{occupied}");
    assert!(!house.dir.exists());

    let elsewhere = format!("s3://{BUCKET}/cleveland-2");
    fs::write(&given, config.replace(&format!("s3://{BUCKET}/cleveland"), &elsewhere)).unwrap();
    restore(house, &["--config", &text(&given)]).ok();
    house.start();
    house.forget_login();
    house.typed(&["login", Person::Researcher.name()], Some(PASSWORD)).ok();
    house.await_that("readiness", is_ready);
    assert_eq!(house.ask(QUESTION).ok().stdout, right);
    assert_eq!(
        names(&server.objects("cleveland-2")),
        names(&server.objects("cleveland"))
    );

    // And without a store, as a house of its own.
    house.stop();
    house.dir = place.join("local");
    let local = [
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
        "--key-file",
        &key,
        "--objects",
        "local",
    ];
    restore(house, &local).ok();
    house.start();
    house.forget_login();
    assert_eq!(house.ask(QUESTION).ok().stdout, right);
}
