use crate::init::create::MADE_KEY_FILE;
use crate::init::create::MADE_PASSWORD_FILE;
use std::os::unix::{fs::PermissionsExt, net::UnixListener};
use std::path::Path;

use concordat_documents::SOCKET;
use concordat_keys::{Argon2Cost, KeyFile, Secret};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::query::Role;
use concordat_protocol::time::Timestamp;
use concordat_storage::data_dir::Storage;

use super::socket_path::MAX_SOCKET_PATH;
use super::*;
use crate::config::Config;
use crate::iam::{Accounts, Sessions};

fn plan(dir: &Path) -> Plan {
    let config = "[node]\ninstitution='zurich'\nname='Zurich'\njurisdiction='CH'\n[keys]\nsource='passphrase'\n";
    Plan {
        dir: dir.to_owned(),
        config: Config::parse(config, Path::new("-")).unwrap(),
        unlock: Unlock::MakeKeyFile,
        password: None,
        cost: Argon2Cost::dangerous_minimum(),
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn opens(dir: &Path) {
    let config = Config::load(dir).unwrap();
    let source = KeyFile::new(dir.join(MADE_KEY_FILE));
    let storage = Storage::open(dir, &source).unwrap();
    let ledger = concordat_storage::ledger::Ledger::open(
        &storage.ledger_dir(),
        storage.ledger_key(),
        config.node.institution.clone(),
    )
    .unwrap();
    assert!(ledger.verify(&storage.identities().institution_keys().unwrap()).ok);
    // The node's identity, the accepted configuration, the first policy set, the first account.
    assert_eq!(ledger.size(), 4);
    let password = std::fs::read_to_string(dir.join(MADE_PASSWORD_FILE)).unwrap();
    let accounts = Accounts::open(storage.meta(), config.node.institution, Argon2Cost::dangerous_minimum()).unwrap();
    let login = Sessions::new(accounts).login(FIRST_ACCOUNT, &Secret::from(password.trim().to_owned()), now());
    assert_eq!(login.unwrap().actor.roles().len(), Role::ALL.len());
}

#[test]
fn a_new_node_opens_and_its_first_account_can_log_in() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("node");
    let created = init(plan(&dir), now()).unwrap();
    assert_eq!(created.made_key_file, Some(dir.join(MADE_KEY_FILE)));
    assert_eq!(names(parent.path()), ["node"]);
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let shown = std::fs::read_to_string(dir.join("identity/node.pub")).unwrap();
    assert_eq!(shown.trim(), created.node.to_string());
    opens(&dir);
}

#[test]
fn new_node_is_not_written_through_a_planted_link() {
    let parent = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let planted = parent.path().join(format!("node.tmp-{}", std::process::id()));
    std::os::unix::fs::symlink(elsewhere.path(), planted).unwrap();
    let dir = parent.path().join("node");
    init(plan(&dir), now()).unwrap();
    assert!(std::fs::symlink_metadata(&dir).unwrap().is_dir());
    assert_eq!(names(elsewhere.path()), Vec::<String>::new());
    opens(&dir);
}

#[test]
fn an_empty_directory_is_filled_and_one_with_files_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(".init")).unwrap();
    init(plan(dir.path()), now()).unwrap();
    assert!(!dir.path().join(".init").exists());
    opens(dir.path());
    let before = names(dir.path());
    assert_eq!(init(plan(dir.path()), now()).unwrap_err().code, ErrorKind::Usage);
    assert_eq!(names(dir.path()), before);
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("node");
    let short = Plan {
        password: Some(Secret::from("short".to_owned())),
        ..plan(&dir)
    };
    assert_eq!(init(short, now()).unwrap_err().code, ErrorKind::Usage);
    let weak = Plan {
        unlock: Unlock::Passphrase(Secret::from("abc".to_owned())),
        ..plan(&dir)
    };
    let problem = init(weak, now()).unwrap_err();
    assert_eq!(problem.code, ErrorKind::Usage);
    assert!(problem.detail.contains("at least 12 characters"), "{problem:?}");
    let missing = Plan {
        unlock: Unlock::KeyFile(parent.path().join("nowhere")),
        ..plan(&dir)
    };
    assert_eq!(init(missing, now()).unwrap_err().code, ErrorKind::Locked);
    assert_eq!(names(parent.path()), [""; 0]);
}

#[test]
fn a_directory_whose_socket_cannot_be_opened_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    // A directory with a socket whose path has this many bytes.
    let with = |bytes: usize| {
        let known = parent.path().join("d").join(SOCKET).as_os_str().len();
        parent.path().join("d".repeat(bytes + 1 - known))
    };
    let longest = with(MAX_SOCKET_PATH);
    assert!(check_socket_path(&longest).is_ok());
    let too_long = with(MAX_SOCKET_PATH + 1);
    let refused = init(plan(&too_long), now()).unwrap_err();
    assert_eq!(refused.code, ErrorKind::Usage);
    assert!(refused.detail.contains(&MAX_SOCKET_PATH.to_string()), "{refused:?}");
    let most = longest.as_os_str().len();
    assert!(refused.help.unwrap().contains(&format!("{most} bytes")));
    assert_eq!(names(parent.path()), [""; 0]);

    // The limit is that of the system.
    for (dir, opens) in [(&longest, true), (&too_long, false)] {
        std::fs::create_dir_all(dir.join("run")).unwrap();
        assert_eq!(UnixListener::bind(dir.join(SOCKET)).is_ok(), opens);
    }
}
