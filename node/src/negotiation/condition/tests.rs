use super::*;

fn columns() -> Vec<CatalogColumn> {
    let kinds = [
        ("age", "integer"),
        ("sex", "integer"),
        ("chol", "number"),
        ("alive", "boolean"),
        ("born", "date"),
        ("note", "text"),
        ("Größe", "number"),
        ("seen", "time"),
        ("ldl", "number"),
        ("LDL", "number"),
    ];
    let column = |(name, kind): (&str, &str)| CatalogColumn {
        name: name.parse().unwrap(),
        kind: kind.into(),
        class: "ordinary".into(),
    };
    kinds.map(column).into()
}

fn shown(condition: &str) -> String {
    let rows = parse(condition, &columns());
    rows.unwrap_or_else(|error| panic!("{condition}: {error}")).to_string()
}

fn refused(condition: &str) -> ConditionError {
    match parse(condition, &columns()) {
        Err(error) => error,
        Ok(rows) => panic!("`{condition}` became {rows}"),
    }
}

#[test]
fn conditions_become_constraints() {
    for (condition, expected) in [
        (
            "age >= 40 AND sex = 1 AND (born < '1970-01-02') AND note IN ('a', 'b')",
            "age >= 40 AND born <= DATE '1970-01-01' AND note IN ('a', 'b') AND sex = 1",
        ),
        ("age > 39 AND age BETWEEN -1 AND 59", "age >= 40 AND age <= 59"),
        ("age IS NULL", "age IS NULL"),
        ("seen IS NOT NULL", "seen IS NOT NULL"),
        ("born = DATE '2020-02-29'", "born = DATE '2020-02-29'"),
        ("alive = true", "alive = true"),
        ("chol > 5", "chol > 5.0"),
    ] {
        assert_eq!(shown(condition), expected, "{condition}");
    }
}

#[test]
fn text_in_a_condition_is_read_as_what_it_is_compared_with() {
    for (condition, expected) in [
        ("age >= '40'", "age >= 40"),
        ("age IN ('1', 2)", "age IN (1, 2)"),
        ("age BETWEEN '-1' AND 2", "age >= -1 AND age <= 2"),
        ("chol < '2.5'", "chol < 2.5"),
        ("alive = 'T'", "alive = true"),
        ("note = '100'", "note = '100'"),
        ("note > 'true'", "note > 'true'"),
        ("note = '2020-01-01'", "note = '2020-01-01'"),
    ] {
        assert_eq!(shown(condition), expected, "{condition}");
    }
    for (condition, expected) in [
        (
            "age = '40 years'",
            "`age` is a whole number, and the text is not a whole number",
        ),
        (
            "age = ' 40'",
            "`age` is a whole number, and the text is not a whole number",
        ),
        (
            "age = '2.5'",
            "`age` is a whole number, and the text is not a whole number",
        ),
        ("chol = 'NaN'", "`chol` is a number, and the text is not a number"),
        ("chol = 'inf'", "`chol` is a number, and the text is not a number"),
        ("chol = ''", "`chol` is a number, and the text is not a number"),
        (
            "alive = '1'",
            "`alive` is true or false, and the text is not `true` or `false`",
        ),
        (
            "born = '2020-13-01'",
            "`born` is a date, and the text is not a date, written `yyyy-mm-dd`",
        ),
        (
            "born = '2020-1-1'",
            "`born` is a date, and the text is not a date, written `yyyy-mm-dd`",
        ),
        (
            "born = '0000-01-01'",
            "`born` is a date, and the text is not a date, written `yyyy-mm-dd`",
        ),
        (
            "born = DATE 'soon'",
            "`born` is a date, and the text is not a date, written `yyyy-mm-dd`",
        ),
    ] {
        assert_eq!(refused(condition).to_string(), expected, "{condition}");
    }
}

