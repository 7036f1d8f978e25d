//! Sums of columns, dates and constants: what comparisons and measures compute with.
//!
//! An expression is a constant and up to four parts with factors. A date is a number of days since 1970-01-01, so that differences of dates,
//! dates with intervals of days, and constants all have this form. Nothing else is computed with.

use concordat_protocol::{
    collection::Contents,
    ids::{ColumnName, DatasetName},
    schema::ColumnKind,
    scope::Value,
};
use datafusion::{
    arrow::datatypes::DataType,
    common::Column,
    logical_expr::{BinaryExpr, Expr, Operator, expr::ScalarFunction},
    scalar::ScalarValue,
};

use super::{
    columns::{instance_of, unaliased},
    literals::{as_float, constant, whole, year_of},
    numbered::UNKNOWN,
    state::{Component, Frame, Instance, Lowering, Result, refused},
};
use crate::statistic::{
    forms::Form,
    paths::{ColumnPath, Row},
    terms::{Day, Quantity, SubjectValue},
};

/// Most parts of a sum.
const MAX_TERMS: usize = 4;

/// A constant and parts with factors.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    pub(super) terms: Vec<(f64, Part)>,
    pub(super) plus: f64,
    /// How many dates are added, those subtracted counted as negative.
    pub(super) dates: f64,
    /// Whether all of it are whole numbers, whose quotients are whole.
    pub(super) is_whole: bool,
}

/// A part of a sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A number.
    Number(Quantity),
    /// A date, and how exact it is.
    Date(Day, Exactness),
    /// The year of a date.
    Year(Day),
    /// The seconds from 1970 on to a point in time, of which only differences have a meaning here.
    Epoch(ColumnPath),
}

/// What a date is in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exactness {
    /// A day.
    Day,
    /// A point in time.
    Time,
    /// The day of a point in time.
    DayOfTime,
}

impl Sum {
    fn constant(plus: f64, is_whole: bool) -> Self {
        Self {
            plus,
            is_whole,
            ..Self::default()
        }
    }

    fn times(mut self, factor: f64) -> Self {
        for (own, _) in &mut self.terms {
            *own *= factor;
        }
        self.plus *= factor;
        self.dates *= factor;
        self
    }

    fn plus(mut self, other: Self) -> Result<Self> {
        self.terms.extend(other.terms);
        self.plus += other.plus;
        self.dates += other.dates;
        self.is_whole &= other.is_whole;
        self.bounded()
    }

    /// The difference of two sums.
    pub(super) fn minus(self, other: Self) -> Result<Self> {
        self.plus(other.times(-1.0))
    }

    fn bounded(self) -> Result<Self> {
        let is_finite = self.plus.is_finite() && self.terms.iter().all(|(factor, _)| factor.is_finite());
        if is_finite && self.terms.len() <= MAX_TERMS {
            Ok(self)
        } else {
            Err(refused(Form::Expression))
        }
    }
}

impl Lowering<'_> {
    /// An expression as a sum.
    pub(super) fn sum(&mut self, expression: &Expr, frame: &Frame<'_>) -> Result<Sum> {
        self.deeper(|lowering| lowering.sum_of(unaliased(expression), frame))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an expression that is not listed is refused"
    )]
    fn sum_of(&mut self, expression: &Expr, frame: &Frame<'_>) -> Result<Sum> {
        self.admitted(expression)?;
        if let Some(days) = interval(expression) {
            return Ok(Sum::constant(f64::from(days), true));
        }
        if let Some(value) = constant(expression)? {
            return constant_sum(&value);
        }
        match expression {
            Expr::Column(column) => self.part_of(column, frame),
            Expr::Negative(inner) => Ok(self.sum(inner, frame)?.times(-1.0)),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let left = self.sum(left, frame)?;
                let right = self.sum(right, frame)?;
                computed(left, *op, right)
            }
            Expr::Cast(cast) => {
                if let Some(number) = self.number_in_text(&cast.expr, cast.field.data_type(), frame)? {
                    return Ok(number);
                }
                let inner = self.sum(&cast.expr, frame)?;
                converted(inner, cast.field.data_type())
            }
            Expr::TryCast(cast) => self
                .number_in_text(&cast.expr, cast.field.data_type(), frame)?
                .ok_or_else(|| refused(Form::Expression)),
            Expr::ScalarFunction(function) => self.part_of_date(function, frame),
            _ => Err(refused(Form::Expression)),
        }
    }

    /// The number that a text of a column is, if its edges are declared; `None` for any other expression.
    fn number_in_text(&self, expression: &Expr, target: &DataType, frame: &Frame<'_>) -> Result<Option<Sum>> {
        let (Expr::Column(column), DataType::Float64) = (unaliased(expression), target) else {
            return Ok(None);
        };
        if let Quantity::Column(path) = self.quantity_of(column, frame)?
            && self.known.has_numbers_in_text(&path)
        {
            return Ok(Some(Sum {
                terms: vec![(1.0, Part::Number(Quantity::InText(path)))],
                ..Sum::default()
            }));
        }
        Ok(None)
    }

    /// `EXTRACT(YEAR FROM date)`, and `EXTRACT(EPOCH FROM …)` of points in time and of their differences.
    fn part_of_date(&mut self, function: &ScalarFunction, frame: &Frame<'_>) -> Result<Sum> {
        let ("date_part", [part, date]) = (function.func.name(), function.args.as_slice()) else {
            return Err(refused(Form::Expression));
        };
        let part = date_part(part)?;
        let sum = self.sum(date, frame)?;
        match part.as_str() {
            "year" => year_in(&sum),
            "epoch" => epoch(sum),
            _ => Err(refused(Form::Expression)),
        }
    }
}

