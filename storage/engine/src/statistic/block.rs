//! One grouping: the datasets, conditions, groups and aggregates that it consists of.

use concordat_protocol::{
    collection::Levels,
    ids::{DatasetName, Digest32},
};
use serde::{Deserialize, Serialize};

use super::{
    encoding::cbor,
    forms::{Form, NotCountable},
    known::KnownCollection,
    labels::require_own_labels,
    measure::{CellAggregate, Group},
    terms::Condition,
};

/// Most columns of groups.
pub const MAX_GROUPS: usize = 6;
/// Most aggregates of a cell, unless all cells together have fewer figures than there may be cells.
pub const MAX_AGGREGATES: usize = 64;
/// Longest encoding of a statistic, in bytes: sets of codes are the only long part.
pub const MAX_ENCODED: usize = 1 << 20;

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measured {
    /// The rows of a dataset that lead to a subject.
    Rows(DatasetName),
    /// All subjects of the collection.
    Subjects,
}

/// One grouping. INVARIANT ([`Statistic::new`]): it has an aggregate, the numbers of groups, cells and aggregates are bounded, the classes of
/// a group have labels of their own, and two texts with the same groups, conditions and aggregates in another order are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statistic {
    measured: Measured,
    rows: Condition,
    groups: Vec<Group>,
    cells: Vec<CellAggregate>,
}

/// A grouping as it is encoded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStatistic {
    measured: Measured,
    rows: Condition,
    groups: Vec<Group>,
    cells: Vec<CellAggregate>,
}

/// How deep the encoding of a statistic may be: an operator within another one takes up to four levels, and a query has at most 64.
const MAX_ENCODED_DEPTH: usize = 256;

/// Bytes that are not a statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine process did not return a statistic")]
pub(crate) struct InvalidStatistic;

impl Statistic {
    /// The encoding.
    #[must_use]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        cbor(self)
    }

    /// What another process sent: a statistic with at most `max_cells` cells, in its one encoding.
    ///
    /// Decoding walks it recursively, so it needs a thread with a large stack, as in an engine process.
    pub(crate) fn from_untrusted(
        bytes: &[u8],
        known: &KnownCollection,
        max_cells: usize,
    ) -> Result<Self, InvalidStatistic> {
        if bytes.len() > MAX_ENCODED {
            return Err(InvalidStatistic);
        }
        let raw: Result<RawStatistic, _> = ciborium::de::from_reader_with_recursion_limit(bytes, MAX_ENCODED_DEPTH);
        let raw = raw.map_err(|_| InvalidStatistic)?;
        let statistic = Self::new(raw.measured, raw.rows, raw.groups, raw.cells, known, max_cells);
        let statistic = statistic.map_err(|_| InvalidStatistic)?;
        if statistic.to_bytes() == bytes {
            Ok(statistic)
        } else {
            Err(InvalidStatistic)
        }
    }

    /// The grouping with these parts, with at most `max_cells` cells.
    ///
    /// # Errors
    /// [`NotCountable::TooMany`], [`NotCountable::SameLabel`], and [`Form::NoAggregate`].
    pub fn new(
        measured: Measured,
        rows: Condition,
        mut groups: Vec<Group>,
        mut cells: Vec<CellAggregate>,
        known: &KnownCollection,
        max_cells: usize,
    ) -> Result<Self, NotCountable> {
        if cells.is_empty() {
            return Err(NotCountable::Form(Form::NoAggregate));
        }
        groups.sort_by_cached_key(cbor);
        groups.dedup();
        cells.sort_by_cached_key(cbor);
        cells.dedup();
        let statistic = Self {
            measured,
            rows,
            groups,
            cells,
        };
        at_most(statistic.groups.len(), MAX_GROUPS, "columns in `GROUP BY`")?;
        let grid = statistic.grid(known);
        at_most(statistic.cells.len(), most_aggregates(grid, max_cells), "aggregates")?;
        at_most(grid, max_cells, "groups")?;
        for group in &statistic.groups {
            require_own_labels(group, known)?;
        }
        at_most(cbor(&statistic).len(), MAX_ENCODED, "bytes after it is lowered")?;
        Ok(statistic)
    }

    /// What is counted.
    pub const fn measured(&self) -> &Measured {
        &self.measured
    }

    /// Which rows.
    pub const fn rows(&self) -> &Condition {
        &self.rows
    }

    /// The columns of the grid.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// What is computed of each cell.
    pub fn cells(&self) -> &[CellAggregate] {
        &self.cells
    }

    /// The number of cells of the grid, missing values among them.
    pub fn grid(&self, known: &KnownCollection) -> usize {
        self.sizes(known).fold(1, usize::saturating_mul)
    }

    /// The number of classes of each group, in the order of the groups: the last class is that of missing values and of all others.
    pub fn sizes(&self, known: &KnownCollection) -> impl Iterator<Item = usize> {
        self.groups.iter().map(|group| size(group, known))
    }

    /// What identifies the query: equal for two texts that mean the same under the same rules.
    #[must_use]
    pub fn digest(&self, known: &KnownCollection) -> Digest32 {
        // An atom is a position among edges, so the levels are part of what it means.
        Digest32::sha256(DIGEST_LABEL, &cbor(&(self, known.rules())))
    }
}

/// Label of the digest of a statistic.
const DIGEST_LABEL: &str = "concordat/statistic/1";

fn size(group: &Group, known: &KnownCollection) -> usize {
    let listed = match group {
        Group::Levels { of, level, .. } => atoms(&known.levels(of), level.as_ref()),
        Group::Buckets { buckets, .. } => buckets.len(),
        Group::Codes { codes, .. } => codes.len(),
        Group::Cases { cases, .. } => cases.len(),
    };
    listed.saturating_add(1)
}

fn atoms(levels: &Levels, level: Option<&concordat_protocol::ids::LevelName>) -> usize {
    let coarser = level.and_then(|name| levels.level(name));
    let atoms = coarser.as_ref().unwrap_or(levels).atoms();
    atoms.map_or(usize::MAX, usize::from)
}

/// Most aggregates of each of so many cells. As many figures as there may be cells are no more than a query with one aggregate has.
fn most_aggregates(grid: usize, max_cells: usize) -> usize {
    max_cells.checked_div(grid).unwrap_or(0).max(MAX_AGGREGATES)
}

/// Refuses more than `most`.
pub(super) const fn at_most(count: usize, most: usize, what: &'static str) -> Result<(), NotCountable> {
    if count > most {
        Err(NotCountable::TooMany { what, most })
    } else {
        Ok(())
    }
}
