//! Whether the last number of a column is the sum of the others.
//!
//! Decimals are added as whole numbers of units of their last place, because floating point does not have most of them: there, 0.1 and 0.2
//! are not 0.3.

use crate::ingest::{notation::Notation, parse_field::Reading};

/// From so many decimals on, a number was computed in floating point, and not written by a person.
const COMPUTED_DECIMALS: u32 = 12;
/// By which part of itself the sum of many floating-point numbers may be off.
const COMPUTED_PRECISION: i128 = 1_000_000_000_000;

/// A number with its decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    /// The number without its point.
    digits: i128,
    /// The digits after the point.
    decimals: u32,
}

impl Decimal {
    /// The number of a field; `None` for anything else, and for numbers with an exponent.
    pub(super) fn of(value: &str, reading: Reading, notation: &Notation) -> Option<Self> {
        let decimals = u32::try_from(reading.decimals?).ok()?;
        let digits = match (decimals, reading.whole) {
            (0, Some(whole)) => i128::from(whole),
            (_, _) => without_point(&notation.number(value)?)?,
        };
        Some(Self { digits, decimals })
    }
}

fn without_point(number: &str) -> Option<i128> {
    let (is_negative, body) = match number.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, number),
    };
    let mut digits = body.bytes().filter(|byte| *byte != b'.');
    let magnitude = digits.try_fold(0_i128, |magnitude, byte| {
        let digit = byte.is_ascii_digit().then(|| i128::from(byte.wrapping_sub(b'0')))?;
        magnitude.checked_mul(10)?.checked_add(digit)
    })?;
    Some(if is_negative { -magnitude } else { magnitude })
}

/// The sum of the numbers of a column.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    /// In units of the last place of `decimals`, as is the last number.
    total: i128,
    last: i128,
    /// The most decimals of a number.
    decimals: u32,
    /// Numbers other than zero.
    count: u64,
    /// Whether there is another value, or a number that is too large or has too many decimals.
    is_excluded: bool,
}

impl Sum {
    /// Adds a number; `None` is another value.
    pub(super) fn observe(&mut self, number: Option<Decimal>) {
        if self.is_excluded {
            return;
        }
        match number.and_then(|number| self.with(number)) {
            Some(sum) => *self = sum,
            None => self.is_excluded = true,
        }
    }

    fn with(self, number: Decimal) -> Option<Self> {
        let decimals = self.decimals.max(number.decimals);
        let before = scaled(self.total, decimals.saturating_sub(self.decimals))?;
        let last = scaled(number.digits, decimals.saturating_sub(number.decimals))?;
        Some(Self {
            total: before.checked_add(last)?,
            last,
            decimals,
            count: self.count.saturating_add(u64::from(last != 0)),
            is_excluded: false,
        })
    }

    /// Whether the last number is the sum of the others, of which there are at least `fewest` that are not zero.
    pub(super) fn ends_with_sum(&self, fewest: u64) -> bool {
        let Self {
            total,
            last,
            decimals,
            count,
            is_excluded,
        } = *self;
        let difference = total.saturating_sub(last).saturating_sub(last).saturating_abs();
        let is_computed = decimals >= COMPUTED_DECIMALS;
        let is_close = is_computed && difference.saturating_mul(COMPUTED_PRECISION) <= last.saturating_abs();
        !is_excluded && count > fewest && last != 0 && (difference == 0 || is_close)
    }
}

/// A number in units that are smaller by this power of ten.
fn scaled(number: i128, power: u32) -> Option<i128> {
    number.checked_mul(10_i128.checked_pow(power)?)
}
