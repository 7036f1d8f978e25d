//! What a node that was restored from a snapshot serves: nothing that was decided before, until a person has decided again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use concordat_tests::{Import, Person, World};
use serde_json::Value;

use super::ledger_heads::shown;
use super::{assert_ledger_valid, entries};

const SQL: &str = "SELECT count(*) FROM cleveland.lab";
const STEWARD: Person = Person::Steward;
const ADMINISTRATOR: Person = Person::Administrator;

#[test]
fn grant_from_before_a_restore_waits_for_a_steward() {
    let mut world = world_with_lab();
    let grant = world.grant("budapest", "cleveland", "lab", &["--tier", "records"]);
    world.node("budapest").query(SQL).ok();
    let restore = Restore::prepare(&world);
    // The consumer never learns of the revocation, and knows no head of the ledger from after the snapshot.
    world.node_mut("budapest").kill();
    let revoke = ["grant", "revoke", &grant, "--reason", "consent withdrawn"];
    world.node("cleveland").run_as(STEWARD, &revoke).ok();
    let printed = restore.run(&mut world);
    assert!(
        printed.contains("every grant of this institution is suspended"),
        "{printed}"
    );

    let node = world.node("cleveland");
    let shown = world.await_grant("cleveland", &grant, "SUSPENDED");
    assert!(shown["reason"].to_string().contains("restored"), "{shown}");
    let alarms = node.status()["alarms"].to_string();
    assert!(alarms.contains("grants are suspended because"), "{alarms}");
    let resume = ["grant", "resume", &grant, "--reason", "checked by telephone"];
    let early = node.refused_as(STEWARD, 3, &resume);
    assert!(
        early["detail"].to_string().contains("`budapest` has connected"),
        "{early}"
    );

    let consumer = world.node_mut("budapest");
    consumer.start();
    consumer.forget_login();
    consumer.await_peers(1);
    consumer.refused_as(Person::Researcher, 3, &["query", SQL]);
    let node = world.node("cleveland");
    node.log_in(STEWARD);
    node.await_condition("a comparison with the consumer", |node| {
        node.run(&resume).code == Some(0)
    });
    world.await_grant("budapest", &grant, "ACTIVE");
    world.node("budapest").query(SQL).ok();
    for node in &world.nodes {
        assert_ledger_valid(node);
    }
}

#[test]
fn grant_revoked_after_a_backup_is_learned_from_the_consumer() {
    let mut world = world_with_lab();
    let grant = world.grant("budapest", "cleveland", "lab", &["--tier", "records"]);
    let restore = Restore::prepare(&world);
    let revoke = ["grant", "revoke", &grant, "--reason", "consent withdrawn"];
    world.node("cleveland").run_as(STEWARD, &revoke).ok();
    world.await_grant("budapest", &grant, "REVOKED");
    // The consumer stores the head of the ledger with which the provider starts again.
    let node = world.node_mut("cleveland");
    node.stop();
    node.start();
    node.forget_login();
    node.await_peers(1);
    world.node("budapest").await_peers(1);
    restore.run(&mut world);

    let node = world.node("cleveland");
    node.await_condition("its own alarm", |node| {
        node.status()["alarms"]
            .to_string()
            .contains("this data directory is a copy")
    });
    acknowledge(&world);
    let shown = world.await_grant("cleveland", &grant, "REVOKED");
    assert!(shown["reason"].to_string().contains("consent withdrawn"), "{shown}");
    world.await_grant("budapest", &grant, "REVOKED");
    let resume = ["grant", "resume", &grant, "--reason", "why not"];
    world.node("cleveland").refused_as(STEWARD, 2, &resume);
    world
        .node("budapest")
        .refused_as(Person::Researcher, 3, &["query", SQL]);
}

#[test]
fn accounts_of_a_snapshot_need_a_new_password() {
    let mut world = world_with_lab();
    let restore = Restore::prepare(&world);
    let printed = restore.restore(&mut world);
    assert!(
        printed.contains("the password of `administrator` opens one session"),
        "{printed}"
    );
    let node = world.node("cleveland");
    for person in [Person::Steward, Person::Researcher] {
        let refused = node.run_with_input(&["login", person.name()], Some(concordat_tests::PASSWORD));
        assert_ne!(refused.code, Some(0), "{} can log in", person.name());
    }
    node.run_with_input(&["login", "administrator"], Some(concordat_tests::PASSWORD))
        .ok();
    // The session is only for another password.
    assert_ne!(node.run(&["user", "list"]).code, Some(0));
    node.run_with_input(
        &["passwd"],
        Some(&format!("{}\nan entirely different phrase", concordat_tests::PASSWORD)),
    )
    .ok();
    node.run_with_input(&["login", "administrator"], Some("an entirely different phrase"))
        .ok();
    let listed = node.run(&["--format", "json", "user", "list"]).ok().json();
    for account in listed.as_array().expect("a list") {
        assert_eq!(account["training"], Value::Null, "{account}");
    }
    node.run_with_input(&["login", Person::Steward.name()], Some(concordat_tests::PASSWORD))
        .exits(7);
}

