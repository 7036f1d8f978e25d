//! Who can be the second of two people, and what an account shows about its passwords.

use super::*;
use crate::iam::error::Dependence;

const DAY_S: i64 = 24 * 60 * 60;

/// A request of `root`, and whether `name` may confirm it, as the second of two people.
fn confirm(accounts: &Accounts, name: &str, requested: Timestamp) -> Result<(), IamError> {
    let sessions = Sessions::new(accounts.clone());
    let second = sessions.login(name, &secret(GOOD), after(2 * DAY_S)).unwrap().actor;
    let first = accounts.permitted_now(&root_id(), Action::ManageUsers).unwrap();
    second.authorize_second(&first, requested).map(drop)
}

fn refused(result: Result<(), IamError>) -> (Dependence, Timestamp) {
    match result {
        Err(IamError::NotIndependent { reason, from, .. }) => (reason, from),
        other => panic!("{other:?}"),
    }
}

#[test]
fn account_made_by_the_first_person_is_no_second_person() {
    let fixture = Fixture::new();
    let (accounts, _) = fixture.with_eva();
    let new = accounts.new_account_for(
        "bob",
        roles([Role::Administrator]),
        &secret("set by another"),
        (&root_id(), after(10)),
    );
    make(&accounts, new).unwrap();
    accounts.set_own_password("bob", &secret(GOOD), after(20)).unwrap();
    let confirm = |requested| confirm(&accounts, "bob", requested);
    assert_eq!(refused(confirm(after(5))), (Dependence::NewRoles, after(10)));
    let day_later = (Dependence::RolesByFirst, after(10 + DAY_S));
    assert_eq!(refused(confirm(after(30))), day_later);
    assert_eq!(refused(confirm(after(10 + DAY_S).plus_millis(-1))), day_later);
    confirm(after(10 + DAY_S)).unwrap();
    let error = confirm(after(30)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let from = after(10 + DAY_S).to_string();
    assert!(error.to_string().contains(&from), "{error}");
    assert!(error.help().unwrap().contains(&from));
}

#[test]
fn account_taken_over_by_the_first_person_is_no_second_person() {
    let fixture = Fixture::new();
    let (accounts, _) = fixture.with_eva();
    let other: ActorId = "eva@budapest".parse().unwrap();
    for (name, by) in [("pal", &other), ("olga", &other)] {
        let new = accounts.new_account_for(
            name,
            roles([Role::Administrator]),
            &secret("set by another"),
            (by, NOON),
        );
        make(&accounts, new).unwrap();
        accounts.set_own_password(name, &secret(GOOD), after(20)).unwrap();
    }
    // What another person gave is enough at once, but not before the person has set a password.
    assert_eq!(
        refused(confirm(&accounts, "pal", after(15))),
        (Dependence::NewPassword, after(20))
    );
    confirm(&accounts, "pal", after(20)).unwrap();
    let reset = accounts.other_password("pal", &secret("set by another"), &root_id(), after(30));
    make(&accounts, reset).unwrap();
    accounts.set_own_password("pal", &secret(GOOD), after(40)).unwrap();
    assert_eq!(
        refused(confirm(&accounts, "pal", after(35))),
        (Dependence::NewPassword, after(40))
    );
    assert_eq!(
        refused(confirm(&accounts, "pal", after(50))),
        (Dependence::PasswordByFirst, after(30 + DAY_S))
    );
    confirm(&accounts, "pal", after(30 + DAY_S)).unwrap();
    // The same for roles.
    let given = accounts.other_roles(
        "olga",
        roles([Role::Administrator, Role::Steward]),
        (&root_id(), after(30)),
    );
    make(&accounts, given).unwrap();
    assert_eq!(
        refused(confirm(&accounts, "olga", after(25))),
        (Dependence::NewRoles, after(30))
    );
    assert_eq!(
        refused(confirm(&accounts, "olga", after(50))),
        (Dependence::RolesByFirst, after(30 + DAY_S))
    );
}

#[test]
fn account_shows_who_set_its_first_password() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let given = secret("set by another");
    let new = accounts.new_account_for("nina", roles([Role::Researcher]), &given, (&root_id(), after(10)));
    make(&accounts, new).unwrap();
    accounts.set_own_password("nina", &secret(GOOD), after(20)).unwrap();
    let nina = sessions.login("nina", &secret(GOOD), after(30)).unwrap().actor;
    let shown: Vec<_> = nina
        .password_resets()
        .iter()
        .map(|set| (set.by.clone(), set.at))
        .collect();
    assert_eq!(shown, [(root_id(), after(10))]);
    // There was no one before whose name could have been used.
    let query = concordat_protocol::ids::QueryId::from_bytes([1; 16]);
    let assertion = nina
        .assert_for(InstitutionId::new("zurich").unwrap(), query, after(60))
        .unwrap();
    assert_eq!(assertion.password_reset_at, None);
}
