//! A small population with two attributes, queries about it, and a memory of what was answered.

use std::collections::BTreeSet;

use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{DeltaExponent, Loss, MicroRho, Noise, Protection};
use proptest::prelude::*;

use super::reference::Point;
use crate::random::seeded::Seeded;
use crate::{
    CellBox, CellKeys, CellSecret, Condition, Counted, DecideError, Decision, DisclosureRules, Epochs, Grid, Outline,
    ReleasedSet, ReleasedSums, ReportedSet, Space, SpaceParameters, Spaces, Themselves, UnitSet, decide,
};

pub(super) const VERSION: VersionNumber = VersionNumber::FIRST;

/// Values of the attributes: the last one of each is that of a missing value.
pub(super) const A: u32 = 3;
pub(super) const B: u32 = 3;

#[derive(Clone, Debug)]
pub(super) struct World {
    people: Vec<(u32, u32)>,
}

/// A filter on both attributes, and the attributes by which people are grouped.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) a: BTreeSet<u32>,
    pub(super) b: BTreeSet<u32>,
    pub(super) by_a: bool,
    pub(super) by_b: bool,
    pub(super) is_reversed: bool,
}

pub(super) fn any_world() -> impl Strategy<Value = World> {
    prop::collection::vec((0..A, 0..B), 6..=11).prop_map(|people| World { people })
}

pub(super) fn any_query() -> impl Strategy<Value = Query> {
    let values = |of: u32| prop::collection::btree_set(0..of, 1..=of as usize);
    (values(A), values(B), any::<bool>(), any::<bool>()).prop_map(|(a, b, by_a, by_b)| Query {
        a,
        b,
        by_a,
        by_b,
        is_reversed: false,
    })
}

impl Query {
    pub(super) fn everyone() -> Self {
        Self {
            a: (0..A).collect(),
            b: (0..B).collect(),
            by_a: false,
            by_b: false,
            is_reversed: false,
        }
    }

    /// The same query with its cells in the opposite order.
    pub(super) fn reversed(&self) -> Self {
        Self {
            is_reversed: !self.is_reversed,
            ..self.clone()
        }
    }

    /// The values of both attributes in each cell.
    fn regions(&self) -> Vec<(BTreeSet<u32>, BTreeSet<u32>)> {
        let split = |values: &BTreeSet<u32>, of: u32, is_split: bool| -> Vec<BTreeSet<u32>> {
            if !is_split {
                return vec![values.clone()];
            }
            let cell = |value: u32| values.iter().copied().filter(|of| *of == value).collect();
            (0..of).map(cell).collect()
        };
        let (a, b) = (split(&self.a, A, self.by_a), split(&self.b, B, self.by_b));
        let mut regions: Vec<_> = a
            .iter()
            .flat_map(|a| b.iter().map(|b| (a.clone(), b.clone())))
            .collect();
        if self.is_reversed {
            regions.reverse();
        }
        regions
    }
}

impl World {
    pub(super) fn of(people: Vec<(u32, u32)>) -> Self {
        Self { people }
    }

    /// As many people with each combination of values that are not missing, one after the other.
    pub(super) fn plain(number: u32) -> Self {
        Self::of((0..number).map(|at| (at % (A - 1), at / (A - 1) % (B - 1))).collect())
    }

    pub(super) fn size(&self) -> u32 {
        u32::try_from(self.people.len()).unwrap()
    }

    /// The people of each cell of a query, and what they have in common.
    pub(super) fn cells(&self, query: &Query) -> Vec<(UnitSet, CellBox)> {
        let cell = |(a, b): (BTreeSet<u32>, BTreeSet<u32>)| {
            let is_in = |(_, (of_a, of_b)): &(u32, &(u32, u32))| a.contains(of_a) && b.contains(of_b);
            let units = (0..).zip(&self.people).filter(is_in).map(|(unit, _)| unit).collect();
            (units, cell_of(&a, &b))
        };
        query.regions().into_iter().map(cell).collect()
    }
}

/// The description of people with these values.
pub(super) fn cell_of(a: &BTreeSet<u32>, b: &BTreeSet<u32>) -> CellBox {
    let atoms = |path: &str, of: u32, values: &BTreeSet<u32>| Condition::Atoms {
        path: path.to_owned(),
        of,
        atoms: values.iter().copied().collect(),
    };
    CellBox::new(Condition::All(vec![atoms("a", A, a), atoms("b", B, b)])).unwrap()
}

/// The grid of a number of subjects.
pub(super) fn grid(cells: &[(UnitSet, CellBox)]) -> Grid<'_> {
    grid_of(VERSION, cells)
}

