//! Values that no option reads, although all of a column are written alike: the file has to be changed, and a note names what to change.

use crate::ingest::parse_field::{self, Reading};

/// Units that are named in a note: a word behind a number that is not one of them could be a name.
const UNITS: [&str; 62] = [
    "%", "‰", "mg", "g", "kg", "µg", "μg", "ug", "mcg", "ng", "pg", "l", "L", "dl", "dL", "cl", "ml", "mL", "µl", "µL",
    "fl", "fL", "mmol/l", "mmol/L", "µmol/l", "µmol/L", "nmol/l", "nmol/L", "pmol/l", "pmol/L", "mg/dl", "mg/dL",
    "mg/l", "mg/L", "g/dl", "g/dL", "g/l", "g/L", "ng/ml", "ng/mL", "µg/l", "µg/L", "pg/ml", "pg/mL", "U/l", "U/L",
    "IU/l", "IU/L", "IU", "IE", "IE/l", "mmHg", "mmol", "mm", "cm", "m", "km", "min", "h", "kcal", "bpm", "°C",
];

/// Why a column stays text, whatever is stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextReason {
    /// Its values are numbers with this unit.
    Unit(&'static str),
    /// Its values are numbers with a plus before them, or a minus behind them.
    Sign,
    /// Its values are times of day.
    Clock,
    /// Its values are dates with the names of months in another language than English.
    MonthNames,
}

/// The shapes that all values of a column have so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shapes {
    unit: Shape<&'static str>,
    sign: Shape<()>,
    clock: Shape<()>,
    month: Shape<()>,
}

/// One shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape<T> {
    /// No value had it yet, and none had another one.
    Possible,
    /// The values have it.
    Seen(T),
    /// Some value has another one.
    Excluded,
}

impl<T: Copy + PartialEq> Shape<T> {
    /// Adds what a value has of this shape.
    fn add(&mut self, found: Option<T>) {
        *self = match (*self, found) {
            (Self::Possible, Some(found)) => Self::Seen(found),
            (Self::Seen(before), Some(found)) if before == found => Self::Seen(before),
            (Self::Possible | Self::Seen(_) | Self::Excluded, _) => Self::Excluded,
        };
    }

    fn is_excluded(self) -> bool {
        self == Self::Excluded
    }

    fn seen(self) -> Option<T> {
        match self {
            Self::Seen(found) => Some(found),
            Self::Possible | Self::Excluded => None,
        }
    }
}

impl Shapes {
    pub(super) const fn new() -> Self {
        Self {
            unit: Shape::Possible,
            sign: Shape::Possible,
            clock: Shape::Possible,
            month: Shape::Possible,
        }
    }

    /// Whether no shape is left.
    pub(super) fn are_excluded(&self) -> bool {
        self.unit.is_excluded() && self.sign.is_excluded() && self.clock.is_excluded() && self.month.is_excluded()
    }

    /// Adds a value and how it was read.
    pub(super) fn observe(&mut self, value: &str, reading: Reading) {
        // A number may lack the unit or the sign of the others.
        let is_number = reading.is_number() || is_number(value);
        if is_number {
            self.clock = Shape::Excluded;
            self.month = Shape::Excluded;
        } else {
            self.add_unread(value);
        }
    }

    fn add_unread(&mut self, value: &str) {
        if !self.unit.is_excluded() {
            self.unit.add(unit(value));
        }
        if !self.sign.is_excluded() {
            self.sign.add(has_sign(value).then_some(()));
        }
        if !self.clock.is_excluded() {
            self.clock.add(is_clock(value).then_some(()));
        }
        if !self.month.is_excluded() {
            self.month.add(has_month_name(value).then_some(()));
        }
    }

    /// Why the column is text, if all its values have one of the shapes.
    pub(super) fn reason(&self) -> Option<TextReason> {
        let unit = self.unit.seen().map(TextReason::Unit);
        let sign = self.sign.seen().map(|()| TextReason::Sign);
        let clock = self.clock.seen().map(|()| TextReason::Clock);
        let month = self.month.seen().map(|()| TextReason::MonthNames);
        unit.or(sign).or(clock).or(month)
    }
}

/// Whether a text is a number with a point or a comma before its decimals.
fn is_number(value: &str) -> bool {
    !parse_field::number(&value.replacen(',', ".", 1)).kinds.is_none()
}

fn unit(value: &str) -> Option<&'static str> {
    let end = value.rfind(|c: char| c.is_ascii_digit())?.saturating_add(1);
    let (number, unit) = value.split_at_checked(end)?;
    let unit = unit.trim();
    UNITS
        .into_iter()
        .find(|known| *known == unit)
        .filter(|_| is_number(number))
}

fn has_sign(value: &str) -> bool {
    let number = value.strip_prefix('+').or_else(|| value.strip_suffix('-'));
    number.is_some_and(|number| !number.starts_with('-') && is_number(number.trim()))
}

/// `14:30`, or hours, minutes and seconds, of which there may be more hours than a day has.
fn is_clock(value: &str) -> bool {
    let parts: Vec<&str> = value.splitn(4, ':').collect();
    let is_part = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_below_sixty = |part: &&str| part.len() == 2 && *part < "60";
    matches!(parts.len(), 2 | 3) && parts.iter().all(is_part) && parts.iter().skip(1).all(is_below_sixty)
}

/// A day, a word and a year.
fn has_month_name(value: &str) -> bool {
    let is_between = |c: char| !c.is_alphanumeric();
    let words: Vec<&str> = value
        .split(is_between)
        .filter(|word| !word.is_empty())
        .take(4)
        .collect();
    let is_count =
        |word: &str, lengths: &[usize]| lengths.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    match words.as_slice() {
        [day, month, year] => {
            is_count(day, &[1, 2]) && is_count(year, &[4]) && month.len() >= 3 && month.chars().all(char::is_alphabetic)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::parse_field::classify;

    fn reason(values: &[&str]) -> Option<TextReason> {
        let mut shapes = Shapes::new();
        for value in values {
            shapes.observe(value, classify(value));
        }
        shapes.reason()
    }

    #[test]
    fn values_that_are_written_alike_have_a_shape() {
        for (values, found) in [
            (&["12 mg", "5 mg", "7"][..], TextReason::Unit("mg")),
            (&["60,0 kg", "60.5kg"], TextReason::Unit("kg")),
            (&["30%", "90,2 %"], TextReason::Unit("%")),
            (&["+0,3", "-0,6", "1,2"], TextReason::Sign),
            (&["2,50-", "7.50-", "10"], TextReason::Sign),
            (&["14:30", "02:02"], TextReason::Clock),
            (&["0:00:30", "100:01:30"], TextReason::Clock),
            (&["20. Jan 1960", "25. Mai 1989"], TextReason::MonthNames),
            (&["3 février 2001", "1-März-2001"], TextReason::MonthNames),
        ] {
            assert_eq!(reason(values), Some(found), "{values:?}");
        }
    }

    #[test]
    fn other_values_have_none() {
        for values in [
            &["12 mg", "5 g"][..],
            &["5 Meier", "7 Meier"],
            &["14:30", "14:75"],
            &["14:30", "5"],
            &["1:2:3:4"],
            &["+36 1 234"],
            &["--5"],
            &["12"],
            &["x"],
            &[],
            &["20. Jan 1960", "5"],
            &["Jan 1960"],
        ] {
            assert_eq!(reason(values), None, "{values:?}");
        }
    }
}
