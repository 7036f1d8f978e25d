//! From the conditions and quantities of a statistic to what is read and tested, with the columns that a scope shows.
//!
//! Whatever a statistic names is looked up among what the scope shows, with the levels that it leaves: a statistic that was lowered for
//! another scope distinguishes nothing that this one hides.

mod conditions;

use concordat_protocol::{
    collection::{AtomSet, DatasetKind, Levels},
    ids::{ColumnName, DatasetName},
    scope::Scope,
};
use concordat_storage::catalog::{Collection, StoredDataset};

use super::plan::{Hop, KeyUse, LookupSource, Path, Sources};
use crate::{
    QueryError, rows,
    statistic::{ColumnPath, EventSet, KeyList, KnownCollection, Quantity, Row, Step},
};

/// What a statistic reads, as far as it has been seen.
pub(super) struct Compiler<'a> {
    pub(super) known: &'a KnownCollection,
    scope: &'a Scope,
    collection: &'a dyn Collection,
    pub(super) sources: Sources,
    /// The events of each source that does not depend on the row around it.
    event_sets: Vec<Option<EventSet>>,
    key_lists: Vec<KeyList>,
}

/// The columns of a row. Of subjects without a row there are none.
pub(super) struct Frame {
    dataset: Option<DatasetName>,
    pub(super) columns: Vec<ColumnName>,
}

impl Frame {
    pub(super) const fn of(dataset: Option<DatasetName>) -> Self {
        Self {
            dataset,
            columns: Vec::new(),
        }
    }
}

impl<'a> Compiler<'a> {
    pub(super) fn new(known: &'a KnownCollection, scope: &'a Scope, collection: &'a dyn Collection) -> Self {
        Self {
            known,
            scope,
            collection,
            sources: Sources::default(),
            event_sets: Vec::new(),
            key_lists: Vec::new(),
        }
    }

    /// A dataset that the scope covers, with owners unless it is about no subject.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] if it cannot be read for statistics.
    pub(super) fn dataset(&self, name: &DatasetName) -> Result<StoredDataset, QueryError> {
        let rules = self.known.rules().dataset(name);
        let covered = self.scope.datasets.get(name);
        let (Some(rules), Some(covered), Some(stored)) = (rules, covered, self.collection.dataset(name)) else {
            return Err(invalid(format!("there is no dataset `{name}` under this permission")));
        };
        rows::condition(&covered.rows, &stored.schema)?;
        let is_unique = |kind: &DatasetKind| matches!(kind, DatasetKind::Keyed { unique: true, .. });
        if is_unique(rules.kind()) && !is_unique(&stored.kind) {
            return Err(invalid(format!("a subject has several rows in `{name}`")));
        }
        let is_readable = match rules.kind() {
            DatasetKind::Reference => !stored.ordinals,
            DatasetKind::Keyed { .. } | DatasetKind::Owned { .. } | DatasetKind::EachRow => stored.ordinals,
            DatasetKind::Unowned => false,
        };
        if is_readable {
            Ok(stored)
        } else {
            let detail =
                format!("this version of `{name}` does not state whose its rows are; the holder can import it again");
            Err(invalid(detail))
        }
    }

    /// Whether each subject has at most one row of a dataset.
    pub(super) fn is_unique(&self, name: &DatasetName) -> bool {
        let kind = self.known.rules().dataset(name).map(|rules| rules.kind());
        matches!(
            kind,
            Some(DatasetKind::Keyed { unique: true, .. } | DatasetKind::EachRow)
        )
    }

    fn is_reference(&self, name: &DatasetName) -> bool {
        let kind = self.known.rules().dataset(name).map(|rules| rules.kind());
        matches!(kind, Some(DatasetKind::Reference))
    }

    /// Refuses to compare a column whose single values the scope hides with values of a reference dataset.
    pub(super) fn require_codes(&self, of: &ColumnPath) -> Result<(), QueryError> {
        let levels = self.known.levels(&Quantity::Column(of.clone()));
        let has_codes = matches!(levels, Levels::Codes(_) | Levels::Values(_));
        if has_codes || self.is_reference(of.dataset()) {
            Ok(())
        } else {
            Err(invalid(format!("`{}` has no codes under this permission", of.column())))
        }
    }

    /// Refuses patterns of values that a condition may not name one by one: those of a reference dataset and of an open list it may.
    pub(super) fn require_open(&self, of: &ColumnPath) -> Result<(), QueryError> {
        let levels = self.known.levels(&Quantity::Column(of.clone()));
        if self.is_reference(of.dataset()) || matches!(levels, Levels::Codes(_)) {
            Ok(())
        } else {
            Err(invalid(format!("the rows of `{}` are about subjects", of.dataset())))
        }
    }

