//! Answers about a canary, by the steps of answers below tier `records`.

use std::time::Duration;

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, Float64Type},
};
use concordat_protocol::{
    probe::ProbedCell,
    scope::{Finite, Scope},
    text::Label,
};
use futures::TryStreamExt as _;

use super::{
    Workers,
    answered::Answered,
    disclosed::{Decided, Deciding, Statement},
};
use crate::{
    QueryError,
    canary::CanaryCollection,
    run::with_deadline,
    worker::{messages::failed, process::MAX_PRIORITY_STEPS},
};

/// Most cells of an answer. The statements of a probe have fewer than a dozen groups.
const MAX_CELLS: usize = 64;

impl Workers {
    /// Answers a statement about a canary within `scope`, as [`Workers::disclosed`]: in the same processes, with the same decision. It takes no
    /// permit, because nothing in a canary was stored by anyone, and no other collection. The processes have the lowest priority.
    ///
    /// # Errors
    /// As [`Workers::disclosed`].
    pub async fn probed(
        &self,
        canary: &CanaryCollection,
        scope: &Scope,
        sql: &str,
        mut deciding: Deciding<'_>,
        time: Duration,
    ) -> Result<Vec<ProbedCell>, QueryError> {
        let statement = Statement {
            collection: canary,
            rules: canary.rules(),
            scope,
            text: (sql, None),
            answered: Answered::Canary,
            steps: MAX_PRIORITY_STEPS,
        };
        let sleep = tokio::time::sleep(time.min(self.0.bounds.time));
        let work = async {
            let Decided { mut raw, .. } = self.decided(statement, &self.0.bounds, &mut deciding).await?;
            let mut cells = Vec::new();
            while let Some(batch) = raw.batches.try_next().await? {
                cells.extend(probed_cells(&batch.rows)?);
                if cells.len() > MAX_CELLS {
                    return Err(failed());
                }
            }
            Ok(cells)
        };
        let (cells, _) = with_deadline(sleep, work).await?;
        Ok(cells)
    }
}

/// The cells of rows with a figure, and before it a label or nothing.
fn probed_cells(rows: &RecordBatch) -> Result<Vec<ProbedCell>, QueryError> {
    let (label, figure) = match rows.columns() {
        [figure] => (None, figure),
        [label, figure] => (Some(label), figure),
        _ => return Err(failed()),
    };
    let figures = cast(figure, &DataType::Float64).map_err(|_| failed())?;
    let figures = figures.as_primitive_opt::<Float64Type>().ok_or(failed())?;
    let labels = label.map(texts).transpose()?;
    let label = |at: usize| {
        let labels = labels.as_ref().filter(|labels| labels.is_valid(at));
        labels.map(|labels| Label::sanitized(labels.value(at)))
    };
    let cells = figures.iter().enumerate().map(|(at, figure)| {
        let value = figure.map(Finite::new).transpose().map_err(|_| failed());
        value.map(|value| ProbedCell {
            label: label(at),
            value,
        })
    });
    cells.collect()
}

fn texts(labels: &ArrayRef) -> Result<StringArray, QueryError> {
    let texts = cast(labels, &DataType::Utf8).map_err(|_| failed())?;
    texts.as_string_opt::<i32>().cloned().ok_or(failed())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array};

    use super::*;

    fn cell(label: Option<&str>, value: Option<f64>) -> ProbedCell {
        ProbedCell {
            label: label.map(|label| Label::new(label).unwrap()),
            value: value.map(|value| Finite::new(value).unwrap()),
        }
    }

    #[test]
    fn probed_cells_have_labels_and_figures_of_any_type() {
        let labels: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(1), None]));
        let counts: ArrayRef = Arc::new(Int64Array::from(vec![Some(40), None, None]));
        let rows = RecordBatch::try_from_iter_with_nullable([("cell", labels, true), ("n", counts, true)]).unwrap();
        let expected = [cell(Some("0"), Some(40.0)), cell(Some("1"), None), cell(None, None)];
        assert_eq!(probed_cells(&rows).unwrap(), expected);
        let mean: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5)]));
        let rows = RecordBatch::try_from_iter_with_nullable([("n", mean, true)]).unwrap();
        assert_eq!(probed_cells(&rows).unwrap(), [cell(None, Some(0.5))]);
        let infinite: ArrayRef = Arc::new(Float64Array::from(vec![f64::INFINITY]));
        let rows = RecordBatch::try_from_iter_with_nullable([("n", infinite, true)]).unwrap();
        assert!(probed_cells(&rows).is_err());
    }
}
