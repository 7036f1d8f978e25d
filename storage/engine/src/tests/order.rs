//! The order of rows does not reveal where they are stored. In these tests the stored position is a secret: row `n` is
//! the patient with number `n`, who has the cholesterol `200 + n` and the `PERSON_ID` `1000 + n`, and neither grant
//! shows both.

use super::*;
use std::collections::BTreeMap;

const PEOPLE: i64 = 3000;
/// Rows of a row group in [`large`].
const GROUP: i64 = 1000;
/// More standard errors than chance would produce, for these keys or any others.
const ERRORS: f64 = 4.5;

/// One bag.
async fn small() -> Fixture {
    Fixture::of(&[patients(0..1000), patients(1000..PEOPLE)]).await
}

/// Several bags of several row groups of several objects.
async fn large() -> Fixture {
    let objects = [patients(0..9000), patients(9000..9010), patients(9010..20_000)];
    Fixture::of_groups(&objects, Some(1000)).await
}

/// The stored position of a row, from 0, computed from its `PERSON_ID`.
fn by_person(row: &[String]) -> i64 {
    row[0].parse::<i64>().unwrap() - 1000
}

async fn under(fixture: &Fixture, by: u8, scope: Scope, sql: &str) -> Vec<Vec<String>> {
    let permit = fixture.permit(grant(by), scope);
    let answer = answer(permit, fixture, sql, Arc::new(|| Ok(())), Bounds::default()).await;
    texts(answer.unwrap()).await.unwrap()
}

fn persons() -> Scope {
    clear(Tier::Records, &["PERSON_ID", "sex"])
}

async fn positions(fixture: &Fixture, by: u8, sql: &str) -> Vec<i64> {
    let rows = under(fixture, by, persons(), sql).await;
    rows.iter().map(|row| by_person(row)).collect()
}

/// How strongly the output order correlates with the stored order, in standard errors (Spearman's coefficient without
/// ties).
fn related(positions: &[i64]) -> f64 {
    let mut sorted: Vec<i64> = positions.to_vec();
    sorted.sort_unstable();
    let rank: BTreeMap<i64, f64> = sorted.iter().copied().zip((0..).map(f64::from)).collect();
    let n = f64::from(u32::try_from(positions.len()).unwrap());
    let squares: f64 = positions
        .iter()
        .zip((0..).map(f64::from))
        .map(|(position, at)| (rank[position] - at).powi(2))
        .sum();
    let coefficient = 1.0 - 6.0 * squares / (n * (n * n - 1.0));
    coefficient.abs() * (n - 1.0).sqrt()
}

/// The same within each row group of [`large`], for the most correlated of them: only which rows share a bag may be
/// revealed.
fn related_in_groups(positions: &[i64]) -> f64 {
    let mut groups: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for position in positions {
        groups.entry(position / GROUP).or_default().push(*position);
    }
    let large = groups.values().filter(|group| group.len() > 30);
    large.map(|group| related(group)).fold(0.0, f64::max)
}

/// Query shapes that could restore the stored order.
const SHAPES: [&str; 15] = [
    "SELECT PERSON_ID FROM heart",
    "SELECT PERSON_ID, sex FROM heart WHERE sex = 1",
    "SELECT PERSON_ID FROM heart WHERE PERSON_ID >= 1100 AND PERSON_ID < 2900",
    "SELECT PERSON_ID FROM heart WHERE PERSON_ID * 2 > 2500",
    "SELECT PERSON_ID FROM heart LIMIT 700",
    "SELECT PERSON_ID FROM heart LIMIT 700 OFFSET 900",
    "SELECT PERSON_ID FROM heart WHERE sex = 0 LIMIT 500",
    "SELECT PERSON_ID FROM heart ORDER BY 1 + 1",
    "SELECT PERSON_ID FROM heart ORDER BY sex - sex LIMIT 600",
    "SELECT DISTINCT PERSON_ID FROM heart",
    "SELECT PERSON_ID, count(*) FROM heart GROUP BY PERSON_ID",
    "SELECT DISTINCT PERSON_ID FROM heart LIMIT 500 OFFSET 100",
    "SELECT PERSON_ID, max(sex) AS m FROM heart GROUP BY PERSON_ID HAVING max(sex) >= 0 ORDER BY m - m LIMIT 800",
    "SELECT PERSON_ID FROM heart GROUP BY PERSON_ID LIMIT 450",
    "SELECT PERSON_ID + 0 AS PERSON_ID FROM heart WHERE sex IS NOT NULL",
];

