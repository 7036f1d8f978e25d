//! Groups by label: what has one label is one group.
//!
//! The cases of a `CASE` over several columns are joined in the place of the first of one label, where the rows of those between them can be
//! left out by a condition. Missing values that `coalesce` gives the label of a value are in its group.

use concordat_protocol::{
    collection::{AtomId, AtomSet, Levels},
    scope::Value,
};

use super::{
    spans::buckets,
    state::{Result, refused},
};
use crate::statistic::{
    forms::Form,
    known::KnownCollection,
    measure::Group,
    neighbors::not_true,
    terms::{Condition, Quantity},
};

/// Conditions with labels.
pub(super) type Cases = Vec<(Condition, Option<Value>)>;

/// The cases that rows can be in, and the label of all others: neighbors with one label are one, and what is always true is the rest.
pub(super) fn reached(cases: Cases, mut rest: Option<Value>) -> (Cases, Option<Value>) {
    let mut found: Cases = Vec::new();
    for (condition, label) in cases {
        let condition = condition.where_true();
        if condition == Condition::Never {
            continue;
        }
        match found.last_mut() {
            Some((before, known)) if *known == label => {
                *before = Condition::any(vec![before.clone(), condition]).where_true();
            }
            Some(_) | None => found.push((condition, label)),
        }
    }
    if let Some(at) = found.iter().position(|(condition, _)| *condition == Condition::All) {
        let everything = found.split_off(at).into_iter().next();
        rest = everything.and_then(|(_, label)| label);
    }
    while found.last().is_some_and(|(_, label)| *label == rest) {
        found.pop();
    }
    (found, rest)
}

/// The group with this label where it has none. Of groups with labels of the query these are texts: a date or number that is missing
/// as a label need not be a missing value.
pub(super) fn with_label(group: Group, label: Value, known: &KnownCollection) -> Result<Group> {
    match group {
        Group::Levels {
            of,
            level: None,
            missing: None,
        } if has_label(&known.levels(&of), &label) => joined_with_missing(of, label, known),
        Group::Levels { of, level, missing } => Ok(Group::Levels {
            of,
            level,
            missing: missing.or(Some(label)),
        }),
        Group::Buckets {
            of,
            buckets: labeled,
            rest,
        } => {
            let with = |own: Option<Value>| own.unwrap_or_else(|| label.clone());
            let sets: Vec<(Value, AtomSet)> = labeled
                .into_iter()
                .map(|bucket| (with(bucket.label), bucket.atoms))
                .collect();
            let rest = with(rest);
            let is_text = |label: &Value| matches!(label, Value::Text(_));
            if !is_text(&rest) || !sets.iter().all(|(label, _)| is_text(label)) {
                return Err(refused(Form::Labels));
            }
            let sets = sets.into_iter().map(|(label, atoms)| (Some(label), atoms));
            buckets(of, sets.collect(), Some(rest))
        }
        Group::Codes { .. } | Group::Cases { .. } => Err(refused(Form::Group)),
    }
}

/// Whether an atom of levels has this label, in a column whose values are of the kind of the labels: only there are they values again.
fn has_label(levels: &Levels, label: &Value) -> bool {
    match (levels, label) {
        (Levels::Truth, Value::Bool(_)) => true,
        (Levels::Values(listed), Value::Text(text)) => {
            listed.kind() == Some(label.kind()) && levels.labeled(text).is_some()
        }
        (Levels::None | Levels::Truth | Levels::Edges(_) | Levels::Values(_) | Levels::Codes(_), _) => false,
    }
}

/// The atoms of a quantity, missing values with the one that has this label.
fn joined_with_missing(of: Quantity, label: Value, known: &KnownCollection) -> Result<Group> {
    let levels = known.levels(&of);
    let mut sets = Vec::new();
    for atom in 0..levels.atoms().unwrap_or(0) {
        let text = levels
            .label(&AtomId::Listed(atom))
            .ok_or_else(|| refused(Form::Group))?;
        let own = match levels {
            Levels::Truth => Value::Bool(text == "true"),
            Levels::None | Levels::Edges(_) | Levels::Values(_) | Levels::Codes(_) => Value::Text(text),
        };
        sets.push((Some(own), levels.only(atom)));
    }
    buckets(of, sets, Some(label))
}

/// The cases with those of one label as one, in the place of the first of them, and without those with the label of all others. `None`
/// where "is not true" of another case has no condition.
pub(super) fn joined(
    cases: &[(Condition, Option<Value>)],
    rest: Option<&Value>,
    known: &KnownCollection,
) -> Option<Cases> {
    let mut found: Cases = Vec::new();
    for (at, (condition, label)) in cases.iter().enumerate() {
        if label.as_ref() == rest {
            continue;
        }
        let same = found.iter().position(|(_, own)| own == label);
        // The rows of cases before it are not its own, as far as these cases are no longer before it.
        let is_left_out = |other: Option<&Value>| other == rest || (same.is_some() && other != label.as_ref());
        let before = cases.iter().take(at).filter(|(_, other)| is_left_out(other.as_ref()));
        let others = before.map(|(other, _)| not_true(other, known));
        let others = others.collect::<Option<Vec<Condition>>>()?;
        let own = Condition::all(std::iter::once(condition.clone()).chain(others).collect());
        match same.and_then(|same| found.get_mut(same)) {
            Some((before, _)) => *before = Condition::any(vec![before.clone(), own]),
            None => found.push((own, label.clone())),
        }
    }
    Some(found)
}
