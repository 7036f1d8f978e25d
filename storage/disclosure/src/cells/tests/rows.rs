//! Numbers of rows, of which a subject may have several.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::scope::Protection;
use proptest::prelude::*;

use super::reference::{self, Point};
use super::world::{self, VERSION};
use crate::random::seeded::Seeded;
use crate::{
    CellBox, Condition, Contributions, Counted, DecideError, DisclosureRules, Epochs, Grid, Outline, OwnersOf,
    ReleasedSet, ReleasedSums, ReportedRows, ReportedSet, RowSpace, Space, SpaceParameters, Spaces, Themselves,
    UnitSet, decide,
};

/// The subject of each row.
struct Owners(Vec<u32>);

impl OwnersOf for Owners {
    fn owners_of(&mut self, units: &[u32]) -> Vec<Option<u32>> {
        units.iter().map(|unit| self.0.get(*unit as usize).copied()).collect()
    }
}

/// What was answered about a dataset.
struct Memory {
    subjects: Space,
    rows: Space,
    owners: Owners,
    k: u32,
    entropy: Seeded,
}

impl Memory {
    fn new(owners: Vec<u32>, k: u32) -> Self {
        let mut entropy = Seeded::new(1);
        let count = |owners: &[u32]| owners.iter().max().map_or(0, |last| last + 1);
        let mut owners = Owners(owners);
        let subjects = space(count(&owners.0), k, &mut Themselves, &mut entropy);
        let rows = space(u32::try_from(owners.0.len()).unwrap(), k, &mut owners, &mut entropy);
        Self {
            subjects,
            rows,
            owners,
            k,
            entropy,
        }
    }

    /// Whether the numbers of subjects and of rows of these sets of rows are shown, each of which is a cell.
    fn answer(&mut self, cells: &[BTreeSet<u32>], protection: &Protection) -> Vec<(bool, bool)> {
        let sets: Vec<(UnitSet, UnitSet, u64, Contributions)> = cells.iter().map(|rows| self.counted(rows)).collect();
        let cells = (0..).zip(&sets).map(|(at, (subjects, units, most, contributions))| {
            let rows = ReportedRows {
                units,
                cell: cell(at),
                most: *most,
                contributions: *contributions,
            };
            vec![ReportedSet {
                cell: cell(at),
                neighbors: Some(crate::NeighborSets::default()),
                subjects,
                rows: Some(rows),
                sums: Vec::new(),
                parts: Vec::new(),
            }]
        });
        let outline = Outline {
            subjects: true,
            units: true,
            ..Outline::default()
        };
        let grid = Grid::new(VERSION, Counted::Rows, vec![outline], cells.collect()).unwrap();
        let rules = DisclosureRules::new(self.k, protection).unwrap();
        let spaces = Spaces {
            subjects: &self.subjects,
            rows: Some(RowSpace {
                space: &self.rows,
                owners: &mut self.owners,
            }),
        };
        let sums = ReleasedSums::default();
        let decision = match decide(&grid, &rules, spaces, &sums, &world::keys(), &mut self.entropy) {
            Err(DecideError::NoDistinctions { .. }) => return vec![(false, false); sets.len()],
            decision => decision.unwrap(),
        };
        let figures = decision.figures(&grid, &rules).unwrap();
        let is_shown = |cell: &Vec<crate::SetFigures>| (cell[0].subjects.is_some(), cell[0].units.is_some());
        let shown = figures.iter().map(is_shown).collect();
        let (subjects, rows) = decision.into_offers();
        self.subjects.commit(subjects).unwrap();
        self.rows.commit(rows.unwrap()).unwrap();
        shown
    }

    /// A set of rows with its subjects, the most rows of one, and what each contributes.
    fn counted(&self, rows: &BTreeSet<u32>) -> (UnitSet, UnitSet, u64, Contributions) {
        let mut of: BTreeMap<u32, u64> = BTreeMap::new();
        for row in rows {
            *of.entry(self.owners.0[*row as usize]).or_default() += 1;
        }
        let mut sizes: Vec<u128> = of.values().map(|count| u128::from(*count)).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let total = sizes.iter().sum();
        sizes.resize(sizes.len().max(5), 0);
        let contributions = Contributions::of([sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]], total);
        let most = of.values().copied().max().unwrap_or(0);
        (
            of.into_keys().collect(),
            rows.iter().copied().collect(),
            most,
            contributions,
        )
    }
}

