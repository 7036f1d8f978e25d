//! Remarks on columns that have another name in an answer.

use concordat_documents::query::RemarkKind;
use concordat_protocol::ids::DatasetRef;

use super::Remark;
use crate::federation::union_table::INSTITUTION;

impl Remark {
    /// The second column called `name` is `other` in the answer.
    pub(in crate::federation) fn renamed(name: &str, other: &str) -> Self {
        let text = format!("another column is called `{name}` too, so this one is `{other}` in the answer");
        Self::new(RemarkKind::RenamedColumn, text).on_column(other)
    }

    /// The column `own` of `dataset` is `name` in the table of all members, in which `own` is the institution of a row.
    pub(in crate::federation) fn renamed_at(dataset: &DatasetRef, own: &str, name: &str) -> Self {
        let text = format!(
            "`{dataset}` has a column `{own}`, which is `{name}` here: over all members, `{INSTITUTION}` is the member of each row"
        );
        Self::about(RemarkKind::RenamedColumn, dataset, text).on_column(name)
    }
}
