//! Unlocking takes two independent stewards, of whom none is locked.

use super::*;

/// The stewards of `budapest`, whose accounts are older than everything that the tests do.
struct Stewards {
    accounts: Accounts,
    sessions: Sessions,
}

impl Stewards {
    fn new(node: &Opened) -> Self {
        let institution = "budapest".parse().unwrap();
        let accounts = Accounts::open(&node.meta, institution, Argon2Cost::dangerous_minimum()).unwrap();
        let roles = [
            ("root", Role::Administrator),
            ("stella", Role::Steward),
            ("stefan", Role::Steward),
            ("rufus", Role::Researcher),
        ];
        for (name, role) in roles {
            accounts
                .add(name, [role].into(), &password(), after(-7 * DAY_S))
                .unwrap();
        }
        Self {
            sessions: Sessions::new(accounts.clone()),
            accounts,
        }
    }

    fn login(&self, name: &str, now: Timestamp) -> Actor {
        self.sessions.login(name, &password(), now).unwrap().actor
    }

    /// `name` unlocks one person, or all people of `zurich`; returns the people and whether they are unlocked.
    fn unlock(
        &self,
        node: &Opened,
        name: &str,
        person: Option<&str>,
        now: Timestamp,
    ) -> Result<(bool, Vec<String>), UnlockError> {
        let order = UnlockOrder {
            collection: "heart".parse().unwrap(),
            institution: "zurich".parse().unwrap(),
            person: person.map(id),
        };
        self.order(node, name, &order, now)
    }

    fn order(
        &self,
        node: &Opened,
        name: &str,
        order: &UnlockOrder,
        now: Timestamp,
    ) -> Result<(bool, Vec<String>), UnlockError> {
        let names = |people: BTreeSet<ActorId>| people.iter().map(ToString::to_string).collect();
        let by = self.login(name, now);
        let done = node.limits.unlock(order, &by, &self.accounts, now)?;
        Ok(match done {
            Unlocking::Unlocked(people) => (true, names(people)),
            Unlocking::Proposed(people) => (false, names(people)),
        })
    }
}

fn password() -> Secret {
    Secret::from(PASSWORD.to_owned())
}

const MOST: Most = Most::of(1, 100, 100);

/// Locks a person by reaching a limit three times, the last time at noon.
fn lock(node: &Opened, person: &str) {
    for (day, expected) in [(-4, PERSON), (-2, PERSON), (0, LOCKED)] {
        assert_eq!(node.exhaust(person, MOST, after(day * DAY_S)), [expected], "{person}");
    }
}

fn of(people: &[&str]) -> Vec<String> {
    people.iter().map(|person| (*person).to_owned()).collect()
}

#[test]
fn unlock_needs_two_people() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let stewards = Stewards::new(&node);
    lock(&node, "eva@zurich");
    let eva = of(&["eva@zurich"]);
    for minute in [1, 2] {
        let proposed = stewards.unlock(&node, "stella", None, after(minute * 60)).unwrap();
        assert_eq!(proposed, (false, eva.clone()));
    }
    assert_eq!(node.send("eva@zurich", MOST, after(180)), [LOCKED]);
    let locked = node.limits.locked_people(&"heart".parse().unwrap()).unwrap();
    assert_eq!(locked[0].proposed_by, Some(id("stella@budapest")));
    let unlocked = stewards.unlock(&node, "stefan", None, after(240)).unwrap();
    assert_eq!(unlocked, (true, eva));
    assert!(node.locked().is_empty());
    let entries = node.entries();
    let [
        EntryBody::ReleaseLocked { .. },
        EntryBody::ReleaseUnlockProposed { .. },
        EntryBody::ReleaseUnlockProposed { .. },
        EntryBody::ReleaseUnlocked { .. },
    ] = entries.as_slice()
    else {
        panic!("{entries:?}");
    };
    // The queries of the day stay counted, and the times that led to the lock do not.
    assert_eq!(node.send("eva@zurich", MOST, after(300)), [PERSON]);
    assert_eq!(node.exhaust("eva@zurich", MOST, after(3 * DAY_S)), [PERSON]);
    assert_eq!(node.exhaust("eva@zurich", MOST, after(5 * DAY_S)), [LOCKED]);
    // The proposal was for the lock that has ended.
    let again = stewards.unlock(&node, "stefan", None, after(5 * DAY_S)).unwrap();
    assert!(!again.0);
}

