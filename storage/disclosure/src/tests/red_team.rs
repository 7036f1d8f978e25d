//! The red team: attacks on what is released, each beside the same attack on a threshold alone.
//!
//! | module | part |
//! | --- | --- |
//! | `numbers`, `people`, `register` | generated tables; what an attacker knows of them |
//! | `figure` | a figure with the variance of its noise: attacks are arithmetic on figures |
//! | `data`, `system` | cells of queries; a threshold with and without noise, and the modes `exact`, `perturbed` and `private` |
//! | `target`, `cases` | who is attacked by whom; the list of attacks |
//! | `differences`, `trackers`, `averaging`, `reconstruction` (with `solve`), `measures`, `groups`, `oracles`, `overlaps` | the attacks |
//! | `search` (with `regression`) | a search for others |
//! | `score`, `table`, `secrets`, `slices`, `utility` | how often an attack is right, and the bars; what is measured with more secrets or tables; what ordinary queries get |
//!
//! An attack is compared with guessing. Whether the target has the secret is guessed as best without any answer: as most people have it, or
//! by a coin where a coin decided. An attack changes the guess only by the evidence of its figures, so what it is better is what it found
//! out. A value counts as *revealed* if it was computed, and is right, from figures without noise, or from what is shown and what is not.
//!
//! The attacker knows who is in the data and by which columns people are found, but no secret of anyone. The bars: a threshold alone reveals
//! 80 of 100 targets; `exact` reveals none; `perturbed` leaves an attack within 5 points of guessing, and `private` within 1 point. Bars
//! that are not met are stated in the list, with the reason, and the tests fail if such a statement is no longer true.
//!
//! Not here are errors, times of answers, and what is refused by the language: they are not decided by this crate.

mod averaging;
mod cases;
mod data;
mod differences;
mod figure;
mod groups;
mod measures;
mod numbers;
mod oracles;
mod overlaps;
mod people;
mod reconstruction;
mod register;
mod regression;
mod score;
mod search;
mod secrets;
mod slices;
mod solve;
mod system;
mod table;
mod target;
mod trackers;
mod utility;

use cases::Case;
use register::{all, has_secret};
use score::Outcome;
use search::Effort;
use system::{Kind, Rules};

/// Tables, each with another target, for an attack in the tests.
const TRIALS: u64 = 60;

/// Secrets of the noise of each table, for [`secrets::over_secrets`].
const SECRETS: u64 = 5_000;

/// Targets of the search in the tests.
const SEARCHED: u64 = 5;

/// The search in the tests.
const EFFORT: Effort = Effort {
    attacks: 6,
    generations: 4,
    pairs: 3,
    shadows: 40,
    trials: 20,
};

/// Minutes that the whole table may take.
const MINUTES: &str = "CONCORDAT_RED_TEAM_MINUTES";

