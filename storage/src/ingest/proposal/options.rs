//! A proposal, as the command line and a note have it.

use super::ways::Statement;
use crate::ingest::format::Numbering;

/// The line or row of the first value of each kind that makes a column text whatever its notation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FirstLines {
    /// A possible marker.
    pub(super) marker: Option<u64>,
    /// A limit.
    pub(super) limit: Option<u64>,
    /// A day that does not exist.
    pub(super) impossible: Option<u64>,
}

/// Options that make a column typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Options for the notation; empty if the notation is right.
    pub(super) ways: Vec<Statement>,
    /// Whether they are to be stated for this column alone: for others they would change what is right.
    pub(super) is_for_column: bool,
    /// Whether all of them are needed; otherwise each fits all values, and one is to be chosen.
    pub(super) are_all_needed: bool,
    /// Words that would have to count as missing.
    pub markers: Vec<&'static str>,
    /// Fields such as `<0.1`, which no option makes a number.
    pub limits: u64,
    /// Values that are written like dates, of days that do not exist.
    pub impossible: u64,
    /// Where the first of these values are.
    pub(super) first: FirstLines,
    /// The first and the last of the years that years of two digits would stand for.
    pub(super) short_years: Option<(i32, i32)>,
}

impl Proposal {
    /// The options, as the command line has them for a column of this name. One of them is to be chosen.
    #[must_use]
    pub fn options(&self, column: &str) -> Vec<String> {
        let column = self.is_for_column.then_some(column);
        let options = self.ways.iter().map(|way| way.option(column));
        match self.are_all_needed {
            true => vec![options.collect::<Vec<_>>().join(" ")],
            false => options.collect(),
        }
    }

    /// Whether it states a comma before decimals, which no column with a point could have.
    pub(in crate::ingest) fn states_comma(&self) -> bool {
        self.ways.iter().any(Statement::states_comma)
    }

    /// The forms of dates that it states.
    pub(in crate::ingest) fn patterns(&self) -> impl Iterator<Item = &str> {
        self.ways.iter().filter_map(Statement::pattern)
    }

    /// The same for its column alone.
    pub(in crate::ingest) fn for_column(self) -> Self {
        Self {
            is_for_column: true,
            ..self
        }
    }

    /// What to do, for a column of this name in a file whose rows have such numbers.
    pub(in crate::ingest) fn sentence(&self, column: &str, numbering: Numbering) -> String {
        let mut sentence = String::new();
        let options = self.statements(column, numbering);
        if !options.is_empty() {
            sentence.push_str(&format!("to have it typed, state {options}"));
        }
        let mut add = |part: String| {
            if !sentence.is_empty() {
                sentence.push_str("; ");
            }
            sentence.push_str(&part);
        };
        if let Some((first, last)) = self.short_years {
            add(format!(
                "its years of two digits are then those from {first} to {last}, or the hundred that end with the one that `--last-year` states"
            ));
        }
        if self.impossible > 0 {
            add(format!(
                "{} of its values are days that do not exist and keep it text{}: correct them, or state them as missing (with `--type \
                 {column}=date`, an import names their lines)",
                self.impossible,
                first(numbering, self.first.impossible)
            ));
        }
        if self.limits > 0 {
            add(format!(
                "{} of its values are limits such as `<0.1` and keep it text{}: give them a column of their own",
                self.limits,
                first(numbering, self.first.limit)
            ));
        }
        sentence
    }

    fn statements(&self, column: &str, numbering: Numbering) -> String {
        let ways: Vec<String> = self
            .options(column)
            .iter()
            .map(|option| format!("`{option}`"))
            .collect();
        let mut options = match ways.as_slice() {
            [] | [_] => ways.concat(),
            _ => format!("{}, whichever is meant", ways.join(" or ")),
        };
        if !self.markers.is_empty() {
            let stated = self.markers.iter().map(|marker| format!("`--missing '{marker}'`"));
            if !options.is_empty() {
                options.push_str(", and ");
            }
            options.push_str(&stated.collect::<Vec<_>>().join(" "));
            options.push_str(" if that means that a value is missing");
            options.push_str(&first(numbering, self.first.marker));
        }
        options
    }
}

/// Where the first of several values is.
fn first(numbering: Numbering, line: Option<u64>) -> String {
    line.map_or_else(String::new, |line| format!(" (first on {numbering} {line})"))
}
