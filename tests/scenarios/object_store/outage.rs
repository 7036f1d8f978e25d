//! A node whose objects are in a remote store, with the real daemon and the commands that users type.

use concordat_tests::s3::Kind;
use concordat_tests::{Import, PASSWORD, Person, TestNode, World};

use super::super::assert_ledger_valid;
use super::*;

const SQL: &str = "SELECT count(*) AS n, sum(chol) AS total FROM cleveland.heart";

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

fn configure(node: &TestNode, section: &str) {
    let path = node.dir.join("concordat.toml");
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

fn node_with_store(server: &S3Server) -> World {
    let mut world = World::unconnected(1);
    let node = &mut world.nodes[0];
    node.stop();
    configure(node, &section(&server.endpoint(), "cleveland"));
    server.credentials(&node.dir);
    node.accept_configuration();
    node.start();
    share(&mut world);
    world
}

fn share(world: &mut World) {
    let node = &world.nodes[0];
    node.create_users();
    node.run_as(Person::Administrator, &["consortium", "found", "--name", "Alone"])
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

/// The rows, who their subjects are, and what their rows contain.
const OF_A_VERSION: usize = 3;

fn is_ready(node: &TestNode) -> bool {
    node.run(&["status", "--ready"]).code == Some(0)
}

/// The node itself looks at its store every few seconds, so that there may be a few reads; each query reads several times.
#[test]
fn estimate_reads_no_object_and_needs_no_store() {
    const ESTIMATES: usize = 12;
    let server = S3Server::start();
    let world = node_with_store(&server);
    let node = &world.nodes[0];
    node.await_condition("readiness", is_ready);
    let estimated = || {
        let estimate = node.json_as(Person::Researcher, &["query", "--estimate", SQL]);
        assert_eq!(estimate["decision"], "permit", "{estimate}");
        assert_eq!(estimate["parts"][0]["about_rows_read"], 1000, "{estimate}");
    };
    estimated();
    server.faults().clear();
    for _ in 0..ESTIMATES {
        estimated();
    }
    let reads = server.faults().requests(Kind::Read);
    assert!(reads < ESTIMATES, "{reads} reads by {ESTIMATES} estimates");
    server.faults().clear();
    node.query(SQL).ok();
    assert!(server.faults().requests(Kind::Read) > 0, "a query reads objects");
    server.go_down();
    estimated();
}

#[test]
fn node_whose_store_goes_away_reports_it_and_recovers() {
    let server = S3Server::start();
    let mut world = node_with_store(&server);
    let more = world.file("more.csv", rows(1000..1200));
    let append = [
        "dataset",
        "import",
        "heart",
        "--from",
        more.to_str().unwrap(),
        "--append",
    ];
    let node = &mut world.nodes[0];
    node.await_condition("readiness", is_ready);
    let right = node.query(SQL).ok().stdout;
    assert_eq!(
        readable(&server, &["Sentinel", "PAR1", "heart", "chol", "cleveland/cleveland"]),
        None
    );
    assert_eq!(server.objects("cleveland").len(), OF_A_VERSION);
    assert!(
        !node
            .files()
            .iter()
            .any(|path| path.to_string_lossy().ends_with(".parquet"))
    );

    server.go_down();
    node.await_condition("unreadiness", |node| !is_ready(node));
    let refused = node.refused_as(Person::Steward, 5, &append);
    assert!(
        refused["detail"].to_string().contains("s3://hospital/cleveland"),
        "{refused}"
    );
    // The same query is answered before and after the outage.
    node.refused_as(Person::Researcher, 5, &["query", SQL]);
    let unready = node.run(&["--format", "json", "status", "--ready"]).exits(5).json();
    assert!(
        unready["reasons"].to_string().contains("s3://hospital/cleveland"),
        "{unready}"
    );
    let doctor = node.run(&["doctor"]).exits(1);
    assert!(
        doctor.stdout.contains("`s3://hospital/cleveland`"),
        "{}",
        doctor.report()
    );
    assert_eq!(
        node.json_as(Person::Steward, &["dataset", "show", "heart"])["version"],
        1
    );

    // It starts without its store, and reports that.
    node.stop();
    node.start();
    node.forget_login();
    assert_eq!(node.status()["ready"], false);
    node.await_condition("a report about the store", |node| {
        node.status()["reasons"].to_string().contains("s3://hospital/cleveland")
    });
    node.refused_as(Person::Researcher, 5, &["query", SQL]);

    server.come_back();
    node.await_condition("readiness", is_ready);
    assert_eq!(node.query(SQL).ok().stdout, right);
    node.run_as(Person::Steward, &append).ok();
    assert_ne!(node.query(SQL).ok().stdout, right);
    node.run_as(Person::Steward, &["dataset", "verify", "heart"]).ok();
    assert_eq!(server.objects("cleveland").len(), 2 * OF_A_VERSION);
    assert_ledger_valid(node);
}

#[test]
fn store_behind_tls_is_used_if_its_authority_is_trusted() {
    let server = S3Server::start();
    let secured = server.secured();
    let mut world = World::unconnected(1);
    let node = &mut world.nodes[0];
    node.stop();
    configure(node, &section(&secured.endpoint, "cleveland"));
    server.credentials(&node.dir);
    node.accept_configuration();

    node.start();
    node.await_condition("a report about the store", |node| {
        node.status()["reasons"].to_string().contains("certificate")
    });
    assert_eq!(
        server.faults().requests(Kind::Read),
        0,
        "nothing was sent to an untrusted server"
    );

    node.stop();
    node.set_env(&[("SSL_CERT_FILE", secured.authority.to_str().unwrap())]);
    node.start();
    share(&mut world);
    world.nodes[0].await_condition("readiness", is_ready);
    assert!(world.nodes[0].query(SQL).ok().stdout.contains("1000"));
    assert_eq!(server.objects("cleveland").len(), OF_A_VERSION);
}

#[test]
fn lost_machine_is_restored_to_another_store_location() {
    let server = S3Server::start();
    let mut world = node_with_store(&server);
    let dir = world.dir().to_owned();
    let backups = dir.join("backups");
    let node = &mut world.nodes[0];
    node.await_condition("readiness", is_ready);
    let right = node.query(SQL).ok().stdout;
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    node.run_as(Person::Administrator, &["backup", "create", "--to", &text(&backups)])
        .ok();
    let copy = dir.join("unlock.key");
    fs::copy(node.dir.join("unlock.key"), &copy).unwrap();
    let key = text(&copy);
    let owner = node.status()["fingerprint"].as_str().unwrap().to_owned();
    node.kill();
    let lost = std::mem::replace(&mut node.dir, dir.join("restored"));
    let restore = |node: &TestNode, more: &[&str]| {
        let args = [
            "--format",
            "json",
            "restore",
            "--from",
            &text(&backups),
            "--institution-key",
            &owner,
        ];
        node.run(&[&args[..], more].concat())
    };

    // The operator must choose the location of the objects, and a location in use is not written to.
    let missing = restore(node, &["--key-file", &key]).exits(2).problem();
    assert!(missing["help"].to_string().contains("--config"), "{missing}");
    let config = fs::read_to_string(lost.join("concordat.toml")).unwrap();
    let credentials = text(&lost.join("store.key"));
    let config = config
        .replace("\"store.key\"", &format!("\"{credentials}\""))
        .replace("\"unlock.key\"", &format!("\"{key}\""));
    let given = dir.join("given.toml");
    fs::write(&given, &config).unwrap();
    // The location is all that differs from the restore below that succeeds.
    restore(node, &["--config", &text(&given)]).exits(2).problem();
    assert!(!node.dir.exists());

    let other = format!("s3://{BUCKET}/cleveland-2");
    fs::write(&given, config.replace(&format!("s3://{BUCKET}/cleveland"), &other)).unwrap();
    restore(node, &["--config", &text(&given)]).ok();
    node.start();
    node.readmit_users();
    node.run_with_input(&["login", Person::Researcher.name()], Some(PASSWORD))
        .ok();
    node.await_condition("readiness", is_ready);
    assert_eq!(node.query(SQL).ok().stdout, right);
    assert_eq!(
        names(&server.objects("cleveland-2")),
        names(&server.objects("cleveland"))
    );

    // And without a store, with local objects.
    node.stop();
    node.dir = dir.join("local");
    let local = [
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
        "--key-file",
        &key,
        "--objects",
        "local",
    ];
    restore(node, &local).ok();
    node.start();
    node.readmit_users();
    assert_eq!(node.query(SQL).ok().stdout, right);
}
