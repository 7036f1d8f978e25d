//! Aggregates: numbers of subjects and rows, moments, and quantiles.

use concordat_protocol::{
    collection::Comparison,
    scope::{Finite, Value},
};
use datafusion::logical_expr::{
    Case, Expr,
    expr::{AggregateFunction, AggregateFunctionParams},
};

use super::{
    arithmetic::is_one,
    columns::{instance_of, unaliased},
    conditions::described,
    literals::{constant, label},
    scaled::{Scaled, scalable, scale},
    state::{CellColumn, Frame, Lowering, Result, refused},
};
use crate::statistic::{
    admitted::{COUNT, FIRST, LAST, MEDIAN, QUANTILES, QueryPart},
    block::Measured,
    forms::{Form, NotCountable},
    measure::{CellAggregate, Output},
    terms::{Condition, Quantity},
};

/// What an aggregate of the query is computed from.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are at most 64 of them")]
pub(super) enum Computed {
    /// One aggregate of the cells.
    Cell(CellAggregate),
    /// A multiple of one, and a constant.
    Scaled {
        of: CellAggregate,
        by: Finite,
        plus: Finite,
    },
    /// The quotient of two.
    Quotient([CellAggregate; 2]),
}

impl Computed {
    /// The aggregates of the cells.
    pub(super) fn cells(&self) -> &[CellAggregate] {
        match self {
            Self::Cell(cell) | Self::Scaled { of: cell, .. } => std::slice::from_ref(cell),
            Self::Quotient(cells) => cells,
        }
    }

    /// The same with other filters.
    pub(super) fn filtered(self, filter: &dyn Fn(&Condition) -> Condition) -> Self {
        let changed = |cell: CellAggregate| {
            let filter = filter(cell.filter());
            cell.with_filter(filter)
        };
        match self {
            Self::Cell(cell) => Self::Cell(changed(cell)),
            Self::Scaled { of, by, plus } => Self::Scaled {
                of: changed(of),
                by,
                plus,
            },
            Self::Quotient(cells) => Self::Quotient(cells.map(changed)),
        }
    }

    /// The column, among the aggregates of a statistic.
    pub(super) fn column(&self, cells: &[CellAggregate]) -> Option<CellColumn> {
        let position = |wanted: &CellAggregate| cells.iter().position(|cell| cell == wanted);
        match self {
            Self::Cell(cell) => position(cell).map(CellColumn::Cell),
            Self::Scaled { of, by, plus } => Some(CellColumn::Scaled {
                of: position(of)?,
                by: *by,
                plus: *plus,
            }),
            Self::Quotient([of, by]) => Some(CellColumn::Quotient {
                of: position(of)?,
                by: position(by)?,
            }),
        }
    }
}

/// An operand: rows that are one and rows that are zero or one, or a quantity of some rows.
enum Operand {
    Flag { is: Condition, of: Condition },
    Quantity { of: Scaled, filter: Condition },
}

/// What aggregates of one grouping have in common.
struct Cells<'a> {
    measured: &'a Measured,
    filter: Condition,
    /// Why rows cannot be counted.
    by_subject: Option<Form>,
}

