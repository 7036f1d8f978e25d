//! The modes `exact` and `perturbed`, as the node decides in them.

use std::rc::Rc;

use concordat_protocol::schema::VersionNumber;

use super::{Answering, K, Shown, Versions, flags, lowered};
use crate::random::seeded::Seeded;
use crate::tests::red_team::data::{Data, Measure, Query};
use crate::tests::red_team::figure::Figure;
use crate::{
    AnsweredFigures, CellBox, CellKeys, CellSecret, DecideError, DisclosureRules, Epochs, Mode, Noisy, Offered,
    ReleasedSet, ReleasedSums, SetFigures, Space, SpaceParameters, Spaces, Themselves, UnitSet, Verdict, decide,
};

/// How many bytes the bases may have.
const BYTES: usize = 64 << 20;

/// A memory of one institution, and the keys of the collection, which are those of all institutions.
pub(super) struct Audited {
    rules: Rc<DisclosureRules>,
    versions: Versions,
    version: VersionNumber,
    changed: UnitSet,
    keys: CellKeys,
    space: Space,
    sums: ReleasedSums,
    /// What was answered with noise.
    answered: AnsweredFigures,
    has_neighbors: bool,
    entropy: Seeded,
}

impl Audited {
    /// `versions` are the data, and who differs between two of them.
    pub(super) fn new(
        rules: Rc<DisclosureRules>,
        (distinctions, has_neighbors): (u32, bool),
        (versions, changed): (Vec<Rc<Data>>, UnitSet),
        seed: u64,
    ) -> Self {
        let versions = Versions::new(versions);
        let universe = versions.current.size();
        let all = ReleasedSet {
            units: UnitSet::all(universe),
            version: VersionNumber::FIRST,
            cell: CellBox::everyone(),
        };
        let parameters = SpaceParameters {
            k: K,
            universe,
            distinctions,
            bytes: BYTES,
        };
        let epochs = Epochs::new(VersionNumber::FIRST);
        let mut entropy = Seeded::new(seed);
        Self {
            space: Space::rebuild(parameters, &[all], epochs, &mut Themselves, &mut entropy).unwrap(),
            rules,
            versions,
            version: VersionNumber::FIRST,
            changed,
            keys: CellKeys::new(CellSecret::new([7; 32]), "visits"),
            sums: ReleasedSums::default(),
            answered: AnsweredFigures::default(),
            has_neighbors,
            entropy,
        }
    }

    fn decided(&mut self, query: &Query) -> Vec<Shown> {
        let refused = Shown {
            is_refused: true,
            ..Shown::default()
        };
        if self.rules.within_answers(self.answered, 1).is_err() {
            return vec![refused; self.versions.current.number_of_cells(query)];
        }
        let cells = self.versions.current.cells(query);
        let data = &self.versions.current;
        let grid = data.grid_with(query, (self.version, self.has_neighbors), &cells);
        let spaces = Spaces {
            subjects: &self.space,
            rows: None,
        };
        let decided = decide(&grid, &self.rules, spaces, &self.sums, &self.keys, &mut self.entropy);
        let decision = match decided {
            Err(DecideError::NoDistinctions { .. }) => return vec![refused; cells.len()],
            decided => decided.unwrap(),
        };
        if let Some(variance) = self.rules.variance() {
            self.answered.add(1, variance.get());
        }
        let figures = decision.figures(&grid, &self.rules).unwrap();
        for (set, names) in decision.records().sums {
            self.sums.add(*set, names.iter().copied());
        }
        let (offer, _) = decision.into_offers();
        self.space.commit(offer).unwrap();
        figures.iter().map(|sets| shown(&sets[0])).collect()
    }
}

impl Answering for Audited {
    fn mode(&self) -> Option<Mode> {
        Some(self.rules.mode())
    }

    fn answer(&mut self, query: &Query) -> Vec<Shown> {
        if query.measure == Some(Measure::Flag) {
            return flags(self.decided(&lowered(query)));
        }
        self.decided(query)
    }

    /// As `NewMemory` of the engine does with the first query of a version.
    fn import(&mut self) {
        self.versions.import();
        self.version = VersionNumber::new(self.version.get() + 1);
        let universe = self.versions.current.size();
        let added = self.space.add_version(self.version, self.changed.clone(), universe);
        added.unwrap();
        let everyone = CellBox::everyone();
        let offered = Offered {
            units: &UnitSet::all(universe),
            version: self.version,
            cell: &everyone,
            neighbors: &[],
            is_withheld: false,
        };
        let offer = self
            .space
            .offer(&[offered], &mut Themselves, &mut self.entropy)
            .unwrap();
        if offer.verdicts() == [Verdict::Certified] {
            self.space.commit(offer).unwrap();
        }
    }
}

/// What is shown of a set.
pub(super) fn shown(figures: &SetFigures) -> Shown {
    let figure = |noisy: Noisy| Figure {
        value: noisy.value,
        variance: noisy.standard_deviation.powi(2),
    };
    let sum = figures.sums.first().copied().flatten();
    Shown {
        count: figures.subjects.map(figure),
        sum: sum.map(|sum| figure(sum.total)),
        ..Shown::default()
    }
}
