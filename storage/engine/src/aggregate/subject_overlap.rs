//! Whether the groups of a query share subjects.

use std::collections::{HashMap, hash_map::RandomState};

use arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::common::hash_utils::create_hashes_with_hasher;

use crate::QueryError;

/// Bytes of memory for each subject: a hash table that has just grown is less than half full, and the old one still
/// exists while it grows.
const SUBJECT_BYTES: usize = 64;

/// The group of each subject so far. Both are stored as keyed hashes: the requester chooses the groups, but does not
/// know the key.
pub(crate) struct SubjectOverlap {
    group_of: HashMap<u64, u64>,
    most: usize,
    key: RandomState,
}

impl SubjectOverlap {
    /// Stores as many subjects as fit in `memory` bytes.
    pub(crate) fn new(memory: usize) -> Self {
        Self {
            group_of: HashMap::new(),
            most: memory / SUBJECT_BYTES,
            key: RandomState::new(),
        }
    }

    /// Adds rows: the subject, then the columns of the grouping. Returns whether it is certain that no subject so far
    /// is in two groups; it is not certain if there are more subjects than fit in memory.
    pub(crate) fn add_disjoint(&mut self, rows: &RecordBatch) -> Result<bool, QueryError> {
        let (subject, groups) = rows
            .columns()
            .split_first()
            .ok_or(QueryError::Engine { step: "counting" })?;
        let subjects = self.hashes(std::slice::from_ref(subject), rows.num_rows())?;
        let groups = self.hashes(groups, rows.num_rows())?;
        let known = subjects.into_iter().zip(groups).enumerate();
        let mut known = known.filter(|(row, _)| subject.is_valid(*row));
        Ok(known.all(|(_, (subject, group))| {
            *self.group_of.entry(subject).or_insert(group) == group && self.group_of.len() <= self.most
        }))
    }

    fn hashes(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u64>, QueryError> {
        let mut hashes = vec![0; rows];
        create_hashes_with_hasher(columns, &self.key, &mut hashes)
            .map_err(|_| QueryError::Engine { step: "counting" })?;
        Ok(hashes)
    }
}
