//! What a steward can state so that a column of text becomes a column of numbers, times or truth values.
//!
//! While a column is read, the ways of writing that fit all its values are kept in sets, which are empty after a few values of ordinary
//! text. Words that often mean "missing" do not count against a way of writing; they become part of the proposal. What is proposed adds to
//! what is stated: where signs or forms are stated for all columns, others are proposed for the one column that needs them.

use super::{
    column_reading::ColumnReading,
    notation::{DateFormat, DecimalSign, Notation, ThousandsSign},
    parse_field::{Kinds, Reading},
};

mod options;
mod shapes;
#[cfg(test)]
mod tests;
mod ways;

use options::FirstLines;
use shapes::Shapes;
use ways::{FORMS, SIGNS, WORDS};

pub use options::Proposal;
pub use shapes::TextReason;
pub use ways::Statement;

/// Words that often stand for a missing value and that are not understood as such unless they are stated.
const POSSIBLE_MARKERS: [&str; 36] = [
    "\\N",
    "nan",
    "None",
    "none",
    "NONE",
    "n/a",
    "N.A.",
    "n.a.",
    "na",
    "Na",
    "-",
    "--",
    "---",
    "<NA>",
    "#N/A",
    "NaT",
    "nil",
    "NIL",
    "missing",
    "Missing",
    "MISSING",
    "k.A.",
    "k. A.",
    "k.A",
    "keine Angabe",
    "unbekannt",
    "Unbekannt",
    "unknown",
    "Unknown",
    "UNKNOWN",
    "n.b.",
    "n.d.",
    "ND",
    "fehlt",
    "empty",
    "leer",
];

/// All of the signs that are tried, and all of the pairs of words.
const ALL_SIGNS: u8 = (1 << 7) - 1;
const ALL_WORDS: u16 = (1 << 9) - 1;
/// The longest possible marker.
const LONGEST_MARKER: usize = 12;
/// Most ways of writing of which one is to be chosen.
const MAX_CHOICES: usize = 2;
/// Most forms that the dates of one column have.
const MAX_FORMS: usize = 4;

/// What was seen of one column.
#[derive(Clone, Debug)]
pub(super) struct Alternatives {
    /// The signs with which all values so far are numbers, as bits.
    signs: u8,
    /// The pairs of words that all values so far are of, as bits.
    words: u16,
    /// Sets of forms of dates, as bits: all forms of a set fit some of the values, and each value is fitted by one of the sets. `None` if
    /// other values were seen.
    forms: Option<Vec<u64>>,
    /// The kinds of all values but possible markers and limits, in the notation that is stated.
    kinds: Kinds,
    values: u64,
    /// The possible markers that occurred, as bits.
    markers: u64,
    limits: u64,
    /// Dates that are read as they are.
    dates: u64,
    /// Values that are written like dates, and are none.
    impossible: u64,
    first: FirstLines,
    shapes: Shapes,
}

impl Alternatives {
    pub(super) fn new() -> Self {
        Self {
            signs: ALL_SIGNS,
            words: ALL_WORDS,
            forms: Some(Vec::new()),
            kinds: Kinds::ALL,
            values: 0,
            markers: 0,
            limits: 0,
            dates: 0,
            impossible: 0,
            first: FirstLines::default(),
            shapes: Shapes::new(),
        }
    }

    /// Adds the value on `line` and how it was read; `is_typed` if the file states that it is not text.
    pub(super) fn observe(&mut self, value: &str, reading: Reading, is_typed: bool, line: u64) {
        if self.are_excluded() {
            return;
        }
        if reading.kinds.is_none() && !reading.in_clock_change {
            if let Some(marker) = possible_marker(value) {
                self.markers |= 1 << marker;
                self.first.marker.get_or_insert(line);
                return;
            }
            if is_limit(value) {
                self.limits += 1;
                self.first.limit.get_or_insert(line);
                return;
            }
        }
        self.values += 1;
        self.kinds = self.kinds.and(reading.kinds);
        self.shapes.observe(value, reading);
        self.keep_signs(value, reading, is_typed);
        self.keep_words(value, reading);
        self.keep_forms(value, reading, line);
    }

