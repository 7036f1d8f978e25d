//! What failed logins do to the person whose name they use, and to the node.

use super::*;

/// The account of the operating system under which the person works.
const OWN: u32 = 1000;
/// That of another process of the machine.
const OTHER: u32 = 1001;

/// How many of 1,000 wrong passwords within a minute from the account `uid` would be entered in the ledger.
fn flood(sessions: &Sessions, name: &str, known: Option<&ActorId>, uid: u32) -> usize {
    let times = (0..1000).map(|n| NOON.plus_millis(n * 50));
    let entered = times.filter(|now| {
        let failed = sessions.login_at(name, &secret("wrong"), uid, *now).unwrap_err();
        sessions.failures().is_entered(known, &failed, *now)
    });
    entered.count()
}

#[test]
fn login_flood_is_entered_in_bounded_number() {
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
    let eva: ActorId = "eva@budapest".parse().unwrap();
    // Three wrong passwords are free; of the growing delays, five end within 50 seconds.
    let entered = flood(&sessions, "eva", Some(&eva), OTHER);
    assert!(entered <= 10 + 9, "{entered}");
    assert!(flood(&sessions, "unknown", None, OTHER) <= 10);
    sessions.login_at("root", &secret(GOOD), OTHER, after(50)).unwrap();
}

#[test]
fn lockout_by_another_os_account_keeps_no_one_out() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let good = |uid, seconds| sessions.login_at("eva", &secret(GOOD), uid, after(seconds));
    good(OWN, 0).unwrap();
    flood(&sessions, "eva", None, OTHER);
    assert!(matches!(good(OTHER, 50), Err(IamError::LockedOut { .. })));
    let eva = good(OWN, 50).unwrap().actor;
    let next = secret("another good password");
    let own = eva.authorize_own_password(&accounts, &secret(GOOD), &next, after(50));
    own.map(drop).unwrap();
    // The login of the person gives the others no more guesses.
    assert!(matches!(good(OTHER, 51), Err(IamError::LockedOut { .. })));
}

#[test]
fn lockout_counts_wrong_passwords_of_the_own_os_account() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let login = |password: &str| sessions.login_at("eva", &secret(password), OWN, after(1));
    login(GOOD).unwrap();
    for _ in 0..3 {
        assert!(matches!(login("wrong"), Err(IamError::WrongLogin)));
    }
    assert!(matches!(login(GOOD), Err(IamError::LockedOut { .. })));
    // An administrator ends this lockout, too.
    make(&accounts, accounts.enabled("eva", (&root_id(), after(1)))).unwrap();
    login(GOOD).unwrap();
}

#[test]
fn password_is_hashed_only_when_a_slot_is_free() {
    let fixture = Fixture::new();
    let (accounts, sessions) = fixture.with_eva();
    let login = || sessions.login("eva", &secret(GOOD), NOON).map(drop);
    let unknown = || sessions.login("unknown", &secret(GOOD), NOON).map(drop);
    let reset = || {
        let other = accounts.other_password("eva", &secret(GOOD), &root_id(), NOON);
        other.map(drop)
    };
    let uses: [&(dyn Fn() -> Result<(), IamError> + Sync); 3] = [&login, &unknown, &reset];
    for (n, hashes) in uses.into_iter().enumerate() {
        let slots: Vec<_> = (0..2).map(|_| accounts.hashes().begin().unwrap()).collect();
        std::thread::scope(|scope| {
            let thread = scope.spawn(hashes);
            while accounts.hashes().waiting() == 0 && !thread.is_finished() {
                std::thread::yield_now();
            }
            assert!(!thread.is_finished(), "{n}");
            drop(slots);
        });
    }
}

/// Each of them adds an entry to the ledger.
#[test]
fn logins_of_one_account_are_limited_and_others_are_not() {
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
    let login = |name: &str, password: &str, seconds| sessions.login_at(name, &secret(password), OWN, after(seconds));
    let eva = login("eva", GOOD, 0).unwrap().actor;
    for _ in 1..120 {
        login("eva", GOOD, 1).unwrap();
    }
    assert!(matches!(login("eva", GOOD, 2), Err(IamError::LoggedInTooOften { .. })));
    // A wrong password is one, so the limit reveals nothing about the password.
    assert!(matches!(login("eva", "wrong", 2), Err(IamError::WrongLogin)));
    assert!(matches!(
        sessions.count_change(&eva, after(3)),
        Err(IamError::LoggedInTooOften { .. })
    ));
    login("root", GOOD, 3).unwrap();
    login("eva", GOOD, 3_600).unwrap();
    sessions.count_change(&eva, after(3_601)).unwrap();
}

#[test]
fn sessions_of_one_account_end_none_of_another() {
    let fixture = Fixture::new();
    let (_, sessions) = fixture.with_eva();
    let root = sessions.login_at("root", &secret(GOOD), OTHER, NOON).unwrap();
    let tokens: Vec<_> = (1..=40)
        .map(|n| sessions.login_at("eva", &secret(GOOD), OWN, after(n)).unwrap().token)
        .collect();
    let is_open: Vec<bool> = tokens
        .iter()
        .map(|token| sessions.lookup_at(token, OWN, after(41)).is_ok())
        .collect();
    // The newest 32 of the same person are left, and the session of another person, which was used before all of them.
    let expected: Vec<bool> = (0..40).map(|n| n >= 8).collect();
    assert_eq!(is_open, expected);
    sessions.lookup_at(&root.token, OTHER, after(41)).unwrap();
}
