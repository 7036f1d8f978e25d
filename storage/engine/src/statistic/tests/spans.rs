//! Groups by parts of dates: of a row with a date in the group of missing ones, an answer has a remark.

use concordat_protocol::collection::{AtomId, Comparison};

use super::{Collection, only};
use crate::statistic::{Beyond, Condition, Group, NotCountable, print};

const EDGES: &str = "condition_start_date >= DATE '1980-01-01' AND condition_start_date < DATE '2020-01-01'";

fn by(part: &str, condition: &str) -> String {
    format!(
        "SELECT date_part('{part}', condition_start_date) AS part, count(*) FROM condition_occurrence {condition} GROUP BY 1"
    )
}

/// The condition on dates of which the answer to a query has a remark; `None` if it has none.
fn remarked(omop: &Collection, sql: &str) -> Option<String> {
    let lowered = omop.lower(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert!(lowered.beyond.len() < 2, "{sql}");
    let found = lowered.beyond.first()?;
    let (column, from, to) = match found {
        Beyond::Missing { column, from, to } => (column, Some(from), Some(to)),
        Beyond::Outermost { column, first, last } => (
            column,
            first.as_ref().map(|(_, edge)| edge),
            last.as_ref().map(|(_, edge)| edge),
        ),
    };
    let from = from.map(|edge| format!("{column} >= {edge}"));
    let to = to.map(|edge| format!("{column} < {edge}"));
    Some(from.into_iter().chain(to).collect::<Vec<_>>().join(" AND "))
}

#[test]
fn months_beyond_the_edges_have_a_remark() {
    let omop = Collection::named("omop");
    for part in ["quarter", "month"] {
        for condition in [
            "",
            "WHERE condition_start_date >= DATE '1980-01-01'",
            "WHERE condition_start_date < DATE '2020-01-01'",
            "WHERE condition_start_date IS NOT NULL",
            "WHERE condition_concept_id = 5 OR condition_start_date < DATE '2000-01-01'",
        ] {
            let sql = by(part, condition);
            assert_eq!(remarked(&omop, &sql).as_deref(), Some(EDGES), "{condition}");
            // The group of missing ones has all other dates, and those within the edges are as with the condition.
            let groups = |sql: &str| only(&omop, sql).groups().to_vec();
            if condition.is_empty() {
                assert_eq!(groups(&sql), groups(&by(part, &format!("WHERE {EDGES}"))));
            }
        }
        let filtered = by(part, "").replace("count(*)", &format!("count(*) FILTER (WHERE {EDGES})"));
        assert_eq!(remarked(&omop, &filtered).as_deref(), Some(EDGES));
    }
}

/// Groups of all dates, and of all whole numbers.
const OPEN: [(&str, &str, &str); 6] = [
    (
        "condition_occurrence",
        "condition_start_date",
        "date_part('year', condition_start_date)",
    ),
    (
        "condition_occurrence",
        "condition_start_date",
        "date_trunc('year', condition_start_date)",
    ),
    (
        "condition_occurrence",
        "condition_start_date",
        "date_trunc('quarter', condition_start_date)",
    ),
    (
        "condition_occurrence",
        "condition_start_date",
        "date_part('year', condition_start_date) / 10 * 10",
    ),
    ("person", "year_of_birth", "year_of_birth / 10 * 10"),
    ("person", "year_of_birth", "floor(year_of_birth / 5)"),
];

/// The outermost groups have what is beyond the edges, so an answer has a remark on each of them unless a condition leaves that out.
#[test]
fn outermost_groups_have_a_remark() {
    let omop = Collection::named("omop");
    for (table, column, group) in OPEN {
        let sql = |condition: &str| format!("SELECT {group} AS g, count(*) FROM {table} {condition} GROUP BY 1");
        let condition = remarked(&omop, &sql("")).unwrap_or_else(|| panic!("{group}"));
        let (from, to) = condition.split_once(" AND ").unwrap();
        assert!(
            from.starts_with(&format!("{column} >= ")) && to.starts_with(&format!("{column} < ")),
            "{condition}"
        );
        for (kept, left) in [
            (from.to_owned(), Some(to)),
            (to.to_owned(), Some(from)),
            (format!("{column} IS NOT NULL"), Some(condition.as_str())),
            (condition.clone(), None),
            (format!("({condition}) OR {column} IS NULL"), None),
        ] {
            assert_eq!(
                remarked(&omop, &sql(&format!("WHERE {kept}"))).as_deref(),
                left,
                "{group}, {kept}"
            );
        }
    }
}

/// Months of which a condition leaves few are groups, however many there are between the edges.
#[test]
fn months_of_one_year_are_groups() {
    let omop = Collection::named("omop");
    let sql = |condition: &str| {
        format!(
            "SELECT date_trunc('month', condition_start_date) AS m, condition_concept_id, count(*) FROM condition_occurrence \
             WHERE condition_concept_id IN (1, 2, 3) AND {condition} GROUP BY 1, 2"
        )
    };
    let year = "condition_start_date >= DATE '2010-01-01' AND condition_start_date < DATE '2011-01-01'";
    assert!(omop.lower(&sql("condition_start_date IS NOT NULL")).is_err());
    let statistic = only(&omop, &sql(year));
    let [_, Group::Buckets { buckets, .. }] = statistic.groups() else {
        panic!("{statistic:?}")
    };
    assert_eq!(buckets.len(), 12);
}

/// The condition that the remark names is one that is enough.
#[test]
fn months_between_the_edges_are_groups() {
    let omop = Collection::named("omop");
    let missing = format!("WHERE ({EDGES}) OR condition_start_date IS NULL");
    for condition in [
        format!("WHERE {EDGES}"),
        "WHERE date_part('year', condition_start_date) = 2010 AND condition_concept_id = 5".to_owned(),
        "WHERE condition_start_date BETWEEN DATE '2000-01-01' AND DATE '2009-12-31'".to_owned(),
        missing,
        "WHERE false".to_owned(),
    ] {
        for (part, groups) in [("quarter", 4), ("month", 12)] {
            assert_eq!(remarked(&omop, &by(part, &condition)), None, "{condition}");
            let statistic = only(&omop, &by(part, &condition));
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
            assert_eq!(buckets.len(), groups, "{condition}");
            let levels = omop.known.levels(of);
            let kept = match statistic
                .rows()
                .conjuncts()
                .iter()
                .find(|part| matches!(part, Condition::Test(about, _) if about == of))
            {
                Some(Condition::Test(_, test)) => test.passing().clone(),
                Some(_) | None => continue,
            };
            for atom in (0..levels.atoms().unwrap())
                .map(AtomId::Listed)
                .filter(|atom| kept.contains(atom))
            {
                let of_atom = buckets.iter().filter(|bucket| bucket.atoms.contains(&atom));
                assert_eq!(of_atom.count(), 1, "{condition}: {atom:?}");
            }
        }
    }
}

/// The years of birth have an edge every five years from 1900 to 2000. Quotients are rounded toward zero, also those of who is born later.
#[test]
fn ages_in_a_year_are_groups_of_bands() {
    let omop = Collection::named("omop");
    let by = |group: &str, from: &str| only(&omop, &format!("SELECT {group} AS g, count(*) FROM {from} GROUP BY 1"));
    for (at, width) in [(2019, 10), (2019, 5), (2024, 10), (1999, 10)] {
        let label = |born: i64| (at - born) / width * width;
        let edges = (1900..=2000).rev().filter(|born| born % 5 == 0);
        let cases = edges.map(|born| format!(" WHEN year_of_birth >= {born} THEN {}", label(born)));
        let cases = cases.collect::<Vec<_>>().concat();
        let written = format!("CASE{cases} WHEN year_of_birth < 1900 THEN {} END", label(1899));
        let expected = by(&written, "person");
        for group in [
            "floor(({} - year_of_birth) / {w}) * {w}",
            "({} - year_of_birth) / {w} * {w}",
        ] {
            let group = group.replace("{}", &at.to_string()).replace("{w}", &width.to_string());
            assert_eq!(by(&group, "person"), expected, "{group}");
        }
    }
    assert_eq!(
        by(
            "floor((2019 - EXTRACT(YEAR FROM condition_start_date)) / 10) * 10",
            "condition_occurrence"
        ),
        by(
            "CASE WHEN condition_start_date >= DATE '2010-01-01' THEN 0 WHEN condition_start_date >= DATE '2000-01-01' THEN 10 \
             WHEN condition_start_date >= DATE '1990-01-01' THEN 20 WHEN condition_start_date >= DATE '1980-01-01' THEN 30 \
             WHEN condition_start_date < DATE '1980-01-01' THEN 40 END",
            "condition_occurrence"
        )
    );
}

/// Ages whose bands begin between two edges are refused with the nearest ones, and so are those whose quotients are not whole.
#[test]
fn ages_between_the_edges_are_no_groups() {
    let omop = Collection::named("omop");
    for (group, is_between) in [
        ("floor((2020 - year_of_birth) / 10) * 10", true),
        ("floor((2019 - year_of_birth) / 7) * 7", true),
        ("floor((2019.5 - year_of_birth) / 10) * 10", false),
        ("floor((2019 - 2 * year_of_birth) / 10) * 10", false),
        ("2019 - year_of_birth", false),
    ] {
        let found = omop.lower(&format!("SELECT {group} AS g, count(*) FROM person GROUP BY 1"));
        match found {
            Err(NotCountable::GroupOffEdges { .. }) => assert!(is_between, "{group}"),
            Err(error) => assert!(!is_between, "{group}: {error}"),
            Ok(_) => panic!("{group} is a group"),
        }
    }
}

/// Groups by years have all dates: what is beyond the edges is in the first and the last one.
#[test]
fn years_have_all_dates() {
    let omop = Collection::named("omop");
    for group in [
        "date_part('year', condition_start_date)",
        "date_trunc('year', condition_start_date)",
    ] {
        let statistic = only(
            &omop,
            &format!("SELECT {group}, count(*) FROM condition_occurrence GROUP BY 1"),
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
        let all = levels.decide(&Comparison::IsNotNull).unwrap();
        let covered = buckets
            .iter()
            .fold(levels.only(0), |all, bucket| all.union(&bucket.atoms).unwrap());
        assert_eq!(&covered, all.passing(), "{group}");
    }
}

/// The printed text of a member has a range for each year, of which a condition has a limited number.
#[test]
fn months_of_few_years_have_a_text() {
    let omop = Collection::named("omop");
    let of = |condition: &str| only(&omop, &by("month", &format!("WHERE {condition}")));
    assert_eq!(print(&of(EDGES), &omop.known), None);
    let decade = of("condition_start_date >= DATE '2000-01-01' AND condition_start_date < DATE '2010-01-01'");
    let text = print(&decade, &omop.known).unwrap();
    assert_eq!(only(&omop, &text), decade, "{text}");
    // Other months are no groups then.
    let spring = of("condition_start_date >= DATE '2000-03-01' AND condition_start_date < DATE '2000-06-01'");
    assert_eq!(spring.grid(&omop.known), 4);
}

/// The column of a `CASE` has the type of its first label: one of another kind would be missing.
#[test]
fn labels_of_two_kinds_are_refused() {
    let omop = Collection::named("omop");
    let group = |first: &str, second: &str| {
        format!(
            "SELECT CASE WHEN year_of_birth < 1950 THEN {first} ELSE {second} END AS g, count(*) FROM person GROUP BY 1"
        )
    };
    for (first, second) in [("1", "2.5"), ("2.5", "1"), ("1", "'x'"), ("true", "1")] {
        let sql = group(first, second);
        let is_refused = omop.planned(&sql).is_err() || omop.lower(&sql).is_err();
        assert!(is_refused, "{sql}");
    }
    for (first, second) in [("1", "2"), ("1", "NULL"), ("NULL", "'x'"), ("1.5", "2.5")] {
        only(&omop, &group(first, second));
    }
}
