//! Conditions on one quantity, and constants, as SQL.

use chrono::NaiveDate;
use concordat_protocol::{
    collection::{AtomSet, Axis, CodeKind, CodeSet, Edges, Levels, ListedValues},
    scope::Value,
};

/// Most ranges of one quantity that are written.
const MAX_RUNS: usize = 16;

/// Whether a value that is not missing is in one of these atoms; unknown for a missing one.
pub(super) fn values_in(text: &str, levels: &Levels, atoms: &AtomSet) -> Option<String> {
    match levels {
        Levels::None => None,
        Levels::Truth => {
            let parts: Vec<&str> = atoms
                .positions()?
                .map(|at| if at == 0 { "= false" } else { "= true" })
                .collect();
            Some(match parts.as_slice() {
                [] => format!("({text} = true AND {text} = false)"),
                [one] => format!("{text} {one}"),
                _ => format!("({text} = true OR {text} = false)"),
            })
        }
        Levels::Edges(edges) => between(text, edges, atoms),
        Levels::Values(values) => listed(text, values, atoms),
        Levels::Codes(_) => codes(text, atoms.code_set()?),
    }
}

fn between(text: &str, edges: &Edges, atoms: &AtomSet) -> Option<String> {
    let cuts = edge_literals(edges.axis())?;
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for at in atoms.positions()?.map(usize::from) {
        match runs.last_mut() {
            Some((_, to)) if *to == at => *to = at.saturating_add(1),
            Some(_) | None => runs.push((at, at.saturating_add(1))),
        }
    }
    // Each range is two conditions of the text, which may have a limited number of them.
    if runs.len() > MAX_RUNS {
        return None;
    }
    let any = cuts.first()?;
    let parts = runs.iter().map(|(from, to)| {
        let below = cuts.get(*to - 1).map(|cut| format!("{text} < {cut}"));
        let above = from
            .checked_sub(1)
            .and_then(|at| cuts.get(at))
            .map(|cut| format!("{text} >= {cut}"));
        match (above, below) {
            (Some(above), Some(below)) => format!("({above} AND {below})"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => format!("{text} < {any} OR {text} >= {any}"),
        }
    });
    let parts: Vec<String> = parts.collect();
    Some(match parts.as_slice() {
        [] => format!("({text} < {any} AND {text} >= {any})"),
        parts => format!("({})", parts.join(" OR ")),
    })
}

fn edge_literals(axis: &Axis) -> Option<Vec<String>> {
    let days = |days: &[i32]| days.iter().map(|day| literal(&Value::Date(*day))).collect();
    match axis {
        Axis::Int(numbers) => Some(numbers.iter().map(i64::to_string).collect()),
        Axis::Float(numbers) => Some(numbers.iter().map(|number| format!("{:?}", number.get())).collect()),
        Axis::Date(edges) | Axis::DateTime(edges) => days(edges),
    }
}

fn listed(text: &str, values: &ListedValues, atoms: &AtomSet) -> Option<String> {
    let levels = Levels::Values(values.clone());
    let rest = values.atoms().checked_sub(1)?;
    let has_rest = atoms.positions()?.any(|at| at == rest);
    let is_named = |value: &Value| atoms.contains(&levels.atom_of(value.into())) != has_rest;
    let all = values.iter().map(|listed| &listed.value);
    let named = all
        .filter(|value| is_named(value))
        .map(literal)
        .collect::<Option<Vec<_>>>()?;
    let first = literal(&values.iter().next()?.value)?;
    Some(match (named.is_empty(), has_rest) {
        (false, false) => format!("{text} IN ({})", named.join(", ")),
        (false, true) => format!("{text} NOT IN ({})", named.join(", ")),
        (true, false) => format!("({text} IN ({first}) AND {text} NOT IN ({first}))"),
        (true, true) => format!("({text} IN ({first}) OR {text} NOT IN ({first}))"),
    })
}

/// Codes: prefixes from the shortest one on, each of which decides those that begin with it, and then the codes themselves.
fn codes(text: &str, codes: &CodeSet) -> Option<String> {
    let of = |wanted: bool| {
        let found = codes.codes().filter(move |(_, is_in)| *is_in == wanted);
        found.map(|(code, _)| literal(code)).collect::<Option<Vec<_>>>()
    };
    let inside = of(true)?;
    let outside = of(false)?;
    let is_plain = codes.prefixes().next().is_none();
    if is_plain && !codes.has_rest() && !inside.is_empty() {
        return Some(format!("{text} IN ({})", inside.join(", ")));
    }
    if is_plain && codes.has_rest() && !outside.is_empty() {
        return Some(format!("{text} NOT IN ({})", outside.join(", ")));
    }
    let some = match codes.kind() {
        CodeKind::Int => "0",
        CodeKind::Text => "''",
    };
    let joining = if codes.has_rest() { "OR" } else { "AND" };
    let mut condition = format!("({text} IN ({some}) {joining} {text} NOT IN ({some}))");
    let mut prefixes: Vec<(&str, bool)> = codes.prefixes().collect();
    prefixes.sort_by_key(|(prefix, _)| prefix.len());
    for (prefix, is_in) in prefixes {
        let pattern = string(&format!("{prefix}%"));
        condition = if is_in {
            format!("({condition} OR {text} LIKE {pattern})")
        } else {
            format!("({condition} AND {text} NOT LIKE {pattern})")
        };
    }
    if !outside.is_empty() {
        condition = format!("({condition} AND {text} NOT IN ({}))", outside.join(", "));
    }
    if !inside.is_empty() {
        condition = format!("({condition} OR {text} IN ({}))", inside.join(", "));
    }
    Some(condition)
}

pub(super) fn literal(value: &Value) -> Option<String> {
    Some(match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{:?}", number.get()),
        Value::Text(text) => string(text),
        Value::Date(day) => format!("DATE '{}'", NaiveDate::from_epoch_days(*day)?),
    })
}

pub(super) fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
