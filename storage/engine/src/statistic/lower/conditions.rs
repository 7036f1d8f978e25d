//! Conditions: every form of expression that has a truth value, one by one.

use concordat_protocol::{
    collection::{CodeKind, Comparison, DatasetKind, Levels, Undecided},
    schema::ColumnKind,
    scope::Value,
};
use datafusion::{
    common::Column,
    logical_expr::{
        Between, BinaryExpr, Expr, Like, Operator,
        expr::{Exists, InList, InSubquery},
    },
};

use super::{
    arithmetic::{Exactness, Part, Sum, constant_sum, is_one},
    columns::{instance_of, unaliased},
    literals::{constant, first_of_month, label, number, whole},
    quantities::Pair,
    quoted::like_sum,
    state::{Frame, Instance, Lowering, Result, refused},
};
use crate::statistic::{
    admitted::QueryPart,
    block::at_most,
    forms::{Form, NotCountable},
    paths::{ColumnPath, Row},
    terms::Quantity,
    terms::{Condition, ReferenceTest},
};

/// Most constants in a list.
const MAX_LIST: usize = 1_000;
/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 256;

impl Lowering<'_> {
    /// A condition on a row.
    pub(super) fn condition(&mut self, expression: &Expr, frame: &Frame<'_>) -> Result<Condition> {
        self.count_conditions(1)?;
        let expression = unaliased(expression);
        self.deeper(|lowering| {
            lowering.within(QueryPart::Condition, expression, |lowering| {
                lowering.condition_of(expression, frame)
            })
        })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an expression that is not listed is refused"
    )]
    fn condition_of(&mut self, expression: &Expr, frame: &Frame<'_>) -> Result<Condition> {
        match expression {
            Expr::BinaryExpr(BinaryExpr { op, .. }) if matches!(op, Operator::And | Operator::Or) => {
                let parts = operands(expression, *op).into_iter();
                let parts = parts.map(|part| self.condition(part, frame)).collect::<Result<_>>()?;
                Ok(if *op == Operator::And {
                    Condition::all(parts)
                } else {
                    Condition::any(parts)
                })
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_distinction(*op) => {
                let same = self.same(left, right, frame)?;
                Ok(negated_if(same, *op == Operator::IsDistinctFrom))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.compared(left, *op, right, frame),
            Expr::Not(inner) => Ok(self.condition(inner, frame)?.negation()),
            Expr::IsNull(inner) => self.missing(inner, frame),
            Expr::IsNotNull(inner) => Ok(self.missing(inner, frame)?.negation()),
            Expr::IsTrue(inner) => self.is_true(inner, frame, false),
            Expr::IsFalse(inner) => self.is_true(inner, frame, true),
            Expr::IsNotTrue(inner) => Ok(self.is_true(inner, frame, false)?.negation()),
            Expr::IsNotFalse(inner) => Ok(self.is_true(inner, frame, true)?.negation()),
            Expr::Between(Between {
                expr,
                negated,
                low,
                high,
            }) => {
                let low = self.compared(expr, Operator::GtEq, low, frame)?;
                let high = self.compared(expr, Operator::LtEq, high, frame)?;
                Ok(negated_if(Condition::all(vec![low, high]), *negated))
            }
            Expr::InList(list) => self.listed(list, frame),
            Expr::Like(like) => self.like(like, frame),
            Expr::Exists(Exists { subquery, negated }) => {
                let exists = self.exists(&subquery.subquery, None, frame)?;
                Ok(negated_if(exists, *negated))
            }
            Expr::InSubquery(InSubquery {
                expr,
                subquery,
                negated,
            }) => {
                let exists = self.exists(&subquery.subquery, Some(expr), frame)?;
                Ok(negated_if(exists, *negated))
            }
            Expr::Column(column) => {
                let of = self.quantity_of(column, frame)?;
                self.test(of, &Comparison::Equal(Value::Bool(true)))
            }
            other => match constant(other)? {
                Some(Value::Bool(true)) => Ok(Condition::All),
                Some(Value::Bool(false)) => Ok(Condition::Never),
                Some(_) | None => Err(refused(Form::Expression)),
            },
        }
    }

    fn is_true(&mut self, inner: &Expr, frame: &Frame<'_>, negated: bool) -> Result<Condition> {
        let inner = negated_if(self.condition(inner, frame)?, negated);
        self.known.is_true(inner).ok_or_else(|| refused(Form::Expression))
    }

    /// A quantity in a comparison, decided by its levels.
    pub(super) fn test(&self, of: Quantity, comparison: &Comparison) -> Result<Condition> {
        let comparison = &self.with_texts_read(&of, comparison);
        if let Quantity::Column(path) = &of
            && let Some(test) = self.of_reference(path, comparison)
        {
            return test;
        }
        match self.known.levels(&of).decide(comparison) {
            Ok(test) => Ok(Condition::Test(of, test)),
            Err(source) => Err(match self.known.shown_as_year(&of) {
                Some(column) if source == Undecided::NoLevels => NotCountable::OnlyYear { column },
                Some(_) | None => self
                    .unread(described(&of), &of, comparison, &source)
                    .unwrap_or_else(|| NotCountable::Undecided {
                        column: described(&of),
                        source,
                    }),
            }),
        }
    }

    /// A test of a column of a reference dataset that has no levels. Its rows are about no subject, and a set of codes could be listed
    /// one by one.
    fn of_reference(&self, of: &ColumnPath, comparison: &Comparison) -> Option<Result<Condition>> {
        if !self.known.is_open(of) || self.known.levels(&Quantity::Column(of.clone())) != Levels::None {
            return None;
        }
        let kind = self.kind(of.dataset(), of.column());
        let (test, negated) = match comparison {
            Comparison::Equal(value) => (one_of(std::slice::from_ref(value), kind)?, false),
            Comparison::NotEqual(value) => (one_of(std::slice::from_ref(value), kind)?, true),
            Comparison::In(values) => (one_of(values, kind)?, false),
            Comparison::NotIn(values) => (one_of(values, kind)?, true),
            Comparison::Less(_)
            | Comparison::AtMost(_)
            | Comparison::Greater(_)
            | Comparison::AtLeast(_)
            | Comparison::Between(..)
            | Comparison::Prefix(_)
            | Comparison::IsNull
            | Comparison::IsNotNull => return None,
        };
        let of = of.clone();
        Some(Ok(Condition::Reference { of, test, negated }))
    }

    fn missing(&mut self, inner: &Expr, frame: &Frame<'_>) -> Result<Condition> {
        if let Expr::Column(column) = unaliased(inner) {
            if let Some(events) = self.events_of(column, frame) {
                return Ok(events.negation());
            }
            let of = self.quantity_of(column, frame)?;
            return self.test(of, &Comparison::IsNull);
        }
        let sum = self.sum(inner, frame)?;
        let of = self.single(&sum).ok_or_else(|| refused(Form::Expression))?;
        let present = self.known.present(of).ok_or_else(|| refused(Form::Expression))?;
        Ok(present.negation())
    }

    /// Whether the subject is in a derived table, for the key of the subject in it, or of its rows.
    pub(super) fn events_of(&self, column: &Column, frame: &Frame<'_>) -> Option<Condition> {
        let id = instance_of(column)?;
        let is_key = self.has_events_where_present(column);
        match self.instances.get(id)? {
            Instance::PerSubject { of, .. } if is_key && frame.this.same.contains(&id) => Some(Condition::Events {
                of: Box::new(of.clone()),
                exist: true,
            }),
            Instance::PerSubject { .. } | Instance::Rows(_) => None,
        }
    }

    /// `IS NOT DISTINCT FROM` a constant, which is true or false for missing values too.
    fn same(&mut self, left: &Expr, right: &Expr, frame: &Frame<'_>) -> Result<Condition> {
        for (plain, other) in [(left, right), (right, left)] {
            match label(other)? {
                Some(None) => return self.missing(plain, frame),
                Some(Some(_)) => {
                    let equal = self.compared(plain, Operator::Eq, other, frame)?;
                    return self.known.is_true(equal).ok_or_else(|| refused(Form::Expression));
                }
                None => {}
            }
        }
        Err(refused(Form::Comparison))
    }

    /// A comparison of two expressions.
    fn compared(&mut self, left: &Expr, op: Operator, right: &Expr, frame: &Frame<'_>) -> Result<Condition> {
        for (plain, other, op) in [(left, right, Some(op)), (right, left, op.swap())] {
            let (Some(value), Some(op)) = (constant(other)?, op) else {
                continue;
            };
            if let Expr::Column(column) = unaliased(plain) {
                let of = self.quantity_of(column, frame)?;
                return self.test(of, &comparison(op, value)?);
            }
            match value {
                Value::Text(text) => {
                    let sum = self.sum(plain, frame)?;
                    let value = constant_sum(&like_sum(&text, &sum)?)?;
                    return self.compared_with_zero(&sum.minus(value)?, op);
                }
                Value::Bool(_) => return Err(refused(Form::Expression)),
                Value::Int(_) | Value::Float(_) | Value::Date(_) => {}
            }
        }
        if let Some(other) = self.other_row(left, op, right, frame) {
            return Ok(other);
        }
        let difference = self.sum(left, frame)?.minus(self.sum(right, frame)?)?;
        self.compared_with_zero(&difference, op)
    }

    /// Whether an event is another row than the row around it: their keys are not equal.
    fn other_row(&self, left: &Expr, op: Operator, right: &Expr, frame: &Frame<'_>) -> Option<Condition> {
        let (Expr::Column(left), Operator::NotEq, Expr::Column(right)) = (unaliased(left), op, unaliased(right)) else {
            return None;
        };
        let (Ok(Quantity::Column(left)), Ok(Quantity::Column(right))) =
            (self.quantity_of(left, frame), self.quantity_of(right, frame))
        else {
            return None;
        };
        let (key, around) = if left.row() == Row::This {
            (left, right)
        } else {
            (right, left)
        };
        let is_key = self.known.distinguishes_rows(key.dataset(), key.column());
        (is_key && key.outer()? == around).then_some(Condition::OtherRow { key, is_other: true })
    }

    /// A sum compared with zero, solved for its only quantity.
    fn compared_with_zero(&self, sum: &Sum, op: Operator) -> Result<Condition> {
        match sum.terms.as_slice() {
            [(factor, part)] if is_one(*factor) => self.compared_part(part, op, -sum.plus, sum.dates),
            [(factor, part)] if is_one(-*factor) => {
                let op = op.swap().ok_or_else(|| refused(Form::Expression))?;
                self.compared_part(part, op, sum.plus, -sum.dates)
            }
            [a, b] => {
                let Pair { of, is_negative } = self.pair(a, b, sum).ok_or_else(|| refused(Form::Comparison))?;
                if !is_negative {
                    return self.test(of, &comparison(op, number(-sum.plus)?)?);
                }
                let op = op.swap().ok_or_else(|| refused(Form::Expression))?;
                self.test(of, &comparison(op, number(sum.plus)?)?)
            }
            [] | [_] => Err(refused(Form::Expression)),
            _ => Err(refused(Form::Comparison)),
        }
    }

    fn compared_part(&self, part: &Part, op: Operator, bound: f64, dates: f64) -> Result<Condition> {
        match part {
            Part::Number(of) if dates == 0.0 => self.test(of.clone(), &comparison(op, number(bound)?)?),
            Part::Date(day, Exactness::Day | Exactness::Time) if dates == 0.0 => {
                let bound = i32::try_from(whole(bound)?).map_err(|_| refused(Form::Literal))?;
                self.test(day.quantity(), &comparison(op, Value::Date(bound))?)
            }
            Part::Year(day) if dates == 0.0 => self.year_compared(&day.quantity(), op, whole(bound)?),
            Part::Number(_) | Part::Date(..) | Part::Year(_) | Part::Epoch(_) => Err(refused(Form::Expression)),
        }
    }

    /// The year of a date compared with a number: whole years are between two days.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "operators that are not listed are refused"
    )]
    fn year_compared(&self, of: &Quantity, op: Operator, year: i64) -> Result<Condition> {
        let from = |year: i64| -> Result<Condition> {
            let day = first_of_month(year, 0).ok_or_else(|| refused(Form::Literal))?;
            self.test(of.clone(), &Comparison::AtLeast(Value::Date(day)))
        };
        let next = year.checked_add(1).ok_or_else(|| refused(Form::Literal))?;
        let in_year = || -> Result<Condition> { Ok(Condition::all(vec![from(year)?, from(next)?.negation()])) };
        match op {
            Operator::GtEq => from(year),
            Operator::Gt => from(next),
            Operator::Lt => Ok(from(year)?.negation()),
            Operator::LtEq => Ok(from(next)?.negation()),
            Operator::Eq => in_year(),
            Operator::NotEq => Ok(in_year()?.negation()),
            _ => Err(refused(Form::Expression)),
        }
    }

    fn listed(&mut self, list: &InList, frame: &Frame<'_>) -> Result<Condition> {
        at_most(list.list.len(), MAX_LIST, "constants in a list")?;
        let values = list
            .list
            .iter()
            .map(|item| constant(item)?.ok_or_else(|| refused(Form::Expression)));
        let values = values.collect::<Result<Vec<Value>>>()?;
        if let Expr::Column(column) = unaliased(&list.expr) {
            let of = self.quantity_of(column, frame)?;
            return Ok(negated_if(self.test(of, &Comparison::In(values))?, list.negated));
        }
        self.count_conditions(values.len())?;
        let parts = list
            .list
            .iter()
            .map(|item| self.compared(&list.expr, Operator::Eq, item, frame));
        Ok(negated_if(Condition::any(parts.collect::<Result<_>>()?), list.negated))
    }

    fn like(&mut self, like: &Like, frame: &Frame<'_>) -> Result<Condition> {
        let (operand, is_lower) = lowered(&like.expr);
        let (Expr::Column(column), Some(Value::Text(pattern)), None) =
            (operand, constant(&like.pattern)?, like.escape_char)
        else {
            return Err(refused(Form::Pattern));
        };
        at_most(pattern.len(), MAX_PATTERN, "bytes in a pattern")?;
        // Lower case is compared with lower case, as any case is, if the pattern has no letter that has another one.
        if is_lower {
            self.admitted(unaliased(&like.expr))?;
        }
        if is_lower && !(pattern.is_ascii() && pattern == pattern.to_ascii_lowercase()) {
            return Err(refused(Form::Pattern));
        }
        let any_case = like.case_insensitive || is_lower;
        let of = self.quantity_of(column, frame)?;
        let prefix = pattern
            .strip_suffix('%')
            .filter(|prefix| !any_case && !prefix.contains(['%', '_', '\\']));
        if let Quantity::Column(path) = &of
            && (self.known.is_open(path) || (prefix.is_none() && self.lists_texts(path)))
            && !pattern.contains('\\')
        {
            return Ok(Condition::Reference {
                of: path.clone(),
                test: ReferenceTest::Like { pattern, any_case },
                negated: like.negated,
            });
        }
        match prefix {
            Some(prefix) => {
                let test = self.test(of, &Comparison::Prefix(prefix.to_owned()))?;
                Ok(negated_if(test, like.negated))
            }
            None => Err(refused(Form::Pattern)),
        }
    }

    /// Whether a column has an open list of texts: a condition may name any of them, so that it may also name all that match a pattern.
    fn lists_texts(&self, path: &ColumnPath) -> bool {
        let levels = self.known.levels(&Quantity::Column(path.clone()));
        matches!(levels, Levels::Codes(codes) if codes.kind() == CodeKind::Text)
    }

    /// Whether a dataset is a reference dataset or has subjects: all others are refused before.
    pub(super) fn has_subjects(&self, instance: usize) -> bool {
        match self.instances.get(instance) {
            Some(Instance::Rows(dataset)) => matches!(
                self.known.kind(dataset),
                Some(DatasetKind::Keyed { .. } | DatasetKind::Owned { .. } | DatasetKind::EachRow)
            ),
            Some(Instance::PerSubject { .. }) => true,
            None => false,
        }
    }
}

