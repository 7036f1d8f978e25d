//! The list of attacks.

use super::averaging;
use super::differences;
use super::groups;
use super::measures;
use super::numbers::Numbers;
use super::oracles;
use super::overlaps;
use super::people::{MISSING, People};
use super::reconstruction;
use super::register::Register;
use super::system::{DISTINCTIONS, K};
use super::target::Attack;
use super::trackers;

/// What the attack is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    /// Whether the target has the secret, as part of the people do.
    Secret,
    /// The same, where it was a coin that decided.
    Coin,
    /// Whether the target is in the data.
    Member,
    /// Whether the target's secret is missing.
    Missing,
    /// The target's number, within one part in a hundred.
    Hidden,
}

/// Changes the versions of the data, of which there is one, before a person is attacked.
type Plant = fn(&mut Vec<People>, u32, &mut Numbers);

/// A coin decides on the target's secret.
const TOSS: Plant = |versions, person, numbers| {
    versions[0].secret[person as usize] = u32::from(numbers.chance(0.5));
};

/// All of a small group that the target is in have the secret.
const ALL_OF_A_SMALL_GROUP: Plant = |versions, person, _| {
    let register = versions[0].register();
    let column = register.small_group(person).unwrap();
    for like in register.like(column, person).iter() {
        versions[0].secret[like as usize] = 1;
    }
};

const IS_IN_A_SMALL_GROUP: fn(&Register, u32) -> bool =
    |register, person| register.is_unique(person) && register.small_group(person).is_some();

/// An attack with its bars: `exact` reveals no exact value to it, `perturbed` leaves it within 5 points of guessing and `private` within 1.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) truth: Truth,
    /// Changes the people so that there is what the attack is about; versions are added.
    pub(super) plant: Plant,
    pub(super) is_target: fn(&Register, u32) -> bool,
    pub(super) attack: Attack,
    /// The budget of distinctions.
    pub(super) distinctions: u32,
    /// Whether what is shown depends on neighbors. Without them, the rest of the decision is on its own: neighbors withhold all unions of
    /// single people.
    pub(super) has_neighbors: bool,
    /// Why a bar is not met. The test fails if it is.
    pub(super) open: Open,
}

/// Bars that are not met, with the reason.
#[derive(Clone, Copy, Default)]
pub(super) struct Open {
    pub(super) exact: Option<&'static str>,
    pub(super) perturbed: Option<&'static str>,
}

const MET: Open = Open {
    exact: None,
    perturbed: None,
};

/// An attack on people as they are, of whom the target is any that is unique.
const PLAIN: Case = Case {
    name: "",
    truth: Truth::Secret,
    plant: |_, _, _| {},
    is_target: Register::is_unique,
    attack: differences::of_counts,
    has_neighbors: true,
    distinctions: DISTINCTIONS,
    open: MET,
};

pub(super) const COUNTS: Case = Case {
    name: "difference of two counts",
    ..PLAIN
};

pub(super) const IGNORED_NOISE: Case = Case {
    name: "difference, read without noise",
    truth: Truth::Coin,
    plant: TOSS,
    attack: differences::of_counts_without_their_noise,
    ..PLAIN
};

pub(super) const SUMS: Case = Case {
    name: "difference of two sums",
    truth: Truth::Hidden,
    attack: differences::of_sums,
    ..PLAIN
};

pub(super) const GENERAL_TRACKER: Case = Case {
    name: "general tracker",
    attack: trackers::general,
    ..PLAIN
};

pub(super) const DOUBLE_TRACKER: Case = Case {
    name: "double tracker",
    attack: trackers::double,
    ..PLAIN
};

pub(super) const INTERSECTION: Case = Case {
    name: "intersection",
    attack: trackers::intersection,
    ..PLAIN
};

pub(super) const AVERAGING: Case = Case {
    name: "averaging",
    attack: averaging::over_texts_and_partitions,
    ..PLAIN
};

pub(super) const RECONSTRUCTION: Case = Case {
    name: "reconstruction",
    attack: reconstruction::of_a_region,
    has_neighbors: false,
    ..PLAIN
};

pub(super) const DOMINANCE: Case = Case {
    name: "dominance",
    truth: Truth::Hidden,
    plant: |versions, person, _| versions[0].hidden[person as usize] = 2_000_000,
    attack: measures::of_the_largest,
    ..PLAIN
};

pub(super) const REGRESSION: Case = Case {
    name: "regression",
    truth: Truth::Hidden,
    attack: measures::of_a_regression,
    ..PLAIN
};

pub(super) const ONE_VALUE: Case = Case {
    name: "group with one value",
    plant: ALL_OF_A_SMALL_GROUP,
    is_target: IS_IN_A_SMALL_GROUP,
    attack: groups::with_one_value,
    ..PLAIN
};

pub(super) const KNOWN_GROUP: Case = Case {
    name: "known group with one value",
    plant: ALL_OF_A_SMALL_GROUP,
    is_target: IS_IN_A_SMALL_GROUP,
    attack: groups::with_one_value_and_known_people,
    ..PLAIN
};

