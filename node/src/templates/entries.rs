//! Reads a parsed file key by key: what is read is removed, and what is left in the end is not known.

use std::fmt::Display;
use std::str::FromStr;

use chrono::NaiveDate;
use concordat_protocol::scope::{Finite, Value};
use concordat_protocol::text::TerminalLine;
use toml::de::{DeTable, DeValue};

use super::error::MistakeProblem as Problem;
use super::mistakes::Mistakes;

/// Most characters of a key that are shown.
const MAX_KEY: usize = 64;

/// A value of the file, with its key.
pub(super) struct Node<'d> {
    /// Its key, and those above it.
    path: String,
    key: &'d str,
    /// The byte of the file at which it begins.
    at: usize,
    value: &'d DeValue<'d>,
}

/// The entries of a table that were not read yet, in the order of the file.
pub(super) struct Fields<'d> {
    path: String,
    at: usize,
    left: Vec<Node<'d>>,
}

impl<'d> Fields<'d> {
    /// The whole file.
    pub(super) fn of_file(table: &'d DeTable<'d>) -> Self {
        Self::new(String::new(), 0, table)
    }

    fn new(path: String, at: usize, table: &'d DeTable<'d>) -> Self {
        let entries = table.iter().map(|(key, value)| Node {
            path: below(&path, key.get_ref()),
            key: key.get_ref(),
            at: key.span().start,
            value: value.get_ref(),
        });
        let mut left: Vec<Node<'d>> = entries.collect();
        left.sort_by_key(|node| node.at);
        Self { path, at, left }
    }

    /// The entry of this key; `None` if there is none.
    pub(super) fn take(&mut self, key: &str) -> Option<Node<'d>> {
        let at = self.left.iter().position(|node| node.key == key)?;
        Some(self.left.remove(at))
    }

    /// The entry of this key, which must exist.
    pub(super) fn required(&mut self, key: &str, mistakes: &mut Mistakes) -> Option<Node<'d>> {
        let found = self.take(key);
        if found.is_none() {
            mistakes.add(self.at, &below(&self.path, key), Problem::Missing);
        }
        found
    }

    /// Whether there is an entry of this key that was not read.
    pub(super) fn has(&self, key: &str) -> bool {
        self.left.iter().any(|node| node.key == key)
    }

    /// Records a mistake that is about the whole table.
    pub(super) fn mistake<T>(&self, problem: Problem, mistakes: &mut Mistakes) -> Option<T> {
        mistakes.add(self.at, &self.path, problem);
        None
    }

    /// All entries, of which there may be at most `most`.
    pub(super) fn into_nodes(mut self, most: usize, mistakes: &mut Mistakes) -> Vec<Node<'d>> {
        if self.left.len() > most {
            mistakes.add(self.at, &self.path, Problem::TooMany { most });
            self.left.clear();
        }
        self.left
    }

    /// Records what was not read.
    pub(super) fn finish(self, possible: &'static str, mistakes: &mut Mistakes) {
        for node in self.left {
            mistakes.add(node.at, &node.path, Problem::Unknown { possible });
        }
    }
}

