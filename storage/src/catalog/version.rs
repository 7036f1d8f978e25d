//! An immutable version of a dataset, as its signed manifest states it.

pub(super) mod collection;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use concordat_protocol::{
    ids::{ActorId, ColumnName, DatasetName, Digest32},
    labels::{self, DomainLabel},
    schema::{ColumnKind, VersionNumber},
    signed::Document,
    text::Text,
    time::Timestamp,
};
use object_store::{ObjectMeta, path::Path};
use serde::{Deserialize, Serialize};

use super::Classification;
use crate::ingest::data_type;

/// The contents of a version of a dataset and their origin. Until there were collections it was what the institution's key signed; now it is
/// also how a version of a collection of one is shown ([`collection::CollectionManifest::alone`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The dataset.
    pub dataset: DatasetName,
    /// Its version.
    pub version: VersionNumber,
    /// The columns in order, including the assigned subject if there is one.
    pub columns: Vec<ColumnMeta>,
    /// The column that identifies the subject of a row; a reserved name if each row is its own subject.
    pub subject: ColumnName,
    /// The classes of the columns when the version was created.
    pub classification: Classification,
    /// The objects that contain the rows, in order; empty if there are no rows.
    pub objects: Vec<ObjectEntry>,
    /// Rows in all objects.
    pub rows: u64,
    /// The origin of the rows that were added last.
    pub provenance: Provenance,
}

impl Document for Manifest {
    const LABEL: DomainLabel = labels::MANIFEST;
}

impl Manifest {
    /// The Arrow schema of this version. An older object may lack a column, may have one that is not nullable although it is nullable
    /// here, and has text for one that got its type later ([`ColumnMeta::is_untyped`]): all of its values are missing.
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

    /// The columns of the imported data: all but the assigned subject.
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
    /// Whether no row has a value: then the type is a guess, and matches any other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
}

impl ColumnMeta {
    /// Whether the column is text only because no row has a value: it takes the type of the first values that are added. A type that was
    /// stated is kept; as text it is stated again by the options of the next import.
    pub(super) fn is_untyped(&self) -> bool {
        self.empty && self.kind == ColumnKind::Text
    }

    pub(super) fn field(&self) -> Field {
        Field::new(self.name.as_str(), data_type(self.kind), self.nullable)
    }
}

/// One sealed Parquet file of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectEntry {
    /// Its path below `objects/`.
    pub path: String,
    /// Bytes of Parquet.
    pub len: u64,
    /// Rows.
    pub rows: u64,
    /// BLAKE3 hash of the Parquet bytes.
    pub content: Digest32,
    /// BLAKE3 hash of the sealed object's header: every block is bound to it, so it distinguishes this object from any
    /// other one.
    pub header: Digest32,
}

impl ObjectEntry {
    /// Its path, as a path of the object store.
    #[must_use]
    pub fn location(&self) -> Path {
        Path::from(self.path.as_str())
    }

    /// Whether it is sealed under the key with this id: the id is the name of its folder.
    pub(super) fn is_sealed_under(&self, key: &str) -> bool {
        self.path.split_once('/').is_some_and(|(folder, _)| folder == key)
    }

    /// Its metadata for an object store; the time is that of the version.
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

/// The origin of rows.
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
