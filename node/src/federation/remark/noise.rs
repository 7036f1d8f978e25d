//! Remarks on figures with noise.
//!
//! They follow from the grant, and are the same whatever the figures are.

use concordat_documents::query::RemarkKind;
use concordat_engine::{LimitedFigures, LimitedValues};
use concordat_protocol::ids::DatasetRef;
use concordat_protocol::scope::Protection;

use super::Remark;

impl Remark {
    /// How far figures of `dataset` are from those as they are computed; `None` if they are these.
    pub(in crate::federation) fn of_noise(dataset: &DatasetRef, protection: &Protection) -> Option<Self> {
        let text = match protection {
            Protection::Exact => return None,
            Protection::Perturbed(noise) => format!(
                "figures of `{dataset}` have noise (perturbed), the same each time for the same subjects: numbers of subjects have a standard \
                 deviation of {:.1}; sums one of {:.1} times as much as one subject can change them; means that of the sum, divided by the \
                 number of values; numbers of rows sqrt(({:.1} p)^2 + {:.1}), which is {:.1} for p = 1 and {:.1} for p = 8, where p is the \
                 smallest power of two that is not below the rows of the subject with most of them: p depends on rows and is not stated; other \
                 figures are computed from these",
                noise.count_deviation(),
                noise.sum_deviation(),
                noise.sum_deviation(),
                noise.rounding_variance(),
                noise.rows_deviation(1),
                noise.rows_deviation(8),
            ),
            Protection::Private(loss) => format!(
                "figures of `{dataset}` have noise (private), drawn for each new query: a number of subjects that is the only figure of its \
                 query has a standard deviation of at least {:.1}, and one of several figures a larger one: of n figures, sqrt(n) times that; twice \
                 as much where a subject may have several rows, of which sums and numbers of rows are not answered; a sum of values has \
                 that times the largest magnitude of their range, and a mean that of the sum, divided by the number of values; a query \
                 loses a rho of {}, and all of them at most {}",
                loss.count_deviation(),
                loss.query(),
                loss.total(),
            ),
        };
        Some(Self::about(RemarkKind::Noise, dataset, text))
    }

    /// How far means and sums of a column of `dataset` are from those as they are computed, by the declared range of its values; `None` if they are
    /// these, and for quantiles.
    pub(in crate::federation) fn of_noise_of_values(
        dataset: &DatasetRef,
        protection: &Protection,
        limited: &LimitedValues,
    ) -> Option<Self> {
        match limited.figures {
            LimitedFigures::Sums => {}
            LimitedFigures::Quantiles => return None,
        }
        let LimitedValues { column, low, high, .. } = limited;
        let magnitude = low.get().abs().max(high.get().abs());
        let range = format!("{} to {}", low.get(), high.get());
        let text = match protection {
            Protection::Exact => return None,
            Protection::Perturbed(noise) => format!(
                "the noise of a mean of `{column}` of `{dataset}` has a standard deviation of {:.4} p / n, by the range of {range}: n is the number \
                 of values that the mean is of, as `count` shows it, and p is 1 where each subject has one value, and otherwise as for numbers \
                 of rows; a sum is the mean times n, so that it has ({:.4} p)^2 + (mean s)^2 as its variance, where s is the standard deviation of n",
                noise.sum_deviation() * magnitude,
                noise.sum_deviation() * magnitude,
            ),
            Protection::Private(loss) => format!(
                "the noise of a sum of `{column}` of `{dataset}` has a standard deviation of at least {:.4} sqrt(m), by the range of {range}, where \
                 m is the number of figures of the query; that of a mean is as much divided by the number of values, as `count` shows it",
                loss.count_deviation() * magnitude,
            ),
        };
        Some(Self::about(RemarkKind::Noise, dataset, text).on_column(column))
    }

