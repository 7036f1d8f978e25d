//! What the engine applies of a scope at tier `records`: a single dataset, of which it applies every part.

use concordat_protocol::{
    ids::DatasetRef,
    scope::{Columns, Rows, Scope, Tier, Window},
};

use super::QueryError;

/// The parts of a scope that an answer depends on. INVARIANT: the scope has no other that restricts it, and its tier is `records`.
#[derive(Debug)]
pub(super) struct OneDataset {
    pub(super) dataset: DatasetRef,
    pub(super) columns: Columns,
    pub(super) rows: Rows,
    pub(super) window: Window,
}

impl OneDataset {
    /// The parts of `scope`. Who may receive the answer, where and what for was decided before there was a permit.
    ///
    /// # Errors
    /// [`QueryError::NotApplied`] for a scope over several datasets, or with a part that the engine would leave out, and for other tiers than
    /// `records`.
    pub(super) fn of(scope: &Scope) -> Result<Self, QueryError> {
        scope.check_applied().map_err(|part| QueryError::NotApplied {
            detail: part.to_string(),
        })?;
        if scope.tier != Tier::Records {
            return Err(QueryError::NotApplied {
                detail: format!("figures at tier `{}` come from decided cells", scope.tier),
            });
        }
        let Some((dataset, only)) = scope.only() else {
            return Err(QueryError::NotApplied {
                detail: "a scope over several datasets is not applied".to_owned(),
            });
        };
        Ok(Self {
            dataset,
            columns: only.columns.clone(),
            rows: only.rows.clone(),
            window: scope.window,
        })
    }
}
