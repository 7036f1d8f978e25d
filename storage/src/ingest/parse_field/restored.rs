//! Whether floating point restores a number that a text states.
//!
//! Each double is written with at most 17 digits that lead back to it (IEEE 754-2019, 5.12.2). The way round is shorter: only up to 15 digits
//! of a text lead back to the text, and fewer for numbers near zero. With 16 or 17 digits two texts can stand for the same double, as
//! 9007199254740992.0 and 9007199254740993.0 do.

/// A number other than zero: its digits without zeros before the first, and the power of ten of the first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Scientific {
    digits: String,
    power: i64,
}

impl Scientific {
    /// The number of digits with at most one point, and of an exponent; `None` if the exponent is beyond all numbers.
    fn of(mantissa: &str, exponent: Option<&str>) -> Option<Self> {
        let before = mantissa.find('.').unwrap_or(mantissa.len());
        let all: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let digits = all.trim_start_matches('0');
        let zeros = all.len().checked_sub(digits.len())?;
        let first = i64::try_from(before).ok()?.checked_sub(i64::try_from(zeros).ok()?)?;
        let exponent: i64 = exponent.map_or(Some(0), |exponent| exponent.parse().ok())?;
        Some(Self {
            digits: digits.to_owned(),
            power: exponent.checked_add(first)?.checked_sub(1)?,
        })
    }

    /// The number of a text that Rust has written with an exponent.
    fn of_written(written: &str) -> Option<Self> {
        let (mantissa, exponent) = written.split_once('e')?;
        Self::of(mantissa, Some(exponent))
    }
}

/// Whether `number`, written with as many digits as a text has, is the number of the text. The text is a `mantissa` of digits with at most
/// one point, and an exponent; `number` is what it was parsed as, without its sign.
pub(super) fn is_restored(mantissa: &str, exponent: Option<&str>, number: f64) -> bool {
    let Some(stated) = Scientific::of(mantissa, exponent) else {
        return false;
    };
    if stated.digits.is_empty() {
        return true;
    }
    // The shortest digits of a double are not always the nearest ones of their length: beside a power of two they may lie on its wider side.
    if Scientific::of_written(&format!("{number:e}")).as_ref() == Some(&stated) {
        return true;
    }
    let decimals = stated.digits.len().saturating_sub(1);
    Scientific::of_written(&format!("{number:.decimals$e}")).as_ref() == Some(&stated)
}
