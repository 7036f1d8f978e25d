//! Cells of a statistic as frames, and the subjects of rows.
//!
//! ```text
//! Cell       number of the cell | its subjects | for each set and its neighbors: subjects | rows | sums | bands
//! CellsDone  version | whether all rows were read
//! Owners     to the process: numbers of rows
//!            from the process: for each of them whether it has a subject, and which
//! ```
//!
//! Numbers are little endian, and a set of units is its length and its encoding ([`UnitSet::from_untrusted`]). How many sets, sums and bands
//! there are is not stated: the node knows it from the statistic. The process runs a peer's query, so nothing is believed: cells are in
//! their order, each unit exists, each cell is as long as its parts, and no memory is allocated for what is not there.

use concordat_disclosure::UnitSet;
use concordat_protocol::schema::VersionNumber;

use super::messages::failed;
use crate::{
    QueryError,
    compute::{Cell, CellReport, ContributionSum, Contributions, KEPT, MeasuredSet, SetOutline},
};

/// Longest frame of a cell, in bytes: a set of a million subjects takes up to 125 KB, and one of ten million rows up to 1.25 MB.
const MAX_CELL: usize = 16 << 20;
/// Most bytes of all cells together: about as much memory as a query may have.
const MAX_CELLS: usize = 256 << 20;
/// Most rows whose subjects are requested at once.
pub(super) const MAX_OWNERS: usize = 1 << 16;

/// What a report must look like.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) version: VersionNumber,
    /// How many subjects there are.
    pub(super) subjects: u32,
    /// How many rows there are, if rows are counted.
    pub(super) rows: Option<u32>,
    pub(super) set_of: Vec<usize>,
    pub(super) outlines: Vec<SetOutline>,
    /// The number of cells.
    pub(super) grid: usize,
}

/// Cells while they arrive.
#[derive(Debug)]
pub(super) struct Arriving {
    expected: Expected,
    cells: Vec<Cell>,
    bytes: usize,
}

impl Arriving {
    pub(super) const fn new(expected: Expected) -> Self {
        Self {
            expected,
            cells: Vec::new(),
            bytes: 0,
        }
    }

    /// The next cell.
    ///
    /// # Errors
    /// If it is not the next one, or does not have its form.
    pub(super) fn add(&mut self, body: &[u8]) -> Result<(), QueryError> {
        self.bytes = self.bytes.saturating_add(body.len());
        if body.len() > MAX_CELL || self.bytes > MAX_CELLS || self.cells.len() >= self.expected.grid {
            return Err(failed());
        }
        let mut reading = Reading(body);
        let number = usize::try_from(u32::from_le_bytes(reading.array()?)).map_err(|_| failed())?;
        if number != self.cells.len() {
            return Err(failed());
        }
        let cell = self.expected.cell(&mut reading)?;
        if !reading.0.is_empty() {
            return Err(failed());
        }
        self.cells.push(cell);
        Ok(())
    }

    /// The report, after its last frame.
    ///
    /// # Errors
    /// If cells are missing, or it is about another version.
    pub(super) fn finish(self, body: &[u8]) -> Result<CellReport, QueryError> {
        let mut reading = Reading(body);
        let version = VersionNumber::new(u64::from_le_bytes(reading.array()?));
        let [is_complete] = reading.array()?;
        let expected = self.expected;
        let is_whole = self.cells.len() == expected.grid && reading.0.is_empty() && is_complete <= 1;
        if !is_whole || version != expected.version {
            return Err(failed());
        }
        Ok(CellReport {
            version,
            subjects: expected.subjects,
            rows: expected.rows,
            set_of: expected.set_of,
            outlines: expected.outlines,
            cells: self.cells,
            is_complete: is_complete == 1,
        })
    }
}

impl Expected {
    /// The report of a process that ended before it was complete: whether it does can depend on values, so all of its cells are withheld.
    pub(super) fn failed(&self) -> CellReport {
        let outline = CellReport {
            version: self.version,
            subjects: self.subjects,
            rows: self.rows,
            set_of: self.set_of.clone(),
            outlines: self.outlines.clone(),
            cells: Vec::new(),
            is_complete: true,
        };
        outline.failed(self.grid)
    }

    fn cell(&self, reading: &mut Reading<'_>) -> Result<Cell, QueryError> {
        let subjects = reading.units(self.subjects)?;
        let mut sets = Vec::with_capacity(self.outlines.len());
        let own = self.set_of.iter().max().map_or(0, |at| at.saturating_add(1));
        for (at, outline) in self.outlines.iter().enumerate() {
            let set = self.set(outline, reading)?;
            // Each set is of rows of the cell, but for neighbors, which lack a condition of them.
            if at < own && !set.subjects.difference(&subjects).is_empty() {
                return Err(failed());
            }
            sets.push(set);
        }
        Ok(Cell { subjects, sets })
    }

