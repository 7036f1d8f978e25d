//! Statements below tier `records` that use one form of SQL or one function.

use crate::QueryPart;

/// A table of figures with a number, a mean, a text, a truth value and points in time.
pub(super) const FIGURES: &str = "(SELECT v, n, x, n > 10 AS b, DATE '2020-01-31' AS d, TIMESTAMP '2020-01-31 10:00:00' AS s, \
     CAST(TIMESTAMP '2020-01-31 10:00:00' AS TIMESTAMP WITH TIME ZONE) AS z FROM \
     (SELECT gender_source_value AS v, count(*) AS n, avg(year_of_birth) AS x FROM omop.person GROUP BY 1) AS f \
     WHERE n IS NOT NULL AND x IS NOT NULL) AS t";

/// The same columns, of rows.
pub(super) const ROWS: &str = "(SELECT p.gender_source_value AS v, p.year_of_birth AS n, CAST(p.year_of_birth AS DOUBLE) AS x, \
     p.year_of_birth > 1949 AS b, c.condition_start_date AS d, CAST(c.condition_start_date AS TIMESTAMP) AS s, \
     CAST(CAST(c.condition_start_date AS TIMESTAMP) AS TIMESTAMP WITH TIME ZONE) AS z \
     FROM omop.condition_occurrence AS c JOIN omop.person AS p ON p.person_id = c.person_id) AS t";

const CODED: &str = "omop.condition_occurrence AS c JOIN omop.concept AS k ON k.concept_id = c.condition_concept_id";
const BORN: &str = "omop.condition_occurrence AS c JOIN omop.person AS p ON p.person_id = c.person_id";
const AGE: &str = "EXTRACT(YEAR FROM c.condition_start_date) - p.year_of_birth";

/// An expression with an operator or another form of SQL, over the columns of [`FIGURES`].
pub(super) const EXPRESSIONS: [(&str, &str); 34] = [
    ("+", "n + 1"),
    ("-", "n - 1"),
    ("*", "n * 2"),
    ("/", "n / 2"),
    ("%", "n % 2"),
    ("=", "n = 20"),
    ("<>", "n <> 20"),
    ("<", "n < 20"),
    ("<=", "n <= 20"),
    (">", "n > 20"),
    (">=", "n >= 20"),
    ("AND", "b AND n > 20"),
    ("OR", "b OR n > 20"),
    ("NOT", "NOT b"),
    ("||", "v || '.'"),
    ("IS NULL", "n IS NULL"),
    ("IS TRUE", "b IS TRUE"),
    ("IS DISTINCT FROM", "n IS DISTINCT FROM 20"),
    ("IN", "n IN (20, 30)"),
    ("BETWEEN", "n BETWEEN 20 AND 30"),
    ("LIKE", "v LIKE 'M%'"),
    ("ILIKE", "v ILIKE 'm%'"),
    ("SIMILAR TO", "v SIMILAR TO 'M%'"),
    ("~", "v ~ '^M'"),
    ("CASE", "CASE WHEN b THEN n END"),
    ("CAST", "CAST(n AS DOUBLE)"),
    ("TRY_CAST", "TRY_CAST(v AS BIGINT)"),
    ("INTERVAL", "d + INTERVAL '31 days'"),
    ("AT TIME ZONE", "s AT TIME ZONE 'UTC'"),
    ("EXTRACT", "EXTRACT(YEAR FROM d)"),
    ("OVERLAY", "overlay(v PLACING 'x' FROM 1)"),
    ("POSITION", "position('M' IN v)"),
    ("OVER", "row_number() OVER (ORDER BY n)"),
    (
        "EXISTS",
        "EXISTS (SELECT 1 FROM omop.person AS q WHERE q.person_id = n)",
    ),
];

/// Operators of the library that no part of a query may have, over the same columns.
pub(super) const UNLISTED: [&str; 7] = [
    "n & 1",
    "n ^ 1",
    "n | 1",
    "n << 1",
    "n >> 1",
    "v ^@ 'M'",
    "v LIKE ANY ('M%', 'F%')",
];