impl<'d> Node<'d> {
    /// Its key, without those above it.
    pub(super) const fn key(&self) -> &'d str {
        self.key
    }

    /// The line on which it begins.
    pub(super) fn line(&self, mistakes: &Mistakes) -> usize {
        mistakes.line(self.at)
    }

    pub(super) const fn is_list(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    pub(super) const fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    pub(super) const fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    /// Records a mistake.
    pub(super) fn mistake<T>(&self, problem: Problem, mistakes: &mut Mistakes) -> Option<T> {
        mistakes.add(self.at, &self.path, problem);
        None
    }

    /// What was read, or a mistake that states what the value must be.
    fn of_type<T>(&self, found: Option<T>, expected: &'static str, mistakes: &mut Mistakes) -> Option<T> {
        found.or_else(|| self.mistake(Problem::Type { expected }, mistakes))
    }

    pub(super) fn text(&self, mistakes: &mut Mistakes) -> Option<&'d str> {
        self.of_type(self.value.as_str(), "a text", mistakes)
    }

    /// A text that a type accepts.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, mistakes: &mut Mistakes) -> Option<T> {
        let text = self.text(mistakes)?;
        self.valid(text.parse(), mistakes)
    }

    /// The key as a type that accepts it.
    pub(super) fn parsed_key<T: FromStr<Err: Display>>(&self, mistakes: &mut Mistakes) -> Option<T> {
        self.valid(self.key.parse(), mistakes)
    }

    /// What a check returned.
    pub(super) fn valid<T, E: Display>(&self, checked: Result<T, E>, mistakes: &mut Mistakes) -> Option<T> {
        match checked {
            Ok(valid) => Some(valid),
            Err(error) => {
                let text = TerminalLine::new(&error.to_string()).to_string();
                self.mistake(Problem::Invalid(text), mistakes)
            }
        }
    }

    pub(super) fn truth(&self, mistakes: &mut Mistakes) -> Option<bool> {
        self.of_type(self.value.as_bool(), "`true` or `false`", mistakes)
    }

    /// A whole number of this type.
    pub(super) fn whole<T: TryFrom<i64>>(&self, mistakes: &mut Mistakes) -> Option<T> {
        let found = self.as_whole().and_then(|number| T::try_from(number).ok());
        self.of_type(found, "a whole number, not too large", mistakes)
    }

    /// A finite number.
    pub(super) fn number(&self, mistakes: &mut Mistakes) -> Option<f64> {
        self.of_type(self.as_number().map(Finite::get), "a finite number", mistakes)
    }

    /// A whole number if it is written as one, otherwise any finite number.
    pub(super) fn as_numeric_value(&self) -> Option<Value> {
        let whole = self.as_whole().map(Value::Int);
        whole.or_else(|| self.as_number().map(Value::Float))
    }

    /// A number or a day.
    pub(super) fn ordered_value(&self, mistakes: &mut Mistakes) -> Option<Value> {
        let found = self.as_numeric_value().or_else(|| self.as_day());
        self.of_type(found, "a finite number or a day, not in quotation marks", mistakes)
    }

    /// A text or a whole number, as it is written.
    pub(super) fn listed_text(&self, mistakes: &mut Mistakes) -> Option<String> {
        let text = self.value.as_str().map(str::to_owned);
        let found = text.or_else(|| self.as_whole().map(|number| number.to_string()));
        self.of_type(found, "a text or a whole number", mistakes)
    }

    /// The elements of a list, of which there may be at most `most`.
    pub(super) fn list(&self, most: usize, mistakes: &mut Mistakes) -> Option<Vec<Self>> {
        let found = self.of_type(self.value.as_array(), "a list", mistakes)?;
        if found.len() > most {
            return self.mistake(Problem::TooMany { most }, mistakes);
        }
        let elements = found.iter().zip(0..).map(|(value, index)| Self {
            path: format!("{}[{index}]", self.path),
            key: "",
            at: value.span().start,
            value: value.get_ref(),
        });
        Some(elements.collect())
    }

    /// The entries of a table.
    pub(super) fn table(&self, mistakes: &mut Mistakes) -> Option<Fields<'d>> {
        let found = self.of_type(self.value.as_table(), "a table", mistakes)?;
        Some(Fields::new(self.path.clone(), self.at, found))
    }

    fn as_whole(&self) -> Option<i64> {
        let number = self.value.as_integer()?;
        i64::from_str_radix(number.as_str(), number.radix()).ok()
    }

    fn as_number(&self) -> Option<Finite> {
        let whole = self.value.as_integer().filter(|number| number.radix() == 10);
        let text = whole
            .map(|number| number.as_str())
            .or_else(|| self.value.as_float().map(|number| number.as_str()));
        Finite::new(text?.parse().ok()?).ok()
    }

    fn as_day(&self) -> Option<Value> {
        let moment = self.value.as_datetime().filter(|moment| moment.time.is_none())?;
        let date = moment.date.as_ref()?;
        let day = NaiveDate::from_ymd_opt(i32::from(date.year), u32::from(date.month), u32::from(date.day))?;
        Some(Value::Date(day.to_epoch_days()))
    }
}

/// A key below others.
fn below(path: &str, key: &str) -> String {
    let key: String = key.chars().take(MAX_KEY).collect();
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