    /// Whether nothing can be proposed any more.
    fn are_excluded(&self) -> bool {
        self.kinds.is_none() && self.signs == 0 && self.words == 0 && self.forms.is_none() && self.shapes.are_excluded()
    }

    fn keep_signs(&mut self, value: &str, reading: Reading, is_typed: bool) {
        // A number without any sign between its digits is one with all signs.
        let is_plain = is_typed || value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if self.signs == 0 || (is_plain && reading.is_number()) {
            return;
        }
        for (bit, notation) in SIGNS.iter().enumerate() {
            let mask = 1_u8 << bit;
            if self.signs & mask != 0 && !notation.read_number(value).is_number() {
                self.signs &= !mask;
            }
        }
    }

    fn keep_words(&mut self, value: &str, reading: Reading) {
        if self.words == 0 || !reading.kinds.and(Kinds::BOOLEAN).is_none() {
            return;
        }
        for (bit, pair) in WORDS.iter().enumerate() {
            let mask = 1_u16 << bit;
            if self.words & mask != 0 && pair.read(value).is_none() {
                self.words &= !mask;
            }
        }
    }

    fn keep_forms(&mut self, value: &str, reading: Reading, line: u64) {
        let Some(sets) = &mut self.forms else { return };
        if !reading.kinds.and(Kinds::DATE.or(Kinds::TIMESTAMP)).is_none() || reading.in_clock_change {
            self.dates += 1;
            return;
        }
        if reading.kinds.is_none() {
            for set in sets.iter_mut() {
                let kept = fitting(value, *set);
                if kept != 0 {
                    *set = kept;
                    return;
                }
            }
            let set = fitting(value, u64::MAX);
            if set != 0 && sets.len() < MAX_FORMS {
                sets.push(set);
                return;
            }
            if set == 0 && is_like_date(value) {
                self.impossible += 1;
                self.first.impossible.get_or_insert(line);
                return;
            }
        }
        self.forms = None;
    }

    /// What to state so that the column, which is text, is typed; `None` if nothing would help.
    pub(super) fn proposal(&self, reading: &ColumnReading) -> Option<Proposal> {
        if self.values == 0 {
            return None;
        }
        let markers = POSSIBLE_MARKERS.iter().enumerate();
        let markers = markers.filter(|(bit, _)| self.markers & (1 << bit) != 0);
        let mut proposal = Proposal {
            ways: Vec::new(),
            is_for_column: false,
            are_all_needed: false,
            markers: markers.map(|(_, marker)| *marker).collect(),
            limits: self.limits,
            impossible: 0,
            first: self.first,
            short_years: None,
        };
        if !self.kinds.is_none() {
            return (!proposal.markers.is_empty() || self.limits > 0).then_some(proposal);
        }
        self.propose_signs(&mut proposal, reading);
        self.propose_words(&mut proposal);
        if proposal.ways.is_empty() {
            self.propose_forms(&mut proposal, reading);
        }
        proposal.ways.truncate(if proposal.are_all_needed {
            MAX_FORMS
        } else {
            MAX_CHOICES
        });
        (!proposal.ways.is_empty() || proposal.impossible > 0).then_some(proposal)
    }

