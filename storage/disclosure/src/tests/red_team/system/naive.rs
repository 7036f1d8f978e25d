//! A threshold, and nothing else.

use std::rc::Rc;

use super::{Answering, K, Shown, Versions};
use crate::tests::red_team::data::{Data, Query};
use crate::tests::red_team::figure::Figure;
use crate::tests::red_team::numbers::Numbers;
use crate::{Condition, Mode, UnitSet};

/// The variance of fresh noise: that of the default of perturbed figures.
const VARIANCE: f64 = 3.0;

/// Shows each cell of at least [`K`] people, whatever was shown before. A group without people has no row.
pub(super) struct Naive {
    versions: Versions,
    noise: Option<Numbers>,
}

impl Naive {
    /// With noise if there is a seed for it.
    pub(super) fn new(versions: Vec<Rc<Data>>, noise: Option<u64>) -> Self {
        Self {
            versions: Versions::new(versions),
            noise: noise.map(Numbers::new),
        }
    }

    fn figure(&mut self, value: u64) -> Figure {
        let value = value as f64;
        match &mut self.noise {
            Some(numbers) => Figure {
                value: value + numbers.normal() * VARIANCE.sqrt(),
                variance: VARIANCE,
            },
            None => Figure::exact(value),
        }
    }

    fn is_large(people: &UnitSet, own: u64) -> bool {
        people.len() + own >= u64::from(K)
    }
}

impl Answering for Naive {
    fn mode(&self) -> Option<Mode> {
        None
    }

    fn answer(&mut self, query: &Query) -> Vec<Shown> {
        let data = Rc::clone(&self.versions.current);
        let shown = |(people, _): (UnitSet, _)| {
            let is_large = Self::is_large(&people, 0);
            let sum = query.measure.filter(|_| is_large);
            Shown {
                count: is_large.then(|| self.figure(people.len())),
                sum: sum.map(|measure| self.figure(data.sum(measure, &people))),
                is_missing: people.is_empty(),
                is_refused: false,
            }
        };
        data.cells(query).into_iter().map(shown).collect()
    }

    fn import(&mut self) {
        self.versions.import();
    }

    /// The threshold is that of the total.
    fn total(&mut self, condition: Condition, own: u64) -> Option<Figure> {
        let cells = self.versions.current.cells(&Query::count(condition));
        let (people, _) = cells.first()?;
        let is_large = Self::is_large(people, own);
        is_large.then(|| self.figure(people.len() + own))
    }
}
