//! Which files the program opens and creates, and how it is packaged.

use std::process::Command;

use super::{Source, Violation, assert_none, root, shipped_sources, sources};

/// Calls that create a file.
const MAKERS: &[&str] = &[
    "File::create",
    "File::options",
    "OpenOptions",
    "create_new",
    "fs::write",
    "fs::copy",
    "fs::rename",
    "write_private",
    "tempfile",
    "openat(",
    "linkat(",
    "renameat(",
];

/// Commands that write into the data directory, which no other account can access.
const OF_THE_DATA_DIRECTORY: &[(&str, &str)] = &[
    // The user's own folder and file, opened without following links.
    ("node/cli/src/session_store.rs", "OpenOptions"),
    ("node/cli/src/session_store.rs", "create_new"),
    ("node/cli/src/session_store.rs", "fs::rename"),
    ("node/program/src/key/new_unlock.rs", "write_private"),
];

fn lines_with(source: &Source, needles: &[&str]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in source.production_lines() {
        // The helpers themselves; the second is found by its own name.
        let line = line
            .replace("NewFile::create", "")
            .replace("fs::write_private", "write_private");
        let needle = needles.iter().find(|needle| line.contains(**needle));
        found.extend(needle.map(|needle| (number, (*needle).to_owned())));
    }
    found
}

#[test]
fn files_that_are_made_are_found() {
    let source = Source {
        path: "node/cli/src/x.rs".to_owned(),
        text: "let a = 1;\nlet file = File::create(path)?;\n// File::create\n".to_owned(),
    };
    assert_eq!(lines_with(&source, MAKERS), [(2, "File::create".to_owned())]);
}

#[test]
fn commands_make_files_in_one_way() {
    let mut violations = Vec::new();
    for source in sources("node/cli/src").into_iter().chain(sources("node/program/src")) {
        if source.path == "node/cli/src/files.rs" || source.path.starts_with("node/cli/src/files/") {
            continue;
        }
        for (number, needle) in lines_with(&source, MAKERS) {
            if !OF_THE_DATA_DIRECTORY.contains(&(source.path.as_str(), needle.as_str())) {
                violations.push(Violation::new(
                    format!("{}:{number}", source.path),
                    format!("`{needle}`: files for users are created by `NewFile` in `node/cli/src/files.rs`"),
                ));
            }
        }
    }
    assert_none(&violations);
}

/// A handler receives the bytes that were sent, and a service opens a file only with `open_beneath`.
#[test]
fn no_request_names_a_file_that_the_node_opens() {
    let openers = [
        "File::open",
        "fs::read",
        "fs::File",
        "read_to_string",
        "Source::at_path",
    ];
    let mut violations = Vec::new();
    for source in sources("node/src/api").into_iter().chain(sources("node/src/services")) {
        let found = lines_with(&source, &openers).into_iter();
        violations.extend(found.map(|(number, needle)| Violation::new(format!("{}:{number}", source.path), needle)));
    }
    for source in sources("node/src") {
        let found = lines_with(&source, &["Source::at_path"]).into_iter();
        violations.extend(found.map(|(number, needle)| Violation::new(format!("{}:{number}", source.path), needle)));
    }
    assert_none(&violations);
}

/// Calls that open a file without checking that it is a regular one, or read to an end that may not come.
const READING: &[&str] = &[
    "fs::read(",
    "fs::read_to_string(",
    "File::open(",
    "read_to_end(",
    "read_to_string(",
];

/// Where such a call is allowed: a folder, the end of the path, and what bounds it. All other code reads with `concordat_keys::fs`, and
/// commands with `cli/files.rs`.
const BOUNDED: &[(&str, &str, &str)] = &[
    (
        "storage",
        "/fs/regular.rs",
        "the reader itself: a limit, after the type was checked",
    ),
    ("storage", "/fs/private.rs", "a limit; opened as a regular file"),
    (
        "protocol",
        "/verify/src/command.rs",
        "a limit, after the type was checked; the crate has no others to use",
    ),
    ("storage", "/ledger/files.rs", "a limit; opened as a regular file"),
    ("storage", "/meta/head.rs", "a limit; in the data directory"),
    ("storage", "/src/frames.rs", "the length of a record, at most a limit"),
    ("storage", "/backup/files.rs", "a limit; opened beneath the repository"),
    (
        "storage",
        "/backup/repository.rs",
        "a limit; opened beneath the repository",
    ),
    (
        "storage",
        "/backup/restore_upload.rs",
        "the length of a part; opened beneath the repository",
    ),
    ("engine", "/isolation.rs", "of the kernel, about this process"),
    (
        "keys",
        "/raw.rs",
        "of the kernel, about this process, and only in tests",
    ),
    ("keys", "/escrow.rs", "decrypts bytes that were read up to a limit"),
    ("ingest", "/open.rs", "the first bytes of data that is streamed"),
    ("ingest", "/text.rs", "a limit; data that is streamed"),
    ("ingest", "/archived.rs", "the first bytes of data that is streamed"),
    ("ingest", "/compression/archive.rs", "a limit; data that is streamed"),
    (
        "client",
        "/reading.rs",
        "data that is streamed, after the type was checked",
    ),
    (
        "cli",
        "/session_store.rs",
        "a limit; a file of this account, not through a link",
    ),
    (
        "storage",
        "/ingest/spreadsheet/kind.rs",
        "the first bytes of a source, and a part of an archive up to a limit",
    ),
    (
        "storage",
        "/ingest/spreadsheet/ods.rs",
        "a part of an archive up to a limit; events of a stream",
    ),
    ("node", "/demo/src/reader.rs", "the output of the program's own process"),
    ("node", "/demo/src/cohorts.rs", "the data of the demonstration"),
    (
        "node/cli",
        "/src/files.rs",
        "a limit, after the type was checked; a folder, to sync it",
    ),
];

