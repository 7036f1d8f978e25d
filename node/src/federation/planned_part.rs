//! What members would be queried for, as the engine process has planned it.

use datafusion::arrow::datatypes::{DataType, Schema};
use serde::{Deserialize, Serialize};

use super::error::FederationError;
use super::plan::LocalPlan;
use super::source::{MemberQuery, Target};

/// About how many bytes a text takes: codes and names, not reports.
const TEXT_BYTES: u64 = 16;

/// The rows that an answer can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum AnswerRows {
    /// One.
    One,
    /// One for each group.
    Groups,
    /// Those of the dataset, or what its holder computes from them.
    Records,
}

/// What one member is queried for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlannedPart {
    /// The number of the target, as in [`Tables::targets`](super::tables::Tables::targets).
    pub(super) target: usize,
    /// The text; `None` if records are read whose columns and conditions are decided when they are.
    pub(super) sql: Option<String>,
    /// The rows of the answer.
    pub(super) rows: AnswerRows,
    /// About how many bytes a row of it takes; `None` as for the text.
    pub(super) row_bytes: Option<u64>,
    /// How many cells it has by the declarations of its columns, if it is a part of figures over several members.
    pub(super) cells: Option<u64>,
    /// How many figures of each group are requested, as [`MemberQuery::figures`].
    pub(super) figures: Option<u64>,
}

impl PlannedPart {
    /// The part of a target that gets `query`.
    pub(super) fn of_query(target: usize, query: &MemberQuery, rows: AnswerRows) -> Self {
        Self {
            target,
            sql: Some(query.sql.clone()),
            rows,
            row_bytes: Some(row_bytes(&query.schema)),
            cells: None,
            figures: query.figures,
        }
    }

    /// The part of a target whose records are transferred.
    pub(super) const fn of_records(target: usize) -> Self {
        Self {
            target,
            sql: None,
            rows: AnswerRows::Records,
            row_bytes: None,
            cells: None,
            figures: None,
        }
    }
}

/// The parts of a query that this node computes; `number_of` is the number of a target.
///
/// # Errors
/// Those of `number_of`.
pub(super) fn parts_of(
    local: &LocalPlan,
    number_of: impl Fn(&Target) -> Result<usize, FederationError>,
) -> Result<Vec<PlannedPart>, FederationError> {
    let mut parts = Vec::new();
    for fragment in &local.fragments {
        let cells = fragment.cells.as_ref().map(|cells| cells.cells);
        for part in &fragment.queries {
            let rows = match part.query.grouped {
                true => AnswerRows::Groups,
                false => AnswerRows::One,
            };
            let planned = PlannedPart::of_query(number_of(&part.target)?, &part.query, rows);
            parts.push(PlannedPart {
                cells: cells.and_then(|cells| u64::try_from(cells).ok()),
                ..planned
            });
        }
    }
    for target in local.records.iter().flat_map(|(_, targets)| targets) {
        parts.push(PlannedPart::of_records(number_of(target)?));
    }
    Ok(parts)
}

/// About how many bytes a row with these columns takes.
pub(super) fn row_bytes(schema: &Schema) -> u64 {
    let fields = schema.fields().iter();
    fields
        .map(|field| bytes_of(field.data_type()))
        .fold(0, u64::saturating_add)
}

fn bytes_of(kind: &DataType) -> u64 {
    match kind.primitive_width() {
        Some(width) => u64::try_from(width).unwrap_or(TEXT_BYTES),
        None if matches!(kind, DataType::Boolean) => 1,
        None => TEXT_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use concordat_protocol::scope::Tier;

    use super::*;
    use crate::federation::plan::Plan;
    use crate::federation::testing::{Dataset, Institutions, ints, texts};

    fn heart(name: &'static str, tier: Tier) -> Dataset {
        Dataset::new(name, tier, vec![("age", ints(&[41])), ("ward", texts(&["a"]))])
    }

    /// The parts of `sql` over a dataset of two members, the targets numbered by their members.
    async fn parts(sql: &str, tier: Tier) -> Vec<PlannedPart> {
        let all = Arc::new(Institutions::new(vec![
            heart("aachen.heart", tier),
            heart("basel.heart", Tier::Records),
        ]));
        let (plan, _) = all.plan(sql).await;
        let Plan::Local(local) = plan.unwrap() else {
            panic!("{sql}: one member answers it");
        };
        let number_of = |target: &Target| Ok(usize::from(target.dataset.institution.as_str() == "basel"));
        parts_of(&local, number_of).unwrap()
    }

    fn summary(parts: &[PlannedPart]) -> Vec<(usize, bool, AnswerRows)> {
        let each = parts.iter();
        each.map(|part| (part.target, part.sql.is_some(), part.rows)).collect()
    }

    #[tokio::test]
    async fn planned_parts_are_those_of_each_member() {
        let grouped = parts(
            "SELECT ward, count(*) AS n FROM consortium.heart GROUP BY ward",
            Tier::Aggregate,
        );
        let grouped = grouped.await;
        assert_eq!(
            summary(&grouped),
            [(0, true, AnswerRows::Groups), (1, true, AnswerRows::Groups)]
        );
        // Each figure is one of the holder's, and records have none.
        let figures: Vec<Option<u64>> = grouped.iter().map(|part| part.figures).collect();
        assert_eq!(figures, [Some(1), None], "{grouped:?}");
        // One listed value, all others, and missing ones.
        assert!(grouped.iter().all(|part| part.cells == Some(3)), "{grouped:?}");
        let total = parts("SELECT count(*) AS n FROM consortium.heart", Tier::Aggregate).await;
        assert_eq!(
            summary(&total),
            [(0, true, AnswerRows::One), (1, true, AnswerRows::One)]
        );
        let records = parts("SELECT age FROM consortium.heart", Tier::Records).await;
        assert_eq!(
            summary(&records),
            [(0, false, AnswerRows::Records), (1, false, AnswerRows::Records)]
        );
        let excluded =
            "SELECT count(*) AS n, institution FROM consortium.heart WHERE institution = 'basel' GROUP BY institution";
        let excluded = parts(excluded, Tier::Aggregate).await;
        assert!(excluded.iter().all(|part| part.target == 1), "{excluded:?}");
    }

    #[test]
    fn row_of_an_answer_takes_the_bytes_of_its_columns() {
        let columns = heart("aachen.heart", Tier::Records).schema();
        assert_eq!(row_bytes(&columns), 8 + TEXT_BYTES);
        assert_eq!(row_bytes(&Schema::empty()), 0);
        assert_eq!(bytes_of(&DataType::Boolean), 1);
        assert_eq!(bytes_of(&DataType::Date32), 4);
        assert_eq!(bytes_of(&DataType::Utf8View), TEXT_BYTES);
    }
}
