//! The form in which the value that identifies a subject, or a row that others are linked to, is hashed.
//!
//! The form is a text: what the value is written as. A column can be read as whole numbers in one dataset and as text in another, because
//! one of its values has a letter in it, so the types of the columns do not matter:
//!
//! | value | form |
//! | --- | --- |
//! | whole number | its decimal digits, with a minus sign if it is negative |
//! | number | the shortest decimal digits that restore it, without an exponent; `5.0` and `-0.0` are `5` and `0` |
//! | text | itself in Unicode normalization form C, with all blanks, leading zeros and signs that it has |
//! | true or false | `true` or `false` |
//! | date, or date-time at midnight without a zone | `yyyy-mm-dd` |
//! | date-time | `yyyy-mm-ddThh:mm:ss.mmm`, with `Z` if it is of UTC |
//!
//! So whole numbers and texts of digits without a leading zero are one form, and `7`, `07` and ` 7` are three. A text of blanks only is
//! missing, as it is in an import. Numbers that are not finite identify no subject, and neither do those beyond 2^53, where different whole
//! numbers are read as the same.
//!
//! The loose form is what forms have in common that people take for the same: no blanks, no dashes, lower case, no leading zeros, and no
//! `.0` at the end, which programs add to whole numbers in a column with missing values. It is
//! only used to report subjects under two spellings.

use chrono::{DateTime, Utc};
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use super::column::{Column, DAY_MS};

/// What a value is, as the key of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// There is none.
    Missing,
    /// It identifies no subject.
    Unusable,
    /// It was written to the buffer.
    Written,
}

/// Whole numbers up to here are exact in floating point.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Writes the form of a value to `form`, which is cleared first.
pub(super) fn write_form(column: &Column, row: usize, form: &mut String) -> Form {
    form.clear();
    if column.is_null(row) {
        return Form::Missing;
    }
    match column {
        Column::Whole(values) => form.push_str(&values.value(row).to_string()),
        Column::Number(values) => return write_number(values.value(row), form),
        Column::Truth(values) => form.push_str(if values.value(row) { "true" } else { "false" }),
        Column::Day(values) => return write_time(i64::from(values.value(row)).saturating_mul(DAY_MS), false, form),
        Column::Time(values, utc) => return write_time(values.value(row), *utc, form),
        Column::Text(values) => return write_text(values.value(row), form),
    }
    Form::Written
}

fn write_number(value: f64, form: &mut String) -> Form {
    if !value.is_finite() || value.abs() > MAX_EXACT {
        return Form::Unusable;
    }
    // A sum with zero has no negative zero.
    form.push_str(&(value + 0.0).to_string());
    Form::Written
}

fn write_time(ms: i64, utc: bool, form: &mut String) -> Form {
    let Some(time) = DateTime::<Utc>::from_timestamp_millis(ms) else {
        return Form::Unusable;
    };
    let pattern = match (utc, ms.rem_euclid(DAY_MS)) {
        (false, 0) => "%Y-%m-%d",
        (false, _) => "%Y-%m-%dT%H:%M:%S%.3f",
        (true, _) => "%Y-%m-%dT%H:%M:%S%.3fZ",
    };
    form.push_str(&time.format(pattern).to_string());
    Form::Written
}

fn write_text(value: &str, form: &mut String) -> Form {
    if value.trim_matches([' ', '\t']).is_empty() {
        return Form::Missing;
    }
    if value.is_ascii() || is_nfc(value) {
        form.push_str(value);
    } else {
        form.extend(value.nfc());
    }
    Form::Written
}

/// The loose form of a form; `None` if nothing of it is left.
pub(super) fn loosened(form: &str) -> Option<String> {
    let seen = form.chars().filter(|character| !is_filler(*character));
    let lower: String = seen.flat_map(char::to_lowercase).collect();
    let whole = lower.strip_suffix(".0").unwrap_or(&lower);
    match whole.trim_start_matches('0') {
        "" => (!whole.is_empty()).then(|| "0".to_owned()),
        digits => Some(digits.to_owned()),
    }
}

/// Blanks, and the dashes of Unicode's class Pd that occur in numbers, with the minus sign.
fn is_filler(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}')
}
