//! `concordat doctor`: what is wrong, and the command that fixes it.
//!
//! Each check examines one thing and reports it as ok or what is wrong. The checks run with and without a daemon; what only the
//! daemon knows is checked using its status.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use concordat_documents::problem::Problem;
use concordat_documents::status::{ClockStatus, RosterStatus, Status};
use concordat_protocol::error_kind::{ErrorKind, chain};
use concordat_protocol::time::Timestamp;
use concordat_storage::{
    keys::TokenLocation,
    objects::{PlainHttp, check_credentials},
};
use nix::sys::statvfs::statvfs;
use serde::Serialize;

use super::context::Context;
use super::output::Column;
use crate::{
    clock::Clock,
    config::{Config, KeysFrom, PinFrom, StorageSection},
};

/// Free space below which a node may soon be unable to write its ledger: 1 GiB.
const LITTLE_SPACE: u64 = 1 << 30;
/// How far the clocks of this command and of the daemon may be apart, in milliseconds.
const CLOCK_TOLERANCE_MS: i64 = 5_000;
/// A roster that ends sooner than this should be renewed: a week, in milliseconds.
const ROSTER_WARNING_MS: i64 = 7 * 24 * 3600 * 1000;

const COLUMNS: [Column; 4] = [
    ("check", "check"),
    ("", "state"),
    ("what", "what"),
    ("fix it with", "fix"),
];

/// What a check found.
struct Finding {
    check: &'static str,
    /// Useful information although nothing is wrong.
    note: Option<String>,
    wrong: Option<(String, String)>,
}

impl Finding {
    fn ok(check: &'static str) -> Self {
        Self {
            check,
            note: None,
            wrong: None,
        }
    }

    fn noted(check: &'static str, note: impl Into<String>) -> Self {
        Self {
            note: Some(note.into()),
            ..Self::ok(check)
        }
    }

    fn wrong(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            check,
            note: None,
            wrong: Some((what.into(), fix.into())),
        }
    }

    fn row(&self) -> Row<'_> {
        let (what, fix) = self
            .wrong
            .as_ref()
            .map(|(what, fix)| (what.as_str(), fix.as_str()))
            .unzip();
        Row {
            check: self.check,
            state: if self.wrong.is_none() { "ok" } else { "wrong" },
            what: what.or(self.note.as_deref()),
            fix,
        }
    }
}

/// A finding as it is printed.
#[derive(Debug, Serialize)]
struct Row<'a> {
    check: &'static str,
    state: &'static str,
    what: Option<&'a str>,
    fix: Option<&'a str>,
}

pub(super) async fn run(context: &Context) -> Result<(), Problem> {
    let dir = &context.dir;
    let config = Config::load(dir);
    let mut findings = vec![configuration(&config, dir), permissions(dir), disk_space(dir)];
    if let Ok(config) = &config {
        findings.push(key_file(config, dir));
        findings.extend(object_store(config, dir));
    }
    match context.client()?.get::<Status>("/v1/status").await {
        Ok(status) => findings.extend(running(&status)),
        Err(problem) => findings.push(Finding::wrong("daemon", problem.detail, "concordat serve")),
    }
    let rows: Vec<Row<'_>> = findings.iter().map(Finding::row).collect();
    context.out.list(&rows, &COLUMNS)?;
    let wrong: Vec<&str> = findings.iter().filter(|f| f.wrong.is_some()).map(|f| f.check).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Problem::new(
        ErrorKind::Internal,
        format!(
            "{} of {} checks found a problem: {}",
            wrong.len(),
            findings.len(),
            wrong.join(", ")
        ),
    ))
}

fn configuration<E: std::error::Error>(config: &Result<Config, E>, dir: &Path) -> Finding {
    match config {
        Ok(_) => Finding::ok("configuration"),
        Err(error) => Finding::wrong(
            "configuration",
            chain(error),
            format!("edit {}/concordat.toml", dir.display()),
        ),
    }
}

fn permissions(dir: &Path) -> Finding {
    match first_exposed(dir) {
        Ok(None) => Finding::ok("permissions"),
        Ok(Some(path)) => Finding::wrong(
            "permissions",
            format!("others can use `{}`", path.display()),
            format!("chmod -R go-rwx {}", dir.display()),
        ),
        Err(error) => Finding::wrong("permissions", chain(&error), format!("ls -la {}", dir.display())),
    }
}

