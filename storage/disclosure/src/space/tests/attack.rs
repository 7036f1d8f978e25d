//! Attacks on everything that was released together, by information-set decoding, and how many queries are answered.

use super::{Verdict, cell, offer_all, release, space};
use crate::UnitSet;
use crate::random::{below, position, seeded::Seeded};
use crate::space::{Offered, Space, Themselves};
use concordat_protocol::schema::VersionNumber;

/// The prime of the attacker, who computes without this crate.
const P: u64 = (1 << 61) - 1;

fn multiply(a: u64, b: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) % u128::from(P)).unwrap()
}

fn inverse(a: u64) -> u64 {
    let (mut result, mut square, mut exponent) = (1, a, P - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = multiply(result, square);
        }
        square = multiply(square, square);
        exponent >>= 1;
    }
    result
}

/// The smallest number of units that a combination of the sets is about, as found with random information sets: each row of the reduced
/// echelon form, in a random order of the units (Prange 1962), and the sums and differences of two of them (Lee and Brickell 1988).
fn smallest_figure(sets: &[UnitSet], n: u32, rounds: u32) -> usize {
    let mut entropy = Seeded::new(5);
    let mut smallest = usize::MAX;
    for _ in 0..rounds {
        let mut order: Vec<u32> = (0..n).collect();
        (1..order.len()).for_each(|at| order.swap(at, position(&mut entropy, at + 1)));
        let row = |set: &UnitSet| order.iter().map(|unit| u64::from(set.contains(*unit))).collect();
        let reduced = reduce(sets.iter().map(row).collect());
        for (at, a) in reduced.iter().enumerate() {
            let weight = |b: &[u64], sign: u64| {
                a.iter()
                    .zip(b)
                    .filter(|(a, b)| !(**a + multiply(sign, **b)).is_multiple_of(P))
                    .count()
            };
            smallest = smallest.min(weight(a, 0));
            if reduced.len() < 40 {
                let pairs = reduced[at + 1..].iter().flat_map(|b| [weight(b, 1), weight(b, P - 1)]);
                smallest = smallest.min(pairs.min().unwrap_or(usize::MAX));
            }
        }
    }
    smallest
}

fn reduce(mut rows: Vec<Vec<u64>>) -> Vec<Vec<u64>> {
    let mut done = 0;
    for column in 0..rows[0].len() {
        let Some(at) = (done..rows.len()).find(|row| rows[*row][column] != 0) else {
            continue;
        };
        rows.swap(done, at);
        let factor = inverse(rows[done][column]);
        rows[done]
            .iter_mut()
            .for_each(|number| *number = multiply(*number, factor));
        let pivot = rows[done].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(row, _)| *row != done) {
            let factor = P - row[column];
            if factor != P {
                row.iter_mut()
                    .zip(&pivot)
                    .for_each(|(number, other)| *number = (*number + multiply(factor, *other)) % P);
            }
        }
        done += 1;
        if done == rows.len() {
            break;
        }
    }
    rows.truncate(done);
    rows
}

/// 16 attributes of 2 to 6 values each, the later ones dependent on the earlier ones.
fn attributes(n: u32, entropy: &mut Seeded) -> Vec<Vec<u32>> {
    let mut attributes: Vec<Vec<u32>> = Vec::new();
    for number in 0..16_u32 {
        let levels = 2 + number % 5;
        let of = |unit: usize, entropy: &mut Seeded| match attributes.last() {
            Some(last) if below(entropy, 3) == 0 => last[unit] % levels,
            _ => below(entropy, levels),
        };
        let values = (0..n as usize).map(|unit| of(unit, entropy)).collect();
        attributes.push(values);
    }
    attributes
}

/// The cells of a query grouped by one attribute, with up to two conditions; only those of at least `k` subjects.
fn query(attributes: &[Vec<u32>], n: u32, k: u64, entropy: &mut Seeded) -> Vec<UnitSet> {
    let of = |entropy: &mut Seeded| &attributes[position(entropy, attributes.len())];
    let mut among: Vec<u32> = (0..n).collect();
    for _ in 0..below(entropy, 3) {
        let attribute = of(entropy);
        let value = attribute[position(entropy, attribute.len())];
        among.retain(|unit| attribute[*unit as usize] == value);
    }
    let group = of(entropy);
    let cells = (0..6).map(|value| {
        among
            .iter()
            .copied()
            .filter(|unit| group[*unit as usize] == value)
            .collect()
    });
    let mut cells: Vec<UnitSet> = cells.filter(|cell: &UnitSet| cell.len() >= k).collect();
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.len()));
    cells
}

