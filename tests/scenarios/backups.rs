//! A house that loses its machine and is made anew from a snapshot.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use concordat_tests::shared::skip;
use concordat_tests::{House, Person, World};
use tempfile::TempDir;

use super::assert_ledger_holds;
use super::custody::{QUESTION, answer, append, settled};

/// Moves the key file out of the data directory, to where an operator would keep it.
fn keep_key(house: &House, place: &Path) -> PathBuf {
    let kept = place.join("unlock.key");
    fs::copy(house.dir.join("unlock.key"), &kept).unwrap();
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o600)).unwrap();
    kept
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A node with a dataset, and what its operator keeps elsewhere.
struct Prepared {
    world: World,
    backups: PathBuf,
    key: PathBuf,
    /// The fingerprint of the institution's key.
    owner: String,
}

fn prepared() -> Prepared {
    let world = settled();
    let place = world.houses[0].dir.parent().unwrap().to_owned();
    let key = keep_key(&world.houses[0], &place);
    Prepared {
        backups: place.join("backups"),
        key,
        owner: fingerprint(&world.houses[0]),
        world,
    }
}

fn fingerprint(house: &House) -> String {
    house.status()["fingerprint"].as_str().unwrap().to_owned()
}

/// `concordat --format json restore`, onto loopback, without what unlocks the node.
fn restore_words<'a>(backups: &'a Path, owner: &'a str) -> Vec<&'a str> {
    let words = [
        "--format",
        "json",
        "restore",
        "--from",
        text(backups),
        "--institution-key",
        owner,
    ];
    [&words[..], &["--listen", "/ip4/127.0.0.1/tcp/0", "--dial", "loopback"]].concat()
}

fn back_up(house: &House, to: &Path) {
    let made = house.json_as(Person::Administrator, &["backup", "create", "--to", text(to)]);
    assert!(made["objects"].as_u64() > Some(0), "{made}");
}

#[test]
fn a_lost_machine_is_made_anew_from_a_snapshot() {
    let Prepared {
        mut world,
        backups,
        key,
        owner,
    } = prepared();
    back_up(&world.houses[0], &backups);
    append(&world, 1000..2000);
    let right = answer(&world.houses[0]);
    back_up(&world.houses[0], &backups);
    append(&world, 2000..2100);
    let house = &mut world.houses[0];
    house.refused_as(Person::Researcher, 3, &["backup", "create", "--to", text(&backups)]);
    let inside = house.dir.join("backups");
    house.refused_as(Person::Administrator, 2, &["backup", "create", "--to", text(&inside)]);
    house.kill();
    let from = ["--from", text(&backups)];
    let checked = house
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
    let listed = house
        .run(&[&["--format", "json", "backup", "list"], &from[..]].concat())
        .ok()
        .json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");

    // Mistakes first: a folder that is not empty, no key file, another key file.
    let restore = restore_words(&backups, &owner);
    let full = house
        .run(&[&restore[..], &["--key-file", text(&key)]].concat())
        .exits(2)
        .problem();
    assert!(full["detail"].to_string().contains("not empty"), "{full}");
    let lost = house.dir.clone();
    house.dir = lost.with_file_name("anew");
    let unsaid = house.run(&restore).exits(7).problem();
    assert!(unsaid["help"].to_string().contains("--key-file"), "{unsaid}");
    let other = lost.with_file_name("other.key");
    fs::write(&other, [7; 32]).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    house
        .run(&[&restore[..], &["--key-file", text(&other)]].concat())
        .exits(7);
    assert!(!house.dir.exists(), "nothing is left behind");

    house.run(&[&restore[..], &["--key-file", text(&key)]].concat()).ok();
    fs::remove_dir_all(&lost).unwrap();
    house.start();
    house.forget_login();
    assert_eq!(answer(house), right);
    house.as_(Person::Steward, &["dataset", "verify", "heart"]).ok();
    assert_ledger_holds(house);
    let told = house
        .as_(Person::Administrator, &["audit", "tail", "-n", "60"])
        .ok()
        .stdout;
    assert!(told.contains("the node was restored from snapshot"), "{told}");
    append(&world, 2000..2050);
    back_up(&world.houses[0], &backups);
}

