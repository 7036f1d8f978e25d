//! Groups: columns with levels, `CASE`, bands of numbers, and parts of dates.

use concordat_protocol::{
    collection::{AtomSet, Levels},
    ids::LevelName,
    scope::Value,
};
use datafusion::logical_expr::{BinaryExpr, Case, Expr, Operator, expr::ScalarFunction};

use super::{
    arithmetic::date_part,
    columns::unaliased,
    literals::{constant, label},
    spans::{MAX_BUCKETS, buckets, months_of},
    state::{Frame, Lowering, Result, refused},
};
use crate::statistic::{
    forms::{Form, NotCountable},
    measure::Group,
    paths::ColumnPath,
    terms::{Condition, Quantity, ReferenceTest},
};

/// The level that groups use where a column has one: it is coarser than what conditions distinguish.
const BAND: &str = "band";
/// The level of an open list that groups use.
const LISTED: &str = "listed";

impl Lowering<'_> {
    /// One column of groups, of rows that meet `rows`.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an expression that is not listed is refused"
    )]
    pub(super) fn group(&mut self, expression: &Expr, frame: &Frame<'_>, rows: &Condition) -> Result<Group> {
        let expression = unaliased(expression);
        match expression {
            Expr::Column(_) if self.is_subject(expression) => Err(refused(Form::SubjectGroup)),
            Expr::Column(column) => self.levels_group(self.quantity_of(column, frame)?, rows),
            Expr::Case(case) => self.case_group(case, frame),
            Expr::ScalarFunction(function) => self.function_group(function, frame, rows),
            Expr::BinaryExpr(BinaryExpr { op, .. }) if is_truth(*op) => self.truth_group(expression, frame),
            Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::Not(_)
            | Expr::Between(_)
            | Expr::InList(_)
            | Expr::Like(_)
            | Expr::Exists(_)
            | Expr::InSubquery(_) => self.truth_group(expression, frame),
            _ => match self.band(expression, frame)? {
                Some(group) => Ok(group),
                None => {
                    let sum = self.sum(expression, frame)?;
                    let of = self.single(&sum).ok_or_else(|| refused(Form::Group))?;
                    self.levels_group(of, rows)
                }
            },
        }
    }

    /// The levels of a quantity.
    fn levels_group(&self, of: Quantity, rows: &Condition) -> Result<Group> {
        let named = |name: &str| LevelName::new(name).ok();
        let levels = self.known.levels(&of);
        let has = |name: &str| named(name).filter(|name| levels.level(name).is_some());
        let level = match &levels {
            Levels::None => return self.named_codes(&of, rows),
            Levels::Truth | Levels::Values(_) => None,
            Levels::Edges(_) => has(BAND),
            Levels::Codes(_) => {
                if let (Quantity::Column(path), Some(codes)) = (&of, codes_of(&of, rows)) {
                    let of = path.clone();
                    return Ok(Group::Codes { of, codes, shown: None });
                }
                Some(has(LISTED).ok_or_else(|| refused(Form::OpenCodes))?)
            }
        };
        Ok(Group::Levels {
            of,
            level,
            missing: None,
        })
    }

    /// Names of codes that a condition names by name or by code, or that the levels of the codes list.
    fn named_codes(&self, of: &Quantity, rows: &Condition) -> Result<Group> {
        let Quantity::Column(name) = of else {
            return Err(refused(Form::Group));
        };
        if !self.known.is_reference(name.dataset()) {
            return Err(refused(Form::Group));
        }
        if let Some(group) = named_by_condition(name, rows) {
            return Ok(group);
        }
        let code = name.linked_by().ok_or_else(|| refused(Form::OpenCodes))?;
        let of = Quantity::Column(code.clone());
        let codes = codes_of(&of, rows).or_else(|| listed_codes(&self.known.levels(&of)));
        Ok(Group::Codes {
            of: code,
            codes: codes.ok_or_else(|| refused(Form::OpenCodes))?,
            shown: Some(name.clone()),
        })
    }

    /// True, false and neither.
    fn truth_group(&mut self, expression: &Expr, frame: &Frame<'_>) -> Result<Group> {
        let condition = self.condition(expression, frame)?;
        let cases = vec![
            (condition.clone(), Some(Value::Bool(true))),
            (condition.negation(), Some(Value::Bool(false))),
        ];
        self.cases(cases, None)
    }

    fn case_group(&mut self, case: &Case, frame: &Frame<'_>) -> Result<Group> {
        if case.when_then_expr.len() > MAX_BUCKETS {
            return Err(NotCountable::TooMany {
                what: "results of a `CASE`",
                most: MAX_BUCKETS,
            });
        }
        let mut cases = Vec::new();
        for (when, then) in &case.when_then_expr {
            let when = match &case.expr {
                None => self.condition(when, frame)?,
                Some(of) => {
                    let equal = Expr::BinaryExpr(BinaryExpr::new(of.clone(), Operator::Eq, when.clone()));
                    self.condition(&equal, frame)?
                }
            };
            cases.push((when, label(then)?.ok_or_else(|| refused(Form::Labels))?));
        }
        let rest = match &case.else_expr {
            None => None,
            Some(rest) => label(rest)?.ok_or_else(|| refused(Form::Labels))?,
        };
        self.cases(cases, rest)
    }

    /// The first condition that is true: buckets if all are about one quantity.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other conditions name no codes and are about no single quantity"
    )]
    fn cases(&self, cases: Vec<(Condition, Option<Value>)>, rest: Option<Value>) -> Result<Group> {
        let of = cases.iter().find_map(|(condition, _)| match condition {
            Condition::Test(of, _) => Some(of.clone()),
            _ => None,
        });
        let Some(of) = of else {
            return Ok(Group::Cases { cases, rest });
        };
        let everything = self.known.levels(&of).all().with_null(true);
        let sets = cases.iter().map(|(condition, label)| {
            let atoms = match condition {
                Condition::All => everything.clone(),
                Condition::Never => everything.complement(),
                Condition::Test(about, test) if *about == of => test.passing().clone(),
                _ => return None,
            };
            Some((label.clone(), atoms))
        });
        match sets.collect::<Option<Vec<_>>>() {
            Some(sets) => buckets(of, sets, rest),
            None => Ok(Group::Cases { cases, rest }),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "functions that are not listed are refused"
    )]
    fn function_group(&mut self, function: &ScalarFunction, frame: &Frame<'_>, rows: &Condition) -> Result<Group> {
        match (function.func.name(), function.args.as_slice()) {
            ("coalesce", [of, other]) => {
                let missing = constant(other)?.ok_or_else(|| refused(Form::Labels))?;
                match self.group(of, frame, rows)? {
                    Group::Levels { of, level, .. } => Ok(Group::Levels {
                        of,
                        level,
                        missing: Some(missing),
                    }),
                    _ => Err(refused(Form::Group)),
                }
            }
            ("date_part", [part, date]) => {
                let part = date_part(part)?;
                let (day, _) = self.date(date, frame)?;
                self.part_group(day.quantity(), &part)
            }
            ("date_trunc", [part, date]) => {
                let part = date_part(part)?;
                let (day, _) = self.date(date, frame)?;
                let of = day.quantity();
                let months = months_of(&part).ok_or_else(|| refused(Form::Group))?;
                let spans = self.months(&of, months, true, &|first, _, _| Some(Value::Date(first)))?;
                self.spans_group(of, spans, true)
            }
            _ => match self.band(&Expr::ScalarFunction(function.clone()), frame)? {
                Some(group) => Ok(group),
                None => Err(refused(Form::Group)),
            },
        }
    }

    /// The year, quarter or month of a date.
    fn part_group(&self, of: Quantity, part: &str) -> Result<Group> {
        let months = months_of(part).ok_or_else(|| refused(Form::Group))?;
        let is_year = part == "year";
        let label = |_: i32, year: i64, at: i64| Some(Value::Int(if is_year { year } else { at.saturating_add(1) }));
        let spans = self.months(&of, months, is_year, &label)?;
        self.spans_group(of, spans, is_year)
    }
}

