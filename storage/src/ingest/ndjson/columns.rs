//! The columns of an NDJSON file: the names that occur in its objects.

use std::collections::{BTreeSet, HashMap};

use super::object::{Member, Value};
use crate::ingest::{
    error::IngestError,
    limits::{MAX_COLUMNS, MAX_FIELD_BYTES, MAX_RECORD_BYTES},
    rejects::Reason,
};

/// The columns, by their names.
#[derive(Debug, Default)]
pub(super) struct Columns {
    names: Vec<String>,
    indices: HashMap<String, usize>,
    /// The number of the last line that has each.
    seen: Vec<u64>,
    /// Bytes of all names.
    length: usize,
}

impl Columns {
    /// The columns with these names.
    pub(super) fn new(names: &[String]) -> Self {
        let mut columns = Self::default();
        names.iter().for_each(|name| columns.push(name));
        columns
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of a column, counted from 0.
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.indices.get(name).copied()
    }

    /// Adds the column with this name if there is none, and returns its number.
    ///
    /// # Errors
    /// If there are too many, or their names are too long together.
    pub(super) fn add(&mut self, name: &str) -> Result<usize, IngestError> {
        if let Some(index) = self.index(name) {
            return Ok(index);
        }
        self.push(name);
        if self.names.len() > MAX_COLUMNS {
            return Err(IngestError::TooManyColumns {
                found: self.names.len(),
            });
        }
        if self.length > MAX_RECORD_BYTES {
            return Err(IngestError::NamesTooLong);
        }
        Ok(self.names.len() - 1)
    }

    fn push(&mut self, name: &str) {
        self.indices.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.seen.push(0);
        self.length += name.len();
    }

    /// Checks the members of the object on line number `line`; whether their columns are known does not matter.
    ///
    /// # Errors
    /// Why the line is refused.
    pub(super) fn check(&mut self, members: &[Member<'_>], line: u64) -> Result<(), Reason> {
        let mut unknown = BTreeSet::new();
        let mut has_zero = false;
        for (at, Member { name, value }) in members.iter().enumerate() {
            let index = self.index(name);
            let field = index.unwrap_or(at) + 1;
            let is_repeated = match index.and_then(|index| self.seen.get_mut(index)) {
                Some(seen) => std::mem::replace(seen, line) == line,
                None => !unknown.insert(name.as_ref()),
            };
            if is_repeated {
                return Err(Reason::RepeatedName { field });
            }
            let length = match value {
                Value::Null | Value::Nested(_) => 0,
                Value::Plain { length } => *length,
                Value::Text(text) => {
                    has_zero |= text.has_zero;
                    text.length
                }
            };
            if length > MAX_FIELD_BYTES {
                return Err(Reason::FieldTooLong { field });
            }
        }
        if has_zero { Err(Reason::ZeroByte) } else { Ok(()) }
    }
}
