//! The spread of one column and of two.
//!
//! Squares and products are of the distances from the mean (Welford 1962; Chan, Golub and LeVeque 1983), so that a large offset loses no
//! digits.

use super::parts::{Double, Part, finite, special};

/// Below it, sums of squares have lost digits; a ratio or a root of them would be wrong.
const LEAST_SQUARES: f64 = 1e-290;

/// The mean of one column, and the squares of the distances from it.
#[derive(Clone, Copy, Debug, Default)]
struct Center {
    mean: Double,
    squares: f64,
    special: f64,
}

impl Center {
    /// Adds the last of `count` numbers. Returns its distance from the mean before and after.
    fn add(&mut self, value: f64, count: f64) -> (f64, f64) {
        if !value.is_finite() {
            self.special += value;
            return (0.0, 0.0);
        }
        let number = Double { high: value, low: 0.0 };
        let before = self.mean.distance(number);
        self.mean.add(before / count);
        let after = self.mean.distance(number);
        let square = before * after;
        // Both have the same sign, up to rounding. NaN, of an overflow, stays.
        self.squares += if square < 0.0 { 0.0 } else { square };
        (before, after)
    }

    /// Adds the numbers of another part. `share` is its part of all numbers, `weight` the product of both counts divided by their sum.
    /// Returns the distance of the means.
    fn merge(&mut self, other: &Self, share: f64, weight: f64) -> f64 {
        let distance = self.mean.distance(other.mean);
        self.mean.add(distance * share);
        self.squares += other.squares + distance * (distance * weight);
        self.special += other.special;
        distance
    }

    /// The numbers of a state: the mean with the digits that it lost, the squares, and what is not finite.
    fn state(&self) -> [f64; 4] {
        let Self { mean, squares, special } = *self;
        [mean.high, mean.low, squares, special]
    }

    /// The center of these numbers; `None` if there are more or fewer.
    fn of_state(state: &[f64]) -> Option<Self> {
        let [high, low, squares, special] = *state else {
            return None;
        };
        let mean = Double { high, low };
        Some(Self { mean, squares, special })
    }

    fn mean(&self, count: f64) -> Option<f64> {
        if count == 0.0 {
            None
        } else if self.special == 0.0 {
            finite(self.mean.high)
        } else {
            Some(special(self.special))
        }
    }

    /// Whether the squares are exact enough for a ratio or a root of them; they are zero if all numbers are the same.
    fn is_divisor(&self) -> bool {
        self.squares >= LEAST_SQUARES && self.squares.is_finite()
    }
}

/// The share of the rows of `other` in both parts, and the product of the counts divided by their sum. `None` if one of them has no rows: then
/// `own` is the other one.
fn shares<T: Copy>(own: &mut T, other: &T, count: impl Fn(&T) -> f64) -> Option<(f64, f64)> {
    let (one, more) = (count(own), count(other));
    if more == 0.0 {
        return None;
    }
    if one == 0.0 {
        *own = *other;
        return None;
    }
    let share = more / (one + more);
    Some((share, one * share))
}

/// The spread of one column.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    count: f64,
    center: Center,
}

impl Spread {
    pub(super) fn variance_of_sample(&self) -> Option<f64> {
        self.variance(self.count - 1.0)
    }

    pub(super) fn variance_of_population(&self) -> Option<f64> {
        self.variance(self.count)
    }

    pub(super) fn deviation_of_sample(&self) -> Option<f64> {
        self.deviation(self.count - 1.0)
    }

    pub(super) fn deviation_of_population(&self) -> Option<f64> {
        self.deviation(self.count)
    }

    fn variance(&self, divisor: f64) -> Option<f64> {
        if divisor <= 0.0 {
            None
        } else if self.center.special == 0.0 {
            finite(self.center.squares / divisor)
        } else {
            Some(f64::NAN)
        }
    }

    fn deviation(&self, divisor: f64) -> Option<f64> {
        let variance = self.variance(divisor)?;
        let lost = self.center.squares > 0.0 && !self.center.is_divisor();
        if lost { None } else { Some(variance.sqrt()) }
    }
}

