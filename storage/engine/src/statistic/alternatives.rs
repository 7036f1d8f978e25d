//! Alternatives within conditions on events, and within what is computed from events.
//!
//! Who has an event that is one of two is who has the one or the other, so what an `OR` within a subquery leaves out or adds can be chosen by its text
//! as that of the query itself can.

use super::terms::{Condition, Day, Quantity};

/// The alternatives of each `OR` within the events of a condition, in their order. Those of the condition itself are not among them.
pub(super) fn within(condition: &Condition) -> Vec<Vec<Condition>> {
    let mut found = Vec::new();
    visit(&mut condition.clone(), &mut |inner| {
        if let Condition::Or(alternatives) = inner {
            found.push(alternatives.clone());
        }
    });
    found
}

/// Whether a quantity is computed from events with alternatives.
pub(super) fn are_in(quantity: &Quantity) -> bool {
    let mut found = false;
    visit_quantity(&mut quantity.clone(), &mut |_| found = true);
    found
}

/// The condition with `some` in place of the alternatives at this position of [`within`].
pub(super) fn with_some(condition: &Condition, at: usize, some: &[Condition]) -> Condition {
    let mut changed = condition.clone();
    let mut position = 0_usize;
    visit(&mut changed, &mut |inner| {
        if position == at {
            *inner = Condition::any(some.to_vec());
        }
        position = position.saturating_add(1);
    });
    changed
}

/// Calls `of_or` with each outermost `OR` within events.
fn visit(condition: &mut Condition, of_or: &mut dyn FnMut(&mut Condition)) {
    match condition {
        Condition::And(parts) => parts.iter_mut().for_each(|part| visit(part, of_or)),
        Condition::Events { of, .. } => visit_rows(&mut of.rows, of_or),
        Condition::Test(of, _) => visit_quantity(of, of_or),
        Condition::All
        | Condition::Never
        | Condition::Listed { .. }
        | Condition::Reference { .. }
        | Condition::OtherRow { .. }
        | Condition::Or(_) => {}
    }
}

fn visit_rows(rows: &mut Condition, of_or: &mut dyn FnMut(&mut Condition)) {
    match rows {
        Condition::Or(_) => of_or(rows),
        Condition::And(parts) => {
            parts.iter_mut().for_each(|part| visit_rows(part, of_or));
            *rows = Condition::all(std::mem::take(parts));
        }
        Condition::All
        | Condition::Never
        | Condition::Test(..)
        | Condition::Events { .. }
        | Condition::Listed { .. }
        | Condition::Reference { .. }
        | Condition::OtherRow { .. } => visit(rows, of_or),
    }
}

fn visit_quantity(quantity: &mut Quantity, of_or: &mut dyn FnMut(&mut Condition)) {
    match quantity {
        Quantity::OfSubject { of, .. } => visit_rows(&mut of.rows, of_or),
        Quantity::Days { from, to } => {
            visit_day(from, of_or);
            visit_day(to, of_or);
        }
        Quantity::Age { at, .. } => visit_day(at, of_or),
        Quantity::Column(_) | Quantity::InText(_) | Quantity::Seconds { .. } | Quantity::Linear { .. } => {}
    }
}

fn visit_day(day: &mut Day, of_or: &mut dyn FnMut(&mut Condition)) {
    match day {
        Day::OfSubject { of, .. } => visit_rows(&mut of.rows, of_or),
        Day::Column(_) => {}
    }
}
