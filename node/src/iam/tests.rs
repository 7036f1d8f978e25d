mod lockouts;
mod standing;
mod two_people;

use crate::iam::sessions::ABSOLUTE_MS;
use crate::iam::sessions::IDLE_MS;
use std::collections::BTreeSet;

use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    ids::{ActorId, InstitutionId},
    query::Role,
    text::Text,
    time::Timestamp,
};
use concordat_storage::ledger::AuthorityError;
use concordat_storage::meta::SealedDb;
use tempfile::TempDir;

use super::*;
use crate::clock::Clock;

const GOOD: &str = "correct horse battery";
const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

struct Fixture {
    dir: TempDir,
    master: MasterKey,
}

impl Fixture {
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

fn root_id() -> ActorId {
    "root@budapest".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    NOON.plus_seconds(seconds)
}

#[test]
fn session_login_returns_an_actor_with_roles_and_assurance() {
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
    let login = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    let text = login.token.expose();
    let actor = sessions.lookup(&text.parse().unwrap(), after(10)).unwrap();
    assert_eq!(actor.id().as_str(), "eva@budapest");
    assert_eq!(actor.authenticated_at(), NOON);
    assert!(actor.require(Action::Query).is_ok());
    let refused = actor.require(Action::ManageUsers).unwrap_err();
    assert_eq!(refused.to_string(), "`manage-users` needs the role administrator");
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert!(!format!("{login:?}").contains(text.as_str()));
}

#[test]
fn session_wrong_name_and_wrong_password_look_the_same() {
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
    let login_error = |name: &str, n: i64| {
        sessions
            .login(name, &secret("wrong wrong wrong"), after(n))
            .unwrap_err()
            .to_string()
    };
    for n in 0..3 {
        assert_eq!(login_error("eva", n), login_error("unknown", n));
        assert_eq!(login_error("eva@elsewhere", n), "name or password is wrong");
    }
    assert_eq!(
        login_error("eva", 2).replace("eva", "-"),
        login_error("unknown", 2).replace("unknown", "-")
    );
    assert!(login_error("eva", 2).starts_with("too many wrong passwords"));
}

#[test]
fn lockout_grows_and_survives_a_restart() {
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
    for _ in 0..3 {
        assert!(matches!(
            sessions.login("eva", &secret("wrong"), NOON),
            Err(IamError::WrongLogin)
        ));
    }
    drop(sessions);
    let sessions = Sessions::new(fixture.accounts());
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
        "a lockout affects only its own account"
    );
    sessions.login("eva", &secret(GOOD), after(3)).unwrap();
    assert!(matches!(
        sessions.login("eva", &secret("wrong"), after(3)),
        Err(IamError::WrongLogin)
    ));
    sessions.login("eva", &secret(GOOD), after(3)).unwrap();
}

#[test]
fn lockout_counts_simultaneous_attempts() {
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
    let errors: Vec<IamError> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| sessions.login("eva", &secret("wrong"), NOON).unwrap_err()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let checked = errors
        .iter()
        .filter(|error| matches!(error, IamError::WrongLogin))
        .count();
    assert_eq!(checked, 3);
}

/// The clock was wrong by years when passwords were wrong, and is set right: no one is locked out for years.
#[test]
fn lockout_ends_although_the_clock_was_set_back() {
    const YEARS: i64 = 3 * 365 * 86_400;
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
    let login = |password: &str, seconds| sessions.login("eva", &secret(password), after(seconds));
    for n in 0..4 {
        assert!(matches!(login("wrong", YEARS + n), Err(IamError::WrongLogin)));
    }
    let Err(IamError::LockedOut { until, .. }) = login(GOOD, 0) else {
        panic!("the delay is forgotten");
    };
    assert_eq!(until, after(2), "as if the last attempt had been now");
    assert!(matches!(login(GOOD, 1), Err(IamError::LockedOut { .. })));
    login(GOOD, 2).unwrap();
    // Few wrong passwords have no delay, whatever the clock.
    assert!(matches!(login("wrong", YEARS), Err(IamError::WrongLogin)));
    login(GOOD, 3).unwrap();
}

