//! Reads a TOML table key by key and collects all mistakes.

use std::{fmt::Display, str::FromStr};

use toml::{Table, Value};

use super::error::Mistake;

/// A file that is being read: the keys not read yet, and the mistakes so far.
pub(super) struct Reader {
    left: Table,
    mistakes: Vec<Mistake>,
}

impl Reader {
    pub(super) fn new(table: Table) -> Self {
        Self {
            left: table,
            mistakes: Vec::new(),
        }
    }

    /// Reads one section; a missing one is read as an empty one.
    pub(super) fn section<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let left = match self.left.remove(name) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.mistakes.push(Mistake {
                    key: name.to_owned(),
                    what: "must be a section".to_owned(),
                });
                Table::new()
            }
        };
        let mut section = Section {
            name,
            left,
            mistakes: &mut self.mistakes,
        };
        let read = read(&mut section);
        section.finish();
        read
    }

    /// All mistakes, including unknown sections.
    pub(super) fn finish(mut self) -> Vec<Mistake> {
        let unknown = self.left.into_iter().map(|(key, _)| Mistake {
            key,
            what: "is not known".to_owned(),
        });
        self.mistakes.extend(unknown);
        self.mistakes
    }
}

/// One section that is being read.
pub(super) struct Section<'a> {
    name: &'static str,
    left: Table,
    mistakes: &'a mut Vec<Mistake>,
}

impl Section<'_> {
    /// The text at `key`, parsed; a mistake if it is missing or wrong.
    pub(super) fn required<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T> {
        if self.left.contains_key(key) {
            self.optional(key)
        } else {
            self.mistake(key, "is missing")
        }
    }

    /// The text at `key`, parsed; a mistake if it is wrong.
    pub(super) fn optional<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T> {
        let value = self.left.remove(key)?;
        self.text(key, &value)
    }

    /// The list of texts at `key`, each parsed; a mistake for each that is wrong.
    pub(super) fn list<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<Vec<T>> {
        let Value::Array(values) = self.left.remove(key)? else {
            return self.mistake(key, "must be a list");
        };
        let element = |index| format!("{key}[{index}]");
        let parsed = values
            .iter()
            .enumerate()
            .map(|(index, value)| self.text(&element(index), value));
        // Collected before the `None`s are dropped, so that every mistake is seen.
        let parsed: Vec<Option<T>> = parsed.collect();
        Some(parsed.into_iter().flatten().collect())
    }

    /// The whole number above zero at `key`.
    pub(super) fn count(&mut self, key: &str) -> Option<usize> {
        match self.left.remove(key)?.as_integer() {
            Some(number) if number > 0 => usize::try_from(number).ok(),
            Some(_) | None => self.mistake(key, "must be a whole number above zero"),
        }
    }

    /// The whole number at `key`, zero included.
    pub(super) fn number(&mut self, key: &str) -> Option<usize> {
        match self.left.remove(key)?.as_integer() {
            Some(number) if number >= 0 => usize::try_from(number).ok(),
            Some(_) | None => self.mistake(key, "must be a whole number"),
        }
    }

    /// Whether `key` is set.
    pub(super) fn has(&self, key: &str) -> bool {
        self.left.contains_key(key)
    }

    /// Removes `key` without reading it, and returns whether it was set.
    pub(super) fn remove_if_present(&mut self, key: &str) -> bool {
        self.left.remove(key).is_some()
    }

    /// Records a mistake at `key`.
    pub(super) fn mistake<T>(&mut self, key: &str, what: impl Into<String>) -> Option<T> {
        self.mistakes.push(Mistake {
            key: format!("{}.{key}", self.name),
            what: what.into(),
        });
        None
    }

    fn text<T: FromStr<Err: Display>>(&mut self, key: &str, value: &Value) -> Option<T> {
        let Value::String(text) = value else {
            return self.mistake(key, "must be text");
        };
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => self.mistake(key, format!("is `{text}`: {error}")),
        }
    }

    fn finish(mut self) {
        for (key, _) in std::mem::take(&mut self.left) {
            self.mistake::<()>(&key, "is not known");
        }
    }
}
