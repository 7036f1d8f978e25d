//! Who can be the second of two people, and what an account shows about its passwords.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use concordat_keys::PasswordHash;
use proptest::prelude::*;

use super::*;
use crate::iam::account::Account;
use crate::iam::error::Dependence;
use crate::iam::independence::People;

/// A day in seconds.
const DAY_S: i64 = 24 * 60 * 60;

/// A request of `first`, and whether `second` may confirm it two days after noon.
fn confirm(accounts: &Accounts, (first, second): (&str, &str), requested: Timestamp) -> Result<(), IamError> {
    let sessions = Sessions::new(accounts.clone());
    let now = after(2 * DAY_S);
    let second = sessions.login(second, &secret(GOOD), now).unwrap().actor;
    let first = accounts.permitted_now(&id(first), Action::ManageUsers).unwrap();
    second.authorize_second(accounts, &first, (requested, now)).map(drop)
}

fn refused(result: Result<(), IamError>) -> (Dependence, Timestamp) {
    match result {
        Err(IamError::NotIndependent { reason, from, .. }) => (reason, from),
        other => panic!("{other:?}"),
    }
}

fn id(name: &str) -> ActorId {
    format!("{name}@budapest").parse().unwrap()
}

/// `by` creates an administrator at `at`, who sets a password at once.
fn create(accounts: &Accounts, by: &str, name: &str, at: i64) {
    let all = roles([Role::Administrator]);
    let new = accounts.new_account_for(name, all, &secret("set by another"), (&id(by), after(at)));
    make(accounts, new).unwrap();
    accounts.set_own_password(name, &secret(GOOD), after(at)).unwrap();
}

fn give_roles(accounts: &Accounts, by: &str, name: &str, at: i64) {
    let given = roles([Role::Administrator, Role::Steward]);
    make(accounts, accounts.other_roles(name, given, (&id(by), after(at)))).unwrap();
}

fn reset_password(accounts: &Accounts, by: &str, name: &str, at: i64) {
    let reset = accounts.other_password(name, &secret("set by another"), &id(by), after(at));
    make(accounts, reset).unwrap();
    accounts.set_own_password(name, &secret(GOOD), after(at)).unwrap();
}

