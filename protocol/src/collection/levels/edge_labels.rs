//! The labels of atoms between edges. They are part of answers, so they never change.

use super::axis::{Axis, date_of, year_at};
use super::reading::Reading;
use crate::scope::Finite;

/// The label of an atom, counted from zero; `None` if there is none. Those of one column differ, because each begins elsewhere.
pub(super) fn label(axis: &Axis, reading: Reading, atom: u16) -> Option<String> {
    let atom = usize::from(atom);
    if atom > axis.len() {
        return None;
    }
    Some(match axis {
        Axis::Int(edges) => {
            let (from, to) = around(edges, atom);
            whole(from, to, reading)
        }
        Axis::Float(edges) => match (reading, axis.whole()) {
            (Reading::Ages, Some(ages)) => {
                let (from, to) = around(&ages, atom);
                whole(from.flatten(), to.flatten(), reading)
            }
            (Reading::Ages | Reading::Plain | Reading::Years { .. }, _) => {
                let (from, to) = around(edges, atom);
                number(from, to)
            }
        },
        Axis::Date(days) | Axis::DateTime(days) => {
            let (from, to) = around(days, atom);
            dates(from, to, reading)
        }
    })
}

/// The edges at both ends of an atom.
fn around<T: Copy>(edges: &[T], atom: usize) -> (Option<T>, Option<T>) {
    let from = atom.checked_sub(1).and_then(|before| edges.get(before));
    (from.copied(), edges.get(atom).copied())
}

/// `<120`, `120-139`, `140+`; a single one is `120`. Bands of ages begin at zero.
fn whole(from: Option<i64>, to: Option<i64>, reading: Reading) -> String {
    let from = from.or((reading == Reading::Ages).then_some(0));
    let last = to.map(|to| to.saturating_sub(1));
    match (from, last) {
        (Some(from), Some(last)) if from == last => from.to_string(),
        (Some(from), Some(last)) if from < 0 => format!("{from}..{last}"),
        (Some(from), Some(last)) => format!("{from}-{last}"),
        (Some(from), None) => format!("{from}+"),
        (None, _) => to.map_or_else(String::new, |to| format!("<{to}")),
    }
}

/// `<1.5`, `[1.5,2.0)`, `>=2.0`
fn number(from: Option<Finite>, to: Option<Finite>) -> String {
    match (from.map(Finite::get), to.map(Finite::get)) {
        (Some(from), Some(to)) => format!("[{from:?},{to:?})"),
        (Some(from), None) => format!(">={from:?}"),
        (None, to) => to.map_or_else(String::new, |to| format!("<{to:?}")),
    }
}

/// `2020-01-01..2020-03-31`, `<2020-04-01`, `>=2020-04-01`; a single day is `2020-02-29`. Years from their first to their last day are
/// `2019`, `2010-2019`, `<1950` and `2030+`; the oldest year that is distinguished stands for all before it.
fn dates(from: Option<i32>, to: Option<i32>, reading: Reading) -> String {
    let text = |day: i32| date_of(day).map_or_else(|| day.to_string(), |date| date.to_string());
    match (from, to) {
        (Some(from), Some(to)) => match (year_at(from), year_at(to)) {
            (Some(first), Some(next)) if first == next - 1 => format!("{first:04}"),
            (Some(first), Some(next)) => format!("{first:04}-{:04}", next - 1),
            (None, _) | (_, None) if from == to.saturating_sub(1) => text(from),
            (None, _) | (_, None) => format!("{}..{}", text(from), text(to.saturating_sub(1))),
        },
        (Some(from), None) => match year_at(from) {
            Some(first) => format!("{first:04}+"),
            None => format!(">={}", text(from)),
        },
        (None, to) => match (to, to.and_then(year_at), reading) {
            (_, Some(next), Reading::Years { oldest: Some(oldest) }) if oldest == next - 1 => format!("{oldest:04}"),
            (_, Some(next), _) => format!("<{next:04}"),
            (Some(to), None, _) => format!("<{}", text(to)),
            (None, None, _) => String::new(),
        },
    }
}
