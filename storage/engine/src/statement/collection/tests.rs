use super::*;

fn visible() -> Visible {
    let dataset = |name: &str, columns: &[&str]| {
        let columns = columns.iter().map(|column| (*column).to_owned());
        (name.parse::<DatasetName>().unwrap(), columns.collect::<Vec<_>>())
    };
    [
        dataset("person", &["person_id", "born", "sex"]),
        dataset("event", &["person_id", "code", "day", "value"]),
    ]
    .into()
}

fn at(sql: &str, version: Option<u64>) -> Result<Statement, QueryError> {
    let version = version.map(VersionNumber::new);
    checked(sql, &"budapest.omop".parse().unwrap(), version, &visible())
}

#[test]
fn collection_queries_of_the_listed_forms_pass() {
    for sql in [
        "SELECT * FROM person",
        "SELECT p.sex, e.day FROM omop.person p JOIN budapest.omop.event AS e ON e.person_id = p.person_id WHERE e.value > 3",
        "SELECT PERSON.SEX FROM person LEFT JOIN event USING (person_id)",
        "SELECT sex, code FROM person NATURAL JOIN event",
        "SELECT sex FROM person LEFT ANTI JOIN event ON person.person_id = event.person_id",
        "SELECT sex FROM person p WHERE EXISTS (SELECT 1 FROM event e WHERE e.person_id = p.person_id AND code IN (1, 2))",
        "SELECT sex FROM person WHERE person_id NOT IN (SELECT person_id FROM event) ORDER BY sex LIMIT 3",
        "SELECT sex, (SELECT count(*) FROM event e WHERE e.person_id = p.person_id) AS n FROM person AS p",
        "WITH earliest AS (SELECT person_id, min(day) AS day FROM event GROUP BY person_id) \
         SELECT f.day, p.born FROM earliest f JOIN person p ON p.person_id = f.person_id",
        "WITH person AS (SELECT * FROM person WHERE sex = 'f') SELECT count(*) FROM person",
        "WITH a(b) AS (SELECT sex FROM person) SELECT b FROM a UNION ALL SELECT sex FROM person",
        "SELECT person_id FROM person INTERSECT SELECT person_id FROM event",
        "SELECT person_id FROM person EXCEPT (SELECT person_id FROM event)",
        "SELECT day, row_number() OVER (PARTITION BY person_id ORDER BY day DESC) AS n, \
         sum(value) OVER (ORDER BY day ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM event",
        "SELECT code, median(value), percentile_cont(0.9) WITHIN GROUP (ORDER BY value) FROM event GROUP BY code",
        "SELECT d.n FROM (SELECT code, count(*) AS n FROM event GROUP BY code) AS d WHERE d.n > 10",
        "SELECT a.day FROM event a JOIN event b ON a.day BETWEEN b.day AND b.day + INTERVAL '30' DAY",
        "SELECT sex FROM (person JOIN event ON person.person_id = event.person_id)",
    ] {
        at(sql, None).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// Everything else is refused, and where there is another form it is named.
#[test]
fn collection_refusals_name_the_nearest_form() {
    let join = |kind: &str| format!("SELECT 1 FROM person p {kind} event e ON p.person_id = e.person_id");
    for (sql, nearest) in [
        (join("RIGHT JOIN"), "`LEFT JOIN`"),
        (join("FULL JOIN"), "`UNION ALL`"),
        (join("RIGHT SEMI JOIN"), "`EXISTS`"),
        (join("RIGHT ANTI JOIN"), "`NOT EXISTS`"),
        ("SELECT 1 FROM person CROSS JOIN event".to_owned(), "`ON …`"),
        ("SELECT 1 FROM person JOIN event".to_owned(), "`ON …`"),
        ("SELECT 1 FROM person, event".to_owned(), "`JOIN … ON …`"),
        (
            "SELECT 1 FROM person NATURAL JOIN (SELECT code FROM event) AS e".to_owned(),
            "`ON …`",
        ),
        (
            "SELECT 1 FROM person p JOIN LATERAL (SELECT 1 FROM event) e ON true".to_owned(),
            "a subquery in `SELECT`",
        ),
        (
            "WITH RECURSIVE a AS (SELECT 1 FROM person) SELECT 1 FROM a".to_owned(),
            "a join for each step",
        ),
        ("SELECT sex FROM person UNION VALUES ('f')".to_owned(), "`IN (…)`"),
        (
            "SELECT rank() OVER w FROM person WINDOW w AS (ORDER BY sex)".to_owned(),
            "`OVER (…)`",
        ),
        (
            "SELECT rank() FROM person".to_owned(),
            "`OVER (PARTITION BY … ORDER BY …)`",
        ),
        (
            "SELECT sex FROM person QUALIFY rank() OVER (ORDER BY sex) = 1".to_owned(),
            "`WHERE`",
        ),
        ("SELECT DISTINCT ON (sex) born FROM person".to_owned(), "`row_number()"),
        (
            "SELECT avg(value) WITHIN GROUP (ORDER BY day) FROM event".to_owned(),
            "`percentile_cont`",
        ),
    ] {
        let refused = at(&sql, None);
        assert!(
            matches!(&refused, Err(error @ QueryError::NotComputed { nearest: Some(_), .. })
                if error.to_string().contains(nearest)),
            "{sql}: {refused:?}"
        );
    }
    for sql in [
        "SELECT 1",
        "SELECT 1 FROM generate_series(1, 3)",
        "SELECT 1 FROM person TABLESAMPLE (10)",
        "SELECT 1 FROM person FOR UPDATE",
        "SELECT 1 FROM person; SELECT 1 FROM person",
        "INSERT INTO person SELECT * FROM person",
        "SELECT random() FROM person",
        "SELECT array_agg(sex) FROM person",
        "SELECT __concordat_ordinal FROM person",
        "SELECT sex AS __concordat_x FROM person",
        "WITH __concordat_x AS (SELECT 1 FROM person) SELECT 1 FROM person",
        "WITH \"omop.person\" AS (SELECT 1 FROM person) SELECT 1 FROM omop.person",
        "SELECT sex FROM person p JOIN (SELECT 1 FROM event) AS __concordat_e ON true",
        "SELECT sex FROM person WHERE sex LIKE ANY ('a')",
    ] {
        let refused = at(sql, None);
        assert!(refused.is_err(), "{sql}");
    }
}

/// The holder of a collection refuses them by the same check as the consumer's node, which does not compute them either.
#[test]
fn set_operations_of_rows_that_repeat_have_one_refusal() {
    for operation in ["INTERSECT ALL", "EXCEPT ALL"] {
        let sql = format!("SELECT sex FROM person {operation} SELECT sex FROM person");
        let refused = at(&sql, None);
        assert!(
            matches!(&refused, Err(QueryError::NotDefined { nearest, .. }) if nearest.contains("row_number()")),
            "{sql}: {refused:?}"
        );
    }
}

/// The error is the same for a dataset that does not exist, for one that the permission leaves out, and for one of another collection.
#[test]
fn collection_datasets_that_are_hidden_are_unknown() {
    for name in [
        "visit",
        "omop.visit",
        "budapest.omop.visit",
        "other.person",
        "cleveland.omop.person",
        "budapest.person",
        "information_schema.tables",
        "a.budapest.omop.person",
    ] {
        for sql in [
            format!("SELECT 1 FROM {name}"),
            format!("SELECT 1 FROM person JOIN {name} ON true"),
            format!("SELECT 1 FROM person WHERE EXISTS (SELECT 1 FROM {name})"),
            format!("WITH a AS (SELECT 1 FROM {name}) SELECT 1 FROM person"),
            format!("SELECT 1 FROM person UNION SELECT 1 FROM {name}"),
        ] {
            let error = at(&sql, None).unwrap_err().to_string();
            let expected =
                format!("no dataset `{name}` under this permission, which is for `budapest.omop`; there are ");
            let listed = error
                .strip_prefix(&expected)
                .unwrap_or_else(|| panic!("{sql}: {error}"));
            assert!(
                ["`event`, `person`", "`person`, `event`"].contains(&listed),
                "{sql}: {listed}"
            );
        }
    }
}

#[test]
fn collection_query_names_one_version_for_all_datasets() {
    let both = |one: &str, other: &str| {
        format!("SELECT 1 FROM person {one} AS p JOIN event {other} AS e ON p.person_id = e.person_id")
    };
    let third = "VERSION AS OF 3";
    at(&both("", ""), None).unwrap();
    at(&both(third, third), Some(3)).unwrap();
    for (sql, version) in [
        (both("", ""), Some(3)),
        (both(third, ""), Some(3)),
        (both("", third), Some(3)),
        (both(third, third), None),
        (both(third, "VERSION AS OF 2"), Some(3)),
    ] {
        assert!(
            matches!(at(&sql, version), Err(QueryError::OtherVersion)),
            "{sql} for {version:?}"
        );
    }
}

/// Each use of a name counts as all that it stands for: texts of a few hundred bytes would otherwise become plans of any size.
#[test]
fn collection_names_that_stand_for_much_are_bounded() {
    let doubled = |levels: usize| {
        let mut sql = "WITH a0 AS (SELECT sex FROM person)".to_owned();
        for level in 1..=levels {
            let below = level - 1;
            sql.push_str(&format!(
                ", a{level} AS (SELECT x.sex FROM a{below} x JOIN a{below} y ON x.sex = y.sex)"
            ));
        }
        format!("{sql} SELECT sex FROM a{levels}")
    };
    at(&doubled(2), None).unwrap();
    assert!(matches!(
        at(&doubled(5), None),
        Err(QueryError::TooComplex { max: MAX_JOINS, .. })
    ));
    let nested = |levels: usize| {
        let from = (0..levels).fold("SELECT born AS x FROM person".to_owned(), |from, level| {
            format!("SELECT x + x + x AS x FROM ({from}) AS d{level}")
        });
        format!("SELECT x FROM ({from}) AS d WHERE x > 1")
    };
    at(&nested(3), None).unwrap();
    assert!(matches!(at(&nested(12), None), Err(QueryError::TooComplex { .. })));
    let unions = vec!["SELECT sex FROM person"; MAX_JOINS + 2].join(" UNION ALL ");
    assert!(matches!(
        at(&unions, None),
        Err(QueryError::TooComplex { max: MAX_JOINS, .. })
    ));
    let subqueries = vec!["EXISTS (SELECT 1 FROM event)"; MAX_JOINS + 1].join(" AND ");
    let sql = format!("SELECT sex FROM person WHERE {subqueries}");
    assert!(matches!(
        at(&sql, None),
        Err(QueryError::TooComplex { max: MAX_JOINS, .. })
    ));
}
