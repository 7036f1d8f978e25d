//! Two texts with one meaning have one digest, and two meanings have two.

use concordat_protocol::scope::Transform;

use super::{Collection, Statistic, only};
use crate::statistic::{CellAggregate, CellColumn, Condition, Day, Group, Measured, Quantity, Row, Step};

fn digests(collection: &Collection, texts: &[&str]) -> Vec<concordat_protocol::ids::Digest32> {
    texts
        .iter()
        .map(|sql| only(collection, sql).digest(&collection.known))
        .collect()
}

pub(super) const SAME: [&[&str]; 13] = [
    &[
        "SELECT count(*) FROM omop.person WHERE year_of_birth >= 1950 AND gender_concept_id = 8507",
        "SELECT count(*) AS n FROM omop.person p WHERE p.gender_concept_id IN (8507) AND NOT (p.year_of_birth < 1950)",
        "SELECT count(*) + 1 FROM (SELECT year_of_birth AS y, gender_concept_id AS g FROM omop.person) t WHERE y > 1949 AND g = 8507",
        "WITH t AS (SELECT * FROM omop.person WHERE gender_concept_id = 8507) SELECT count(*) FROM t WHERE 2000 - year_of_birth <= 50",
        "SELECT count(DISTINCT person_id) FROM omop.person WHERE gender_concept_id = 8507 AND year_of_birth >= 1950",
    ],
    &[
        "SELECT gender_concept_id, year_of_birth, count(*), avg(year_of_birth) FROM omop.person GROUP BY 1, 2",
        "SELECT avg(p.year_of_birth), count(*) FROM omop.person p GROUP BY year_of_birth, gender_concept_id",
    ],
    &[
        "SELECT count(*) FROM omop.person p WHERE EXISTS (SELECT 1 FROM omop.drug_exposure d WHERE d.person_id = p.person_id AND d.drug_concept_id = 5)",
        "SELECT count(*) FROM omop.person WHERE person_id IN (SELECT person_id FROM omop.drug_exposure WHERE drug_concept_id = 5)",
        "SELECT count(*) FROM omop.person p JOIN (SELECT DISTINCT person_id FROM omop.drug_exposure WHERE drug_concept_id = 5) d ON d.person_id = p.person_id",
        "SELECT count(*) FROM omop.person p JOIN (SELECT person_id, min(drug_exposure_start_date) AS d FROM omop.drug_exposure WHERE drug_concept_id = 5 GROUP BY person_id) d ON d.person_id = p.person_id",
    ],
    &[
        "SELECT count(*) FROM omop.person p WHERE NOT EXISTS (SELECT 1 FROM omop.drug_exposure d WHERE d.person_id = p.person_id)",
        "SELECT count(*) FROM omop.person WHERE person_id NOT IN (SELECT person_id FROM omop.drug_exposure)",
        "SELECT count(*) FROM omop.person p LEFT JOIN (SELECT DISTINCT person_id FROM omop.drug_exposure) d ON d.person_id = p.person_id WHERE d.person_id IS NULL",
        "SELECT count(*) FROM omop.person p LEFT JOIN omop.drug_exposure d ON d.person_id = p.person_id WHERE d.person_id IS NULL",
        "SELECT count(DISTINCT p.person_id) FROM omop.person p LEFT JOIN omop.drug_exposure d ON p.person_id = d.person_id WHERE d.person_id IS NULL",
    ],
    &[
        "SELECT count(*) FROM omop.condition_occurrence c WHERE NOT EXISTS (SELECT 1 FROM omop.visit_occurrence v WHERE v.person_id = c.person_id AND v.visit_concept_id = 9201)",
        "SELECT count(*) FROM omop.condition_occurrence c LEFT JOIN omop.visit_occurrence v ON v.person_id = c.person_id AND v.visit_concept_id = 9201 WHERE v.visit_occurrence_id IS NULL",
        "SELECT count(*) FROM (SELECT v.visit_occurrence_id AS k FROM omop.condition_occurrence c LEFT JOIN omop.visit_occurrence v ON v.person_id = c.person_id AND v.visit_concept_id = 9201) t WHERE t.k IS NULL",
    ],
    &[
        "SELECT count(DISTINCT p.person_id) FROM omop.person p WHERE EXISTS (SELECT 1 FROM omop.visit_occurrence v WHERE v.person_id = p.person_id)",
        "SELECT count(DISTINCT p.person_id) FROM omop.person p LEFT JOIN omop.visit_occurrence v ON v.person_id = p.person_id WHERE v.visit_occurrence_id IS NOT NULL",
        "SELECT count(DISTINCT p.person_id) FROM omop.person p LEFT JOIN omop.visit_occurrence v ON v.person_id = p.person_id WHERE NOT (v.person_id IS NULL)",
    ],
    &[
        "SELECT count(*) FROM omop.person WHERE gender_concept_id = 8507 OR gender_concept_id IS NULL",
        "SELECT count(*) FROM omop.person WHERE NOT (gender_concept_id IS DISTINCT FROM 8507) OR gender_concept_id IS NULL",
        "SELECT count(*) FROM omop.person WHERE 8507 IS NOT DISTINCT FROM gender_concept_id OR gender_concept_id IS NULL",
    ],
    &[
        "SELECT EXTRACT(YEAR FROM condition_start_date) AS y, count(*) FROM omop.condition_occurrence GROUP BY 1",
        "SELECT date_part('year', c.condition_start_date), count(*) FROM omop.condition_occurrence c GROUP BY 1",
    ],
    &[
        "SELECT count(*) FROM omop.condition_occurrence WHERE EXTRACT(YEAR FROM condition_start_date) = 2000",
        "SELECT count(*) FROM omop.condition_occurrence WHERE condition_start_date >= DATE '2000-01-01' AND condition_start_date < DATE '2001-01-01'",
        "SELECT count(*) FROM omop.condition_occurrence WHERE condition_start_date BETWEEN DATE '2000-01-01' AND DATE '2000-12-31'",
    ],
    &[
        "SELECT sum(CASE WHEN gender_concept_id = 8507 THEN 1 ELSE 0 END) FROM omop.person",
        "SELECT count(*) FILTER (WHERE gender_concept_id = 8507) FROM omop.person",
        "SELECT count(CASE WHEN gender_concept_id = 8507 THEN 'x' END) FROM omop.person",
        "SELECT count(DISTINCT CASE WHEN gender_concept_id = 8507 THEN person_id END) FROM omop.person",
    ],
    &[
        "SELECT avg(CASE WHEN gender_concept_id = 8507 THEN year_of_birth END) FROM omop.person",
        "SELECT avg(year_of_birth) FILTER (WHERE gender_concept_id = 8507) FROM omop.person",
    ],
    &[
        "SELECT CASE WHEN year_of_birth < 1950 THEN 'old' WHEN year_of_birth < 1970 THEN 'middle' ELSE 'young' END, count(*) FROM omop.person GROUP BY 1",
        "SELECT CASE WHEN year_of_birth BETWEEN 1950 AND 1969 THEN 'middle' WHEN year_of_birth <= 1949 THEN 'old' ELSE 'young' END, count(*) FROM omop.person GROUP BY 1",
    ],
    &[
        "SELECT count(DISTINCT c.person_id) FROM omop.condition_occurrence c JOIN omop.person p ON p.person_id = c.person_id WHERE p.gender_concept_id = 8507",
        "SELECT count(DISTINCT p.person_id) FROM omop.person p JOIN omop.condition_occurrence c ON p.person_id = c.person_id AND p.gender_concept_id = 8507",
        "SELECT count(DISTINCT p.person_id) FROM omop.person p, omop.condition_occurrence c WHERE c.person_id = p.person_id AND p.gender_concept_id = 8507",
    ],
];