/// The grid of a number of subjects in a version.
pub(super) fn grid_of(version: VersionNumber, cells: &[(UnitSet, CellBox)]) -> Grid<'_> {
    let outline = Outline {
        subjects: true,
        ..Outline::default()
    };
    let sets = cells.iter().map(|(subjects, cell)| {
        vec![ReportedSet {
            cell: cell.clone(),
            neighbors: Some(crate::NeighborSets::default()),
            subjects,
            rows: None,
            sums: Vec::new(),
            parts: Vec::new(),
        }]
    });
    Grid::new(version, Counted::Subjects, vec![outline], sets.collect()).unwrap()
}

pub(super) fn noise() -> Protection {
    Protection::Perturbed(Noise::new(3, 5, 5).unwrap())
}

/// The modes in which figures are audited.
pub(super) fn any_protection() -> [Protection; 2] {
    [Protection::Exact, noise()]
}

pub(super) fn loss() -> Loss {
    Loss::new(
        MicroRho::new(100_000).unwrap(),
        MicroRho::new(1_000_000).unwrap(),
        DeltaExponent::new(6).unwrap(),
    )
    .unwrap()
}

pub(super) fn keys() -> CellKeys {
    CellKeys::new(CellSecret::new([5; 32]), "events")
}

/// What was answered.
pub(super) struct Memory {
    pub(super) space: Space,
    pub(super) sums: ReleasedSums,
    pub(super) entropy: Seeded,
    /// The universe, and what was shown.
    pub(super) shown: Vec<BTreeSet<Point>>,
    k: u32,
}

impl Memory {
    pub(super) fn new(world: &World, k: u32) -> Self {
        Self::with_distinctions(world, k, 512)
    }

    pub(super) fn with_distinctions(world: &World, k: u32, distinctions: u32) -> Self {
        Self::after(world, (k, distinctions), &[])
    }

    /// A memory in which these sets were released after the universe.
    pub(super) fn after(world: &World, (k, distinctions): (u32, u32), sets: &[(UnitSet, CellBox)]) -> Self {
        let everyone = (UnitSet::all(world.size()), CellBox::everyone());
        let released = std::iter::once(&everyone).chain(sets).map(|(units, cell)| ReleasedSet {
            units: units.clone(),
            version: VERSION,
            cell: cell.clone(),
        });
        let released: Vec<ReleasedSet> = released.collect();
        let parameters = SpaceParameters {
            k,
            universe: world.size(),
            distinctions,
            bytes: 64 << 20,
        };
        let epochs = Epochs::new(VERSION);
        let mut entropy = Seeded::new(3);
        Self {
            space: Space::rebuild(parameters, &released, epochs, &mut Themselves, &mut entropy).unwrap(),
            sums: ReleasedSums::default(),
            entropy,
            shown: vec![(0..world.size()).map(|unit| (1, unit)).collect()],
            k,
        }
    }

    /// A decision that is dropped.
    pub(super) fn decided(&self, grid: &Grid<'_>, rules: &DisclosureRules) -> Result<Decision, DecideError> {
        let spaces = Spaces {
            subjects: &self.space,
            rows: None,
        };
        decide(grid, rules, spaces, &self.sums, &keys(), &mut Seeded::new(11))
    }

    /// The people of each cell whose number is shown, which then counts as released.
    pub(super) fn answer(
        &mut self,
        world: &World,
        query: &Query,
        protection: &Protection,
    ) -> Vec<Option<BTreeSet<u32>>> {
        self.answer_of(VERSION, &world.cells(query), protection)
    }

    /// The same for any cells of a version.
    pub(super) fn answer_of(
        &mut self,
        version: VersionNumber,
        cells: &[(UnitSet, CellBox)],
        protection: &Protection,
    ) -> Vec<Option<BTreeSet<u32>>> {
        let grid = grid_of(version, cells);
        let rules = DisclosureRules::new(self.k, protection).unwrap();
        let spaces = Spaces {
            subjects: &self.space,
            rows: None,
        };
        let decision = match decide(&grid, &rules, spaces, &self.sums, &keys(), &mut self.entropy) {
            Err(DecideError::NoDistinctions { .. }) => return vec![None; cells.len()],
            decision => decision.unwrap(),
        };
        let figures = decision.figures(&grid, &rules).unwrap();
        let is_shown = figures.iter().map(|sets| sets[0].subjects.is_some());
        let people = cells.iter().zip(is_shown);
        let shown = people.map(|((units, _), is_shown)| is_shown.then(|| units.iter().collect()));
        let shown = shown.collect();
        self.commit(decision);
        shown
    }

    pub(super) fn commit(&mut self, decision: Decision) {
        for (set, figures) in decision.records().sums {
            self.sums.add(*set, figures.iter().copied());
        }
        let (subjects, _) = decision.into_offers();
        self.space.commit(subjects).unwrap();
    }
}
