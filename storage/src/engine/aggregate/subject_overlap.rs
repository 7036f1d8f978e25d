//! Whether the groups of a query share subjects.

use std::collections::{HashMap, hash_map::RandomState};

use arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::common::hash_utils::create_hashes_with_hasher;

use crate::engine::QueryError;

/// Bytes of memory for each subject: a table that has just grown is less than half full, and the old one is still there while it grows.
const SUBJECT_BYTES: usize = 64;

/// The group of each subject seen so far. Both are known by keyed hashes: who asks chooses the groups, but not the key.
pub(in crate::engine) struct SubjectOverlap {
    homes: HashMap<u64, u64>,
    most: usize,
    key: RandomState,
}

impl SubjectOverlap {
    /// Remembers as many subjects as fit in `memory` bytes.
    pub(in crate::engine) fn new(memory: usize) -> Self {
        Self {
            homes: HashMap::new(),
            most: memory / SUBJECT_BYTES,
            key: RandomState::new(),
        }
    }

    /// Takes in rows: the subject, then what they are grouped by. Tells whether, as far as is known, no subject is in two groups; it
    /// is not known of more subjects than there is memory for.
    pub(in crate::engine) fn holds(&mut self, rows: &RecordBatch) -> Result<bool, QueryError> {
        let (subject, groups) = rows
            .columns()
            .split_first()
            .ok_or(QueryError::Engine { step: "counting" })?;
        let subjects = self.hashes(std::slice::from_ref(subject), rows.num_rows())?;
        let groups = self.hashes(groups, rows.num_rows())?;
        let known = subjects.into_iter().zip(groups).enumerate();
        let mut known = known.filter(|(row, _)| subject.is_valid(*row));
        Ok(known.all(|(_, (subject, group))| {
            *self.homes.entry(subject).or_insert(group) == group && self.homes.len() <= self.most
        }))
    }

    fn hashes(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u64>, QueryError> {
        let mut hashes = vec![0; rows];
        create_hashes_with_hasher(columns, &self.key, &mut hashes)
            .map_err(|_| QueryError::Engine { step: "counting" })?;
        Ok(hashes)
    }
}