/// Each kind of column with each kind of constant, in each form of comparison: the constant is of the kind, or it is refused.
#[test]
fn what_is_of_another_kind_is_never_compared_as_text() {
    let own = [
        ("age", vec!["1"]),
        ("chol", vec!["1", "2.5"]),
        ("alive", vec!["true"]),
        ("born", vec!["DATE '2020-01-01'"]),
        ("note", vec![]),
        ("seen", vec![]),
    ];
    let constants = [
        "1",
        "2.5",
        "true",
        "DATE '2020-01-01'",
        "TIMESTAMP '2020-01-01 00:00:00'",
        "INTERVAL '1' DAY",
    ];
    for (column, own) in own {
        for constant in constants {
            for form in ["{} = {c}", "{} > {c}", "{} IN ({c}, {c})", "{} BETWEEN {c} AND {c}"] {
                let condition = form.replace("{}", column).replace("{c}", constant);
                let parsed = parse(&condition, &columns());
                assert_eq!(parsed.is_ok(), own.contains(&constant), "{condition}: {parsed:?}");
            }
        }
    }
    for (condition, expected) in [
        (
            "note > 100",
            "`note` is text, and `100` is a number: they cannot be compared; write text in quotes, as in `note = '…'`",
        ),
        (
            "note IN (1, 2)",
            "`note` is text, and `1` is a number: they cannot be compared; write text in quotes, as in `note = '…'`",
        ),
        (
            "NOTE = false",
            "`note` is text, and `false` is true or false: they cannot be compared; write text in quotes, as in `note = '…'`",
        ),
        (
            "alive = 1",
            "`alive` is true or false, and `1` is a number: they cannot be compared; write `true` or `false`",
        ),
        (
            "born > 1970",
            "`born` is a date, and `1970` is a number: they cannot be compared; write a date, written `yyyy-mm-dd`",
        ),
        (
            "age > 2.5",
            "`age` is a whole number, and `2.5` is not a whole number of 64 bits",
        ),
        (
            "chol = 1e999",
            "`chol` is a number, and `1e999` is not a number of 64 bits",
        ),
    ] {
        assert_eq!(refused(condition).to_string(), expected, "{condition}");
    }
    let seen = refused("seen > '2020-01-01'");
    assert_eq!(seen, ConditionError::NotComparable("seen".parse().unwrap()));
}

#[test]
fn names_in_conditions_match_as_in_queries() {
    for (condition, expected) in [
        ("AGE >= 40", "age >= 40"),
        ("Age > 1 AND aGe < 5", "age >= 2 AND age <= 4"),
        ("GRÖßE = 1", "Größe = 1.0"),
        ("\"age\" = 1", "age = 1"),
        ("ldl = 1", "ldl = 1.0"),
        ("LDL = 1", "LDL = 1.0"),
    ] {
        assert_eq!(shown(condition), expected, "{condition}");
    }
    for (condition, expected) in [
        ("Ldl = 1", "there is no column `Ldl`; did you mean `ldl` or `LDL`?"),
        ("\"AGE\" = 1", "there is no column `AGE`; did you mean `age`?"),
        ("secret = 1", "there is no column `secret`"),
    ] {
        assert_eq!(refused(condition).to_string(), expected, "{condition}");
    }
}

#[test]
fn condition_that_no_row_can_meet_is_called_so() {
    for condition in [
        "age = 1 AND age = 2",
        "AGE > 5 AND age < 6",
        "age IS NULL AND age IS NOT NULL",
        "age >= 40 AND age BETWEEN 1 AND 30",
        "age IN (1, 2) AND sex = 1 AND age IN (3)",
    ] {
        let error = refused(condition).to_string();
        assert!(
            error.starts_with("no row can meet both conditions on `age`"),
            "{condition}: {error}"
        );
    }
    for condition in ["age BETWEEN 60 AND 40", "age > 9223372036854775807"] {
        let error = refused(condition).to_string();
        assert!(
            error.starts_with("no row can meet the condition on `age`"),
            "{condition}: {error}"
        );
    }
}

#[test]
fn what_is_no_conjunction_of_comparisons_is_refused() {
    for general in [
        "age = 1 OR sex = 1",
        "age = sex",
        "NOT age = 1",
        "age <> 3",
        "abs(age) = 1",
        "age + 1 = 2",
        "age IN (SELECT 1)",
        "age = NULL",
        "age = - -1",
        "note = -'a'",
        "t.age = 1",
    ] {
        assert_eq!(refused(general), ConditionError::TooGeneral, "{general}");
    }
    for unreadable in ["age >=", "age = 1; DROP TABLE x", ""] {
        assert_eq!(refused(unreadable), ConditionError::Unreadable, "{unreadable}");
    }
    let long = format!("note = '{}'", "x".repeat(300));
    assert!(matches!(refused(&long), ConditionError::Scope(_)));
}
