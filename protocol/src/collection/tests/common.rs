//! Levels of several columns together, compared with the values that they distinguish.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const SAMPLE: std::ops::Range<i64> = -3..14;

fn at() -> impl Strategy<Value = BTreeSet<i64>> {
    proptest::collection::btree_set(0_i64..12, 1..7)
}

fn names() -> impl Strategy<Value = BTreeMap<i64, usize>> {
    proptest::collection::btree_map(0_i64..6, 0_usize..3, 1..6)
}

fn list(labels: &BTreeMap<i64, usize>) -> Levels {
    let values: Vec<_> = labels
        .iter()
        .map(|(value, label)| (Value::Int(*value), ["a", "b", "other"][*label]))
        .collect();
    Levels::check(RawLevels::Values(listed(&values)), Contents::Of(ColumnKind::Int)).unwrap()
}

fn labeled(levels: &Levels, value: i64) -> AtomId {
    levels.atom_of(Datum::Int(value))
}

proptest! {
    /// Two values are distinguished by common edges if and only if an edge of both is between them.
    #[test]
    fn common_edges_are_those_of_both(one in at(), other in at()) {
        let [here, there] = [&one, &other].map(|at| edges(ints(at.iter().copied()), ColumnKind::Int));
        let both: BTreeSet<i64> = one.intersection(&other).copied().collect();
        let common = here.common(&there);
        prop_assert_eq!(common.is_some(), !both.is_empty());
        prop_assert_eq!(&common, &there.common(&here));
        let Some(common) = common else { return Ok(()) };
        for low in SAMPLE {
            for high in low..SAMPLE.end {
                let differ = labeled(&common, low) != labeled(&common, high);
                prop_assert_eq!(differ, both.iter().any(|edge| low < *edge && *edge <= high), "{} {}", low, high);
            }
        }
    }

    /// An atom is the same one of the union if and only if the two have the same values, of all whole numbers.
    #[test]
    fn common_values_have_the_atoms_that_are_the_same(one in names(), other in names()) {
        let contradicting = one.iter().any(|(value, label)| other.get(value).is_some_and(|there| there != label));
        let [here, there] = [&one, &other].map(list);
        let common = here.common(&there);
        prop_assert_eq!(common.is_some(), !contradicting);
        let Some(common) = common else { return Ok(()) };
        for levels in [&here, &there] {
            let same = levels.same_atoms(&common).unwrap();
            prop_assert_eq!(same.len(), usize::from(levels.atoms().unwrap()));
            for (atom, found) in (0..).zip(same) {
                let of = |levels: &Levels, atom: u16| -> Vec<i64> {
                    SAMPLE.filter(|value| labeled(levels, *value) == AtomId::Listed(atom)).collect()
                };
                let ours = of(levels, atom);
                let expected = (0..common.atoms().unwrap()).find(|at| of(&common, *at) == ours);
                prop_assert_eq!(found, expected, "{} {:?}", atom, ours);
            }
        }
    }
}

#[test]
fn common_levels_of_other_kinds_do_not_exist() {
    let whole = edges(ints([1, 2]), ColumnKind::Int);
    let numbers = edges(vec![float(1.0), float(2.0)], ColumnKind::Float);
    let values = list(&BTreeMap::from([(1, 0)]));
    for (one, other) in [
        (&whole, &numbers),
        (&whole, &values),
        (&values, &Levels::None),
        (&codes(ColumnKind::Int), &values),
    ] {
        assert_eq!(one.common(other), None);
        assert_eq!(other.common(one), None);
        assert_eq!(one.same_atoms(other), None);
    }
    assert_eq!(Levels::None.common(&Levels::None), Some(Levels::None));
}

/// A coarser level is kept if it is the same one in both.
#[test]
fn common_edges_keep_the_coarser_levels_of_both() {
    let levels = |edges: &[i64], band: &[i64]| {
        let raw = RawLevels::Edges {
            edges: ints(edges.iter().copied()),
            levels: BTreeMap::from([(level("band"), ints(band.iter().copied()))]),
        };
        Levels::check(raw, Contents::Of(ColumnKind::Int)).unwrap()
    };
    let here = levels(&[10, 20, 30, 40], &[20, 40]);
    let alike = here.common(&levels(&[20, 30, 40], &[20, 40])).unwrap();
    assert_eq!(
        alike.level(&level("band")),
        Some(edges(ints([20, 40]), ColumnKind::Int))
    );
    let another = here.common(&levels(&[20, 30, 40], &[20])).unwrap();
    assert_eq!(another.level(&level("band")), None);
    assert_eq!(another, edges(ints([20, 30, 40]), ColumnKind::Int));
}
