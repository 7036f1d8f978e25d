//! From a statistic to a plan: its groups as columns of the grid, and its aggregates as sets with sums.

use std::{borrow::Cow, collections::BTreeSet};

use concordat_protocol::{
    collection::{AtomId, AtomSet, Axis, Levels, Range},
    ids::LevelName,
    scope::Scope,
};
use concordat_storage::catalog::Collection;

use super::{
    classify::{Classifier, CodeIndex},
    compile::{Compiler, Frame, invalid, require_atoms},
    fixed::Quantum,
    plan::{GroupedBy, Grouping, Measure, Plan, Selection, Sources},
    report::{Monomial, SetOutline, SumOutline},
};
use crate::{
    QueryError,
    statistic::{
        Bucket, CellAggregate, Condition, Described, Group, KnownCollection, Measured, NeighborRows, Output, Quantity,
        RowNeighbors, Statistic,
    },
};

/// Bands of a quantile of values without declared edges.
const BANDS: u32 = 64;

/// The plan of a statistic over what a scope shows, and what must be read for it.
///
/// # Errors
/// [`QueryError::Invalid`] or [`QueryError::MissingColumn`] if the statistic names what the scope or the version does not have.
pub(super) fn plan(
    statistic: &Statistic,
    known: &KnownCollection,
    scope: &Scope,
    collection: &dyn Collection,
) -> Result<(Plan, Sources), QueryError> {
    let mut compiler = Compiler::new(known, scope, collection);
    let name = match statistic.measured() {
        Measured::Rows(name) => Some(name),
        Measured::Subjects => None,
    };
    let measured = name.map(|name| compiler.dataset(name)).transpose()?;
    if measured.as_ref().is_some_and(|dataset| !dataset.ordinals) {
        return Err(invalid("the rows that are counted are about no subject"));
    }
    let mut frame = Frame::of(name.cloned());
    let rows = compiler.check(statistic.rows(), &mut frame, None)?;
    let mut groups = Vec::new();
    for (group, size) in statistic.groups().iter().zip(statistic.sizes(known)) {
        let by = compiler.grouped(group, size, &mut frame)?;
        groups.push(Grouping { by, size });
    }
    let AllWanted {
        all: wanted,
        set_of: selection_of,
        own,
        ..
    } = AllWanted::of(statistic, known);
    let selections = wanted.iter().map(|wanted| compiler.selection(wanted, &mut frame));
    let selections = selections.collect::<Result<Vec<_>, _>>()?;
    let plan = Plan {
        counts_rows: name.is_some_and(|name| !compiler.is_unique(name)),
        has_neighbors: selections.len() > own,
        selections,
        measured,
        columns: frame.columns,
        rows,
        groups,
        selection_of,
    };
    Ok((plan, compiler.sources))
}

/// What the sets of each cell of a statistic consist of, and the position of the set that each aggregate is computed from. It follows from
/// the statistic and the declarations alone, so that who decides about a report need not believe what it states.
///
/// # Errors
/// [`QueryError::Invalid`] if a value has no range under the permission.
pub(crate) fn outlined(
    statistic: &Statistic,
    known: &KnownCollection,
) -> Result<(Vec<usize>, Vec<SetOutline>), QueryError> {
    let AllWanted { all, set_of, .. } = AllWanted::of(statistic, known);
    let outlines = all.iter().map(|wanted| wanted.outline(known));
    Ok((set_of, outlines.collect::<Result<_, _>>()?))
}

/// The neighbors of the sets that aggregates are computed from, which are the first ones of each cell; those of neighbors are after them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Neighborhoods {
    /// For each set those by the combination of classes of the groups by `CASE` ([`Described::neighbors`]).
    pub(crate) of: Vec<Vec<Option<SetNeighbors>>>,
}

/// The sets of the neighbors of a set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SetNeighbors {
    /// Without one clause, and whether it was a condition without alternatives.
    pub(crate) wider: Vec<(NeighborSet, bool)>,
    /// With some of the alternatives of a clause, and the neighbors of each.
    pub(crate) parts: Vec<(NeighborSet, Self)>,
}

/// A neighbor and where it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NeighborSet {
    /// The position among the sets of each cell, over which it is the union of the classes of some groups.
    pub(crate) at: usize,
    pub(crate) rows: NeighborRows,
}