#[test]
fn an_erased_dataset_does_not_come_back_with_an_older_backup() {
    let Prepared {
        mut world,
        backups,
        key,
        owner,
    } = prepared();
    back_up(&world.houses[0], &backups);
    let house = &mut world.houses[0];
    let away = backups.with_file_name("out of reach");
    fs::rename(&backups, &away).unwrap();
    let order = ["dataset", "erase", "heart", "--reason", "the study ended", "--yes"];
    let erased = house.json_as(Person::Steward, &order);
    assert_eq!(erased["repositories_out_of_reach"][0], text(&backups), "{erased}");
    fs::rename(&away, &backups).unwrap();
    assert_eq!(house.stop(), Some(0));
    house.start();
    house.forget_login();
    house.await_that("the erasure in the repository", |_| {
        fs::read_dir(backups.join("objects")).unwrap().next().is_none()
    });
    house.kill();

    house.dir = house.dir.with_file_name("anew");
    let args = [&restore_words(&backups, &owner)[..], &["--key-file", text(&key)]].concat();
    let restored = house.run(&args).ok();
    assert_eq!(restored.json()["erased"][0], "heart", "{}", restored.story());
    house.start();
    house.forget_login();
    assert_ne!(house.ask(QUESTION).code, Some(0));
    assert_ledger_holds(house);
}

#[test]
fn a_restore_that_is_killed_leaves_no_half_node_and_can_be_done_again() {
    let Prepared {
        mut world,
        backups,
        key,
        owner,
    } = prepared();
    let right = answer(&world.houses[0]);
    back_up(&world.houses[0], &backups);
    let house = &mut world.houses[0];
    house.kill();
    house.dir = house.dir.with_file_name("anew");
    let restore = [&restore_words(&backups, &owner)[..], &["--key-file", text(&key)]].concat();
    let mut killed = 0;
    for millis in [0, 5, 10, 20, 40, 80, 160, 320] {
        let mut restoring = house.spawn(&restore);
        sleep(Duration::from_millis(millis));
        restoring.kill().unwrap();
        restoring.wait().unwrap();
        if house.dir.exists() {
            break;
        }
        killed += 1;
    }
    assert!(killed > 0, "no restore was killed before its end");
    if !house.dir.exists() {
        house.run(&restore).ok();
    }
    house.start();
    house.forget_login();
    assert_eq!(answer(house), right);
    assert_ledger_holds(house);
}

