//! The tasks.

use arrow::datatypes::SchemaRef;
use concordat_disclosure::{Record, Released, StoredAnswer, TimeClass};
use concordat_protocol::{
    collection::CollectionRules,
    ids::{CollectionName, DatasetName, DatasetRef, Digest32},
    schema::VersionNumber,
    scope::Scope,
};
use concordat_storage::catalog::{Collection, StoredDataset};
use serde::{Deserialize, Serialize};

use crate::{
    Bounds, QueryError,
    grouping::most_cells,
    on_large_stack,
    statistic::{KnownCollection, MAX_ENCODED, Statistic},
    worker::messages::{DatasetTask, failed, schema_bytes},
};

/// Most groupings of a query.
const MAX_STATISTICS: usize = 8;

/// What a text is planned with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::worker) struct Planning {
    pub(super) scope: Scope,
    pub(super) rules: CollectionRules,
    pub(super) sql: String,
    /// The version that the query states; `None` for the current one.
    pub(super) version: Option<VersionNumber>,
    /// The columns of the datasets that the scope covers.
    pub(super) columns: Vec<(DatasetName, Vec<u8>)>,
    pub(super) memory: usize,
    /// Most cells of a grouping.
    pub(super) cells: usize,
}

/// A query for cells, as sent to a process that sees rows.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::worker) struct CellsTask {
    pub(super) planning: Planning,
    pub(super) name: CollectionName,
    pub(super) version: VersionNumber,
    pub(super) subjects: u32,
    datasets: Vec<DatasetTask>,
}

/// What is computed of released cells, as sent to a process that sees no rows.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::worker) struct AboveTask {
    pub(super) planning: Planning,
    /// The groupings that were decided.
    pub(super) statistics: Vec<Vec<u8>>,
    /// What was released of each, encoded as the answers in memory are.
    pub(super) released: Vec<Vec<u8>>,
}

impl Planning {
    /// # Errors
    /// [`QueryError::NotApplied`] if the scope covers a dataset that the version does not have.
    pub(in crate::worker) fn new(
        collection: &dyn Collection,
        scoped: (Scope, CollectionRules),
        statement: (&str, Option<VersionNumber>),
        bounds: &Bounds,
    ) -> Result<Self, QueryError> {
        let columns = |name: &DatasetName| Some(collection.dataset(name)?.schema);
        Self::over(&columns, scoped, statement, bounds)
    }

    /// The same with the columns of each dataset.
    ///
    /// # Errors
    /// [`QueryError::NotApplied`] if they are not known of a dataset that the scope covers.
    pub(super) fn over(
        known: &dyn Fn(&DatasetName) -> Option<SchemaRef>,
        (scope, rules): (Scope, CollectionRules),
        (sql, version): (&str, Option<VersionNumber>),
        bounds: &Bounds,
    ) -> Result<Self, QueryError> {
        let mut columns = Vec::new();
        for name in scope.datasets.names() {
            let schema = known(name).ok_or_else(|| QueryError::NotApplied {
                detail: format!("the collection has no dataset `{name}`"),
            })?;
            columns.push((name.clone(), schema_bytes(&schema)?));
        }
        Ok(Self {
            sql: sql.to_owned(),
            version,
            columns,
            memory: bounds.memory,
            cells: bounds.groups.min(most_cells(&scope)),
            scope,
            rules,
        })
    }

    /// Most cells of a grouping.
    pub(in crate::worker) const fn most_cells(&self) -> usize {
        self.cells
    }

    /// What errors name.
    pub(super) fn dataset(&self) -> Option<DatasetRef> {
        Some(DatasetRef {
            institution: self.scope.collection.institution.clone(),
            collection: self.scope.collection.collection.clone(),
            dataset: self.scope.datasets.names().next()?.clone(),
        })
    }
}

impl CellsTask {
    /// A query over what the scope covers of a version.
    ///
    /// # Errors
    /// [`QueryError`] if a column has a type that is not sent.
    pub(in crate::worker) fn new(collection: &dyn Collection, planning: Planning) -> Result<Self, QueryError> {
        let stored = collection.datasets();
        let stored = stored.iter().filter_map(|name| collection.dataset(name));
        Ok(Self {
            name: collection.name().clone(),
            version: collection.version(),
            subjects: collection.subjects(),
            datasets: stored.map(DatasetTask::of).collect::<Result<_, _>>()?,
            planning,
        })
    }

    /// The datasets of the version; `None` if one is not described as a dataset is.
    pub(super) fn stored(&self) -> Option<Vec<StoredDataset>> {
        self.datasets.iter().map(DatasetTask::dataset).collect()
    }
}

impl AboveTask {
    /// What the text computes of these groupings.
    pub(in crate::worker) fn new(planning: Planning, decided: &[(Statistic, Released)]) -> Self {
        let released = |released: &Released| {
            let answer = StoredAnswer {
                query: Digest32::ZERO,
                released: released.clone(),
                variance: None,
                person: String::new(),
                grant: None,
                class: TimeClass::default(),
            };
            Record::Answer(answer).to_bytes()
        };
        Self {
            planning,
            statistics: decided.iter().map(|(statistic, _)| statistic.to_bytes()).collect(),
            released: decided.iter().map(|(_, answer)| released(answer)).collect(),
        }
    }

    /// What was released of each grouping.
    pub(super) fn released(&self) -> Result<Vec<Released>, QueryError> {
        let released = self
            .released
            .iter()
            .map(|bytes| match Record::from_untrusted(bytes, 0) {
                Ok(Record::Answer(answer)) => Ok(answer.released),
                Ok(_) | Err(_) => Err(failed()),
            });
        released.collect()
    }
}

/// Statistics as the body of a frame: each after its length.
pub(super) fn encoded_statistics(statistics: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for statistic in statistics {
        // Each has at most `MAX_ENCODED` bytes.
        let length = u32::try_from(statistic.len()).unwrap_or(u32::MAX);
        body.extend_from_slice(&length.to_le_bytes());
        body.extend_from_slice(statistic);
    }
    body
}

/// The groupings that a process has found in a text: at least one, each within the bounds.
///
/// # Errors
/// If the bytes are anything else.
pub(in crate::worker) fn decoded_statistics(
    mut body: &[u8],
    known: &KnownCollection,
    cells: usize,
) -> Result<Vec<Statistic>, QueryError> {
    let mut found = Vec::new();
    while !body.is_empty() {
        let (length, rest) = body.split_first_chunk::<4>().ok_or(failed())?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| failed())?;
        if length > MAX_ENCODED || found.len() >= MAX_STATISTICS {
            return Err(failed());
        }
        let (statistic, rest) = rest.split_at_checked(length).ok_or(failed())?;
        // What is nested is decoded recursively.
        let decoded = on_large_stack(|| Statistic::from_untrusted(statistic, known, cells));
        found.push(decoded.and_then(Result::ok).ok_or(failed())?);
        body = rest;
    }
    if found.is_empty() {
        return Err(failed());
    }
    Ok(found)
}