/// A cell that no other implies.
fn cell(at: u32) -> CellBox {
    CellBox::new(Condition::Atoms {
        path: "cell".to_owned(),
        of: 100,
        atoms: UnitSet::from_iter([at]),
    })
    .unwrap()
}

fn space(universe: u32, k: u32, owners: &mut dyn OwnersOf, entropy: &mut Seeded) -> Space {
    let all = ReleasedSet {
        units: UnitSet::all(universe),
        version: VERSION,
        cell: CellBox::everyone(),
    };
    let parameters = SpaceParameters {
        k,
        universe,
        distinctions: 512,
        bytes: 64 << 20,
    };
    Space::rebuild(parameters, &[all], Epochs::new(VERSION), owners, entropy).unwrap()
}

/// Rows of 6 to 10 subjects, each of whom has one or two.
fn any_owners() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(1_usize..=2, 6..=8).prop_map(|numbers| {
        let rows = (0..).zip(numbers).flat_map(|(owner, number)| vec![owner; number]);
        rows.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Neither numbers of subjects nor numbers of rows isolate fewer than `k` subjects.
    #[test]
    fn decide_of_rows_never_isolates_few_subjects(
        owners in any_owners(),
        k in 2_u32..=3,
        answers in prop::collection::vec((prop::collection::btree_set(0_u32..16, 0..16), any::<bool>()), 1..7),
        is_exact: bool,
    ) {
        let protection = if is_exact { Protection::Exact } else { world::noise() };
        let rows = u32::try_from(owners.len()).unwrap();
        let subjects = owners.iter().max().unwrap() + 1;
        let mut memory = Memory::new(owners.clone(), k);
        let mut of_subjects: Vec<BTreeSet<Point>> = vec![(0..subjects).map(|subject| (1, subject)).collect()];
        let mut of_rows: Vec<BTreeSet<Point>> = vec![(0..rows).map(|row| (1, row)).collect()];
        for (units, is_split) in answers {
            let units: BTreeSet<u32> = units.into_iter().filter(|row| *row < rows).collect();
            let (even, odd): (BTreeSet<u32>, BTreeSet<u32>) = units.iter().copied().partition(|row| row % 2 == 0);
            let cells = if is_split { vec![even, odd] } else { vec![units] };
            for (cell, (has_subjects, has_rows)) in cells.iter().zip(memory.answer(&cells, &protection)) {
                if has_subjects {
                    of_subjects.push(cell.iter().map(|row| (1, owners[*row as usize])).collect());
                }
                if has_rows {
                    of_rows.push(cell.iter().map(|row| (1, *row)).collect());
                }
            }
        }
        prop_assert!(!reference::isolates(&of_subjects, &|subject| subject, k as usize));
        prop_assert!(!reference::isolates(&of_rows, &|row| owners[row as usize], k as usize));
    }
}

/// The same subjects, one of whom has a row less: the number of subjects is the same, that of rows would show the row.
#[test]
fn decide_withholds_rows_that_differ_in_one() {
    let owners: Vec<u32> = (0..30).flat_map(|owner| [owner, owner]).collect();
    for protection in world::any_protection() {
        let mut memory = Memory::new(owners.clone(), 5);
        let first: BTreeSet<u32> = (0..40).collect();
        let second: BTreeSet<u32> = (0..39).collect();
        assert_eq!(memory.answer(&[first], &protection), [(true, true)]);
        assert_eq!(memory.answer(&[second], &protection), [(true, false)]);
    }
}

/// A subject that has most of the rows shows in their number.
#[test]
fn decide_withholds_rows_of_one_subject() {
    let owners: Vec<u32> = (0..20).chain(std::iter::repeat_n(0, 400)).chain(20..40).collect();
    let mut memory = Memory::new(owners, 5);
    let cell: BTreeSet<u32> = (0..420).collect();
    assert_eq!(memory.answer(&[cell], &Protection::Exact), [(true, false)]);
}