impl Lowering<'_> {
    /// An aggregate over measured rows. With `by_subject`, only subjects can be counted, for that reason.
    pub(super) fn aggregate(
        &mut self,
        expression: &Expr,
        frame: &Frame<'_>,
        measured: &Measured,
        by_subject: Option<Form>,
    ) -> Result<Computed> {
        let Expr::AggregateFunction(AggregateFunction { func, params }) = unaliased(expression) else {
            return Err(refused(Form::Aggregate));
        };
        let filter = match &params.filter {
            Some(filter) => self.condition(filter, frame)?,
            None => Condition::All,
        };
        let cells = Cells {
            measured,
            filter,
            by_subject,
        };
        if params.null_treatment.is_some() {
            return Err(refused(Form::Aggregate));
        }
        match func.name() {
            COUNT => self.counted(params, frame, cells),
            FIRST | LAST => Err(refused(Form::Extremes)),
            _ if params.distinct => Err(refused(Form::DistinctValues)),
            name if QUANTILES.contains(&name) => self.quantile(name, params, frame, cells),
            name => self.moments(name, params, frame, cells),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an expression that is not listed is refused"
    )]
    fn counted(&mut self, params: &AggregateFunctionParams, frame: &Frame<'_>, cells: Cells<'_>) -> Result<Computed> {
        let [operand] = params.args.as_slice() else {
            return Err(refused(Form::Aggregate));
        };
        let operand = unaliased(operand);
        if params.distinct {
            let filter = self.subjects(operand, frame)?;
            return Ok(Computed::Cell(CellAggregate::Subjects {
                filter: self.known.where_true(Condition::all(vec![cells.filter, filter])),
            }));
        }
        let present = match operand {
            Expr::Literal(value, _) if !value.is_null() => Condition::All,
            Expr::Case(case) => self.present_case(case, frame)?,
            Expr::Column(column) => match self.events_of(column, frame) {
                Some(events) => events,
                None => {
                    let of = self.quantity_of(column, frame)?;
                    self.test(of, &Comparison::IsNotNull)?
                }
            },
            _ => return Err(refused(Form::Measure)),
        };
        self.count(present, cells).map(Computed::Cell)
    }

    /// The rows whose subjects `count(DISTINCT operand)` counts.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an expression that is not listed is refused"
    )]
    fn subjects(&mut self, operand: &Expr, frame: &Frame<'_>) -> Result<Condition> {
        match operand {
            Expr::Case(case) => {
                let (when, then) = only_result(case)?;
                let when = self.condition(when, frame)?;
                Ok(Condition::all(vec![when, self.subjects(unaliased(then), frame)?]))
            }
            Expr::Column(column) if self.is_subject(operand) => {
                let id = instance_of(column).filter(|id| frame.this.same.contains(id));
                id.ok_or_else(|| refused(Form::DistinctValues))?;
                // Each row has a subject, and the same one wherever it is reached; only a derived table may lack it.
                Ok(self.events_of(column, frame).unwrap_or(Condition::All))
            }
            _ => Err(refused(Form::DistinctValues)),
        }
    }

    /// Rows in which a `CASE` is not missing.
    fn present_case(&mut self, case: &Case, frame: &Frame<'_>) -> Result<Condition> {
        let (when, then) = only_result(case)?;
        let when = self.condition(when, frame)?;
        let present = match (label(then)?, unaliased(then)) {
            (Some(Some(_)), _) => Condition::All,
            (None, Expr::Column(column)) => {
                let of = self.quantity_of(column, frame)?;
                self.test(of, &Comparison::IsNotNull)?
            }
            _ => return Err(refused(Form::Measure)),
        };
        Ok(Condition::all(vec![when, present]))
    }

    fn moments(
        &mut self,
        name: &str,
        params: &AggregateFunctionParams,
        frame: &Frame<'_>,
        cells: Cells<'_>,
    ) -> Result<Computed> {
        let (output, operands) = Output::named(name).ok_or_else(|| refused(Form::Aggregate))?;
        if params.args.len() != operands || !params.order_by.is_empty() {
            return Err(refused(Form::Aggregate));
        }
        let mut found = params
            .args
            .iter()
            .map(|operand| self.operand(operand, frame))
            .collect::<Result<Vec<_>>>()?;
        let second = if operands == 2 { found.pop() } else { None };
        match (found.pop(), second, output) {
            (Some(Operand::Flag { is, .. }), None, Output::Sum) => self.count(is, cells).map(Computed::Cell),
            (Some(Operand::Flag { is, of }), None, Output::Mean) => {
                let divisor = Cells {
                    filter: cells.filter.clone(),
                    ..cells
                };
                let by = self.count(of.clone(), divisor)?;
                let of = self.count(Condition::all(vec![is, of]), cells)?;
                Ok(Computed::Quotient([of, by]))
            }
            (Some(Operand::Quantity { of, filter }), None, output) => {
                self.measured_of((of, None), output, filter, cells)
            }
            (Some(Operand::Quantity { of, filter }), Some(Operand::Quantity { of: with, filter: also }), output) => {
                self.measured_of((of, Some(with)), output, Condition::all(vec![filter, also]), cells)
            }
            _ => Err(refused(Form::Measure)),
        }
    }

    fn measured_of(
        &self,
        operands: (Scaled, Option<Scaled>),
        output: Output,
        filter: Condition,
        cells: Cells<'_>,
    ) -> Result<Computed> {
        let (of, with) = scalable(operands, output).ok_or_else(|| refused(Form::Measure))?;
        for operand in std::iter::once(&of).chain(&with) {
            if self.known.range(&operand.of).is_none() {
                return Err(self.no_range(&operand.of));
            }
            if !self.known.is_measurable(&operand.of) {
                return Err(refused(Form::ListedMeasure));
            }
        }
        if let Some(reason) = cells.by_subject {
            return Err(refused(reason));
        }
        let (by, plus) = scale(output, &of, with.as_ref());
        let cell = CellAggregate::Moments {
            of: of.of,
            with: with.map(|with| with.of),
            output,
            filter: self.known.where_true(Condition::all(vec![cells.filter, filter])),
        };
        if is_one(by) && plus == 0.0 {
            return Ok(Computed::Cell(cell));
        }
        let finite = |number: f64| Finite::new(number).map_err(|_| refused(Form::Literal));
        Ok(Computed::Scaled {
            of: cell,
            by: finite(by)?,
            plus: finite(plus)?,
        })
    }

    /// Why a quantity is not measured.
    fn no_range(&self, of: &Quantity) -> NotCountable {
        match self.known.shown_as_year(of) {
            Some(column) if matches!(of, Quantity::Days { .. }) => NotCountable::OnlyYear { column },
            Some(_) | None => NotCountable::NoRange { column: described(of) },
        }
    }

    fn quantile(
        &mut self,
        name: &str,
        params: &AggregateFunctionParams,
        frame: &Frame<'_>,
        cells: Cells<'_>,
    ) -> Result<Computed> {
        let (operand, at) = match (name, params.args.as_slice()) {
            (MEDIAN, [operand]) => (operand, 0.5),
            (_, [operand, at]) if name != MEDIAN && is_ascending(params) => match constant(at)? {
                Some(Value::Float(at)) => (operand, at.get()),
                Some(Value::Int(at @ 0..=1)) => (operand, if at == 0 { 0.0 } else { 1.0 }),
                Some(_) | None => return Err(refused(Form::Aggregate)),
            },
            _ => return Err(refused(Form::Aggregate)),
        };
        let at = Finite::new(at).ok().filter(|at| (0.0..=1.0).contains(&at.get()));
        let at = at.ok_or_else(|| refused(Form::Aggregate))?;
        let Operand::Quantity { of, filter } = self.operand(operand, frame)? else {
            return Err(refused(Form::Measure));
        };
        // The bands of the values in the other direction are others.
        let of = of.into_quantity().ok_or_else(|| refused(Form::Measure))?;
        if self.known.range(&of).is_none() {
            return Err(self.no_range(&of));
        }
        if let Some(reason) = cells.by_subject {
            return Err(refused(reason));
        }
        let filter = self.known.where_true(Condition::all(vec![cells.filter, filter]));
        Ok(Computed::Cell(CellAggregate::Quantile { of, at, filter }))
    }

    /// A number of rows, or of subjects where each has one row.
    fn count(&self, present: Condition, cells: Cells<'_>) -> Result<CellAggregate> {
        if let Some(reason) = cells.by_subject {
            return Err(refused(reason));
        }
        let filter = self.known.where_true(Condition::all(vec![cells.filter, present]));
        Ok(match cells.measured {
            Measured::Rows(dataset) if !self.known.is_unique(dataset) => CellAggregate::Rows { filter },
            Measured::Rows(_) | Measured::Subjects => CellAggregate::Subjects { filter },
        })
    }

    /// The operand of an aggregate of values.
    fn operand(&mut self, expression: &Expr, frame: &Frame<'_>) -> Result<Operand> {
        let expression = unaliased(expression);
        self.within(QueryPart::Operand, expression, |lowering| {
            lowering.operand_of(expression, frame)
        })
    }

    fn operand_of(&mut self, expression: &Expr, frame: &Frame<'_>) -> Result<Operand> {
        if let Expr::Case(case) = expression {
            return self.case_operand(case, frame);
        }
        let sum = self.sum(expression, frame).map_err(|error| match error {
            NotCountable::Form(Form::Expression) => refused(Form::Measure),
            other @ (NotCountable::Form(_)
            | NotCountable::Undecided { .. }
            | NotCountable::GroupOffEdges { .. }
            | NotCountable::OnlyYear { .. }
            | NotCountable::Unread { .. }
            | NotCountable::SameLabel { .. }
            | NotCountable::TooManyRunning { .. }
            | NotCountable::Beyond { .. }
            | NotCountable::Unknown { .. }
            | NotCountable::NoRange { .. }
            | NotCountable::TooMany { .. }) => other,
        })?;
        if sum.dates != 0.0 {
            return Err(refused(Form::Measure));
        }
        let of = self.scaled(&sum).ok_or_else(|| refused(Form::Measure))?;
        if self.known.is_flag(&of.of) {
            // A multiple of a flag would be a second figure of the same rows.
            if !of.is_plain() {
                return Err(refused(Form::Measure));
            }
            let is = self.test(of.of.clone(), &Comparison::Equal(Value::Int(1)))?;
            let of = self.test(of.of, &Comparison::IsNotNull)?;
            return Ok(Operand::Flag { is, of });
        }
        Ok(Operand::Quantity {
            of,
            filter: Condition::All,
        })
    }

    fn case_operand(&mut self, case: &Case, frame: &Frame<'_>) -> Result<Operand> {
        let (None, [(when, then)]) = (&case.expr, case.when_then_expr.as_slice()) else {
            return Err(refused(Form::Measure));
        };
        let is = self.condition(when, frame)?;
        let rest = match &case.else_expr {
            None => None,
            Some(rest) => label(rest)?.ok_or_else(|| refused(Form::Measure))?,
        };
        match (label(then)?, rest) {
            (Some(Some(one)), None) if is_number(&one, 1.0) => Ok(Operand::Flag { of: is.clone(), is }),
            (Some(Some(one)), Some(zero)) if is_number(&one, 1.0) && is_number(&zero, 0.0) => {
                Ok(Operand::Flag { is, of: Condition::All })
            }
            (None, None) => match self.operand(then, frame)? {
                Operand::Quantity { of, filter } => Ok(Operand::Quantity {
                    of,
                    filter: Condition::all(vec![is, filter]),
                }),
                Operand::Flag { is: one, of } => Ok(Operand::Flag {
                    is: Condition::all(vec![is.clone(), one]),
                    of: Condition::all(vec![is, of]),
                }),
            },
            _ => Err(refused(Form::Measure)),
        }
    }
}

/// The only condition and result of a `CASE` without an alternative.
fn only_result(case: &Case) -> Result<(&Expr, &Expr)> {
    let has_rest = match &case.else_expr {
        None => false,
        Some(rest) => label(rest)? != Some(None),
    };
    match (&case.expr, case.when_then_expr.as_slice()) {
        (None, [(when, then)]) if !has_rest => Ok((when, then)),
        _ => Err(refused(Form::Measure)),
    }
}

/// Whether values are ordered from the least one on.
fn is_ascending(params: &AggregateFunctionParams) -> bool {
    params.order_by.iter().all(|order| order.asc)
}

fn is_number(value: &Value, number: f64) -> bool {
    match value {
        Value::Int(whole) => (*whole == 1 && number == 1.0) || (*whole == 0 && number == 0.0),
        Value::Float(float) => float.get() == number,
        Value::Bool(_) | Value::Date(_) | Value::Text(_) => false,
    }
}
