//! Checks the expressions of a query.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::{
    CaseWhen, CeilFloorKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, Query, UnaryOperator, Value, WindowFrame, WindowFrameBound, WindowType,
};

use super::refusal::{MAX_DEPTH, forbid, not_reserved, refused, too_deep};
use crate::{QueryError, size::Parts, statistic::Syntax, types::decimal};

/// How deeply functions, `CASE`, casts and lists may be nested: the planner derives the type of each from the inner
/// ones, and again for each outer one, so that its work doubles with every level.
const MAX_FORMS: usize = 12;
/// Maximum length of a `LIKE` pattern, in bytes.
const MAX_PATTERN: usize = 1024;

/// The nesting depth of an expression.
#[derive(Clone, Copy, Default)]
struct Depth {
    all: usize,
    forms: usize,
}

impl Depth {
    /// The depth inside `expression`, which is at this depth.
    fn below(self, expression: &Expr) -> Result<Self, QueryError> {
        let below = Self {
            all: self.all.saturating_add(1),
            forms: self.forms.saturating_add(usize::from(is_form(expression))),
        };
        if below.all > MAX_DEPTH.saturating_add(1) {
            return Err(too_deep());
        }
        if below.forms > MAX_FORMS {
            return Err(QueryError::TooComplex {
                what: "too complex: functions, `CASE`, casts and lists are nested too deeply in each other",
                max: MAX_FORMS,
            });
        }
        Ok(below)
    }
}

/// Whether it is more than a name, a literal, an operator or a comparison.
const fn is_form(expression: &Expr) -> bool {
    !matches!(
        expression,
        Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::Value(_)
            | Expr::TypedString(_)
            | Expr::Nested(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::UnaryOp { .. }
            | Expr::BinaryOp { .. }
    )
}

/// The number of parts behind each name that stands for an expression: aliases, and columns of inner queries.
pub(super) type Named = BTreeMap<String, usize>;

/// What the expressions of one kind of query may contain beyond what all of them may.
pub(super) trait Forms {
    /// Refuses a column that is not visible.
    fn column(&self, name: &Ident) -> Result<(), QueryError>;
    /// Refuses a function, or a window or an order of its values.
    fn function(&self, function: &Function) -> Result<(), QueryError>;
    /// Refuses or checks an inner query; `named` are the names that it can refer to.
    fn subquery(&self, query: &Query, named: &Named) -> Result<(), QueryError>;
    /// Refuses a length of time.
    fn interval(&self) -> Result<(), QueryError>;
}

/// Checks expressions against the names a query may use.
pub(super) struct Expressions<'a> {
    forms: &'a dyn Forms,
    parts: &'a Parts,
    named: Named,
}

impl<'a> Expressions<'a> {
    /// `named` can be used before any alias is.
    pub(super) const fn new(forms: &'a dyn Forms, parts: &'a Parts, named: Named) -> Self {
        Self { forms, parts, named }
    }

    /// Checks an expression with the alias `name`. Each use of the alias counts as the whole expression.
    pub(super) fn check_named(&mut self, expression: &Expr, name: &str) -> Result<(), QueryError> {
        let before = self.parts.sum();
        self.check(expression)?;
        let parts = self.parts.sum().saturating_sub(before);
        let known = self.named.entry(name.to_owned()).or_default();
        *known = parts.max(*known);
        Ok(())
    }

    /// Counts parts outside of expressions.
    pub(super) fn count(&self, parts: usize) -> Result<(), QueryError> {
        self.parts.add(parts)
    }

    /// The number of counted parts.
    pub(super) fn counted(&self) -> usize {
        self.parts.sum()
    }

