//! How much of the noise for this institution a query would use, and what is left.

use concordat_documents::query::{EstimatedNoise, NoiseUnit};
use concordat_protocol::scope::Protection;
use concordat_protocol::wire::messages::EstimatedTerms;

/// The budget by the terms of a holder, and what a query with so many figures would use of it; `None` if it is not limited.
pub(super) fn noise(terms: &EstimatedTerms, figures: Option<u64>) -> Option<EstimatedNoise> {
    let budget = terms.noise?;
    let (unit, query) = match terms.protection {
        Protection::Exact => return None,
        Protection::Perturbed(_) => (NoiseUnit::Figures, figures),
        Protection::Private(loss) => (NoiseUnit::MillionthsOfRho, Some(loss.query().get())),
    };
    Some(EstimatedNoise {
        unit,
        allowed: budget.allowed,
        used: budget.used,
        left: budget.left,
        query,
    })
}

/// What it means for `queries` of a permission that would use as much together: a sentence if that is more than is left. A query that was answered
/// is answered again, which the estimate does not know, so that this is no refusal.
pub(super) fn beyond(noise: &EstimatedNoise, needed: Option<u64>) -> Option<String> {
    let needed = needed?;
    let unit = match noise.unit {
        NoiseUnit::Figures => "figures with noise",
        NoiseUnit::MillionthsOfRho => "millionths of rho",
    };
    (needed > noise.left).then(|| {
        format!(
            "it would use {needed} {unit}, and {} of {} are left: it is refused unless it was answered before; request fewer aggregates in one \
             query, or negotiate another grant",
            noise.left, noise.allowed
        )
    })
}

#[cfg(test)]
mod tests {
    use concordat_protocol::scope::{Limits, Loss, Noise, Tier};
    use concordat_protocol::wire::messages::NoiseBudget;

    use super::*;

    fn terms(protection: Protection, left: u64) -> EstimatedTerms {
        EstimatedTerms {
            tier: Tier::Aggregate,
            protection,
            limits: Limits::default(),
            queries_left: None,
            noise: Some(NoiseBudget {
                allowed: 32,
                used: 32 - left,
                left,
            }),
        }
    }

    #[test]
    fn estimated_noise_is_what_the_query_would_use() {
        let perturbed = Protection::Perturbed(Noise::default());
        let found = noise(&terms(perturbed, 3), Some(4)).unwrap();
        assert_eq!((found.unit, found.query), (NoiseUnit::Figures, Some(4)));
        assert_eq!((found.allowed, found.used, found.left), (32, 29, 3));
        let sentence = beyond(&found, Some(4)).unwrap();
        assert!(
            sentence.contains("4 figures with noise, and 3 of 32 are left"),
            "{sentence}"
        );
        assert_eq!(beyond(&found, Some(3)), None);
        assert_eq!(beyond(&found, None), None, "what a query would use is not known");
        let private = noise(&terms(Protection::Private(Loss::DEFAULT), 3), Some(4)).unwrap();
        assert_eq!(private.unit, NoiseUnit::MillionthsOfRho);
        assert_eq!(private.query, Some(Loss::DEFAULT.query().get()));
        assert_eq!(noise(&terms(Protection::Exact, 3), Some(4)), None);
        let unlimited = EstimatedTerms {
            noise: None,
            ..terms(perturbed, 3)
        };
        assert_eq!(noise(&unlimited, Some(4)), None);
    }
}
