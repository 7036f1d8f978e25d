//! What is true of the cells of a statement.

use std::collections::{BTreeMap, BTreeSet};

use super::statement::ProbeStatement;
use crate::canary::{Canary, CanaryPerson};

/// What is true of one cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellTruth {
    /// How many subjects are in it.
    pub subjects: u16,
    /// The figure, without any protection.
    pub figure: Figure,
}

/// The figure of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// The number of its subjects.
    Subjects,
    /// The number of its rows.
    Rows(u32),
    /// The mean of a column of its rows.
    Mean(f64),
}

impl CellTruth {
    /// A cell without subjects: of a group that the canary does not have.
    pub(super) const EMPTY: Self = Self {
        subjects: 0,
        figure: Figure::Subjects,
    };

    /// The figure as a number.
    #[must_use]
    pub fn value(&self) -> f64 {
        match self.figure {
            Figure::Subjects => f64::from(self.subjects),
            Figure::Rows(rows) => f64::from(rows),
            Figure::Mean(mean) => mean,
        }
    }
}

/// The cells of a statement that have subjects, by the label of the group.
type Cells = BTreeMap<Option<String>, CellTruth>;

impl ProbeStatement {
    /// What is true of each cell that has subjects, by the label of its group; the label is `None` if there are no groups.
    #[must_use]
    pub fn truths(self, canary: &Canary) -> BTreeMap<Option<String>, CellTruth> {
        let pair = canary.facts.pair;
        let of_site = |person: &CanaryPerson| person.site == pair.site;
        let site = |person: &CanaryPerson| Some(person.site.to_string());
        let sex = |person: &CanaryPerson| Some(person.sex.to_string());
        let marker = |person: &CanaryPerson| Some(u8::from(person.marker).to_string());
        match self {
            Self::Sites | Self::SitesAgain => people(canary, |_| true, site),
            Self::Sexes => people(canary, |_| true, sex),
            Self::Markers => people(canary, |_| true, marker),
            Self::MarkersOfWomen => people(canary, |person| person.sex == 'f', marker),
            Self::SexesOfSite => people(canary, of_site, sex),
            Self::YoungerOfSite => people(
                canary,
                |person| of_site(person) && person.age <= pair.up_to_age,
                |_| None,
            ),
            Self::OldestOfSite => people(
                canary,
                |person| of_site(person) && person.age > pair.up_to_age,
                |_| None,
            ),
            Self::All => people(canary, |_| true, |_| None),
            Self::Codes => visits(canary, |_| Figure::Subjects),
            Self::CodeRows => visits(canary, |visits| Figure::Rows(visits.rows)),
            Self::CodeCosts => visits(canary, |visits| {
                Figure::Mean(f64::from(visits.cost) / f64::from(visits.rows.max(1)))
            }),
        }
    }
}

fn people(
    canary: &Canary,
    is_selected: impl Fn(&CanaryPerson) -> bool,
    label: impl Fn(&CanaryPerson) -> Option<String>,
) -> Cells {
    let mut cells = Cells::new();
    for person in canary.people.iter().filter(|person| is_selected(person)) {
        let cell = cells.entry(label(person)).or_insert(CellTruth::EMPTY);
        cell.subjects = cell.subjects.saturating_add(1);
    }
    cells
}

/// The visits with one code.
#[derive(Default)]
struct Visits {
    subjects: BTreeSet<u8>,
    rows: u32,
    cost: u32,
}

fn visits(canary: &Canary, figure: impl Fn(&Visits) -> Figure) -> Cells {
    let mut codes = BTreeMap::<String, Visits>::new();
    for visit in &canary.visits {
        let code = codes.entry(visit.code.to_string()).or_default();
        code.subjects.insert(visit.subject);
        code.rows = code.rows.saturating_add(1);
        code.cost = code.cost.saturating_add(u32::from(visit.cost));
    }
    let cell = |(code, visits): (String, Visits)| {
        let truth = CellTruth {
            subjects: u16::try_from(visits.subjects.len()).unwrap_or(u16::MAX),
            figure: figure(&visits),
        };
        (Some(code), truth)
    };
    codes.into_iter().map(cell).collect()
}
