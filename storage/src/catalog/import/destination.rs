//! The destination of an import.

use std::sync::Arc;

use concordat_keys::DatasetKey;
use concordat_protocol::{
    ids::{Digest32, SegmentName},
    schema::{ColumnKind, VersionNumber},
};

use super::{
    ImportError,
    request::{ImportMode, ImportRequest, MAIN_SEGMENT},
};
use crate::{
    catalog::{DatasetRecord, Manifest},
    ingest::SubjectRule,
};

/// The destination of an import, with the key that seals its objects.
pub(super) struct Destination {
    pub(super) old: Option<DatasetRecord>,
    pub(super) previous: Option<Manifest>,
    /// The retained versions whose rows the current one has, by the hashes of their files.
    pub(super) files: Vec<(Digest32, VersionNumber)>,
    pub(super) segment: SegmentName,
    pub(super) key: Arc<DatasetKey>,
}

impl Destination {
    pub(super) fn appended_to(&self, mode: ImportMode) -> Option<&Manifest> {
        self.previous.as_ref().filter(|_| mode == ImportMode::Append)
    }

    /// The kinds of the columns to which rows are added; a column that has none yet takes that of the rows.
    pub(super) fn existing_kinds(&self, mode: ImportMode) -> Vec<(String, ColumnKind)> {
        let columns = self.appended_to(mode).into_iter().flat_map(Manifest::own_columns);
        let typed = columns.filter(|column| !column.is_untyped());
        typed.map(|column| (column.name.to_string(), column.kind)).collect()
    }

    /// The version that has the rows of a file with this hash already, if rows are added.
    pub(super) fn repeats(&self, mode: ImportMode, blake3: Digest32) -> Option<VersionNumber> {
        let appended = self.appended_to(mode).is_some();
        let mut files = self.files.iter().filter(|_| appended);
        files.find(|(file, _)| *file == blake3).map(|(_, version)| *version)
    }

    /// To whom the rows belong: as the request states, or else as in the previous version.
    pub(super) fn subject(&self, request: &ImportRequest) -> Result<SubjectRule, ImportError> {
        match (&request.options.subject, &self.previous) {
            (SubjectRule::Unstated, None) => Err(ImportError::SubjectNotStated),
            (SubjectRule::Unstated, Some(before)) if before.subject.is_reserved() => Ok(SubjectRule::EachRow),
            (SubjectRule::Unstated, Some(before)) => Ok(SubjectRule::Column(before.subject.to_string())),
            (stated @ (SubjectRule::Column(_) | SubjectRule::EachRow), _) => Ok(stated.clone()),
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "by INVARIANT on MAIN_SEGMENT: it follows the rule of segment names"
)]
pub(super) fn main_segment() -> SegmentName {
    SegmentName::new(MAIN_SEGMENT).expect("a valid name")
}