/// A statement that is counted and has the operator in this part.
pub(super) fn with_operator(name: &str, part: QueryPart) -> Option<String> {
    match part {
        QueryPart::Condition => condition(name),
        QueryPart::Group => group(name).map(|(expression, from)| grouped(expression, from)),
        QueryPart::Operand => {
            operand(name).map(|(expression, from)| format!("SELECT avg({expression}) AS m FROM {from}"))
        }
        QueryPart::Aggregate => aggregate(name).map(str::to_owned),
        QueryPart::PerSubject => (name == "SELECT DISTINCT").then(|| {
            "SELECT count(*) AS n FROM (SELECT DISTINCT person_id FROM omop.condition_occurrence) AS t".to_owned()
        }),
        QueryPart::Figures => figures(name),
    }
}

/// A statement that is computed from figures with the operator.
pub(super) fn figures(name: &str) -> Option<String> {
    if name == "SELECT DISTINCT" {
        return Some(format!("SELECT DISTINCT b FROM {FIGURES}"));
    }
    let (_, expression) = EXPRESSIONS.iter().find(|(of, _)| *of == name)?;
    Some(format!("SELECT {expression} AS y FROM {FIGURES}"))
}

pub(super) fn grouped(expression: &str, from: &str) -> String {
    format!("SELECT {expression} AS g, count(*) AS n FROM {from} GROUP BY 1")
}

fn condition(name: &str) -> Option<String> {
    let (condition, from) = match name {
        "+" => ("year_of_birth + 5 < 1955", "omop.person"),
        "-" => ("year_of_birth - 5 < 1945", "omop.person"),
        "*" => ("year_of_birth < 390 * 5", "omop.person"),
        "/" => ("year_of_birth < 3900 / 2.0", "omop.person"),
        "AND" => ("year_of_birth < 1950 AND gender_concept_id = 8507", "omop.person"),
        "OR" => ("year_of_birth < 1950 OR gender_concept_id = 8507", "omop.person"),
        "CAST" => (
            "CAST(condition_start_date AS DATE) >= DATE '2000-01-01'",
            "omop.condition_occurrence",
        ),
        "TRY_CAST" => ("TRY_CAST(value_source_value AS DOUBLE) >= 100", "omop.measurement"),
        "INTERVAL" => (
            "condition_start_date < DATE '2000-01-01' + INTERVAL '31 days'",
            "omop.condition_occurrence",
        ),
        "EXTRACT" => (
            "EXTRACT(YEAR FROM condition_start_date) = 2010",
            "omop.condition_occurrence",
        ),
        _ => truth(name)?,
    };
    Some(format!("SELECT count(*) AS n FROM {from} WHERE {condition}"))
}

/// A condition that is a group as well.
fn truth(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "=" => ("gender_concept_id = 8507", "omop.person"),
        "<>" => ("gender_concept_id <> 8507", "omop.person"),
        "<" => ("year_of_birth < 1950", "omop.person"),
        "<=" => ("year_of_birth <= 1949", "omop.person"),
        ">" => ("year_of_birth > 1949", "omop.person"),
        ">=" => ("year_of_birth >= 1950", "omop.person"),
        "AND" => ("year_of_birth < 1950 AND gender_concept_id = 8507", "omop.person"),
        "OR" => ("year_of_birth < 1950 OR gender_concept_id = 8507", "omop.person"),
        "NOT" => ("NOT (year_of_birth < 1950)", "omop.person"),
        "IS DISTINCT FROM" => ("gender_concept_id IS DISTINCT FROM 8507", "omop.person"),
        "IS NULL" => ("year_of_birth IS NULL", "omop.person"),
        "IS TRUE" => ("(year_of_birth < 1950) IS TRUE", "omop.person"),
        "IN" => ("gender_concept_id IN (8507)", "omop.person"),
        "BETWEEN" => ("year_of_birth BETWEEN 1950 AND 1959", "omop.person"),
        "LIKE" => ("k.concept_name LIKE 'I21%'", CODED),
        "ILIKE" => ("k.concept_name ILIKE 'i21%'", CODED),
        "EXISTS" => (
            "EXISTS (SELECT 1 FROM omop.drug_exposure AS d WHERE d.person_id = p.person_id)",
            "omop.person AS p",
        ),
        _ => return None,
    })
}

fn group(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "-" => (AGE, BORN),
        "*" => ("floor(year_of_birth / 10) * 10", "omop.person"),
        "/" => ("year_of_birth / 10", "omop.person"),
        "CASE" => ("CASE WHEN year_of_birth < 1950 THEN 'a' ELSE 'b' END", "omop.person"),
        "CAST" => ("CAST(days_supply AS BIGINT)", "omop.drug_exposure"),
        "TRY_CAST" => ("TRY_CAST(value_source_value AS DOUBLE)", "omop.measurement"),
        "EXTRACT" => ("EXTRACT(YEAR FROM condition_start_date)", "omop.condition_occurrence"),
        _ => truth(name)?,
    })
}

