//! Supports that are computed by words, and once for all bases, are those of each residual by units.

use std::sync::Arc;

use super::*;
use crate::Neighbor;
use crate::field::Prime;
use crate::random::below;
use crate::space::search::Search;
use crate::space::state::Member;
use crate::space::support::{Portion, Supports, Terms};
use crate::tokens::Fingerprint;

/// Sets as an analyst's: of classes of subjects, most of them large and some of few subjects.
fn any_groups() -> impl Strategy<Value = (Vec<u32>, Vec<Vec<u64>>, u64)> {
    let sizes = prop::collection::vec(prop_oneof![1_u32..12, 12_u32..80, 80_u32..3_000], 4..14);
    let masks = prop::collection::vec(prop::collection::vec(any::<u64>(), 1..4), 3..16);
    (sizes, masks, any::<u64>())
}

/// Sets that are offered one after the other.
struct Sequence {
    sets: Vec<UnitSet>,
    universe: u32,
}

impl Sequence {
    fn of(sizes: &[u32], masks: &[u64]) -> Self {
        // The subjects of a class are not next to each other.
        let mut class_of: Vec<usize> = Vec::new();
        for (class, size) in sizes.iter().enumerate() {
            class_of.extend((0..*size).map(|_| class));
        }
        let mut entropy = Seeded::new(8);
        (1..class_of.len()).for_each(|at| class_of.swap(at, crate::random::position(&mut entropy, at + 1)));
        let set = |mask: &u64| -> UnitSet {
            let units = (0..).zip(&class_of);
            let within = units.filter(|(_, class)| mask >> **class & 1 == 1);
            within.map(|(unit, _)| unit).collect()
        };
        Self {
            sets: masks.iter().map(set).collect(),
            universe: u32::try_from(class_of.len()).unwrap(),
        }
    }
}

/// What a space does with sets, each with its union with the one before as a neighbor: the verdicts, and the units of the bases.
fn outcome(space: &mut Space, sets: &[UnitSet], is_reference: bool) -> (Vec<Verdict>, Vec<crate::epochs::Unit>) {
    let cells: Vec<CellBox> = (0..).map(cell).take(sets.len()).collect();
    let all: Vec<UnitSet> = (1..=sets.len())
        .map(|at| {
            sets[..at]
                .iter()
                .rev()
                .take(2)
                .fold(UnitSet::new(), |all, set| all.union(set))
        })
        .collect();
    let neighbors: Vec<Vec<Neighbor<'_>>> = all
        .iter()
        .zip(&cells)
        .enumerate()
        .map(|(at, (units, cell))| {
            vec![Neighbor {
                is_examined: true,
                is_plain: at % 3 != 0,
                units,
                cell,
            }]
        })
        .collect();
    let offered: Vec<Offered<'_>> = sets
        .iter()
        .zip(&cells)
        .zip(&neighbors)
        .map(|((units, cell), neighbors)| Offered {
            units,
            version: VersionNumber::FIRST,
            cell,
            neighbors,
            is_withheld: false,
        })
        .collect();
    let (owners, entropy) = (&mut Themselves, &mut Seeded::new(5));
    let offer = if is_reference {
        space.offer_with(&offered, Search::by_unit(owners), entropy)
    } else {
        space.offer(&offered, owners, entropy)
    };
    let offer = offer.unwrap();
    let units = offer.steps.iter().flatten().map(|step| step.unit).collect();
    let verdicts = offer.verdicts().to_vec();
    space.commit(offer).unwrap();
    (verdicts, units)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Verdicts, and what is remembered, are the same as without any of this.
    #[test]
    fn space_verdicts_are_those_of_supports_by_units((sizes, masks, seed) in any_groups(), k in 2_u32..=12) {
        let flat: Vec<u64> = masks.iter().flatten().copied().collect();
        let sequence = Sequence::of(&sizes, &flat);
        prop_assume!(sequence.universe >= k);
        let mut spaces = [0; 2].map(|_| space(k, sequence.universe, seed));
        let mut left = &sequence.sets[..];
        for length in masks.iter().map(Vec::len) {
            let (now, later) = left.split_at(length);
            left = later;
            let [one, other] = &mut spaces;
            prop_assert_eq!(outcome(one, now, false), outcome(other, now, true));
        }
    }
}