    fn propose_signs(&self, proposal: &mut Proposal, reading: &ColumnReading) {
        let stated = &reading.text;
        if stated.has_serial_days() {
            return;
        }
        let are_stated = !stated.has_usual_signs();
        let fitting: Vec<&Notation> = bits(&SIGNS, self.signs.into()).collect();
        let fits = |decimal: DecimalSign, thousands: Option<ThousandsSign>| {
            let mut others = fitting.iter();
            others.any(|other| other.decimal == decimal && other.thousands == thousands)
        };
        // A sign that no value has is not proposed.
        let is_needed = |way: &Notation| {
            way.thousands.is_none()
                || !(fits(way.decimal, None)
                    || way.decimal == DecimalSign::Comma && fits(DecimalSign::Point, way.thousands))
        };
        let is_stated = |way: &Notation| way.decimal == stated.decimal && way.thousands == stated.thousands;
        let ways = fitting.iter().filter(|way| is_needed(way) && !is_stated(way));
        proposal.ways.extend(ways.map(|way| Statement::signs(way, are_stated)));
        proposal.is_for_column |= are_stated && !proposal.ways.is_empty();
    }

    fn propose_words(&self, proposal: &mut Proposal) {
        let pairs = bits(&WORDS, self.words.into());
        proposal.ways.extend(pairs.map(Statement::words));
    }

    fn propose_forms(&self, proposal: &mut Proposal, reading: &ColumnReading) {
        let Some(sets) = self.forms.as_deref() else { return };
        let is_few = self.impossible.saturating_mul(2) < self.values;
        if !is_few || (sets.is_empty() && self.dates == 0) {
            return;
        }
        proposal.impossible = self.impossible;
        let stated = &reading.text.dates;
        let is_stated = |form: &&DateFormat| stated.iter().any(|other| other.pattern() == form.pattern());
        let forms: Vec<&DateFormat> = match sets {
            [] => Vec::new(),
            [one] if bits(&FORMS, *one).any(|form| is_stated(&form)) => Vec::new(),
            [one] => bits(&FORMS, *one).take(MAX_CHOICES).collect(),
            several => several.iter().filter_map(|set| bits(&FORMS, *set).next()).collect(),
        };
        proposal.are_all_needed = sets.len() > 1;
        // Which of several forms is meant, or that there are several, is so for one column.
        proposal.is_for_column |= forms.len() > 1 || !stated.is_empty();
        let short = forms.iter().find(|form| form.short_years().is_some());
        proposal.short_years = short.and_then(|form| match reading.last_year {
            Some(last) => (*form).clone().until(last).short_years(),
            None => form.short_years(),
        });
        proposal.ways.extend(forms.into_iter().map(Statement::form));
    }

    /// Why the column stays text, whatever is stated.
    pub(super) fn reason(&self) -> Option<TextReason> {
        self.shapes.reason().filter(|_| self.values > 0)
    }
}

/// The elements of a list that are in a set.
fn bits<T>(all: &[T], set: u64) -> impl Iterator<Item = &T> {
    all.iter()
        .enumerate()
        .filter(move |(bit, _)| set & (1 << bit) != 0)
        .map(|(_, element)| element)
}

/// The forms of a set that a value has.
fn fitting(value: &str, set: u64) -> u64 {
    let mut kept = 0;
    for (bit, form) in FORMS.iter().enumerate() {
        let mask = 1_u64 << bit;
        if set & mask != 0 && form.is_form_of(value) {
            kept |= mask;
        }
    }
    kept
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
        !super::parse_field::number(&number).kinds.is_none()
    })
}

/// Whether a value is written as a date is: three numbers with the same sign between them, one of which has two or four digits.
fn is_like_date(value: &str) -> bool {
    let day = value.split(' ').next().unwrap_or_default();
    let Some(sign) = day
        .chars()
        .find(|c| !c.is_ascii_digit())
        .filter(|c| matches!(c, '.' | '/' | '-'))
    else {
        return false;
    };
    let lengths: Vec<usize> = day.split(sign).map(str::len).collect();
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = |length: &usize| (1..=2).contains(length);
    day.split(sign).all(is_number)
        && match lengths.as_slice() {
            [first, second, last] => {
                is_short(second) && ((is_short(first) && matches!(last, 2 | 4)) || (*first == 4 && is_short(last)))
            }
            _ => false,
        }
}