fn operand(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "+" => ("age + chol", "heart.heart"),
        "-" => ("chol - age", "heart.heart"),
        "*" => ("age * 2", "heart.heart"),
        "/" => ("age / 2.0", "heart.heart"),
        "CASE" => ("CASE WHEN age < 50 THEN chol END", "heart.heart"),
        "CAST" => ("CAST(age AS DOUBLE)", "heart.heart"),
        "TRY_CAST" => ("TRY_CAST(value_source_value AS DOUBLE)", "omop.measurement"),
        "EXTRACT" => (AGE, BORN),
        _ => return None,
    })
}

fn aggregate(name: &str) -> Option<&'static str> {
    Some(match name {
        "FILTER" => "SELECT count(*) FILTER (WHERE age < 50) AS n FROM heart.heart",
        "WITHIN GROUP" => "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY age) AS m FROM heart.heart",
        "count(DISTINCT …)" => "SELECT count(DISTINCT person_id) AS n FROM omop.condition_occurrence",
        _ => return None,
    })
}

/// A statement that is counted and has the function of one row in this part.
pub(super) fn with_function(name: &str, part: QueryPart) -> Option<String> {
    let year = format!("{name}('year', c.condition_start_date)");
    Some(match (name, part) {
        ("date_part" | "datepart", QueryPart::Condition) => {
            format!("SELECT count(*) AS n FROM omop.condition_occurrence AS c WHERE {year} = 2010")
        }
        ("date_part" | "datepart" | "date_trunc" | "datetrunc", QueryPart::Group) => {
            grouped(&year, "omop.condition_occurrence AS c")
        }
        ("date_part" | "datepart", QueryPart::Operand) => {
            format!("SELECT avg({year} - p.year_of_birth) AS m FROM {BORN}")
        }
        ("lower", QueryPart::Condition) => {
            format!("SELECT count(*) AS n FROM {CODED} WHERE lower(k.concept_name) LIKE '%infarction%'")
        }
        ("lower", QueryPart::Group) => grouped("lower(k.concept_name) LIKE '%infarction%'", CODED),
        ("coalesce", QueryPart::Group) => grouped("coalesce(gender_source_value, 'none')", "omop.person"),
        ("floor", QueryPart::Group) => grouped("floor(year_of_birth / 10) * 10", "omop.person"),
        _ => return None,
    })
}

/// The arguments of functions of one row: some fit each function.
pub(super) const ARGUMENTS: [&str; 19] = [
    "",
    "x",
    "n",
    "v",
    "b",
    "d",
    "s",
    "x, x",
    "n, n",
    "v, v",
    "v, n",
    "v, n, n",
    "v, v, v",
    "v, v, n",
    "'year', d",
    "INTERVAL '1 day', s",
    "n, n, n",
    "d, v",
    "v PLACING v FROM n",
];

/// The arguments of aggregate functions: some fit each function. `{n}` and `{m}` are columns of numbers.
const OPERANDS: [&str; 9] = [
    "({n})",
    "({n}, {m})",
    "({n}, 0.5)",
    "({n}, 1)",
    "(0.5) WITHIN GROUP (ORDER BY {n})",
    "(1, 0.5) WITHIN GROUP (ORDER BY {n})",
    "({n} > 1)",
    "(CAST({n} AS TEXT), ',')",
    "(1)",
];

/// Calls of an aggregate function over two columns, not all of which fit it.
pub(super) fn aggregates(name: &str, n: &str, m: &str) -> Vec<String> {
    let calls = OPERANDS
        .iter()
        .map(|operands| operands.replace("{n}", n).replace("{m}", m));
    calls.map(|operands| format!("{name}{operands}")).collect()
}

/// A call of a window function over the columns of [`FIGURES`].
pub(super) fn window(name: &str) -> String {
    let arguments = match name {
        "ntile" => "2",
        "lag" | "lead" | "first_value" | "last_value" => "n",
        "nth_value" => "n, 1",
        _ => "",
    };
    format!("SELECT {name}({arguments}) OVER (ORDER BY n) AS y FROM {FIGURES}")
}
