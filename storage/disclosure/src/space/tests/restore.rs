//! What it takes to restore a space of rows.

use super::*;
use crate::random::below;

/// Rows of which each subject has a few, and how often their subjects were looked up.
struct Rows {
    subjects: u32,
    lookups: usize,
}

impl OwnersOf for Rows {
    fn owners_of(&mut self, units: &[u32]) -> Vec<Option<u32>> {
        assert!(!units.is_empty(), "there is nothing to look up");
        self.lookups += 1;
        units.iter().map(|unit| Some(unit % self.subjects)).collect()
    }
}

/// Groups of 20 disjoint sets of rows.
fn sets(number: usize, rows: u32) -> Vec<ReleasedSet> {
    let mut entropy = Seeded::new(3);
    let mut found = vec![released(UnitSet::all(rows), CellBox::everyone())];
    while found.len() < number {
        let mut groups = vec![Vec::new(); 21];
        (0..rows).for_each(|row| groups[below(&mut entropy, 21) as usize].push(row));
        groups.truncate(20);
        for rows in groups {
            let cell = cell(u32::try_from(found.len()).unwrap());
            found.push(released(rows.into_iter().collect(), cell));
        }
    }
    found
}

/// A look-up reads the rows of a dataset.
#[test]
fn space_of_rows_is_restored_with_one_lookup() {
    let stored = sets(120, 20_000);
    let mut owners = Rows {
        subjects: 5_000,
        lookups: 0,
    };
    let epochs = Epochs::new(VersionNumber::FIRST);
    let mut entropy = Seeded::new(2);
    let mut space = Space::rebuild(parameters(10, 20_000), &stored, epochs, &mut owners, &mut entropy).unwrap();
    assert_eq!(owners.lookups, 1, "for {} sets", stored.len());
    assert_eq!(space.distinctions_left(), 512 - 121);
    let new: UnitSet = (0..20_000).filter(|row| row % 3 == 0).collect();
    assert_eq!(release(&mut space, new), Verdict::Certified);
}

/// A set that differs from an earlier one in few rows: where units that were chosen do not suffice, those that do are looked up, and no unit twice.
#[test]
fn space_of_rows_looks_up_no_row_twice() {
    struct Once(BTreeSet<u32>);
    impl OwnersOf for Once {
        fn owners_of(&mut self, units: &[u32]) -> Vec<Option<u32>> {
            units
                .iter()
                .map(|unit| {
                    assert!(self.0.insert(*unit), "{unit} was looked up before");
                    Some(*unit)
                })
                .collect()
        }
    }
    let nested = |at: u32| released((0..1_000 + 12 * at).collect(), cell(at));
    let mut stored = vec![released(UnitSet::all(5_000), CellBox::everyone())];
    stored.extend((0..20).map(nested));
    let epochs = Epochs::new(VersionNumber::FIRST);
    let mut owners = Once(BTreeSet::new());
    let space = Space::rebuild(parameters(10, 5_000), &stored, epochs, &mut owners, &mut Seeded::new(2)).unwrap();
    assert_eq!(space.distinctions_left(), 512 - 21);
}