fn check(case: &Case) {
    let outcomes = score::outcomes(case, &Rules::new(), TRIALS);
    println!("{}\n{}", table::head(), table::line(case, &outcomes));
    let violations = table::violations(case, &outcomes);
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn red_team_difference_of_counts_meets_its_bars() {
    check(&cases::COUNTS);
}

#[test]
fn red_team_ignored_noise_meets_its_bars() {
    check(&cases::IGNORED_NOISE);
}

#[test]
fn red_team_difference_of_sums_meets_its_bars() {
    check(&cases::SUMS);
}

#[test]
fn red_team_general_tracker_meets_its_bars() {
    check(&cases::GENERAL_TRACKER);
}

#[test]
fn red_team_double_tracker_meets_its_bars() {
    check(&cases::DOUBLE_TRACKER);
}

#[test]
fn red_team_intersection_meets_its_bars() {
    check(&cases::INTERSECTION);
}

#[test]
fn red_team_averaging_meets_its_bars() {
    check(&cases::AVERAGING);
}

#[test]
fn red_team_reconstruction_meets_its_bars() {
    check(&cases::RECONSTRUCTION);
}

/// Finding D5.
#[test]
fn red_team_dominance_meets_its_bars() {
    check(&cases::DOMINANCE);
}

#[test]
fn red_team_regression_meets_its_bars() {
    check(&cases::REGRESSION);
}

#[test]
fn red_team_group_with_one_value_meets_its_bars() {
    check(&cases::ONE_VALUE);
}

#[test]
fn red_team_known_group_meets_its_bars() {
    check(&cases::KNOWN_GROUP);
}

/// Finding D7.
#[test]
fn red_team_tables_in_intervals_meet_their_bars() {
    check(&cases::INTERVALS);
}

#[test]
fn red_team_membership_meets_its_bars() {
    check(&cases::MEMBERSHIP);
}

/// Finding D3.
#[test]
fn red_team_empty_groups_meet_their_bars() {
    check(&cases::EMPTY_GROUPS);
}

/// Finding D4.
#[test]
fn red_team_missing_values_meet_their_bars() {
    check(&cases::MISSING_VALUES);
}

/// Finding D4.
#[test]
fn red_team_sums_of_flags_meet_their_bars() {
    check(&cases::FLAGS);
}

#[test]
fn red_team_totals_minus_one_site_meet_their_bars() {
    check(&cases::SITES);
}

#[test]
fn red_team_two_institutions_are_as_listed() {
    check(&cases::INSTITUTIONS);
}

#[test]
fn red_team_overlapping_sets_meet_their_bars() {
    check(&cases::OVERLAPS);
}

/// The same with an error of less than a tenth of a point: what noise leaves is near the bar.
#[test]
fn red_team_overlapping_sets_leave_five_points() {
    let outcome = secrets::over_secrets(&Rules::new(), 0..TRIALS, SECRETS);
    let (above, error) = (outcome.above(), outcome.error());
    println!("{above:.2} points above guessing, with a standard error of {error:.2}");
    assert!(above + 2.6 * error <= 5.0, "{outcome:?}");
}

/// Finding D3, for an attacker who knows nine people.
#[test]
fn red_team_thresholds_meet_their_bars() {
    check(&cases::THRESHOLDS);
}

#[test]
fn red_team_oracle_of_the_audit_meets_its_bars() {
    check(&cases::AUDIT);
}

#[test]
fn red_team_audit_by_values_meets_its_bars() {
    check(&cases::AUDIT_BY_VALUES);
}

#[test]
fn red_team_padded_differences_meet_their_bars() {
    check(&cases::PADDED);
}

#[test]
fn red_team_padded_complements_meet_their_bars() {
    check(&cases::PADDED_COMPLEMENTS);
}

#[test]
fn red_team_unions_of_large_parts_meet_their_bars() {
    check(&cases::WIDE_PARTS);
}

/// Finding D2, for what is refused by the decision.
#[test]
fn red_team_oracle_of_the_budget_meets_its_bars() {
    check(&cases::BUDGET);
}

#[test]
fn red_team_imports_meet_their_bars() {
    check(&cases::VERSIONS);
}

/// A list that leaves out an attack has no table of it.
#[test]
fn red_team_list_has_each_attack_once() {
    let mut names: Vec<&str> = cases::ALL.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 28);
}

/// Averaging has to remove noise that is drawn for each answer, or it would prove nothing about noise that is not.
#[test]
fn red_team_averaging_removes_fresh_noise() {
    let [_, fresh, ..] = score::outcomes(&cases::AVERAGING, &Rules::new(), TRIALS);
    assert!(fresh.right >= 0.9 * fresh.trials, "{fresh:?}");
}

/// The same people are counted with the same noise for each institution and in each text, so that two answers have no better mean.
#[test]
fn red_team_noise_is_that_of_the_set() {
    let people = people::People::generated(score::PEOPLE, 2);
    let versions = [data::Data::of(&people)];
    let rules = Rules::new();
    let open = |seed| rules.open(Kind::Perturbed, &versions, &crate::UnitSet::new(), seed);
    let mut parties = [open(1), open(2)];
    let register = people.register();
    for column in 0..register.columns.len() {
        let group = register.equal(column, 0);
        let forward = parties[0].count(all([group.clone(), has_secret()]));
        let backward = parties[1].count(all([has_secret(), group]));
        assert_eq!(forward, backward);
    }
}