    pub(super) fn all<'e>(&self, expressions: impl IntoIterator<Item = &'e Expr>) -> Result<(), QueryError> {
        expressions
            .into_iter()
            .try_for_each(|expression| self.check(expression))
    }

    pub(super) fn check(&self, expression: &Expr) -> Result<(), QueryError> {
        self.walk(expression, Depth::default())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "everything that is not listed is refused")]
    fn walk(&self, expression: &Expr, depth: Depth) -> Result<(), QueryError> {
        let depth = depth.below(expression)?;
        self.parts.add(1)?;
        let below = |inner: &Expr| self.walk(inner, depth);
        match expression {
            Expr::Identifier(name) => self.column(name),
            Expr::CompoundIdentifier(path) => path.last().map_or(Ok(()), |name| self.column(name)),
            Expr::Value(value) => literal(&value.value),
            Expr::TypedString(text) => plain_type(&text.data_type),
            Expr::Nested(inner)
            | Expr::IsFalse(inner)
            | Expr::IsNotFalse(inner)
            | Expr::IsTrue(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsUnknown(inner)
            | Expr::IsNotUnknown(inner)
            | Expr::Extract { expr: inner, .. } => below(inner),
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                below(left).and_then(|()| below(right))
            }
            Expr::UnaryOp { op, expr } => {
                let plain = matches!(op, UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not);
                forbid(!plain, "operators that `concordat query --functions` does not list are")
                    .and_then(|()| below(expr))
            }
            Expr::BinaryOp { left, op, right } => {
                forbid(
                    !Syntax::is_provided(&op.to_string()),
                    "operators that `concordat query --functions` does not list are",
                )?;
                below(left).and_then(|()| below(right))
            }
            Expr::Position { expr, r#in } => below(expr).and_then(|()| below(r#in)),
            Expr::Like { any, expr, pattern, .. } | Expr::ILike { any, expr, pattern, .. } => {
                forbid(*any, "`LIKE ANY` is")?;
                plain_pattern(pattern).and_then(|()| below(expr))
            }
            Expr::InList { expr, list, .. } => below(expr).and_then(|()| list.iter().try_for_each(below)),
            Expr::Between { expr, low, high, .. } => [expr, low, high].into_iter().try_for_each(|inner| below(inner)),
            Expr::Cast {
                expr,
                data_type,
                array,
                format,
                ..
            } => {
                forbid(*array || format.is_some(), "casts with options are")?;
                plain_type(data_type).and_then(|()| below(expr))
            }
            Expr::Ceil { expr, field } | Expr::Floor { expr, field } => {
                forbid(!is_plain(field), "rounding with options is").and_then(|()| below(expr))
            }
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                ..
            } => {
                let parts = [Some(expr), substring_from.as_ref(), substring_for.as_ref()];
                parts.into_iter().flatten().try_for_each(|inner| below(inner))
            }
            Expr::Trim {
                trim_what,
                expr,
                trim_characters,
                ..
            } => {
                forbid(trim_characters.is_some(), "lists of characters to trim are")?;
                trim_what.iter().chain([expr]).try_for_each(|inner| below(inner))
            }
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => {
                let whens = conditions
                    .iter()
                    .flat_map(|CaseWhen { condition, result }| [condition, result]);
                let rest = operand.iter().chain(else_result).map(AsRef::as_ref);
                whens.chain(rest).try_for_each(below)
            }
            Expr::Function(function) => self.function(function, depth),
            Expr::Subquery(query) | Expr::Exists { subquery: query, .. } => self.forms.subquery(query, &self.named),
            Expr::InSubquery { expr, subquery, .. } => {
                self.forms.subquery(subquery, &self.named).and_then(|()| below(expr))
            }
            Expr::Interval(interval) => {
                self.forms.interval()?;
                forbid(
                    !matches!(interval.value.as_ref(), Expr::Value(_)),
                    "lengths of time other than `INTERVAL 'text'` are",
                )?;
                below(&interval.value)
            }
            _ => Err(unlisted()),
        }
    }

    fn column(&self, name: &Ident) -> Result<(), QueryError> {
        not_reserved(name)?;
        self.parts
            .add(self.named.get(name.value.as_str()).copied().unwrap_or(0))?;
        self.forms.column(name)
    }

    fn function(&self, function: &Function, depth: Depth) -> Result<(), QueryError> {
        self.forms.function(function)?;
        let extended = function.uses_odbc_syntax || function.null_treatment.is_some();
        forbid(
            extended || !matches!(function.parameters, FunctionArguments::None),
            "options of a function are",
        )?;
        if let Some(window) = &function.over {
            self.window(window, depth)?;
        }
        for order in &function.within_group {
            forbid(order.with_fill.is_some(), "`WITH FILL` is")?;
            self.walk(&order.expr, depth)?;
        }
        if let Some(filter) = &function.filter {
            self.walk(filter, depth)?;
        }
        match &function.args {
            FunctionArguments::None => Ok(()),
            FunctionArguments::Subquery(_) => Err(refused("subqueries are")),
            FunctionArguments::List(FunctionArgumentList { args, clauses, .. }) => {
                forbid(!clauses.is_empty(), "options of a function are")?;
                args.iter().try_for_each(|arg| self.argument(arg, depth))
            }
        }
    }

    fn window(&self, window: &WindowType, depth: Depth) -> Result<(), QueryError> {
        let WindowType::WindowSpec(spec) = window else {
            return Err(refused("named windows are"));
        };
        forbid(spec.window_name.is_some(), "named windows are")?;
        forbid(
            spec.order_by.iter().any(|order| order.with_fill.is_some()),
            "`WITH FILL` is",
        )?;
        let orders = spec.order_by.iter().map(|order| &order.expr);
        let frame = spec.window_frame.iter().flat_map(ends);
        let mut parts = spec.partition_by.iter().chain(orders).chain(frame);
        parts.try_for_each(|inner| self.walk(inner, depth))
    }

    fn argument(&self, argument: &FunctionArg, depth: Depth) -> Result<(), QueryError> {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(inner)) => self.walk(inner, depth),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Ok(()),
            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_) | FunctionArgExpr::WildcardWithOptions(_))
            | FunctionArg::Named { .. }
            | FunctionArg::ExprNamed { .. } => Err(refused("options of a function are")),
        }
    }
}

