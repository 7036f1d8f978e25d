//! The fresh process: it sees released cells, and nothing else.

use concordat_protocol::scope::Tier;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    existence::existence,
    planned::{Planned, planned},
    task::AboveTask,
};
use crate::{
    QueryError,
    decision::{cells_tables, computed_above},
    disclosure::{RawAnswer, RawBatch},
    error_capture::CapturedError,
    text,
    worker::messages::{decode, failed},
};

/// What a text computes of the released cells of its groupings.
///
/// # Errors
/// [`QueryError`]; also if the text does not have the groupings that were decided.
pub(in crate::worker) async fn computed(body: &[u8]) -> Result<RawAnswer, QueryError> {
    let task: AboveTask = decode(body)?;
    let Planned { lowered, known, state } = planned(&task.planning).await?;
    let statistics = lowered.blocks.iter().map(|block| block.statistic.to_bytes());
    if !statistics.eq(task.statistics.iter().cloned()) {
        return Err(failed());
    }
    let released = task.released()?;
    if task.planning.scope.tier == Tier::Exists {
        let batch = existence(&released, &task.planning.scope)?;
        return Ok(RawAnswer {
            schema: batch.schema(),
            batches: stream::iter([Ok(RawBatch::from(batch))]).boxed(),
        });
    }
    let tables = cells_tables(&lowered, &known, &released)?;
    let dataset = task.planning.dataset().ok_or(failed())?;
    let stream = computed_above(&state, &lowered, &tables, &dataset).await?;
    let schema = text::owned_schema(&stream.schema())?;
    let owned = schema.clone();
    let batches = stream.map_err(|error| QueryError::running(&error, &CapturedError::default()));
    let batches = batches.map(move |batch| text::owned(&batch?, &owned).map(RawBatch::from));
    Ok(RawAnswer {
        schema,
        batches: batches.boxed(),
    })
}
