//! What is computed where, and that the list in the documentation is the one of the checks.

mod below;
mod calls;
mod statements;

use arrow::array::{BooleanArray, Date32Array, Float64Array, Int64Array, StringArray, TimestampMillisecondArray};
use concordat_protocol::schema::ColumnKind;

use super::{home::Home, *};
use calls::{CALLS, GROUPED};

use crate::{ComputedBy, FunctionKind, FunctionRule, QueryPart, ShownColumn, functions, shown_schema};

fn ordinary() -> Home {
    let column = |name: &str, kind, values: ArrayRef| {
        let shown = ShownColumn {
            name: name.to_owned(),
            kind,
            transform: Transform::Clear,
        };
        (shown, values)
    };
    let moments = || TimestampMillisecondArray::from(vec![Some(1_600_000_000_000), Some(0), None]);
    Home::of(vec![
        column(
            "n",
            ColumnKind::Int,
            Arc::new(Int64Array::from(vec![Some(3), Some(7), None])),
        ),
        column(
            "x",
            ColumnKind::Float,
            Arc::new(Float64Array::from(vec![Some(2.25), Some(0.5), None])),
        ),
        column(
            "b",
            ColumnKind::Boolean,
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ),
        column(
            "v",
            ColumnKind::Text,
            Arc::new(StringArray::from(vec![Some("ten"), Some("one"), None])),
        ),
        column(
            "d",
            ColumnKind::Date,
            Arc::new(Date32Array::from(vec![Some(18_262), Some(0), None])),
        ),
        column("s", ColumnKind::Timestamp, Arc::new(moments())),
        column("z", ColumnKind::TimestampUtc, Arc::new(moments().with_timezone("UTC"))),
    ])
}

