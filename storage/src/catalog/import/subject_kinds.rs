//! Whether the keys of the subjects of a collection are of one kind in all of its datasets.

use concordat_protocol::{
    collection::{Contents, DatasetKind, KnownColumns},
    ids::{ColumnName, DatasetName},
    schema::ColumnKind,
};

use super::{collection_request::Declared, plan::Plan};
use crate::ingest::Note;

/// The key of the subjects in the dataset that is written first.
pub(super) struct SubjectKinds<'a> {
    declared: &'a Declared,
    known: &'a KnownColumns,
    first: Option<(DatasetName, ColumnName, ColumnKind)>,
}

impl<'a> SubjectKinds<'a> {
    /// Compares with the first keyed dataset of the plan or, if it has none, of the version to which rows are added.
    pub(super) fn of(plan: &Plan, declared: &'a Declared, known: &'a KnownColumns) -> Self {
        let others = known.iter().map(|(name, _)| name);
        let first = plan.order.iter().chain(others).find_map(|name| {
            let (column, kind) = subject(name, declared, known)?;
            Some((name.clone(), column, kind))
        });
        Self { declared, known, first }
    }

    /// A note if the keys in this dataset are of another kind: whole numbers have no leading zeros, which texts keep.
    pub(super) fn note(&self, dataset: &DatasetName) -> Option<Note> {
        let (first, other, other_kind) = self.first.as_ref()?;
        let (column, kind) = subject(dataset, self.declared, self.known)?;
        (first != dataset && kind != *other_kind).then(|| Note::SubjectKinds {
            column: column.to_string(),
            kind,
            other: format!("{first}.{other}"),
            other_kind: *other_kind,
        })
    }
}

/// The column with the key of the subject, and its kind; `None` if the dataset has none, or no values in it.
fn subject(dataset: &DatasetName, declared: &Declared, known: &KnownColumns) -> Option<(ColumnName, ColumnKind)> {
    match declared.kind(dataset) {
        DatasetKind::Keyed { subject, .. } => match known.contents(dataset, &subject)? {
            Contents::Of(kind) => Some((subject, kind)),
            Contents::Empty => None,
        },
        DatasetKind::Owned { .. } | DatasetKind::Reference | DatasetKind::EachRow | DatasetKind::Unowned => None,
    }
}
