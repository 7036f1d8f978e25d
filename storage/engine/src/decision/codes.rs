//! Sets of codes of an open list, as the audit knows them.
//!
//! A condition on codes, a group by listed ones, by those that a condition names, and by the declared names of codes are sets of codes of
//! one column, and are described by these alone: it does not matter which text they are from.
//!
//! 1. Each code that a declared level lists is an atom, and so are all other codes together, and missing values. So the same people by
//!    code and by name are one set, and what is left of all codes beside some of them follows.
//! 2. Which of the other codes are in a set is a column of its own, for the codes and prefixes that the set distinguishes. Sets that
//!    distinguish the same ones are equal there, or one is all that the other one is not. Those that distinguish others are unrelated, even
//!    if one contains the other.

use std::collections::BTreeSet;

use concordat_disclosure::Condition as Described;
use concordat_protocol::{
    collection::{AtomId, AtomSet, Codes, Comparison, Levels},
    ids::LevelName,
    scope::Value,
};

use super::columns::{name, named, number, opaque};
use crate::statistic::{Bucket, Quantity};

/// Most codes that a condition names.
const MAX_OF_CONDITION: usize = 1_000;

/// A set of codes of a column with an open list.
pub(super) fn described(of: &Quantity, codes: &Codes, set: &AtomSet) -> Described {
    let Some(members) = set.code_set() else {
        // A set of atoms that are not codes is of another column.
        return opaque(&("codes", named(of), set, codes));
    };
    let listed = listed(codes);
    let others = listed.len();
    let path = name(&("listed codes", named(of), &listed));
    let atoms = |atoms: BTreeSet<usize>| Described::Atoms {
        path: path.clone(),
        of: number(others.saturating_add(2)),
        atoms: atoms.into_iter().map(number).collect(),
    };
    let inside = listed.iter().enumerate().filter(|(_, code)| members.contains(code));
    let null = set.has_null().then(|| others.saturating_add(1));
    let mut inside: BTreeSet<usize> = inside.map(|(at, _)| at).chain(null).collect();
    let prefixes: Vec<&str> = members.prefixes().map(|(prefix, _)| prefix).collect();
    let beyond = members.codes().map(|(code, _)| code);
    let beyond: Vec<&Value> = beyond.filter(|code| !listed.contains(code)).collect();
    if prefixes.is_empty() && beyond.is_empty() {
        inside.extend(members.has_rest().then_some(others));
        return atoms(inside);
    }
    // Of the codes that are not listed, those are in the set of which this is true, or all but those.
    let mut is_named = opaque(&("other codes", named(of), &prefixes, &beyond));
    if members.has_rest() {
        is_named = Described::Not(Box::new(is_named));
    }
    let is_named = Described::All(vec![atoms(BTreeSet::from([others])), is_named]);
    if inside.is_empty() {
        is_named
    } else {
        Described::Any(vec![atoms(inside), is_named])
    }
}

/// The codes that a level lists, whichever it is.
fn listed(codes: &Codes) -> BTreeSet<&Value> {
    let levels = codes.level_names().filter_map(|name| codes.level(name));
    levels
        .flat_map(|level| level.iter().map(|listed| &listed.value))
        .collect()
}

/// A class of a group by a level: one of its atoms, of which that of all other codes is the last one, or the missing values.
pub(super) fn of_level(levels: &Levels, name: &LevelName, class: usize) -> Option<AtomSet> {
    let Levels::Codes(codes) = levels else {
        return None;
    };
    let level = codes.level(name)?;
    let others = usize::from(level.atoms()).saturating_sub(1);
    if class > others {
        return Some(levels.all().complement());
    }
    let values = level.iter().map(|listed| listed.value.clone());
    if class == others {
        return levels.all().difference(&of_values(levels, values.collect())?).ok();
    }
    let of_class = |value: &Value| match levels.coarser(name, &AtomId::Code(value.clone())) {
        Some(AtomId::Listed(at)) => usize::from(at) == class,
        Some(AtomId::Null | AtomId::Code(_)) | None => false,
    };
    of_values(levels, values.filter(of_class).collect())
}

/// A class of a group by sets of codes: one of them, or all that are in none.
pub(super) fn of_buckets(levels: &Levels, buckets: &[Bucket], class: usize) -> Option<AtomSet> {
    if let Some(bucket) = buckets.get(class) {
        return Some(bucket.atoms.clone());
    }
    let none = levels.all().with_null(true).complement();
    let all = buckets.iter().try_fold(none, |all, bucket| all.union(&bucket.atoms));
    Some(all.ok()?.complement())
}

/// A class of a group by codes: one of them, or all others with the missing values.
pub(super) fn of_codes(levels: &Levels, codes: &[Value], class: usize) -> Option<AtomSet> {
    match codes.get(class) {
        Some(code) => of_values(levels, vec![code.clone()]),
        None => Some(of_values(levels, codes.to_vec())?.complement()),
    }
}

/// Codes of a list; `None` if they are not those of a column with an open list, or too many.
pub(super) fn of_listed(levels: &Levels, listed: &[Value]) -> Option<AtomSet> {
    let none = matches!(levels, Levels::Codes(_)).then(|| levels.all().with_null(true).complement());
    let mut parts = listed.chunks(MAX_OF_CONDITION);
    parts.try_fold(none?, |all, part| all.union(&of_values(levels, part.to_vec())?).ok())
}

/// These codes; `None` if they are too many for a condition, or of another kind.
fn of_values(levels: &Levels, values: Vec<Value>) -> Option<AtomSet> {
    let test = levels.decide(&Comparison::In(values)).ok()?;
    Some(test.passing().clone())
}