/// The same after more sets, with neighbors that isolate the few of a small class beside what was released.
#[test]
fn space_verdicts_after_many_sets_are_those_of_supports_by_units() {
    let mut entropy = Seeded::new(6);
    let sizes: Vec<u32> = (0..48).map(|at| if at < 2 { 3 } else { 20 + 3 * at }).collect();
    let mut spaces = [0; 2].map(|_| space(10, sizes.iter().sum(), 1));
    let mut seen = BTreeMap::new();
    for _ in 0..10 {
        let mut mask = || (2..48).fold(0, |mask, at| mask | u64::from(below(&mut entropy, 2)) << at);
        let [a, b, c, d] = [mask(), mask(), mask(), mask()];
        for masks in [vec![a | b, c | d], vec![b, a | 1, d, c | 2]] {
            let sets = Sequence::of(&sizes, &masks).sets;
            let [one, other] = &mut spaces;
            let found = outcome(one, &sets, false);
            assert_eq!(found, outcome(other, &sets, true));
            for verdict in found.0 {
                *seen.entry(format!("{verdict:?}")).or_insert(0) += 1;
            }
        }
    }
    let all = ["Certified", "Isolates", "Neighbor"];
    assert!(all.into_iter().all(|verdict| seen.contains_key(verdict)), "{seen:?}");
}

fn member(units: &UnitSet, epochs: &Epochs, version: VersionNumber) -> Arc<Member> {
    Arc::new(Member {
        parts: epochs.split(units, version).unwrap(),
        fingerprint: Fingerprint::default(),
        cell: CellBox::everyone(),
        version,
    })
}

/// Two versions, between which some units changed.
fn two_versions() -> Epochs {
    let mut epochs = Epochs::new(VersionNumber::FIRST);
    epochs.add(VersionNumber::new(2), UnitSet::from_iter(40..90)).unwrap();
    epochs
}

/// `numerator / denominator` modulo a prime.
fn fraction(prime: Prime, (numerator, denominator): (i64, u32)) -> u32 {
    let magnitude = prime.multiply(u32::try_from(numerator.abs()).unwrap(), prime.inverse(denominator));
    if numerator < 0 {
        prime.negate(magnitude)
    } else {
        magnitude
    }
}

/// Both portions together are all units, of which there are more than in one.
#[test]
fn support_in_portions_is_all_of_it() {
    let epochs = two_versions();
    let set = |step: usize| member(&(0..200_000).step_by(step).collect(), &epochs, VersionNumber::FIRST);
    let members = [set(1), set(70)];
    let prime = Prime::draw(&mut Seeded::new(1));
    for other in [2, 199, 65_536, 70_000].map(set) {
        let terms = Terms {
            prime,
            coefficients: &[0, 1],
            members: &members,
            set: &other.parts,
            fingerprint: &other.fingerprint,
        };
        let mut work = 100_000_000;
        let mut supports = Supports::default();
        let parts = [Portion::First, Portion::Rest].map(|portion| supports.of(&terms, portion, &mut work).unwrap());
        let whole = terms.by_unit(Portion::First, &mut work).unwrap();
        assert!(parts.iter().all(|part| {
            part.units
                .iter()
                .all(|unit| part == &parts[0] || unit.ordinal >= 65_536)
        }));
        assert!(parts[0].units.iter().all(|unit| unit.ordinal < 65_536));
        let units: Vec<_> = parts.iter().flat_map(|part| part.units.iter().copied()).collect();
        if whole.is_whole {
            assert_eq!(units, whole.units);
        } else {
            assert!(units.len() >= whole.units.len());
        }
    }
}

