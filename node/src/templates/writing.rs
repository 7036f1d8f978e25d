//! Writes what is declared about a collection as a template file about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use chrono::NaiveDate;
use concordat_protocol::collection::{
    CollectionRules, ColumnRole, CountLevels, DatasetKind, DayLevels, Listed, RawColumnRules, RawDatasetRules,
    RawLevels, RawRange,
};
use concordat_protocol::ids::{CollectionName, ColumnName, DatasetName, LevelName};
use concordat_protocol::scope::Value;

/// Most characters of the name of a template.
const MAX_NAME: usize = 40;

/// The text of a template file that declares these rules. Columns without a class are in it too, with a comment, and so are columns whose
/// levels or range are only `proposed`.
#[must_use]
pub fn written(
    name: &CollectionName,
    rules: &CollectionRules,
    proposed: &BTreeSet<(DatasetName, ColumnName)>,
) -> String {
    let raw = rules.raw();
    let shared = Shared::of(raw.datasets.values());
    // The name of a template has fewer characters.
    let label: String = name.as_str().chars().take(MAX_NAME).collect();
    let mut text = format!(
        "# What is declared about the collection `{name}`.\n\ntemplate = 1\nname = {}\n",
        quoted(&label)
    );
    if raw.days != DayLevels::default() {
        push(
            &mut text,
            format_args!("\n[days]\nlevels = {}\n", numbers(raw.days.as_slice())),
        );
    }
    for (levels, name) in &shared.0 {
        push(&mut text, format_args!("\n[levels.{name}]\n{levels}\n"));
    }
    for (name, dataset) in &raw.datasets {
        push(
            &mut text,
            format_args!("\n[datasets.{name}]\n{}", dataset_lines(dataset)),
        );
        push(&mut text, format_args!("[datasets.{name}.columns]\n"));
        for (column, rules) in &dataset.columns {
            let is_proposed = proposed.contains(&(name.clone(), column.clone()));
            let comment = match (rules.class.is_none(), is_proposed) {
                (false, false) => "",
                (true, false) => " # has no class",
                (false, true) => " # proposed",
                (true, true) => " # has no class; the rest is proposed",
            };
            let entries = column_entries(rules, &shared).join(", ");
            let name = quoted(column.as_str());
            push(&mut text, format_args!("{name} = {{ {entries} }}{comment}\n"));
        }
    }
    text
}

/// Writing to a text does not fail.
fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part).ok();
}

/// Levels that several columns have, by the entry that declares them, each with a name.
struct Shared(BTreeMap<String, String>);

impl Shared {
    fn of<'a>(datasets: impl Iterator<Item = &'a RawDatasetRules>) -> Self {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for column in datasets.flat_map(|dataset| dataset.columns.values()) {
            // That a column has true and false is shorter than a name for it.
            if column.levels != RawLevels::Truth
                && let Some(entry) = levels_entry(&column.levels)
            {
                *counts.entry(entry).or_default() += 1;
            }
        }
        let shared = counts.into_iter().filter(|(_, count)| *count > 1);
        let named = shared
            .zip(1_u32..)
            .map(|((entry, _), number)| (entry, format!("shared_{number}")));
        Self(named.collect())
    }
}

fn dataset_lines(dataset: &RawDatasetRules) -> String {
    let mut text = format!("kind = {}\n", quoted(dataset.kind.label()));
    match &dataset.kind {
        DatasetKind::Keyed { unique: true, .. } => text.push_str("unique = true\n"),
        DatasetKind::Owned { through } => {
            let links = through.iter().map(|link| {
                let to = format!("{}.{}", link.to, link.key);
                format!("{{ column = {}, to = {} }}", quoted(link.column.as_str()), quoted(&to))
            });
            push(
                &mut text,
                format_args!("through = [{}]\n", links.collect::<Vec<_>>().join(", ")),
            );
        }
        DatasetKind::Keyed { unique: false, .. }
        | DatasetKind::Reference
        | DatasetKind::EachRow
        | DatasetKind::Unowned => {}
    }
    if let Some(date) = &dataset.event_date {
        push(&mut text, format_args!("date = {}\n", quoted(date.as_str())));
    }
    if dataset.counts != CountLevels::default() {
        push(
            &mut text,
            format_args!("counts = {}\n", numbers(dataset.counts.as_slice())),
        );
    }
    text
}

