//! Sums over whole partitions of a grouping, each of which is a grouping of its own.

use super::{Collection, refusal};
use crate::statistic::{Group, NotCountable, Statistic};

/// The statistics of a query.
fn statistics(omop: &Collection, sql: &str) -> Vec<Statistic> {
    let lowered = omop.lower(sql);
    let lowered = lowered.unwrap_or_else(|error: NotCountable| panic!("{sql}: {error}"));
    lowered.blocks.into_iter().map(|block| block.statistic).collect()
}

/// A grouping of people.
fn people(select: &str, groups: &str) -> String {
    format!("SELECT {select} FROM omop.person GROUP BY {groups}")
}

#[test]
fn total_is_the_grouping_without_groups() {
    let omop = Collection::named("omop");
    let alone = |sql: &str| statistics(&omop, sql).remove(0);
    let detail = alone("SELECT gender_concept_id, count(*) AS n FROM omop.person GROUP BY 1");
    let total = alone("SELECT count(*) AS n FROM omop.person");
    for sql in [
        people(
            "gender_concept_id, 100.0 * count(*) / sum(count(*)) OVER () AS percent",
            "1",
        ),
        people("gender_concept_id AS g, sum(count(*)) OVER () AS total", "1 ORDER BY g"),
        people(
            "sum(count(*)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS total",
            "gender_concept_id",
        ),
        format!(
            "WITH c AS ({}) SELECT g, n, 100.0 * n / sum(n) OVER () AS percent FROM c",
            people("gender_concept_id AS g, count(*) AS n", "1"),
        ),
        format!(
            "SELECT g, m / sum(m) OVER () AS part FROM (SELECT g, n AS m FROM ({}) a ORDER BY n) b",
            people("gender_concept_id AS g, count(*) AS n", "1"),
        ),
    ] {
        assert_eq!(statistics(&omop, &sql), [total.clone(), detail.clone()], "{sql}");
    }
}

#[test]
fn total_of_a_partition_has_its_groups() {
    let omop = Collection::named("omop");
    let sql = "SELECT gender_concept_id AS g, race_source_value AS r, count(*) AS n, \
               1.0 * count(*) / sum(count(*)) OVER (PARTITION BY gender_concept_id) AS of_g, \
               1.0 * count(*) / sum(count(*)) OVER () AS of_all \
               FROM omop.person GROUP BY 1, 2";
    let found = statistics(&omop, sql);
    let groups = |statistic: &Statistic| {
        statistic
            .groups()
            .iter()
            .filter(|group| matches!(group, Group::Levels { .. }))
            .count()
    };
    let mut numbers: Vec<usize> = found.iter().map(groups).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2]);
    assert_eq!(
        found.last().map(groups),
        Some(2),
        "totals are decided before what they are made of"
    );
    let by_sex = statistics(
        &omop,
        "SELECT gender_concept_id, count(*) AS n FROM omop.person GROUP BY 1",
    );
    assert!(found.contains(&by_sex[0]), "{found:?}");
}

#[test]
fn total_of_a_partition_by_parts_of_dates_is_lowered() {
    let omop = Collection::named("omop");
    let year = "EXTRACT(YEAR FROM c.condition_start_date)";
    let from = "FROM omop.condition_occurrence c JOIN omop.person p ON p.person_id = c.person_id";
    let text = format!(
        "SELECT {year} AS y, p.gender_concept_id AS g, count(*) AS n, sum(count(*)) OVER (PARTITION BY {year}) AS of_year {from} GROUP BY 1, 2"
    );
    let derived = format!(
        "SELECT y, g, 1.0 * n / sum(n) OVER (PARTITION BY y) AS part FROM (SELECT {year} AS y, p.gender_concept_id AS g, count(*) AS n {from} \
         GROUP BY 1, 2) q"
    );
    let by_year = format!("SELECT {year} AS y, count(*) AS n {from} GROUP BY 1");
    let by_year = statistics(&omop, &by_year).remove(0);
    for sql in [text, derived] {
        let found = statistics(&omop, &sql);
        assert_eq!(found.len(), 2, "{sql}");
        assert_eq!(found.first(), Some(&by_year), "{sql}");
    }
}

