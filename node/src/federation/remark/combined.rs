//! Remarks on figures that are combined from the parts of several members.

use concordat_documents::query::RemarkKind;
use concordat_protocol::ids::DatasetRef;

use super::{Remark, listed};

impl Remark {
    /// `column` adds what several members count, and a person may be at more than one of them.
    pub(in crate::federation) fn counted_at_each_member(column: &str) -> Self {
        let text = format!(
            "`{column}` adds the subjects of each member: a person who is at two members counts twice, because no member knows who is at \
             another one"
        );
        Self::of_figures(text).on_column(column)
    }

    /// The edges of `column` differ between members, so it has the levels with these labels, which all members have.
    pub(in crate::federation) fn levels_of_all(column: &str, labels: &[String]) -> Self {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let text = format!(
            "members declare other levels of `{column}`, so it has those that all of them have: {}",
            labels.join(", ")
        );
        Self::of_figures(text).on_column(column)
    }

    /// `dataset` does not list the values with these labels in `column`, which other members list.
    pub(in crate::federation) fn unlisted_values(dataset: &DatasetRef, column: &str, labels: &[String]) -> Self {
        let text = format!(
            "`{dataset}` does not list {} in `{column}`: it has no part in rows of these values, and none in those of all other values",
            listed(labels.iter().map(|label| format!("`{label}`")), ", ")
        );
        Self::about(RemarkKind::CombinedParts, dataset, text).on_column(column)
    }

    /// The parts of members are protected in different ways, as `protections` lists them; those that are `weakest` are the least precise.
    pub(in crate::federation) fn mixed_protections(weakest: &str, protections: &[String]) -> Self {
        Self::of_figures(format!(
            "the parts of members are not alike ({}), and what is combined of them is as precise as the {weakest} ones",
            protections.join(", ")
        ))
    }

    fn of_figures(text: String) -> Self {
        Self::new(RemarkKind::CombinedParts, text)
    }
}