    /// How the answer of `dataset` at tier `exists` differs from whether there are `min_cell` subjects or more; `None` if it is only false for
    /// fewer, which is what is withheld.
    pub(in crate::federation) fn of_noisy_existence(
        dataset: &DatasetRef,
        protection: &Protection,
        min_cell: u32,
    ) -> Option<Self> {
        let loss = match protection {
            Protection::Exact | Protection::Perturbed(_) => return None,
            Protection::Private(loss) => loss,
        };
        let text = format!(
            "the answer of `{dataset}` is whether a number of subjects with noise (private), drawn for each new query, is {min_cell} or more: \
             the noise has a standard deviation of at least {:.1}, so that the answer can be true without any rows and false for more subjects; \
             a query loses a rho of {}, and all of them at most {}",
            loss.count_deviation(),
            loss.query(),
            loss.total(),
        );
        Some(Self::about(RemarkKind::Noise, dataset, text))
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::scope::{Finite, Loss, Noise};

    use super::*;

    #[test]
    fn remark_on_noise_states_the_protection_and_the_deviation() {
        let dataset = "budapest.stays".parse().unwrap();
        assert_eq!(Remark::of_noise(&dataset, &Protection::Exact), None);
        for (protection, parts) in [
            (
                Protection::Perturbed(Noise::default()),
                [
                    "perturbed",
                    "of 23.4",
                    "of 23.3 times",
                    "sqrt((23.3 p)^2 + 2.0), which is 23.4 for p = 1 and 186.6 for p = 8",
                ],
            ),
            (
                Protection::Perturbed(Noise::new(3, 5, 1).unwrap()),
                [
                    "perturbed",
                    "of 1.7",
                    "of 1.0 times",
                    "sqrt((1.0 p)^2 + 0.0), which is 1.0 for p = 1 and 8.0 for p = 8",
                ],
            ),
            (
                Protection::Private(Loss::DEFAULT),
                ["private", "at least 7.1", "rho of 0.010000", "at most 1.000000"],
            ),
        ] {
            let remark = Remark::of_noise(&dataset, &protection).unwrap();
            assert!(!remark.is_incomplete());
            let document = remark.document();
            assert_eq!(document.kind, RemarkKind::Noise);
            assert_eq!(document.institution.unwrap().as_str(), "budapest");
            for part in parts {
                assert!(document.text.contains(part), "{part}: {}", document.text);
            }
        }
    }

    /// The deviation follows from the range that is declared, of which the larger magnitude counts, and from nothing else.
    #[test]
    fn remark_on_noise_of_means_states_the_deviation_by_the_range() {
        let dataset = "budapest.stays".parse().unwrap();
        let limited = |low: f64, high: f64, figures| LimitedValues {
            column: "chol".to_owned(),
            low: Finite::new(low).unwrap(),
            high: Finite::new(high).unwrap(),
            figures,
        };
        let perturbed = Protection::Perturbed(Noise::new(3, 5, 1).unwrap());
        let private = Protection::Private(Loss::DEFAULT);
        for (protection, low, high, part) in [
            (perturbed, 0.0, 600.0, "of 600.0000 p / n"),
            (perturbed, -700.0, 600.0, "of 700.0000 p / n"),
            (private, 0.0, 100.0, "at least 707.1068 sqrt(m)"),
        ] {
            let remark = Remark::of_noise_of_values(&dataset, &protection, &limited(low, high, LimitedFigures::Sums));
            let document = remark.unwrap().document();
            assert_eq!(document.kind, RemarkKind::Noise);
            assert_eq!(document.column.as_deref(), Some("chol"));
            assert!(document.text.contains(part), "{part}: {}", document.text);
        }
        let none = |protection: &Protection, figures| {
            Remark::of_noise_of_values(&dataset, protection, &limited(0.0, 600.0, figures))
        };
        assert_eq!(none(&Protection::Exact, LimitedFigures::Sums), None);
        assert_eq!(none(&perturbed, LimitedFigures::Quantiles), None);
    }

    #[test]
    fn remark_on_noisy_existence_states_the_threshold() {
        let dataset = "budapest.stays".parse().unwrap();
        for protection in [Protection::Exact, Protection::Perturbed(Noise::default())] {
            assert_eq!(Remark::of_noisy_existence(&dataset, &protection, 10), None);
        }
        let private = Protection::Private(Loss::DEFAULT);
        let document = Remark::of_noisy_existence(&dataset, &private, 10).unwrap().document();
        assert_eq!(document.kind, RemarkKind::Noise);
        for part in ["is 10 or more", "at least 7.1", "rho of 0.010000"] {
            assert!(document.text.contains(part), "{part}: {}", document.text);
        }
    }
}