#[test]
fn session_ends_immediately_when_the_account_changes() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let changes: [&dyn Fn() -> Result<(), IamError>; 4] = [
        &|| {
            make(
                &accounts,
                accounts.other_roles("eva", roles([Role::Researcher, Role::Auditor]), (&root_id(), NOON)),
            )
        },
        &|| accounts.set_own_password("eva", &secret(GOOD), NOON),
        &|| make(&accounts, accounts.disabled("eva")),
        &|| make(&accounts, accounts.enabled("eva", (&root_id(), NOON))),
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

/// An import that reads for hours states the time at which it began.
#[test]
fn work_ends_with_the_time_of_its_session() {
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
    let clock = Clock::still(NOON);
    let sessions = sessions.ending_by(clock.clone());
    let eva = sessions.login("eva", &secret(GOOD), NOON).unwrap().actor;
    let by = eva.attribution();
    by.check(NOON).unwrap();
    clock.shift(ABSOLUTE_MS - 1);
    by.check(NOON).unwrap();
    clock.shift(1);
    assert!(matches!(by.check(NOON), Err(AuthorityError::Ended)));
}

#[test]
fn session_ends_when_idle_and_after_a_working_day() {
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
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
fn session_recheck_does_not_keep_it_alive() {
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
    let login = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    sessions.recheck(&login.actor, NOON.plus_millis(IDLE_MS - 1)).unwrap();
    assert!(sessions.recheck(&login.actor, NOON.plus_millis(IDLE_MS)).is_err());
}

#[test]
fn session_after_logout_or_with_unknown_token_is_refused() {
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
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
fn session_reauthentication_does_not_extend_the_session() {
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
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
fn training_reaches_open_sessions_and_must_not_be_expired() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let login = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    assert!(login.actor.training().is_none());
    let training = Training {
        name: Text::new("data protection").unwrap(),
        until: after(100),
    };
    assert!(accounts.training("eva", training.clone(), after(100)).is_err());
    make(&accounts, accounts.training("eva", training.clone(), NOON)).unwrap();
    assert_eq!(sessions.lookup(&login.token, NOON).unwrap().training(), Some(&training));
}

#[test]
fn account_of_the_last_administrator_cannot_be_disabled() {
    let fixture = Fixture::new();
    let (accounts, _) = fixture.with_eva();
    assert!(matches!(
        accounts.disabled("root"),
        Err(IamError::LastAdministrator { .. })
    ));
    assert!(
        accounts
            .other_roles("root", roles([Role::Auditor]), (&root_id(), NOON))
            .is_err()
    );
    make(
        &accounts,
        accounts.other_roles("eva", roles([Role::Administrator]), (&root_id(), NOON)),
    )
    .unwrap();
    // Both are prepared while there are two; only one of them can be made.
    let both = ["root", "eva"].map(|name| accounts.disabled(name).unwrap());
    let made = both.map(|change| accounts.make(change));
    assert!(
        matches!(made, [Ok(()), Err(IamError::LastAdministrator { .. })]),
        "{made:?}"
    );
}

/// Whatever can refuse a change does so before it is recorded: a prepared change has passed every check.
#[test]
fn account_change_is_refused_when_it_is_prepared() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let root = sessions.login("root", &secret(GOOD), NOON).unwrap().actor;
    let new = |name: &str, given: &[Role], password: &str| {
        accounts.new_account_for(
            name,
            given.iter().copied().collect(),
            &secret(password),
            (&root_id(), NOON),
        )
    };
    let over = Training {
        name: Text::new("data protection").unwrap(),
        until: NOON,
    };
    for (what, prepared) in [
        ("a name in use", new("eva", &[Role::Auditor], GOOD)),
        ("a bad name", new("Eva Kiss", &[Role::Auditor], GOOD)),
        ("no role", new("new", &[], GOOD)),
        ("a short password", new("new", &[Role::Auditor], "short")),
        (
            "no role of a known person",
            accounts.other_roles("eva", BTreeSet::new(), (&root_id(), NOON)),
        ),
        (
            "an unknown person's roles",
            accounts.other_roles("new", roles([Role::Auditor]), (&root_id(), NOON)),
        ),
        (
            "the last administrator's roles",
            accounts.other_roles("root", roles([Role::Auditor]), (&root_id(), NOON)),
        ),
        ("the last administrator", accounts.disabled("root")),
        (
            "an unknown person's access",
            accounts.enabled("new", (&root_id(), NOON)),
        ),
        (
            "a short new password",
            accounts.other_password("eva", &secret("short"), root.id(), NOON),
        ),
        (
            "an unknown person's password",
            accounts.other_password("new", &secret(GOOD), root.id(), NOON),
        ),
        ("a training that is over", accounts.training("eva", over.clone(), NOON)),
    ] {
        assert!(prepared.is_err(), "{what}");
    }
    // A change that is only prepared has no effect.
    drop(new("new", &[Role::Auditor], GOOD).unwrap());
    drop(accounts.disabled("eva").unwrap());
    assert!(accounts.show("new").is_err() && !accounts.show("eva").unwrap().disabled);
}

fn make(accounts: &Accounts, prepared: Result<AccountChange, IamError>) -> Result<(), IamError> {
    accounts.make(prepared?)
}

#[test]
fn account_of_another_or_without_role_is_not_permitted_now() {
    let fixture = Fixture::new();
    let (accounts, _) = fixture.with_eva();
    let eva = |institution: &str| ActorId::at("eva", &InstitutionId::new(institution).unwrap()).unwrap();
    let permitted = |action| accounts.permitted_now(&eva("budapest"), action);
    assert_eq!(permitted(Action::Query).unwrap().id(), &eva("budapest"));
    assert!(matches!(
        permitted(Action::ManagePolicy),
        Err(IamError::NotPermitted { .. })
    ));
    assert!(matches!(
        accounts.permitted_now(&eva("zurich"), Action::Query),
        Err(IamError::Unknown { .. })
    ));
    make(&accounts, accounts.disabled("eva")).unwrap();
    assert!(matches!(permitted(Action::Query), Err(IamError::Disabled { .. })));
}

#[test]
fn account_is_created_once_with_a_valid_name_and_password() {
    let fixture = Fixture::new();
    let (accounts, _) = fixture.with_eva();
    let add = |name: &str, password: &str| accounts.add(name, roles([Role::Auditor]), &secret(password), NOON);
    assert!(matches!(add("eva", GOOD), Err(IamError::Exists { .. })));
    assert!(matches!(add("Eva Nagy", GOOD), Err(IamError::Name(_))));
    for option in ["-x", "--force", ".x", "_x"] {
        assert!(matches!(add(option, GOOD), Err(IamError::NameStart { .. })), "{option}");
        // Of an earlier version: it is looked up as any other.
        assert!(
            matches!(accounts.show(option), Err(IamError::Unknown { .. })),
            "{option}"
        );
    }
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
fn attribution_of_two_people_needs_two_people() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let login = |name| sessions.login(name, &secret(GOOD), NOON).unwrap().actor;
    let eva = login("eva");
    let root = login("root");
    let first = accounts.permitted_now(eva.id(), Action::ReadRoster).unwrap();
    let both = root.authorize_second(&accounts, &first, (NOON, NOON)).unwrap();
    assert_eq!(both.cause().to_string(), "eva@budapest and root@budapest");
    let refused = eva.authorize_second(&accounts, &first, (NOON, NOON)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert!(matches!(refused, IamError::SamePerson { .. }), "{refused}");
    // The second person needs a role that permits what the first requested.
    let first = accounts.permitted_now(eva.id(), Action::Query).unwrap();
    let refused = root.authorize_second(&accounts, &first, (NOON, NOON)).unwrap_err();
    assert!(matches!(refused, IamError::NotPermitted { .. }), "{refused}");
}

#[test]
fn password_set_by_another_person_only_allows_changing_it() {
    const GIVEN: &str = "set by another person";
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let root = sessions.login("root", &secret(GOOD), NOON).unwrap().actor;
    let new = accounts.new_account_for("new", roles([Role::Researcher]), &secret(GIVEN), (&root_id(), NOON));
    make(&accounts, new).unwrap();
    make(
        &accounts,
        accounts.other_password("eva", &secret(GIVEN), root.id(), after(1)),
    )
    .unwrap();
    for name in ["new", "eva"] {
        let login = sessions.login(name, &secret(GIVEN), after(2)).unwrap();
        assert!(login.actor.is_only_to_set_password());
        for action in Action::ALL {
            assert!(!login.actor.may(*action), "{name} may {action}");
            assert!(matches!(login.actor.require(*action), Err(IamError::PasswordNeeded)));
        }
        let again = sessions.login(name, &secret(GIVEN), after(3));
        assert!(matches!(again, Err(IamError::OneTimeUsed { .. })), "{name}");

        let authorize = |current: &str, password: &str| {
            let actor = &login.actor;
            actor.authorize_own_password(&accounts, &secret(current), &secret(password), after(3))
        };
        assert!(matches!(authorize(GIVEN, GIVEN), Err(IamError::SamePassword)));
        assert!(matches!(authorize("wrong", GOOD), Err(IamError::WrongLogin)));
        let (by, change) = authorize(GIVEN, GOOD).unwrap();
        assert_eq!(by.cause().actor(), Some(login.actor.id()));
        accounts.make(change).unwrap();
        assert!(sessions.recheck(&login.actor, after(3)).is_err());
        let own = sessions.login(name, &secret(GOOD), after(4)).unwrap().actor;
        assert!(own.may(Action::Query) && !own.is_only_to_set_password());
    }
}

#[test]
fn password_reset_is_shown_to_the_person_and_providers() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let provider = || InstitutionId::new("zurich").unwrap();
    let stated = |actor: &Actor| {
        let query = concordat_protocol::ids::QueryId::from_bytes([1; 16]);
        actor
            .assert_for(provider(), query, after(60))
            .unwrap()
            .password_reset_at
    };
    let before = sessions.login("eva", &secret(GOOD), NOON).unwrap().actor;
    assert_eq!((before.password_resets().len(), stated(&before)), (0, None));
    let root = sessions.login("root", &secret(GOOD), NOON).unwrap().actor;
    for n in 0..20 {
        let other = accounts.other_password("eva", &secret("set by another person"), root.id(), after(n));
        make(&accounts, other).unwrap();
    }
    accounts.set_own_password("eva", &secret(GOOD), NOON).unwrap();
    let after_resets = sessions.login("eva", &secret(GOOD), after(30)).unwrap().actor;
    assert_eq!(stated(&after_resets), Some(after(19)));
    assert_eq!(after_resets.password_resets().len(), 8);
    assert!(
        after_resets
            .password_resets()
            .iter()
            .all(|reset| reset.by == *root.id())
    );
}

#[test]
fn password_one_time_opens_one_of_several_logins() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let new = accounts.new_account_for(
        "new",
        roles([Role::Researcher]),
        &secret("set by another person"),
        (&root_id(), NOON),
    );
    make(&accounts, new).unwrap();
    let opened = std::thread::scope(|scope| {
        let try_one = || sessions.login("new", &secret("set by another person"), NOON).is_ok();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(try_one)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .filter(|ok| *ok)
            .count()
    });
    assert_eq!(opened, 1);
}

#[test]
fn session_is_valid_only_for_the_os_account_that_opened_it() {
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
    let login = sessions.login_at("eva", &secret(GOOD), 1000, NOON).unwrap();
    assert!(sessions.lookup_at(&login.token, 1000, NOON).is_ok());
    for other in [0, 999, 1001] {
        let stolen = sessions.lookup_at(&login.token, other, NOON);
        assert!(matches!(stolen, Err(IamError::NotLoggedIn)), "{other}");
    }
    assert!(
        sessions.lookup_at(&login.token, 1000, NOON).is_ok(),
        "the owner's session continues"
    );
    let elsewhere = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    assert!(sessions.lookup_at(&elsewhere.token, 1000, NOON).is_err());
}

#[test]
fn restored_accounts_are_locked_except_one_administrator() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    accounts
        .add("olga", roles([Role::Administrator]), &secret(GOOD), NOON)
        .unwrap();
    drop((accounts, sessions));
    let open = || SealedDb::open(&fixture.dir.path().join("meta"), fixture.master.state()).unwrap();
    for named in [None, Some("eva"), Some("absent")] {
        let error = void_passwords(&open(), named).unwrap_err();
        assert!(matches!(error, IamError::WhichAdministrator { .. }), "{named:?}");
    }
    let restored = void_passwords(&open(), Some("root")).unwrap();
    assert_eq!(restored.administrator.as_deref(), Some("root"));
    assert_eq!(restored.locked, ["eva", "olga"]);
    let accounts = fixture.accounts();
    let sessions = Sessions::new(accounts.clone());
    for name in ["eva", "olga"] {
        let refused = sessions.login(name, &secret(GOOD), NOON).unwrap_err();
        assert!(matches!(refused, IamError::OneTimeUsed { .. }), "{name}");
    }
    let login = sessions.login("root", &secret(GOOD), NOON).unwrap();
    assert!(login.actor.is_only_to_set_password());
    assert!(sessions.login("root", &secret(GOOD), NOON).is_err());
    assert_eq!(accounts.show("eva").unwrap().training, None);
}
