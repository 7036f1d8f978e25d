//! Which subjects a scope is about.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::invalid::{InvalidScope, Part};
use super::rows::Rows;
use crate::ids::DatasetName;

/// Which subjects: those of which a dataset has a row that satisfies a filter. It applies to every dataset of the scope.
///
/// It is a part of its own, because a filter on the dataset of subjects must not disappear where a scope leaves that dataset out: all
/// diagnoses are more than the diagnoses of women.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subjects {
    /// All of them, and the rows without a subject.
    #[default]
    Any,
    /// Only those with such a row.
    Only(SubjectFilter),
}

/// Subjects with a row of one dataset that satisfies a filter. INVARIANT: the filter is not "all rows".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawSubjectFilter", into = "RawSubjectFilter")]
pub struct SubjectFilter {
    dataset: DatasetName,
    rows: Rows,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSubjectFilter {
    dataset: DatasetName,
    rows: Rows,
}

impl SubjectFilter {
    /// Subjects with a row of `dataset` that is among `rows`.
    ///
    /// # Errors
    /// [`InvalidScope`] if all rows are: whether a subject has a row at all is not a filter.
    pub fn new(dataset: DatasetName, rows: Rows) -> Result<Self, InvalidScope> {
        if rows.is_all() {
            Err(InvalidScope::new(
                Part::Subjects,
                format!("the filter on `{dataset}` has no condition"),
            ))
        } else {
            Ok(Self { dataset, rows })
        }
    }

    /// The dataset with the rows.
    pub fn dataset(&self) -> &DatasetName {
        &self.dataset
    }

    /// What a row has to satisfy.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }
}

impl Subjects {
    /// The subjects of both; `None` if there are none, or if the filters are on different datasets, which no single filter expresses.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, x) | (x, Self::Any) => Some(x.clone()),
            (Self::Only(a), Self::Only(b)) if a.dataset == b.dataset => {
                let rows = a.rows.meet(&b.rows)?;
                let both = SubjectFilter::new(a.dataset.clone(), rows).ok()?;
                Some(Self::Only(both))
            }
            (Self::Only(_), Self::Only(_)) => None,
        }
    }

    pub(super) fn covers(&self, inner: &Self) -> bool {
        match (self, inner) {
            (Self::Any, _) => true,
            (Self::Only(_), Self::Any) => false,
            (Self::Only(a), Self::Only(b)) => a.dataset == b.dataset && a.rows.covers(&b.rows),
        }
    }
}

impl TryFrom<RawSubjectFilter> for SubjectFilter {
    type Error = InvalidScope;
    fn try_from(raw: RawSubjectFilter) -> Result<Self, InvalidScope> {
        Self::new(raw.dataset, raw.rows)
    }
}

impl From<SubjectFilter> for RawSubjectFilter {
    fn from(filter: SubjectFilter) -> Self {
        Self {
            dataset: filter.dataset,
            rows: filter.rows,
        }
    }
}

impl fmt::Display for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("all subjects"),
            Self::Only(SubjectFilter { dataset, rows }) => {
                write!(f, "subjects with a row of {dataset} where {rows}")
            }
        }
    }
}