/// The codes that a condition on the column names.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other conditions name no codes and are about no single quantity"
)]
fn codes_of(of: &Quantity, rows: &Condition) -> Option<Vec<Value>> {
    rows.conjuncts().iter().find_map(|condition| match condition {
        Condition::Test(about, test) if about == of => codes_in(test.passing()),
        _ => None,
    })
}

/// The codes of a set that has nothing but listed codes.
fn codes_in(atoms: &AtomSet) -> Option<Vec<Value>> {
    let codes = atoms.code_set()?;
    let is_listed = !codes.has_rest() && codes.prefixes().next().is_none() && !atoms.has_null();
    is_listed.then(|| codes.codes().map(|(code, _)| code.clone()).collect())
}

/// Names of codes, if a condition names them.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other conditions name no codes and are about no single quantity"
)]
fn named_by_condition(name: &ColumnPath, rows: &Condition) -> Option<Group> {
    rows.conjuncts().iter().find_map(|condition| match condition {
        Condition::Reference {
            of,
            test: ReferenceTest::OneOf(names),
            negated: false,
        } if of == name => Some(Group::Codes {
            of: name.clone(),
            codes: names.clone(),
            shown: None,
        }),
        _ => None,
    })
}

/// The codes that levels list.
fn listed_codes(levels: &Levels) -> Option<Vec<Value>> {
    let level = LevelName::new(LISTED).ok()?;
    let coarser = levels.level(&level);
    let Levels::Values(values) = coarser.as_ref().unwrap_or(levels) else {
        return None;
    };
    Some(values.iter().map(|listed| listed.value.clone()).collect())
}

const fn is_truth(op: Operator) -> bool {
    matches!(
        op,
        Operator::And
            | Operator::Or
            | Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
    )
}