#[test]
fn statistic_digest_of_one_meaning_is_one() {
    let omop = Collection::named("omop");
    for texts in SAME {
        let found = digests(&omop, texts);
        for (digest, sql) in found.iter().zip(texts) {
            assert_eq!(
                Some(digest),
                found.first(),
                "{sql}: {:?} {:?}",
                only(&omop, sql),
                only(&omop, texts[0])
            );
        }
    }
}

#[test]
fn statistic_digest_of_other_meanings_is_another() {
    let omop = Collection::named("omop");
    let texts = [
        "SELECT count(*) FROM omop.person",
        "SELECT count(year_of_birth) FROM omop.person",
        "SELECT count(*) FROM omop.person WHERE year_of_birth IS NOT NULL AND gender_concept_id = 8507",
        "SELECT count(*) FROM omop.person WHERE year_of_birth >= 1950",
        "SELECT count(*) FROM omop.person WHERE year_of_birth < 1950",
        "SELECT count(*) FROM omop.person WHERE year_of_birth >= 1950 OR year_of_birth IS NULL",
        "SELECT count(*) FROM omop.person WHERE NOT (gender_concept_id = 8507)",
        "SELECT count(*) FROM omop.person WHERE (gender_concept_id = 8507) IS NOT TRUE",
        "SELECT count(*) FROM omop.drug_exposure",
        "SELECT count(DISTINCT person_id) FROM omop.drug_exposure",
        "SELECT count(*) FROM omop.person p WHERE EXISTS (SELECT 1 FROM omop.drug_exposure d WHERE d.person_id = p.person_id)",
        "SELECT count(*) FROM omop.person p WHERE EXISTS (SELECT 1 FROM omop.condition_occurrence d WHERE d.person_id = p.person_id)",
        "SELECT count(*) FROM omop.condition_occurrence c WHERE EXISTS (SELECT 1 FROM omop.drug_exposure d WHERE d.person_id = c.person_id AND d.drug_exposure_start_date <= c.condition_start_date)",
        "SELECT count(*) FROM omop.condition_occurrence c WHERE EXISTS (SELECT 1 FROM omop.drug_exposure d WHERE d.person_id = c.person_id AND d.drug_exposure_start_date < c.condition_start_date)",
        "SELECT count(*) FROM omop.condition_occurrence c WHERE EXISTS (SELECT 1 FROM omop.drug_exposure d WHERE d.person_id = c.person_id AND d.drug_exposure_start_date >= c.condition_start_date)",
        "SELECT gender_concept_id, count(*) FROM omop.person GROUP BY 1",
        "SELECT gender_concept_id, avg(year_of_birth) FROM omop.person GROUP BY 1",
        "SELECT CASE WHEN gender_concept_id = 8507 THEN 'a' ELSE 'b' END, count(*) FROM omop.person GROUP BY 1",
        "SELECT CASE WHEN gender_concept_id = 8507 THEN 'a' END, count(*) FROM omop.person GROUP BY 1",
    ];
    let found = digests(&omop, &texts);
    for (at, digest) in found.iter().enumerate() {
        assert_eq!(
            found.iter().position(|other| other == digest),
            Some(at),
            "{}",
            texts[at]
        );
    }
}