/// The first file or folder that others can use.
fn first_exposed(dir: &Path) -> io::Result<Option<PathBuf>> {
    let mut waiting = vec![dir.to_owned()];
    while let Some(path) = waiting.pop() {
        let facts = std::fs::symlink_metadata(&path)?;
        if !facts.is_symlink() && facts.permissions().mode() & 0o077 != 0 {
            return Ok(Some(path));
        }
        if facts.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        }
    }
    Ok(None)
}

fn disk_space(dir: &Path) -> Finding {
    match statvfs(dir) {
        Ok(disk) => {
            let free = disk.blocks_available().saturating_mul(disk.fragment_size());
            if free >= LITTLE_SPACE {
                Finding::ok("disk space")
            } else {
                let what = format!(
                    "{} MiB are free; the ledger needs free space before the node can serve requests",
                    free >> 20
                );
                Finding::wrong("disk space", what, format!("df -h {}", dir.display()))
            }
        }
        Err(error) => Finding::wrong("disk space", error.to_string(), format!("df -h {}", dir.display())),
    }
}

fn key_file(config: &Config, dir: &Path) -> Finding {
    let path = match config.keys_from(dir) {
        KeysFrom::File(path) => path,
        // The service manager provides credentials only to the service itself.
        KeysFrom::Passphrase | KeysFrom::Credential(_) => return Finding::ok("key file"),
        KeysFrom::Token { location, pin } => return token(&location, &pin),
    };
    let shown = path.display();
    match std::fs::metadata(&path) {
        Ok(facts) if facts.permissions().mode() & 0o077 != 0 => Finding::wrong(
            "key file",
            format!("others can read `{shown}`"),
            format!("chmod 600 {shown}"),
        ),
        Ok(_) if path.starts_with(dir) => Finding::wrong(
            "key file",
            format!("`{shown}` is stored beside the data that it unlocks: a copy of the directory contains both"),
            format!("mv {shown} ELSEWHERE, then set keys.file in concordat.toml"),
        ),
        Ok(_) => Finding::ok("key file"),
        Err(error) => Finding::wrong(
            "key file",
            format!("`{shown}`: {error}"),
            "set keys.file in concordat.toml",
        ),
    }
}

/// The token itself is not accessed: each login with a wrong PIN counts as a failed attempt.
fn token(location: &TokenLocation, pin: &PinFrom) -> Finding {
    if !location.module.is_file() {
        let what = format!("there is no PKCS#11 module at `{}`", location.module.display());
        return Finding::wrong("token", what, "set keys.module in concordat.toml");
    }
    let PinFrom::File(path) = pin else {
        return Finding::ok("token");
    };
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(facts) if facts.permissions().mode() & 0o077 != 0 => Finding::wrong(
            "token",
            format!("others can read the PIN in `{shown}`"),
            format!("chmod 600 {shown}"),
        ),
        Ok(_) => Finding::ok("token"),
        Err(error) => Finding::wrong(
            "token",
            format!("`{shown}`: {error}"),
            "set keys.pin_file in concordat.toml",
        ),
    }
}

/// Checks of an object store that do not contact it; whether it responds is part of the daemon's status.
fn object_store(config: &Config, dir: &Path) -> Option<Finding> {
    const CHECK: &str = "object store";
    let StorageSection::S3(store) = &config.storage else {
        return None;
    };
    // The service manager provides credentials only to the service itself.
    let path = store.key_file(dir).ok();
    let checked = path.as_deref().map(check_credentials);
    Some(match (checked, path, &store.endpoint) {
        (Some(Err(error)), Some(path), _) => {
            Finding::wrong(CHECK, chain(&error), format!("chmod 600 {0}; edit {0}", path.display()))
        }
        (_, _, Some(endpoint)) if endpoint.is_plain() && store.plain_http.0 == PlainHttp::DangerAnywhere => {
            Finding::wrong(
                CHECK,
                format!(
                    "`{endpoint}` is used without TLS: an eavesdropper sees the names of objects and can change responses"
                ),
                "set storage.endpoint to https:// and remove storage.plain_http in concordat.toml",
            )
        }
        _ => Finding::ok(CHECK),
    })
}