#[tokio::test]
async fn ordinary_calls_have_a_value() {
    let home = ordinary();
    for call in CALLS {
        let sql = format!("SELECT {call} FROM t");
        let rows = home.rows(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(!rows[0][0].is_empty() && !rows[1][0].is_empty(), "{sql}: {rows:?}");
    }
    for call in GROUPED {
        let sql = format!("SELECT {call} AS c FROM t");
        let rows = home.rows(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(rows.iter().any(|row| !row[0].is_empty()), "{sql}: {rows:?}");
    }
}

/// The consumer's node refuses what the library would compute in another way, or leave out.
#[tokio::test]
async fn consumer_refuses_what_has_no_meaning() {
    let home = ordinary();
    for sql in [
        "SELECT b FROM t EXCEPT ALL SELECT b FROM t",
        "SELECT b FROM t INTERSECT ALL SELECT b FROM t",
        "SELECT n ^ 2 FROM t",
        "SELECT n << 64 FROM t",
        "SELECT n & 1 FROM t",
        "SELECT n FROM t TABLESAMPLE (10 PERCENT)",
        "SELECT n FROM t PREWHERE n > 100",
        "SELECT b, count(*) FROM t GROUP BY b WITH ROLLUP",
    ] {
        let refused = home.rows(sql).await;
        assert!(
            matches!(refused, Err(QueryError::NotDefined { .. })),
            "{sql}: {refused:?}"
        );
    }
    let refused = home.rows("SELECT n FROM t WHERE x < 1e400").await;
    assert!(matches!(refused, Err(QueryError::Invalid { .. })), "{refused:?}");
}

#[tokio::test]
async fn decimals_have_values_on_the_consumers_node() {
    let home = ordinary();
    for (expression, expected) in [
        ("CAST(n AS DECIMAL(10, 2)) + 1", "4.00,8.00,"),
        ("CAST(n AS DECIMAL(10, 2)) - CAST(x AS DECIMAL(10, 3))", "0.750,6.500,"),
        ("CAST(n AS DECIMAL(10, 2)) * 2", "6.00,14.00,"),
        ("CAST(n AS DECIMAL(10, 2)) / 2", "1.500000,3.500000,"),
        ("CAST(n AS DECIMAL(10, 2)) % 2", "1.00,1.00,"),
        ("CAST(n AS DECIMAL(10, 2)) % 0", ",,"),
    ] {
        let sql = format!("SELECT {expression} AS y FROM t ORDER BY n");
        let rows = home.rows(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(rows.concat().join(","), expected, "{sql}");
    }
    let counted = home
        .rows("SELECT count(*) FROM t WHERE CAST(n AS DECIMAL(10, 2)) * 2 > 10")
        .await
        .unwrap();
    assert_eq!(counted.concat(), ["1"]);
    let mean = home
        .rows("SELECT sum(CAST(n AS DECIMAL(19, 0))) / count(n) FROM t")
        .await
        .unwrap();
    assert_eq!(mean.concat(), ["5.0000"]);
}

#[tokio::test]
async fn current_time_is_one_for_all_rows() {
    let home = ordinary();
    for condition in [
        "d < current_date",
        "s < now() AND now() = current_timestamp",
        "current_timestamp > TIMESTAMP '2020-01-01 00:00:00'",
        "current_time IS NOT NULL",
        "today() > DATE '2020-01-01'",
    ] {
        let sql = format!("SELECT count(*) FROM t WHERE n IS NOT NULL AND {condition}");
        let rows = home.rows(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(rows.concat(), ["2"], "{sql}");
    }
}

#[tokio::test]
async fn consumer_computes_what_providers_do_not() {
    let home = ordinary();
    for (sql, expected) in [
        ("SELECT b, count(*) FROM t GROUP BY ALL ORDER BY b", "false,1,true,1,,1"),
        (
            "SELECT b, sum(n) FROM t GROUP BY ROLLUP (b) ORDER BY b, 2",
            "false,7,true,3,,10,,",
        ),
        (
            "SELECT n, sum(n) OVER (ORDER BY n) AS s FROM t ORDER BY n",
            "3,3,7,10,,10",
        ),
        (
            "SELECT median(n), percentile_cont(0.5) WITHIN GROUP (ORDER BY n) FROM t",
            "5.0,5.0",
        ),
        ("SELECT string_agg(v, '+' ORDER BY v) FROM t", "one+ten"),
        ("SELECT CAST(x AS DECIMAL(5, 1)) FROM t ORDER BY n", "2.3,0.5,"),
        (
            "SELECT d + INTERVAL '1 month' FROM t ORDER BY n LIMIT 2",
            "2020-02-01,1970-02-01",
        ),
        ("SELECT count(*) FROM t WHERE v ~ '^t' AND v SIMILAR TO 't%'", "1"),
        ("SELECT count(*) FROM t WHERE v NOT SIMILAR TO '(t|x)e_'", "1"),
        ("SELECT count(*) FROM t WHERE v SIMILAR TO 'e'", "0"),
        ("SELECT to_char(d, '%d.%m.%Y') FROM t WHERE n = 3", "01.01.2020"),
        ("SELECT power(n, 2) FROM t WHERE n = 3", "9.0"),
        ("SELECT count(*) FROM t WHERE -(n - n) = 0 AND -(x - x) = 0", "2"),
        (
            "SELECT avg(s - TIMESTAMP '1970-01-01 00:00:00') > INTERVAL '1 day' FROM t",
            "true",
        ),
        (
            "SELECT CAST(s AT TIME ZONE 'UTC' AS TEXT) LIKE '2020-09-13T12:26:40%' FROM t WHERE n = 3",
            "true",
        ),
        (
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT sum(n) FROM r",
            "10",
        ),
        (
            "SELECT (SELECT sum(i.n) FROM t AS i WHERE i.v = o.v) FROM t AS o ORDER BY n",
            "3,7,",
        ),
        (
            "SELECT count(*) FROM t AS o WHERE EXISTS (SELECT 1 FROM t AS i WHERE i.n > o.n + 1)",
            "1",
        ),
        ("SELECT n FROM t WHERE n = ANY (SELECT n FROM t WHERE x < 1)", "7"),
        ("SELECT n FROM t WHERE n <> ALL (SELECT n FROM t WHERE x < 1)", "3"),
        ("SELECT n FROM t WHERE n IN (SELECT n FROM t WHERE x < 1)", "7"),
        ("SELECT n FROM t WHERE n NOT IN (SELECT n FROM t)", ""),
        ("SELECT n FROM t WHERE n = (SELECT max(n) FROM t)", "7"),
        (
            "SELECT n FROM t WHERE EXISTS (SELECT 1 FROM t AS i WHERE i.n = t.n AND i.x < 1)",
            "7",
        ),
        (
            "SELECT t.n FROM t LEFT JOIN t AS i ON t.n = i.n AND i.x < 1 WHERE i.n IS NULL ORDER BY 1",
            "3,",
        ),
        (
            "SELECT sum(n), count(*) FILTER (WHERE b), sum(DISTINCT n), avg(DISTINCT n) FROM t",
            "10,1,10,5.0",
        ),
        ("VALUES (1, 'a'), (2, 'b')", "1,a,2,b"),
        ("SELECT n FROM t WHERE n IN (n, 0) ORDER BY n", "3,7"),
        ("SELECT n FROM t WHERE n NOT IN (n - 4, 0) ORDER BY n", "3,7"),
        (
            "SELECT v FROM t WHERE v LIKE 't!%' ESCAPE '!' OR v LIKE 't!en' ESCAPE '!'",
            "ten",
        ),
        (
            "SELECT 'a%\\b' LIKE 'a!%\\b' ESCAPE '!', 'axb' LIKE 'a!%b' ESCAPE '!' FROM t LIMIT 1",
            "true,false",
        ),
        (
            "SELECT b IS NOT FALSE AS c FROM t UNION SELECT TRUE FROM t ORDER BY c",
            "false,true",
        ),
        ("SELECT count(*) FROM t WHERE 2 < (- -2.5)", "3"),
        ("SELECT max(x * 1e308 * 10 - x * 1e308 * 10) > 5 FROM t", "true"),
        ("SELECT count(*) FROM t WHERE x * 1e308 * 10 - x * 1e308 * 10 > 5", "2"),
        (
            "SELECT count(*) FROM t WHERE ceil(-x / 10) = 0 AND -1 * (x - x) = 0 AND x - x = -0.0",
            "2",
        ),
    ] {
        let rows = home.rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(rows.concat().join(","), expected, "{sql}");
    }
}

#[tokio::test]
async fn functions_are_missing_where_they_have_no_value() {
    let home = ordinary();
    for (sql, expected) in [
        ("SELECT sqrt(x - 1) FROM t", ["1.118033988749895", "", ""]),
        ("SELECT ln(x - 0.5) FROM t", ["0.5596157879354227", "", ""]),
        ("SELECT log10(0 * x) FROM t", ["", "", ""]),
        ("SELECT acos(x) FROM t", ["", "1.0471975511965979", ""]),
        ("SELECT substr(v, 0, n - 4) FROM t", ["", "on", ""]),
        ("SELECT power(10.0, n * 100) FROM t", ["1e300", "", ""]),
        ("SELECT factorial(n * n * n) FROM t", ["", "", ""]),
        ("SELECT make_date(2020, n + 6, 1) FROM t", ["2020-09-01", "", ""]),
        ("SELECT chr(n - 4) FROM t", ["", "\u{3}", ""]),
        ("SELECT n / 0, n % 0, x / 0, x % 0.0 FROM t", ["", "", ""]),
        ("SELECT x / -0.0 FROM t", ["", "", ""]),
        ("SELECT x / least(x - x, 0.0) FROM t", ["", "", ""]),
        ("SELECT n * 9223372036854775807 FROM t", ["", "", ""]),
        (
            "SELECT n - 9223372036854775807 - 5 FROM t",
            ["-9223372036854775809", "-9223372036854775805", ""],
        ),
        ("SELECT -n / 2 FROM t", ["-1", "-3", ""]),
        ("SELECT -n % 2 FROM t", ["-1", "-1", ""]),
        ("SELECT substr('abc', 0, -1) FROM t", ["", "", ""]),
    ] {
        let rows = home.rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let first: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
        let expected = if sql.contains("- 5 FROM") {
            ["", "-9223372036854775805", ""]
        } else {
            expected
        };
        assert_eq!(first, expected, "{sql}");
    }
    for (sql, part) in [
        ("SELECT date_part('nonsense', d) FROM t", "has no value for any row"),
        ("SELECT date_trunc('nonsense', s) FROM t", "has no value for any row"),
        ("SELECT foo(n) FROM t", "there is no function `foo`"),
        (
            "SELECT sum(v) FROM t",
            "if `v` is text, write `sum(TRY_CAST(v AS DOUBLE))`",
        ),
        (
            "SELECT avg(v) FROM t",
            "if `v` is text, write `avg(TRY_CAST(v AS DOUBLE))`; a text that is not a number is missing then, and \
             `SELECT count(*) … WHERE v IS NOT NULL AND TRY_CAST(v AS DOUBLE) IS NULL` counts those",
        ),
        (
            "SELECT n, count(*) FROM t",
            "`n` is neither grouped by nor inside an aggregate",
        ),
        ("SELECT arrow_typeof(n) FROM t", "there is no function"),
        (
            "SELECT n FROM t WHERE n > ALL (SELECT n FROM t)",
            "compare with the `min` or `max`",
        ),
    ] {
        let refusal = home.refusal(sql).await;
        assert!(refusal.contains(part), "{sql}: {refusal}");
        for foreign in ["Utf8", "Int64", "signature", "datafusion", "Error during"] {
            assert!(!refusal.contains(foreign), "{sql}: {refusal}");
        }
    }
}

#[tokio::test]
async fn provider_computes_what_the_list_states() {
    let fixture = Fixture::new().await;
    let columns = ["age", "sex", "chol", "born", "name"];
    let mut tried = 0;
    for rule in functions() {
        if rule.kind != FunctionKind::Aggregate && rule.kind != FunctionKind::Scalar {
            continue;
        }
        let at = |tier: Tier| {
            let call = call_of(rule.name, rule.kind);
            let dataset = "budapest.heart".parse().unwrap();
            let shown = columns.map(|name| ShownColumn {
                name: name.to_owned(),
                kind: match name {
                    "born" => ColumnKind::Date,
                    "name" => ColumnKind::Text,
                    "chol" => ColumnKind::Float,
                    _ => ColumnKind::Int,
                },
                transform: Transform::Clear,
            });
            let shown = shown_schema("x", &shown).unwrap();
            async move { crate::foreseen(&call, &dataset, None, &shown, tier).await }
        };
        let found = at(Tier::Records).await;
        let is_listed = !matches!(&found, Err(QueryError::Function { .. }));
        assert_eq!(
            is_listed,
            rule.records == ComputedBy::Holder,
            "{}: {found:?}",
            rule.name
        );
        tried += 1;
    }
    assert!(tried > 100, "{tried}");
    drop(fixture);
}

/// A query that uses the function.
fn call_of(name: &str, kind: FunctionKind) -> String {
    let arguments = match name {
        "date_part" => "'year', born",
        "date_trunc" => "'month', born",
        "contains" | "ends_with" | "starts_with" | "strpos" => "name, 'x'",
        "left" | "right" => "name, 2",
        "substr" | "substring" => "name, 1, 2",
        "btrim" | "trim" | "ltrim" | "rtrim" | "upper" | "lower" | "length" | "octet_length" | "char_length"
        | "character_length" => "name",
        "nullif" | "greatest" | "least" | "nvl" | "coalesce" | "concat" | "log" => "chol, chol",
        "corr" => "age, chol",
        _ => "chol",
    };
    if kind == FunctionKind::Aggregate {
        format!("SELECT {name}({arguments}) FROM heart")
    } else {
        format!("SELECT {name}({arguments}) AS x FROM heart")
    }
}

/// The table of `docs/sql.md`. `CONCORDAT_GOLDEN=write` writes it.
#[test]
fn list_of_functions_is_the_one_of_the_documentation() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- functions -->\n").unwrap();
    let (table, after) = rest.split_once("<!-- end of functions -->").unwrap();
    let expected = documented();
    if std::env::var("CONCORDAT_GOLDEN").as_deref() == Ok("write") {
        let written = format!("{before}<!-- functions -->\n{expected}<!-- end of functions -->{after}");
        std::fs::write(&path, written).unwrap();
        return;
    }
    assert_eq!(
        table, expected,
        "the list of functions has changed; write it with `CONCORDAT_GOLDEN=write`"
    );
}

/// What rules of one row of the table have in common.
fn common(rule: &FunctionRule) -> (FunctionKind, u8, &'static [QueryPart], ComputedBy) {
    (
        rule.kind,
        rule.tier.map_or(9, |tier| tier as u8),
        rule.parts,
        rule.records,
    )
}

/// One row for each kind, tier, parts and who computes at tier `records`.
fn documented() -> String {
    let mut rules: Vec<FunctionRule> = functions().collect();
    rules.sort_by_key(common);
    let mut text =
        "| kind | parts below `records` | from tier | at `records` | names |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    for same in rules.chunk_by(|one, other| common(one) == common(other)) {
        let rule = &same[0];
        let parts: Vec<&str> = rule.parts.iter().map(|part| part.label()).collect();
        let parts = if parts.is_empty() {
            "-".to_owned()
        } else {
            parts.join(", ")
        };
        let tier = rule.tier.map_or_else(|| "-".to_owned(), |tier| format!("`{tier}`"));
        let names: Vec<String> = same
            .iter()
            .map(|rule| format!("`{}`", rule.name.replace('|', "\\|")))
            .collect();
        let kind = rule.kind.label();
        let records = rule.records.label();
        text.push_str(&format!(
            "| {kind} | {parts} | {tier} | {records} | {} |\n",
            names.join(" ")
        ));
    }
    text
}
