//! What a holder declares about a collection: what queries below tier `records` are planned on.
//!
//! The holder of a grant sends it with the columns ([`grant_columns`](super::grant_columns)), and refuses a query that was planned on
//! something else by then. Nothing in it decides what is shown: that is in the scope, which both sides signed, and columns that it does not
//! show do not exist for a statistic, whatever the declarations name.

use std::collections::BTreeMap;

use concordat_engine::{
    ForeseenFigures, QueryError, ShownStatistics, foreseen, foreseen_in_collection, foreseen_statistic,
};
use concordat_protocol::ids::DatasetName;
use concordat_protocol::scope::Tier;
use datafusion::arrow::datatypes::SchemaRef;

use super::error::FederationError;
use super::source::Target;

/// What one permission shows of a collection.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Declared {
    /// The scope, the declarations, and the columns as they are stored.
    pub(super) statistics: ShownStatistics,
    /// The columns of each dataset as they are shown at tier `records`.
    pub(super) shown: BTreeMap<DatasetName, SchemaRef>,
}

impl Declared {
    /// The columns of the answer of `target` to `sql`.
    ///
    /// # Errors
    /// The error with which its holder would refuse the text.
    pub(super) async fn answer(&self, sql: &str, target: &Target) -> Result<SchemaRef, QueryError> {
        if target.tier < Tier::Records {
            return Ok(self.figures(sql, target).await?.columns);
        }
        match self.shown.get(&target.dataset.dataset) {
            Some(shown) if target.dataset.is_only() => {
                foreseen(sql, &target.dataset, target.version, shown, target.tier).await
            }
            Some(_) | None => {
                let collection = target.dataset.collection();
                foreseen_in_collection(sql, &collection, target.version, &self.shown).await
            }
        }
    }

    /// What the answer of `target`, which is below tier `records`, to `sql` will be.
    ///
    /// # Errors
    /// The error with which its holder would refuse the text.
    pub(super) async fn figures(&self, sql: &str, target: &Target) -> Result<ForeseenFigures, QueryError> {
        foreseen_statistic(sql, target.version, &self.statistics).await
    }
}

/// The error for a dataset of which nothing is declared that could be counted.
pub(super) fn not_declared(target: &Target) -> FederationError {
    FederationError::query(&target.dataset, nothing_declared())
}

/// The same without the dataset.
pub(super) fn nothing_declared() -> QueryError {
    QueryError::Invalid {
        detail: "its holder declares nothing of it that can be counted below tier `records`".to_owned(),
    }
}