#[tokio::test]
async fn no_query_shape_restores_the_stored_order() {
    for fixture in [small().await, large().await] {
        for sql in SHAPES {
            let seen = positions(&fixture, 1, sql).await;
            assert!(seen.len() >= 400, "{sql}: {}", seen.len());
            assert!(
                related_in_groups(&seen) < ERRORS,
                "{sql}: {} errors",
                related_in_groups(&seen)
            );
        }
    }
    let fixture = small().await;
    for sql in SHAPES {
        let seen = positions(&fixture, 1, sql).await;
        assert!(related(&seen) < ERRORS, "{sql}: {} errors", related(&seen));
    }
}

#[tokio::test]
async fn rows_of_several_row_groups_are_shuffled() {
    let fixture = large().await;
    let seen = positions(&fixture, 1, "SELECT PERSON_ID FROM heart").await;
    let same = seen.windows(2).filter(|two| two[0] / GROUP == two[1] / GROUP).count();
    // Four groups share a bag, so a quarter of all rows follow a row of the same group.
    assert!(same < seen.len() * 35 / 100, "{same} of {}", seen.len());
}

#[tokio::test]
async fn ties_of_an_order_by_are_not_in_the_stored_order() {
    let fixture = small().await;
    for sql in [
        "SELECT PERSON_ID, sex FROM heart ORDER BY sex",
        "SELECT PERSON_ID, sex FROM heart ORDER BY sex DESC LIMIT 1400",
        "SELECT PERSON_ID, sex FROM heart ORDER BY sex LIMIT 1400",
    ] {
        let rows = under(&fixture, 1, persons(), sql).await;
        for sex in ["0", "1"] {
            let seen: Vec<i64> = rows
                .iter()
                .filter(|row| row[1] == sex)
                .map(|row| by_person(row))
                .collect();
            assert!(
                seen.len() < 2 || related(&seen) < ERRORS,
                "{sql}: {} errors",
                related(&seen)
            );
        }
    }
}

#[tokio::test]
async fn rows_of_two_grants_are_not_joined_by_their_number() {
    for fixture in [small().await, large().await] {
        let chol = || clear(Tier::Records, &["chol"]);
        let one = positions(&fixture, 1, "SELECT PERSON_ID FROM heart").await;
        let two = under(&fixture, 2, chol(), "SELECT chol FROM heart").await;
        let matches_row = |position: &i64, row: &Vec<String>| {
            row[0].parse::<f64>().is_ok_and(|chol| chol == 200.0 + *position as f64)
        };
        let joined = one
            .iter()
            .zip(&two)
            .filter(|(position, row)| matches_row(position, row))
            .count();
        // Chance joins about one row in total; ten are practically impossible.
        assert!(one.len() == two.len() && joined < 10, "{joined} of {}", one.len());
        // Under one grant the two columns may be joined, and their orders agree.
        let same = under(&fixture, 1, chol(), "SELECT chol FROM heart").await;
        let joined = one
            .iter()
            .zip(&same)
            .filter(|(position, row)| matches_row(position, row))
            .count();
        assert_eq!(
            joined,
            one.len() - one.iter().filter(|position| *position % 10 == 0).count()
        );
    }
}

#[tokio::test]
async fn one_grant_has_one_order_for_all_queries() {
    for fixture in [small().await, large().await] {
        let all = positions(&fixture, 1, "SELECT PERSON_ID FROM heart").await;
        assert_eq!(all, positions(&fixture, 1, "SELECT PERSON_ID FROM heart").await);
        assert_ne!(all, positions(&fixture, 2, "SELECT PERSON_ID FROM heart").await);
        for (sql, keep) in [
            (
                "SELECT PERSON_ID, sex FROM heart WHERE sex = 1",
                (|n| n % 2 == 0) as fn(&i64) -> bool,
            ),
            ("SELECT PERSON_ID FROM heart WHERE PERSON_ID < 1900", |n| *n < 900),
            ("SELECT PERSON_ID FROM heart WHERE PERSON_ID = 1900", |n| *n == 900),
        ] {
            let remaining: Vec<i64> = all.iter().copied().filter(keep).collect();
            assert_eq!(remaining, positions(&fixture, 1, sql).await, "{sql}");
        }
    }
}

