//! The mode `private`.

use std::rc::Rc;

use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::Loss;

use super::audited::shown;
use super::{Answering, Shown, Versions, flags, lowered};
use crate::random::seeded::Seeded;
use crate::tests::red_team::data::{Data, Measure, Query};
use crate::{LossBudget, Mode, draw};

/// A budget of one institution.
pub(super) struct Private {
    versions: Versions,
    budget: LossBudget,
    entropy: Seeded,
}

impl Private {
    pub(super) fn new(loss: Loss, versions: Vec<Rc<Data>>, seed: u64) -> Self {
        Self {
            versions: Versions::new(versions),
            budget: LossBudget::new(loss),
            entropy: Seeded::new(seed),
        }
    }

    fn drawn(&mut self, query: &Query) -> Vec<Shown> {
        let cells = self.versions.current.cells(query);
        let grid = self.versions.current.grid(query, VersionNumber::FIRST, &cells);
        let Ok(reserved) = self.budget.spend(self.budget.limits().query()) else {
            return vec![Shown::default(); cells.len()];
        };
        let figures = draw(&grid, reserved, &mut self.entropy).unwrap();
        figures.iter().map(|sets| shown(&sets[0])).collect()
    }
}

impl Answering for Private {
    fn mode(&self) -> Option<Mode> {
        Some(Mode::Private)
    }

    fn answer(&mut self, query: &Query) -> Vec<Shown> {
        if query.measure == Some(Measure::Flag) {
            return flags(self.drawn(&lowered(query)));
        }
        self.drawn(query)
    }

    fn import(&mut self) {
        self.versions.import();
    }
}
