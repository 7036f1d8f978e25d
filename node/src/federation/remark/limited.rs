//! Remarks on values that figures limit to a declared range, and on quantiles within bands.
//!
//! They follow from the text of a query and the declarations, and are the same whatever the values are.

use concordat_documents::query::RemarkKind;
use concordat_engine::{LimitedFigures, LimitedValues};
use concordat_protocol::ids::DatasetRef;

use super::Remark;

impl Remark {
    /// What figures of `dataset` are computed of, as its holder declares it.
    pub(in crate::federation) fn of_limits(dataset: &DatasetRef, limited: &LimitedValues) -> Self {
        let LimitedValues { column, figures, .. } = limited;
        let holder = &dataset.institution;
        let range = format!("{} to {}", limited.low.get(), limited.high.get());
        let (kind, text) = match figures {
            LimitedFigures::Sums => (
                RemarkKind::LimitedValues,
                format!(
                    "{holder} limits `{column}` to {range}: values beyond count as the nearest end, in sums, means and the like"
                ),
            ),
            LimitedFigures::Quantiles => (
                RemarkKind::QuantilesInBands,
                format!(
                    "quantiles of `{column}` are estimated from numbers in bands, the levels that {holder} declares or 64 equal parts of \
                     {range}: within a band, values count as evenly distributed"
                ),
            ),
        };
        Self::about(kind, dataset, text).on_column(column)
    }

    /// All members limit the values of `column` to this range.
    pub(in crate::federation) fn range_of_members(column: &str, range: &str) -> Self {
        let text =
            format!("each member limits the values in `{column}` to {range}: values beyond count as the nearest end");
        Self::new(RemarkKind::LimitedValues, text).on_column(column)
    }

    /// Members limit the values of `column` to different ranges, as `ranges` lists them.
    pub(in crate::federation) fn ranges_of_members(column: &str, ranges: &[String]) -> Self {
        let text = format!(
            "each member limits the values in `{column}` to the range that it declares: {}; values beyond count as the nearest end",
            ranges.join(", ")
        );
        Self::new(RemarkKind::LimitedValues, text).on_column(column)
    }
}