fn is_at(source: &Source, folder: &str, end: &str) -> bool {
    source.path.contains(folder) && source.path.ends_with(end)
}

fn unbounded(source: &Source) -> Vec<Violation> {
    if BOUNDED.iter().any(|(folder, end, _)| is_at(source, folder, end)) {
        return Vec::new();
    }
    let is_call = |line: &str, call: &str| {
        let found = line.match_indices(call).next();
        found.is_some_and(|(at, _)| {
            !line
                .split_at(at)
                .0
                .ends_with(|before: char| before.is_alphanumeric() || before == '_')
        })
    };
    let violation = |(number, line): (usize, &str)| {
        let call = READING.iter().find(|call| is_call(line, call))?;
        let what = format!("`{call}`: read a regular file up to a limit, with `fs::read_regular`");
        Some(Violation::new(format!("{}:{number}", source.path), what))
    };
    source.production_lines().filter_map(violation).collect()
}

/// What a person, a setting or another program puts at a path may be a pipe, a device without an end, or gigabytes.
#[test]
fn files_are_read_up_to_a_limit() {
    let all = shipped_sources();
    // Code that only tests use, in files of their own.
    let product = all
        .iter()
        .filter(|source| !source.path.ends_with("/vectors.rs") && !source.path.ends_with("/fault_injection.rs"));
    assert_none(&product.flat_map(unbounded).collect::<Vec<_>>());
    for (folder, end, _) in BOUNDED {
        let found = all.iter().any(|source| is_at(source, folder, end));
        assert!(found, "{folder} {end} is not a file");
    }
    let planted = |text: &str| Source {
        path: "node/src/cli/x.rs".to_owned(),
        text: text.to_owned(),
    };
    for text in [
        "let a = std::fs::read(path)?;\n",
        "let a = File::open(path)?;\n",
        "file.read_to_end(&mut bytes)?;\n",
    ] {
        assert_eq!(unbounded(&planted(text)).len(), 1, "{text}");
    }
    assert!(unbounded(&planted("MasterKeyFile::open(&meta)?;\n")).is_empty());
}

/// Settings of the service that the rating alone does not enforce.
const HARDENED: &[&str] = &[
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "PrivateUsers=yes",
    "MemoryDenyWriteExecute=yes",
    "SystemCallFilter=@system-service",
    "SystemCallArchitectures=native",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
    "UMask=0077",
    "LimitCORE=0",
    "User=concordat",
];

/// The highest exposure that `systemd-analyze security` may report.
const MAX_EXPOSURE: f64 = 2.0;

#[test]
fn the_service_is_hardened() {
    let unit = "node/packaging/concordat.service";
    let text = std::fs::read_to_string(root().join(unit)).unwrap();
    for setting in HARDENED {
        assert!(
            text.lines().any(|line| line == *setting),
            "`{setting}` is not in {unit}"
        );
    }
    let rated = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", unit])
        .current_dir(root())
        .output();
    let Ok(rated) = rated else {
        println!("skipped: there is no `systemd-analyze` to rate the service");
        return;
    };
    let report = String::from_utf8_lossy(&rated.stdout).into_owned();
    let exposure = report
        .lines()
        .find_map(|line| line.split("Overall exposure level").nth(1)?.split(": ").nth(1))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    match exposure {
        Some(exposure) => assert!(
            exposure <= MAX_EXPOSURE,
            "{exposure} is more than {MAX_EXPOSURE}:\n{report}"
        ),
        None => println!("skipped: this `systemd-analyze` does not rate a file"),
    }
}

/// A release build can name images by digest without changing a file.
#[test]
fn images_can_be_named_by_digest() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let (docker, compose) = (read("node/docker/Dockerfile"), read("docker-compose.yml"));
    let images = docker
        .lines()
        .filter_map(|line| line.strip_prefix("FROM "))
        .collect::<Vec<_>>();
    assert!(!images.is_empty());
    for image in images {
        let variable = image.strip_prefix("${").and_then(|rest| rest.split('}').next());
        let variable = variable.unwrap_or_else(|| panic!("`FROM {image}` names no variable"));
        assert!(docker.contains(&format!("\nARG {variable}=")), "{variable}");
        assert!(compose.contains(&format!("{variable}: ${{{variable}:-")), "{variable}");
        assert!(
            docker.contains(&format!("{variable}=")) && docker.contains("imagetools inspect"),
            "{variable}"
        );
    }
    for line in compose.lines().filter(|line| line.trim_start().starts_with("image:")) {
        assert!(line.contains("${"), "`{line}` names no variable");
    }
}
