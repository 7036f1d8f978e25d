mod attack;
mod cost;
mod reference;
mod restore;
mod supports;

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::schema::VersionNumber;
use proptest::prelude::*;

use super::{Offered, OwnersOf, ReleasedSet, Space, SpaceError, SpaceParameters, Themselves, Verdict};
use crate::random::seeded::Seeded;
use crate::{CellBox, Condition, Epochs, UnitSet};
use reference::{Point, Reference};

struct Owners(BTreeMap<u32, u32>);

impl OwnersOf for Owners {
    fn owners_of(&mut self, units: &[u32]) -> Vec<Option<u32>> {
        units.iter().map(|unit| self.0.get(unit).copied()).collect()
    }
}

fn parameters(k: u32, universe: u32) -> SpaceParameters {
    SpaceParameters {
        k,
        universe,
        distinctions: 512,
        bytes: 64 << 20,
    }
}

/// A cell that no other implies.
fn cell(number: u32) -> CellBox {
    let condition = Condition::Atoms {
        path: "cell".to_owned(),
        of: u32::MAX,
        atoms: UnitSet::from_iter([number]),
    };
    CellBox::new(condition).unwrap()
}

fn released(units: UnitSet, cell: CellBox) -> ReleasedSet {
    let version = VersionNumber::FIRST;
    ReleasedSet { units, version, cell }
}

/// A space of `n` subjects in which nothing was released.
fn space(k: u32, n: u32, seed: u64) -> Space {
    let universe = [released(UnitSet::all(n), CellBox::everyone())];
    let epochs = Epochs::new(VersionNumber::FIRST);
    Space::rebuild(
        parameters(k, n),
        &universe,
        epochs,
        &mut Themselves,
        &mut Seeded::new(seed),
    )
    .unwrap()
}

fn offer_all(space: &Space, sets: &[UnitSet], seed: u64) -> super::Offer {
    let cells: Vec<CellBox> = (0..).map(cell).take(sets.len()).collect();
    let offered: Vec<Offered<'_>> = sets
        .iter()
        .zip(&cells)
        .map(|(units, cell)| Offered {
            units,
            version: VersionNumber::FIRST,
            cell,
            neighbors: &[],
            is_withheld: false,
        })
        .collect();
    space.offer(&offered, &mut Themselves, &mut Seeded::new(seed)).unwrap()
}

/// What a commit of one set leads to.
fn release(space: &mut Space, units: UnitSet) -> Verdict {
    let offer = offer_all(space, &[units], 7);
    let verdict = offer.verdicts()[0];
    space.commit(offer).unwrap();
    verdict
}

/// A small space: who owns each unit, what changed in each version, and what is offered.
#[derive(Clone, Debug)]
struct Case {
    k: u32,
    owners: BTreeMap<u32, u32>,
    changes: Vec<BTreeSet<u32>>,
    /// Version, units, and whether to offer it together with the one before.
    offers: Vec<(u64, BTreeSet<u32>, bool)>,
}

fn any_case() -> impl Strategy<Value = Case> {
    (2_u32..=4, 4_u32..=12, any::<bool>(), 0_usize..3).prop_flat_map(|(k, n, are_rows, versions)| {
        let subjects = if are_rows { (n * 2).div_ceil(3) } else { n };
        let owners = prop::collection::vec(0..subjects, n as usize).prop_map(move |owners| {
            let owner = |unit: u32| if are_rows { owners[unit as usize] } else { unit };
            (0..n).map(|unit| (unit, owner(unit))).collect::<BTreeMap<u32, u32>>()
        });
        let changes = prop::collection::vec(prop::collection::btree_set(0..n, 0..=n as usize), versions);
        let random = prop::collection::btree_set(0..n, 0..=n as usize);
        // An attacker's: all but few.
        let large = prop::collection::btree_set(0..n, 0..=4)
            .prop_map(move |few| (0..n).filter(|unit| !few.contains(unit)).collect());
        let units = prop_oneof![random, large];
        let offers = prop::collection::vec((1..=versions as u64 + 1, units, any::<bool>()), 1..12);
        (Just(k), owners, changes, offers).prop_map(|(k, owners, changes, offers)| Case {
            k,
            owners,
            changes,
            offers,
        })
    })
}

