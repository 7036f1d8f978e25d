//! What an actor and its attribution permit after the session or the account behind them has changed, and races of two changes.

use concordat_protocol::ids::QueryId;

use super::*;

const GIVEN: &str = "set by another person";

/// Whether everything that an actor can be used for is refused, because its session has ended.
fn is_refused(accounts: &Accounts, actor: &Actor) -> bool {
    let first = accounts.permitted_now(&root_id(), Action::ReadRoster).unwrap();
    let assertion = actor.assert_for(
        InstitutionId::new("zurich").unwrap(),
        QueryId::from_bytes([1; 16]),
        after(60),
    );
    let own_password = actor.authorize_own_password(accounts, &secret(GOOD), &secret("another good password"), NOON);
    let results = [
        actor.require(Action::Query),
        actor.authorize(Action::Query).map(drop),
        actor.authorize_second(accounts, &first, (NOON, NOON)).map(drop),
        assertion.map(drop),
        own_password.map(drop),
        actor.check_current(NOON),
    ];
    let refused = results
        .iter()
        .filter(|result| matches!(result, Err(IamError::NotLoggedIn)));
    let refused = refused.count();
    assert!(refused == 0 || refused == results.len(), "{results:?}");
    refused > 0
}

#[test]
fn actor_of_a_changed_account_permits_nothing() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let changes: [&dyn Fn() -> Result<(), IamError>; 5] = [
        &|| {
            make(
                &accounts,
                accounts.other_roles("eva", roles([Role::Researcher, Role::Auditor]), (&root_id(), NOON)),
            )
        },
        &|| accounts.set_own_password("eva", &secret(GOOD), NOON),
        &|| {
            make(
                &accounts,
                accounts.other_password("eva", &secret(GIVEN), &root_id(), NOON),
            )?;
            accounts.set_own_password("eva", &secret(GOOD), NOON)
        },
        &|| make(&accounts, accounts.disabled("eva")),
        // Enabling it does not revive what began before.
        &|| make(&accounts, accounts.enabled("eva", (&root_id(), NOON))),
    ];
    let mut actor = sessions.login("eva", &secret(GOOD), NOON).unwrap().actor;
    let mut by = actor.authorize(Action::Query).unwrap();
    for (number, change) in changes.iter().enumerate() {
        if number < 4 {
            actor = sessions.login("eva", &secret(GOOD), NOON).unwrap().actor;
            by = actor.authorize(Action::Query).unwrap();
            by.check(NOON).unwrap();
            assert!(!is_refused(&accounts, &actor), "{number}");
        }
        change().unwrap();
        assert!(is_refused(&accounts, &actor), "{number}");
        assert!(by.check(NOON).is_err(), "{number}");
        by.for_outcome().check(NOON).unwrap();
    }
}

#[test]
fn actor_of_an_ended_session_permits_nothing() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let login = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    let other = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    let changes = accounts.changes();
    sessions.logout(&login.token);
    assert!(changes.has_changed().unwrap(), "running answers are decided again");
    assert!(is_refused(&accounts, &login.actor));
    assert!(!is_refused(&accounts, &other.actor));
    // A session ends at its time, but not for want of use while it is in use.
    other.actor.check_current(NOON.plus_millis(IDLE_MS)).unwrap();
    other.actor.check_current(NOON.plus_millis(ABSOLUTE_MS - 1)).unwrap();
    assert!(other.actor.check_current(NOON.plus_millis(ABSOLUTE_MS)).is_err());
}

#[test]
fn actor_keeps_its_session_when_a_training_is_recorded() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let actor = sessions.login("eva", &secret(GOOD), NOON).unwrap().actor;
    let training = Training {
        name: Text::new("data-protection").unwrap(),
        until: after(60),
    };
    make(&accounts, accounts.training("eva", training, NOON)).unwrap();
    assert!(!is_refused(&accounts, &actor));
}

#[test]
fn password_reset_is_not_undone_by_a_change_under_way() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let actor = sessions.login("eva", &secret(GOOD), NOON).unwrap().actor;
    let own = actor.authorize_own_password(&accounts, &secret(GOOD), &secret("known to a thief"), NOON);
    let (_, own) = own.unwrap();
    make(
        &accounts,
        accounts.other_password("eva", &secret(GIVEN), &root_id(), NOON),
    )
    .unwrap();
    let refused = accounts.make(own).unwrap_err();
    assert!(matches!(refused, IamError::ChangedMeanwhile), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Locked);
    assert!(sessions.login("eva", &secret("known to a thief"), NOON).is_err());
    let login = sessions.login("eva", &secret(GIVEN), NOON).unwrap();
    assert!(login.actor.is_only_to_set_password());
}

#[test]
fn own_password_is_not_set_for_an_account_disabled_meanwhile() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let actor = sessions.login("eva", &secret(GOOD), NOON).unwrap().actor;
    let own = actor.authorize_own_password(&accounts, &secret(GOOD), &secret("known to a thief"), NOON);
    let (_, own) = own.unwrap();
    make(&accounts, accounts.disabled("eva")).unwrap();
    make(&accounts, accounts.enabled("eva", (&root_id(), NOON))).unwrap();
    assert!(matches!(accounts.make(own), Err(IamError::ChangedMeanwhile)));
    sessions.login("eva", &secret(GOOD), NOON).unwrap();
}

#[test]
fn password_of_a_reset_is_not_spent_by_a_login_before_it() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let reset = |password: &str| accounts.other_password("eva", &secret(password), &root_id(), NOON);
    make(&accounts, reset(GIVEN)).unwrap();
    let (_, verified) = accounts.authenticate("eva", &secret(GIVEN), None, NOON).unwrap();
    make(&accounts, reset("given after that")).unwrap();
    let spent = accounts.spend_one_time("eva", verified.epoch);
    assert!(matches!(spent, Err(IamError::WrongLogin)));
    sessions.login("eva", &secret("given after that"), NOON).unwrap();
}

#[test]
fn login_that_a_change_overtakes_is_not_entered() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let login = sessions.login("eva", &secret(GOOD), NOON).unwrap();
    make(&accounts, accounts.disabled("eva")).unwrap();
    let (_, by) = login.entry();
    assert!(by.check(NOON).is_err());
}
