//! What the engine applies of a scope over datasets of a collection, at tier `records`.

use concordat_protocol::{
    ids::{CollectionRef, DatasetRef},
    scope::{Datasets, Scope, Subjects, Tier, Window},
};

use super::QueryError;

/// The parts of a scope that an answer depends on. INVARIANT: the scope has no other that restricts it, and its tier is `records`.
#[derive(Clone, Debug)]
pub(super) struct SeveralDatasets {
    pub(super) collection: CollectionRef,
    pub(super) datasets: Datasets,
    pub(super) window: Window,
}

impl SeveralDatasets {
    /// The parts of `scope`; its subjects are read by [`crate::compute`]. Who may receive the answer, where and what for was decided
    /// before there was a permit.
    ///
    /// # Errors
    /// [`QueryError::NotApplied`] for a scope with a part that would be left out, and for other tiers than `records`.
    pub(super) fn of(scope: &Scope) -> Result<Self, QueryError> {
        let but_subjects = Scope {
            subjects: Subjects::Any,
            ..scope.clone()
        };
        but_subjects.check_applied().map_err(|part| QueryError::NotApplied {
            detail: part.to_string(),
        })?;
        if scope.tier != Tier::Records {
            return Err(QueryError::NotApplied {
                detail: format!("several datasets are not queried together at tier `{}`", scope.tier),
            });
        }
        Ok(Self {
            collection: scope.collection.clone(),
            datasets: scope.datasets.clone(),
            window: scope.window,
        })
    }

    /// What errors name in place of a dataset.
    pub(super) fn name(&self) -> DatasetRef {
        DatasetRef::only(self.collection.clone())
    }
}
