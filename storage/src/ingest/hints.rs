//! What the values of a column suggest without deciding it: signs of numbers that could be others, dates that several of the stated forms
//! fit, values that often stand for missing ones, numbers that could be dates, and a last row that is the sum of the others.
//!
//! Nothing is changed for a hint: each becomes a note.

use chrono::NaiveDate;

use super::{
    column_reading::ColumnReading,
    notation::{DecimalSign, Notation},
    parse_field::{self, Reading},
};

mod sum;

use sum::{Decimal, Sum};

/// How often a value has to occur before it is assumed to stand for missing values.
const REPEATED: u64 = 3;
/// Fewest values from which a column of dates in digits, or a sum, is recognized.
const FEW: u64 = 3;
/// Most bytes of the text of a day.
const MAX_DAY: usize = 40;

/// The hints of one column so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    points: Points,
    usual: Usual,
    forms: Forms,
    range: Range,
    days: Days,
    digits: Digits,
    serial: Serial,
    sum: Sum,
}

impl Hints {
    /// Adds a value and how it was read; `is_typed` if the file states that it is not text.
    pub(super) fn observe(&mut self, value: &str, reading: Reading, is_typed: bool, column: &ColumnReading) {
        let notation = &column.text;
        if !is_typed {
            if notation.has_usual_signs() {
                self.points.observe(reading);
            } else if notation.decimal == DecimalSign::Comma {
                self.usual.observe(value);
            }
        }
        if !notation.dates.is_empty() {
            self.forms.observe(value, notation, is_typed);
        }
        self.range.observe(reading);
        if let Some(day) = reading.day {
            self.days.observe(day, value);
        }
        self.digits.observe(reading);
        self.serial.observe(reading);
        self.sum.observe(Decimal::of(value, reading, column.notation(is_typed)));
    }

    /// Whether the points of the numbers could be before decimals or between groups of three digits.
    pub(super) fn are_points_undecided(&self) -> bool {
        self.points.fitting > 0 && !self.points.is_decided
    }

    /// Whether all values are numbers with the usual signs too, and other numbers than with the stated ones.
    pub(super) fn are_usual_numbers(&self) -> bool {
        self.usual.is_different && !self.usual.is_excluded
    }

    /// Which of the stated forms the dates have.
    pub(super) fn forms(&self) -> FormsFound {
        self.forms.found()
    }

    /// Whether a number is within those of the column.
    pub(super) fn is_in_range(&self, number: i64) -> bool {
        self.range.is_known() && (self.range.least..=self.range.most).contains(&number)
    }

    /// Numbers and days that often stand for missing values, repeated and far from the others, as they are written.
    pub(super) fn possible_markers(&self) -> Vec<String> {
        let numbers = self.range.outlying().map(|number| number.to_string());
        numbers.chain(self.days.outlying().map(str::to_owned)).collect()
    }

    /// The form in which all numbers are dates.
    pub(super) fn digits(&self) -> Option<&'static str> {
        match self.digits {
            Digits { count: ..FEW, .. } => None,
            Digits { are_days: true, .. } => Some("%Y%m%d"),
            Digits { are_times: true, .. } => Some("%Y%m%d%H%M%S"),
            Digits { .. } => None,
        }
    }

    /// Whether all values are whole numbers by which a spreadsheet program could count days in which a person lives.
    pub(super) fn are_serial_days(&self) -> bool {
        self.serial.count >= FEW && !self.serial.is_excluded
    }

    /// Whether the last value is the sum of the others.
    pub(super) fn ends_with_sum(&self) -> bool {
        self.sum.ends_with_sum(FEW)
    }
}

/// The points of numbers with the usual signs.
#[derive(Clone, Copy, Debug, Default)]
struct Points {
    /// Numbers of one to three digits, the first of which is not a zero, a point, and three digits.
    fitting: u64,
    /// Whether there is a number that no point between groups explains: with other decimals, or with four digits and no point.
    is_decided: bool,
}

impl Points {
    fn observe(&mut self, reading: Reading) {
        match (reading.decimals, reading.whole.map(i64::unsigned_abs)) {
            (Some(0), Some(0..=999)) => {}
            (Some(3), Some(1..=999)) => self.fitting += 1,
            (_, _) => self.is_decided = true,
        }
    }
}

