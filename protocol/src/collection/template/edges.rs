//! Edges as templates declare them: listed, at equal steps, or by the calendar.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::super::levels::{MAX_DATE_EDGES, MAX_EDGES, RawLevels};
use super::error::TemplateProblem;
use crate::ids::LevelName;
use crate::scope::{Finite, Value};

/// The edges of a column, and further levels of edges, finer or coarser. The atoms of the column lie between all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateEdges {
    /// The name of the level of `edges`, if there are further ones; `None` for `year`, `quarter`, `month`, `by_10` and the like.
    pub name: Option<LevelName>,
    /// The edges.
    pub edges: EdgeSpec,
    /// Further levels.
    pub levels: BTreeMap<LevelName, EdgeSpec>,
}

/// A list of edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EdgeSpec {
    /// These values, in ascending order.
    At(Vec<Value>),
    /// Every `step` from `from` up to `to`, both of them included. All three are whole numbers, or numbers.
    Every {
        /// The first edge.
        from: Value,
        /// What no edge is above.
        to: Value,
        /// The distance of two edges.
        step: Value,
    },
    /// The first days of all years, quarters or months from the beginning of one year up to the beginning of another.
    Calendar {
        /// The year of the first edge.
        from: i32,
        /// The year of the last edge.
        to: i32,
        /// What begins at each edge.
        part: CalendarPart,
    },
}

/// A part of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarPart {
    /// Twelve months.
    Year,
    /// Three months.
    Quarter,
    /// One month.
    Month,
}

impl CalendarPart {
    const fn months(self) -> u32 {
        match self {
            Self::Year => 12,
            Self::Quarter => 3,
            Self::Month => 1,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
        }
    }
}

impl TemplateEdges {
    /// The edges of all levels, and which each level has.
    pub(super) fn raw(&self) -> Result<RawLevels, TemplateProblem> {
        let edges = self.edges.values()?;
        if self.levels.is_empty() {
            return Ok(RawLevels::Edges {
                edges,
                levels: BTreeMap::new(),
            });
        }
        let name = self.name.clone().or_else(|| self.edges.default_name());
        let mut levels = BTreeMap::new();
        for (name, spec) in &self.levels {
            levels.insert(name.clone(), spec.values()?);
        }
        if let Some(name) = name
            && levels.insert(name, edges).is_some()
        {
            return Err(TemplateProblem::LevelTwice);
        }
        let all: BTreeSet<Value> = levels.values().flatten().cloned().collect();
        Ok(RawLevels::Edges {
            edges: all.into_iter().collect(),
            levels,
        })
    }
}

impl EdgeSpec {
    fn values(&self) -> Result<Vec<Value>, TemplateProblem> {
        let values = match self {
            Self::At(values) => Some(values.clone()),
            Self::Every { from, to, step } => match (from, to, step) {
                (Value::Int(from), Value::Int(to), Value::Int(step)) => whole_steps(*from, *to, *step),
                (from, to, step) => steps(number(from), number(to), number(step)),
            },
            Self::Calendar { from, to, part } => calendar(*from, *to, *part),
        };
        values.ok_or(TemplateProblem::Steps)
    }

    /// What the level of these edges is called if the template does not name it.
    fn default_name(&self) -> Option<LevelName> {
        let text = match self {
            Self::Calendar { part, .. } => part.label().to_owned(),
            Self::Every {
                step: Value::Int(step), ..
            } => format!("by_{step}"),
            Self::Every { .. } | Self::At(_) => "coarse".to_owned(),
        };
        LevelName::new(&text).ok()
    }
}

fn whole_steps(from: i64, to: i64, step: i64) -> Option<Vec<Value>> {
    let last = to.checked_sub(from)?.checked_div(step)?;
    let is_possible = step > 0 && to >= from && usize::try_from(last).is_ok_and(|last| last < MAX_EDGES);
    let edges = (0..=last).map(|at| from.checked_add(at.checked_mul(step)?).map(Value::Int));
    is_possible.then(|| edges.collect())?
}

/// Each edge is computed from the first one, so that rounding does not add up.
fn steps(from: Option<f64>, to: Option<f64>, step: Option<f64>) -> Option<Vec<Value>> {
    let (from, to, step) = (from?, to?, step?);
    let is_possible = step > 0.0 && to >= from && (to - from) / step < 200.0;
    let edges = (0..=MAX_EDGES)
        .filter_map(|at| u32::try_from(at).ok())
        .map(|at| from + f64::from(at) * step)
        // An end that rounding moved by less than the smallest fraction of a step is reached.
        .take_while(|edge| *edge <= to + step * 1e-9);
    let edges = edges.map(|edge| Finite::new(edge).ok().map(Value::Float));
    is_possible.then(|| edges.collect())?
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(number.get()),
        Value::Int(number) => i32::try_from(*number).ok().map(f64::from),
        Value::Bool(_) | Value::Date(_) | Value::Text(_) => None,
    }
}

fn calendar(from: i32, to: i32, part: CalendarPart) -> Option<Vec<Value>> {
    let years = usize::try_from(to.checked_sub(from)?).ok()?;
    if years > MAX_DATE_EDGES {
        return None;
    }
    let begins = (from..=to).flat_map(|year| (1..=12_u32).map(move |month| (year, month)));
    let begins = begins.filter(|(year, month)| (month - 1) % part.months() == 0 && (*year < to || *month == 1));
    let days: Option<Vec<Value>> = begins
        .map(|(year, month)| NaiveDate::from_ymd_opt(year, month, 1).map(|date| Value::Date(date.to_epoch_days())))
        .collect();
    days.filter(|days| days.len() <= MAX_DATE_EDGES)
}