#[test]
fn statistic_inner_scope_hides_the_outer_alias() {
    let omop = Collection::named("omop");
    // `c` of the innermost query is its own, although the outermost one has an alias `c` too.
    let nested = |outer: &str| {
        format!(
            "SELECT count(*) FROM omop.condition_occurrence {outer} WHERE EXISTS (SELECT 1 FROM omop.drug_exposure c WHERE c.person_id = {outer}.person_id \
             AND EXISTS (SELECT 1 FROM omop.visit_occurrence v WHERE v.person_id = c.person_id AND v.visit_start_date < c.drug_exposure_start_date))"
        )
    };
    let a = only(&omop, &nested("x"));
    assert_eq!(a.digest(&omop.known), only(&omop, &nested("y")).digest(&omop.known));
}

/// The outermost events of a condition.
#[expect(clippy::wildcard_enum_match_arm, reason = "other conditions are not in these texts")]
fn first_events(condition: &Condition) -> &crate::statistic::EventSet {
    match condition {
        Condition::Events { of, exist: true } => of,
        Condition::And(parts) => parts.iter().map(first_events).next().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn statistic_relates_events_to_the_outer_row() {
    let omop = Collection::named("omop");
    let sql = "SELECT count(*) FROM omop.condition_occurrence c WHERE EXISTS (SELECT 1 FROM omop.drug_exposure d \
               WHERE d.person_id = c.person_id AND c.condition_start_date - d.drug_exposure_start_date BETWEEN 0 AND 30)";
    let statistic: Statistic = only(&omop, sql);
    let of = first_events(statistic.rows());
    let Condition::Test(Quantity::Days { from, to }, test) = &of.rows else {
        panic!("{of:?}")
    };
    let (Day::Column(from), Day::Column(to)) = (from, to) else {
        panic!("{of:?}")
    };
    assert_eq!((from.row(), to.row()), (Row::This, Row::Outer));
    let levels = omop.known.levels(&Quantity::Days {
        from: Day::Column(from.clone()),
        to: Day::Column(to.clone()),
    });
    for (days, expected) in [(-1, false), (0, true), (30, true), (31, false)] {
        let atom = levels.atom_of(concordat_protocol::collection::Datum::Int(days));
        assert_eq!(test.passing().contains(&atom), expected, "{days}");
    }
}

#[test]
fn statistic_inner_join_keeps_rows_with_a_partner() {
    let omop = Collection::named("omop");
    let sql = |join: &str| {
        format!(
            "SELECT count(*) FROM omop.condition_occurrence c {join} JOIN omop.visit_occurrence v ON v.visit_occurrence_id = c.visit_occurrence_id"
        )
    };
    assert_eq!(only(&omop, &sql("LEFT")).rows(), &Condition::All);
    let inner = only(&omop, &sql(""));
    let Condition::Test(Quantity::Column(path), test) = inner.rows() else {
        panic!("{inner:?}")
    };
    assert!(matches!(path.via(), [Step::Link(link)] if link.to.as_str() == "visit_occurrence"));
    assert!(!test.passing().has_null());
    assert_eq!(path.column().as_str(), "visit_occurrence_id");
}

#[test]
fn statistic_left_joined_events_are_a_filter() {
    let omop = Collection::named("omop");
    let sql = "SELECT count(*) AS n, count(b.person_id) AS cases FROM omop.person p \
               LEFT JOIN (SELECT DISTINCT person_id FROM omop.drug_exposure) b ON b.person_id = p.person_id";
    let lowered = omop.lower(sql).unwrap();
    let statistic = &lowered.blocks[0].statistic;
    assert_eq!(
        statistic.measured(),
        &Measured::Rows(concordat_protocol::ids::DatasetName::new("person").unwrap())
    );
    assert_eq!(statistic.rows(), &Condition::All);
    let filters: Vec<&Condition> = statistic.cells().iter().map(CellAggregate::filter).collect();
    assert!(filters.contains(&&Condition::All));
    assert!(
        filters
            .iter()
            .any(|filter| matches!(filter, Condition::Events { exist: true, .. })),
        "{filters:?}"
    );
    // Rows of all events of a person would be counted several times.
    let many = "SELECT count(*) FROM omop.person p LEFT JOIN omop.drug_exposure d ON d.person_id = p.person_id AND d.drug_concept_id = 5";
    assert!(omop.lower(many).is_err());
    let subjects = many.replace("count(*)", "count(DISTINCT d.person_id)");
    assert!(omop.lower(&subjects).is_ok());
}

/// A row occurs as often as its subject has events, unless only rows without an event are left.
#[test]
fn statistic_of_rows_with_joined_events_is_refused() {
    let omop = Collection::named("omop");
    let from = "FROM omop.person p LEFT JOIN omop.visit_occurrence v ON v.person_id = p.person_id";
    let is_lowered = |sql: String| omop.lower(&sql).is_ok();
    for aggregate in ["count(*)", "count(p.year_of_birth)", "avg(p.year_of_birth)"] {
        for (condition, expected) in [
            ("true", false),
            ("v.visit_occurrence_id IS NOT NULL", false),
            ("v.visit_occurrence_id IS NULL OR p.gender_concept_id = 8507", false),
            ("v.visit_occurrence_id IS NULL AND p.gender_concept_id = 8507", true),
            ("v.person_id IS NULL", true),
            // A column that may be missing in a row of an event.
            ("v.visit_start_date IS NULL", false),
            ("v.visit_concept_id IS NULL", false),
        ] {
            let sql = format!("SELECT {aggregate} {from} WHERE {condition}");
            assert_eq!(is_lowered(sql.clone()), expected, "{sql}");
        }
    }
    assert!(is_lowered(format!(
        "SELECT count(DISTINCT p.person_id) {from} WHERE v.visit_occurrence_id IS NOT NULL"
    )));
    assert!(!is_lowered(format!(
        "SELECT count(DISTINCT p.person_id) {from} WHERE v.visit_concept_id = 9201"
    )));
    // Two datasets with events: rows are left out for one of them only.
    let second = "LEFT JOIN omop.drug_exposure d ON d.person_id = p.person_id";
    assert!(!is_lowered(format!(
        "SELECT count(*) {from} {second} WHERE v.visit_occurrence_id IS NULL"
    )));
    assert!(is_lowered(format!(
        "SELECT count(*) {from} {second} WHERE v.visit_occurrence_id IS NULL AND d.person_id IS NULL"
    )));
    // The key of a row is not shown.
    let hidden = Collection::shown("omop", &|_, column| {
        (column.as_str() != "visit_occurrence_id").then_some(Transform::Clear)
    });
    assert!(
        hidden
            .lower(&format!("SELECT count(*) {from} WHERE v.person_id IS NULL"))
            .is_ok()
    );
    assert!(
        hidden
            .lower(&format!("SELECT count(*) {from} WHERE v.visit_occurrence_id IS NULL"))
            .is_err()
    );
}

#[test]
fn statistic_of_distinct_columns_is_refused() {
    let omop = Collection::named("omop");
    let of = |condition: &str| format!("SELECT count(*) FROM omop.visit_occurrence WHERE {condition}");
    assert!(
        omop.lower(&of("visit_start_date IS NOT DISTINCT FROM visit_end_date"))
            .is_err()
    );
    assert!(omop.lower(&of("person_id IS DISTINCT FROM 7")).is_err());
    assert!(
        omop.lower(&of("visit_start_date IS DISTINCT FROM DATE '2000-01-15'"))
            .is_err()
    );
}

#[test]
fn statistic_columns_follow_the_order_of_the_text() {
    let heart = Collection::named("heart");
    let lowered = heart
        .lower("SELECT sum(target), sex, avg(target), count(*), 2 * count(*) FROM heart GROUP BY sex ORDER BY 1")
        .unwrap();
    let block = &lowered.blocks[0];
    assert_eq!(block.columns[0], CellColumn::Group(0));
    let all = |filter: &Condition| *filter == Condition::All;
    let CellColumn::Cell(of) = block.columns[1] else {
        panic!("{block:?}")
    };
    assert!(!all(block.statistic.cells()[of].filter()));
    let CellColumn::Quotient { of: above, by } = block.columns[2] else {
        panic!("{block:?}")
    };
    assert_ne!(above, by);
    let CellColumn::Cell(count) = block.columns[3] else {
        panic!("{block:?}")
    };
    assert!(all(block.statistic.cells()[count].filter()));
    let above = lowered.above.display_indent().to_string();
    assert!(
        above.contains("TableScan: cells_1") && !above.contains("TableScan: heart"),
        "{above}"
    );
}

#[test]
fn statistic_bands_cover_each_atom_once() {
    let omop = Collection::named("omop");
    let statistic = only(
        &omop,
        "SELECT floor(year_of_birth / 10) * 10, count(*) FROM omop.person GROUP BY 1",
    );
    let [
        Group::Buckets {
            of,
            buckets,
            rest: None,
        },
    ] = statistic.groups()
    else {
        panic!("{statistic:?}")
    };
    let levels = omop.known.levels(of);
    for year in [1_850, 1_899, 1_900, 1_909, 1_910, 1_999, 2_000, 2_024] {
        let atom = levels.atom_of(concordat_protocol::collection::Datum::Int(year));
        let labels: Vec<_> = buckets
            .iter()
            .filter(|bucket| bucket.atoms.contains(&atom))
            .map(|bucket| bucket.label.clone())
            .collect();
        let expected = (year / 10 * 10).clamp(1_890, 2_000);
        assert_eq!(
            labels,
            [Some(concordat_protocol::scope::Value::Int(expected))],
            "{year}"
        );
    }
}