/// Whether values are numbers with the usual signs, where a decimal comma is stated.
#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    /// Whether a number has a point, which the stated signs read in another way.
    is_different: bool,
    is_excluded: bool,
}

impl Usual {
    fn observe(&mut self, value: &str) {
        if self.is_excluded {
            return;
        }
        if parse_field::number(value).kinds.is_none() {
            self.is_excluded = true;
        } else {
            self.is_different |= value.contains('.');
        }
    }
}

/// Which of the stated forms dates have.
#[derive(Clone, Copy, Debug)]
struct Forms {
    /// The forms that all dates have, as bits.
    fitting: u64,
    /// Dates in one of the forms.
    count: u64,
    /// Those that have several forms, and are other days in each.
    ambiguous: u64,
}

/// Which of the stated forms the dates of a column have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FormsFound {
    /// There are no dates in any of them.
    None,
    /// All have this form, by its number; the others in the list fit all of them too, and would make other days of some.
    One(usize, Vec<usize>),
    /// No form fits all; so many dates have several forms, and are other days in each.
    Several(u64),
}

impl Default for Forms {
    fn default() -> Self {
        Self {
            fitting: u64::MAX,
            count: 0,
            ambiguous: 0,
        }
    }
}

impl Forms {
    fn observe(&mut self, value: &str, notation: &Notation, is_typed: bool) {
        let mut fitting = 0;
        let mut first = None;
        let mut differ = false;
        for (bit, time) in notation.in_each_form(value, is_typed).enumerate().take(64) {
            if let Some(time) = time {
                fitting |= 1_u64 << bit;
                differ |= *first.get_or_insert(time) != time;
            }
        }
        if fitting != 0 {
            self.count += 1;
            self.fitting &= fitting;
            self.ambiguous += u64::from(differ);
        }
    }

    fn found(&self) -> FormsFound {
        let mut fitting = (0..64_usize).filter(|bit| self.fitting & (1 << bit) != 0);
        match (self.count, fitting.next()) {
            (0, _) => FormsFound::None,
            (_, Some(first)) if self.ambiguous > 0 => FormsFound::One(first, fitting.collect()),
            (_, Some(first)) => FormsFound::One(first, Vec::new()),
            (_, None) => FormsFound::Several(self.ambiguous),
        }
    }
}

/// Numbers that often stand for missing values.
const EDGES: [i64; 10] = [-9999, -999, -99, -9, -1, 99, 999, 9999, 99_999, 999_999];

/// The range of the whole parts of numbers, and how often there are numbers that often stand for missing ones.
#[derive(Clone, Copy, Debug)]
struct Range {
    least: i64,
    most: i64,
    /// Whether there is a number whose whole part is not known.
    is_unknown: bool,
    edges: [u64; EDGES.len()],
}

impl Default for Range {
    fn default() -> Self {
        Self {
            least: i64::MAX,
            most: i64::MIN,
            is_unknown: false,
            edges: [0; EDGES.len()],
        }
    }
}

impl Range {
    fn observe(&mut self, reading: Reading) {
        let Some(whole) = reading.whole else {
            self.is_unknown |= reading.is_number();
            return;
        };
        let edge = match reading.decimals {
            Some(0) if matches!(whole, ..0 | 99..) => EDGES.iter().position(|edge| *edge == whole),
            Some(_) | None => None,
        };
        if let Some(count) = edge.and_then(|edge| self.edges.get_mut(edge)) {
            *count += 1;
        } else {
            self.least = self.least.min(whole);
            self.most = self.most.max(whole);
        }
    }

    /// Whether there are other numbers.
    fn is_known(&self) -> bool {
        !self.is_unknown && self.least <= self.most
    }

    /// The numbers that are repeated and far from the others.
    fn outlying(&self) -> impl Iterator<Item = i64> {
        let repeated = EDGES.iter().zip(&self.edges).filter(|(_, count)| **count >= REPEATED);
        repeated.map(|(edge, _)| *edge).filter(|edge| self.is_outlying(*edge))
    }