/// Queries, each followed by one that differs from a released set in up to 9 subjects, as one attacker would send it.
fn run(n: u32, queries: usize) -> (Space, Vec<UnitSet>, Vec<Verdict>) {
    let mut entropy = Seeded::new(u64::from(n));
    let attributes = attributes(n, &mut entropy);
    let mut space = space(10, n, 1);
    let (mut released, mut verdicts) = (vec![UnitSet::all(n)], Vec::new());
    for _ in 0..queries {
        let cells = query(&attributes, n, 10, &mut entropy);
        let offer = offer_all(&space, &cells, 7);
        let certified = cells
            .into_iter()
            .zip(offer.verdicts())
            .filter(|(_, verdict)| **verdict == Verdict::Certified);
        released.extend(certified.map(|(cell, _)| cell));
        verdicts.extend_from_slice(offer.verdicts());
        space.commit(offer).unwrap();
        let known = &released[position(&mut entropy, released.len())];
        let few: UnitSet = (0..=below(&mut entropy, 9))
            .filter_map(|_| known.select(below(&mut entropy, u32::try_from(known.len()).unwrap())))
            .collect();
        let verdict = release(&mut space, known.difference(&few));
        assert!(matches!(verdict, Verdict::Isolates | Verdict::NoBudget), "{verdict:?}");
    }
    (space, released, verdicts)
}

fn summary(verdicts: &[Verdict]) -> String {
    let count = |of: Verdict| verdicts.iter().filter(|verdict| **verdict == of).count();
    let of = [
        Verdict::Certified,
        Verdict::RevealsEmpty,
        Verdict::Isolates,
        Verdict::Dense,
        Verdict::NoBudget,
    ];
    of.map(|of| format!("{of:?} {}", count(of))).join(", ")
}

#[test]
fn attack_on_300_subjects_finds_no_few() {
    let (space, released, verdicts) = run(300, 20);
    println!("{}: {}", released.len(), summary(&verdicts));
    assert!(released.len() > 20, "{}", summary(&verdicts));
    assert!(space.loads.largest() <= space.plan.cap);
    assert!(smallest_figure(&released, 300, 12) >= 10);
    // The attack finds what a release without the audit isolates.
    let mut careless = released;
    careless.push(careless[0].difference(&UnitSet::from_iter([17, 250])));
    assert!(smallest_figure(&careless, 300, 12) <= 2);
}

#[test]
fn attack_on_1000_subjects_finds_no_few() {
    let (_, released, verdicts) = run(1_000, 27);
    println!("{}: {}", released.len(), summary(&verdicts));
    assert!(released.len() > 60, "{}", summary(&verdicts));
    assert!(smallest_figure(&released, 1_000, 3) >= 10);
}

/// An attacker who concentrates on a region: 60 random sets within 100 of 10,000 subjects, and then sets that differ from a released one
/// in 9 subjects. Bases that are random but not bounded would have 30 to 60 of the 100 units each, and hit the 9 in almost all cases.
#[test]
fn attack_on_a_small_region_is_withheld() {
    let mut entropy = Seeded::new(4);
    let mut space = space(10, 10_000, 1);
    let region = UnitSet::from_iter(5_000..5_100);
    assert_eq!(release(&mut space, region.clone()), Verdict::Certified);
    let mut released = vec![UnitSet::all(10_000), region];
    for _ in 0..60 {
        let half = UnitSet::from_iter((5_000..5_100).filter(|_| below(&mut entropy, 2) == 0));
        if release(&mut space, half.clone()) == Verdict::Certified {
            released.push(half);
        }
    }
    assert!(released.len() > 6, "{}", released.len());
    for set in &released[1..] {
        let few: UnitSet = set.iter().take(9).collect();
        let verdict = release(&mut space, set.difference(&few));
        assert_eq!(verdict, Verdict::Isolates);
    }
    // The rest of the collection is not affected.
    let elsewhere = UnitSet::from_iter((0..4_000).filter(|unit| unit % 3 == 0));
    assert_eq!(release(&mut space, elsewhere), Verdict::Certified);
}

/// Chains of overlapping groups, whose figures are combinations with growing coefficients, and sets that lack one unit of a group.
#[test]
fn attack_with_large_coefficients_is_withheld() {
    // Groups of 10 units, two at each step.
    let group = |at: u32| UnitSet::from_iter(20 * at..20 * at + 10);
    let other = |at: u32| UnitSet::from_iter(20 * at + 10..20 * at + 20);
    let mut space = space(10, 1_000, 1);
    let mut certified = 0;
    for at in 0..15 {
        let sets = [
            group(at).union(&group(at + 1)),
            other(at).union(&group(at + 1)),
            group(at).union(&other(at)).union(&other(at + 1)),
        ];
        for set in sets {
            certified += u32::from(release(&mut space, set) == Verdict::Certified);
        }
    }
    assert!(certified > 30, "{certified}");
    // A set without one unit is never taken for one that follows, and if it was released, the set with the unit does not follow.
    for at in 0..15 {
        for set in [group(at), other(at), group(at).union(&other(at + 1))] {
            let without = set.difference(&UnitSet::from_iter([set.iter().next().unwrap()]));
            let verdict = release(&mut space, without);
            assert_ne!(verdict, Verdict::RevealsEmpty);
            let cell = cell(1);
            let offered = [Offered {
                units: &set,
                version: VersionNumber::FIRST,
                cell: &cell,
                neighbors: &[],
                is_withheld: false,
            }];
            let offer = space.offer(&offered, &mut Themselves, &mut Seeded::new(1)).unwrap();
            assert!(verdict != Verdict::Certified || offer.verdicts() != [Verdict::RevealsEmpty]);
        }
    }
}
