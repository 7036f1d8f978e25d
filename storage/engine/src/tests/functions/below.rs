//! The list below tier `records`, in both directions: what it has for a part is counted there, and all else is refused there.

use super::statements::{
    ARGUMENTS, EXPRESSIONS, FIGURES, ROWS, UNLISTED, aggregates, figures, grouped, window, with_function, with_operator,
};
use crate::{
    CountableForm, FunctionKind, FunctionRule, NotCountable, QueryError, QueryPart,
    decision::{cells_tables, computed_above},
    functions,
    grouping::withheld,
    home_state,
    statistic::tests::collections::Collection,
};

/// The parts that lowering reads; what is above is planned as it is.
const READ: [QueryPart; 3] = [QueryPart::Condition, QueryPart::Group, QueryPart::Operand];

/// The collections of the statements.
struct Collections {
    omop: Collection,
    heart: Collection,
}

impl Collections {
    fn new() -> Self {
        Self {
            omop: Collection::named("omop"),
            heart: Collection::named("heart"),
        }
    }

    fn of(&self, sql: &str) -> &Collection {
        if sql.contains("heart.") {
            &self.heart
        } else {
            &self.omop
        }
    }

    fn is_planned(&self, sql: &str) -> bool {
        self.of(sql).planned(sql).is_ok()
    }

    fn is_lowered(&self, sql: &str) -> bool {
        self.is_planned(sql) && self.of(sql).lower(sql).is_ok()
    }

    fn lowers(&self, sql: &str) {
        if let Err(error) = self.of(sql).lower(sql) {
            panic!("{sql}: {error:?}");
        }
    }

    /// The form with which a statement is refused; `None` if it cannot be planned.
    fn refused(&self, sql: &str) -> Option<CountableForm> {
        self.is_planned(sql).then(|| match self.of(sql).lower(sql) {
            Err(NotCountable::Form(form)) => form,
            other => panic!("{sql}: {:?}", other.map(|lowered| lowered.blocks)),
        })
    }

