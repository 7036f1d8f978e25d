//! The labels of the classes of a group: each class has one of its own.
//!
//! What a query computes above its groups has a row for each class. Two classes with one label would be two rows where SQL has one, and
//! each with a part of its figure. So no statistic has such a group: texts are lowered to groups whose classes are joined by label, or are
//! refused.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use concordat_protocol::{
    collection::{AtomId, Levels},
    scope::Value,
};

use super::{forms::NotCountable, known::KnownCollection, measure::Group};

/// The labels of the classes of a group as text, in the order of the grid; `None` is NULL.
pub(crate) fn texts(group: &Group, known: &KnownCollection) -> Vec<Option<String>> {
    match group {
        Group::Levels { of, level, missing } => {
            let levels = known.levels(of);
            let coarser = level.as_ref().and_then(|name| levels.level(name));
            let levels = coarser.unwrap_or(levels);
            let atoms = (0..levels.atoms().unwrap_or(0)).map(AtomId::Listed);
            let labels = atoms.map(|atom| levels.label(&atom));
            labels.chain([text(missing.as_ref())]).collect()
        }
        Group::Buckets { buckets, rest, .. } => {
            let labels = buckets.iter().map(|bucket| text(bucket.label.as_ref()));
            labels.chain([text(rest.as_ref())]).collect()
        }
        Group::Codes { codes, .. } => {
            let labels = codes.iter().map(|code| text(Some(code)));
            labels.chain([None]).collect()
        }
        Group::Cases { cases, rest } => {
            let labels = cases.iter().map(|(_, label)| text(label.as_ref()));
            labels.chain([text(rest.as_ref())]).collect()
        }
    }
}

/// Refuses a group of which two classes have one label.
///
/// # Errors
/// [`NotCountable::SameLabel`].
pub(super) fn require_own_labels(group: &Group, known: &KnownCollection) -> Result<(), NotCountable> {
    let of_truth = matches!(group, Group::Levels { of, .. } if matches!(known.levels(of), Levels::Truth));
    let shown = texts(group, known).into_iter();
    require_distinct(shown.map(|label| if of_truth { label.map(as_truth) } else { label }))
}

/// Refuses values of a group of which two are one.
///
/// # Errors
/// [`NotCountable::SameLabel`].
pub(super) fn require_own_values<'v>(values: impl Iterator<Item = &'v Value>) -> Result<(), NotCountable> {
    require_distinct(values.map(|value| text(Some(value))))
}

fn require_distinct(labels: impl Iterator<Item = Option<String>>) -> Result<(), NotCountable> {
    let mut known = BTreeSet::new();
    for label in labels {
        if !known.insert(label.clone()) {
            return Err(NotCountable::SameLabel {
                label: label.map_or_else(|| "NULL".to_owned(), |label| format!("`{label}`")),
            });
        }
    }
    Ok(())
}

/// The truth value that a text is read as in a column of truth values.
fn as_truth(text: String) -> String {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => "true".to_owned(),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => "false".to_owned(),
        _ => text,
    }
}

/// A value as text that can be read as the value again. Both zeros are one number.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(format!("{:?}", number.get() + 0.0)),
        Value::Date(day) => NaiveDate::from_epoch_days(*day).map(|date| date.to_string()),
        Value::Text(text) => Some(text.clone()),
    }
}