impl Part for Spread {
    const FIELDS: &'static [&'static str] = &["count", "mean_high", "mean_low", "squares", "special"];
    type State = [f64; 5];

    fn add(&mut self, _: f64, value: f64) {
        self.count += 1.0;
        self.center.add(value, self.count);
    }

    fn merge(&mut self, other: &Self) {
        let Some((share, weight)) = shares(self, other, |part| part.count) else {
            return;
        };
        self.center.merge(&other.center, share, weight);
        self.count += other.count;
    }

    fn state(&self) -> Self::State {
        let [high, low, squares, special] = self.center.state();
        [self.count, high, low, squares, special]
    }

    fn of_state(state: &[f64]) -> Option<Self> {
        let [count, center @ ..] = state else { return None };
        Some(Self {
            count: *count,
            center: Center::of_state(center)?,
        })
    }
}

/// The spread of two columns, of the rows in which both have a value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pairs {
    count: f64,
    y: Center,
    x: Center,
    products: f64,
}

impl Pairs {
    pub(super) fn covariance_of_sample(&self) -> Option<f64> {
        self.figure(2.0, self.products / (self.count - 1.0))
    }

    pub(super) fn covariance_of_population(&self) -> Option<f64> {
        self.figure(1.0, self.products / self.count)
    }

    /// Rounding can lead beyond 1 by a few units of the last digit.
    pub(super) fn correlation(&self) -> Option<f64> {
        if self.is_finite() && !(self.x.is_divisor() && self.y.is_divisor()) {
            return None;
        }
        let correlation = self.products / self.x.squares.sqrt() / self.y.squares.sqrt();
        self.figure(2.0, correlation).map(|found| found.clamp(-1.0, 1.0))
    }

    pub(super) fn r2(&self) -> Option<f64> {
        self.correlation().map(|found| found * found)
    }

    pub(super) fn slope(&self) -> Option<f64> {
        if self.is_finite() && !self.x.is_divisor() {
            return None;
        }
        self.figure(2.0, self.products / self.x.squares)
    }

    pub(super) fn intercept(&self) -> Option<f64> {
        let slope = self.slope()?;
        self.figure(2.0, self.y.mean.high - slope * self.x.mean.high)
    }

    pub(super) fn mean_of_y(&self) -> Option<f64> {
        self.y.mean(self.count)
    }

    pub(super) fn mean_of_x(&self) -> Option<f64> {
        self.x.mean(self.count)
    }

    pub(super) fn squares_of_y(&self) -> Option<f64> {
        self.figure(1.0, self.y.squares)
    }

    pub(super) fn squares_of_x(&self) -> Option<f64> {
        self.figure(1.0, self.x.squares)
    }

    pub(super) fn products(&self) -> Option<f64> {
        self.figure(1.0, self.products)
    }

    fn is_finite(&self) -> bool {
        self.x.special == 0.0 && self.y.special == 0.0
    }

    /// A figure that needs so many rows; missing if it is not finite although the numbers are.
    fn figure(&self, least: f64, figure: f64) -> Option<f64> {
        if self.count < least {
            None
        } else if self.is_finite() {
            finite(figure)
        } else {
            Some(f64::NAN)
        }
    }
}

impl Part for Pairs {
    const FIELDS: &'static [&'static str] = &[
        "count",
        "y_high",
        "y_low",
        "y_squares",
        "y_special",
        "x_high",
        "x_low",
        "x_squares",
        "x_special",
        "products",
    ];
    type State = [f64; 10];

    fn add(&mut self, y: f64, x: f64) {
        self.count += 1.0;
        let (before, _) = self.y.add(y, self.count);
        let (_, after) = self.x.add(x, self.count);
        self.products += before * after;
    }

    fn merge(&mut self, other: &Self) {
        let Some((share, weight)) = shares(self, other, |part| part.count) else {
            return;
        };
        let of_y = self.y.merge(&other.y, share, weight);
        let of_x = self.x.merge(&other.x, share, weight);
        self.products += other.products + of_y * (of_x * weight);
        self.count += other.count;
    }

    fn state(&self) -> Self::State {
        let [y_high, y_low, y_squares, y_special] = self.y.state();
        let [x_high, x_low, x_squares, x_special] = self.x.state();
        [
            self.count,
            y_high,
            y_low,
            y_squares,
            y_special,
            x_high,
            x_low,
            x_squares,
            x_special,
            self.products,
        ]
    }

    fn of_state(state: &[f64]) -> Option<Self> {
        let [count, centers @ .., products] = state else {
            return None;
        };
        let (y, x) = centers.split_at_checked(4)?;
        Some(Self {
            count: *count,
            y: Center::of_state(y)?,
            x: Center::of_state(x)?,
            products: *products,
        })
    }
}