#[test]
fn a_damaged_repository_is_refused() {
    let Prepared {
        mut world,
        backups,
        key,
        owner,
    } = prepared();
    back_up(&world.houses[0], &backups);
    let house = &mut world.houses[0];
    house.kill();
    house.dir = house.dir.with_file_name("anew");
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
    let damaged = house
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
    assert!(
        damaged["detail"].to_string().contains("is not what was written"),
        "{damaged}"
    );
    house
        .run(&[&restore_words(&backups, &owner)[..], &["--key-file", text(&key)]].concat())
        .exits(6);
    assert!(!house.dir.exists());
    house
        .run(&[
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
fn backup_of_somebody_else_is_said_to_be_that() {
    let Prepared {
        mut world,
        backups,
        key,
        owner,
    } = prepared();
    back_up(&world.houses[0], &backups);
    let house = &mut world.houses[0];
    let json = |house: &House, args: &[&str]| house.run(&[&["--format", "json", "backup", "verify"], args].concat());
    let from = text(&backups);

    // The node that runs knows its own key; a file may hold it too.
    let checked = json(house, &["--from", from]).ok().json();
    assert_eq!(
        checked["checked_against"], "the key of the node that runs here",
        "{checked}"
    );
    let file = backups.with_file_name("institution.pub");
    fs::copy(house.dir.join("identity/institution.pub"), &file).unwrap();
    let checked = json(house, &["--from", from, "--institution-key", text(&file)])
        .ok()
        .json();
    assert_eq!(checked["institution_key"], owner.as_str(), "{checked}");

    // Another institution's snapshot, and a repository that was made to look like this one.
    let _slots = concordat_tests::slots::Slots::take(1);
    let other = House::found("mallory", "US", backups.with_file_name("mallory"));
    other.log_in(Person::Administrator);
    let forged = backups.with_file_name("forged");
    other.run(&["backup", "create", "--to", text(&forged)]).ok();
    let theirs = fingerprint(&other);
    drop(other);
    for args in [
        &["--from", text(&forged)][..],
        &["--from", text(&forged), "--institution-key", &owner],
    ] {
        let problem = json(house, args).exits(6).problem();
        for word in ["`mallory`", &theirs, &owner] {
            assert!(problem["detail"].to_string().contains(word), "{word}: {problem}");
        }
    }
    house.kill();
    let unsaid = json(house, &["--from", from]).exits(2).problem();
    assert!(unsaid["help"].to_string().contains("--institution-key"), "{unsaid}");
    json(house, &["--from", from, "--institution-key", "abcd-1234"]).exits(2);
    house.dir = house.dir.with_file_name("anew");
    let key = ["--key-file", text(&key)];
    house
        .run(&[&restore_words(&forged, &owner)[..], &key].concat())
        .exits(6);
    house.run(&["restore", "--from", from]).exits(2);
    assert!(!house.dir.exists());
}

/// A configuration that names, in each setting that can name something, what would show if it were used.
struct Traps {
    module: PathBuf,
    loaded: PathBuf,
    pipe: PathBuf,
    listener: TcpListener,
}

impl Traps {
    /// None where there is no compiler, or no folder that only root can write to.
    fn set(place: &Path) -> Option<(Self, TempDir)> {
        let system = tempfile::Builder::new().prefix("concordat-").tempdir_in("/opt").ok()?;
        fs::set_permissions(system.path(), fs::Permissions::from_mode(0o755)).ok()?;
        let traps = Self {
            module: system.path().join("module.so"),
            loaded: place.join("loaded"),
            pipe: place.join("pipe"),
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

    /// Whether any was stepped into since the last time.
    fn sprung(&self) -> Option<&'static str> {
        if fs::remove_file(&self.loaded).is_ok() {
            return Some("the module was loaded");
        }
        if self.listener.accept().is_ok() {
            return Some("the address was dialled");
        }
        let open = fs::File::options().write(true).custom_flags(NONBLOCK).open(&self.pipe);
        open.is_ok().then_some("the pipe was opened")
    }

    /// Values of `[keys]` and `[storage]`, each of which names something.
    fn settings(&self) -> Vec<String> {
        let (module, pipe) = (self.module.display(), self.pipe.display());
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

/// The node in memory signs whatever configuration lies on its disk: the signature says nothing about what it names.
#[test]
fn nothing_that_a_snapshot_names_is_used_by_a_restore() {
    let Prepared {
        mut world,
        backups,
        key,
        owner,
    } = prepared();
    let place = backups.parent().unwrap().to_owned();
    let Some((traps, _system)) = Traps::set(&place) else {
        skip("there is no compiler, or `/opt` is not root's");
        return;
    };
    let house = &mut world.houses[0];
    let path = house.dir.join("concordat.toml");
    let config = fs::read_to_string(&path).unwrap();
    let head = config.split("[keys]").next().unwrap().to_owned();

    // The trap works: an operator who names the module has it loaded.
    let own = House::over("own", place.join("own"));
    let pin = place.join("pin");
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
    assert_eq!(traps.sprung(), Some("the module was loaded"));

    house.log_in(Person::Administrator);
    let lost = house.dir.clone();
    for (number, settings) in traps.settings().into_iter().enumerate() {
        let repository = place.join(format!("backups-{number}"));
        fs::write(&path, format!("{head}{settings}")).unwrap();
        house.run(&["backup", "create", "--to", text(&repository)]).ok();
        house.dir = place.join(format!("anew-{number}"));
        let words = restore_words(&repository, &owner);
        // With nothing said of this machine: a refusal, or a passphrase that nobody types.
        let outcome = house.run(&words);
        assert_ne!(outcome.code, Some(0), "{settings}");
        assert_eq!(traps.sprung(), None, "{settings}: {}", outcome.story());
        let said = [&words[..], &["--key-file", text(&key), "--objects", "local"]].concat();
        let restored = house.run(&said).ok().json();
        assert_eq!(traps.sprung(), None, "{settings}");
        let made = fs::read_to_string(house.dir.join("concordat.toml")).unwrap();
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
        house.dir.clone_from(&lost);
    }
    fs::write(&path, config).unwrap();

    // The operator's own configuration is taken whole, if it is of this institution.
    house.kill();
    let given = place.join("given.toml");
    let with = |institution: &str| {
        head.replace("cleveland\"", &format!("{institution}\""))
            + &format!("[keys]\nsource = \"file\"\nfile = \"{}\"\n", text(&key))
    };
    house.dir = place.join("anew");
    let first = place.join("backups-0");
    let words = ["restore", "--from", text(&first), "--institution-key", &owner];
    let words = [&words[..], &["--config", text(&given)]].concat();
    fs::write(&given, with("elsewhere")).unwrap();
    house.run(&words).exits(2);
    fs::write(&given, with("cleveland")).unwrap();
    house.run(&words).ok();
    house.start();
    house.forget_login();
    assert!(answer(house).contains("1000"));
}
