//! What is attacked: a threshold, and the three modes.
//!
//! All four compute the same cells; what they show of them is decided by themselves. [`Audited`] and [`Private`] do so with the functions that
//! the node calls: [`decide`], [`Decision::figures`](crate::Decision::figures) and [`draw`]. [`Naive`] is what statistics offices call a
//! threshold rule and nothing else, with or without fresh noise: the attacks have to succeed there, or they would prove nothing here.

mod audited;
mod naive;
mod private;

use std::rc::Rc;

use concordat_protocol::scope::{DeltaExponent, Loss, MicroRho, Noise, Protection};

pub(super) use super::data::K;
use super::data::{Data, Measure, Query};
use super::figure::Figure;
use crate::{Condition, DisclosureRules, Mode, UnitSet};
use audited::Audited;
use naive::Naive;
use private::Private;

/// One cell of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shown {
    /// `None` is withheld, or missing.
    pub(super) count: Option<Figure>,
    pub(super) sum: Option<Figure>,
    /// Whether there is no row for the cell, which only a system shows that reports the groups that it found.
    pub(super) is_missing: bool,
    /// Whether the whole query was refused because the budget of distinctions is used up.
    pub(super) is_refused: bool,
}

/// A node as one institution sees it.
pub(super) trait Answering {
    /// The mode that answers state; `None` of a threshold alone.
    fn mode(&self) -> Option<Mode>;

    /// The cells of a query, in the order of its groups.
    fn answer(&mut self, query: &Query) -> Vec<Shown>;

    /// The next version of the data is imported.
    fn import(&mut self);

    /// The total of this node and of another one, at which `own` people meet the condition.
    fn total(&mut self, condition: Condition, own: u64) -> Option<Figure> {
        Some(self.count(condition)? + Figure::exact(own as f64))
    }

    /// How many people meet a condition.
    fn count(&mut self, condition: Condition) -> Option<Figure> {
        let cells = self.answer(&Query::count(condition));
        cells[0].count
    }

    /// A sum over the people who meet a condition.
    fn sum(&mut self, condition: Condition, measure: Measure) -> Option<Figure> {
        let measure = Some(measure);
        let cells = self.answer(&Query {
            measure,
            ..Query::count(condition)
        });
        cells[0].sum
    }
}

/// The systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Cells of at least [`K`] people are shown as they are.
    Naive,
    /// The same with noise that is drawn for each answer.
    FreshNoise,
    Exact,
    Perturbed,
    Private,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::Naive,
        Self::FreshNoise,
        Self::Exact,
        Self::Perturbed,
        Self::Private,
    ];

    pub(super) fn name(self) -> String {
        format!("{self:?}")
    }
}

/// The rules of the modes, which take a while to compute.
#[derive(Clone)]
pub(super) struct Rules {
    exact: Rc<DisclosureRules>,
    perturbed: Rc<DisclosureRules>,
    loss: Loss,
    distinctions: u32,
    has_neighbors: bool,
}

/// The default budget of distinctions.
pub(super) const DISTINCTIONS: u32 = 512;

impl Rules {
    /// The default noise, and the largest loss with which the bar of one point can be met: the noise of all queries together leaves a
    /// distance of `sqrt(2 rho) = 0.05` standard deviations between two values of one person, by which 51 of 100 guesses are right even if
    /// both are as likely and all else is known.
    pub(super) fn new() -> Self {
        let rules = |protection| Rc::new(DisclosureRules::new(K, &protection).unwrap());
        let rho = |millionths| MicroRho::new(millionths).unwrap();
        Self {
            exact: rules(Protection::Exact),
            perturbed: rules(Protection::Perturbed(Noise::default())),
            loss: Loss::new(rho(125), rho(1_250), DeltaExponent::new(6).unwrap()).unwrap(),
            distinctions: DISTINCTIONS,
            has_neighbors: true,
        }
    }

    /// The same with another budget of distinctions, and with or without what depends on neighbors.
    pub(super) fn with(&self, distinctions: u32, has_neighbors: bool) -> Self {
        Self {
            distinctions,
            has_neighbors,
            ..self.clone()
        }
    }

    /// A system without answers, for one institution. `seed` is that of its randomness, and `changed` who differs between the versions.
    pub(super) fn open(&self, kind: Kind, versions: &[Rc<Data>], changed: &UnitSet, seed: u64) -> Box<dyn Answering> {
        let versions = versions.to_vec();
        let audited = |rules: &Rc<DisclosureRules>, versions: Vec<Rc<Data>>| -> Box<dyn Answering> {
            let versions = (versions, changed.clone());
            let limits = (self.distinctions, self.has_neighbors);
            Box::new(Audited::new(Rc::clone(rules), limits, versions, seed))
        };
        match kind {
            Kind::Naive => Box::new(Naive::new(versions, None)),
            Kind::FreshNoise => Box::new(Naive::new(versions, Some(seed))),
            Kind::Exact => audited(&self.exact, versions),
            Kind::Perturbed => audited(&self.perturbed, versions),
            Kind::Private => Box::new(Private::new(self.loss, versions, seed)),
        }
    }
}

/// Versions of the data, of which one is the current one.
#[derive(Debug)]
struct Versions {
    current: Rc<Data>,
    later: std::vec::IntoIter<Rc<Data>>,
}

impl Versions {
    fn new(versions: Vec<Rc<Data>>) -> Self {
        let mut later = versions.into_iter();
        Self {
            current: later.next().unwrap(),
            later,
        }
    }

    fn import(&mut self) {
        self.current = self.later.next().unwrap();
    }
}

/// The sum of a flag is lowered to the number of people who have it.
fn lowered(query: &Query) -> Query {
    let with = super::register::all([query.condition.clone(), super::register::has_secret()]);
    Query {
        condition: with,
        measure: None,
        ..query.clone()
    }
}

/// The cells of a query whose sum is a flag: the number of people with it is the sum.
fn flags(cells: Vec<Shown>) -> Vec<Shown> {
    let flag = |cell: Shown| Shown {
        sum: cell.count,
        count: None,
        ..cell
    };
    cells.into_iter().map(flag).collect()
}