    /// A column as a row reaches it.
    pub(super) fn path(
        &mut self,
        path: &ColumnPath,
        this: &mut Frame,
        outer: Option<&mut Frame>,
    ) -> Result<Path, QueryError> {
        let is_outer = path.row() == Row::Outer;
        let frame = if is_outer { outer } else { Some(this) };
        let (Some(frame), true) = (frame, path.via().len() <= MAX_STEPS) else {
            return Err(invalid("a column of a row that is not there"));
        };
        let mut dataset = frame.dataset.clone();
        let mut steps: Vec<Hop> = Vec::new();
        for step in path.via() {
            let before = steps.last().map(|hop| hop.lookup);
            let lookup = self.lookup(step)?;
            let by = match step {
                Step::Link(link) => {
                    let from = dataset.as_ref().ok_or_else(|| invalid("a column of no row"))?;
                    self.require_joinable(from, &link.column)?;
                    self.use_keys(lookup, before.is_none().then_some(from), &link.column)?;
                    Some(self.column(before, frame, &link.column)?)
                }
                Step::Subject(_) => None,
            };
            steps.push(Hop { lookup, by });
            dataset = Some(step.to().clone());
        }
        if dataset.as_ref() != Some(path.dataset()) {
            return Err(invalid(format!("`{}` is not reached", path.dataset())));
        }
        self.require_shown(path.dataset(), path.column())?;
        let last = steps.last().map(|hop| hop.lookup);
        Ok(Path {
            is_outer,
            column: self.column(last, frame, path.column())?,
            steps,
        })
    }

    /// The position of a column of a lookup, or of the row itself.
    fn column(&mut self, lookup: Option<usize>, frame: &mut Frame, name: &ColumnName) -> Result<usize, QueryError> {
        let columns = match lookup {
            None => &mut frame.columns,
            Some(at) => {
                let source = self.sources.lookups.get_mut(at);
                &mut source.ok_or(QueryError::Engine { step: "planning" })?.columns
            }
        };
        Ok(position(columns, name))
    }

    fn lookup(&mut self, step: &Step) -> Result<usize, QueryError> {
        let name = step.to();
        let key = match step {
            Step::Link(link) => {
                self.require_joinable(name, &link.key)?;
                Some(&link.key)
            }
            Step::Subject(_) if self.is_unique(name) => None,
            Step::Subject(_) => return Err(invalid(format!("a subject has several rows in `{name}`"))),
        };
        let is_same = |source: &LookupSource| {
            let by = source.key.and_then(|key| source.columns.get(key));
            source.dataset.name == *name && by == key
        };
        if let Some(known) = self.sources.lookups.iter().position(is_same) {
            return Ok(known);
        }
        self.sources.lookups.push(LookupSource {
            dataset: self.dataset(name)?,
            columns: key.cloned().into_iter().collect(),
            key: key.map(|_| 0),
            used_by: (key.is_some() && self.is_reference(name)).then(Vec::new),
        });
        Ok(self.sources.lookups.len().saturating_sub(1))
    }

    /// Adds a column of a dataset to those whose keys are looked up. A vocabulary has millions of codes, of which the rows have few. Keys that
    /// are in another lookup are not known before it is read.
    fn use_keys(&mut self, lookup: usize, from: Option<&DatasetName>, column: &ColumnName) -> Result<(), QueryError> {
        let dataset = from.map(|from| self.dataset(from)).transpose()?;
        let source = self.sources.lookups.get_mut(lookup);
        let source = source.ok_or(QueryError::Engine { step: "planning" })?;
        source.used_by = match (source.used_by.take(), dataset) {
            (Some(mut uses), Some(dataset)) => {
                let column = column.clone();
                position(&mut uses, &KeyUse { dataset, column });
                Some(uses)
            }
            (Some(_), None) | (None, _) => None,
        };
        Ok(())
    }

    fn require_shown(&self, dataset: &DatasetName, column: &ColumnName) -> Result<(), QueryError> {
        if self.known.column(dataset, column).is_none() {
            return Err(invalid(format!(
                "there is no column `{column}` in `{dataset}` under this permission"
            )));
        }
        self.require_stored(dataset, column)
    }

    fn require_joinable(&self, dataset: &DatasetName, column: &ColumnName) -> Result<(), QueryError> {
        let known = self.known.column(dataset, column);
        if known.is_some_and(|known| known.is_joinable) {
            self.require_stored(dataset, column)
        } else {
            Err(invalid(format!(
                "`{column}` in `{dataset}` is not joined under this permission"
            )))
        }
    }

    fn require_stored(&self, dataset: &DatasetName, column: &ColumnName) -> Result<(), QueryError> {
        let stored = self.dataset(dataset)?;
        match stored.schema.field_with_name(column.as_str()) {
            Ok(_) => Ok(()),
            Err(_) => Err(QueryError::MissingColumn {
                column: column.to_string(),
            }),
        }
    }
}

/// Most steps of a path.
const MAX_STEPS: usize = 3;

/// What is wrong with a statistic under a scope.
pub(super) fn invalid(detail: impl Into<String>) -> QueryError {
    QueryError::Invalid { detail: detail.into() }
}

/// Refuses a set of atoms of other levels: positions among other edges would mean something else.
pub(super) fn require_atoms(levels: &Levels, atoms: &AtomSet) -> Result<(), QueryError> {
    match atoms.union(&levels.all()) {
        Ok(_) => Ok(()),
        Err(_) => Err(invalid("a condition on levels that the permission does not show")),
    }
}

/// The position of an item in a list, to which it is added if it is not there.
fn position<T: Clone + PartialEq>(list: &mut Vec<T>, item: &T) -> usize {
    if let Some(at) = list.iter().position(|known| known == item) {
        return at;
    }
    list.push(item.clone());
    list.len().saturating_sub(1)
}
