//! A possible subject, and which conditions it meets.

use std::collections::BTreeMap;

use super::condition::Condition;

/// The atoms of a subject or of one of its events; `None` is an atom that no condition names.
pub(super) type Values = BTreeMap<String, Option<u32>>;

/// A possible subject.
#[derive(Clone, Debug, Default)]
pub(super) struct Subject {
    pub(super) values: Values,
    pub(super) events: BTreeMap<String, Vec<Values>>,
}

impl Subject {
    pub(super) fn meets(&self, condition: &Condition) -> bool {
        meets(condition, &self.values, Some(&self.events))
    }
}

/// Whether a subject, or an event if there are no `events`, meets a condition.
pub(super) fn meets(condition: &Condition, values: &Values, events: Option<&BTreeMap<String, Vec<Values>>>) -> bool {
    match condition {
        Condition::Everyone => true,
        Condition::Atoms { path, atoms, .. } => {
            let value = values.get(path).copied().flatten();
            value.is_some_and(|atom| atoms.contains(atom))
        }
        Condition::Events {
            events: name,
            at_least,
            that,
        } => {
            let all = events.and_then(|events| events.get(name)).into_iter().flatten();
            let matching = all.filter(|event| meets(that, event, None)).count();
            matching >= usize::try_from(*at_least).unwrap_or(usize::MAX)
        }
        Condition::Not(condition) => !meets(condition, values, events),
        Condition::All(conditions) => conditions.iter().all(|condition| meets(condition, values, events)),
        Condition::Any(conditions) => conditions.iter().any(|condition| meets(condition, values, events)),
    }
}
