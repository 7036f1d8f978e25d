//! Computes the cells of a [`Statistic`] over a version of a collection, before it is decided which of them are released.
//!
//! 1. The statistic becomes a plan over what the scope shows (`compile`, `selections`), and the memory that it needs is estimated from the
//!    numbers of rows, subjects and cells (`budget`). Whatever is refused is refused here, before a row is read.
//! 2. The subjects that the scope covers are read, then what conditions look up (`prepare`): rows by key and by subject, lists of codes,
//!    and the events of each subject.
//! 3. The measured rows are read once (`scan`, `evaluate`, `cells`), and once more for each slice of the subjects whose contributions do not
//!    fit in memory together (`pairs`). Sums do not depend on the order of rows or on the slices (`fixed`).
//! 4. The result is a [`CellReport`] with the full grid: which subjects and rows are in each cell, sums, and how large the contributions of
//!    single subjects are.
//!
//! No value makes any of this fail: conditions are sets of atoms, and what has no result is missing. If rows cannot be read, or need more
//! memory than there is, every cell is empty, which looks like a grid of small cells ([`absorbed`]). Nothing here decides or stores anything
//! about answers, and there are no keys: of `concordat-disclosure` only sets of units are used.
//!
//! Answers with records use [`cohort`] alone: the subjects that the scope covers.

mod budget;
mod cells;
mod classify;
mod code_lists;
mod compile;
mod evaluate;
mod fixed;
mod like;
mod owners;
mod pairs;
mod plan;
mod prepare;
mod report;
mod scan;
mod selections;
mod sets;
mod tables;
mod values;

use arrow::buffer::BooleanBuffer;
use concordat_protocol::{
    collection::CollectionRules,
    error_kind::ErrorKind,
    ids::{ColumnName, DatasetName},
    scope::{Protection, Scope},
};
use concordat_storage::catalog::Collection;
use tracing::error;

use super::{
    Bounds, QueryError,
    statistic::{KnownCollection, Statistic},
};
use budget::{Budget, Division};
use cells::Cells;
pub(crate) use code_lists::{MAX_LISTED, listed_codes};
pub(crate) use owners::owners;
use pairs::Pairs;
use plan::{Plan, Sources};
pub(crate) use report::{
    Cell, CellReport, ContributionSum, Contributions, KEPT, MeasuredSet, Monomial, SetOutline, SumOutline,
};
use scan::{Reader, Wanted};
pub(crate) use selections::{NeighborSet, Neighborhoods, SetNeighbors, bound, neighborhoods, outlined};
use tables::{Bits, Tables};
use values::Rows;

/// The cells of a statistic over what `scope` covers of a version, with the declarations of the collection.
///
/// # Errors
/// [`QueryError`] if the statistic, the scope and the version do not fit together, or it needs too much memory or too many groups: nothing was
/// read then. [`QueryError::Stored`] if stored data was changed.
pub(crate) async fn report(
    collection: &dyn Collection,
    rules: &CollectionRules,
    scope: &Scope,
    statistic: &Statistic,
    bounds: &Bounds,
) -> Result<CellReport, QueryError> {
    if scope.collection.collection != *collection.name() {
        return Err(QueryError::NotApplied {
            detail: format!("it is for the collection `{}`", scope.collection.collection),
        });
    }
    let known = shown(rules, scope);
    let grid = statistic.grid(&known);
    if grid > bounds.groups {
        return Err(QueryError::TooManyGroups { limit: bounds.groups });
    }
    prepare::cohort_dataset(collection, scope)?;
    let (plan, sources) = selections::plan(statistic, &known, scope, collection)?;
    let division = Division::of(&plan, &sources, collection.subjects(), bounds.memory)?;
    let reader = Reader::new(collection, bounds.memory)?;
    let empty = outline(collection, &plan);
    let failed = empty.clone();
    let mut work = Work {
        collection,
        scope,
        plan,
        sources,
        division,
        reader,
    };
    absorbed(work.report(empty).await, || failed.failed(grid))
}

/// The subjects that `scope` is about, read with `memory` bytes; `None` if it is about all of them.
///
/// # Errors
/// [`QueryError`] if the version does not state who they are, or their dataset cannot be read.
pub(crate) async fn cohort(
    collection: &dyn Collection,
    scope: &Scope,
    memory: usize,
) -> Result<Option<BooleanBuffer>, QueryError> {
    if prepare::cohort_dataset(collection, scope)?.is_none() {
        return Ok(None);
    }
    let reader = Reader::new(collection, memory)?;
    let covered = prepare::cohort(&reader, collection, scope).await?;
    let subjects = usize::try_from(collection.subjects()).unwrap_or(usize::MAX);
    let is_covered = |covered: &Bits, at: usize| u32::try_from(at).is_ok_and(|at| covered.has(at));
    Ok(covered.map(|covered| BooleanBuffer::collect_bool(subjects, |at| is_covered(&covered, at))))
}