/// The year of a date, or of a constant one.
fn year_in(sum: &Sum) -> Result<Sum> {
    if sum.terms.is_empty() && is_one(sum.dates) {
        let day = i32::try_from(whole(sum.plus)?).map_err(|_| refused(Form::Literal))?;
        let year = year_of(day).ok_or_else(|| refused(Form::Literal))?;
        return Ok(Sum::constant(as_float(year)?, true));
    }
    let (day, _) = date_in(sum)?;
    Ok(Sum {
        terms: vec![(1.0, Part::Year(day))],
        is_whole: true,
        ..Sum::default()
    })
}

/// The seconds of points in time. A day in a column of dates has none, and constants are refused: differences of two columns are measured.
fn epoch(sum: Sum) -> Result<Sum> {
    if sum.plus != 0.0 {
        return Err(refused(Form::Measure));
    }
    let seconds = sum.terms.into_iter().map(|(factor, part)| match part {
        Part::Date(Day::Column(path), Exactness::Time) => Ok((factor, Part::Epoch(path))),
        Part::Number(_) | Part::Date(..) | Part::Year(_) | Part::Epoch(_) => Err(refused(Form::Measure)),
    });
    Ok(Sum {
        terms: seconds.collect::<Result<_>>()?,
        ..Sum::default()
    })
}

/// The date that a sum is, without an offset.
fn date_in(sum: &Sum) -> Result<(Day, Exactness)> {
    match sum.terms.as_slice() {
        [(factor, Part::Date(day, exactness))] if is_one(*factor) && sum.plus == 0.0 => Ok((day.clone(), *exactness)),
        _ => Err(refused(Form::Expression)),
    }
}

impl Lowering<'_> {
    /// An expression that is a date without an offset.
    pub(super) fn date(&mut self, expression: &Expr, frame: &Frame<'_>) -> Result<(Day, Exactness)> {
        date_in(&self.sum(expression, frame)?)
    }

    fn part_of(&self, column: &Column, frame: &Frame<'_>) -> Result<Sum> {
        let quantity = self.quantity_of(column, frame)?;
        let (dataset, name) = match &quantity {
            Quantity::Column(path) => (path.dataset(), path.column()),
            Quantity::OfSubject {
                of,
                value: SubjectValue::First(name) | SubjectValue::Last(name),
            } => (&of.dataset, name),
            Quantity::OfSubject { .. }
            | Quantity::InText(_)
            | Quantity::Seconds { .. }
            | Quantity::Days { .. }
            | Quantity::Age { .. }
            | Quantity::Linear { .. } => {
                return Ok(Sum {
                    terms: vec![(1.0, Part::Number(quantity))],
                    is_whole: true,
                    ..Sum::default()
                });
            }
        };
        let kind = self.kind(dataset, name).ok_or_else(|| refused(Form::Expression))?;
        let exactness = match kind {
            ColumnKind::Int | ColumnKind::Float => {
                return Ok(Sum {
                    terms: vec![(1.0, Part::Number(quantity))],
                    is_whole: kind == ColumnKind::Int,
                    ..Sum::default()
                });
            }
            ColumnKind::Date => Exactness::Day,
            ColumnKind::Timestamp | ColumnKind::TimestampUtc => Exactness::Time,
            ColumnKind::Text | ColumnKind::Boolean => return Err(refused(Form::Expression)),
        };
        let day = match quantity {
            Quantity::Column(path) => Day::Column(path),
            Quantity::OfSubject { of, value } => Day::OfSubject { of, value },
            Quantity::InText(_)
            | Quantity::Seconds { .. }
            | Quantity::Days { .. }
            | Quantity::Age { .. }
            | Quantity::Linear { .. } => return Err(refused(Form::Expression)),
        };
        Ok(Sum {
            terms: vec![(1.0, Part::Date(day, exactness))],
            dates: 1.0,
            is_whole: true,
            ..Sum::default()
        })
    }

    /// The quantity of a column of an instance.
    pub(super) fn quantity_of(&self, column: &Column, frame: &Frame<'_>) -> Result<Quantity> {
        let id = instance_of(column).ok_or_else(|| refused(Form::Expression))?;
        match self.instances.get(id) {
            Some(Instance::Rows(_)) => {
                let outer = frame.outer.and_then(|outer| self.path(id, column, outer, Row::Outer));
                let path = self.path(id, column, frame.this, Row::This).or(outer);
                path.map(Quantity::Column).ok_or_else(|| refused(Form::EventColumn))
            }
            Some(Instance::PerSubject { of, values }) => {
                let is_reached =
                    frame.this.same.contains(&id) || frame.outer.is_some_and(|outer| outer.same.contains(&id));
                let at = column.name.strip_prefix('(').and_then(|name| name.strip_suffix(')'));
                let value = at.and_then(|at| at.parse::<usize>().ok()).and_then(|at| values.get(at));
                match value.filter(|_| is_reached) {
                    Some(value) => Ok(Quantity::OfSubject {
                        of: Box::new(of.clone()),
                        value: value.clone(),
                    }),
                    None if column.name == UNKNOWN => Err(refused(Form::FirstRow)),
                    None => Err(refused(Form::EventColumn)),
                }
            }
            None => Err(refused(Form::Expression)),
        }
    }

    fn path(&self, id: usize, column: &Column, component: &Component, row: Row) -> Option<ColumnPath> {
        let steps = component.places.get(&id)?;
        let Some(Instance::Rows(root)) = self.instances.get(component.root?) else {
            return None;
        };
        let name = ColumnName::new(&column.name).ok()?;
        let path = ColumnPath::new(row, root, steps.clone(), name)?;
        self.known.column(path.dataset(), path.column())?;
        Some(path)
    }

    /// What a column contains.
    pub(super) fn kind(&self, dataset: &DatasetName, column: &ColumnName) -> Option<ColumnKind> {
        let contents = self.known.rules().dataset(dataset)?.column(column)?.contents();
        match contents {
            Contents::Of(kind) => Some(kind),
            Contents::Empty => None,
        }
    }

    /// Whether a column contains days.
    pub(super) fn is_date(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        matches!(
            self.kind(dataset, column),
            Some(ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::TimestampUtc)
        )
    }
}

