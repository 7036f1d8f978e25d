//! What texts of queries were read before.
//!
//! A dashboard or a script sends one text again and again. What the node has to know of it follows from the text alone, so no process reads
//! it again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::statement::QueryTables;

/// Most texts that are known; the one that was used least recently is dropped.
const MAX_TEXTS: usize = 64;
/// Longest text that is kept, in bytes.
const MAX_TEXT: usize = 4096;

/// The known texts, most recently used last.
#[derive(Debug, Default)]
pub(super) struct KnownTexts(Mutex<VecDeque<(String, QueryTables)>>);

impl KnownTexts {
    /// What was read of `sql`, if it is known.
    pub(super) fn find(&self, sql: &str) -> Option<QueryTables> {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = texts.iter().position(|(text, _)| text == sql)?;
        let found = texts.remove(at)?;
        let tables = found.1.clone();
        texts.push_back(found);
        Some(tables)
    }

    /// Keeps what was read of `sql`.
    pub(super) fn keep(&self, sql: &str, tables: &QueryTables) {
        if sql.len() > MAX_TEXT {
            return;
        }
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        texts.retain(|(text, _)| text != sql);
        if texts.len() >= MAX_TEXTS {
            texts.pop_front();
        }
        texts.push_back((sql.to_owned(), tables.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::federation::statement::ParsedQuery;

    #[test]
    fn known_texts_are_bounded_and_of_the_same_text_only() {
        let known = KnownTexts::default();
        let sql = |number: usize| format!("SELECT age FROM basel.heart LIMIT {number}");
        let tables = ParsedQuery::parse(&sql(0)).unwrap().query_tables();
        for number in 0..MAX_TEXTS {
            known.keep(&sql(number), &tables);
        }
        assert_eq!(known.find(&sql(0)), Some(tables.clone()));
        assert_eq!(known.find(&sql(0).to_lowercase()), None);
        known.keep(&sql(MAX_TEXTS), &tables);
        assert!(known.find(&sql(0)).is_some() && known.find(&sql(1)).is_none());
        let long = "x".repeat(MAX_TEXT + 1);
        known.keep(&long, &tables);
        assert_eq!(known.find(&long), None);
    }
}
