//! How far figures with noise are from those as they are computed: standard deviations that follow from what a grant states.

use super::protection::{Loss, MicroRho, Noise};

impl Noise {
    /// The standard deviation of a number of subjects, in subjects: of the deviation and of the rounding.
    pub fn count_deviation(&self) -> f64 {
        (f64::from(self.variance()) + self.rounding_variance()).sqrt()
    }

    /// The variance of rounding, as if all rests were equally frequent.
    pub fn rounding_variance(&self) -> f64 {
        let round = f64::from(self.round());
        (round * round - 1.0) / 12.0
    }

    /// The standard deviation of a sum, in units of what one subject can change it by: that of a number of subjects before it is rounded, where the
    /// noise is for a number of answers. Otherwise a mean would measure a subject with less noise than a count does.
    pub fn sum_deviation(&self) -> f64 {
        match self.answers() {
            Some(_) => f64::from(self.variance()).sqrt(),
            None => 1.0,
        }
    }

    /// The standard deviation of a number of rows, in rows, if the subject with most of them has at most `most`, a power of two: of the deviation, which
    /// is in proportion to it, and of the rounding.
    pub fn rows_deviation(&self, most: u32) -> f64 {
        let deviation = self.sum_deviation() * f64::from(most);
        (deviation * deviation + self.rounding_variance()).sqrt()
    }
}

impl Loss {
    /// The standard deviation of a number of subjects that is the only figure of a query and counts each subject once: with a `rho` of the query,
    /// the variance is `1 / (2 rho)` (Bun and Steinke 2016, proposition 1.6). A query with more figures divides its loss among them.
    pub fn count_deviation(&self) -> f64 {
        let millionths = |rho: u64| f64::from(u32::try_from(rho).unwrap_or(u32::MAX));
        (millionths(MicroRho::PER_RHO) / (2.0 * millionths(self.query().get()))).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviation_of_noise_is_that_of_its_variance_and_rounding() {
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 0.01, "{found} {expected}");
        near(Noise::default().count_deviation(), 23.37);
        near(Noise::default().sum_deviation(), 23.32);
        let stated = Noise::new(3, 5, 1).unwrap();
        near(stated.count_deviation(), 1.73);
        near(stated.sum_deviation(), 1.0);
        near(Loss::DEFAULT.count_deviation(), 7.07);
        near(Noise::default().rows_deviation(1), Noise::default().count_deviation());
        near(Noise::default().rows_deviation(4), 93.31);
        near(stated.rows_deviation(1), 1.0);
        near(stated.rows_deviation(2), 2.0);
    }
}
