//! A node that loses its machine and is restored from a snapshot.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use concordat_tests::shared::skip;
use concordat_tests::{Person, TestNode, World};
use tempfile::TempDir;

use super::lifecycle::{SQL, answer, append, node_with_dataset};
use super::{assert_ledger_valid, entries};

/// Copies the key file out of the data directory, as an operator would.
fn copy_key(node: &TestNode, folder: &Path) -> PathBuf {
    let copy = folder.join("unlock.key");
    fs::copy(node.dir.join("unlock.key"), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
    copy
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A node with a dataset, and the files that its operator stores elsewhere.
struct Prepared {
    world: World,
    backups: PathBuf,
    key: PathBuf,
    /// The fingerprint of the institution's key.
    owner: String,
}

fn prepared() -> Prepared {
    let world = node_with_dataset();
    let folder = world.nodes[0].dir.parent().unwrap().to_owned();
    let key = copy_key(&world.nodes[0], &folder);
    Prepared {
        backups: folder.join("backups"),
        key,
        owner: fingerprint(&world.nodes[0]),
        world,
    }
}

fn fingerprint(node: &TestNode) -> String {
    node.status()["fingerprint"].as_str().unwrap().to_owned()
}

/// The arguments `--format json restore`, for loopback, without the option that unlocks the node.
fn restore_args<'a>(backups: &'a Path, owner: &'a str) -> Vec<&'a str> {
    let args = [
        "--format",
        "json",
        "restore",
        "--from",
        text(backups),
        "--institution-key",
        owner,
    ];
    [&args[..], &["--listen", "/ip4/127.0.0.1/tcp/0", "--dial", "loopback"]].concat()
}

fn back_up(node: &TestNode, to: &Path) {
    let made = node.json_as(Person::Administrator, &["backup", "create", "--to", text(to)]);
    assert!(made["objects"].as_u64() > Some(0), "{made}");
}

#[test]
fn lost_machine_is_restored_from_a_snapshot() {
    let Prepared {
        mut world,
        backups,
        key,
        owner,
    } = prepared();
    back_up(&world.nodes[0], &backups);
    append(&world, 1000..2000);
    let right = answer(&world.nodes[0]);
    back_up(&world.nodes[0], &backups);
    append(&world, 2000..2100);
    let node = &mut world.nodes[0];
    node.refused_as(Person::Researcher, 3, &["backup", "create", "--to", text(&backups)]);
    let inside = node.dir.join("backups");
    node.refused_as(Person::Administrator, 2, &["backup", "create", "--to", text(&inside)]);
    node.kill();
    let from = ["--from", text(&backups)];
    let checked = node
        .run(
            &[
                &["--format", "json", "backup", "verify", "--institution-key", &owner],
                &from[..],
            ]
            .concat(),
        )
        .ok()
        .json();
    assert_eq!(
        (checked["snapshots"].clone(), checked["ok"].clone()),
        (2.into(), true.into()),
        "{checked}"
    );
    let listed = node
        .run(&[&["--format", "json", "backup", "list"], &from[..]].concat())
        .ok()
        .json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");

    // Failures first: a folder that is not empty, no key file, another key file.
    let restore = restore_args(&backups, &owner);
    let complete = [&restore[..], &["--key-file", text(&key)]].concat();
    node.run(&complete).exits(2).problem();
    let lost = node.dir.clone();
    node.dir = backups.join("objects/restored");
    let nested = node.run(&complete).exits(2).problem();
    assert!(nested.to_string().contains("data directory"), "{nested}");
    assert!(!node.dir.exists(), "nothing is created in a repository");
    node.dir = lost.with_file_name("restored");
    node.run(&restore).exits(7).problem();
    let other = lost.with_file_name("other.key");
    fs::write(&other, [7; 32]).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    node.run(&[&restore[..], &["--key-file", text(&other)]].concat())
        .exits(7);
    assert!(!node.dir.exists(), "the failed restores leave nothing behind");

    // The same command is carried out once the folder does not exist and the key is the right one.
    node.run(&complete).ok();
    fs::remove_dir_all(&lost).unwrap();
    node.start();
    node.readmit_users();
    assert_eq!(answer(node), right);
    // The person who sets the passwords of others could query under their names.
    node.refused_as(Person::Researcher, 3, &["query", SQL]);
    node.run_as(Person::Steward, &["dataset", "verify", "heart"]).ok();
    assert_ledger_valid(node);
    assert_eq!(entries(node, "snapshot_restored").len(), 1);
    append(&world, 2000..2050);
    back_up(&world.nodes[0], &backups);
}

#[test]
fn an_erased_dataset_does_not_come_back_with_an_older_backup() {
    let Prepared {
        mut world,
        backups,
        key,
        owner,
    } = prepared();
    back_up(&world.nodes[0], &backups);
    let node = &mut world.nodes[0];
    let away = backups.with_file_name("out of reach");
    fs::rename(&backups, &away).unwrap();
    let order = ["dataset", "erase", "heart", "--reason", "the study ended", "--yes"];
    let erased = node.json_as(Person::Steward, &order);
    assert_eq!(erased["unreachable_repositories"][0], text(&backups), "{erased}");
    fs::rename(&away, &backups).unwrap();
    assert_eq!(node.stop(), Some(0));
    node.start();
    node.forget_login();
    node.await_condition("the erasure in the repository", |_| {
        fs::read_dir(backups.join("objects")).unwrap().next().is_none()
    });
    node.kill();

    node.dir = node.dir.with_file_name("restored");
    let args = [&restore_args(&backups, &owner)[..], &["--key-file", text(&key)]].concat();
    let restored = node.run(&args).ok();
    assert_eq!(restored.json()["erased"][0], "heart", "{}", restored.report());
    node.start();
    node.readmit_users();
    assert_ne!(node.query(SQL).code, Some(0));
    assert_ledger_valid(node);
}

#[test]
fn restore_that_is_killed_leaves_nothing_and_can_be_repeated() {
    let Prepared {
        mut world,
        backups,
        key,
        owner,
    } = prepared();
    let right = answer(&world.nodes[0]);
    back_up(&world.nodes[0], &backups);
    let node = &mut world.nodes[0];
    node.kill();
    node.dir = node.dir.with_file_name("restored");
    let restore = [&restore_args(&backups, &owner)[..], &["--key-file", text(&key)]].concat();
    let mut killed = 0;
    for millis in [0, 5, 10, 20, 40, 80, 160, 320] {
        let mut restoring = node.spawn(&restore);
        sleep(Duration::from_millis(millis));
        restoring.kill().unwrap();
        restoring.wait().unwrap();
        if node.dir.exists() {
            break;
        }
        killed += 1;
    }
    assert!(killed > 0, "no restore was killed before its end");
    if !node.dir.exists() {
        node.run(&restore).ok();
    }
    node.start();
    node.readmit_users();
    assert_eq!(answer(node), right);
    assert_ledger_valid(node);
}

#[test]
fn a_damaged_repository_is_refused() {
    let Prepared {
        mut world,
        backups,
        key,
        owner,
    } = prepared();
    back_up(&world.nodes[0], &backups);
    let node = &mut world.nodes[0];
    node.kill();
    node.dir = node.dir.with_file_name("restored");
    let folder = fs::read_dir(backups.join("objects"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let object = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&object, bytes).unwrap();
    let damaged = node
        .run(&[
            "--format",
            "json",
            "backup",
            "verify",
            "--from",
            text(&backups),
            "--institution-key",
            &owner,
        ])
        .exits(6)
        .problem();
    assert_eq!(damaged["code"], "integrity", "{damaged}");
    node.run(&[&restore_args(&backups, &owner)[..], &["--key-file", text(&key)]].concat())
        .exits(6);
    assert!(!node.dir.exists());
    node.run(&[
        "backup",
        "verify",
        "--from",
        text(&backups.join("nowhere")),
        "--institution-key",
        &owner,
    ])
    .exits(2);
}

#[test]
fn backup_of_another_node_is_reported_as_such() {
    let Prepared {
        mut world,
        backups,
        key,
        owner,
    } = prepared();
    back_up(&world.nodes[0], &backups);
    let node = &mut world.nodes[0];
    let json = |node: &TestNode, args: &[&str]| node.run(&[&["--format", "json", "backup", "verify"], args].concat());
    let from = text(&backups);

    // The running node knows its own key; a file may contain it too.
    let checked = json(node, &["--from", from]).ok().json();
    assert_eq!(
        checked["checked_against"], "the key of the node that runs here",
        "{checked}"
    );
    let file = backups.with_file_name("institution.pub");
    fs::copy(node.dir.join("identity/institution.pub"), &file).unwrap();
    let checked = json(node, &["--from", from, "--institution-key", text(&file)])
        .ok()
        .json();
    assert_eq!(checked["institution_key"], owner.as_str(), "{checked}");

    // Another institution's snapshot, and a repository that was forged to look like this one.
    let _slots = concordat_tests::slots::Slots::take(1);
    let other = TestNode::create("mallory", "US", backups.with_file_name("mallory"));
    other.log_in(Person::Administrator);
    let forged = backups.with_file_name("forged");
    other.run(&["backup", "create", "--to", text(&forged)]).ok();
    let theirs = fingerprint(&other);
    drop(other);
    for args in [
        &["--from", text(&forged)][..],
        &["--from", text(&forged), "--institution-key", &owner],
    ] {
        let problem = json(node, args).exits(6).problem();
        for expected in ["`mallory`", &theirs, &owner] {
            assert!(
                problem["detail"].to_string().contains(expected),
                "{expected}: {problem}"
            );
        }
    }
    node.kill();
    let missing = json(node, &["--from", from]).exits(2).problem();
    assert!(missing["help"].to_string().contains("--institution-key"), "{missing}");
    json(node, &["--from", from, "--institution-key", "abcd-1234"]).exits(2);
    node.dir = node.dir.with_file_name("restored");
    let key = ["--key-file", text(&key)];
    node.run(&[&restore_args(&forged, &owner)[..], &key].concat()).exits(6);
    node.run(&["restore", "--from", from]).exits(2);
    assert!(!node.dir.exists());
}

/// Resources that show if they were used, to be named in each setting of a configuration that can name something.
struct Traps {
    module: PathBuf,
    loaded: PathBuf,
    pipe: PathBuf,
    listener: TcpListener,
}

impl Traps {
    /// `None` if there is no compiler, or no folder that only root can write to.
    fn set(folder: &Path) -> Option<(Self, TempDir)> {
        let system = tempfile::Builder::new().prefix("concordat-").tempdir_in("/opt").ok()?;
        fs::set_permissions(system.path(), fs::Permissions::from_mode(0o755)).ok()?;
        let traps = Self {
            module: system.path().join("module.so"),
            loaded: folder.join("loaded"),
            pipe: folder.join("pipe"),
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
        };
        let source = system.path().join("module.c");
        let code = format!(
            "#include <fcntl.h>\n__attribute__((constructor)) static void loaded(void) {{ open(\"{}\", O_CREAT | O_WRONLY, 0600); }}\n",
            traps.loaded.display()
        );
        fs::write(&source, code).unwrap();
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&traps.module, &source])
            .status();
        if !built.is_ok_and(|status| status.success()) {
            return None;
        }
        let made = Command::new("mkfifo").arg(&traps.pipe).status();
        assert!(made.unwrap().success());
        traps.listener.set_nonblocking(true).unwrap();
        Some((traps, system))
    }

    /// The trap that was triggered since the last call, if any.
    fn triggered(&self) -> Option<&'static str> {
        if fs::remove_file(&self.loaded).is_ok() {
            return Some("the module was loaded");
        }
        if self.listener.accept().is_ok() {
            return Some("the address was dialed");
        }
        let open = fs::File::options().write(true).custom_flags(NONBLOCK).open(&self.pipe);
        open.is_ok().then_some("the pipe was opened")
    }

    /// Values of `[keys]` and `[storage]`, each of which names a trap.
    fn settings(&self) -> Vec<String> {
        let module = self.module.display();
        let pipe = self.pipe.display();
        let store = format!(
            "objects = \"s3://bucket/prefix\"\nendpoint = \"http://{}\"\nplain_http = \"loopback\"\nretries = 0\nrequest_timeout = 1\n",
            self.listener.local_addr().unwrap()
        );
        let token = |more: &str| {
            format!("[keys]\nsource = \"pkcs11\"\nmodule = \"{module}\"\ntoken = \"t\"\nkey = \"k\"\n{more}\n")
        };
        let file = "[keys]\nsource = \"file\"\nfile = \"unlock.key\"\n";
        vec![
            token(""),
            token(&format!("pin_file = \"{pipe}\"")),
            token("pin_credential = \"pin\""),
            format!("[keys]\nsource = \"file\"\nfile = \"{pipe}\"\n"),
            "[keys]\nsource = \"credential\"\nname = \"key\"\n".to_owned(),
            "[keys]\nsource = \"passphrase\"\n".to_owned(),
            format!("{file}[storage]\n{store}credentials = \"{pipe}\"\n"),
            format!("{file}[storage]\n{store}credential = \"store\"\n"),
            format!("{file}[storage]\n{store}credentials = \"../../store.key\"\n"),
        ]
    }
}

