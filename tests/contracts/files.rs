//! Which files the program opens and creates, and how it is packaged.

use std::process::Command;

use super::{Source, Violation, assert_none, root, sources};

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
        if source.path == "node/cli/src/files.rs" {
            continue;
        }
        for (number, needle) in lines_with(&source, MAKERS) {
            if !OF_THE_DATA_DIRECTORY.contains(&(source.path.as_str(), needle.as_str())) {
                violations.push(Violation::new(
                    format!("{}:{number}", source.path),
                    format!("`{needle}`: files for users are created by `node/cli/src/files.rs`"),
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