proptest! {
    /// Sums of fractions of sets, whether or not they are small enough to be computed by words.
    #[test]
    fn support_by_words_is_that_by_units(
        sets in prop::collection::vec((prop::collection::btree_set(0_u32..150, 0..150), 1_u64..=2, (-9_i64..=9, 1_u32..=4)), 1..8),
        large in prop::option::of(1_u32..1 << 30),
        seed: u64,
    ) {
        let epochs = two_versions();
        let prime = Prime::draw(&mut Seeded::new(seed));
        let sets = sets.into_iter().map(|(units, version, number)| {
            (member(&units.into_iter().collect(), &epochs, VersionNumber::new(version)), fraction(prime, number))
        });
        let (members, mut coefficients): (Vec<_>, Vec<_>) = sets.unzip();
        if let (Some(first), Some(large)) = (coefficients.first_mut(), large) {
            *first = large;
        }
        let set = members.last().unwrap().clone();
        let terms = Terms {
            prime,
            coefficients: &coefficients,
            members: &members,
            set: &set.parts,
            fingerprint: &set.fingerprint,
        };
        let found = Supports::default().of(&terms, Portion::First, &mut 1_000_000).unwrap();
        prop_assert_eq!(&*found, &terms.by_unit(Portion::First, &mut 1_000_000).unwrap());
    }
}

/// In each basis a combination has coefficients of its own modulo the prime.
#[test]
fn support_of_a_combination_is_computed_once() {
    let epochs = two_versions();
    let sets = [0..100, 50..120, 20..70].map(|units| member(&units.collect(), &epochs, VersionNumber::FIRST));
    let (mut supports, mut entropy) = (Supports::default(), Seeded::new(1));
    let mut support = |fingerprint: Fingerprint, numbers: [(i64, u32); 3], bound: u64| {
        let prime = Prime::draw(&mut entropy);
        let coefficients = numbers.map(|number| fraction(prime, number));
        let mut left = bound;
        let terms = Terms {
            prime,
            coefficients: &coefficients,
            members: &sets,
            set: &sets[2].parts,
            fingerprint: &fingerprint,
        };
        let found = supports.of(&terms, Portion::First, &mut left);
        (found.map(|found| found.units.len()), bound - left)
    };
    let (one, another) = ([(1, 2), (-1, 3), (2, 1)], [(1, 2), (-1, 3), (1, 1)]);
    let (first, work) = support([1; 3], one, 10_000);
    assert!(first.is_some() && work > 0);
    assert_eq!(support([1; 3], one, 10_000), (first, 0), "in another basis");
    assert_ne!(support([1; 3], another, 10_000), (first, 0), "another combination");
    assert!(support([2; 3], one, 10_000).1 > 0, "another set");
    assert_eq!(support([3; 3], one, 10).0, None, "within the bound");
}

/// Whole numbers whose sum is the prime itself: modulo the prime the residual vanishes where all members are.
#[test]
fn support_of_large_sums_is_that_by_units() {
    let epochs = two_versions();
    let prime = Prime::draw(&mut Seeded::new(1));
    let modulus = u32::try_from(prime.least_multiple()).unwrap();
    let split = |number: u32| (0..number.div_ceil(1_000)).map(move |at| (number - 1_000 * at).min(1_000));
    // Times 16,384: multiples of it, what makes it the common denominator, and the rest.
    let whole = split(modulus >> 14).map(|number| (i64::from(number), 1));
    let rest = split(modulus % (1 << 14) + (1 << 14) - 17).map(|number| (i64::from(number), 1 << 14));
    let mut numbers: Vec<(i64, u32)> = whole.chain([(1, 1 << 10), (1, 1 << 14)]).chain(rest).collect();
    numbers[0].0 -= 1;
    let coefficients: Vec<u32> = numbers.into_iter().map(|number| fraction(prime, number)).collect();
    let members = vec![member(&UnitSet::all(30), &epochs, VersionNumber::FIRST); coefficients.len()];
    let set = member(&(20..35).collect(), &epochs, VersionNumber::FIRST);
    let terms = Terms {
        prime,
        coefficients: &coefficients,
        members: &members,
        set: &set.parts,
        fingerprint: &set.fingerprint,
    };
    let found = Supports::default().of(&terms, Portion::First, &mut 1_000_000).unwrap();
    let ordinals: Vec<u32> = found.units.iter().map(|unit| unit.ordinal).collect();
    assert!(ordinals.into_iter().eq(20..35));
}

/// Few of many subjects, after the units that are searched first.
#[test]
fn space_finds_subjects_after_the_first_portion() {
    for (more, expected) in [(9, Verdict::Isolates), (10, Verdict::Certified)] {
        let mut space = space(10, 200_000, 1);
        assert_eq!(release(&mut space, (0..150_000).collect()), Verdict::Certified);
        assert_eq!(release(&mut space, (0..150_000 + more).collect()), expected);
    }
}
