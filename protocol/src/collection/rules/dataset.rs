//! What is declared about one dataset.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::kind::{ColumnRole, CountLevels, DatasetKind, KeyLink};
use super::super::levels::Contents;
use super::super::lists;
use super::column::{ColumnForm, ColumnRules, RawColumnRules};
use super::error::{Errors, MAX_COLUMNS, RuleProblem};
use crate::ids::{ColumnName, DatasetName};

/// What a steward declares about one dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct RawDatasetRules {
    /// How its rows lead to a subject.
    pub kind: DatasetKind,
    /// The rules of columns; others have none.
    pub columns: BTreeMap<ColumnName, RawColumnRules>,
    /// The column with the date on which a row happened.
    pub event_date: Option<ColumnName>,
    /// How many rows a condition may require of a subject.
    pub counts: CountLevels,
}

impl Default for RawDatasetRules {
    /// A dataset without declarations: outside of every statistic.
    fn default() -> Self {
        Self {
            kind: DatasetKind::Unowned,
            columns: BTreeMap::new(),
            event_date: None,
            counts: CountLevels::default(),
        }
    }
}

/// The rules of one dataset, with an entry for each of its columns. They are valid as a part of
/// [`CollectionRules`](super::super::CollectionRules), and exist nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatasetRules {
    pub(super) kind: DatasetKind,
    pub(super) columns: BTreeMap<ColumnName, ColumnRules>,
    pub(super) event_date: Option<ColumnName>,
    pub(super) counts: CountLevels,
}

/// Rules of one dataset as they were decoded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatasetForm {
    kind: DatasetKind,
    #[serde(deserialize_with = "lists::map::<_, _, _, MAX_COLUMNS>")]
    columns: BTreeMap<ColumnName, ColumnForm>,
    event_date: Option<ColumnName>,
    counts: CountLevels,
}

impl DatasetRules {
    /// The rules of a dataset with these columns.
    pub(super) fn of(
        name: &DatasetName,
        raw: RawDatasetRules,
        known: &BTreeMap<ColumnName, Contents>,
        errors: &mut Errors,
    ) -> Self {
        let mut declared = raw.columns;
        let mut columns = BTreeMap::new();
        for (column, contents) in known {
            let (rules, problems) = ColumnRules::of(declared.remove(column).unwrap_or_default(), *contents);
            for problem in problems {
                errors.add(name, Some(column), problem);
            }
            columns.insert(column.clone(), rules);
        }
        for column in declared.keys() {
            errors.add(name, Some(column), RuleProblem::UnknownColumn);
        }
        Self {
            kind: raw.kind,
            columns,
            event_date: raw.event_date,
            counts: raw.counts,
        }
    }

    /// How its rows lead to a subject.
    pub const fn kind(&self) -> &DatasetKind {
        &self.kind
    }

    /// The columns with their rules, in the order of their names.
    pub fn columns(&self) -> impl Iterator<Item = (&ColumnName, &ColumnRules)> {
        self.columns.iter()
    }

    /// The rules of a column; `None` if it does not exist.
    pub fn column(&self, name: &ColumnName) -> Option<&ColumnRules> {
        self.columns.get(name)
    }

    /// The column with the date on which a row happened.
    pub const fn event_date(&self) -> Option<&ColumnName> {
        self.event_date.as_ref()
    }

    /// How many rows a condition may require of a subject.
    pub const fn counts(&self) -> &CountLevels {
        &self.counts
    }

    /// Whether each row has another value in this column.
    pub(super) fn is_key(&self, column: &ColumnName) -> bool {
        match &self.kind {
            DatasetKind::Keyed { subject, unique: true } if subject == column => true,
            DatasetKind::Keyed { .. }
            | DatasetKind::Owned { .. }
            | DatasetKind::Reference
            | DatasetKind::EachRow
            | DatasetKind::Unowned => self.column(column).is_some_and(|rules| rules.role == ColumnRole::Key),
        }
    }

    /// The links of its columns and to its owner, each once.
    pub(super) fn links(&self) -> Vec<KeyLink> {
        let mut links: Vec<KeyLink> = match &self.kind {
            DatasetKind::Owned { through } => through.iter().cloned().collect(),
            DatasetKind::Keyed { .. } | DatasetKind::Reference | DatasetKind::EachRow | DatasetKind::Unowned => {
                Vec::new()
            }
        };
        for (column, rules) in &self.columns {
            if let ColumnRole::Link { to, key } = &rules.role {
                links.push(KeyLink {
                    column: column.clone(),
                    to: to.clone(),
                    key: key.clone(),
                });
            }
        }
        links.sort();
        links.dedup();
        links
    }

    /// The rules as they are declared.
    pub(super) fn raw(&self) -> RawDatasetRules {
        let columns = self.columns.iter().map(|(name, rules)| (name.clone(), rules.raw()));
        RawDatasetRules {
            kind: self.kind.clone(),
            columns: columns.collect(),
            event_date: self.event_date.clone(),
            counts: self.counts.clone(),
        }
    }
}

impl From<DatasetForm> for DatasetRules {
    fn from(form: DatasetForm) -> Self {
        let columns = form.columns.into_iter().map(|(name, column)| (name, column.into()));
        Self {
            kind: form.kind,
            columns: columns.collect(),
            event_date: form.event_date,
            counts: form.counts,
        }
    }
}
