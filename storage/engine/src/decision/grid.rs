//! A report of cells as what is decided about: sets with descriptions, and what few subjects contribute.

use std::borrow::Cow;

use concordat_disclosure::{
    Contributions, Counted, DisclosureRules, FigureName, Grid, Outline, ReportedRows, ReportedSet, ReportedSum,
    SetPart, SumOutline, UnitSet,
};
use concordat_protocol::{
    ids::{DatasetName, Digest32},
    scope::{Finite, Scope},
};

use super::{
    boxes::{Boxes, SetBoxes},
    code_lists::CodeLists,
    neighbors::CellNeighbors,
    quantiles::{self, Band, BandNoise},
};
use crate::{
    QueryError,
    compute::{self, Cell, CellReport, ContributionSum, MeasuredSet, Monomial, Neighborhoods, SetOutline, bound},
    statistic::{
        CellAggregate, ColumnPath, Condition, Group, KeyList, KnownCollection, Measured, Quantity, Statistic,
        code_lists,
    },
};

/// Label of the hashes that name sums. They are stored and never change.
const FIGURE: &str = "concordat/figure of a cell/1";

/// What follows from a statistic before anything is computed.
pub(crate) struct Requested<'a> {
    pub(super) statistic: &'a Statistic,
    pub(super) known: &'a KnownCollection,
    /// The position of the set of each aggregate.
    pub(super) set_of: Vec<usize>,
    pub(super) sets: Vec<RequestedSet<'a>>,
    /// What the sets of each cell consist of, with those of neighbors, which are the last ones.
    outlines: Vec<SetOutline>,
    neighborhoods: Neighborhoods,
    boxes: Boxes<'a>,
    /// Whether a subject can be counted several times.
    pub(super) counts_rows: bool,
}

/// The sets at one position of all cells.
pub(super) struct RequestedSet<'a> {
    filter: &'a Condition,
    of: Option<&'a Quantity>,
    /// Which part of the values is below the quantiles.
    quantiles: Vec<f64>,
    pub(super) outline: SetOutline,
    /// What is released of them. The sums are those of the outline but the number of units.
    pub(super) figures: Outline,
}

impl<'a> Requested<'a> {
    /// # Errors
    /// [`QueryError::Invalid`] if the statistic measures what has no range under the permission.
    pub(crate) fn new(statistic: &'a Statistic, known: &'a KnownCollection, scope: &Scope) -> Result<Self, QueryError> {
        let (set_of, outlines) = compute::outlined(statistic, known)?;
        let mut sets: Vec<Option<RequestedSet<'a>>> = outlines.iter().map(|_| None).collect();
        for (aggregate, at) in statistic.cells().iter().zip(&set_of) {
            let outline = outlines.get(*at);
            if let Some((set, outline)) = sets.get_mut(*at).zip(outline) {
                let requested = match set.take() {
                    Some(requested) => requested,
                    None => RequestedSet::new(aggregate, outline.clone(), known)?,
                };
                *set = Some(requested.with_figures_of(aggregate));
            }
        }
        let boxes = Boxes::new(statistic, known, scope);
        Ok(Self {
            statistic,
            known,
            set_of,
            sets: sets.into_iter().flatten().collect(),
            outlines,
            neighborhoods: compute::neighborhoods(statistic, known),
            counts_rows: boxes.counts_rows(),
            boxes,
        })
    }

    /// The lists of codes by which sets are described, each with a column of these codes.
    pub(crate) fn code_lists(&self) -> Vec<(ColumnPath, KeyList)> {
        code_lists(self.statistic, self.known)
    }

    /// The same with the codes of these lists.
    pub(crate) fn with_code_lists(self, lists: CodeLists) -> Self {
        let boxes = self.boxes.with_code_lists(lists);
        Self { boxes, ..self }
    }