/// The neighbors of the sets of a statistic. They follow from the statistic and the declarations alone.
pub(crate) fn neighborhoods(statistic: &Statistic, known: &KnownCollection) -> Neighborhoods {
    AllWanted::of(statistic, known).neighborhoods
}

/// What is computed of each cell: what aggregates need, and then the neighbors.
struct AllWanted<'a> {
    all: Vec<Wanted<'a>>,
    /// The position of what each aggregate needs.
    set_of: Vec<usize>,
    /// How many of them aggregates need.
    own: usize,
    neighborhoods: Neighborhoods,
}

/// Sets of neighbors of a cell. Beyond it a set has too many.
const MAX_NEIGHBOR_SETS: usize = 128;

impl<'a> AllWanted<'a> {
    fn of(statistic: &'a Statistic, known: &KnownCollection) -> Self {
        let mut all: Vec<Wanted<'a>> = Vec::new();
        let aggregates = statistic.cells().iter();
        let set_of = aggregates
            .map(|aggregate| Wanted::position(aggregate, &mut all))
            .collect();
        let own = all.len();
        let mut of = Vec::new();
        for at in 0..own {
            let Some(wanted) = all.get(at) else { continue };
            let described = Described::new(statistic, &wanted.filter, known);
            let measured = (wanted.of, wanted.with);
            let found = described.neighbors(known).into_iter();
            let placed = found.map(|neighbors| {
                let mut placing = Placing {
                    all: &mut all,
                    own: (at, own),
                    described: &described,
                    measured,
                };
                placing.placed(&neighbors?)
            });
            let placed = placed.collect();
            of.push(placed);
        }
        Self {
            all,
            set_of,
            own,
            neighborhoods: Neighborhoods { of },
        }
    }
}

/// Neighbors of a set while they become sets.
struct Placing<'p, 'a> {
    all: &'p mut Vec<Wanted<'a>>,
    /// The position of the set, and how many there are without neighbors.
    own: (usize, usize),
    described: &'p Described<'a>,
    /// The values without which a row is not in the set.
    measured: (Option<&'a Quantity>, Option<&'a Quantity>),
}

impl Placing<'_, '_> {
    /// `None` if there are too many sets.
    fn placed(&mut self, neighbors: &RowNeighbors) -> Option<SetNeighbors> {
        let mut placed = SetNeighbors::default();
        for (rows, is_plain) in &neighbors.wider {
            placed.wider.push((self.set(rows)?, *is_plain));
        }
        for (rows, of_part) in &neighbors.parts {
            let set = self.set(rows)?;
            placed.parts.push((set, self.placed(of_part)?));
        }
        Some(placed)
    }

    fn set(&mut self, rows: &NeighborRows) -> Option<NeighborSet> {
        let (own, of_all) = self.own;
        if rows.condition == self.described.conditions {
            return Some(NeighborSet {
                at: own,
                rows: rows.clone(),
            });
        }
        let filter = Condition::all(vec![rows.condition.clone(), self.described.fixed.clone()]);
        let (of, with) = self.measured;
        let is_same =
            |known: &Wanted<'_>| known.is_neighbor && *known.filter == filter && known.of == of && known.with == with;
        let at = match self.all.iter().position(is_same) {
            Some(at) => at,
            None => {
                if self.all.len() >= of_all.saturating_add(MAX_NEIGHBOR_SETS) {
                    return None;
                }
                self.all.push(Wanted {
                    filter: Cow::Owned(filter),
                    of,
                    with,
                    monomials: BTreeSet::new(),
                    is_neighbor: true,
                    has_rows: false,
                    has_bands: false,
                });
                self.all.len().saturating_sub(1)
            }
        };
        Some(NeighborSet { at, rows: rows.clone() })
    }
}

/// What aggregates with one filter and the same values need.
struct Wanted<'a> {
    filter: Cow<'a, Condition>,
    of: Option<&'a Quantity>,
    with: Option<&'a Quantity>,
    monomials: BTreeSet<Monomial>,
    /// Whether the filter is all that rows must satisfy.
    is_neighbor: bool,
    has_rows: bool,
    has_bands: bool,
}

impl<'a> Wanted<'a> {
    /// The position of what an aggregate needs, which is added to what is wanted.
    fn position(aggregate: &'a CellAggregate, all: &mut Vec<Self>) -> usize {
        let wanted = Self::by(aggregate);
        let is_same =
            |known: &Self| known.filter == wanted.filter && known.of == wanted.of && known.with == wanted.with;
        let Some(at) = all.iter().position(is_same) else {
            all.push(wanted);
            return all.len().saturating_sub(1);
        };
        if let Some(known) = all.get_mut(at) {
            known.monomials.extend(wanted.monomials);
            known.has_rows |= wanted.has_rows;
            known.has_bands |= wanted.has_bands;
        }
        at
    }