pub(super) const INTERVALS: Case = Case {
    name: "tables of three conditions",
    plant: |versions, person, _| {
        let register = versions[0].register();
        let first = register.like(register.widest(person), person);
        let second = register.like(register.second_widest(person), person);
        for other in 0..versions[0].size() {
            match (first.contains(other), second.contains(other)) {
                (true, true) => versions[0].secret[other as usize] = 1,
                (false, false) => versions[0].secret[other as usize] = 0,
                (true, false) | (false, true) => {}
            }
        }
    },
    attack: groups::in_intervals,
    ..PLAIN
};

pub(super) const MEMBERSHIP: Case = Case {
    name: "membership",
    truth: Truth::Member,
    plant: |versions, person, numbers| {
        let other = (person + 1 + numbers.below(versions[0].size() - 1)) % versions[0].size();
        if numbers.chance(0.5) {
            versions[0].replace(person, other);
        }
    },
    attack: groups::with_a_member,
    ..PLAIN
};

pub(super) const EMPTY_GROUPS: Case = Case {
    name: "empty groups",
    attack: oracles::of_groups,
    ..PLAIN
};

pub(super) const MISSING_VALUES: Case = Case {
    name: "missing values",
    truth: Truth::Missing,
    plant: |versions, person, numbers| {
        if numbers.chance(0.5) {
            versions[0].secret[person as usize] = MISSING;
        }
    },
    attack: oracles::of_missing_values,
    ..PLAIN
};

pub(super) const FLAGS: Case = Case {
    name: "sums of flags",
    attack: oracles::of_flags,
    has_neighbors: false,
    ..PLAIN
};

pub(super) const SITES: Case = Case {
    name: "totals minus the own site",
    attack: oracles::of_totals,
    ..PLAIN
};

pub(super) const INSTITUTIONS: Case = Case {
    name: "two institutions",
    is_target: |register, person| register.is_unique(person) && !register.pivots(person).is_empty(),
    attack: differences::of_two_institutions,
    open: Open {
        exact: Some("each institution has a memory of its own"),
        perturbed: Some("each institution has a memory of its own, and equal sets have equal noise"),
    },
    ..PLAIN
};

pub(super) const OVERLAPS: Case = Case {
    name: "sets that overlap in the target",
    truth: Truth::Coin,
    plant: TOSS,
    attack: overlaps::with_the_target,
    has_neighbors: false,
    ..PLAIN
};

pub(super) const THRESHOLDS: Case = Case {
    name: "thresholds with known people",
    attack: oracles::of_thresholds,
    ..PLAIN
};

pub(super) const AUDIT: Case = Case {
    name: "the audit with known people",
    attack: oracles::of_the_audit,
    ..PLAIN
};

pub(super) const AUDIT_BY_VALUES: Case = Case {
    name: "the audit with known values",
    is_target: |register, person| register.is_unique(person) && !register.boxes(u64::from(K - 1), person).is_empty(),
    attack: oracles::of_the_audit_by_values,
    ..PLAIN
};

pub(super) const WIDE_PARTS: Case = Case {
    name: "unions of large parts",
    attack: oracles::of_wide_parts,
    ..PLAIN
};

pub(super) const PADDED: Case = Case {
    name: "differences with known people",
    is_target: |register, person| register.is_unique(person) && !register.paddings(person).is_empty(),
    attack: oracles::of_padded_sets,
    ..PLAIN
};

pub(super) const PADDED_COMPLEMENTS: Case = Case {
    name: "complements with known people",
    attack: oracles::of_padded_complements,
    ..PADDED
};

pub(super) const BUDGET: Case = Case {
    name: "a budget that is used up",
    attack: oracles::of_the_budget,
    // In 900 people there is no capacity for the default; it is the same with any.
    distinctions: 8,
    ..PLAIN
};

pub(super) const VERSIONS: Case = Case {
    name: "before and after an import",
    plant: |versions, person, _| {
        let mut before = versions[0].clone();
        before.secret[person as usize] = MISSING;
        versions.insert(0, before);
    },
    attack: differences::over_versions,
    ..PLAIN
};

/// All of them, in the order of the table.
pub(super) const ALL: &[&Case] = &[
    &COUNTS,
    &IGNORED_NOISE,
    &SUMS,
    &GENERAL_TRACKER,
    &DOUBLE_TRACKER,
    &INTERSECTION,
    &AVERAGING,
    &RECONSTRUCTION,
    &DOMINANCE,
    &REGRESSION,
    &ONE_VALUE,
    &KNOWN_GROUP,
    &INTERVALS,
    &MEMBERSHIP,
    &EMPTY_GROUPS,
    &MISSING_VALUES,
    &FLAGS,
    &SITES,
    &INSTITUTIONS,
    &OVERLAPS,
    &THRESHOLDS,
    &AUDIT,
    &AUDIT_BY_VALUES,
    &WIDE_PARTS,
    &PADDED,
    &PADDED_COMPLEMENTS,
    &BUDGET,
    &VERSIONS,
];
