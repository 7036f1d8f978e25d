//! Failures of the machine: a wrong clock, a full disk, a file that shrinks while it is read.

use std::fmt::Write;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use concordat_documents::problem::FREE_DISK_SPACE;
use concordat_tests::slots::Slots;
use concordat_tests::{Import, PASSWORD, Person, TestNode, World, shared};

use super::assert_ledger_valid;

/// The path of the library of Debian's package `libfaketime`, below the folder of the machine's libraries.
const FAKETIME: &str = "faketime/libfaketime.so.1";

#[test]
fn node_with_a_wrong_clock_is_reported_and_recovers() {
    let Some(library) = faketime() else {
        return;
    };
    let mut world = World::consortium(2);
    let file = world.file("patients.csv", "record,sex\n1,0\n2,1\n3,1\n");
    let import = Import {
        dataset: "heart",
        from: &file,
        args: &["--subject-column", "record"],
        classes: &["record=direct-identifier", "sex=sensitive"],
    };
    world.share("cleveland", import);
    world.grant("budapest", "cleveland", "heart", &["--columns", "sex"]);
    let sql = "SELECT sex FROM cleveland.heart";
    assert_eq!(world.node("budapest").query(sql).ok().table().rows.len(), 3);

    for (offset, code) in [("+1h", 5), ("-1h", 3)] {
        let budapest = world.node_mut("budapest");
        budapest.stop();
        budapest.set_env(&[
            ("LD_PRELOAD", &library),
            ("FAKETIME", offset),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]);
        budapest.start();
        budapest.forget_login();
        budapest.log_in(Person::Researcher);
        let is_reported = |node: &TestNode| node.status()["rejected_peers"][0]["clock"] == true;
        budapest.await_condition("a report of the clock", is_reported);
        let refused = budapest.query(sql);
        assert_eq!(refused.code, Some(code), "{offset}: {}", refused.report());
        let rejected_peers = budapest.status()["rejected_peers"].take();
        assert_eq!(rejected_peers[0]["institution"], "cleveland", "{rejected_peers}");
        assert_eq!(rejected_peers[0]["clock"], true, "{rejected_peers}");
    }

    let budapest = world.node_mut("budapest");
    budapest.stop();
    budapest.set_env(&[]);
    budapest.start();
    budapest.forget_login();
    budapest.await_peers(1);
    assert_eq!(budapest.query(sql).ok().table().rows.len(), 3);
    assert_ledger_valid(budapest);
    assert_ledger_valid(world.node("cleveland"));
}

#[test]
fn full_disk_loses_nothing_and_releases_nothing() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk")) else {
        return;
    };
    let mut node = TestNode::create("cleveland", "US", disk.0.join("cleveland"));
    node.create_users();
    node.run_as(Person::Administrator, &["consortium", "found", "--name", "Heart Study"])
        .ok();
    let small = dir.path().join("small.csv");
    fs::write(&small, "record,chol\n1,233\n2,250\n3,204\n").unwrap();
    import(&node, "small", &small).ok();
    node.run_as(
        Person::Steward,
        &[
            "dataset",
            "classify",
            "small",
            "record=direct-identifier",
            "chol=ordinary",
        ],
    )
    .ok();
    node.run_as(Person::Steward, &["dataset", "publish", "small"]).ok();
    let sql = "SELECT count(chol) FROM cleveland.small";

    let large = dir.path().join("large.csv");
    write_incompressible(&large, 600_000);
    let refused = node.refused_as(
        Person::Steward,
        1,
        &[
            "dataset",
            "import",
            "large",
            "--from",
            large.to_str().unwrap(),
            "--each-row-is-a-subject",
        ],
    );
    assert_eq!(refused["help"], FREE_DISK_SPACE, "{refused}");
    node.refused_as(Person::Steward, 4, &["dataset", "show", "large"]);
    node.run_as(Person::Researcher, &["query", sql]).ok();

    let ballast = disk.fill();
    // The full disk is all that differs from the query above, which was answered. The last block of the ledger has room for a few entries.
    let answered = (0..64).find(|_| node.run_as(Person::Researcher, &["query", sql]).code != Some(0));
    assert!(
        answered.is_some(),
        "nothing is written any more, and queries are answered"
    );
    node.refused_as(Person::Researcher, 5, &["query", sql]);
    let login = ["--format", "json", "login", Person::Steward.name()];
    let login = node.run_with_input(&login, Some(PASSWORD)).exits(1).problem();
    assert_eq!(login["code"], "internal", "{login}");
    assert_eq!(node.status()["ready"], false);

    fs::remove_file(ballast).unwrap();
    node.stop();
    node.start();
    node.forget_login();
    node.run_as(Person::Researcher, &["query", sql]).ok();
    import(&node, "more", &small).ok();
    assert_ledger_valid(&node);
}

