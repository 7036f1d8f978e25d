//! An immutable version of a dataset, as its signed manifest states it.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use concordat_protocol::{
    ids::{ActorId, ColumnName, DatasetName, Digest32},
    labels::{self, Label},
    schema::{ColumnKind, VersionNumber},
    signed::Document,
    text::Text,
    time::Timestamp,
};
use object_store::{ObjectMeta, path::Path};
use serde::{Deserialize, Serialize};

use super::Classification;
use crate::ingest::data_type;

/// What a version holds and where it comes from; signed by the institution's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The dataset.
    pub dataset: DatasetName,
    /// Its version.
    pub version: VersionNumber,
    /// The columns in their order, the assigned subject among them if there is one.
    pub columns: Vec<ColumnMeta>,
    /// The column that says whose record a row is; a reserved name where each row is a subject of its own.
    pub subject: ColumnName,
    /// The classes of the columns when the version was made.
    pub classification: Classification,
    /// The objects that hold the rows, in their order; none if there are no rows.
    pub objects: Vec<ObjectEntry>,
    /// Rows in all objects.
    pub rows: u64,
    /// Where the rows that came last are from.
    pub provenance: Provenance,
}

impl Document for Manifest {
    const LABEL: Label = labels::MANIFEST;
}

impl Manifest {
    /// The Arrow schema of every object of this version.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(
            self.columns.iter().map(ColumnMeta::field).collect::<Vec<_>>(),
        ))
    }

    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &ColumnName) -> Option<&ColumnMeta> {
        self.columns.iter().find(|column| column.name == *name)
    }

    /// The columns that came with the data: all but the assigned subject.
    pub fn own_columns(&self) -> impl Iterator<Item = &ColumnMeta> {
        self.columns.iter().filter(|column| !column.name.is_reserved())
    }
}

/// One column of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnMeta {
    /// The name.
    pub name: ColumnName,
    /// The type.
    pub kind: ColumnKind,
    /// Whether values may be missing.
    pub nullable: bool,
}

impl ColumnMeta {
    fn field(&self) -> Field {
        Field::new(self.name.as_str(), data_type(self.kind), self.nullable)
    }
}

/// One sealed Parquet file of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectEntry {
    /// Where it lies below `objects/`.
    pub path: String,
    /// Bytes of Parquet.
    pub len: u64,
    /// Rows.
    pub rows: u64,
    /// BLAKE3 hash of the Parquet bytes.
    pub content: Digest32,
    /// BLAKE3 hash of the sealed object's header: every block is bound to it, so it tells this object from any other one.
    pub header: Digest32,
}

impl ObjectEntry {
    /// Where it lies, as the object store says it.
    #[must_use]
    pub fn location(&self) -> Path {
        Path::from(self.path.as_str())
    }

    /// Whether it is sealed under the key of this name: its folder bears it.
    pub(super) fn lies_under(&self, key: &str) -> bool {
        self.path.split_once('/').is_some_and(|(folder, _)| folder == key)
    }

    /// What an object store would tell about it; the time is that of the version.
    pub(super) fn meta(&self, made: Timestamp) -> ObjectMeta {
        ObjectMeta {
            location: self.location(),
            last_modified: chrono::DateTime::from_timestamp_millis(made.as_millis()).unwrap_or_default(),
            size: self.len,
            e_tag: None,
            version: None,
        }
    }
}

/// Where rows come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Name of the file, without its folder.
    pub file: Text<255>,
    /// Bytes of the file.
    pub len: u64,
    /// BLAKE3 hash of the file's bytes.
    pub blake3: Digest32,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// Who imported it, if it was a known person.
    pub by: Option<ActorId>,
}
