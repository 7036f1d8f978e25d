//! What of a collection a statistic depends on: the columns whose levels decide it, and the datasets whose rows it reads.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::ids::{ColumnName, DatasetName, LevelName};

use super::{
    block::{Measured, Statistic},
    measure::{CellAggregate, Group},
    paths::ColumnPath,
    terms::{Condition, Day, EventSet, KeyList, Quantity, SubjectValue},
};

/// Datasets, columns and other declarations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// The datasets.
    pub(crate) datasets: BTreeSet<DatasetName>,
    /// The columns, each with the coarser levels by which it is grouped.
    pub(crate) columns: BTreeMap<(DatasetName, ColumnName), BTreeSet<LevelName>>,
    /// Those of them that decide in which group a row is.
    pub(crate) grouped: BTreeSet<(DatasetName, ColumnName)>,
    /// Whether it depends on the declared numbers of days.
    pub(crate) has_days: bool,
    /// The datasets whose declared numbers of rows of a subject it depends on.
    pub(crate) counted: BTreeSet<DatasetName>,
}

impl Statistic {
    /// What it depends on.
    pub(crate) fn used(&self) -> Used {
        let mut used = Used::default();
        if let Measured::Rows(dataset) = self.measured() {
            used.datasets.insert(dataset.clone());
        }
        for group in self.groups() {
            used.group(group);
        }
        used.grouped = used.columns.keys().cloned().collect();
        used.condition(self.rows());
        for cell in self.cells() {
            used.cell(cell);
        }
        used
    }
}

impl Used {
    /// What either depends on.
    pub(crate) fn extend(&mut self, other: Self) {
        let Self {
            datasets,
            columns,
            grouped,
            has_days,
            counted,
        } = other;
        for (column, levels) in columns {
            self.columns.entry(column).or_default().extend(levels);
        }
        self.datasets.extend(datasets);
        self.grouped.extend(grouped);
        self.has_days |= has_days;
        self.counted.extend(counted);
    }

    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::All | Condition::Never => {}
            Condition::Test(of, _) => self.quantity(of),
            Condition::Events { of, .. } => self.events(of),
            Condition::Listed { of, list, .. } => {
                self.column(of);
                let KeyList { dataset, key, rows } = list.as_ref();
                self.named(dataset, key);
                self.condition(rows);
            }
            Condition::Reference { of, .. } | Condition::OtherRow { key: of, .. } => self.column(of),
            Condition::And(parts) | Condition::Or(parts) => {
                for part in parts {
                    self.condition(part);
                }
            }
        }
    }

    fn quantity(&mut self, of: &Quantity) {
        match of {
            Quantity::Column(path) | Quantity::InText(path) => self.column(path),
            Quantity::Seconds { from, to } => {
                // The longest one is the range.
                self.has_days = true;
                self.column(from);
                self.column(to);
            }
            Quantity::Days { from, to } => {
                self.has_days = true;
                self.day(from);
                self.day(to);
            }
            Quantity::Age { born, at } => {
                self.column(born);
                self.day(at);
            }
            Quantity::Linear { terms, .. } => {
                for (_, path) in terms {
                    self.column(path);
                }
            }
            Quantity::OfSubject { of, value } => self.subject_value(of, value),
        }
    }

    fn day(&mut self, day: &Day) {
        match day {
            Day::Column(path) => self.column(path),
            Day::OfSubject { of, value } => self.subject_value(of, value),
        }
    }

    fn subject_value(&mut self, of: &EventSet, value: &SubjectValue) {
        self.events(of);
        match value {
            SubjectValue::Count => {
                self.counted.insert(of.dataset.clone());
            }
            SubjectValue::First(column) | SubjectValue::Last(column) => self.named(&of.dataset, column),
        }
    }

    fn events(&mut self, of: &EventSet) {
        self.datasets.insert(of.dataset.clone());
        self.condition(&of.rows);
    }

    fn column(&mut self, path: &ColumnPath) {
        for step in path.via() {
            self.datasets.insert(step.to().clone());
        }
        self.named(path.dataset(), path.column());
    }

    fn named(&mut self, dataset: &DatasetName, column: &ColumnName) {
        self.datasets.insert(dataset.clone());
        self.columns.entry((dataset.clone(), column.clone())).or_default();
    }

    fn group(&mut self, group: &Group) {
        match group {
            Group::Levels { of, level, .. } => {
                self.quantity(of);
                if let (Quantity::Column(path) | Quantity::InText(path), Some(level)) = (of, level) {
                    let of = (path.dataset().clone(), path.column().clone());
                    self.columns.entry(of).or_default().insert(level.clone());
                }
            }
            Group::Buckets { of, .. } => self.quantity(of),
            Group::Codes { of, .. } => self.column(of),
            Group::Cases { cases, .. } => {
                for (condition, _) in cases {
                    self.condition(condition);
                }
            }
        }
    }

    fn cell(&mut self, cell: &CellAggregate) {
        self.condition(cell.filter());
        match cell {
            CellAggregate::Subjects { .. } | CellAggregate::Rows { .. } => {}
            CellAggregate::Moments { of, with, .. } => {
                self.quantity(of);
                if let Some(with) = with {
                    self.quantity(with);
                }
            }
            CellAggregate::Quantile { of, .. } => self.quantity(of),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistic::tests::collections::Collection;

    fn used(sql: &str) -> Used {
        let mut lowered = Collection::named("omop").lower(sql).unwrap();
        lowered.blocks.remove(0).statistic.used()
    }

    fn columns(used: &Used) -> Vec<String> {
        let names = used.columns.keys();
        names.map(|(dataset, column)| format!("{dataset}.{column}")).collect()
    }

    #[test]
    fn statistic_depends_on_columns_of_conditions_and_groups() {
        let found = used(
            "SELECT p.gender_source_value, avg(p.year_of_birth) AS m FROM person p WHERE EXISTS (SELECT 1 FROM drug_exposure d \
             WHERE d.person_id = p.person_id AND d.days_supply > 30) GROUP BY p.gender_source_value",
        );
        assert_eq!(
            columns(&found),
            [
                "drug_exposure.days_supply",
                "person.gender_source_value",
                "person.year_of_birth"
            ]
        );
        let grouped: Vec<&str> = found.grouped.iter().map(|(_, column)| column.as_str()).collect();
        assert_eq!(grouped, ["gender_source_value"]);
        let datasets: Vec<&str> = found.datasets.iter().map(DatasetName::as_str).collect();
        assert_eq!(datasets, ["drug_exposure", "person"]);
        assert!(!found.has_days && found.counted.is_empty());
    }

    #[test]
    fn statistic_depends_on_days_and_numbers_of_rows() {
        let days =
            used("SELECT count(*) AS n FROM visit_occurrence v WHERE v.visit_end_date - v.visit_start_date <= 7");
        assert!(days.has_days);
        let counted = used(
            "SELECT count(DISTINCT p.person_id) AS n FROM person p WHERE p.person_id IN \
             (SELECT person_id FROM visit_occurrence GROUP BY person_id HAVING count(*) > 2)",
        );
        assert!(
            counted
                .counted
                .iter()
                .any(|dataset| dataset.as_str() == "visit_occurrence")
        );
    }
}