const NONBLOCK: i32 = 0o4000;

/// The running node signs any configuration on its disk: the signature does not cover the resources that it names.
#[test]
fn restore_uses_no_path_or_command_named_in_a_snapshot() {
    let Prepared {
        mut world,
        backups,
        key,
        owner,
    } = prepared();
    let folder = backups.parent().unwrap().to_owned();
    let Some((traps, _system)) = Traps::set(&folder) else {
        skip("there is no compiler, or `/opt` is not owned by root");
        return;
    };
    let node = &mut world.nodes[0];
    let path = node.dir.join("concordat.toml");
    let config = fs::read_to_string(&path).unwrap();
    let head = config.split("[keys]").next().unwrap().to_owned();

    // The trap works: if an operator names the module, it is loaded.
    let own = TestNode::at("own", folder.join("own"));
    let pin = folder.join("pin");
    fs::write(&pin, "1234").unwrap();
    fs::set_permissions(&pin, fs::Permissions::from_mode(0o600)).unwrap();
    let who = [
        "init",
        "--institution",
        "own",
        "--name",
        "O",
        "--jurisdiction",
        "US",
        "--unattended",
    ];
    let token = [
        "--token",
        "t",
        "--token-module",
        text(&traps.module),
        "--pin-file",
        text(&pin),
    ];
    own.run(&[&who[..], &token].concat()).exits(2);
    assert_eq!(traps.triggered(), Some("the module was loaded"));

    node.log_in(Person::Administrator);
    let lost = node.dir.clone();
    for (number, settings) in traps.settings().into_iter().enumerate() {
        let repository = folder.join(format!("backups-{number}"));
        fs::write(&path, format!("{head}{settings}")).unwrap();
        node.run(&["backup", "create", "--to", text(&repository)]).ok();
        node.dir = folder.join(format!("restored-{number}"));
        let args = restore_args(&repository, &owner);
        // Without options for this machine: a refusal, or a passphrase prompt without input.
        let outcome = node.run(&args);
        assert_ne!(outcome.code, Some(0), "{settings}");
        assert_eq!(traps.triggered(), None, "{settings}: {}", outcome.report());
        let complete = [&args[..], &["--key-file", text(&key), "--objects", "local"]].concat();
        let restored = node.run(&complete).ok().json();
        assert_eq!(traps.triggered(), None, "{settings}");
        let made = fs::read_to_string(node.dir.join("concordat.toml")).unwrap();
        for named in [text(&traps.module), text(&traps.pipe), "s3://", "credential", "pkcs11"] {
            let is_named = made.lines().any(|line| !line.starts_with('#') && line.contains(named));
            assert!(
                !is_named,
                "`{named}` of the snapshot is in the new configuration: {made}"
            );
        }
        assert!(
            made.contains(text(&key)) && made.contains("Hospital of cleveland"),
            "{made}"
        );
        assert!(restored["snapshot_configuration"]["keys"].is_string(), "{restored}");
        node.dir.clone_from(&lost);
    }
    fs::write(&path, config).unwrap();

    // The operator's own configuration is used as it is, if it is of this institution.
    node.kill();
    let given = folder.join("given.toml");
    let with = |institution: &str| {
        head.replace("cleveland\"", &format!("{institution}\""))
            + &format!("[keys]\nsource = \"file\"\nfile = \"{}\"\n", text(&key))
    };
    node.dir = folder.join("restored");
    let first = folder.join("backups-0");
    let args = ["restore", "--from", text(&first), "--institution-key", &owner];
    let args = [&args[..], &["--config", text(&given)]].concat();
    fs::write(&given, with("elsewhere")).unwrap();
    node.run(&args).exits(2);
    fs::write(&given, with("cleveland")).unwrap();
    node.run(&args).ok();
    node.start();
    node.readmit_users();
    assert!(answer(node).contains("1000"));
}