#[test]
fn account_made_by_the_first_person_is_no_second_person() {
    let fixture = Fixture::new();
    let (accounts, _) = fixture.with_eva();
    create(&accounts, "root", "bob", 10);
    let confirm = |requested| confirm(&accounts, ("root", "bob"), requested);
    assert_eq!(refused(confirm(after(5))), (Dependence::NewRoles, after(10)));
    let day_later = (Dependence::OnFirst, after(10 + DAY_S));
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
fn account_made_by_the_second_person_is_no_first_person() {
    let fixture = Fixture::new();
    let (accounts, _) = fixture.with_eva();
    create(&accounts, "root", "puppet", 10);
    let confirm = |requested| confirm(&accounts, ("puppet", "root"), requested);
    let day_later = (Dependence::OnSecond, after(10 + DAY_S));
    assert_eq!(refused(confirm(after(59))), day_later);
    assert_eq!(refused(confirm(after(10 + DAY_S).plus_millis(-1))), day_later);
    confirm(after(10 + DAY_S)).unwrap();
}

/// What the second person does with the account of the first one after the request counts, too.
#[test]
fn account_taken_over_after_its_request_is_no_first_person() {
    let fixture = Fixture::new();
    let (accounts, _) = fixture.with_eva();
    create(&accounts, "eva", "paul", 10);
    let requested = after(100 + DAY_S);
    confirm(&accounts, ("paul", "root"), requested).unwrap();
    give_roles(&accounts, "root", "paul", 200 + DAY_S);
    let refused = refused(confirm(&accounts, ("paul", "root"), requested));
    assert_eq!(refused, (Dependence::OnSecond, after(200 + 2 * DAY_S)));
}

#[test]
fn chain_of_accounts_makes_no_two_people() {
    let fixture = Fixture::new();
    let (accounts, _) = fixture.with_eva();
    create(&accounts, "root", "helper", 10);
    create(&accounts, "helper", "sally", 30);
    create(&accounts, "root", "ann", 50);
    let refused = |first, second| refused(confirm(&accounts, (first, second), after(60)));
    // The one made the other through an account in between.
    let from = after(10 + DAY_S);
    assert_eq!(refused("root", "sally"), (Dependence::OnFirst, from));
    assert_eq!(refused("sally", "root"), (Dependence::OnSecond, from));
    // One person made both, one of them through another account.
    assert_eq!(refused("sally", "ann"), (Dependence::OnAnother, from));
    assert_eq!(refused("ann", "helper"), (Dependence::OnAnother, from));
    assert_eq!(refused("helper", "sally"), (Dependence::OnFirst, after(30 + DAY_S)));
    for (first, second) in [
        ("root", "sally"),
        ("sally", "root"),
        ("sally", "ann"),
        ("ann", "helper"),
    ] {
        confirm(&accounts, (first, second), from).unwrap();
    }
}

#[test]
fn account_taken_over_by_the_first_person_is_no_second_person() {
    let fixture = Fixture::new();
    let (accounts, _) = fixture.with_eva();
    for name in ["pal", "olga"] {
        let new = accounts.new_account_for(
            name,
            roles([Role::Administrator]),
            &secret("set by another"),
            (&id("eva"), NOON),
        );
        make(&accounts, new).unwrap();
        accounts.set_own_password(name, &secret(GOOD), after(20)).unwrap();
    }
    let confirm = |name, requested| confirm(&accounts, ("root", name), requested);
    // What another person gave is enough at once, but not before the person has set a password.
    assert_eq!(refused(confirm("pal", after(15))), (Dependence::NewPassword, after(20)));
    confirm("pal", after(20)).unwrap();
    let reset = accounts.other_password("pal", &secret("set by another"), &root_id(), after(30));
    make(&accounts, reset).unwrap();
    accounts.set_own_password("pal", &secret(GOOD), after(40)).unwrap();
    assert_eq!(refused(confirm("pal", after(35))), (Dependence::NewPassword, after(40)));
    assert_eq!(
        refused(confirm("pal", after(50))),
        (Dependence::OnFirst, after(30 + DAY_S))
    );
    confirm("pal", after(30 + DAY_S)).unwrap();
    // The same for roles.
    give_roles(&accounts, "root", "olga", 30);
    assert_eq!(refused(confirm("olga", after(25))), (Dependence::NewRoles, after(30)));
    assert_eq!(
        refused(confirm("olga", after(50))),
        (Dependence::OnFirst, after(30 + DAY_S))
    );
}

/// What another person does with the account afterwards does not hide who controlled it before.
#[test]
fn control_of_an_account_is_known_whatever_follows() {
    let fixture = Fixture::new();
    let (accounts, _) = fixture.with_eva();
    for name in ["pal", "olga", "otto"] {
        create(&accounts, "eva", name, 0);
    }
    give_roles(&accounts, "root", "pal", 30);
    give_roles(&accounts, "eva", "pal", 40);
    reset_password(&accounts, "root", "olga", 30);
    for at in 40..50 {
        reset_password(&accounts, "eva", "olga", at);
    }
    make(&accounts, accounts.disabled("otto")).unwrap();
    make(&accounts, accounts.enabled("otto", (&root_id(), after(30)))).unwrap();
    for name in ["pal", "olga", "otto"] {
        let refused = refused(confirm(&accounts, ("root", name), after(60)));
        assert_eq!(refused, (Dependence::OnFirst, after(30 + DAY_S)), "{name}");
    }
}

proptest! {
    /// People are independent if no one reaches both of them through what was done in the day before the request or later. From the time that
    /// a refusal names they are, and before it they are not.
    #[test]
    fn independence_is_that_of_all_paths_between_people(
        done in prop::collection::vec((0..PEOPLE, 0..PEOPLE, 0..6_i64), 0..9),
        requested in 0..6_i64,
    ) {
        let third = |thirds: i64| after(thirds * DAY_S / 3);
        let mut accounts: Vec<Account> = (0..PEOPLE).map(|_| some_account()).collect();
        for (by, of, at) in &done {
            accounts[*of].note_control(&person(*by), third(*at));
        }
        let accounts = accounts.into_iter().enumerate().map(|(number, account)| (person(number), account));
        let people = People::new(accounts.collect());
        let expected = |requested: Timestamp| {
            let recent = done.iter().filter(|(_, _, at)| third(*at).plus_seconds(DAY_S) > requested);
            no_one_reaches_both(recent.map(|(by, of, _)| (*by, *of)))
        };
        let requested = third(requested);
        match people.check_independent(&person(0), &person(1), (requested, requested)) {
            Ok(()) => prop_assert!(expected(requested)),
            Err(IamError::NotIndependent { from, .. }) => {
                prop_assert!(!expected(requested) && !expected(from.plus_millis(-1)) && expected(from));
                prop_assert!(people.check_independent(&person(0), &person(1), (from, from)).is_ok());
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

const PEOPLE: usize = 5;

fn person(number: usize) -> ActorId {
    id(&format!("person-{number}"))
}

/// Whether no person reaches both the first and the second one; each reaches themselves. By the closure of all pairs.
fn no_one_reaches_both(pairs: impl Iterator<Item = (usize, usize)>) -> bool {
    let mut reaches = [[false; PEOPLE]; PEOPLE];
    for (number, row) in reaches.iter_mut().enumerate() {
        row[number] = true;
    }
    for (by, of) in pairs {
        reaches[by][of] = true;
    }
    for through in 0..PEOPLE {
        for from in 0..PEOPLE {
            for to in 0..PEOPLE {
                reaches[from][to] |= reaches[from][through] && reaches[through][to];
            }
        }
    }
    !reaches.iter().any(|row| row[0] && row[1])
}

/// An account that was never under the control of another person.
fn some_account() -> Account {
    static HASH: LazyLock<PasswordHash> =
        LazyLock::new(|| PasswordHash::create(&secret(GOOD), Argon2Cost::dangerous_minimum()).unwrap());
    Account {
        password: HASH.clone(),
        roles: roles([Role::Steward]),
        training: None,
        one_time: None,
        resets: Vec::new(),
        own_password_since: None,
        roles_set: None,
        controlled: BTreeMap::new(),
        disabled: false,
        created: NOON,
        created_by: None,
        epoch: 0,
    }
}

/// Someone makes the account of the other one now, and requests with a clock that is ahead for one start.
#[test]
fn request_of_a_time_to_come_is_confirmed_by_no_one() {
    let fixture = Fixture::new();
    let (accounts, _) = fixture.with_eva();
    create(&accounts, "root", "bob", 10);
    let confirm = |requested| confirm(&accounts, ("root", "bob"), requested);
    let now = after(2 * DAY_S);
    confirm(now).unwrap();
    for ahead in [1, 3 * DAY_S * 1000] {
        assert_eq!(refused(confirm(now.plus_millis(ahead))), (Dependence::FromFuture, now));
    }
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
