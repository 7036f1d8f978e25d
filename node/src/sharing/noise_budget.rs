//! How much of the noise for an institution is used, for an estimate.
//!
//! It is what the memory of the institution has, and follows from the queries that its people have sent: no row is read, and nothing changes. The memory is
//! the one that a query waits for, so an estimate waits for a limited time, and does not state it then.

use std::time::Duration;

use concordat_disclosure::AnsweredFigures;
use concordat_protocol::ids::{CreationId, DatasetName, InstitutionId};
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{Protection, Scope, Tier};
use concordat_protocol::wire::messages::NoiseBudget;
use concordat_storage::answers::MemoryOwner;

use super::handle::Sharing;
use super::memory::MemoryKey;
use super::statistics::limits_of;

/// How long an estimate waits until no answer is decided for the institution. Most answers take less, and an estimate without a budget is one, too.
const BUDGET_TIMEOUT: Duration = Duration::from_secs(5);

impl Sharing {
    /// What `institution` has used of the noise under a permission of this scope; `None` if it is not limited, or not known in time.
    pub(super) async fn noise_budget(&self, scope: &Scope, institution: &InstitutionId) -> Option<NoiseBudget> {
        if scope.tier >= Tier::Records || !is_limited(&scope.protection) {
            return None;
        }
        let (created, version) = self.creation(scope).await?;
        let key = MemoryKey {
            name: DatasetName::from(&scope.collection.collection),
            created,
            owner: MemoryOwner::Institution(institution.clone()),
        };
        let limits = limits_of(self, institution, scope).await;
        let memory = self.0.memories.of(key, version, limits);
        let used = tokio::time::timeout(BUDGET_TIMEOUT, memory.used()).await;
        // Why a memory cannot be used is for the query, whose error it is.
        budget(&scope.protection, used.ok()?.ok()?)
    }

    /// The creation of the collection, if it was recorded, and its current version.
    async fn creation(&self, scope: &Scope) -> Option<(CreationId, VersionNumber)> {
        let catalog = self.0.parts.storage.catalog().clone();
        let name = scope.collection.collection.clone();
        let read = move || catalog.datasets().collection(&name);
        let record = tokio::task::spawn_blocking(read).await.ok()?.ok()?;
        Some((record.created?, record.current))
    }
}

const fn is_limited(protection: &Protection) -> bool {
    match protection {
        Protection::Exact => false,
        Protection::Perturbed(_) | Protection::Private(_) => true,
    }
}

/// The budget, of which these figures were released and this loss was reserved.
fn budget(protection: &Protection, (answered, spent): (AnsweredFigures, u64)) -> Option<NoiseBudget> {
    match protection {
        Protection::Exact => None,
        Protection::Perturbed(noise) => {
            let answers = noise.answers()?;
            Some(NoiseBudget {
                allowed: answers.into(),
                used: answered.figures(),
                left: answered.left(answers, noise.variance()),
            })
        }
        Protection::Private(loss) => {
            let allowed = loss.total().get();
            Some(NoiseBudget {
                allowed,
                used: spent,
                left: allowed.saturating_sub(spent),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::scope::{Loss, Noise};

    use super::*;

    #[test]
    fn noise_budget_is_what_queries_have_used() {
        let noise = Noise::for_answers(32).unwrap();
        let mut answered = AnsweredFigures::default();
        answered.add(5, noise.variance());
        let found = |protection| budget(&protection, (answered, 20_000));
        let stated = |allowed, used, left| Some(NoiseBudget { allowed, used, left });
        assert_eq!(found(Protection::Exact), None);
        assert_eq!(found(Protection::Perturbed(noise)), stated(32, 5, 27));
        // Noise without a number of answers is not limited in number.
        assert_eq!(found(Protection::Perturbed(Noise::new(3, 5, 1).unwrap())), None);
        let total = Loss::DEFAULT.total().get();
        assert_eq!(
            found(Protection::Private(Loss::DEFAULT)),
            stated(total, 20_000, total - 20_000)
        );
        let more = budget(&Protection::Private(Loss::DEFAULT), (answered, total + 1));
        assert_eq!(more, stated(total, total + 1, 0));
    }
}
