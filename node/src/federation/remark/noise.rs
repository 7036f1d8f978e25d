//! Remarks on figures with noise.
//!
//! They follow from the grant, and are the same whatever the figures are.

use concordat_documents::query::RemarkKind;
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
                 deviation of {:.1}; sums and numbers of rows one of {:.1} times as much as one subject can change them; means that of the \
                 sum, divided by the number of values; other figures are computed from these",
                noise.count_deviation(),
                noise.sum_deviation(),
            ),
            Protection::Private(loss) => format!(
                "figures of `{dataset}` have noise (private), drawn for each new query: a number of subjects that is the only figure of its \
                 query has a standard deviation of at least {:.1}, and one of several figures a larger one; a query loses a rho of {}, and \
                 all of them at most {}",
                loss.count_deviation(),
                loss.query(),
                loss.total(),
            ),
        };
        Some(Self::about(RemarkKind::Noise, dataset, text))
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
    use concordat_protocol::scope::{Loss, Noise};

    use super::*;

    #[test]
    fn remark_on_noise_states_the_protection_and_the_deviation() {
        let dataset = "budapest.stays".parse().unwrap();
        assert_eq!(Remark::of_noise(&dataset, &Protection::Exact), None);
        for (protection, parts) in [
            (
                Protection::Perturbed(Noise::default()),
                ["perturbed", "of 23.4", "of 23.3 times", "the same subjects"],
            ),
            (
                Protection::Perturbed(Noise::new(3, 5, 1).unwrap()),
                ["perturbed", "of 1.7", "of 1.0 times", "the same subjects"],
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