    fn outline(&self, known: &KnownCollection) -> Result<SetOutline, QueryError> {
        let mut ranges: Vec<Range> = Vec::new();
        for of in self.of.into_iter().chain(self.with) {
            let range = known.range(of);
            ranges.push(range.ok_or_else(|| invalid("a value without a range under this permission"))?);
        }
        let sum = |of: &Monomial| SumOutline {
            of: *of,
            quantum: Quantum::of(bound(*of, &ranges)),
        };
        let middle = |at: usize| ranges.get(at).map_or(0.0, |range| center(*range));
        Ok(SetOutline {
            sums: self.monomials.iter().map(sum).collect(),
            centers: [middle(0), middle(1)],
            edges: match (self.of, ranges.first()) {
                (Some(of), Some(range)) if self.has_bands => Some(band_edges(&known.levels(of), *range)),
                _ => None,
            },
        })
    }

    fn by(aggregate: &'a CellAggregate) -> Self {
        let (of, with, monomials) = match aggregate {
            CellAggregate::Subjects { .. } => (None, None, BTreeSet::new()),
            CellAggregate::Rows { .. } => (None, None, BTreeSet::from([Monomial::One])),
            CellAggregate::Moments { of, with, output, .. } => (Some(of), with.as_ref(), monomials(*output)),
            CellAggregate::Quantile { of, .. } => (Some(of), None, BTreeSet::from([Monomial::One])),
        };
        Self {
            filter: Cow::Borrowed(aggregate.filter()),
            is_neighbor: false,
            of,
            with,
            monomials,
            has_rows: !matches!(aggregate, CellAggregate::Subjects { .. }),
            has_bands: matches!(aggregate, CellAggregate::Quantile { .. }),
        }
    }
}

/// The sums that a function is computed from. Variances are of centered values: squares of the values themselves would lose digits.
fn monomials(output: Output) -> BTreeSet<Monomial> {
    match output {
        Output::Sum | Output::Mean => BTreeSet::from([Monomial::One, Monomial::X]),
        Output::VarianceOfSample
        | Output::VarianceOfPopulation
        | Output::DeviationOfSample
        | Output::DeviationOfPopulation => BTreeSet::from([Monomial::One, Monomial::CenteredX, Monomial::CenteredXX]),
        Output::Correlation
        | Output::CovarianceOfSample
        | Output::CovarianceOfPopulation
        | Output::Slope
        | Output::Intercept
        | Output::Determination => BTreeSet::from([
            Monomial::One,
            Monomial::CenteredX,
            Monomial::CenteredY,
            Monomial::CenteredXX,
            Monomial::CenteredYY,
            Monomial::CenteredXY,
        ]),
    }
}

impl Compiler<'_> {
    fn grouped(&mut self, group: &Group, size: usize, frame: &mut Frame) -> Result<GroupedBy, QueryError> {
        let rest = size.saturating_sub(1);
        Ok(match group {
            Group::Levels { of, level, .. } => GroupedBy::Classes {
                classes: Box::new(by_level(self.known.levels(of), level.clone(), rest)),
                of: self.operand(of, frame, None)?,
            },
            Group::Buckets { of, buckets, .. } => {
                let levels = self.known.levels(of);
                for bucket in buckets {
                    require_atoms(&levels, &bucket.atoms)?;
                }
                GroupedBy::Classes {
                    classes: Box::new(by_bucket(levels, buckets, rest)),
                    of: self.operand(of, frame, None)?,
                }
            }
            Group::Codes { of, codes } => {
                self.require_codes(of)?;
                GroupedBy::Codes {
                    of: self.path(of, frame, None)?,
                    codes: CodeIndex::new(codes),
                }
            }
            Group::Cases { cases, .. } => {
                let mut checks = Vec::new();
                for (condition, _) in cases {
                    checks.push(self.check(condition, frame, None)?);
                }
                GroupedBy::Cases(checks)
            }
        })
    }

    fn selection(&mut self, wanted: &Wanted<'_>, frame: &mut Frame) -> Result<Selection, QueryError> {
        let mut measures = Vec::new();
        for of in wanted.of.into_iter().chain(wanted.with) {
            let range = self.known.range(of);
            measures.push(Measure {
                range: range.ok_or_else(|| invalid("a value without a range under this permission"))?,
                of: self.operand(of, frame, None)?,
            });
        }
        let ranges: Vec<Range> = measures.iter().map(|measure| measure.range).collect();
        let quantum = |of: Monomial| (of, Quantum::of(bound(of, &ranges)));
        let edges = match (wanted.of, ranges.first()) {
            (Some(of), Some(range)) if wanted.has_bands => Some(band_edges(&self.known.levels(of), *range)),
            _ => None,
        };
        Ok(Selection {
            filter: self.check(&wanted.filter, frame, None)?,
            is_neighbor: wanted.is_neighbor,
            sums: wanted.monomials.iter().copied().map(quantum).collect(),
            measures,
            has_rows: wanted.has_rows,
            edges,
        })
    }
}