    /// Plans what a statement computes from figures, all of which are withheld.
    async fn above(&self, sql: &str) -> Result<(), QueryError> {
        let collection = self.of(sql);
        let lowered = collection.lower(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let nothing = lowered.blocks.iter();
        let nothing: Result<Vec<_>, _> = nothing
            .map(|block| withheld(&block.statistic, &collection.known))
            .collect();
        let tables = cells_tables(&lowered, &collection.known, &nothing?)?;
        let state = home_state(64 << 20, "omop")?;
        let dataset = "budapest.heart".parse().unwrap();
        computed_above(&state, &lowered, &tables, &dataset).await.map(drop)
    }
}

fn rules(kind: FunctionKind) -> impl Iterator<Item = FunctionRule> {
    functions().filter(move |rule| rule.kind == kind)
}

/// Statements over rows with an expression in one part.
fn in_part(expression: &str, part: QueryPart) -> Vec<String> {
    match part {
        QueryPart::Condition => vec![format!(
            "SELECT count(*) AS y FROM {ROWS} WHERE ({expression}) IS NOT NULL"
        )],
        QueryPart::Group => vec![grouped(expression, ROWS)],
        QueryPart::Operand | QueryPart::Aggregate | QueryPart::PerSubject | QueryPart::Figures => vec![
            format!("SELECT sum({expression}) AS y FROM {ROWS}"),
            format!("SELECT count({expression}) AS y FROM {ROWS}"),
        ],
    }
}

#[test]
fn listed_operators_are_counted_in_their_parts() {
    let known = Collections::new();
    let mut tried = 0;
    for rule in rules(FunctionKind::Operator) {
        for part in rule.parts {
            if *part == QueryPart::Figures {
                continue;
            }
            let sql = with_operator(rule.name, *part);
            known.lowers(&sql.unwrap_or_else(|| panic!("{} in {part:?}", rule.name)));
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}

#[test]
fn other_operators_are_refused_in_each_part() {
    let known = Collections::new();
    for rule in rules(FunctionKind::Operator) {
        let Some((_, expression)) = EXPRESSIONS.iter().find(|(name, _)| *name == rule.name) else {
            continue;
        };
        for part in READ.iter().filter(|part| !rule.parts.contains(part)) {
            let refused = in_part(expression, *part);
            let refused = refused.iter().filter(|sql| known.refused(sql).is_some()).count();
            // A window function is an operand of no aggregate for the planner either.
            assert!(refused > 0 || rule.name == "OVER", "{} in {part:?}", rule.name);
        }
    }
    for expression in UNLISTED {
        for part in READ {
            for sql in in_part(expression, part) {
                known.refused(&sql);
            }
        }
    }
    let rows = format!("SELECT count(*) AS y FROM {ROWS} WHERE n | 1 = 1");
    assert!(!known.is_planned(&rows), "it has no meaning, wherever it is computed");
}

#[tokio::test]
async fn listed_operators_are_computed_from_figures() {
    let known = Collections::new();
    for rule in rules(FunctionKind::Operator) {
        let Some(sql) = figures(rule.name) else { continue };
        let is_listed = rule.parts.contains(&QueryPart::Figures);
        let is_computed = known.is_lowered(&sql) && known.above(&sql).await.is_ok();
        assert_eq!(is_computed, is_listed, "{sql}");
    }
}

#[test]
fn listed_functions_are_counted_in_their_parts() {
    let known = Collections::new();
    let mut tried = 0;
    for rule in rules(FunctionKind::Scalar) {
        for part in READ.iter().filter(|part| rule.parts.contains(part)) {
            let sql = with_function(rule.name, *part);
            known.lowers(&sql.unwrap_or_else(|| panic!("{} in {part:?}", rule.name)));
            tried += 1;
        }
    }
    assert!(tried >= 6, "{tried}");
}

#[test]
fn other_functions_are_refused_in_each_part() {
    let known = Collections::new();
    let mut tried = 0;
    for rule in rules(FunctionKind::Scalar) {
        for part in READ.iter().filter(|part| !rule.parts.contains(part)) {
            let calls = ARGUMENTS.iter().map(|arguments| format!("{}({arguments})", rule.name));
            let statements = calls.flat_map(|call| in_part(&call, *part));
            let refused = statements.filter_map(|sql| known.refused(&sql)).count();
            assert!(refused > 0, "{} in {part:?} is not planned", rule.name);
            tried += refused;
        }
    }
    assert!(tried > 300, "{tried}");
}

#[tokio::test]
async fn listed_functions_are_computed_from_figures() {
    let known = Collections::new();
    for rule in rules(FunctionKind::Scalar) {
        assert!(rule.parts.contains(&QueryPart::Figures), "{}", rule.name);
        let calls = ARGUMENTS.iter().map(|arguments| format!("{}({arguments})", rule.name));
        let statements = calls.map(|call| format!("SELECT {call} AS y FROM {FIGURES}"));
        let lowered = statements.filter(|sql| known.is_lowered(sql)).count();
        assert!(lowered > 0, "{}", rule.name);
    }
    for call in super::CALLS {
        let sql = format!("SELECT {call} AS y FROM {FIGURES}");
        let computed = known.above(&sql).await;
        computed.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

#[test]
fn listed_aggregates_are_counted_and_others_refused() {
    let known = Collections::new();
    for rule in rules(FunctionKind::Aggregate) {
        let is_listed = rule.parts.contains(&QueryPart::Aggregate);
        let calls = aggregates(rule.name, "age", "chol").into_iter();
        let statements: Vec<String> = calls
            .map(|call| format!("SELECT {call} AS y FROM heart.heart"))
            .collect();
        if is_listed {
            assert!(statements.iter().any(|sql| known.is_lowered(sql)), "{}", rule.name);
        } else {
            let refused = statements.iter().filter_map(|sql| known.refused(sql)).count();
            assert!(refused > 0, "{} is not planned", rule.name);
        }
    }
}

#[test]
fn aggregates_per_subject_are_the_listed_ones() {
    let known = Collections::new();
    for rule in rules(FunctionKind::Aggregate) {
        let is_listed = rule.parts.contains(&QueryPart::PerSubject);
        let of_dates = [format!("{}(condition_start_date)", rule.name)];
        let calls = aggregates(rule.name, "condition_concept_id", "visit_occurrence_id");
        let statements = of_dates.into_iter().chain(calls).map(|call| {
            format!(
                "SELECT count(*) AS n FROM (SELECT person_id, {call} AS y FROM omop.condition_occurrence GROUP BY person_id) AS t"
            )
        });
        let statements: Vec<String> = statements.collect();
        if is_listed {
            assert!(statements.iter().any(|sql| known.is_lowered(sql)), "{}", rule.name);
        } else {
            let refused = statements.iter().filter_map(|sql| known.refused(sql)).count();
            assert!(refused > 0, "{} is not planned", rule.name);
        }
    }
}

#[test]
fn aggregates_of_figures_are_refused() {
    let known = Collections::new();
    for rule in rules(FunctionKind::Aggregate) {
        assert!(!rule.parts.contains(&QueryPart::Figures), "{}", rule.name);
        let calls = aggregates(rule.name, "n", "x").into_iter();
        let statements = calls.map(|call| format!("SELECT {call} AS y FROM {FIGURES}"));
        let refused: Vec<CountableForm> = statements.filter_map(|sql| known.refused(&sql)).collect();
        assert!(!refused.is_empty(), "{} is not planned", rule.name);
    }
}

#[tokio::test]
async fn listed_windows_are_computed_from_figures_only() {
    let known = Collections::new();
    for rule in rules(FunctionKind::Window) {
        let sql = window(rule.name);
        let computed = known.above(&sql).await;
        computed.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let of_rows = window(rule.name).replace(FIGURES, ROWS);
        let counted = format!("SELECT count(*) AS n FROM ({of_rows}) AS w");
        assert_eq!(known.refused(&counted), Some(CountableForm::WindowBelow), "{counted}");
    }
}

/// A difference of years is a group; written as a sum it means the same, and is not listed for groups.
#[test]
fn form_that_is_not_listed_is_refused_though_readable() {
    let known = Collections::new();
    let rows = "omop.condition_occurrence AS c JOIN omop.person AS p ON p.person_id = c.person_id WHERE p.year_of_birth < 1950";
    let difference = "EXTRACT(YEAR FROM c.condition_start_date) - p.year_of_birth";
    known.lowers(&grouped(difference, rows));
    let sum = "-p.year_of_birth + EXTRACT(YEAR FROM c.condition_start_date)";
    assert_eq!(known.refused(&grouped(sum, rows)), Some(CountableForm::Expression));
}

/// The examples of the documentation: those before the table are counted, and of each row of the table the first one is refused.
#[test]
fn documented_examples_are_counted_or_refused() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql.md");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("cleveland.omop.", "omop.");
    let (_, rest) = text.split_once("<!-- examples -->\n```sql\n").unwrap();
    let (counted, rest) = rest.split_once(";\n```\n").unwrap();
    let (table, _) = rest.split_once("<!-- end of examples -->").unwrap();
    let known = Collections::new();
    for sql in counted.split(";\n") {
        known.lowers(sql);
    }
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let quoted: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let [refused, nearest] = quoted.as_slice() else {
            panic!("{row}")
        };
        assert!(known.is_planned(refused) && !known.is_lowered(refused), "{refused}");
        known.lowers(nearest);
    }
    assert!(counted.split(";\n").count() >= 8);
}