    fn set(&self, outline: &SetOutline, reading: &mut Reading<'_>) -> Result<MeasuredSet, QueryError> {
        let subjects = reading.units(self.subjects)?;
        let rows = reading.units(self.rows.unwrap_or(0))?;
        let sums = outline.sums.iter().map(|_| reading.sum());
        let sums = sums.collect::<Result<Vec<ContributionSum>, QueryError>>()?;
        let bands = outline.edges.as_ref().map_or(0, |edges| edges.len().saturating_add(1));
        let universe = self.rows.unwrap_or(self.subjects);
        let bands = (0..bands).map(|_| reading.units(universe));
        Ok(MeasuredSet {
            bands: bands.collect::<Result<_, _>>()?,
            subjects,
            rows,
            sums,
        })
    }
}

/// The frames of the cells of a report.
pub(super) fn encoded(report: &CellReport) -> impl Iterator<Item = Vec<u8>> {
    (0_u32..).zip(&report.cells).map(|(number, cell)| {
        let mut body = number.to_le_bytes().to_vec();
        put_units(&mut body, &cell.subjects);
        for set in &cell.sets {
            put_units(&mut body, &set.subjects);
            put_units(&mut body, &set.rows);
            set.sums.iter().for_each(|sum| put_sum(&mut body, sum));
            set.bands.iter().for_each(|band| put_units(&mut body, band));
        }
        body
    })
}

/// The frame after the cells.
pub(super) fn encoded_end(report: &CellReport) -> Vec<u8> {
    let mut body = report.version.get().to_le_bytes().to_vec();
    body.push(u8::from(report.is_complete));
    body
}

fn put_units(to: &mut Vec<u8>, units: &UnitSet) {
    let bytes = units.to_bytes();
    // A set has at most 2^29 bytes.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(&bytes);
}

fn put_sum(to: &mut Vec<u8>, sum: &ContributionSum) {
    to.extend_from_slice(&sum.total.to_le_bytes());
    for largest in sum.contributions.largest {
        to.extend_from_slice(&largest.to_le_bytes());
    }
    to.extend_from_slice(&sum.contributions.total.to_le_bytes());
}

/// The numbers of rows whose subjects are requested.
pub(super) fn encoded_rows(rows: &[u32]) -> Vec<u8> {
    rows.iter().flat_map(|row| row.to_le_bytes()).collect()
}

/// What [`encoded_rows`] wrote.
///
/// # Errors
/// If there are too many, or the bytes are not numbers.
pub(super) fn decoded_rows(body: &[u8]) -> Result<Vec<u32>, QueryError> {
    let (rows, rest) = body.as_chunks::<4>();
    if !rest.is_empty() || rows.len() > MAX_OWNERS {
        return Err(failed());
    }
    Ok(rows.iter().map(|row| u32::from_le_bytes(*row)).collect())
}

/// The subjects of rows.
pub(super) fn encoded_owners(owners: &[Option<u32>]) -> Vec<u8> {
    let owner = |owner: &Option<u32>| {
        let [a, b, c, d] = owner.unwrap_or(0).to_le_bytes();
        [u8::from(owner.is_some()), a, b, c, d]
    };
    owners.iter().flat_map(owner).collect()
}

/// What [`encoded_owners`] wrote for `rows` rows, of a collection with `subjects` subjects.
///
/// # Errors
/// If they are not the subjects of so many rows, or one does not exist.
pub(super) fn decoded_owners(body: &[u8], rows: usize, subjects: u32) -> Result<Vec<Option<u32>>, QueryError> {
    let (owners, rest) = body.as_chunks::<5>();
    if !rest.is_empty() || owners.len() != rows {
        return Err(failed());
    }
    let owner = |[is_some, a, b, c, d]: &[u8; 5]| match (is_some, u32::from_le_bytes([*a, *b, *c, *d])) {
        (0, 0) => Ok(None),
        (1, owner) if owner < subjects => Ok(Some(owner)),
        _ => Err(failed()),
    };
    owners.iter().map(owner).collect()
}

/// The rest of a frame.
struct Reading<'a>(&'a [u8]);

impl Reading<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], QueryError> {
        let (read, rest) = self.0.split_first_chunk::<N>().ok_or(failed())?;
        self.0 = rest;
        Ok(*read)
    }

    fn units(&mut self, universe: u32) -> Result<UnitSet, QueryError> {
        let length = usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| failed())?;
        let (read, rest) = self.0.split_at_checked(length).ok_or(failed())?;
        self.0 = rest;
        UnitSet::from_untrusted(read, universe).map_err(|_| failed())
    }

    /// The largest contributions are in descending order, and not more than all of them.
    fn sum(&mut self) -> Result<ContributionSum, QueryError> {
        let total = i128::from_le_bytes(self.array()?);
        let mut largest = [0_u128; KEPT];
        for contribution in &mut largest {
            *contribution = u128::from_le_bytes(self.array()?);
        }
        let magnitudes = u128::from_le_bytes(self.array()?);
        let kept = largest.iter().try_fold(0_u128, |sum, more| sum.checked_add(*more));
        let is_possible = largest.is_sorted_by(|a, b| a >= b) && kept.is_some_and(|kept| kept <= magnitudes);
        if !is_possible || total.unsigned_abs() > magnitudes {
            return Err(failed());
        }
        Ok(ContributionSum {
            total,
            contributions: Contributions {
                largest,
                total: magnitudes,
            },
        })
    }
}

#[cfg(test)]
mod tests;
