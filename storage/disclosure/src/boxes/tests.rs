use super::{CellBox, CellBoxError, Condition, imply};
use crate::UnitSet;
use crate::field::Prime;
use crate::random::seeded::Seeded;

fn atoms(path: &str, atoms: impl IntoIterator<Item = u32>) -> Condition {
    Condition::Atoms {
        path: path.to_owned(),
        of: 5,
        atoms: UnitSet::from_iter(atoms),
    }
}

fn events(at_least: u32, that: Condition) -> Condition {
    Condition::Events {
        events: "conditions".to_owned(),
        at_least,
        that: Box::new(that),
    }
}

fn cell(condition: Condition) -> CellBox {
    CellBox::new(condition).unwrap()
}

/// Whether `cell` is the combination of the cells for everyone possible; coefficients are whole numbers.
fn follows(cell: &CellBox, from: &[(i64, &CellBox)]) -> bool {
    let mut entropy = Seeded::new(9);
    let primes = [Prime::draw(&mut entropy), Prime::draw(&mut entropy)];
    let number = |prime: Prime, number: i64| {
        let size = prime.reduce(number.unsigned_abs());
        if number < 0 { prime.negate(size) } else { size }
    };
    let lane = |prime: Prime| {
        from.iter()
            .map(|(factor, _)| number(prime, *factor))
            .collect::<Vec<u32>>()
    };
    let numbers = primes.map(lane);
    let lanes: Vec<_> = primes
        .iter()
        .zip(&numbers)
        .map(|(prime, numbers)| (*prime, &numbers[..]))
        .collect();
    imply(
        cell,
        &from.iter().map(|(_, cell)| *cell).collect::<Vec<_>>(),
        &lanes,
        &mut entropy,
    )
}

#[test]
fn box_of_a_partition_follows_from_its_cells() {
    let everyone = CellBox::everyone();
    let (low, high) = (cell(atoms("age", [0, 1, 2])), cell(atoms("age", [3, 4])));
    assert!(follows(&low, &[(1, &everyone), (-1, &high)]));
    assert!(follows(&everyone, &[(1, &low), (1, &high)]));
    assert!(follows(&low, &[(1, &low)]));
    assert!(!follows(&low, &[(1, &everyone)]));
    assert!(!follows(&low, &[]));
}

#[test]
fn box_with_an_empty_region_does_not_follow() {
    let men = cell(atoms("sex", [0]));
    let men_or_unknown = cell(atoms("sex", [0, 4]));
    assert!(!follows(&men_or_unknown, &[(1, &men)]));
    let old_men = cell(Condition::All(vec![atoms("sex", [0]), atoms("age", [4])]));
    assert!(!follows(&old_men, &[(1, &men)]));
    // A condition that no subject can meet is the empty set, for everyone possible.
    let none = cell(Condition::All(vec![atoms("sex", [0]), atoms("sex", [1])]));
    assert!(follows(&none, &[]));
}

#[test]
fn box_with_inclusion_and_exclusion_follows() {
    let (a, b) = (atoms("sex", [0]), atoms("age", [1, 2]));
    let both = cell(Condition::All(vec![a.clone(), b.clone()]));
    let either = cell(Condition::Any(vec![a.clone(), b.clone()]));
    let neither = cell(Condition::Not(Box::new(Condition::Any(vec![b.clone(), a.clone()]))));
    let (a, b, everyone) = (cell(a), cell(b), CellBox::everyone());
    assert!(follows(&both, &[(1, &a), (1, &b), (-1, &either)]));
    assert!(follows(&neither, &[(1, &everyone), (-1, &either)]));
    assert!(follows(&neither, &[(1, &everyone), (-1, &a), (-1, &b), (1, &both)]));
    assert!(!follows(&both, &[(1, &a), (1, &b), (-1, &everyone)]));
}

/// Two conditions met by two events are not one event that meets both.
#[test]
fn box_of_two_events_is_not_that_of_one() {
    let (a, b) = (atoms("code", [0, 1]), atoms("code", [1, 2]));
    let same = cell(events(1, Condition::All(vec![a.clone(), b.clone()])));
    let each = cell(Condition::All(vec![events(1, a.clone()), events(1, b.clone())]));
    assert!(!follows(&each, &[(1, &same)]));
    let either = cell(Condition::Any(vec![events(1, a.clone()), events(1, b.clone())]));
    let union = cell(events(1, Condition::Any(vec![a.clone(), b.clone()])));
    assert!(follows(&either, &[(1, &union)]));
    let (a, b) = (cell(events(1, a)), cell(events(1, b)));
    assert!(follows(&each, &[(1, &a), (1, &b), (-1, &either)]));
}

#[test]
fn box_counts_events() {
    let code = || atoms("code", [3]);
    let (one, three) = (cell(events(1, code())), cell(events(3, code())));
    assert!(!follows(&three, &[(1, &one)]));
    assert!(!follows(&one, &[(1, &three)]));
    let nested = cell(Condition::All(vec![events(3, code()), events(1, code())]));
    assert!(follows(&nested, &[(1, &three)]));
}

/// 12 columns of 4 classes are too many to be tried one by one; a random subject meets all of the conditions with probability 4^-12.
#[test]
fn box_of_a_narrow_region_is_found() {
    let narrow = |columns: std::ops::Range<u32>| {
        cell(Condition::All(
            columns.map(|column| atoms(&column.to_string(), [0])).collect(),
        ))
    };
    let wide = |column: u32| cell(atoms(&column.to_string(), [1, 2]));
    let (all, but_one) = (narrow(0..12), narrow(0..11));
    let wide: Vec<CellBox> = (0..12).map(wide).collect();
    let mut from: Vec<(i64, &CellBox)> = vec![(1, &but_one)];
    assert!(!follows(&all, &from));
    from.extend(wide.iter().map(|cell| (1_000_000, cell)));
    assert!(!follows(&all, &from));
}

#[test]
fn box_with_other_atoms_does_not_follow() {
    let other = Condition::Atoms {
        path: "age".to_owned(),
        of: 6,
        atoms: UnitSet::from_iter([0]),
    };
    assert!(!follows(&cell(other), &[(1, &cell(atoms("age", [0])))]));
}

#[test]
fn box_beyond_its_bounds_is_refused() {
    let refused = |condition| CellBox::new(condition).unwrap_err();
    assert_eq!(refused(atoms("a", [5])), CellBoxError::UnknownAtom);
    assert_eq!(refused(events(0, Condition::Everyone)), CellBoxError::Events(0));
    assert_eq!(refused(events(21, Condition::Everyone)), CellBoxError::Events(21));
    let nested = events(1, Condition::Not(Box::new(events(1, Condition::Everyone))));
    assert_eq!(refused(nested), CellBoxError::NestedEvents);
    let deep = (0..16).fold(Condition::Everyone, |inner, _| Condition::Not(Box::new(inner)));
    assert_eq!(refused(deep), CellBoxError::TooLarge);
    let wide = Condition::Any(vec![Condition::Everyone; 1_000]);
    assert_eq!(refused(wide), CellBoxError::TooLarge);
    assert!(CellBox::new(Condition::Any(vec![Condition::Everyone; 999])).is_ok());
}
