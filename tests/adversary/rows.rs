//! What single rows tell beside their values: by their order where they are stored, and by dates how old the oldest are.
//!
//! The nodes are whole and the member is the only adversary: it makes the most of two grants that it got by the rules.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use concordat_tests::{House, Import, Person, World};

/// Row `n` of the file is the person of the number `n`, which no grant shows; two columns are functions of it.
const PEOPLE: u32 = 600;

fn world() -> World {
    let world = World::consortium(2);
    let mut rows = "record,age,birth_date,chol,ldl,sex\n".to_owned();
    for n in 0..PEOPLE {
        // Born from 1906 to 2005.
        let (year, age) = (1906 + n % 100, 2026 - (1906 + n % 100));
        writeln!(rows, "P{n},{age},{year}-06-15,{},{},{}", 1000 + n, 5000 + n, n % 2).unwrap();
    }
    let file = world.file("heart.csv", rows);
    let classes = [
        "record=direct-identifier",
        "age=quasi-identifier",
        "birth_date=quasi-identifier",
        "chol=sensitive",
        "ldl=ordinary",
        "sex=ordinary",
    ];
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &file,
            args: &["--subject-column", "record"],
            classes: &classes,
        },
    );
    world
}

/// Asks under a grant of these columns, which is given back at the end: under the next one, others are asked for.
fn under<T>(world: &World, columns: &str, ask: impl FnOnce(&House) -> T) -> T {
    let grant = world.grant("budapest", "cleveland", "heart", &["--columns", columns]);
    let asker = world.house("budapest");
    let answer = ask(asker);
    asker
        .as_(Person::Researcher, &["grant", "relinquish", &grant, "--reason", "done"])
        .ok();
    answer
}

fn column(house: &House, sql: &str) -> Vec<u32> {
    let text = house.ask(sql).ok().stdout;
    text.lines()
        .skip(1)
        .map(|line| line.parse().expect("a number"))
        .collect()
}

/// How far an order has to do with the file's, in standard errors of Spearman's coefficient.
fn related(places: &[u32]) -> f64 {
    let n = places.len() as f64;
    let apart = |(at, place): (usize, &u32)| (at as f64 - f64::from(*place)).powi(2);
    let squares: f64 = places.iter().enumerate().map(apart).sum();
    (1.0 - 6.0 * squares / (n * (n * n - 1.0))).abs() * (n - 1.0).sqrt()
}

#[test]
fn rows_of_two_grants_are_joined_by_chance_only() {
    let world = world();
    let all = "SELECT chol FROM cleveland.heart";
    let (one, page, next, again) = under(&world, "chol", |house| {
        (
            column(house, all),
            column(house, &format!("{all} LIMIT 50")),
            column(house, &format!("{all} LIMIT 50 OFFSET 50")),
            column(house, all),
        )
    });
    let two = under(&world, "ldl", |house| column(house, "SELECT ldl FROM cleveland.heart"));
    let places: Vec<u32> = one.iter().map(|chol| chol - 1000).collect();
    let others: Vec<u32> = two.iter().map(|ldl| ldl - 5000).collect();
    assert_eq!(
        u32::try_from(places.iter().collect::<BTreeSet<_>>().len()).unwrap(),
        PEOPLE,
        "every row has left"
    );
    let joined = places.iter().zip(&others).filter(|(a, b)| a == b).count();
    assert!(
        joined < 10,
        "{joined} of {PEOPLE} are joined by their number; chance joins one"
    );
    for order in [&places, &others] {
        assert!(related(order) < 5.0, "{} standard errors", related(order));
    }
    // Under one grant the order is one, so that pages fit together.
    assert_eq!(one, again);
    assert_eq!([page, next].concat(), one[..100]);
}

#[test]
fn the_oldest_are_one_whatever_is_asked_of_them() {
    let world = world();
    let grant = world.request("budapest", "cleveland", "heart", &["--columns", "age,birth_date"]);
    let provider = world.house("cleveland");
    let offer = provider.json_as(Person::Steward, &["grant", "offer", &grant]);
    let shown: Vec<&str> = offer["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(shown, ["age"], "ages and years of birth are one: {offer}");
    assert!(offer["narrowings"].to_string().contains("one-age"), "{offer}");

    let (years, oldest) = under(&world, "birth_date", |house| {
        let years = column(house, "SELECT birth_date FROM cleveland.heart");
        let oldest = years.iter().copied().min().unwrap();
        let asked = format!("SELECT count(*) FROM cleveland.heart WHERE birth_date < {oldest}");
        assert_eq!(column(house, &asked), [0]);
        (years, oldest)
    });
    assert!((1936..=1938).contains(&oldest), "{oldest}");
    // 1906 to the newest year that is one with those before it.
    let hidden = u32::try_from(years.iter().filter(|year| **year == oldest).count()).unwrap();
    assert_eq!(hidden, (oldest - 1906 + 1) * PEOPLE / 100);
}
