//! What a steward can state so that a column of text becomes a column of numbers, times or truth values.
//!
//! While a column is read, the ways of writing that fit all its values are kept in a set, which is empty after a few values of ordinary
//! text. Words that often mean "missing" do not count against a way of writing; they become part of the proposal.

use std::{fmt::Write as _, sync::LazyLock};

use super::{
    notation::{DecimalSign, Notation, ThousandsSign},
    values::{Kinds, Reading},
};

/// Words that often stand for a missing value and that are not understood as such unless they are stated.
const POSSIBLE_MARKERS: [&str; 22] = [
    "\\N", "nan", "None", "none", "NONE", "n/a", "N.A.", "n.a.", "na", "Na", "-", "--", "---", "<NA>", "#N/A", "NaT",
    "nil", "NIL", "missing", "Missing", "MISSING", "k.A.",
];

/// The longest of them.
const LONGEST_MARKER: usize = 7;

/// A way of writing that is tried for columns of text.
struct Way {
    option: String,
    notation: Notation,
}

static WAYS: LazyLock<Vec<Way>> = LazyLock::new(ways);

/// How many ways come first that are about numbers.
const NUMBERS: u32 = 6;

fn ways() -> Vec<Way> {
    let number = |option: &str, decimal, thousands| Way {
        option: option.to_owned(),
        notation: Notation {
            decimal,
            thousands,
            ..Notation::default()
        },
    };
    let mut ways = vec![
        number("--decimal comma", DecimalSign::Comma, None),
        number("--thousands comma", DecimalSign::Point, Some(ThousandsSign::Comma)),
        number("--thousands space", DecimalSign::Point, Some(ThousandsSign::Space)),
        number(
            "--thousands apostrophe",
            DecimalSign::Point,
            Some(ThousandsSign::Apostrophe),
        ),
        number(
            "--decimal comma --thousands point",
            DecimalSign::Comma,
            Some(ThousandsSign::Point),
        ),
        number(
            "--decimal comma --thousands space",
            DecimalSign::Comma,
            Some(ThousandsSign::Space),
        ),
    ];
    for date in [
        "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d %b %Y",
    ] {
        for time in ["", " %H:%M", " %H:%M:%S"] {
            let pattern = format!("{date}{time}");
            let dates = pattern.parse().into_iter().collect();
            ways.push(Way {
                option: format!("--date-format '{pattern}'"),
                notation: Notation {
                    dates,
                    ..Notation::default()
                },
            });
        }
    }
    for words in ["yes,no", "y,n", "ja,nein", "oui,non", "t,f"] {
        ways.push(Way {
            option: format!("--boolean {words}"),
            notation: Notation {
                booleans: words.parse().into_iter().collect(),
                ..Notation::default()
            },
        });
    }
    ways
}

/// What was seen of one column.
#[derive(Clone, Debug)]
pub(super) struct Alternatives {
    /// The ways that fit all values so far, as bits.
    ways: u64,
    /// The kinds of all values but possible markers and limits, in the notation that is stated.
    kinds: Kinds,
    values: u64,
    /// The possible markers that occurred, as bits.
    markers: u32,
    limits: u64,
}

impl Alternatives {
    pub(super) fn new() -> Self {
        Self {
            ways: u64::MAX,
            kinds: Kinds::ALL,
            values: 0,
            markers: 0,
            limits: 0,
        }
    }

    /// Adds a value and how it was read.
    pub(super) fn observe(&mut self, value: &str, reading: Reading) {
        if reading.kinds.is_none() {
            if let Some(marker) = possible_marker(value) {
                self.markers |= 1 << marker;
                return;
            }
            if is_limit(value) {
                self.limits += 1;
                return;
            }
        }
        self.values += 1;
        self.kinds = self.kinds.and(reading.kinds);
        if self.ways == 0 {
            return;
        }
        let numbers = (1 << NUMBERS) - 1;
        if reading.decimals == Some(0) {
            // A whole number is one in every way of writing.
            self.ways &= numbers;
        } else if reading.kinds.is_none() {
            self.keep_fitting(value);
        } else if reading.decimals.is_some() {
            self.keep_fitting(value);
            self.ways &= numbers;
        } else {
            self.ways = 0;
        }
    }

    fn keep_fitting(&mut self, value: &str) {
        for (bit, way) in WAYS.iter().enumerate() {
            let mask = 1_u64 << bit;
            if self.ways & mask != 0 && way.notation.classify(value).kinds.is_none() {
                self.ways &= !mask;
            }
        }
        let known = WAYS.len();
        self.ways &= (1_u64 << known) - 1;
    }