/// Whether two factors are the same up to nothing: both are exact.
pub(super) fn is_one(factor: f64) -> bool {
    factor.to_bits() == 1.0_f64.to_bits()
}

/// A constant as a sum.
pub(super) fn constant_sum(value: &Value) -> Result<Sum> {
    match value {
        Value::Int(number) => Ok(Sum::constant(as_float(*number)?, true)),
        Value::Float(number) => Ok(Sum::constant(number.get(), false)),
        Value::Date(day) => Ok(Sum {
            plus: f64::from(*day),
            dates: 1.0,
            is_whole: true,
            ..Sum::default()
        }),
        Value::Bool(_) | Value::Text(_) => Err(refused(Form::Expression)),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "operators that are not listed are refused"
)]
fn computed(left: Sum, op: Operator, right: Sum) -> Result<Sum> {
    match op {
        Operator::Plus => left.plus(right),
        Operator::Minus => left.minus(right),
        Operator::Multiply if right.terms.is_empty() && right.dates == 0.0 => {
            let is_whole = left.is_whole && right.is_whole;
            scaled(left, right.plus, is_whole)
        }
        Operator::Multiply if left.terms.is_empty() && left.dates == 0.0 => {
            let is_whole = left.is_whole && right.is_whole;
            scaled(right, left.plus, is_whole)
        }
        // The quotient of whole numbers is rounded.
        Operator::Divide if right.terms.is_empty() && right.dates == 0.0 && !(left.is_whole && right.is_whole) => {
            scaled(left, 1.0 / right.plus, false)
        }
        _ => Err(refused(Form::Expression)),
    }
}

fn scaled(sum: Sum, factor: f64, is_whole: bool) -> Result<Sum> {
    if factor == 0.0 {
        return Err(refused(Form::Expression));
    }
    let mut sum = sum.times(factor);
    sum.is_whole = is_whole;
    sum.bounded()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "casts that are not listed are refused")]
fn converted(mut sum: Sum, target: &DataType) -> Result<Sum> {
    match target {
        DataType::Float64 if sum.dates == 0.0 => {
            sum.is_whole = false;
            Ok(sum)
        }
        DataType::Int64 if sum.is_whole && sum.dates == 0.0 => Ok(sum),
        DataType::Date32 if sum.plus == 0.0 => match sum.terms.as_mut_slice() {
            [(factor, Part::Date(_, exactness))] if is_one(*factor) => {
                if *exactness == Exactness::Time {
                    *exactness = Exactness::DayOfTime;
                }
                Ok(sum)
            }
            _ => Err(refused(Form::Expression)),
        },
        _ => Err(refused(Form::Expression)),
    }
}

/// The name of a part of a date, in lower case.
pub(super) fn date_part(expression: &Expr) -> Result<String> {
    match constant(expression)? {
        Some(Value::Text(part)) => Ok(part.to_ascii_lowercase()),
        Some(_) | None => Err(refused(Form::Expression)),
    }
}

/// An interval of whole days.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other expression is not an interval"
)]
fn interval(expression: &Expr) -> Option<i32> {
    match expression {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => {
            (interval.months == 0 && interval.nanoseconds == 0).then_some(interval.days)
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(interval)), _) => {
            (interval.milliseconds == 0).then_some(interval.days)
        }
        _ => None,
    }
}
