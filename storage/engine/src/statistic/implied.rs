//! Which conditions and groups are about subjects with certain events only.
//!
//! A value that is computed from events of a subject is missing for a subject without one. So that there is such an event follows from a condition on
//! the value, and from a class of it: the first date of an event, the days since it, its number.

use super::terms::{Condition, Day, EventSet, Quantity};

/// Whether a condition is true for subjects only who have one of these events, as far as its parts show it.
pub(super) fn needs_events(condition: &Condition, set: &EventSet) -> bool {
    match condition {
        Condition::Test(of, test) => !test.passing().has_null() && is_of_events(of, set),
        // In the rows of other events, "the row around" is another row.
        Condition::Events { of, exist } => {
            *exist && (is_within(of, set) || !set.rows.names_outer() && needs_events(&of.rows, set))
        }
        Condition::And(parts) => parts.iter().any(|part| needs_events(part, set)),
        Condition::Or(parts) => parts.iter().all(|part| needs_events(part, set)),
        Condition::All
        | Condition::Never
        | Condition::Listed { .. }
        | Condition::Reference { .. }
        | Condition::OtherRow { .. } => false,
    }
}

/// Whether a quantity is missing for subjects who have none of these events.
pub(super) fn is_of_events(quantity: &Quantity, set: &EventSet) -> bool {
    let is_date_of = |day: &Day| match day {
        Day::OfSubject { of, .. } => is_within(of, set),
        Day::Column(_) => false,
    };
    match quantity {
        Quantity::OfSubject { of, .. } => is_within(of, set),
        Quantity::Days { from, to } => is_date_of(from) || is_date_of(to),
        Quantity::Age { at, .. } => is_date_of(at),
        Quantity::Column(_) | Quantity::InText(_) | Quantity::Seconds { .. } | Quantity::Linear { .. } => false,
    }
}

/// Whether events are some of others: they meet at least the same conditions.
fn is_within(events: &EventSet, others: &EventSet) -> bool {
    let conditions = events.rows.conjuncts();
    let mut required = others.rows.conjuncts().iter();
    events.dataset == others.dataset && required.all(|condition| conditions.contains(condition))
}
