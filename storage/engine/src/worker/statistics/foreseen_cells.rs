//! How many cells an answer below tier `records` distinguishes, before anything is computed.

use std::sync::Arc;

use concordat_protocol::{ids::DatasetName, schema::VersionNumber, scope::Tier};

use super::{
    foreseen::ShownStatistics,
    planned::{Planned, planned},
    task::Planning,
    tier::check_tier,
};
use crate::{Bounds, QueryError, statistic::Statistic};

/// The cells of all groupings of a text, missing values and those that will not be shown among them: of a text with one grouping the rows of
/// its answer, before `HAVING` and `LIMIT`. It is 1 at tier `exists`, and without groups.
///
/// It walks the text recursively, so it needs a thread with a large stack, as in an engine process.
///
/// # Errors
/// The error with which the holder would refuse the text.
pub async fn foreseen_cells(
    sql: &str,
    version: Option<VersionNumber>,
    shown: &ShownStatistics,
) -> Result<u64, QueryError> {
    let columns = |name: &DatasetName| shown.columns.get(name).map(Arc::clone);
    let scoped = (shown.scope.clone(), shown.rules.clone());
    let planning = Planning::over(&columns, scoped, (sql, version), &Bounds::default())?;
    let Planned { lowered, known, .. } = planned(&planning).await?;
    let statistics: Vec<Statistic> = lowered.blocks.iter().map(|block| block.statistic.clone()).collect();
    check_tier(shown.scope.tier, &statistics)?;
    if shown.scope.tier == Tier::Exists {
        return Ok(1);
    }
    let cells = statistics.iter().map(|statistic| statistic.grid(&known));
    let cells = cells.fold(0, usize::saturating_add);
    Ok(u64::try_from(cells).unwrap_or(u64::MAX))
}
