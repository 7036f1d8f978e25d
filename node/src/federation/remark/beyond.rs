//! Remarks on groups by quarters and months, which dates beyond the declared edges do not have.
//!
//! They follow from the text of a query and the declarations, and are the same whether there is such a date.

use concordat_documents::query::RemarkKind;
use concordat_engine::DatesBeyond;

use super::Remark;

impl Remark {
    /// The remark on a group.
    pub(in crate::federation) fn of_dates_beyond(DatesBeyond { column, from, to }: &DatesBeyond) -> Self {
        let text = format!(
            "quarters and months of `{column}` are those between its outermost edges: rows with a day before or after them are in \
             the group of those without a day, and with the condition `{column} >= {from} AND {column} < {to}` in none"
        );
        Self::new(RemarkKind::DatesBeyond, text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use concordat_documents::query::AnswerRemark;
    use concordat_protocol::scope::Value;

    use super::*;
    use crate::federation::report::QueryReport;

    #[test]
    fn report_of_dates_beyond_names_the_condition() {
        let report = QueryReport::default();
        let group = DatesBeyond {
            column: "day".to_owned(),
            from: Value::Date(0),
            to: Value::Date(366),
        };
        report.beyond(&BTreeSet::from([group]));
        assert!(report.require_complete().is_ok(), "no part of a member is missing");
        let [remark] = <[AnswerRemark; 1]>::try_from(report.summary().remarks).unwrap();
        assert_eq!(remark.kind, RemarkKind::DatesBeyond);
        let condition = "`day >= DATE '1970-01-01' AND day < DATE '1971-01-02'`";
        assert!(remark.text.contains(condition), "{}", remark.text);
    }
}
