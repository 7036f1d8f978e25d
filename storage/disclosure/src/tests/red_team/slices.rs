//! Parts of a measurement of thousands of tables, which takes too long at once.

use super::cases;
use super::score;
use super::system::{Kind, Rules};

/// The first table, and the one after the last.
const FROM: &str = "CONCORDAT_RED_TEAM_FROM";
const TO: &str = "CONCORDAT_RED_TEAM_TO";

/// `Perturbed`, unless it is another mode.
const MODE: &str = "CONCORDAT_RED_TEAM_MODE";

/// The name of an attack, or nothing for all of them.
const ATTACK: &str = "CONCORDAT_RED_TEAM_ATTACK";

/// Prints for each attack the sums over these tables, which can be added to those over others: `.ci/red-team --slice`.
#[test]
#[ignore = "measures what variables state; `.ci/red-team --slice` sets them"]
fn red_team_measures_a_slice() {
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let number = |name: &str, otherwise: u64| variable(name).map_or(otherwise, |text| text.parse().unwrap());
    let tables = number(FROM, 0)..number(TO, super::TRIALS);
    let mode = variable(MODE).unwrap_or_else(|| Kind::Perturbed.name());
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == mode).unwrap();
    let attack = variable(ATTACK);
    let is_chosen = |name: &str| attack.as_ref().is_none_or(|attack| attack == name);
    let rules = Rules::new();
    for case in cases::ALL.iter().filter(|case| is_chosen(case.name)) {
        let outcome = score::outcome_of(case, &rules, kind, tables.clone());
        let (above, error) = (outcome.above(), outcome.error());
        println!("SLICE {};{mode};{above:.2};{error:.2};{outcome:?}", case.name);
    }
}
