//! Edges of a template file: listed, at equal steps, or by the calendar.

use std::collections::BTreeMap;

use concordat_protocol::collection::{CalendarPart, EdgeSpec, MAX_DATE_EDGES, TemplateEdges};
use concordat_protocol::ids::LevelName;
use concordat_protocol::scope::{Finite, Value};

use super::entries::{Fields, Node};
use super::error::MistakeProblem as Problem;
use super::mistakes::Mistakes;

/// Most named levels, of edges or of codes, as in the rules of a collection.
pub(super) const MAX_LEVELS: usize = 16;
/// How edges are declared.
const FORMS: &str = "`at`, `years` with or without `part`, or `from`, `to` and `step`";

/// `[…]`, or `{ from, to, step }`, `{ years, part }` or `{ at }`, each with `name` and `levels` beside it.
pub(super) fn edges(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<TemplateEdges> {
    if node.is_list() {
        return Some(TemplateEdges {
            name: None,
            edges: EdgeSpec::At(listed(node, mistakes)?),
            levels: BTreeMap::new(),
        });
    }
    let mut fields = node.table(mistakes)?;
    let name = fields.take("name").and_then(|node| node.parsed(mistakes));
    let further = fields.take("levels").and_then(|node| node.table(mistakes));
    let edges = spec(
        fields,
        "`name`, `levels`, `at`, `years`, `part`, `from`, `to` and `step`",
        mistakes,
    )?;
    let levels = further.map(|fields| levels(fields, &edges, mistakes));
    Some(TemplateEdges {
        name,
        levels: levels.unwrap_or_default(),
        edges,
    })
}

/// One of the three forms.
fn spec(mut fields: Fields<'_>, possible: &'static str, mistakes: &mut Mistakes) -> Option<EdgeSpec> {
    let calendar = ["years", "part"].map(|key| fields.take(key));
    let steps = ["from", "to", "step"].map(|key| fields.take(key));
    let at = fields.take("at");
    let spec = match (at, calendar, steps) {
        (Some(at), [None, None], [None, None, None]) => listed(&at, mistakes).map(EdgeSpec::At),
        (None, [Some(years), part], [None, None, None]) => by_calendar(&years, part.as_ref(), mistakes),
        (None, [None, None], [Some(from), Some(to), Some(step)]) => every(&from, &to, &step, mistakes),
        _ => fields.mistake(Problem::OneOf { of: FORMS }, mistakes),
    };
    fields.finish(possible, mistakes);
    spec
}

/// Further levels: another step or part of the calendar between the same ends, a list, or a form of its own.
fn levels(fields: Fields<'_>, base: &EdgeSpec, mistakes: &mut Mistakes) -> BTreeMap<LevelName, EdgeSpec> {
    let mut levels = BTreeMap::new();
    for node in fields.into_nodes(MAX_LEVELS, mistakes) {
        let name = node.parsed_key(mistakes);
        let spec = level(&node, base, mistakes);
        levels.extend(name.zip(spec));
    }
    levels
}

fn level(node: &Node<'_>, base: &EdgeSpec, mistakes: &mut Mistakes) -> Option<EdgeSpec> {
    if node.is_list() {
        return listed(node, mistakes).map(EdgeSpec::At);
    }
    if node.is_table() {
        let fields = node.table(mistakes)?;
        return spec(fields, "`at`, `years`, `part`, `from`, `to` and `step`", mistakes);
    }
    match base {
        EdgeSpec::Calendar { from, to, .. } => Some(EdgeSpec::Calendar {
            from: *from,
            to: *to,
            part: part(node, mistakes)?,
        }),
        EdgeSpec::Every { from, to, .. } => Some(EdgeSpec::Every {
            from: from.clone(),
            to: to.clone(),
            step: number(node, mistakes)?,
        }),
        EdgeSpec::At(_) => {
            let expected = "a list of edges, or a table";
            node.mistake(Problem::Type { expected }, mistakes)
        }
    }
}

/// Numbers or days. A number among whole numbers makes all of them numbers.
fn listed(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<Vec<Value>> {
    let elements = node.list(MAX_DATE_EDGES, mistakes)?;
    let values: Vec<Option<Value>> = elements.iter().map(|element| element.ordered_value(mistakes)).collect();
    let values: Vec<Value> = values.into_iter().collect::<Option<_>>()?;
    let has_number = values.iter().any(|value| matches!(value, Value::Float(_)));
    Some(
        values
            .into_iter()
            .map(|value| if has_number { as_number(value) } else { value })
            .collect(),
    )
}

/// A whole number as a number, if that is possible without loss.
fn as_number(value: Value) -> Value {
    let number = match &value {
        Value::Int(whole) => i32::try_from(*whole)
            .ok()
            .and_then(|whole| Finite::new(f64::from(whole)).ok()),
        Value::Bool(_) | Value::Float(_) | Value::Date(_) | Value::Text(_) => None,
    };
    number.map_or(value, Value::Float)
}

fn by_calendar(years: &Node<'_>, part_node: Option<&Node<'_>>, mistakes: &mut Mistakes) -> Option<EdgeSpec> {
    let ends = years.list(2, mistakes);
    let ends: Option<Vec<i32>> = ends.and_then(|ends| {
        let read: Vec<Option<i32>> = ends.iter().map(|end| end.whole(mistakes)).collect();
        read.into_iter().collect()
    });
    let part = part_node.map_or(Some(CalendarPart::Year), |node| part(node, mistakes));
    match ends?.as_slice() {
        [from, to] => Some(EdgeSpec::Calendar {
            from: *from,
            to: *to,
            part: part?,
        }),
        _ => {
            let expected = "the first and the last year";
            years.mistake(Problem::Type { expected }, mistakes)
        }
    }
}

fn part(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<CalendarPart> {
    let expected = "`year`, `quarter` or `month`";
    let text = if node.is_text() { node.text(mistakes)? } else { "" };
    match text {
        "year" => Some(CalendarPart::Year),
        "quarter" => Some(CalendarPart::Quarter),
        "month" => Some(CalendarPart::Month),
        _ => node.mistake(Problem::Type { expected }, mistakes),
    }
}

fn every(from: &Node<'_>, to: &Node<'_>, step: &Node<'_>, mistakes: &mut Mistakes) -> Option<EdgeSpec> {
    let from = number(from, mistakes);
    let to = number(to, mistakes);
    let step = number(step, mistakes);
    Some(EdgeSpec::Every {
        from: from?,
        to: to?,
        step: step?,
    })
}

fn number(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<Value> {
    let expected = "a finite number";
    let found = node.as_numeric_value();
    found.or_else(|| node.mistake(Problem::Type { expected }, mistakes))
}