/// A target is broken if the best attack on a threshold alone is right in 90 of 100 tables.
fn searched(kind: Kind, effort: Effort, targets: u64) -> (Outcome, f64) {
    let rules = Rules::new();
    let mut all_of = Outcome::default();
    let mut broken = 0.0;
    for seed in 0..targets {
        let outcome = search::best(&rules, kind, effort, seed);
        broken += f64::from(u8::from(outcome.right >= 0.9 * outcome.trials));
        all_of.add(&outcome);
    }
    (all_of, 100.0 * broken / targets as f64)
}

#[test]
fn red_team_search_breaks_a_threshold() {
    let (outcome, broken) = searched(Kind::Naive, EFFORT, SEARCHED);
    assert!(broken >= 80.0, "{broken} {outcome:?}");
}

#[test]
fn red_team_search_meets_its_bars() {
    for (kind, bar) in [(Kind::Exact, 100.0), (Kind::Perturbed, 5.0), (Kind::Private, 1.0)] {
        let (outcome, _) = searched(kind, EFFORT, SEARCHED);
        println!("{kind:?}: {:.1} points above guessing", outcome.above());
        assert_eq!(outcome.revealed, 0.0);
        assert!(outcome.above() - 2.6 * outcome.error() <= bar, "{kind:?} {outcome:?}");
    }
}

/// The whole table, in as many minutes as the variable states: `.ci/red-team`.
#[test]
#[ignore = "takes minutes; `.ci/red-team` runs it"]
fn red_team_prints_its_table() {
    let minutes: u32 = std::env::var(MINUTES).map_or(1, |minutes| minutes.parse().unwrap());
    let rules = Rules::new();
    let violations = print_attacks(&rules, TRIALS * u64::from(minutes));
    print_search(Effort {
        attacks: 12,
        generations: EFFORT.generations * minutes as usize,
        pairs: 12,
        shadows: 48,
        trials: 50,
    });
    print_utility(&rules);
    assert!(violations.is_empty(), "{violations:#?}");
}

fn print_attacks(rules: &Rules, trials: u64) -> Vec<String> {
    println!("\n{}", table::head());
    let mut violations = Vec::new();
    for case in cases::ALL {
        let outcomes = score::outcomes(case, rules, trials);
        println!("{}", table::line(case, &outcomes));
        violations.extend(table::violations(case, &outcomes));
    }
    for note in cases::ALL.iter().filter_map(|case| table::note(case)) {
        println!("{note}");
    }
    violations
}

fn print_search(effort: Effort) {
    println!("\na search for attacks: points above guessing, with the standard error, and targets broken, in percent");
    for kind in [Kind::Naive, Kind::Exact, Kind::Perturbed, Kind::Private] {
        let (outcome, broken) = searched(kind, effort, 2 * SEARCHED);
        let name = kind.name();
        let above = outcome.above();
        let error = outcome.error();
        println!("{name:32}{above:10.1} {error:10.1} {broken:10.1}");
    }
}

fn print_utility(rules: &Rules) {
    println!(
        "\nordinary queries: cells of 30 people and more that are shown, and the median error of these, in percent"
    );
    let print = |name: &str, rules: &Rules, kind: Kind| {
        let utility::Utility { shown, error } = utility::of(rules, kind);
        println!("{name:32}{shown:10.1} {error:10.1}");
    };
    for kind in Kind::ALL {
        print(&kind.name(), rules, kind);
    }
    let alone = rules.with(system::DISTINCTIONS, false);
    for kind in [Kind::Exact, Kind::Perturbed] {
        print(&format!("{kind:?} without neighbors"), &alone, kind);
    }
}

/// What ordinary queries get of exact figures: the price of neighbors is known, and does not grow unseen.
#[test]
fn red_team_neighbors_leave_most_cells() {
    let rules = Rules::new();
    let shown = |rules: &Rules| utility::of(rules, Kind::Exact).shown;
    let (with, without) = (shown(&rules), shown(&rules.with(system::DISTINCTIONS, false)));
    println!("cells that are shown: {with:.1} of a hundred, and {without:.1} without neighbors");
    assert!(with >= 0.75 * without, "{with} {without}");
}
