use concordat_protocol::collection::ColumnRole;

use super::text::ConditionTextError;
use super::*;

/// Why a condition is refused: as it is read, or for what it names.
#[derive(Debug, PartialEq, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Text(#[from] ConditionTextError),
    #[error(transparent)]
    Condition(#[from] ConditionError),
}

/// Reads a text, sends the comparisons as an engine process does, and finds what they are about.
fn parse(text: &str, datasets: &[ListedDataset<'_>]) -> Result<Conditions, Refused> {
    let read = RowCondition::parse(text)?;
    let sent = serde_json::to_vec(&read).unwrap();
    let received: RowCondition = serde_json::from_slice(&sent).unwrap();
    assert_eq!(received, read, "{text}");
    Ok(conditions(&received, datasets)?)
}

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
        role: ColumnRole::Value,
        unit: None,
    };
    kinds.map(column).into()
}

fn heart() -> DatasetName {
    "heart".parse().unwrap()
}

/// The condition on rows of a dataset alone.
fn rows_of_one(condition: &str) -> Result<Rows, Refused> {
    let mut conditions = parse(condition, &[(&heart(), columns().as_slice())])?;
    let rows = conditions.remove(&heart()).expect("a condition on the dataset");
    assert!(conditions.is_empty(), "{conditions:?}");
    Ok(rows)
}

fn shown(condition: &str) -> String {
    let rows = rows_of_one(condition);
    rows.unwrap_or_else(|error| panic!("{condition}: {error}")).to_string()
}

fn refused(condition: &str) -> Refused {
    match rows_of_one(condition) {
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
                let parsed = rows_of_one(&condition);
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
    assert_eq!(
        seen,
        Refused::from(ConditionError::NotComparable("seen".parse().unwrap()))
    );
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
        "a.heart.age = 1",
    ] {
        assert_eq!(
            refused(general),
            Refused::from(ConditionTextError::TooGeneral),
            "{general}"
        );
    }
    for unreadable in ["age >=", "age = 1; DROP TABLE x", ""] {
        assert_eq!(
            refused(unreadable),
            Refused::from(ConditionTextError::Unreadable),
            "{unreadable}"
        );
    }
    let long = format!("note = '{}'", "x".repeat(300));
    assert!(matches!(refused(&long), Refused::Condition(ConditionError::Scope(_))));
    let longer = format!("note = '{}'", "x".repeat(20_000));
    assert_eq!(refused(&longer), Refused::from(ConditionTextError::TooLong));
}

#[test]
fn condition_that_is_nested_too_deeply_is_not_parsed() {
    for nested in [
        "age = 1 AND ".repeat(1000) + "age = 1",
        "INTERVAL ".repeat(1700),
        "NOT ".repeat(4000) + "age = 1",
        "(".repeat(8000) + "age = 1" + &")".repeat(8000),
        "age + ".repeat(2500) + "1 = 1",
    ] {
        let shown: String = nested.chars().take(20).collect();
        assert_eq!(
            refused(&nested),
            Refused::from(ConditionTextError::TooNested),
            "{shown}"
        );
    }
    // As many comparisons as there may be columns, and a long list.
    let all = columns()
        .iter()
        .map(|column| format!("\"{}\" IS NULL", column.name))
        .collect::<Vec<_>>();
    assert_eq!(shown(&all.join(" AND ")).matches(" AND ").count(), all.len() - 1);
    let brackets = "(".repeat(30) + "age = 1" + &")".repeat(30);
    assert_eq!(shown(&brackets), "age = 1");
}

#[test]
fn condition_over_datasets_is_about_the_named_ones() {
    let persons: Vec<CatalogColumn> = columns().into_iter().take(3).collect();
    let visits: Vec<CatalogColumn> = columns().into_iter().skip(1).take(4).collect();
    let names: [DatasetName; 2] = ["person", "visit"].map(|name| name.parse().unwrap());
    let datasets: [ListedDataset<'_>; 2] = [(&names[0], persons.as_slice()), (&names[1], visits.as_slice())];
    let read = |condition: &str| -> Result<Vec<String>, String> {
        let conditions = parse(condition, &datasets).map_err(|error| error.to_string())?;
        let each = conditions.iter().map(|(dataset, rows)| format!("{dataset}: {rows}"));
        Ok(each.collect())
    };
    for (condition, expected) in [
        ("person.age >= 40", &["person: age >= 40"][..]),
        (
            "age >= 40 AND born >= '2020-01-01'",
            &["person: age >= 40", "visit: born >= DATE '2020-01-01'"],
        ),
        ("PERSON.AGE > 1 AND person.age < 5", &["person: age >= 2 AND age <= 4"]),
        (
            "person.sex = 1 AND visit.sex = 2",
            &["person: sex = 1", "visit: sex = 2"],
        ),
        ("\"visit\".\"sex\" IS NULL", &["visit: sex IS NULL"]),
    ] {
        assert_eq!(read(condition).unwrap(), expected, "{condition}");
    }
    let general = ConditionTextError::TooGeneral.to_string();
    for (condition, expected) in [
        (
            "sex = 1",
            "`sex` is a column of `person` and `visit`; name one of them, as in `person.sex`",
        ),
        (
            "drug.sex = 1",
            "the row condition names `drug`, which is not among the datasets that it is about",
        ),
        (
            "\"Person\".sex = 1",
            "the row condition names `Person`, which is not among the datasets that it is about",
        ),
        ("visit.age = 1", "there is no column `age`"),
        ("ward = 1", "there is no column `ward`"),
        ("heart.visit.sex = 1", general.as_str()),
        (
            "visit.sex = 1 AND visit.sex = 2",
            "no row can meet both conditions on `sex`; leave one of them out",
        ),
    ] {
        assert_eq!(read(condition).unwrap_err(), expected, "{condition}");
    }
}

/// A process that has read a text may send anything.
#[test]
fn comparisons_that_no_text_contains_are_not_received() {
    let received = |comparisons: serde_json::Value| serde_json::from_value::<RowCondition>(comparisons);
    let comparison = |constant: serde_json::Value| {
        serde_json::json!({
            "column": { "dataset": null, "column": { "text": "age", "quoted": false } },
            "test": { "Is": ["Equal", constant] },
        })
    };
    let number = |digits: &str| comparison(serde_json::json!({ "Number": digits }));
    assert!(received(serde_json::json!([number("-1.5e3")])).is_ok());
    let long = "1".repeat(20_000);
    let name = "x".repeat(100);
    for invalid in [
        serde_json::json!([number("1; see https://example.org")]),
        serde_json::json!([number(&long)]),
        serde_json::json!([comparison(serde_json::json!({ "Other": name }))]),
        serde_json::json!(vec![number("1"); 2000]),
        serde_json::json!([{ "column": null, "test": "Missing" }]),
        serde_json::json!({ "comparisons": [] }),
    ] {
        let shown: String = invalid.to_string().chars().take(200).collect();
        assert!(received(invalid).is_err(), "{shown}");
    }
}