    /// What to state so that the column, which is text, is typed; `None` if nothing would help.
    pub(super) fn proposal(&self) -> Option<Proposal> {
        if self.values == 0 {
            return None;
        }
        let markers: Vec<&'static str> = POSSIBLE_MARKERS
            .iter()
            .enumerate()
            .filter(|(bit, _)| self.markers & (1 << bit) != 0)
            .map(|(_, marker)| *marker)
            .collect();
        let as_stated = !self.kinds.is_none();
        if as_stated && markers.is_empty() && self.limits == 0 {
            return None;
        }
        let ways: Vec<&'static str> = match as_stated {
            true => Vec::new(),
            false => WAYS
                .iter()
                .enumerate()
                .filter(|(bit, _)| self.ways & (1 << bit) != 0)
                .map(|(_, way)| way.option.as_str())
                .collect(),
        };
        // Of two ways of which one states more, the one that states less fits too.
        let ways: Vec<&'static str> = ways
            .iter()
            .filter(|way| !ways.iter().any(|other| way.starts_with(&format!("{other} --"))))
            .copied()
            .collect();
        (as_stated || !ways.is_empty()).then_some(Proposal {
            ways,
            markers,
            limits: self.limits,
        })
    }
}

fn possible_marker(value: &str) -> Option<usize> {
    (value.len() <= LONGEST_MARKER)
        .then(|| POSSIBLE_MARKERS.iter().position(|marker| *marker == value))
        .flatten()
}

/// A measured value outside of what can be measured, such as `<0.1`.
fn is_limit(value: &str) -> bool {
    let number = value
        .strip_prefix("<=")
        .or_else(|| value.strip_prefix(">="))
        .or_else(|| value.strip_prefix(['<', '>', '≤', '≥']));
    number.is_some_and(|number| {
        let number = number.trim_start().replace(',', ".");
        !super::values::number(&number).kinds.is_none()
    })
}

/// Options that make a column typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Options for the notation, each of which fits all values; empty if the notation is right.
    pub ways: Vec<&'static str>,
    /// Words that would have to count as missing.
    pub markers: Vec<&'static str>,
    /// Fields such as `<0.1`, which no option makes a number.
    pub limits: u64,
}

impl std::fmt::Display for Proposal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut options = String::new();
        match self.ways.as_slice() {
            [] => {}
            [one] => write!(options, "`{one}`")?,
            several => {
                let several: Vec<String> = several.iter().map(|way| format!("`{way}`")).collect();
                write!(options, "{}, whichever is meant", several.join(" or "))?;
            }
        }
        if !self.markers.is_empty() {
            let stated: Vec<String> = self
                .markers
                .iter()
                .map(|marker| format!("`--missing '{marker}'`"))
                .collect();
            let joined = stated.join(" ");
            if !options.is_empty() {
                options.push_str(", and ");
            }
            write!(options, "{joined} if that means that a value is missing")?;
        }
        match (self.limits, options.is_empty()) {
            (0, _) => write!(f, "state {options}"),
            (limits, true) => write!(
                f,
                "{limits} of its fields are limits such as `<0.1`; give them a column of their own"
            ),
            (limits, false) => write!(
                f,
                "state {options}; {limits} of its fields are limits such as `<0.1`, which have to get a column of their own"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::values::classify;

    fn proposed(values: &[&str]) -> Option<String> {
        let mut seen = Alternatives::new();
        for value in values {
            seen.observe(value, classify(value));
        }
        seen.proposal().map(|proposal| proposal.to_string())
    }

    #[test]
    fn every_way_of_writing_is_proposed_for_the_values_that_it_fits() {
        for (values, option) in [
            (&["0,91", "1,2", "3"][..], "state `--decimal comma`"),
            (&["1.234,5", "0,5"], "state `--decimal comma --thousands point`"),
            (&["1'000", "12"], "state `--thousands apostrophe`"),
            (&["17.08.1984", "31.12.1999"], "state `--date-format '%d.%m.%Y'`"),
            (&["3/29/1982", "1/2/1990"], "state `--date-format '%m/%d/%Y'`"),
            (&["17-08-1984 10:30"], "state `--date-format '%d-%m-%Y %H:%M'`"),
            (&["yes", "No", "YES"], "state `--boolean yes,no`"),
            (
                &["\\N", "5", "7"],
                "state `--missing '\\N'` if that means that a value is missing",
            ),
            (
                &["nan", "0,5"],
                "state `--decimal comma`, and `--missing 'nan'` if that means that a value is missing",
            ),
            (
                &["0.5", "<0.1"],
                "1 of its fields are limits such as `<0.1`; give them a column of their own",
            ),
        ] {
            assert_eq!(proposed(values).as_deref(), Some(option), "{values:?}");
        }
    }

    #[test]
    fn all_that_fits_is_proposed() {
        let both = proposed(&["01/02/2020", "03/04/2020"]).unwrap();
        assert!(both.contains("%d/%m/%Y") && both.contains("%m/%d/%Y"), "{both}");
        let either = proposed(&["1,000", "2,500"]).unwrap();
        assert!(
            either.contains("--decimal comma") && either.contains("--thousands comma"),
            "{either}"
        );
    }

    #[test]
    fn ordinary_text_gets_no_proposal() {
        for values in [
            &["anna", "ben"][..],
            &["A1", "B2", "12"],
            &["none", "mild"],
            &["1984-08-17", "17.08.1984"],
            &["x"],
            &["-"],
            &["5", "6"],
        ] {
            assert_eq!(proposed(values), None, "{values:?}");
        }
    }
}