#[test]
fn unlock_by_two_accounts_of_one_person_is_refused() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let stewards = Stewards::new(&node);
    lock(&node, "eva@zurich");
    let roles = [Role::Steward, Role::Auditor].into();
    let given = (&id("stella@budapest"), NOON);
    let change = stewards.accounts.other_roles("stefan", roles, given).unwrap();
    stewards.accounts.make(change).unwrap();
    stewards.unlock(&node, "stella", None, after(60)).unwrap();
    let refused = stewards.unlock(&node, "stefan", None, after(120)).unwrap_err();
    let is_dependent = matches!(refused, UnlockError::NotPermitted(IamError::NotIndependent { .. }));
    assert!(is_dependent, "{refused}");
    assert_eq!(node.locked(), ["eva@zurich"]);
}

#[test]
fn unlock_is_for_stewards_who_are_not_locked() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let stewards = Stewards::new(&node);
    for person in ["eva@zurich", "stella@budapest"] {
        lock(&node, person);
    }
    for name in ["root", "rufus"] {
        let refused = stewards.unlock(&node, name, None, after(60)).unwrap_err();
        assert!(
            matches!(refused, UnlockError::NotPermitted(IamError::NotPermitted { .. })),
            "{refused}"
        );
    }
    let own = UnlockOrder {
        collection: "heart".parse().unwrap(),
        institution: "budapest".parse().unwrap(),
        person: None,
    };
    let refused = stewards.order(&node, "stella", &own, after(60)).unwrap_err();
    assert!(matches!(refused, UnlockError::Oneself { .. }), "{refused}");
    // Neither as the first person nor as the second one.
    assert!(!stewards.order(&node, "stefan", &own, after(60)).unwrap().0);
    let refused = stewards.order(&node, "stella", &own, after(120)).unwrap_err();
    assert!(matches!(refused, UnlockError::Oneself { .. }), "{refused}");
    let refused = stewards
        .unlock(&node, "stefan", Some("pal@zurich"), after(180))
        .unwrap_err();
    assert!(matches!(refused, UnlockError::NotLocked { .. }), "{refused}");
    let refused = stewards
        .unlock(&node, "stefan", Some("eva@vienna"), after(180))
        .unwrap_err();
    assert!(matches!(refused, UnlockError::OtherInstitution { .. }), "{refused}");
}

#[test]
fn unlock_proposal_is_for_the_locks_of_its_time() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let stewards = Stewards::new(&node);
    lock(&node, "eva@zurich");
    stewards.unlock(&node, "stella", None, after(60)).unwrap();
    lock(&node, "pal@zurich");
    // The second steward would unlock someone whom the first one has not seen.
    let both = of(&["eva@zurich", "pal@zurich"]);
    let proposed = stewards.unlock(&node, "stefan", None, after(120)).unwrap();
    assert_eq!(proposed, (false, both));
    let one = |name, at| stewards.unlock(&node, name, Some("pal@zurich"), after(at)).unwrap();
    assert_eq!(one("stefan", 180), (false, of(&["pal@zurich"])));
    assert_eq!(one("stella", 240), (true, of(&["pal@zurich"])));
    assert_eq!(node.locked(), ["eva@zurich"]);
}

#[test]
fn unlock_proposal_of_a_former_steward_is_none() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let stewards = Stewards::new(&node);
    lock(&node, "eva@zurich");
    stewards.unlock(&node, "stella", None, after(60)).unwrap();
    let disabled = stewards.accounts.disabled("stella").unwrap();
    stewards.accounts.make(disabled).unwrap();
    assert!(!stewards.unlock(&node, "stefan", None, after(120)).unwrap().0);
    assert_eq!(node.locked(), ["eva@zurich"]);
}

#[test]
fn unlock_proposal_survives_a_restart() {
    let fixture = Fixture::new();
    let node = fixture.open();
    lock(&node, "eva@zurich");
    let stewards = Stewards::new(&node);
    stewards.unlock(&node, "stella", None, after(60)).unwrap();
    drop((stewards, node));
    let node = fixture.open();
    let institution = "budapest".parse().unwrap();
    let accounts = Accounts::open(&node.meta, institution, Argon2Cost::dangerous_minimum()).unwrap();
    let stewards = Stewards {
        sessions: Sessions::new(accounts.clone()),
        accounts,
    };
    assert!(stewards.unlock(&node, "stefan", None, after(120)).unwrap().0);
}