#[test]
fn backup_onto_a_full_disk_fails_and_succeeds_with_space() {
    let world = super::lifecycle::node_with_dataset();
    let Some(disk) = SmallDisk::mount(&world.dir().join("disk")) else {
        return;
    };
    let node = &world.nodes[0];
    let to = disk.0.join("backups");
    let to = to.to_str().unwrap();
    let create = ["backup", "create", "--to", to];
    let mut failed = 0;
    for free_space in (0..14).map(|power| (1 << power) * 1024 - 1024) {
        let ballast = disk.fill();
        let len = fs::metadata(&ballast).unwrap().len();
        File::options()
            .write(true)
            .open(&ballast)
            .unwrap()
            .set_len(len - free_space)
            .unwrap();
        let made = node.run_as(Person::Administrator, &[&["--format", "json"], &create[..]].concat());
        fs::remove_file(ballast).unwrap();
        if made.code == Some(0) {
            break;
        }
        failed += 1;
        let problem = made.exits(1).problem();
        assert_eq!(problem["help"], FREE_DISK_SPACE, "with {free_space} bytes: {problem}");
        let listed = node.run(&["--format", "json", "backup", "list", "--from", to]);
        let none = listed.code != Some(0) || listed.json().as_array().is_some_and(Vec::is_empty);
        assert!(none, "with {free_space} bytes: {}", listed.report());
    }
    assert!(failed >= 3, "{failed} failed");
    node.run(&["backup", "verify", "--from", to]).ok();
    node.run_as(Person::Administrator, &create).ok();
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_refused() {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    node.log_in(Person::Steward);
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &node.pid().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    let file = world.file("shrinking.csv", "");
    write_incompressible(&file, 400_000);
    // The command has opened the file, and waits for a node that does not answer yet.
    signal("-STOP");
    let importing = node.spawn(&[
        "--format",
        "json",
        "dataset",
        "import",
        "shrinking",
        "--from",
        file.to_str().unwrap(),
        "--each-row-is-a-subject",
    ]);
    let opened = (0..3000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        has_open(importing.id(), &file)
    });
    assert!(opened, "the command does not open the file");
    File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(100_000)
        .unwrap();
    signal("-CONT");
    let ended = importing.wait_with_output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("changed while it was read"), "{stderr}");
    node.refused_as(Person::Steward, 4, &["dataset", "show", "shrinking"]);
}

fn import(node: &TestNode, dataset: &str, file: &Path) -> concordat_tests::Outcome {
    node.run_as(
        Person::Steward,
        &[
            "dataset",
            "import",
            dataset,
            "--from",
            file.to_str().unwrap(),
            "--subject-column",
            "record",
        ],
    )
}

/// Writes rows of numbers that hardly compress: SplitMix64.
fn write_incompressible(file: &Path, rows: u64) {
    let mut text = "record,one,two,three\n".to_owned();
    for row in 0..rows {
        let number = |salt: u64| {
            let mut z = (row * 4 + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z ^ (z >> 27)
        };
        writeln!(text, "{row},{},{},{}", number(1), number(2), number(3)).unwrap();
    }
    fs::write(file, text).unwrap();
}

/// Whether the process has `file` open and has read some of it.
fn has_open(pid: u32, file: &Path) -> bool {
    let file = fs::canonicalize(file).unwrap();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    open.filter_map(Result::ok)
        .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == file))
}

/// The library that fakes the time of a process, if it is installed.
pub(super) fn faketime() -> Option<String> {
    let folders = ["/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    let found = folders
        .iter()
        .map(|folder| Path::new(folder).join(FAKETIME))
        .find(|path| path.exists());
    if found.is_none() {
        shared::skip("libfaketime is not installed (Debian: `apt-get install libfaketime`)");
    }
    found.map(|path| path.to_str().unwrap().to_owned())
}

/// A disk of 16 MiB in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs"])
            .arg(at)
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at.to_owned()));
        }
        shared::skip("a small disk cannot be mounted; run as root on Linux");
        None
    }

    /// Fills the disk to the last byte; removing the returned file frees the space.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut ballast = File::create(&path).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while ballast.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.0).status().ok();
    }
}
