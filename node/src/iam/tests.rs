use std::collections::BTreeSet;

use concordat_protocol::{ids::InstitutionId, query::Role, text::Text, time::Timestamp};
use concordat_storage::{
    fault::Fault,
    keys::{Argon2Cost, MasterKey, Passphrase, Secret},
    meta::SealedDb,
};
use tempfile::TempDir;

use super::*;

const GOOD: &str = "correct horse battery";
const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

struct World {
    dir: TempDir,
    master: MasterKey,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = Passphrase::new(secret("p"), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        Self { dir, master }
    }

    fn accounts(&self) -> Accounts {
        let db = SealedDb::open(&self.dir.path().join("meta"), self.master.state()).unwrap();
        Accounts::open(
            &db,
            InstitutionId::new("budapest").unwrap(),
            Argon2Cost::dangerous_minimum(),
        )
        .unwrap()
    }

    fn with_eva(&self) -> (Accounts, Sessions) {
        let accounts = self.accounts();
        accounts
            .add("root", roles([Role::Administrator]), &secret(GOOD), NOON)
            .unwrap();
        accounts
            .add("eva", roles([Role::Researcher]), &secret(GOOD), NOON)
            .unwrap();
        (accounts.clone(), Sessions::new(accounts))
    }
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

fn roles<const N: usize>(roles: [Role; N]) -> BTreeSet<Role> {
    BTreeSet::from(roles)
}

fn after(seconds: i64) -> Timestamp {
    NOON.plus_seconds(seconds)
}

#[test]
fn a_login_gives_an_actor_with_roles_and_assurance() {
    let world = World::new();
    let (_, sessions) = world.with_eva();
    let login = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    let text = login.token.expose();
    let actor = sessions.lookup(&text.parse().unwrap(), after(10)).unwrap();
    assert_eq!(actor.id().as_str(), "eva@budapest");
    assert_eq!(actor.authenticated_at(), NOON);
    assert!(actor.require(Action::Query).is_ok());
    let refused = actor.require(Action::ManageUsers).unwrap_err();
    assert_eq!(refused.to_string(), "`manage-users` needs the role administrator");
    assert_eq!(refused.fault(), Fault::Denied);
    assert!(!format!("{login:?}").contains(text.as_str()));
}

#[test]
fn wrong_name_and_wrong_password_are_told_apart_by_nothing() {
    let world = World::new();
    let (_, sessions) = world.with_eva();
    let tell = |name: &str, n: i64| {
        sessions
            .login(name, &secret("wrong wrong wrong"), after(n))
            .unwrap_err()
            .to_string()
    };
    for n in 0..3 {
        assert_eq!(tell("eva", n), tell("nobody", n));
        assert_eq!(tell("eva@elsewhere", n), "name or password is wrong");
    }
    assert_eq!(
        tell("eva", 2).replace("eva", "-"),
        tell("nobody", 2).replace("nobody", "-")
    );
    assert!(tell("eva", 2).starts_with("too many wrong passwords"));
}

#[test]
fn lock_out_grows_survives_a_restart_and_ends_with_the_right_password() {
    let world = World::new();
    let (_, sessions) = world.with_eva();
    for _ in 0..3 {
        assert!(matches!(
            sessions.login("eva", &secret("wrong"), NOON),
            Err(IamError::WrongLogin)
        ));
    }
    drop(sessions);
    let sessions = Sessions::new(world.accounts());
    assert!(matches!(
        sessions.login("eva", &secret(GOOD), NOON),
        Err(IamError::LockedOut { .. })
    ));
    assert!(matches!(
        sessions.login("eva", &secret("wrong"), after(1)),
        Err(IamError::WrongLogin)
    ));
    assert!(matches!(
        sessions.login("eva", &secret(GOOD), after(2)),
        Err(IamError::LockedOut { .. })
    ));
    assert!(
        sessions.login("root", &secret(GOOD), after(2)).is_ok(),
        "one account's lock-out is its own"
    );
    sessions.login("eva", &secret(GOOD), after(3)).unwrap();
    assert!(matches!(
        sessions.login("eva", &secret("wrong"), after(3)),
        Err(IamError::WrongLogin)
    ));
    sessions.login("eva", &secret(GOOD), after(3)).unwrap();
}

#[test]
fn tries_made_at_once_are_all_counted() {
    let world = World::new();
    let (_, sessions) = world.with_eva();
    let tries: Vec<IamError> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| sessions.login("eva", &secret("wrong"), NOON).unwrap_err()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let looked_at = tries
        .iter()
        .filter(|error| matches!(error, IamError::WrongLogin))
        .count();
    assert_eq!(looked_at, 3);
}

#[test]
fn a_change_of_roles_or_password_and_disabling_end_the_sessions_at_once() {
    let world = World::new();
    let (accounts, sessions) = world.with_eva();
    let changes: [&dyn Fn() -> Result<(), IamError>; 4] = [
        &|| accounts.set_roles("eva", roles([Role::Researcher, Role::Auditor])),
        &|| accounts.set_password("eva", &secret(GOOD)),
        &|| accounts.disable("eva"),
        &|| accounts.enable("eva"),
    ];
    let mut watch = accounts.changes();
    for (number, change) in changes.iter().enumerate() {
        let login = sessions.login("eva", &secret(GOOD), NOON);
        change().unwrap();
        assert!(watch.has_changed().unwrap());
        watch.mark_unchanged();
        match login {
            Ok(login) => {
                assert!(sessions.recheck(&login.actor, NOON).is_err(), "{number}");
                assert!(sessions.lookup(&login.token, NOON).is_err(), "{number}");
            }
            Err(error) => assert!(matches!(error, IamError::Disabled { .. }) && number == 3, "{error}"),
        }
    }
}

#[test]
fn sessions_end_when_idle_and_at_the_end_of_the_day() {
    let world = World::new();
    let (_, sessions) = world.with_eva();
    let idle = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    let busy = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    let step = IDLE_MS - 1;
    let mut now = NOON;
    while now.plus_millis(step).since(NOON) < ABSOLUTE_MS {
        now = now.plus_millis(step);
        sessions.lookup(&busy.token, now).unwrap();
    }
    assert!(sessions.lookup(&idle.token, NOON.plus_millis(IDLE_MS)).is_err());
    assert!(sessions.lookup(&busy.token, NOON.plus_millis(ABSOLUTE_MS)).is_err());
}

#[test]
fn a_recheck_does_not_keep_a_session_alive() {
    let world = World::new();
    let (_, sessions) = world.with_eva();
    let login = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    sessions.recheck(&login.actor, NOON.plus_millis(IDLE_MS - 1)).unwrap();
    assert!(sessions.recheck(&login.actor, NOON.plus_millis(IDLE_MS)).is_err());
}

#[test]
fn logging_out_and_unknown_tokens_give_nobody() {
    let world = World::new();
    let (_, sessions) = world.with_eva();
    let login = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    sessions.logout(&login.token);
    assert!(matches!(
        sessions.lookup(&login.token, NOON),
        Err(IamError::NotLoggedIn)
    ));
    assert!(sessions.lookup(&"00".repeat(32).parse().unwrap(), NOON).is_err());
    assert!("zz".parse::<SessionToken>().is_err());
}

#[test]
fn authenticating_again_renews_the_proof_and_not_the_session() {
    let world = World::new();
    let (_, sessions) = world.with_eva();
    let login = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    assert!(
        sessions
            .reauthenticate(&login.token, &secret("wrong"), after(5))
            .is_err()
    );
    let actor = sessions.reauthenticate(&login.token, &secret(GOOD), after(60)).unwrap();
    assert_eq!(actor.authenticated_at(), after(60));
    assert!(sessions.lookup(&login.token, NOON.plus_millis(ABSOLUTE_MS)).is_err());
}

#[test]
fn training_reaches_open_sessions_and_must_not_be_over() {
    let world = World::new();
    let (accounts, sessions) = world.with_eva();
    let login = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    assert!(login.actor.training().is_none());
    let training = Training {
        name: Text::new("data protection").unwrap(),
        until: after(100),
    };
    assert!(accounts.record_training("eva", training.clone(), after(100)).is_err());
    accounts.record_training("eva", training.clone(), NOON).unwrap();
    assert_eq!(sessions.lookup(&login.token, NOON).unwrap().training(), Some(&training));
}

#[test]
fn the_last_administrator_stays() {
    let world = World::new();
    let (accounts, _) = world.with_eva();
    assert!(matches!(
        accounts.disable("root"),
        Err(IamError::LastAdministrator { .. })
    ));
    assert!(accounts.set_roles("root", roles([Role::Auditor])).is_err());
    accounts.set_roles("eva", roles([Role::Administrator])).unwrap();
    accounts.disable("root").unwrap();
    assert!(accounts.disable("eva").is_err());
}

#[test]
fn accounts_are_made_once_with_a_good_name_and_password() {
    let world = World::new();
    let (accounts, _) = world.with_eva();
    let add = |name: &str, password: &str| accounts.add(name, roles([Role::Auditor]), &secret(password), NOON);
    assert!(matches!(add("eva", GOOD), Err(IamError::Exists { .. })));
    assert!(matches!(add("Eva Nagy", GOOD), Err(IamError::Name(_))));
    assert!(matches!(add("pal", "short"), Err(IamError::ShortPassword { .. })));
    assert!(matches!(
        accounts.add("pal", roles([]), &secret(GOOD), NOON),
        Err(IamError::NoRole)
    ));
    assert!(matches!(accounts.show("pal"), Err(IamError::Unknown { .. })));
    assert_eq!(
        accounts
            .list()
            .unwrap()
            .iter()
            .map(|a| a.name.as_str())
            .collect::<Vec<_>>(),
        ["eva", "root"]
    );
}

#[test]
fn what_needs_two_people_is_not_done_by_one() {
    let world = World::new();
    let (_, sessions) = world.with_eva();
    let login = |name| sessions.login(name, &secret(GOOD), NOON).unwrap().actor;
    let (eva, root) = (login("eva"), login("root"));
    let both = eva.attribution_with(&root).unwrap();
    assert_eq!(both.cause().to_string(), "eva@budapest and root@budapest");
    let refused = eva.attribution_with(&login("eva")).unwrap_err();
    assert_eq!(refused.fault(), Fault::Denied);
}