    fn is_outlying(&self, edge: i64) -> bool {
        if !self.is_known() {
            return false;
        }
        match edge {
            // A change or a score may be one below zero.
            -1 => self.least >= 0 && self.most >= 10,
            ..0 => self.least >= 0,
            _ => self.most <= edge / 2,
        }
    }
}

/// Days that often stand for missing ones, or for no end: the last that programs have, and the first ones of two calendars.
const DAYS: [i32; 3] = [2_932_896, -25_567, -25_569];

/// How often such days occur.
#[derive(Clone, Debug, Default)]
struct Days {
    found: Vec<Day>,
    /// Whether there are other days.
    has_others: bool,
}

/// A day that occurs.
#[derive(Clone)]
struct Day {
    day: i32,
    /// How often it is written as at first.
    count: u64,
    /// As it is written at first.
    text: String,
    /// Whether it is written in other ways too, as with other times of day.
    varies: bool,
}

/// A value is not for logs.
impl std::fmt::Debug for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Day({})", self.count)
    }
}

impl Days {
    fn observe(&mut self, day: i32, value: &str) {
        if !DAYS.contains(&day) {
            self.has_others = true;
            return;
        }
        if value.len() > MAX_DAY {
            return;
        }
        match self.found.iter_mut().find(|found| found.day == day) {
            Some(found) if found.text == value => found.count += 1,
            Some(found) => found.varies = true,
            None => self.found.push(Day {
                day,
                count: 1,
                text: value.to_owned(),
                varies: false,
            }),
        }
    }

    /// The days that are repeated and far from the others, as they are written. The first day of a calendar with several times is how a
    /// spreadsheet program saves times of day.
    fn outlying(&self) -> impl Iterator<Item = &str> {
        let has_others = self.has_others || self.found.len() > 1;
        let is_time = |day: &Day| day.varies && day.day < 0;
        let repeated = self.found.iter().filter(move |day| has_others && day.count >= REPEATED);
        repeated.filter(move |day| !is_time(day)).map(|day| day.text.as_str())
    }
}

/// Whether whole numbers are days, or days and times, in digits.
#[derive(Clone, Copy, Debug)]
struct Digits {
    are_days: bool,
    are_times: bool,
    count: u64,
}

impl Default for Digits {
    fn default() -> Self {
        Self {
            are_days: true,
            are_times: true,
            count: 0,
        }
    }
}

impl Digits {
    fn observe(&mut self, reading: Reading) {
        if !self.are_days && !self.are_times {
            return;
        }
        self.count += 1;
        let whole = reading.whole.filter(|_| reading.decimals == Some(0));
        self.are_days &= whole.is_some_and(is_day);
        self.are_times &= whole.is_some_and(is_time);
    }
}

/// Whether the digits of a number are those of a day in which a person could live.
fn is_day(number: i64) -> bool {
    let part = |divisor: i64, modulus: i64| u32::try_from(number / divisor % modulus).ok();
    let date = || NaiveDate::from_ymd_opt(i32::try_from(number / 10_000).ok()?, part(100, 100)?, part(1, 100)?);
    (18_500_101..=21_001_231).contains(&number) && date().is_some()
}

/// The same with a time of day behind it.
fn is_time(number: i64) -> bool {
    let (hours, minutes, seconds) = (number / 10_000 % 100, number / 100 % 100, number % 100);
    is_day(number / 1_000_000) && hours < 24 && minutes < 60 && seconds < 60
}

/// Whether whole numbers are those by which spreadsheet programs count days.
#[derive(Clone, Copy, Debug, Default)]
struct Serial {
    count: u64,
    /// Whether there is another value.
    is_excluded: bool,
}

impl Serial {
    /// From 1954-10-03 to 2064-04-08, counted from 1900, and four years later if counted from 1904: the days of visits and of most births. A
    /// wider range would have other numbers.
    const DAYS: std::ops::RangeInclusive<i64> = 20_000..=60_000;

    fn observe(&mut self, reading: Reading) {
        self.count += 1;
        let whole = reading.whole.filter(|_| reading.decimals == Some(0));
        self.is_excluded |= whole.is_none_or(|whole| !Self::DAYS.contains(&whole));
    }
}

#[cfg(test)]
mod tests;
