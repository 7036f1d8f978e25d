//! Logistic regression.

/// Steps of the descent, and how far each goes.
const STEPS: usize = 200;
const RATE: f64 = 0.5;

/// How strongly large weights are avoided: with few rows a model would explain their noise.
const PENALTY: f64 = 0.02;

/// What is known of one row.
pub(super) type Features = Vec<f64>;

/// Weights of features, each of which is counted from its mean in units of its standard deviation.
#[derive(Debug)]
pub(super) struct Model {
    means: Vec<f64>,
    deviations: Vec<f64>,
    weights: Vec<f64>,
    constant: f64,
}

impl Model {
    /// By gradient descent, from rows of which about one half has what is to be known.
    pub(super) fn trained(rows: &[(Features, bool)]) -> Self {
        let number = rows.len() as f64;
        let width = rows.first().map_or(0, |(features, _)| features.len());
        let mean = |of: &dyn Fn(&Features) -> f64| rows.iter().map(|(features, _)| of(features)).sum::<f64>() / number;
        let means: Vec<f64> = (0..width).map(|at| mean(&|features| features[at])).collect();
        let deviation = |at: usize| {
            let found = mean(&|features| (features[at] - means[at]).powi(2)).sqrt();
            // What does not vary is not magnified where it does.
            if found > 1e-9 { found } else { 1.0 }
        };
        let mut model = Self {
            deviations: (0..width).map(deviation).collect(),
            means,
            weights: vec![0.0; width],
            constant: 0.0,
        };
        let scaled: Vec<(Features, bool)> = rows.iter().map(|(row, is)| (model.scaled(row), *is)).collect();
        for _ in 0..STEPS {
            model.step(&scaled);
        }
        model
    }

    /// The logarithm of how much more likely it is than not.
    pub(super) fn evidence(&self, features: &[f64]) -> f64 {
        self.of_scaled(&self.scaled(features))
    }

    fn step(&mut self, rows: &[(Features, bool)]) {
        let mut gradient: Vec<f64> = self.weights.iter().map(|weight| PENALTY * weight).collect();
        let mut of_constant = 0.0;
        for (features, is) in rows {
            let probability = 1.0 / (1.0 + (-self.of_scaled(features)).exp());
            let error = (probability - f64::from(u8::from(*is))) / rows.len() as f64;
            gradient
                .iter_mut()
                .zip(features)
                .for_each(|(part, feature)| *part += error * feature);
            of_constant += error;
        }
        self.weights
            .iter_mut()
            .zip(&gradient)
            .for_each(|(weight, part)| *weight -= RATE * part);
        self.constant -= RATE * of_constant;
    }

    fn scaled(&self, features: &[f64]) -> Features {
        let parts = features.iter().zip(&self.means).zip(&self.deviations);
        parts
            .map(|((feature, mean), deviation)| (feature - mean) / deviation)
            .collect()
    }

    fn of_scaled(&self, features: &[f64]) -> f64 {
        let terms = self
            .weights
            .iter()
            .zip(features)
            .map(|(weight, feature)| weight * feature);
        self.constant + terms.sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regression_finds_what_decides() {
        let rows: Vec<(Features, bool)> = (0..40_u32)
            .map(|at| (vec![f64::from(at % 7), f64::from(at % 2) + 300.0, 1.0], at % 2 == 1))
            .collect();
        let model = Model::trained(&rows);
        assert!(
            rows.iter()
                .all(|(features, is)| (model.evidence(features) > 1.0) == *is)
        );
        assert!(model.weights[1] > 5.0 * model.weights[0].abs());
        assert_eq!(model.weights[2], 0.0, "what does not vary decides nothing");
    }
}
