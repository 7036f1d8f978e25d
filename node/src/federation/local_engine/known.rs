//! Queries that one member answers as a whole, and that were planned before.
//!
//! A dashboard or a script sends one text again and again. Which member answers it, and with which columns, follows from the text and from the
//! tables that the grants show, and from no row; of the time only the day counts, for `current_date`. So no process plans it again on that day. What is computed in a process is planned there.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use concordat_protocol::ids::DatasetRef;

use super::computation::Planned;
use crate::federation::remark::Remark;
use crate::federation::report::QueryReport;
use crate::federation::source::{MemberQuery, Target};
use crate::federation::tables::Tables;

/// Most plans that are known; the one that was used least recently is dropped.
const MAX_PLANS: usize = 64;
/// Longest text that is kept, in bytes.
const MAX_TEXT: usize = 4096;
/// Most columns of all members of its tables, and of those that are declared, with which a plan is kept: all plans take some ten megabytes.
const MAX_COLUMNS: usize = 1000;

/// The known plans, most recently used last.
#[derive(Debug, Default)]
pub(in crate::federation) struct KnownQueries(Mutex<VecDeque<(PlanKey, Known)>>);

/// All that a plan depends on.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::federation) struct PlanKey {
    sql: String,
    day: i32,
    tables: Tables,
    remarks: Vec<Remark>,
    left_out: Vec<(DatasetRef, Remark)>,
}

/// A query for one member, and the remarks after it was planned.
#[derive(Clone, Debug)]
struct Known {
    target: Target,
    query: MemberQuery,
    remarks: Vec<Remark>,
}

impl PlanKey {
    /// The key of `sql` over `tables`, before it is planned on a day, in days since 1970-01-01.
    pub(in crate::federation) fn new((sql, day): (&str, i32), tables: &Tables, report: &QueryReport) -> Self {
        Self {
            sql: sql.to_owned(),
            day,
            tables: tables.clone(),
            remarks: report.remarks(),
            left_out: report.undecided(),
        }
    }

    /// The number of columns of all members, and of those that are declared.
    fn columns(&self) -> usize {
        let members = self.tables.iter().flat_map(|(_, table)| &table.members);
        let shown = members.map(|member| member.schema.fields().len());
        let declared = self.tables.declarations().map(|(_, _, declared)| {
            let datasets = declared.statistics.rules.datasets();
            datasets.map(|(_, dataset)| dataset.columns().count()).sum::<usize>()
        });
        shown.chain(declared).fold(0, usize::saturating_add)
    }
}

impl KnownQueries {
    /// The plan for `key`, if it is known; what is missing is in `report` then.
    pub(in crate::federation) fn find(&self, key: &PlanKey, report: &QueryReport) -> Option<Planned> {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = plans.iter().position(|(of, _)| of == key)?;
        let found = plans.remove(at)?;
        let Known { target, query, remarks } = found.1.clone();
        plans.push_back(found);
        report.decided(remarks);
        Some(Planned::Whole { target, query })
    }

    /// Keeps the plan for `key`, if one member answers the query; `report` is the one after it was planned.
    pub(in crate::federation) fn keep(&self, key: PlanKey, planned: &Planned, report: &QueryReport) {
        let Planned::Whole { target, query } = planned else {
            return;
        };
        if key.sql.len() > MAX_TEXT || key.columns() > MAX_COLUMNS {
            return;
        }
        let known = Known {
            target: target.clone(),
            query: query.clone(),
            remarks: report.remarks(),
        };
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans.retain(|(of, _)| *of != key);
        if plans.len() >= MAX_PLANS {
            plans.pop_front();
        }
        plans.push_back((key, known));
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::scope::Tier;

    use super::*;
    use crate::federation::statement::ParsedQuery;
    use crate::federation::testing::{Dataset, Institutions, ints, texts};

    const SQL: &str = "SELECT x FROM consortium.heart";

    fn key(sql: &str, datasets: Vec<Dataset>, report: &QueryReport) -> PlanKey {
        let parsed = ParsedQuery::parse(SQL).unwrap();
        PlanKey::new(
            (sql, 20_787),
            &Institutions::new(datasets).tables_of(&parsed, report),
            report,
        )
    }

    fn heart(tier: Tier) -> Dataset {
        Dataset::new("aachen.heart", tier, vec![("x", ints(&[1]))])
    }

    fn planned() -> Planned {
        let heart = heart(Tier::Records);
        Planned::Whole {
            target: heart.target(),
            query: MemberQuery {
                sql: "SELECT x FROM heart".to_owned(),
                schema: heart.schema(),
                grouped: false,
                figures: None,
            },
        }
    }

    #[test]
    fn known_query_is_that_of_the_same_text_tables_and_remarks() {
        let report = QueryReport::default();
        let known = KnownQueries::default();
        let records = || vec![heart(Tier::Records)];
        let remark = Remark::renamed("x", "x_2");
        known.keep(
            key(SQL, records(), &report),
            &planned(),
            &QueryReport::of(vec![remark.clone()], Vec::new()),
        );
        let found = known.find(&key(SQL, records(), &report), &report);
        assert!(matches!(found, Some(Planned::Whole { query, .. }) if query.sql == "SELECT x FROM heart"));
        assert_eq!(report.remarks(), [remark], "the remarks of the plan are part of it");

        let fresh = QueryReport::default();
        let text = Dataset::new("aachen.heart", Tier::Records, vec![("x", texts(&["a"]))]);
        let dataset = heart(Tier::Records).target().dataset;
        let left_out = QueryReport::default();
        left_out.leave_out(&dataset, Remark::missing_member(&dataset, "it cannot be reached"));
        for other in [
            key("SELECT X FROM consortium.heart", records(), &fresh),
            key(SQL, vec![heart(Tier::Aggregate)], &fresh),
            key(SQL, vec![text], &fresh),
            key(SQL, records(), &left_out),
            key(SQL, records(), &report),
            PlanKey {
                day: 20_788,
                ..key(SQL, records(), &fresh)
            },
        ] {
            assert!(known.find(&other, &fresh).is_none(), "{other:?}");
        }
    }

    #[test]
    fn known_queries_are_bounded() {
        let report = QueryReport::default();
        let known = KnownQueries::default();
        let key = |number: usize| key(&format!("{SQL} LIMIT {number}"), vec![heart(Tier::Records)], &report);
        for number in 0..MAX_PLANS {
            known.keep(key(number), &planned(), &report);
        }
        assert!(known.find(&key(0), &report).is_some());
        known.keep(key(MAX_PLANS), &planned(), &report);
        assert!(known.find(&key(0), &report).is_some());
        assert!(known.find(&key(1), &report).is_none());
        let long = PlanKey {
            sql: "x".repeat(MAX_TEXT + 1),
            ..key(0)
        };
        known.keep(long.clone(), &planned(), &report);
        assert!(known.find(&long, &report).is_none());
    }
}