#[test]
fn total_of_counts_and_sums_is_lowered() {
    let omop = Collection::named("omop");
    for aggregate in [
        "count(*)",
        "count(year_of_birth)",
        "sum(year_of_birth)",
        "count(*) FILTER (WHERE year_of_birth < 1950)",
        "sum(CASE WHEN year_of_birth < 1950 THEN 1 ELSE 0 END)",
    ] {
        let sql = people(
            &format!("gender_concept_id, {aggregate} AS n, sum({aggregate}) OVER () AS total"),
            "1",
        );
        assert_eq!(statistics(&omop, &sql).len(), 2, "{sql}");
    }
}

/// What is summed would be other rows than those of the grouping, or not follow from it.
#[test]
fn total_of_other_rows_is_refused() {
    let omop = Collection::named("omop");
    let counted = people(
        "gender_concept_id AS g, race_source_value AS r, count(*) AS n, avg(year_of_birth) AS m",
        "1, 2",
    );
    for sql in [
        people("sum(count(*)) OVER () AS t", "gender_concept_id HAVING count(*) > 5"),
        people("sum(count(*)) OVER () AS t", "gender_concept_id HAVING count(*) IS NOT NULL"),
        format!("SELECT sum(n) OVER () AS t FROM ({counted}) c WHERE g = 8507"),
        format!("SELECT sum(n) OVER () AS t FROM ({counted} LIMIT 3) c"),
        format!("SELECT sum(n) OVER () AS t FROM ({counted} ORDER BY 1 LIMIT 3) c"),
        format!("SELECT sum(n) OVER () AS t FROM (SELECT DISTINCT n FROM ({counted}) c) d"),
        format!("SELECT sum(n) OVER () AS t FROM ({counted} UNION ALL {counted}) c"),
        format!("SELECT sum(n + 1) OVER () AS t FROM ({counted}) c"),
        format!("SELECT sum(m) OVER () AS t FROM ({counted}) c"),
        format!("SELECT sum(DISTINCT n) OVER () AS t FROM ({counted}) c"),
        format!("SELECT sum(n) FILTER (WHERE g = 8507) OVER () AS t FROM ({counted}) c"),
        format!("SELECT sum(n) OVER (PARTITION BY n) AS t FROM ({counted}) c"),
        format!("SELECT avg(n) OVER () AS t FROM ({counted}) c"),
        format!("SELECT count(*) OVER () AS t FROM ({counted}) c"),
        // A running sum in an order of names.
        format!("SELECT sum(n) OVER (ORDER BY g) AS t FROM ({counted}) c"),
        format!("SELECT sum(n) OVER (ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS t FROM ({counted}) c"),
        format!("SELECT sum(n) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS t FROM ({counted}) c"),
        people("sum(count(DISTINCT person_id)) OVER () AS t", "gender_concept_id"),
        people("sum(count(*)) OVER () AS t", "ROLLUP (gender_concept_id)"),
        // Two cells can have one label of the text.
        "SELECT sum(n) OVER (PARTITION BY b) AS t FROM (SELECT CASE WHEN year_of_birth < 1950 THEN 'old' ELSE 'young' END AS b, \
         gender_concept_id AS g, count(*) AS n FROM omop.person GROUP BY 1, 2) c"
            .to_owned(),
        "SELECT sum(count(*)) OVER (PARTITION BY b) AS t FROM (SELECT coalesce(race_source_value, 'x') AS b, gender_concept_id AS g \
         FROM omop.person) p GROUP BY b, g"
            .to_owned(),
    ] {
        let found = refusal(&omop, &sql);
        assert!(found.starts_with("an aggregate with `OVER`"), "{sql}: {found}");
    }
}

/// A percentage is missing where one of the two figures is, so an order of percentages is one of figures.
#[test]
fn total_is_a_figure_of_the_order() {
    let omop = Collection::named("omop");
    let percent = people(
        "gender_concept_id AS g, 100.0 * count(*) / sum(count(*)) OVER () AS p",
        "1",
    );
    let lowered = omop
        .lower(&format!("{percent} ORDER BY p DESC NULLS LAST LIMIT 3"))
        .unwrap();
    assert_eq!(lowered.orders.len(), 1, "{:?}", lowered.orders);
    let shown = format!("SELECT * FROM ({percent}) q WHERE p IS NOT NULL ORDER BY p DESC LIMIT 3");
    assert!(omop.lower(&shown).unwrap().orders.is_empty());
}
