use datafusion::sql::sqlparser::ast::Statement;

use super::*;
use crate::parse;

fn resolved(sql: &str) -> String {
    let mut statements = parse(sql, 256).unwrap();
    let Some(Statement::Query(query)) = statements.first_mut() else {
        panic!("{sql}")
    };
    resolve_names(query, &|name| match name.to_string().as_str() {
        "alfa.t" => Some(["SUBJECT_ID", "GENDER", "age"].map(str::to_owned).to_vec()),
        "beta.t" => Some(["subject_id", "Age", "Height"].map(str::to_owned).to_vec()),
        _ => None,
    })
    .unwrap();
    query.to_string()
}

/// A table of ten columns, and inner queries that each have all columns of the one within several times.
fn stars(levels: usize, of_each: usize) -> Result<(), QueryError> {
    let stars = vec!["*"; of_each].join(",");
    let sql = (0..levels).fold("alfa.wide".to_owned(), |inner, level| match level {
        0 => format!("SELECT {stars} FROM {inner}"),
        _ => format!("SELECT {stars} FROM ({inner}) AS t{level}"),
    });
    let mut statements = parse(&sql, 256).unwrap();
    let Some(Statement::Query(query)) = statements.first_mut() else {
        panic!("{sql}")
    };
    let columns: Vec<String> = (0..10).map(|column| format!("c{column}")).collect();
    resolve_names(query, &|_| Some(columns.clone()))
}

/// 60 columns of 60 of 60 of 60: 130 million names in 500 bytes of text.
#[test]
fn names_of_too_many_columns_are_not_listed() {
    let refused = stars(4, 60);
    assert!(matches!(refused, Err(QueryError::TooComplex { .. })), "{refused:?}");
    let refused = stars(1, MAX_COLUMNS / 10 + 1);
    assert!(matches!(refused, Err(QueryError::TooComplex { .. })), "{refused:?}");
    assert!(stars(2, 60).is_ok());
    assert!(stars(10, 1).is_ok());
}

#[test]
fn definitions_read_many_times_are_not_copied_for_ever() {
    let stars = vec!["*"; 60].join(",");
    let read: Vec<String> = (0..200).map(|_| "(SELECT count(*) FROM wide)".to_owned()).collect();
    let sql = format!(
        "WITH wide AS (SELECT {stars} FROM (SELECT {stars} FROM alfa.t) AS t) SELECT {}",
        read.join(", ")
    );
    let mut statements = parse(&sql, 256).unwrap();
    let Some(Statement::Query(query)) = statements.first_mut() else {
        panic!("{sql}")
    };
    let columns = |_: &ObjectName| Some(vec!["age".to_owned()]);
    let refused = resolve_names(query, &columns);
    assert!(matches!(refused, Err(QueryError::TooComplex { .. })), "{refused:?}");
}

#[test]
fn names_get_the_spelling_of_the_only_column_that_matches() {
    for (sql, expected) in [
        ("SELECT gender FROM alfa.t", "SELECT GENDER FROM alfa.t"),
        (
            "SELECT T.gender, avg(AGE) AS meanAge FROM alfa.t AS T WHERE Subject_Id = 1 GROUP BY gender ORDER BY meanage",
            "SELECT T.GENDER, avg(age) AS meanAge FROM alfa.t AS T WHERE SUBJECT_ID = 1 GROUP BY GENDER ORDER BY meanAge",
        ),
        // In quotes as well. A name that exists is exact.
        ("SELECT \"gender\" FROM alfa.t", "SELECT \"GENDER\" FROM alfa.t"),
        (
            "SELECT a.\"gender\" FROM alfa.t AS a",
            "SELECT a.\"GENDER\" FROM alfa.t AS a",
        ),
        ("SELECT age FROM alfa.t", "SELECT age FROM alfa.t"),
        // Two spellings match.
        (
            "SELECT AGE, height FROM alfa.t CROSS JOIN beta.t",
            "SELECT AGE, Height FROM alfa.t CROSS JOIN beta.t",
        ),
        (
            "SELECT a.AGE, b.age FROM alfa.t AS a JOIN beta.t AS b ON a.subject_id = b.SUBJECT_ID",
            "SELECT a.age, b.Age FROM alfa.t AS a JOIN beta.t AS b ON a.SUBJECT_ID = b.subject_id",
        ),
        // An alias wins over nothing, and a column over an alias in another case.
        (
            "SELECT age AS gender FROM alfa.t ORDER BY gender",
            "SELECT age AS gender FROM alfa.t ORDER BY gender",
        ),
        (
            "SELECT age AS x FROM alfa.t GROUP BY X",
            "SELECT age AS x FROM alfa.t GROUP BY x",
        ),
        (
            "SELECT age AS x FROM alfa.t WHERE X = 1",
            "SELECT age AS x FROM alfa.t WHERE X = 1",
        ),
        // Tables that are not known.
        ("SELECT gender FROM gamma.t", "SELECT gender FROM gamma.t"),
        (
            "SELECT gender FROM alfa.t, gamma.t",
            "SELECT gender FROM alfa.t, gamma.t",
        ),
    ] {
        assert_eq!(resolved(sql), expected, "{sql}");
    }
}

