//! Linear equations between what is unknown and figures.

use super::figure::Figure;

/// Smaller pivots are zero.
const ZERO: f64 = 1e-7;

/// Sums of unknown numbers, each times a known one, with figures for them.
#[derive(Debug)]
pub(super) struct Equations {
    unknown: usize,
    rows: Vec<(Vec<f64>, Figure)>,
}

impl Equations {
    pub(super) const fn new(unknown: usize) -> Self {
        Self {
            unknown,
            rows: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, row: Vec<f64>, sum: Figure) {
        self.rows.push((row, sum));
    }

    /// The solution of as many equations as there are unknown numbers; `None` if there are others or none. The noise of figures becomes that
    /// of the solution, as if it were independent.
    pub(super) fn solved(&self) -> Option<Vec<Figure>> {
        let matrix: Vec<Vec<f64>> = self.rows.iter().map(|(row, _)| row.clone()).collect();
        if matrix.len() != self.unknown {
            return None;
        }
        let inverse = inverse(matrix)?;
        let of = |weights: &Vec<f64>| {
            let terms = weights.iter().zip(&self.rows).map(|(weight, (_, sum))| *sum * *weight);
            terms.fold(Figure::exact(0.0), |all, term| all + term)
        };
        Some(inverse.iter().map(of).collect())
    }

    /// What the equations state of one unknown number, if each of them is known to have this distribution: the estimate of it that follows
    /// from the figures alone. `None` if they state nothing.
    ///
    /// The posterior of a normal distribution; where figures have no noise, so that they leave no variance, the number is known.
    pub(super) fn estimate(&self, at: usize, prior: &[Figure]) -> Option<Figure> {
        const OF_EXACT: f64 = 1e-5;
        let mut precision = vec![vec![0.0; self.unknown]; self.unknown];
        let mut weighted: Vec<f64> = prior.iter().map(|prior| prior.value / prior.variance).collect();
        for (number, prior) in prior.iter().enumerate() {
            precision[number][number] = 1.0 / prior.variance;
        }
        for (row, sum) in &self.rows {
            let weight = 1.0 / sum.variance.max(OF_EXACT);
            for (number, factor) in row.iter().enumerate() {
                weighted[number] += factor * sum.value * weight;
                for (other, of_other) in row.iter().enumerate() {
                    precision[number][other] += factor * of_other * weight;
                }
            }
        }
        let variances = inverse(precision)?;
        let found = variances[at]
            .iter()
            .zip(&weighted)
            .map(|(part, weighted)| part * weighted)
            .sum::<f64>();
        let variance = variances[at][at];
        let of_prior = 1.0 / prior[at].variance;
        let gained = 1.0 / variance - of_prior;
        (gained > ZERO).then(|| Figure {
            value: (found / variance - prior[at].value * of_prior) / gained,
            variance: 1.0 / gained,
        })
    }
}

/// By elimination with pivots; `None` if there is no inverse.
fn inverse(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let size = matrix.len();
    for (at, row) in matrix.iter_mut().enumerate() {
        row.extend((0..size).map(|column| if column == at { 1.0 } else { 0.0 }));
    }
    for at in 0..size {
        let pivot = (at..size).max_by(|a, b| matrix[*a][at].abs().total_cmp(&matrix[*b][at].abs()))?;
        matrix.swap(at, pivot);
        let by = matrix[at][at];
        if by.abs() < ZERO {
            return None;
        }
        matrix[at].iter_mut().for_each(|number| *number /= by);
        let reduced = matrix[at].clone();
        for (_, row) in matrix.iter_mut().enumerate().filter(|(other, _)| *other != at) {
            let factor = row[at];
            row.iter_mut()
                .zip(&reduced)
                .for_each(|(number, part)| *number -= factor * part);
        }
    }
    Some(matrix.into_iter().map(|row| row[size..].to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_without_noise_are_solved() {
        let mut equations = Equations::new(2);
        equations.add(vec![1.0, 2.0], Figure::exact(8.0));
        assert_eq!(equations.solved(), None);
        equations.add(vec![3.0, -1.0], Figure::exact(3.0));
        let solution = equations.solved().unwrap();
        assert!((solution[0].value - 2.0).abs() < 1e-9 && (solution[1].value - 3.0).abs() < 1e-9);
        assert!(solution[0].is_exact());
        equations.rows[1] = (vec![2.0, 4.0], Figure::exact(16.0));
        assert_eq!(equations.solved(), None, "the second one follows from the first");
    }

    /// One equation of two numbers that are as likely 0 as 1: what is known of one is its part of the sum.
    #[test]
    fn equations_that_are_too_few_are_an_estimate() {
        let prior = [Figure {
            value: 0.5,
            variance: 0.25,
        }; 2];
        let mut equations = Equations::new(2);
        assert_eq!(equations.estimate(0, &prior), None);
        equations.add(vec![1.0, 1.0], Figure::exact(2.0));
        let estimate = equations.estimate(0, &prior).unwrap();
        assert!(
            (estimate.value - 1.5).abs() < 1e-3 && (estimate.variance - 0.25).abs() < 1e-3,
            "{estimate:?}"
        );
        equations.add(vec![1.0, 0.0], Figure::exact(1.0));
        let estimate = equations.estimate(0, &prior).unwrap();
        assert!(
            estimate.is_exact() && (estimate.value - 1.0).abs() < 1e-3,
            "{estimate:?}"
        );
    }
}
