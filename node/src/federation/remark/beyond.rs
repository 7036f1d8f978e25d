//! Remarks on groups that have values beyond the declared edges.
//!
//! They follow from the text of a query and the declarations, and are the same whether there is such a value.

use concordat_documents::query::RemarkKind;
use concordat_engine::Beyond;

use super::Remark;

impl Remark {
    /// The remark on a group.
    pub(in crate::federation) fn of_values_beyond(beyond: &Beyond) -> Self {
        let text = match beyond {
            Beyond::Missing { column, from, to } => format!(
                "quarters and months of `{column}` are those between its outermost edges: rows with a day before or after them are in \
                 the group of those without a day, and with the condition `{column} >= {from} AND {column} < {to}` in none"
            ),
            Beyond::Outermost { column, first, last } => {
                let first = first.as_ref().map(|(label, edge)| {
                    let group = format!("the group {label} has all rows whose `{column}` is before {edge}");
                    (group, format!("`{column} >= {edge}`"))
                });
                let last = last.as_ref().map(|(label, edge)| {
                    let group = format!("the group {label} has all rows whose `{column}` is {edge} or after it");
                    (group, format!("`{column} < {edge}`"))
                });
                let (groups, conditions): (Vec<_>, Vec<_>) = first.into_iter().chain(last).unzip();
                format!(
                    "{}: no edge is declared beyond; the condition {} leaves them out",
                    groups.join(", and "),
                    conditions.join(" AND ")
                )
            }
        };
        Self::new(RemarkKind::ValuesBeyond, text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use concordat_documents::query::AnswerRemark;
    use concordat_protocol::scope::Value;

    use super::*;
    use crate::federation::report::QueryReport;

    fn text_of(group: Beyond) -> String {
        let report = QueryReport::default();
        report.beyond(&BTreeSet::from([group]));
        assert!(report.require_complete().is_ok(), "no part of a member is missing");
        let [remark] = <[AnswerRemark; 1]>::try_from(report.summary().remarks).unwrap();
        assert_eq!(remark.kind, RemarkKind::ValuesBeyond);
        remark.text
    }

    #[test]
    fn report_of_values_beyond_names_the_condition() {
        let text = text_of(Beyond::Missing {
            column: "day".to_owned(),
            from: Value::Date(0),
            to: Value::Date(366),
        });
        let condition = "`day >= DATE '1970-01-01' AND day < DATE '1971-01-02'`";
        assert!(text.contains(condition), "{text}");
    }

    #[test]
    fn report_of_outermost_groups_names_each_that_has_more() {
        let outermost = |first: Option<i64>, last: Option<i64>| {
            text_of(Beyond::Outermost {
                column: "born".to_owned(),
                first: first.map(|label| (Value::Int(label), Value::Int(1950))),
                last: last.map(|label| (Value::Int(label), Value::Int(2010))),
            })
        };
        let both = outermost(Some(1940), Some(2010));
        assert!(
            both.contains("the group 1940 has all rows whose `born` is before 1950"),
            "{both}"
        );
        assert!(
            both.contains("and the group 2010 has all rows whose `born` is 2010 or after it"),
            "{both}"
        );
        assert!(both.contains("`born >= 1950` AND `born < 2010`"), "{both}");
        let first = outermost(Some(1940), None);
        assert!(first.contains("`born >= 1950`") && !first.contains("2010"), "{first}");
        let last = outermost(None, Some(2010));
        assert!(last.contains("`born < 2010`") && !last.contains("1950"), "{last}");
    }
}
