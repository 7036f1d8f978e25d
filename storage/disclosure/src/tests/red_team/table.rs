//! The bars, and the table of all outcomes.

use super::cases::{Case, Truth};
use super::score::Outcome;
use super::system::Kind;

/// The part of the targets that a threshold alone does not protect, in percent.
const BROKEN: f64 = 80.0;

/// How many points above guessing each mode leaves.
const OF_PERTURBED: f64 = 5.0;
const OF_PRIVATE: f64 = 1.0;

/// A bar is not met if what an attack gains exceeds it by more than so many standard errors: targets are drawn.
const ERRORS: f64 = 2.6;

/// Where bars are not met, or are met although the list states that they are not.
pub(super) fn violations(case: &Case, outcomes: &[Outcome; 5]) -> Vec<String> {
    let [naive, _, exact, perturbed, private] = outcomes;
    let is_broken = match case.truth {
        // Nothing is computed without an error: the other people in each set are unknown.
        Truth::Coin => naive.above() >= (BROKEN - 50.0) / 2.0,
        Truth::Secret | Truth::Member | Truth::Missing | Truth::Hidden => naive.revealed() >= BROKEN,
    };
    let is_exceeded = |outcome: &Outcome, bar: f64, open: Option<&str>| {
        let errors = if open.is_some() { 0.0 } else { ERRORS };
        outcome.above() - errors * outcome.error() > bar
    };
    let open = case.open;
    let bars = [
        ("a threshold", !is_broken, None),
        ("exact", exact.revealed > 0.0, open.exact),
        (
            "perturbed",
            is_exceeded(perturbed, OF_PERTURBED, open.perturbed),
            open.perturbed,
        ),
        ("private", is_exceeded(private, OF_PRIVATE, None), None),
    ];
    let wrong = bars
        .into_iter()
        .filter(|(_, is_exceeded, open)| *is_exceeded != open.is_some());
    let text = |(system, is_exceeded, _): (&str, bool, Option<&str>)| {
        let state = if is_exceeded {
            "does not meet its bar"
        } else {
            "meets its bar, against the list"
        };
        format!("{}: {system} {state}: {outcomes:?}", case.name)
    };
    wrong.map(text).collect()
}

/// The first line of the table.
pub(super) fn head() -> String {
    let columns = ["threshold", "fresh noise", "exact", "", "perturbed", "private", "guess"];
    let columns: Vec<String> = columns.iter().map(|column| format!("{column:>11}")).collect();
    let under = ["revealed", "above", "revealed", "above", "above", "above", "right"];
    let under: Vec<String> = under.iter().map(|column| format!("{column:>11}")).collect();
    format!("{:32}{}\n{:32}{}", "attack", columns.concat(), "", under.concat())
}

/// One attack: parts of the targets and points above guessing, in percent. `*` is a bar that is not met.
pub(super) fn line(case: &Case, outcomes: &[Outcome; 5]) -> String {
    let of = |kind: Kind| &outcomes[Kind::ALL.iter().position(|other| *other == kind).unwrap()];
    let guess = 100.0 * of(Kind::Naive).guessed / of(Kind::Naive).trials;
    let star = |open: Option<&str>| if open.is_some() { "*" } else { " " };
    let exact = star(case.open.exact);
    let perturbed = star(case.open.perturbed);
    format!(
        "{:32}{:10.1} {:10.1} {:10.1}{exact}{:10.1} {:10.1}{perturbed}{:10.1} {guess:10.1}",
        case.name,
        of(Kind::Naive).revealed(),
        of(Kind::FreshNoise).above(),
        of(Kind::Exact).revealed(),
        of(Kind::Exact).above(),
        of(Kind::Perturbed).above(),
        of(Kind::Private).above(),
    )
}

/// Why bars are not met.
pub(super) fn note(case: &Case) -> Option<String> {
    let reasons: Vec<&str> = case.open.exact.into_iter().chain(case.open.perturbed).collect();
    let reason = reasons.first()?;
    Some(format!("* {}: {reason}", case.name))
}