/// An expression that is not on the list.
pub(super) const fn unlisted() -> QueryError {
    refused("expressions that `concordat query --functions` does not list are")
}

/// The numbers at which a frame begins and ends.
fn ends(frame: &WindowFrame) -> impl Iterator<Item = &Expr> {
    let bounds = [Some(&frame.start_bound), frame.end_bound.as_ref()];
    bounds.into_iter().flatten().filter_map(|bound| match bound {
        WindowFrameBound::CurrentRow => None,
        WindowFrameBound::Preceding(end) | WindowFrameBound::Following(end) => end.as_deref(),
    })
}

/// A pattern must be a literal, so that it is compiled once and not for each row.
fn plain_pattern(pattern: &Expr) -> Result<(), QueryError> {
    let Expr::Value(value) = pattern else {
        return Err(refused("patterns of `LIKE` other than a 'text' are"));
    };
    let Value::SingleQuotedString(text) = &value.value else {
        return Err(refused("patterns of `LIKE` other than a 'text' are"));
    };
    if text.len() > MAX_PATTERN {
        return Err(QueryError::TooComplex {
            what: "using a pattern that is too long in bytes",
            max: MAX_PATTERN,
        });
    }
    Ok(())
}

fn literal(value: &Value) -> Result<(), QueryError> {
    let plain = matches!(
        value,
        Value::Number(..) | Value::SingleQuotedString(_) | Value::Boolean(_) | Value::Null
    );
    forbid(!plain, "literals other than numbers, 'texts', booleans and NULL are")
}

/// Allows numbers, texts, booleans, dates and timestamps.
fn plain_type(data_type: &DataType) -> Result<(), QueryError> {
    let plain = matches!(
        data_type,
        DataType::Int(_)
            | DataType::Integer(_)
            | DataType::SmallInt(_)
            | DataType::BigInt(_)
            | DataType::Real
            | DataType::Float(_)
            | DataType::Double(_)
            | DataType::DoublePrecision
            | DataType::Text
            | DataType::Varchar(_)
            | DataType::String(_)
            | DataType::Boolean
            | DataType::Bool
            | DataType::Date
            | DataType::Timestamp(..)
    ) || matches!(
        data_type,
        DataType::Decimal(digits) | DataType::Numeric(digits) | DataType::Dec(digits) if decimal(*digits).is_some()
    );
    forbid(
        !plain,
        "types other than numbers, texts, booleans, dates and timestamps are",
    )
}

const fn is_plain(kind: &CeilFloorKind) -> bool {
    matches!(
        kind,
        CeilFloorKind::DateTimeField(datafusion::sql::sqlparser::ast::DateTimeField::NoDateTime)
    )
}