#[test]
fn names_of_inner_queries_have_their_own_tables() {
    for (sql, expected) in [
        (
            "WITH w AS (SELECT gender, AGE + 1 AS Older FROM alfa.t) SELECT GENDER, older FROM w",
            "WITH w AS (SELECT GENDER, age + 1 AS Older FROM alfa.t) SELECT GENDER, Older FROM w",
        ),
        (
            "SELECT d.gender FROM (SELECT * FROM alfa.t) AS d WHERE EXISTS (SELECT 1 FROM beta.t WHERE HEIGHT = d.AGE)",
            "SELECT d.GENDER FROM (SELECT * FROM alfa.t) AS d WHERE EXISTS (SELECT 1 FROM beta.t WHERE Height = d.age)",
        ),
        (
            "SELECT gender FROM alfa.t WHERE AGE IN (SELECT max(age) FROM beta.t WHERE Gender = 'f')",
            "SELECT GENDER FROM alfa.t WHERE age IN (SELECT max(Age) FROM beta.t WHERE GENDER = 'f')",
        ),
        (
            "SELECT gender FROM alfa.t UNION SELECT height FROM beta.t ORDER BY Gender",
            "SELECT GENDER FROM alfa.t UNION SELECT Height FROM beta.t ORDER BY GENDER",
        ),
    ] {
        assert_eq!(resolved(sql), expected, "{sql}");
    }
}

/// The tables of these tests spell the subject differently, and have it in common all the same.
#[test]
fn columns_in_common_are_those_of_the_side_that_has_rows() {
    let both = "alfa.t AS a {} beta.t AS b USING (Subject_ID)";
    let on = "alfa.t AS a {} beta.t AS b ON a.\"SUBJECT_ID\" = b.\"subject_id\"";
    for (join, value, shown) in [
        ("JOIN", "a.\"SUBJECT_ID\"", "a.\"SUBJECT_ID\""),
        ("LEFT JOIN", "a.\"SUBJECT_ID\"", "a.\"SUBJECT_ID\""),
        ("RIGHT JOIN", "b.\"subject_id\"", "b.\"subject_id\" AS \"SUBJECT_ID\""),
        (
            "FULL JOIN",
            "coalesce(a.\"SUBJECT_ID\", b.\"subject_id\")",
            "coalesce(a.\"SUBJECT_ID\", b.\"subject_id\") AS \"SUBJECT_ID\"",
        ),
    ] {
        let (both, on) = (both.replace("{}", join), on.replace("{}", join));
        assert_eq!(
            resolved(&format!(
                "SELECT subject_id, count(SUBJECT_ID) FROM {both} WHERE Subject_Id > 1"
            )),
            format!("SELECT {shown}, count({value}) FROM {on} WHERE {value} > 1"),
        );
        assert_eq!(
            resolved(&format!("SELECT * FROM {both}")),
            format!("SELECT {shown}, a.\"GENDER\", a.\"age\", b.\"Age\", b.\"Height\" FROM {on}"),
        );
    }
}

#[test]
fn columns_in_common_that_are_not_certain_stay_as_they_are() {
    for sql in [
        // No such column on the right, several on the left, a table that is not known.
        "SELECT 1 FROM alfa.t AS a JOIN beta.t AS b USING(GENDER)",
        "SELECT 1 FROM alfa.t AS a JOIN beta.t AS b ON true JOIN alfa.t AS c USING(AGE)",
        "SELECT subject_id FROM alfa.t AS a JOIN gamma.t AS b USING(subject_id)",
        // The planner would show the column twice.
        "SELECT * EXCLUDE (Height) FROM alfa.t AS a FULL JOIN beta.t AS b USING(subject_id)",
    ] {
        assert_eq!(resolved(sql), sql);
    }
}

#[test]
fn columns_in_common_of_many_tables_are_bounded() {
    let chain: String = (0..100)
        .map(|n| format!(" FULL JOIN alfa.t AS t{n} USING (age)"))
        .collect();
    let written = resolved(&format!("SELECT age FROM alfa.t AS t{chain}"));
    assert!(written.len() < 200_000, "{} bytes", written.len());
    assert!(
        written.contains("USING"),
        "the last ones stay, and are refused by the planner"
    );
}

#[test]
fn columns_in_common_are_meant_before_aliases_but_in_order() {
    let from = "alfa.t AS a JOIN beta.t AS b";
    assert_eq!(
        resolved(&format!(
            "SELECT abs(age) AS age, count(*) FROM {from} USING (age) GROUP BY abs(age) HAVING max(age) > 1 ORDER BY age"
        )),
        format!(
            "SELECT abs(a.\"age\") AS age, count(*) FROM {from} ON a.\"age\" = b.\"Age\" GROUP BY abs(a.\"age\") \
             HAVING max(a.\"age\") > 1 ORDER BY age"
        ),
    );
}
