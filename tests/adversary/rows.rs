//! What single rows reveal besides their values: their order of storage, and the age of the oldest people through dates.
//!
//! The nodes are whole and the only adversary is a member: it combines two grants that it obtained by the rules.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use concordat_tests::{Import, Person, TestNode, World};

/// The number of people. Row `n` of the file is person `n`, which no grant reveals; two columns are functions of `n`.
const PEOPLE: u32 = 600;

fn world() -> World {
    let world = World::consortium(2);
    let mut rows = "record,age,birth_date,chol,ldl,sex\n".to_owned();
    for n in 0..PEOPLE {
        // Born from 1906 to 2005.
        let year = 1906 + n % 100;
        let age = 2026 - (1906 + n % 100);
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

/// Runs queries under a grant for these columns, which is relinquished at the end, so that the next grant can cover other columns.
fn under<T>(world: &World, columns: &str, query: impl FnOnce(&TestNode) -> T) -> T {
    let grant = world.grant("budapest", "cleveland", "heart", &["--columns", columns]);
    let consumer = world.node("budapest");
    let answer = query(consumer);
    consumer
        .run_as(Person::Researcher, &["grant", "relinquish", &grant, "--reason", "done"])
        .ok();
    answer
}

fn column(node: &TestNode, sql: &str) -> Vec<u32> {
    let text = node.query(sql).ok().stdout;
    text.lines()
        .skip(1)
        .map(|line| line.parse().expect("a number"))
        .collect()
}

/// How strongly an order correlates with that of the file, in standard errors of Spearman's coefficient.
fn related(positions: &[u32]) -> f64 {
    let n = positions.len() as f64;
    let squared = |(at, position): (usize, &u32)| (at as f64 - f64::from(*position)).powi(2);
    let squares: f64 = positions.iter().enumerate().map(squared).sum();
    (1.0 - 6.0 * squares / (n * (n * n - 1.0))).abs() * (n - 1.0).sqrt()
}

#[test]
fn rows_of_two_grants_are_joined_by_chance_only() {
    let world = world();
    let all = "SELECT chol FROM cleveland.heart";
    let (one, page, next, again) = under(&world, "chol", |node| {
        (
            column(node, all),
            column(node, &format!("{all} LIMIT 50")),
            column(node, &format!("{all} LIMIT 50 OFFSET 50")),
            column(node, all),
        )
    });
    let two = under(&world, "ldl", |node| column(node, "SELECT ldl FROM cleveland.heart"));
    let positions: Vec<u32> = one.iter().map(|chol| chol - 1000).collect();
    let others: Vec<u32> = two.iter().map(|ldl| ldl - 5000).collect();
    assert_eq!(
        u32::try_from(positions.iter().collect::<BTreeSet<_>>().len()).unwrap(),
        PEOPLE,
        "every row was released"
    );
    let joined = positions.iter().zip(&others).filter(|(a, b)| a == b).count();
    assert!(
        joined < 10,
        "{joined} of {PEOPLE} are joined by their number; chance alone would join one"
    );
    for order in [&positions, &others] {
        assert!(related(order) < 5.0, "{} standard errors", related(order));
    }
    // Under one grant the order is stable, so that pages fit together.
    assert_eq!(one, again);
    assert_eq!([page, next].concat(), one[..100]);
}

#[test]
fn oldest_ages_form_one_group_in_any_query() {
    let world = world();
    let grant = world.request("budapest", "cleveland", "heart", &["--columns", "age,birth_date"]);
    let provider = world.node("cleveland");
    let offer = provider.json_as(Person::Steward, &["grant", "offer", &grant]);
    let shown: Vec<&str> = offer["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(shown, ["age"], "ages and years of birth are treated as one: {offer}");
    let narrowings = offer["narrowings"].as_array().unwrap();
    assert!(
        narrowings.iter().any(|narrowing| narrowing["rule"] == "one-age"),
        "{offer}"
    );

    // As long as there is this offer, no other one shows years of birth.
    provider
        .run_as(Person::Steward, &["grant", "reject", &grant, "--reason", "a test"])
        .ok();
    let (years, oldest) = under(&world, "birth_date", |node| {
        let years = column(node, "SELECT birth_date FROM cleveland.heart");
        let oldest = years.iter().copied().min().unwrap();
        let count = |condition: &str| format!("SELECT count(*) FROM cleveland.heart WHERE birth_date {condition}");
        for divides in [
            format!("< {oldest}"),
            format!("= {oldest}"),
            format!("IN ({}, 2000)", oldest - 1),
            format!("BETWEEN {} AND 2000", oldest - 6),
            format!("< DATE '{oldest}-01-01'"),
        ] {
            let refused = node.query(&count(&divides)).exits(2);
            let reason = format!("{oldest} and before as one");
            assert!(refused.stderr.contains(&reason), "{}", refused.report());
        }
        let shown = years.iter().filter(|year| **year == oldest).count();
        for whole in [format!("<= {oldest}"), format!("< DATE '{}-01-01'", oldest + 1)] {
            assert_eq!(column(node, &count(&whole)), [u32::try_from(shown).unwrap()]);
        }
        (years, oldest)
    });
    assert!((1936..=1938).contains(&oldest), "{oldest}");
    // 1906 to the newest year that is merged with the earlier ones.
    let hidden = u32::try_from(years.iter().filter(|year| **year == oldest).count()).unwrap();
    assert_eq!(hidden, (oldest - 1906 + 1) * PEOPLE / 100);
}