    /// The dataset whose rows are counted, if a subject can have several.
    pub(crate) fn rows_of(&self) -> Option<&'a DatasetName> {
        match self.statistic.measured() {
            Measured::Rows(dataset) if self.counts_rows => Some(dataset),
            Measured::Rows(_) | Measured::Subjects => None,
        }
    }

    /// The position of the set of each aggregate.
    pub(crate) fn set_of(&self) -> &[usize] {
        &self.set_of
    }

    /// What the sets of each cell consist of.
    pub(crate) fn outlines(&self) -> Vec<SetOutline> {
        self.outlines.clone()
    }

    /// The number of cells.
    pub(crate) fn cells(&self) -> usize {
        self.statistic.grid(self.known)
    }

    /// The report as what is decided about.
    ///
    /// # Errors
    /// [`QueryError::Engine`] if it does not have the form of the statistic.
    pub(super) fn grid<'r>(
        &self,
        report: &'r CellReport,
        (rules, noise): (&DisclosureRules, Option<&BandNoise>),
    ) -> Result<Grid<'r>, QueryError> {
        let counted = if self.counts_rows {
            Counted::Rows
        } else {
            Counted::Subjects
        };
        let mut neighbors = CellNeighbors::new(&self.boxes, report);
        let cells = report.cells.iter().enumerate();
        let cells = cells.map(|(at, cell)| self.cell((at, cell), (rules, noise), &mut neighbors));
        let cells = cells.collect::<Result<Vec<_>, _>>()?;
        let outlines = self.sets.iter().map(|set| set.figures.clone()).collect();
        Grid::new(report.version, counted, outlines, cells).map_err(|_| malformed())
    }

    fn cell<'r>(
        &self,
        (at, cell): (usize, &'r Cell),
        by: (&DisclosureRules, Option<&BandNoise>),
        neighbors: &mut CellNeighbors<'_, '_>,
    ) -> Result<Vec<ReportedSet<'r>>, QueryError> {
        if cell.sets.len() != self.outlines.len() {
            return Err(malformed());
        }
        let combination = self.combination(at);
        let sets = self.sets.iter().zip(&cell.sets).zip(&self.neighborhoods.of);
        sets.map(|((requested, set), neighborhood)| {
            let boxes = self.boxes.set(at, requested.filter, requested.of);
            let mut reported = self.set(requested, set, boxes, by)?;
            let found = neighborhood.get(combination).and_then(Option::as_ref);
            reported.neighbors = found.and_then(|found| neighbors.of(found, (at, requested.of)));
            Ok(reported)
        })
        .collect()
    }

    /// The number of the combination of the cell's classes in the groups by `CASE`, of which the last one varies fastest.
    fn combination(&self, cell: usize) -> usize {
        let classes = self.boxes.classes(cell).into_iter().zip(self.boxes.sizes());
        let classes = self.statistic.groups().iter().zip(classes);
        let of_cases = classes.filter(|(group, _)| matches!(group, Group::Cases { .. }));
        of_cases.fold(0_usize, |number, (_, (class, size))| {
            number.saturating_mul(*size).saturating_add(class)
        })
    }

    fn set<'r>(
        &self,
        requested: &RequestedSet<'_>,
        set: &'r MeasuredSet,
        boxes: SetBoxes,
        (rules, noise): (&DisclosureRules, Option<&BandNoise>),
    ) -> Result<ReportedSet<'r>, QueryError> {
        let parts = match requested.of {
            Some(of) if requested.figures.parts => {
                let bands = requested.bands(set, (rules.certain_threshold(), noise));
                let number = set.bands.len();
                let part = |(from, to): Band| SetPart {
                    units: Cow::Owned(union(set, from, to)),
                    cell: self.boxes.part(&boxes, of, (from, to, number)),
                };
                bands.into_iter().map(part).collect()
            }
            Some(_) | None => Vec::new(),
        };
        let sums = requested.outline.sums.iter().zip(&set.sums);
        let one = sums.clone().find(|(outline, _)| outline.of == Monomial::One);
        let of_rows = one.map(|(outline, sum)| reported(outline, sum)).transpose()?;
        let rows = self.counts_rows.then(|| ReportedRows {
            units: &set.rows,
            cell: boxes.units,
            most: of_rows.map_or(0, |rows| whole(rows.largest)),
            contributions: of_rows.map_or_else(Contributions::default, |rows| rows.contributions),
        });
        let sums = sums.filter(|(outline, _)| outline.of != Monomial::One);
        let sums = sums.map(|(outline, sum)| reported(outline, sum));
        Ok(ReportedSet {
            cell: boxes.subjects,
            subjects: &set.subjects,
            neighbors: None,
            rows,
            sums: sums.collect::<Result<_, _>>()?,
            parts,
        })
    }
}