impl Case {
    fn epochs(&self) -> Epochs {
        let mut epochs = Epochs::new(VersionNumber::FIRST);
        for (version, changed) in (2..).zip(&self.changes) {
            epochs
                .add(VersionNumber::new(version), changed.iter().copied().collect())
                .unwrap();
        }
        epochs
    }

    /// Whether a set isolates with all units that changed since a version before.
    fn isolates_changed(&self, reference: &Reference, (version, units): (u64, &BTreeSet<u32>)) -> bool {
        let mut changed = units.clone();
        (2..=version).rev().any(|since| {
            changed.extend(&self.changes[usize::try_from(since - 2).unwrap()]);
            reference.with(self.points(version, &changed)).isolates(self.k as usize)
        })
    }

    fn points(&self, version: u64, units: &BTreeSet<u32>) -> BTreeSet<Point> {
        let changed = |unit: u32| {
            let changes = (2..=version).zip(&self.changes);
            changes
                .filter(|(_, changed)| changed.contains(&unit))
                .map(|(at, _)| at)
                .last()
        };
        units.iter().map(|unit| (changed(*unit).unwrap_or(1), *unit)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// After any sequence of offers and commits no figure is about 1 to k-1 subjects, and each verdict is right.
    #[test]
    fn space_isolates_no_few_subjects(case in any_case(), seed: u64) {
        let n = u32::try_from(case.owners.len()).unwrap();
        let universe = [released(UnitSet::all(n), CellBox::everyone())];
        let mut owners = Owners(case.owners.clone());
        let entropy = &mut Seeded::new(seed);
        let space = Space::rebuild(parameters(case.k, n), &universe, case.epochs(), &mut owners, entropy);
        let subjects: BTreeSet<u32> = case.owners.values().copied().collect();
        if subjects.len() < case.k as usize {
            prop_assert_eq!(space.unwrap_err(), SpaceError::TooFewSubjects { k: case.k });
            return Ok(());
        }
        let mut space = space.unwrap();
        let mut reference = Reference { sets: vec![case.points(1, &(0..n).collect())], owners: case.owners.clone() };
        let mut left = &case.offers[..];
        while !left.is_empty() {
            let length = 1 + left[1..].iter().take_while(|(.., together)| *together).count();
            let (now, later) = left.split_at(length);
            left = later;
            let sets: Vec<UnitSet> = now.iter().map(|(_, units, _)| units.iter().copied().collect()).collect();
            let cells: Vec<CellBox> = (0..).map(cell).take(length).collect();
            let offered: Vec<_> = now.iter().zip(&sets).zip(&cells).map(|(((version, ..), units), cell)| {
                Offered { units, version: VersionNumber::new(*version), cell, neighbors: &[], is_withheld: false, }
            }).collect();
            let offer = space.offer(&offered, &mut owners, entropy).unwrap();
            for ((version, units, _), verdict) in now.iter().zip(offer.verdicts()) {
                let with = reference.with(case.points(*version, units));
                let is_new = with.rank_of_all() > reference.rank_of_all();
                let isolates = with.isolates(case.k as usize);
                match verdict {
                    Verdict::Certified => prop_assert!(is_new && !isolates),
                    Verdict::Derivable | Verdict::RevealsEmpty => prop_assert!(!is_new && !isolates),
                    // A refusal is for a figure that exists.
                    Verdict::Isolates => prop_assert!(is_new && isolates),
                    Verdict::Dense | Verdict::NoBudget => prop_assert!(is_new),
                    Verdict::Neighbor => prop_assert!(case.isolates_changed(&reference, (*version, units))),
                }
                if *verdict == Verdict::Certified {
                    reference = with;
                }
            }
            space.commit(offer).unwrap();
        }
        prop_assert!(!reference.isolates(case.k as usize));
    }
}

#[test]
fn space_withholds_a_difference_of_two_totals() {
    let mut space = space(10, 300, 1);
    let hundred = UnitSet::from_iter(0..100);
    assert_eq!(release(&mut space, hundred.clone()), Verdict::Certified);
    assert_eq!(release(&mut space, UnitSet::from_iter(0..99)), Verdict::Isolates);
    assert_eq!(release(&mut space, UnitSet::from_iter(0..91)), Verdict::Isolates);
    assert_eq!(release(&mut space, UnitSet::from_iter(0..90)), Verdict::Certified);
    // Now those from 90 to 99 are a figure, and so are all but one of them with others.
    assert_eq!(release(&mut space, UnitSet::from_iter(91..300)), Verdict::Isolates);
    assert_eq!(release(&mut space, UnitSet::from_iter(90..300)), Verdict::RevealsEmpty);
    let rest = UnitSet::all(300).difference(&hundred);
    assert_eq!(release(&mut space, rest), Verdict::RevealsEmpty);
}

#[test]
fn space_counts_the_universe_as_known() {
    let mut space = space(10, 300, 1);
    assert_eq!(release(&mut space, UnitSet::from_iter(0..299)), Verdict::Isolates);
    assert_eq!(release(&mut space, UnitSet::from_iter(0..291)), Verdict::Isolates);
    assert_eq!(release(&mut space, UnitSet::from_iter(0..290)), Verdict::Certified);
    assert_eq!(release(&mut space, UnitSet::new()), Verdict::RevealsEmpty);
    let all = UnitSet::all(300);
    let everyone = CellBox::everyone();
    let offered = [Offered {
        units: &all,
        version: VersionNumber::FIRST,
        cell: &everyone,
        neighbors: &[],
        is_withheld: false,
    }];
    let offer = space.offer(&offered, &mut Themselves, &mut Seeded::new(1)).unwrap();
    assert_eq!(offer.verdicts(), [Verdict::Derivable]);
}

/// Unions of small classes isolate like small classes.
#[test]
fn space_withholds_a_tracker() {
    let mut space = space(10, 300, 1);
    // The target is 7; the tracker of a set is the set with and without a condition that the target alone meets.
    let without = UnitSet::from_iter((0..150).filter(|unit| *unit != 7));
    assert_eq!(
        release(&mut space, UnitSet::from_iter((100..300).chain([7]))),
        Verdict::Certified
    );
    assert_eq!(release(&mut space, UnitSet::from_iter(100..300)), Verdict::Isolates);
    assert_eq!(release(&mut space, without), Verdict::Certified);
    assert_eq!(release(&mut space, UnitSet::from_iter(0..150)), Verdict::Isolates);
}

#[test]
fn space_withholds_what_few_changes_reveal() {
    for (number, verdict) in [(9, Verdict::Isolates), (10, Verdict::Certified)] {
        let mut space = space(10, 300, 1);
        let changed = UnitSet::from_iter(295..295 + number);
        space.add_version(VersionNumber::new(2), changed, 310).unwrap();
        let (all, everyone) = (UnitSet::all(300), CellBox::everyone());
        let offered = [Offered {
            units: &all,
            version: VersionNumber::new(2),
            cell: &everyone,
            neighbors: &[],
            is_withheld: false,
        }];
        let offer = space.offer(&offered, &mut Themselves, &mut Seeded::new(1)).unwrap();
        // Only 5 of the changed ones are in the set, before and after the change.
        assert_eq!(offer.verdicts(), [Verdict::Isolates]);
        let all = UnitSet::all(295 + number);
        let offered = [Offered {
            units: &all,
            ..offered[0]
        }];
        let offer = space.offer(&offered, &mut Themselves, &mut Seeded::new(1)).unwrap();
        assert_eq!(offer.verdicts(), [verdict]);
    }
}

/// Whether a person who changed is in a set or not, what was released of an earlier version is not compared with it.
#[test]
fn space_withholds_what_changed_wherever_it_is() {
    let half = UnitSet::from_iter(0..150);
    for (changed, neighbor, expected) in [
        (7..8, 0..150, Verdict::Isolates),
        (200..201, 0..150, Verdict::Neighbor),
        (140..160, 0..150, Verdict::Certified),
        (150..170, 0..150, Verdict::Derivable),
        (150..170, 0..151, Verdict::Neighbor),
    ] {
        let mut space = space(10, 300, 1);
        assert_eq!(release(&mut space, half.clone()), Verdict::Certified);
        let later = VersionNumber::new(2);
        space.add_version(later, changed.collect(), 300).unwrap();
        let (wider, of_wider, cell) = (UnitSet::from_iter(neighbor), cell(9), cell(0));
        let neighbors = [crate::Neighbor {
            is_plain: false,
            is_examined: false,
            units: &wider,
            cell: &of_wider,
        }];
        let mut offered = Offered {
            units: &half,
            version: later,
            cell: &cell,
            neighbors: &neighbors,
            is_withheld: false,
        };
        let offer = space.offer(&[offered], &mut Themselves, &mut Seeded::new(1)).unwrap();
        assert_eq!(offer.verdicts(), [expected]);
        offered.version = VersionNumber::FIRST;
        let offer = space.offer(&[offered], &mut Themselves, &mut Seeded::new(1)).unwrap();
        assert_eq!(
            offer.verdicts(),
            [Verdict::Derivable],
            "what is known of the first version"
        );
    }
}

/// The verdict on a set whose only neighbor is a wider one.
fn beside_wider(
    before: &[UnitSet],
    units: &UnitSet,
    wider: &UnitSet,
    (is_plain, is_examined): (bool, bool),
) -> Verdict {
    let mut space = space(10, 1_000, 1);
    for units in before {
        assert_eq!(release(&mut space, units.clone()), Verdict::Certified);
    }
    let (cell, of_wider) = (cell(0), cell(9));
    let neighbors = [crate::Neighbor {
        is_examined,
        is_plain,
        units: wider,
        cell: &of_wider,
    }];
    let offered = Offered {
        units,
        version: VersionNumber::FIRST,
        cell: &cell,
        neighbors: &neighbors,
        is_withheld: false,
    };
    let offer = space.offer(&[offered], &mut Themselves, &mut Seeded::new(1)).unwrap();
    offer.verdicts()[0]
}

/// A wider set of one condition less that isolates up to nine people withholds what is about fewer than ten others.
#[test]
fn space_certifies_what_is_about_enough_others() {
    let (plain, alternatives, free) = ((true, true), (false, true), (false, false));
    let units = UnitSet::from_iter(0..100);
    for all_but in [0, 1, 5, 9] {
        let verdict = |how| beside_wider(&[], &units, &UnitSet::all(1_000 - all_but), how);
        assert_eq!(verdict(plain), Verdict::Certified, "{all_but}");
        assert_eq!(verdict(alternatives), Verdict::Neighbor, "{all_but}");
        assert_eq!(verdict(free), Verdict::Certified, "{all_but}");
    }
    assert_eq!(
        beside_wider(&[], &units, &UnitSet::all(990), alternatives),
        Verdict::Certified
    );
}

/// All but one person of a group were released. Whether the people of the group with a value are shown does not depend on whether that one
/// has it.
#[test]
fn space_verdict_does_not_depend_on_who_is_isolated() {
    let (released, one) = (UnitSet::from_iter(0..120), UnitSet::from_iter([120]));
    let wider = released.union(&one);
    for others in 0..40 {
        let without = UnitSet::from_iter(0..others);
        let is_shown = |units: &UnitSet| {
            beside_wider(std::slice::from_ref(&released), units, &wider, (true, true)) == Verdict::Certified
        };
        let expected = others >= 10;
        assert_eq!(is_shown(&without), expected, "{others}");
        assert_eq!(is_shown(&without.union(&one)), expected, "{others} and the one");
    }
}

/// Rows of few subjects are few, however many rows there are.
#[test]
fn space_of_rows_counts_subjects() {
    // Subjects 0 to 8 have 100 rows each, and 200 others one.
    let mut owners = Owners(
        (0..1_100)
            .map(|row| (row, if row < 900 { row / 100 } else { row }))
            .collect(),
    );
    let universe = [released(UnitSet::all(1_100), CellBox::everyone())];
    let epochs = Epochs::new(VersionNumber::FIRST);
    let entropy = &mut Seeded::new(1);
    let space = Space::rebuild(parameters(10, 1_100), &universe, epochs, &mut owners, entropy).unwrap();
    let mut verdict = |units: UnitSet| {
        let cell = cell(1);
        let offered = [Offered {
            units: &units,
            version: VersionNumber::FIRST,
            cell: &cell,
            neighbors: &[],
            is_withheld: false,
        }];
        space.offer(&offered, &mut owners, entropy).unwrap().verdicts()[0]
    };
    assert_eq!(verdict(UnitSet::from_iter(0..900)), Verdict::Isolates);
    assert_eq!(
        verdict(UnitSet::from_iter(900..1_100)),
        Verdict::Isolates,
        "its complement"
    );
    assert_eq!(verdict(UnitSet::from_iter(0..901)), Verdict::Certified);
}

/// Rows without a known subject do not count as the row of any subject.
#[test]
fn space_does_not_count_rows_without_owners() {
    let mut owners = Owners((0..300).filter(|row| row % 2 == 0).map(|row| (row, row)).collect());
    let universe = [released(UnitSet::all(300), CellBox::everyone())];
    let epochs = Epochs::new(VersionNumber::FIRST);
    let entropy = &mut Seeded::new(1);
    let space = Space::rebuild(parameters(10, 300), &universe, epochs, &mut owners, entropy).unwrap();
    for (length, expected) in [(18, Verdict::Isolates), (19, Verdict::Certified)] {
        let (units, cell) = (UnitSet::from_iter(0..length), cell(1));
        let offered = [Offered {
            units: &units,
            version: VersionNumber::FIRST,
            cell: &cell,
            neighbors: &[],
            is_withheld: false,
        }];
        assert_eq!(
            space.offer(&offered, &mut owners, entropy).unwrap().verdicts(),
            [expected]
        );
    }
}

#[test]
fn offer_is_the_same_with_the_same_entropy() {
    let sets: Vec<UnitSet> = (0..6)
        .map(|at| UnitSet::from_iter((0..300).filter(|unit| unit % 7 <= at)))
        .collect();
    let space = space(10, 300, 1);
    let first = offer_all(&space, &sets, 3);
    assert_eq!(first.verdicts(), offer_all(&space, &sets, 3).verdicts());
    let units = |offer: &super::Offer| -> Vec<_> { offer.steps.iter().flatten().map(|step| step.unit).collect() };
    assert_eq!(units(&first), units(&offer_all(&space, &sets, 3)));
    assert_ne!(units(&first), units(&offer_all(&space, &sets, 4)));
}

#[test]
fn offer_that_is_dropped_changes_nothing() {
    let mut space = space(10, 300, 1);
    let left = space.distinctions_left();
    let (most, one_less) = (UnitSet::from_iter(0..200), UnitSet::from_iter(0..199));
    let together = offer_all(&space, &[most.clone(), one_less.clone()], 1);
    assert_eq!(together.verdicts(), [Verdict::Certified, Verdict::Isolates]);
    drop(together);
    assert_eq!(space.distinctions_left(), left);
    assert_eq!(release(&mut space, one_less), Verdict::Certified);
    assert_eq!(space.distinctions_left(), left - 1);
    assert_eq!(release(&mut space, most), Verdict::Isolates);
}

#[test]
fn offer_for_another_state_is_refused() {
    let (mut space, mut other) = (space(10, 300, 1), space(10, 300, 2));
    let sets = [UnitSet::from_iter(0..100), UnitSet::from_iter(0..99)];
    let offers = sets
        .each_ref()
        .map(|set| offer_all(&space, std::slice::from_ref(set), 1));
    let [first, second] = offers;
    assert!(space.commit(first).is_ok());
    assert_eq!(space.commit(second), Err(SpaceError::Stale));
    let third = offer_all(&space, &[UnitSet::from_iter(0..50)], 1);
    let fourth = offer_all(&space, &[UnitSet::from_iter(0..50)], 1);
    assert_eq!(other.commit(third), Err(SpaceError::Stale));
    space.add_version(VersionNumber::new(2), UnitSet::new(), 300).unwrap();
    assert_eq!(space.commit(fourth), Err(SpaceError::Stale));
}

#[test]
fn space_ends_with_its_budget() {
    let universe = [released(UnitSet::all(300), CellBox::everyone())];
    let limited = SpaceParameters {
        distinctions: 3,
        ..parameters(10, 300)
    };
    let epochs = Epochs::new(VersionNumber::FIRST);
    let mut space = Space::rebuild(limited, &universe, epochs, &mut Themselves, &mut Seeded::new(1)).unwrap();
    assert_eq!(space.distinctions_left(), 2);
    assert_eq!(release(&mut space, UnitSet::from_iter(0..100)), Verdict::Certified);
    assert_eq!(release(&mut space, UnitSet::from_iter(100..200)), Verdict::Certified);
    assert_eq!(space.distinctions_left(), 0);
    assert_eq!(release(&mut space, UnitSet::from_iter(0..50)), Verdict::NoBudget);
    assert_eq!(release(&mut space, UnitSet::from_iter(0..200)), Verdict::RevealsEmpty);
}

#[test]
fn space_that_is_rebuilt_gives_the_same_verdicts() {
    let sets: Vec<UnitSet> = (1..8)
        .map(|at| UnitSet::from_iter((0..300).filter(|unit| unit % 8 < at)))
        .collect();
    let mut stored = vec![released(UnitSet::all(300), CellBox::everyone())];
    stored.extend(sets.iter().cloned().zip(0..).map(|(set, at)| released(set, cell(at))));
    // A set that follows from the others, and a raised threshold.
    stored.push(stored[1].clone());
    for (k, extendable) in [(10, true), (30, true), (45, false)] {
        let epochs = Epochs::new(VersionNumber::FIRST);
        let rebuilt = Space::rebuild(
            parameters(k, 300),
            &stored,
            epochs,
            &mut Themselves,
            &mut Seeded::new(2),
        );
        let mut rebuilt = rebuilt.unwrap();
        assert_eq!(release(&mut rebuilt, sets[3].clone()), Verdict::RevealsEmpty);
        let with_others = UnitSet::from_iter((0..300).filter(|unit| unit % 7 < 3));
        let verdict = release(&mut rebuilt, with_others);
        let expected = if extendable {
            Verdict::Certified
        } else {
            Verdict::NoBudget
        };
        assert_eq!(verdict, expected, "{k}");
    }
}

/// Sets within a region that were released for a smaller threshold: the bases cannot show what follows for a larger one.
#[test]
fn space_with_a_raised_threshold_is_closed() {
    let mut stored = vec![released(UnitSet::all(10_000), CellBox::everyone())];
    let mut entropy = Seeded::new(4);
    for at in 0..40 {
        let half = UnitSet::from_iter((0..100).filter(|_| crate::random::below(&mut entropy, 2) == 0));
        stored.push(released(half, cell(at)));
    }
    let few: UnitSet = stored[1].units.iter().take(9).collect();
    let without = stored[1].units.difference(&few);
    for (k, expected) in [(2, Verdict::Certified), (10, Verdict::NoBudget)] {
        let epochs = Epochs::new(VersionNumber::FIRST);
        let space = Space::rebuild(parameters(k, 10_000), &stored, epochs, &mut Themselves, &mut entropy);
        assert_eq!(release(&mut space.unwrap(), without.clone()), expected, "{k}");
    }
}

#[test]
fn space_of_invalid_parameters_is_refused() {
    let rebuild = |k, n, sets: &[ReleasedSet]| {
        let epochs = Epochs::new(VersionNumber::FIRST);
        Space::rebuild(parameters(k, n), sets, epochs, &mut Themselves, &mut Seeded::new(1)).unwrap_err()
    };
    let all = |n| [released(UnitSet::all(n), CellBox::everyone())];
    assert_eq!(rebuild(1, 300, &all(300)), SpaceError::Threshold(1));
    assert_eq!(rebuild(10, 300, &[]), SpaceError::NoUniverse);
    assert_eq!(rebuild(10, 9, &all(9)), SpaceError::TooFewSubjects { k: 10 });
    assert_eq!(rebuild(10, 300, &all(0)), SpaceError::TooFewSubjects { k: 10 });
    assert_eq!(rebuild(10, 299, &all(300)), SpaceError::Beyond { universe: 299 });
    let space = space(10, 300, 1);
    let (units, cell) = (UnitSet::from_iter([300]), cell(1));
    let offered = [Offered {
        units: &units,
        version: VersionNumber::FIRST,
        cell: &cell,
        neighbors: &[],
        is_withheld: false,
    }];
    let refused = space.offer(&offered, &mut Themselves, &mut Seeded::new(1)).unwrap_err();
    assert_eq!(refused, SpaceError::Beyond { universe: 300 });
    let units = UnitSet::all(300);
    let offered = [Offered {
        units: &units,
        version: VersionNumber::new(2),
        cell: &cell,
        neighbors: &[],
        is_withheld: false,
    }];
    let refused = space.offer(&offered, &mut Themselves, &mut Seeded::new(1)).unwrap_err();
    assert!(matches!(refused, SpaceError::Epochs(_)));
}
