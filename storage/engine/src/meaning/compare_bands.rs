//! Comparisons of bands of ages.
//!
//! A comparison with a number is decided if each band contains only ages for which it is true, or only ages for which it is false. It
//! becomes a list of the bands for which it is true: text, which every provider can compare.

use concordat_protocol::scope::BandWidth;
use datafusion::{
    common::{DFSchema, ScalarValue},
    error::Result,
    logical_expr::{Case, Expr, Operator, expr::InList, lit},
};

use super::{
    class::{Class, class_of, literal_value, shown, text_literal},
    expressions::{operation, refused},
};
use crate::{shown::Shape, transform::TOP_AGE};

/// The bands of one width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    width: BandWidth,
    /// Whether the ages behind them are whole numbers.
    whole: bool,
}

impl Band {
    pub(super) const fn new(width: BandWidth, whole: bool) -> Self {
        Self { width, whole }
    }

    /// Name and least age of each band, in their order.
    fn all(self) -> impl Iterator<Item = (String, i64)> {
        crate::transform::bands(self.width)
    }

    fn names(self) -> Vec<String> {
        self.all().map(|(name, _)| name).collect()
    }

    /// The position of the band of this name.
    fn position(self, name: &str) -> Option<usize> {
        self.all().position(|(known, _)| known == name)
    }

    /// Whether `age op threshold` is true for all ages of the band that begins at `least` (`Some(true)`), or for none (`Some(false)`).
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other comparisons are decided by single ages"
    )]
    #[expect(clippy::cast_precision_loss, reason = "ages are small numbers")]
    fn decided(self, least: i64, op: Operator, threshold: f64) -> Option<bool> {
        let low = least as f64;
        let end = if least >= TOP_AGE {
            f64::INFINITY
        } else {
            (least + self.width.years()) as f64
        };
        // The greatest age, if there is one: of ages that are not whole numbers, the end is not reached.
        let (high, reached) = if self.whole { (end - 1.0, true) } else { (end, false) };
        let all_below = high < threshold || (high <= threshold && !reached);
        let any_above = high > threshold;
        match op {
            Operator::GtEq if low >= threshold => Some(true),
            Operator::GtEq if all_below => Some(false),
            Operator::Lt if all_below => Some(true),
            Operator::Lt if low >= threshold => Some(false),
            Operator::Gt if low > threshold => Some(true),
            Operator::Gt if !any_above => Some(false),
            Operator::LtEq if !any_above => Some(true),
            Operator::LtEq if low > threshold => Some(false),
            _ => None,
        }
    }

    /// The names of the bands for which `age op threshold` is true; `None` if single ages decide.
    fn true_for(self, op: Operator, threshold: f64) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for (name, least) in self.all() {
            if self.decided(least, op, threshold)? {
                names.push(name);
            }
        }
        Some(names)
    }
}

/// `column op other`, where `column` shows bands and `other` has this shape.
pub(super) fn compared(
    band: Band,
    column: Expr,
    op: Operator,
    other: Expr,
    shape: &Shape,
    schema: &DFSchema,
) -> Result<Expr> {
    if let Shape::Band { width, .. } = shape {
        return columns(band, *width, column, op, other);
    }
    if class_of(&other, schema)? == Class::Null {
        return Ok(operation(column, op, lit(ScalarValue::Utf8(None))));
    }
    if let Some(name) = text_literal(&other) {
        let Some(at) = band.position(name) else {
            return Err(undecided(band, &column, op, &other));
        };
        return Ok(match order(op) {
            None => operation(column, op, other),
            Some(holds) => one_of(
                band,
                column,
                band.names()
                    .into_iter()
                    .enumerate()
                    .filter(|(other, _)| holds(*other, at)),
            ),
        });
    }
    let number = literal_value(&other)?.and_then(|value| number(&value));
    let names = number.and_then(|threshold| band.true_for(op, threshold));
    match names {
        Some(names) => Ok(one_of(band, column, names.into_iter().enumerate())),
        None => Err(undecided(band, &column, op, &other)),
    }
}

/// The comparison of positions; `None` if it is one for equality.
#[expect(clippy::wildcard_enum_match_arm, reason = "other comparisons are for equality")]
fn order(op: Operator) -> Option<fn(usize, usize) -> bool> {
    match op {
        Operator::Lt => Some(|one, other| one < other),
        Operator::LtEq => Some(|one, other| one <= other),
        Operator::Gt => Some(|one, other| one > other),
        Operator::GtEq => Some(|one, other| one >= other),
        _ => None,
    }
}

/// Two columns of bands.
fn columns(band: Band, width: BandWidth, left: Expr, op: Operator, right: Expr) -> Result<Expr> {
    if band.width != width {
        return Err(refused(format!(
            "`{}` and `{}` are shown in bands of {} and {} years, which cannot be compared",
            shown(&left),
            shown(&right),
            band.width.years(),
            width.years()
        )));
    }
    Ok(match order(op) {
        None => operation(left, op, right),
        Some(_) => operation(least_age(band.width, left), op, least_age(band.width, right)),
    })
}

/// Whether the column is one of these bands; NULL if it is missing.
fn one_of(band: Band, column: Expr, names: impl Iterator<Item = (usize, String)>) -> Expr {
    let names: Vec<Expr> = names.map(|(_, name)| lit(name)).collect();
    let none = names.is_empty();
    let list = if none {
        band.names().into_iter().map(lit).collect()
    } else {
        names
    };
    Expr::InList(InList::new(Box::new(column), list, none))
}

/// Both conditions; two lists of bands become one.
pub(super) fn both(above: Expr, below: Expr) -> Expr {
    match (above, below) {
        (Expr::InList(one), Expr::InList(other)) if !one.negated && !other.negated && one.expr == other.expr => {
            let common: Vec<Expr> = one
                .list
                .iter()
                .filter(|name| other.list.contains(name))
                .cloned()
                .collect();
            if common.is_empty() {
                Expr::InList(one).and(Expr::InList(other))
            } else {
                Expr::InList(InList::new(one.expr, common, false))
            }
        }
        (above, below) => above.and(below),
    }
}

/// The least age of the band, as a number that sorts; NULL if it is missing.
pub(super) fn least_age(width: BandWidth, column: Expr) -> Expr {
    let names = Band::new(width, true).all();
    let cases = names.map(|(name, least)| (Box::new(lit(name)), Box::new(lit(least))));
    Expr::Case(Case::new(Some(Box::new(column)), cases.collect(), None))
}

/// The finite number that a literal is.
pub(super) fn number(value: &ScalarValue) -> Option<f64> {
    match value.cast_to(&arrow::datatypes::DataType::Float64) {
        Ok(ScalarValue::Float64(number)) if value.data_type().is_numeric() => {
            number.filter(|number| number.is_finite())
        }
        _ => None,
    }
}

/// The error for a comparison that bands do not decide.
fn undecided(band: Band, column: &Expr, op: Operator, other: &Expr) -> datafusion::error::DataFusionError {
    let column = shown(column);
    let other = shown(other);
    let width = band.width.years();
    let names = band.names();
    let example = names
        .iter()
        .find(|name| name.starts_with("50-"))
        .map_or("50-59", String::as_str);
    refused(format!(
        "`{column}` is shown in bands of {width} years, which do not decide `{column} {op} {other}`; write `{column} >= 50` (the first \
         age of a band), or `{column} = '{example}'`"
    ))
}