fn column_entries(rules: &RawColumnRules, shared: &Shared) -> Vec<String> {
    let mut entries = Vec::new();
    entries.extend(rules.class.map(|class| format!("class = {}", quoted(class.as_str()))));
    match &rules.role {
        ColumnRole::Subject => entries.push("role = \"subject\"".to_owned()),
        ColumnRole::Key => entries.push("role = \"key\"".to_owned()),
        ColumnRole::Link { to, key } => entries.push(format!("link = {}", quoted(&format!("{to}.{key}")))),
        ColumnRole::Value => {}
    }
    if let Some(entry) = levels_entry(&rules.levels) {
        let name = shared.0.get(&entry).map(|name| format!("levels = {}", quoted(name)));
        entries.push(name.unwrap_or(entry));
    }
    entries.extend(rules.measure.as_ref().map(range_entry));
    entries.extend(
        rules
            .unit
            .as_ref()
            .map(|unit| format!("unit = {}", quoted(unit.as_str()))),
    );
    entries.extend(rules.complete.then(|| "complete = true".to_owned()));
    entries
}

fn range_entry(range: &RawRange) -> String {
    let step = range.step.map(|step| format!(", step = {step:?}")).unwrap_or_default();
    format!("range = {{ low = {:?}, high = {:?}{step} }}", range.low, range.high)
}

/// The entry that declares levels; `None` if there are none.
fn levels_entry(levels: &RawLevels) -> Option<String> {
    match levels {
        RawLevels::None => None,
        RawLevels::Truth => Some("levels = \"truth\"".to_owned()),
        RawLevels::Edges { edges, levels } => Some(format!("edges = {}", edges_value(edges, levels))),
        RawLevels::Values(listed) => Some(format!("values = {}", listed_value(listed))),
        RawLevels::Codes {
            hierarchy,
            names,
            levels,
        } => {
            let mut parts = Vec::new();
            parts.extend(hierarchy.as_ref().map(|found| {
                let groups = found.groups.as_ref().map(|groups| {
                    let [column, class] = [groups.column.as_str(), groups.class.as_str()].map(quoted);
                    format!(", groups = {{ column = {column}, class = {class} }}")
                });
                format!(
                    "hierarchy = {{ dataset = {}, ancestor = {}, descendant = {}{} }}",
                    quoted(found.dataset.as_str()),
                    quoted(found.ancestor.as_str()),
                    quoted(found.descendant.as_str()),
                    groups.unwrap_or_default()
                )
            }));
            parts.extend(names.as_ref().map(|found| {
                format!(
                    "names = {{ dataset = {}, code = {}, name = {} }}",
                    quoted(found.dataset.as_str()),
                    quoted(found.code.as_str()),
                    quoted(found.name.as_str())
                )
            }));
            if !levels.is_empty() {
                let named = levels
                    .iter()
                    .map(|(name, listed)| format!("{name} = {}", listed_value(listed)));
                parts.push(format!("levels = {{ {} }}", named.collect::<Vec<_>>().join(", ")));
            }
            Some(format!("codes = {{ {} }}", parts.join(", ")))
        }
    }
}

/// Edges with levels have those of all levels, so one of these is written as the first.
fn edges_value(edges: &[Value], levels: &BTreeMap<LevelName, Vec<Value>>) -> String {
    let mut named = levels.iter();
    let Some((first, at)) = named.next() else {
        return values_list(edges);
    };
    let others = named.map(|(name, at)| format!("{name} = {}", values_list(at)));
    let others: Vec<String> = others.collect();
    format!(
        "{{ name = {}, at = {}, levels = {{ {} }} }}",
        quoted(first.as_str()),
        values_list(at),
        others.join(", ")
    )
}

fn values_list(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(value).collect();
    format!("[{}]", values.join(", "))
}

/// A list if values are their own labels, and a table otherwise.
fn listed_value(listed: &[Listed]) -> String {
    let key = |entry: &Listed| match &entry.value {
        Value::Text(text) => text.clone(),
        other @ (Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Date(_)) => value(other),
    };
    if listed.iter().all(|entry| key(entry) == entry.label.as_str()) {
        let entries = listed.iter().map(|entry| quoted(entry.label.as_str()));
        return format!("[{}]", entries.collect::<Vec<_>>().join(", "));
    }
    let entries = listed
        .iter()
        .map(|entry| format!("{} = {}", quoted(&key(entry)), quoted(entry.label.as_str())));
    format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
}

fn value(value: &Value) -> String {
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{:?}", number.get()),
        Value::Date(day) => NaiveDate::from_epoch_days(*day).map_or_else(|| day.to_string(), |date| date.to_string()),
        Value::Text(text) => quoted(text),
    }
}

fn numbers(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    format!("[{}]", numbers.join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            _ if character.is_control() => push(&mut quoted, format_args!("\\u{:04X}", u32::from(character))),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}