/// Classes by the atoms of a level, or by all atoms.
fn by_level(levels: Levels, level: Option<LevelName>, rest: usize) -> Classifier<usize> {
    let fine = levels.clone();
    Classifier::new(levels, move |atom| {
        let coarser = match &level {
            Some(level) => fine.coarser(level, atom),
            None => Some(atom.clone()),
        };
        match coarser {
            Some(AtomId::Listed(at)) => usize::from(at).min(rest),
            Some(AtomId::Null | AtomId::Code(_)) | None => rest,
        }
    })
}

/// Classes by buckets.
fn by_bucket(levels: Levels, buckets: &[Bucket], rest: usize) -> Classifier<usize> {
    let sets: Vec<AtomSet> = buckets.iter().map(|bucket| bucket.atoms.clone()).collect();
    Classifier::new(levels, move |atom| {
        let found = sets.iter().position(|set| set.contains(atom));
        found.unwrap_or(rest)
    })
}

/// The largest magnitude of what is added for one row.
pub(crate) fn bound(of: Monomial, ranges: &[Range]) -> f64 {
    // The distance to the middle is half of the width, up to one rounding.
    let width = |at: usize| ranges.get(at).map_or(1.0, Range::width);
    let bound = match of {
        Monomial::One => 1.0,
        Monomial::X => ranges
            .first()
            .map_or(1.0, |range| range.low().abs().max(range.high().abs())),
        Monomial::CenteredX => width(0),
        Monomial::CenteredY => width(1),
        Monomial::CenteredXX => width(0) * width(0),
        Monomial::CenteredYY => width(1) * width(1),
        Monomial::CenteredXY => width(0) * width(1),
    };
    bound.min(f64::MAX)
}

/// Where the bands of a quantile begin: the declared edges within the range, or equal parts of it.
fn band_edges(levels: &Levels, range: Range) -> Vec<f64> {
    let declared: Vec<f64> = match levels {
        Levels::Edges(edges) => match edges.axis() {
            Axis::Int(edges) => edges.iter().map(|edge| *edge as f64).collect(),
            Axis::Float(edges) => edges.iter().map(|edge| edge.get()).collect(),
            Axis::Date(_) | Axis::DateTime(_) => Vec::new(),
        },
        Levels::None | Levels::Truth | Levels::Values(_) | Levels::Codes(_) => Vec::new(),
    };
    let is_within = |edge: &f64| range.low() < *edge && *edge < range.high();
    let mut within: Vec<f64> = declared.into_iter().filter(is_within).collect();
    if within.is_empty() {
        let parts = 1..BANDS;
        let edge = |part: u32| range.low() + range.width() * (f64::from(part) / f64::from(BANDS));
        within = parts.map(edge).filter(is_within).collect();
    }
    within.dedup();
    within
}

/// The middle of a range.
pub(super) fn center(range: Range) -> f64 {
    range.low() + range.width() / 2.0
}

/// What the sets of each cell consist of.
pub(super) fn outlines(plan: &Plan) -> Vec<SetOutline> {
    let sum = |(of, quantum): &(Monomial, Quantum)| SumOutline {
        of: *of,
        quantum: *quantum,
    };
    let outline = |selection: &Selection| {
        let center = |at: usize| selection.measures.get(at).map_or(0.0, |measure| center(measure.range));
        SetOutline {
            sums: selection.sums.iter().map(sum).collect(),
            centers: [center(0), center(1)],
            edges: selection.edges.clone(),
        }
    };
    plan.selections.iter().map(outline).collect()
}