impl<'a> RequestedSet<'a> {
    fn new(aggregate: &'a CellAggregate, outline: SetOutline, known: &KnownCollection) -> Result<Self, QueryError> {
        let (of, with) = match aggregate {
            CellAggregate::Subjects { .. } | CellAggregate::Rows { .. } => (None, None),
            CellAggregate::Moments { of, with, .. } => (Some(of), with.as_ref()),
            CellAggregate::Quantile { of, .. } => (Some(of), None),
        };
        let ranges: Vec<_> = of.into_iter().chain(with).filter_map(|of| known.range(of)).collect();
        let sums = outline.sums.iter().filter(|sum| sum.of != Monomial::One);
        let sums = sums.map(|sum| {
            Ok(SumOutline {
                figure: figure(sum.of, (of, with), known),
                bound: Finite::new(bound(sum.of, &ranges)).map_err(|_| malformed())?,
            })
        });
        let sums = sums.collect::<Result<Vec<SumOutline>, QueryError>>()?;
        Ok(Self {
            filter: aggregate.filter(),
            of,
            quantiles: Vec::new(),
            figures: Outline {
                sums,
                ..Outline::default()
            },
            outline,
        })
    }

    /// The same sets with the figures that an aggregate is computed from.
    fn with_figures_of(mut self, aggregate: &CellAggregate) -> Self {
        match aggregate {
            CellAggregate::Subjects { .. } => self.figures.subjects = true,
            CellAggregate::Rows { .. } | CellAggregate::Moments { .. } => self.figures.units = true,
            CellAggregate::Quantile { at, .. } => {
                self.figures.units = true;
                self.figures.parts = true;
                self.quantiles.push(at.get());
            }
        }
        self
    }

    /// The parts by whose numbers the quantiles of a set are shown.
    pub(super) fn bands(&self, set: &MeasuredSet, (least, noise): (u64, Option<&BandNoise>)) -> Vec<Band> {
        quantiles::parts(&quantiles::numbers(&set.bands, noise), &self.quantiles, least)
    }
}

/// What a sum is, whatever the text and the statistic that it is part of.
fn figure(
    of: Monomial,
    (first, second): (Option<&Quantity>, Option<&Quantity>),
    known: &KnownCollection,
) -> FigureName {
    let range = |of: Option<&Quantity>| {
        let range = of.and_then(|of| known.range(of));
        range.map(|range| [range.low().to_bits(), range.high().to_bits()])
    };
    let power = match of {
        Monomial::One => "1",
        Monomial::X => "x",
        Monomial::CenteredX => "x-c",
        Monomial::CenteredY => "y-c",
        Monomial::CenteredXX => "(x-c)^2",
        Monomial::CenteredYY => "(y-c)^2",
        Monomial::CenteredXY => "(x-c)(y-c)",
    };
    let mut bytes = Vec::new();
    let part = (power, first, range(first), second, range(second));
    // Writing to memory does not fail, and no part has a type that cannot be encoded.
    let _ = ciborium::into_writer(&part, &mut bytes);
    FigureName::new(*Digest32::sha256(FIGURE, &bytes).as_bytes())
}

/// A sum of a report.
fn reported(outline: &compute::SumOutline, sum: &ContributionSum) -> Result<ReportedSum, QueryError> {
    let number = |units: i128| Finite::new(outline.quantum.value(units)).map_err(|_| malformed());
    let [largest, ..] = sum.contributions.largest;
    Ok(ReportedSum {
        total: number(sum.total)?,
        largest: number(i128::try_from(largest).unwrap_or(i128::MAX))?,
        contributions: Contributions::of(sum.contributions.largest, sum.contributions.total),
    })
}

/// The units of several bands.
fn union(set: &MeasuredSet, from: usize, to: usize) -> UnitSet {
    let bands = set.bands.get(from..=to).unwrap_or_default().iter();
    bands.fold(UnitSet::new(), |all, band| all.union(band))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of rows, which is a whole number below 2^32"
)]
fn whole(number: Finite) -> u64 {
    number.get().round() as u64
}

pub(super) const fn malformed() -> QueryError {
    QueryError::Engine { step: "deciding" }
}