#[tokio::test]
async fn pages_together_are_the_whole_answer() {
    let fixture = large().await;
    for condition in ["", "WHERE sex = 1 "] {
        let all = positions(&fixture, 1, &format!("SELECT PERSON_ID FROM heart {condition}")).await;
        let mut pages = Vec::new();
        for page in 0.. {
            let sql = format!(
                "SELECT PERSON_ID FROM heart {condition}LIMIT 1700 OFFSET {}",
                page * 1700
            );
            let rows = positions(&fixture, 1, &sql).await;
            if rows.is_empty() {
                break;
            }
            pages.extend(rows);
        }
        assert_eq!(pages, all);
    }
}

#[tokio::test]
async fn groups_have_one_order_and_consistent_pages() {
    let fixture = large().await;
    let all = positions(&fixture, 1, "SELECT DISTINCT PERSON_ID FROM heart").await;
    assert_eq!(
        all,
        positions(&fixture, 1, "SELECT PERSON_ID, count(*) FROM heart GROUP BY PERSON_ID").await
    );
    assert_ne!(
        all,
        positions(&fixture, 2, "SELECT DISTINCT PERSON_ID FROM heart").await
    );
    let mut pages = positions(&fixture, 1, "SELECT DISTINCT PERSON_ID FROM heart LIMIT 9000").await;
    pages.extend(
        positions(
            &fixture,
            1,
            "SELECT DISTINCT PERSON_ID FROM heart LIMIT 30000 OFFSET 9000",
        )
        .await,
    );
    assert_eq!(pages, all);
}

#[tokio::test]
async fn batches_do_not_show_where_row_groups_end() {
    let fixture = large().await;
    let mut answer = fixture.query(persons(), "SELECT PERSON_ID FROM heart").await.unwrap();
    let mut sizes = Vec::new();
    while let Some(batch) = answer.next_batch().await.unwrap() {
        sizes.push(batch.records().num_rows());
    }
    assert_eq!(sizes, [20_000], "rows that fit in one batch are released in one batch");
}

#[tokio::test]
async fn rows_of_several_bags_are_transformed_each_by_its_values() {
    let fixture = large().await;
    let columns = [
        ("name", Transform::Pseudonym),
        ("age", BANDS),
        ("PERSON_ID", Transform::Clear),
    ];
    let key = fixture.pseudonym_key(Some(&[1; 16]));
    for (limit, count) in [("", 20_000), (" LIMIT 700 OFFSET 9000", 700)] {
        let sql = format!("SELECT PERSON_ID, name, age FROM heart{limit}");
        let rows = under(&fixture, 1, scope(Tier::Records, &columns), &sql).await;
        assert_eq!(rows.len(), count);
        for row in rows {
            let number = by_person(&row);
            let mut hasher = key.column_hasher("name");
            let hash = hasher.update(format!("Sentinel-{number}").as_bytes()).finalize();
            assert_eq!(row[1], hash.to_hex().chars().take(32).collect::<String>());
            let least = (20 + number % 100) / 10 * 10;
            let band = if least < 90 {
                format!("{least}-{}", least + 9)
            } else {
                "90+".to_owned()
            };
            assert_eq!(row[2], band);
        }
    }
}

#[tokio::test]
async fn row_filter_of_the_permit_keeps_the_order() {
    let fixture = large().await;
    let scope = || {
        with_rows(
            persons(),
            "sex",
            Values::Set([concordat_protocol::scope::Value::Int(1)].into()),
        )
    };
    let rows = under(&fixture, 1, scope(), "SELECT PERSON_ID FROM heart").await;
    let seen: Vec<i64> = rows.iter().map(|row| by_person(row)).collect();
    let all = positions(&fixture, 1, "SELECT PERSON_ID FROM heart").await;
    assert_eq!(seen, all.into_iter().filter(|n| n % 2 == 0).collect::<Vec<_>>());
    assert!(related_in_groups(&seen) < ERRORS);
}