/// The operand of `lower`, and whether there is one.
fn lowered(expression: &Expr) -> (&Expr, bool) {
    if let Expr::ScalarFunction(function) = unaliased(expression)
        && let ("lower", [operand]) = (function.func.name(), function.args.as_slice())
    {
        return (unaliased(operand), true);
    }
    (unaliased(expression), false)
}

/// The operands of a chain of one operator, which may be long.
#[expect(clippy::wildcard_enum_match_arm, reason = "other expressions are not a chain")]
fn operands(expression: &Expr, joining: Operator) -> Vec<&Expr> {
    let mut parts = Vec::new();
    let mut open = vec![expression];
    while let Some(next) = open.pop() {
        match next {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == joining => open.extend([&**right, &**left]),
            other => parts.push(other),
        }
    }
    parts
}

/// Whether an operator compares missing values too.
const fn is_distinction(op: Operator) -> bool {
    matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
}

fn negated_if(condition: Condition, negated: bool) -> Condition {
    if negated { condition.negation() } else { condition }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "operators that are not listed are refused"
)]
pub(super) fn comparison(op: Operator, value: Value) -> Result<Comparison> {
    Ok(match op {
        Operator::Eq => Comparison::Equal(value),
        Operator::NotEq => Comparison::NotEqual(value),
        Operator::Lt => Comparison::Less(value),
        Operator::LtEq => Comparison::AtMost(value),
        Operator::Gt => Comparison::Greater(value),
        Operator::GtEq => Comparison::AtLeast(value),
        _ => return Err(refused(Form::Expression)),
    })
}

/// The constants in ascending order; `None` if they are not what the column contains.
fn one_of(values: &[Value], kind: Option<ColumnKind>) -> Option<ReferenceTest> {
    let is_of_column = |value: &Value| match value {
        Value::Text(_) => kind == Some(ColumnKind::Text),
        Value::Int(_) => kind == Some(ColumnKind::Int),
        Value::Bool(_) | Value::Float(_) | Value::Date(_) => false,
    };
    let mut values = values.to_vec();
    values.sort();
    values.dedup();
    values.iter().all(is_of_column).then_some(ReferenceTest::OneOf(values))
}

/// What a refusal calls a quantity.
pub(super) fn described(of: &Quantity) -> String {
    match of {
        Quantity::Column(path) | Quantity::InText(path) => path.column().to_string(),
        Quantity::Seconds { .. } => "seconds between two points in time".to_owned(),
        Quantity::Days { .. } => "days between two dates".to_owned(),
        Quantity::Age { .. } => "age".to_owned(),
        Quantity::Linear { .. } => "sum of columns".to_owned(),
        Quantity::OfSubject { .. } => "value of a subject".to_owned(),
    }
}