/// The unit of sums of contributions of at most this magnitude.
#[cfg(test)]
pub(crate) fn quantum_of(bound: f64) -> fixed::Quantum {
    fixed::Quantum::of(bound)
}

/// The collection as the scope shows it.
pub(crate) fn shown(rules: &CollectionRules, scope: &Scope) -> KnownCollection {
    let transform = |dataset: &DatasetName, column: &ColumnName| {
        let covered = scope.datasets.get(dataset)?;
        Some(covered.columns.transform(column))
    };
    KnownCollection::new(rules.clone(), &transform, Some(scope.window.oldest_year()))
        .with_exact_figures(scope.protection == Protection::Exact)
}

/// The report without cells.
fn outline(collection: &dyn Collection, plan: &Plan) -> CellReport {
    let rows = plan.measured.as_ref().filter(|_| plan.counts_rows);
    CellReport {
        version: collection.version(),
        subjects: collection.subjects(),
        rows: rows.map(|dataset| u32::try_from(dataset.rows).unwrap_or(u32::MAX)),
        set_of: plan.selection_of.clone(),
        outlines: selections::outlines(plan),
        cells: Vec::new(),
        is_complete: true,
    }
}

/// An error of reading or of memory becomes a report without contents: whether it happens can depend on values, and all cells are
/// withheld then. An error that stored data was changed, or that the permission ended, is one of the answer.
fn absorbed(
    result: Result<CellReport, QueryError>,
    failed: impl FnOnce() -> CellReport,
) -> Result<CellReport, QueryError> {
    match result {
        Err(
            error @ (QueryError::Cut { .. }
            | QueryError::Stored {
                kind: ErrorKind::Integrity,
            }),
        ) => Err(error),
        Err(error) => {
            error!(%error, "a statistic was not computed, so all of its cells are withheld");
            Ok(failed())
        }
        Ok(report) => Ok(report),
    }
}

/// A statistic while it is computed.
struct Work<'a> {
    collection: &'a dyn Collection,
    scope: &'a Scope,
    plan: Plan,
    sources: Sources,
    division: Division,
    reader: Reader,
}

impl Work<'_> {
    async fn report(&mut self, mut report: CellReport) -> Result<CellReport, QueryError> {
        self.reader.cohort = prepare::cohort(&self.reader, self.collection, self.scope).await?;
        let mut budget = Budget::of(self.division.tables);
        let read = (report.subjects, &mut budget);
        let tables = prepare::tables(&self.reader, self.scope, &mut self.sources, read).await?;
        let mut cells = Cells::new(&self.plan, report.subjects, report.rows, self.division.are_bits);
        let sums: usize = report.outlines.iter().map(|outline| outline.sums.len()).sum();
        let mut from = 0;
        loop {
            let has_pairs = self.plan.counts_rows && sums > 0;
            let mut pairs = has_pairs.then(|| Pairs::new(from, report.subjects, self.division.pairs, sums));
            self.pass(&mut cells, &tables, (&mut pairs, from == 0)).await?;
            let Some(pairs) = pairs else { break };
            cells.merge(&pairs);
            from = pairs.to();
            if from >= report.subjects {
                break;
            }
        }
        report.cells = cells.finish(&report.outlines);
        Ok(report)
    }

    /// Adds all measured rows, or all subjects, to the cells.
    async fn pass(
        &mut self,
        cells: &mut Cells,
        tables: &Tables,
        (pairs, is_first): (&mut Option<Pairs>, bool),
    ) -> Result<(), QueryError> {
        let Some(measured) = &self.plan.measured else {
            self.all_subjects(cells, tables);
            return Ok(());
        };
        let wanted = Wanted {
            dataset: measured,
            columns: &self.plan.columns,
            filter: prepare::admitted(self.scope, measured)?,
            numbers: self.plan.counts_rows,
        };
        let mut scan = self.reader.scan(&wanted)?;
        while let Some(rows) = scan.next().await? {
            cells.add(&mut self.plan, &rows, tables, (&mut *pairs, is_first));
        }
        Ok(())
    }

    /// Adds each subject once.
    fn all_subjects(&mut self, cells: &mut Cells, tables: &Tables) {
        let cohort = self.reader.cohort.clone();
        let is_covered = |owner: &u32| cohort.as_ref().is_none_or(|cohort| cohort.has(*owner));
        let rows = Rows {
            owners: (0..self.collection.subjects()).filter(is_covered).collect(),
            ..Rows::default()
        };
        cells.add(&mut self.plan, &rows, tables, (&mut None, true));
    }
}

#[cfg(test)]
pub(crate) mod tests;