#[test]
fn erased_dataset_ends_its_grants() {
    let world = world_with_lab();
    let grant = world.grant("budapest", "cleveland", "lab", &["--tier", "records"]);
    let open = world.request("budapest", "cleveland", "lab", &[]);
    world.node("budapest").query(SQL).ok();
    let order = ["dataset", "erase", "lab", "--reason", "the study ended", "--yes"];
    world.node("cleveland").run_as(STEWARD, &order).ok();
    for side in ["cleveland", "budapest"] {
        let shown = world.await_grant(side, &grant, "REVOKED");
        assert!(
            shown["reason"].to_string().contains("the dataset was erased"),
            "{shown}"
        );
        world.await_grant(side, &open, "TERMINATED");
    }
    let changed = entries(world.node("cleveland"), "grant_changed");
    assert!(changed.iter().any(|entry| entry["change"] == "revoked"), "{changed:?}");
    share_lab(&world);
    world
        .node("budapest")
        .refused_as(Person::Researcher, 3, &["query", SQL]);
    world.await_grant("cleveland", &grant, "REVOKED");
}

/// Two members, and the dataset `lab` at the first.
fn world_with_lab() -> World {
    let world = World::consortium(2);
    share_lab(&world);
    world
}

fn share_lab(world: &World) {
    let rows: String = (0..400).map(|n| format!("{n},{}\n", 200 + n % 61)).collect();
    let file = world.file("lab.csv", format!("record,chol\n{rows}"));
    world.share(
        "cleveland",
        Import {
            dataset: "lab",
            from: &file,
            args: &["--each-row-is-a-subject"],
            classes: &["record=ordinary", "chol=sensitive"],
        },
    );
}

/// A snapshot of `cleveland`, and what its operator stores elsewhere.
struct Restore {
    backups: PathBuf,
    key: PathBuf,
    owner: String,
    listen: Vec<String>,
}

impl Restore {
    fn prepare(world: &World) -> Self {
        let node = world.node("cleveland");
        let backups = world.dir().join("backups");
        node.run_as(ADMINISTRATOR, &["backup", "create", "--to", text(&backups)])
            .ok();
        let key = world.dir().join("unlock.key");
        fs::copy(node.dir.join("unlock.key"), &key).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let status = node.status();
        let listen = status["listen"].as_array().expect("addresses").iter();
        let listen = listen.filter_map(Value::as_str);
        let listen = listen
            .filter_map(|address| address.split("/p2p/").next())
            .map(str::to_owned);
        Self {
            backups,
            key,
            owner: status["fingerprint"].as_str().expect("a fingerprint").to_owned(),
            listen: listen.collect(),
        }
    }

    /// Restores the node at the same addresses, starts it, and lets its people in again; returns what was printed.
    fn run(&self, world: &mut World) -> String {
        let printed = self.restore(world);
        let node = world.node("cleveland");
        node.readmit_users();
        node.log_in(STEWARD);
        printed
    }

    fn restore(&self, world: &mut World) -> String {
        let node = world.node_mut("cleveland");
        node.kill();
        node.dir = node.dir.with_file_name("restored");
        let args = [
            "restore",
            "--from",
            text(&self.backups),
            "--institution-key",
            &self.owner,
        ];
        let mut args = [&args[..], &["--dial", "loopback", "--key-file", text(&self.key)]].concat();
        for address in &self.listen {
            args.extend(["--listen", address.as_str()]);
        }
        let outcome = node.run(&args).ok();
        node.start();
        node.forget_login();
        format!("{}{}", outcome.stdout, outcome.stderr)
    }
}

fn acknowledge(world: &World) {
    let node = world.node("cleveland");
    let own = ["consortium", "ledger", "acknowledge-own", "--head", &shown(node, true)];
    node.run_as(ADMINISTRATOR, &own).ok();
    // Until the peer has acknowledged it too, it ends each session; the node does not dial it without a pause.
    let connections = || node.log().matches("connection established").count();
    let before = connections();
    std::thread::sleep(Duration::from_secs(3));
    let more = connections() - before;
    assert!(more < 20, "{more} connections in three seconds");
    let peer = world.node("budapest");
    let other = [
        "consortium",
        "ledger",
        "acknowledge",
        "cleveland",
        "--head",
        &shown(peer, false),
    ];
    peer.run_as(ADMINISTRATOR, &other).ok();
    node.await_peers(1);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
