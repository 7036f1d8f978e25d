//! `concordat doctor`: what is wrong, and the command that fixes it.
//!
//! The checks of the data directory run with and without a daemon; what only the daemon knows is checked using its status
//! ([`concordat_cli::doctor`]).

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use concordat_cli::Context;
use concordat_cli::doctor::{Finding, report, running};
use concordat_documents::problem::Problem;
use concordat_documents::status::Status;
use concordat_keys::TokenLocation;
use concordat_keys::fs::real_path;
use concordat_node::Clock;
use concordat_node::config::{Config, ConfigError, KeysFrom, PinFrom, StorageSection};
use concordat_protocol::error_kind::chain;
use concordat_storage::objects::{PlainHttp, check_credentials};
use nix::sys::statvfs::statvfs;

/// Free space below which a node may soon be unable to write its ledger: 1 GiB.
const LITTLE_SPACE: u64 = 1 << 30;
pub(crate) async fn run(context: &Context) -> Result<(), Problem> {
    let dir = &context.dir;
    let config = Config::load(dir);
    if let Err(ConfigError::NoNode { .. }) = &config {
        return report(&[no_node(dir)], context);
    }
    let mut findings = vec![configuration(&config, dir), permissions(dir), disk_space(dir)];
    if let Ok(config) = &config {
        findings.push(key_file(config, dir));
        findings.extend(object_store(config, dir));
    }
    match context.client()?.get::<Status>("/v1/status").await {
        Ok(status) => findings.extend(running(&status, Clock::system().now())),
        Err(problem) => findings.push(Finding::wrong("daemon", problem.detail, "concordat serve")),
    }
    report(&findings, context)
}

/// Nothing else can be checked before there is a node.
fn no_node(dir: &Path) -> Finding {
    let what = format!("there is no node in `{}`", dir.display());
    let fix =
        "concordat init --institution ID --name NAME --jurisdiction CC, or name the directory of the node with --dir";
    Finding::wrong("node", what, fix)
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
        Ok(_) if leads_into(dir, &path) => Finding::wrong(
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

/// Whether a path, without its links, is in the folder.
fn leads_into(dir: &Path, path: &Path) -> bool {
    let paths = real_path(dir).and_then(|dir| Ok((dir, real_path(path)?)));
    paths.map_or_else(|_| path.starts_with(dir), |(dir, path)| path.starts_with(dir))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doctor_finds_a_key_file_beside_the_data_behind_links() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("node")).unwrap();
        std::fs::write(at("node/unlock.key"), "").unwrap();
        std::fs::write(at("away.key"), "").unwrap();
        std::os::unix::fs::symlink(at("node"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("away.key"), at("node/link.key")).unwrap();
        for (node, key, beside) in [
            ("node", "node/unlock.key", true),
            ("node", "link/unlock.key", true),
            ("link", "node/unlock.key", true),
            ("node", "node/link.key", false),
            ("node", "away.key", false),
        ] {
            assert_eq!(leads_into(&at(node), &at(key)), beside, "{node} {key}");
        }
    }

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
}
