//! What is kept of the numbers of a group, so that parts of it can be merged.
//!
//! Totals and means have twice the digits of a floating point number (Knuth, The Art of Computer Programming, 4.2.2, theorem B).

use std::fmt::Debug;

/// What is kept of the rows of a group. Numbers that are not finite are kept apart.
pub(super) trait Part: Copy + Debug + Default + Send + Sync + 'static {
    /// The names of the numbers of a state.
    const FIELDS: &'static [&'static str];
    /// The numbers of a state, as many as there are fields.
    type State: AsRef<[f64]>;

    /// Adds a row: `y` and `x`, which are the same if the function has one argument.
    fn add(&mut self, y: f64, x: f64);
    /// Adds the rows of another part.
    fn merge(&mut self, other: &Self);
    /// The part as numbers.
    fn state(&self) -> Self::State;
    /// The part of these numbers; `None` if there are more or fewer.
    fn of_state(state: &[f64]) -> Option<Self>;
}

/// A sum with the digits that it lost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Double {
    pub(super) high: f64,
    pub(super) low: f64,
}

impl Double {
    pub(super) fn add(&mut self, value: f64) {
        let (high, lost) = two_sum(self.high, value);
        let low = self.low + lost;
        self.high = high + low;
        self.low = low - (self.high - high);
    }

    fn merge(&mut self, other: Self) {
        self.add(other.high);
        self.add(other.low);
    }

    /// `value` minus this number, rounded once.
    pub(super) fn distance(self, value: Self) -> f64 {
        let (difference, lost) = two_sum(value.high, -self.high);
        difference + (lost + (value.low - self.low))
    }
}

/// The rounded sum, and what was lost by rounding.
fn two_sum(one: f64, other: f64) -> (f64, f64) {
    let sum = one + other;
    let of_other = sum - one;
    (sum, (one - (sum - of_other)) + (other - of_other))
}

/// The number, with one zero, if it is finite.
pub(super) fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number + 0.0)
}

/// A number that is not finite, with one NaN.
pub(super) const fn special(number: f64) -> f64 {
    if number.is_nan() { f64::NAN } else { number }
}

/// A sum and a count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    count: f64,
    sum: Double,
    special: f64,
}

impl Total {
    pub(super) fn sum(&self) -> Option<f64> {
        self.divided_by(1.0)
    }

    pub(super) fn mean(&self) -> Option<f64> {
        self.divided_by(self.count)
    }

    fn divided_by(&self, divisor: f64) -> Option<f64> {
        if self.count == 0.0 {
            None
        } else if self.special == 0.0 {
            finite(self.sum.high / divisor + self.sum.low / divisor)
        } else {
            Some(special(self.special))
        }
    }
}

impl Part for Total {
    const FIELDS: &'static [&'static str] = &["count", "high", "low", "special"];
    type State = [f64; 4];

    fn add(&mut self, _: f64, value: f64) {
        self.count += 1.0;
        if value.is_finite() {
            self.sum.add(value);
        } else {
            self.special += value;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum.merge(other.sum);
        self.special += other.special;
    }

    fn state(&self) -> Self::State {
        [self.count, self.sum.high, self.sum.low, self.special]
    }

    fn of_state(state: &[f64]) -> Option<Self> {
        let [count, high, low, special] = *state else {
            return None;
        };
        Some(Self {
            count,
            sum: Double { high, low },
            special,
        })
    }
}