/// Checks of what only the daemon knows.
fn running(status: &Status) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("daemon"), clock(status), roster(status)];
    findings.push(if status.connected == 0 && status.roster.is_some() {
        Finding::wrong("peers", "no member is connected", "concordat consortium roster show")
    } else {
        Finding::ok("peers")
    });
    findings.push(if status.reasons.is_empty() {
        Finding::ok("readiness")
    } else {
        Finding::wrong("readiness", status.reasons.join("; "), "concordat status")
    });
    findings.push(ledgers(status));
    findings
}

/// A ledger that contradicts what its node has signed, here or at a peer, and grants that a restore has suspended.
fn ledgers(status: &Status) -> Finding {
    if status.alarms.is_empty() {
        Finding::ok("ledgers")
    } else {
        Finding::wrong(
            "ledgers",
            status.alarms.join("; "),
            "concordat consortium ledger list; concordat grant list",
        )
    }
}

fn clock(status: &Status) -> Finding {
    let here = Clock::system().now();
    match Timestamp::parse(&status.time) {
        Ok(there) if here.since(there).abs() > CLOCK_TOLERANCE_MS => Finding::wrong(
            "clock",
            "the clock has changed since the node started",
            "timedatectl set-ntp true",
        ),
        Ok(_) | Err(_) => clock_at_start(status.clock.as_ref()),
    }
}

/// A clock that is far after the ledger is right if the node was stopped or idle that long; one far before it never is.
fn clock_at_start(difference: Option<&ClockStatus>) -> Finding {
    match difference {
        Some(ClockStatus { before: true, note }) => {
            Finding::wrong("clock", note, "timedatectl set-ntp true; concordat audit tail")
        }
        Some(ClockStatus { before: false, note }) => Finding::noted("clock", note),
        None => Finding::ok("clock"),
    }
}

fn roster(status: &Status) -> Finding {
    let newest = status.roster.as_ref();
    let expiry = newest.and_then(|roster| Some((roster, Timestamp::parse(&roster.expires).ok()?)));
    match expiry {
        None => Finding::wrong(
            "roster",
            "this node is not in a consortium",
            "concordat consortium join ROSTER",
        ),
        Some((_, end)) if end.since(Clock::system().now()) < ROSTER_WARNING_MS => Finding::wrong(
            "roster",
            format!("the roster expires at {end}"),
            "ask the coordinator for a new one",
        ),
        Some((roster, _)) => refused_roster(roster),
    }
}

/// A roster that is signed with the charter key but was refused by this node must be investigated by a person.
fn refused_roster(roster: &RosterStatus) -> Finding {
    match &roster.refused {
        Some(refused) => Finding::wrong(
            "roster",
            format!("roster {} was refused: {}", refused.number, refused.reason),
            "concordat consortium roster show",
        ),
        None => Finding::noted("roster", &roster.charter.note),
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::identity::{NodeKey, PrivateKey as _};

    use super::*;

    #[test]
    fn doctor_finds_and_names_exposed_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(first_exposed(dir.path()).unwrap(), Some(file.clone()));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(first_exposed(dir.path()).unwrap(), None);
    }

    #[test]
    fn doctor_reports_a_clock_far_from_the_ledger() {
        let found = |before| {
            let note = "both times".to_owned();
            clock_at_start(Some(&ClockStatus { before, note }))
        };
        assert!(found(true).wrong.is_some());
        let after = found(false);
        assert_eq!(
            (after.wrong.is_some(), after.note.as_deref()),
            (false, Some("both times"))
        );
        let none = clock_at_start(None);
        assert_eq!((none.wrong.is_some(), none.note), (false, None));
    }

    #[test]
    fn doctor_without_roster_suggests_joining() {
        let node = NodeKey::from_seed(&[1; 32].into()).public();
        let status = Status {
            institution: "cleveland".parse().unwrap(),
            name: "Cleveland".parse().unwrap(),
            jurisdiction: "US".parse().unwrap(),
            node,
            fingerprint: String::new(),
            version: String::new(),
            ready: false,
            reasons: vec!["no roster".to_owned()],
            listen: Vec::new(),
            roster: None,
            policy: None,
            ledger_entries: 0,
            ledger_verification: None,
            connected: 0,
            peers: None,
            rejected_peers: Vec::new(),
            alarms: Vec::new(),
            time: String::new(),
            clock: None,
        };
        let wrong: Vec<&str> = running(&status)
            .iter()
            .filter(|f| f.wrong.is_some())
            .map(|f| f.check)
            .collect();
        assert_eq!(wrong, ["roster", "readiness"]);
    }
}
