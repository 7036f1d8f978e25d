//! The messages between the node and an engine process.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use concordat_arrow_stream::{CheckedStream, StreamEncoder};
use concordat_keys::KeyInTransit;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    collection::DatasetKind,
    ids::{CollectionName, DatasetName},
    schema::VersionNumber,
    scope::{Scope, Subjects},
};
use concordat_storage::catalog::{Collection, ORDINAL_COLUMN, StoredDataset, StoredObject};
use object_store::{ObjectMeta, path::Path};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{Bounds, QueryError, Table, source::AnswerKeys};

/// Concurrent read requests of one process: for each partition of its query, one in use and one prefetched.
pub(super) const MAX_READS: usize = 4;
/// Maximum bytes that one read request may ask for.
pub(super) const MAX_READ_BYTES: u64 = 16 << 20;
/// Maximum length of a repeated error message, in characters: one that lists ten of the longest names is not cut.
const MAX_TEXT: usize = 1_200;

/// One query, as sent to an engine process.
#[derive(Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) scope: Scope,
    pub(crate) sql: String,
    /// The version of the dataset that the objects belong to, if the query names one.
    pub(crate) version: Option<VersionNumber>,
    data: TaskData,
    pseudonyms: KeyInTransit,
    order: KeyInTransit,
    memory: usize,
    milliseconds: u64,
    groups: usize,
}

/// What a query may read.
#[derive(Serialize, Deserialize)]
enum TaskData {
    /// A version of a dataset.
    Dataset {
        subject: String,
        schema: Vec<u8>,
        objects: Vec<Object>,
    },
    /// A version of a collection, of which the query may read these datasets.
    Collection {
        name: CollectionName,
        version: VersionNumber,
        subjects: u32,
        datasets: Vec<DatasetTask>,
    },
}

/// A dataset of a collection, as sent to a process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DatasetTask {
    name: DatasetName,
    kind: DatasetKind,
    schema: Vec<u8>,
    ordinals: bool,
    rows: u64,
    objects: Vec<DatasetObject>,
}

#[derive(Debug, Serialize, Deserialize)]
struct DatasetObject {
    object: Object,
    first_row: u64,
    rows: u64,
}

/// What a query reads, as its process has it.
pub(super) enum Queried {
    /// A version of a dataset.
    Dataset {
        subject: String,
        schema: SchemaRef,
        objects: Vec<ObjectMeta>,
    },
    /// Datasets of a version of a collection.
    Collection {
        name: CollectionName,
        version: VersionNumber,
        subjects: u32,
        datasets: Vec<StoredDataset>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Object {
    path: String,
    size: u64,
    modified: DateTime<Utc>,
    e_tag: Option<String>,
    version: Option<String>,
}

impl Object {
    fn of(meta: ObjectMeta) -> Self {
        Self {
            path: meta.location.to_string(),
            size: meta.size,
            modified: meta.last_modified,
            e_tag: meta.e_tag,
            version: meta.version,
        }
    }

    fn meta(&self) -> Option<ObjectMeta> {
        Some(ObjectMeta {
            location: Path::parse(&self.path).ok()?,
            last_modified: self.modified,
            size: self.size,
            e_tag: self.e_tag.clone(),
            version: self.version.clone(),
        })
    }
}

impl DatasetTask {
    /// # Errors
    /// [`QueryError`] if a column has a type that is not sent.
    pub(super) fn of(dataset: StoredDataset) -> Result<Self, QueryError> {
        let object = |object: StoredObject| DatasetObject {
            object: Object::of(object.meta),
            first_row: object.first_row,
            rows: object.rows,
        };
        Ok(Self {
            schema: schema_bytes(&dataset.schema)?,
            name: dataset.name,
            kind: dataset.kind,
            ordinals: dataset.ordinals,
            rows: dataset.rows,
            objects: dataset.objects.into_iter().map(object).collect(),
        })
    }

    /// The dataset; `None` if this is not the description of one.
    pub(super) fn dataset(&self) -> Option<StoredDataset> {
        let schema = schema_of(&self.schema)?;
        let object = |object: &DatasetObject| {
            Some(StoredObject {
                meta: object.object.meta()?,
                first_row: object.first_row,
                rows: object.rows,
            })
        };
        Some(StoredDataset {
            name: self.name.clone(),
            kind: self.kind.clone(),
            stored_schema: stored_schema(&schema, self.ordinals),
            schema,
            ordinals: self.ordinals,
            rows: self.rows,
            objects: self.objects.iter().map(object).collect::<Option<_>>()?,
        })
    }
}

/// The columns of the objects of a dataset with these columns.
fn stored_schema(schema: &SchemaRef, ordinals: bool) -> SchemaRef {
    if !ordinals {
        return Arc::clone(schema);
    }
    let ordinal = Arc::new(Field::new(ORDINAL_COLUMN, DataType::UInt32, true));
    let fields = schema.fields().iter().cloned().chain([ordinal]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl Task {
    pub(crate) fn new(
        source: &dyn Table,
        scope: Scope,
        keys: &AnswerKeys,
        statement: (&str, Option<VersionNumber>),
        bounds: &Bounds,
    ) -> Result<Self, QueryError> {
        let data = TaskData::Dataset {
            subject: source.subject_column().to_owned(),
            schema: schema_bytes(&source.schema())?,
            objects: source.objects().into_iter().map(Object::of).collect(),
        };
        Ok(Self::of_data(data, scope, keys, statement, bounds))
    }

    /// The same over a version of a collection. The process learns of no other dataset than those of the scope and the one that its subjects
    /// are chosen by.
    pub(crate) fn of_collection(
        source: &dyn Collection,
        scope: Scope,
        keys: &AnswerKeys,
        statement: (&str, Option<VersionNumber>),
        bounds: &Bounds,
    ) -> Result<Self, QueryError> {
        let datasets = read_by(&scope).into_iter().filter_map(|name| source.dataset(name));
        let data = TaskData::Collection {
            name: source.name().clone(),
            version: source.version(),
            subjects: source.subjects(),
            datasets: datasets.map(DatasetTask::of).collect::<Result<_, _>>()?,
        };
        Ok(Self::of_data(data, scope, keys, statement, bounds))
    }

    fn of_data(
        data: TaskData,
        scope: Scope,
        keys: &AnswerKeys,
        (sql, version): (&str, Option<VersionNumber>),
        bounds: &Bounds,
    ) -> Self {
        Self {
            scope,
            sql: sql.to_owned(),
            version,
            data,
            pseudonyms: keys.pseudonyms.to_transit(),
            order: keys.order.to_transit(),
            memory: bounds.memory,
            milliseconds: u64::try_from(bounds.time.as_millis()).unwrap_or(u64::MAX),
            groups: bounds.groups,
        }
    }

    /// What the query reads.
    pub(super) fn queried(&self) -> Option<Queried> {
        Some(match &self.data {
            TaskData::Dataset {
                subject,
                schema,
                objects,
            } => Queried::Dataset {
                subject: subject.clone(),
                schema: schema_of(schema)?,
                objects: objects.iter().map(Object::meta).collect::<Option<_>>()?,
            },
            TaskData::Collection {
                name,
                version,
                subjects,
                datasets,
            } => Queried::Collection {
                name: name.clone(),
                version: *version,
                subjects: *subjects,
                datasets: datasets.iter().map(DatasetTask::dataset).collect::<Option<_>>()?,
            },
        })
    }

    /// The objects that the query may read, in the order in which its process numbers them.
    pub(crate) fn objects(&self) -> Option<Vec<ObjectMeta>> {
        match &self.data {
            TaskData::Dataset { objects, .. } => objects.iter().map(Object::meta).collect(),
            TaskData::Collection { datasets, .. } => {
                let objects = datasets.iter().flat_map(|dataset| &dataset.objects);
                objects.map(|object| object.object.meta()).collect()
            }
        }
    }

    /// The columns of the dataset, or of the dataset of this number of a collection.
    #[cfg(test)]
    pub(crate) fn schema(&self, number: usize) -> Option<SchemaRef> {
        match &self.data {
            TaskData::Dataset { schema, .. } => schema_of(schema),
            TaskData::Collection { datasets, .. } => Some(datasets.get(number)?.dataset()?.stored_schema),
        }
    }

    pub(crate) fn keys(&self) -> Option<AnswerKeys> {
        AnswerKeys::from_transit(&self.pseudonyms, &self.order)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            memory: self.memory,
            time: Duration::from_millis(self.milliseconds),
            groups: self.groups,
        }
    }
}

/// The datasets that a query within `scope` may read.
fn read_by(scope: &Scope) -> BTreeSet<&DatasetName> {
    let mut names: BTreeSet<&DatasetName> = scope.datasets.names().collect();
    if let Subjects::Only(filter) = &scope.subjects {
        names.insert(filter.dataset());
    }
    names
}

/// A request for parts of an object; the response has the same number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ReadRequest {
    pub(super) number: u64,
    pub(super) object: usize,
    pub(super) ranges: Vec<(u64, u64)>,
}

/// Why an answer ended early.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Failure {
    Memory,
    Deadline,
    OtherVersion,
    Stored(ErrorKind),
    Reported(ErrorKind, String),
}

impl From<&QueryError> for Failure {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other error is reported with its message"
    )]
    fn from(error: &QueryError) -> Self {
        match error {
            QueryError::Memory => Self::Memory,
            QueryError::Deadline => Self::Deadline,
            QueryError::OtherVersion => Self::OtherVersion,
            QueryError::Stored { kind } => Self::Stored(*kind),
            other => Self::Reported(other.kind(), other.to_string()),
        }
    }
}

impl From<Failure> for QueryError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Memory => Self::Memory,
            Failure::Deadline => Self::Deadline,
            Failure::OtherVersion => Self::OtherVersion,
            Failure::Stored(kind) => Self::Stored { kind },
            Failure::Reported(kind, text) => Self::Reported {
                kind,
                text: text.chars().take(MAX_TEXT).collect(),
            },
        }
    }
}

pub(super) fn encode<M: Serialize>(message: &M) -> Result<Zeroizing<Vec<u8>>, QueryError> {
    let mut bytes = Zeroizing::new(Vec::new());
    ciborium::into_writer(message, &mut *bytes).map_err(|_| failed())?;
    Ok(bytes)
}

pub(super) fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, QueryError> {
    ciborium::from_reader(bytes).map_err(|_| failed())
}

/// The number at the start of a message, and the rest.
pub(super) fn numbered(mut body: Bytes) -> Option<(u64, Bytes)> {
    let number = body
        .split_first_chunk::<8>()
        .map(|(number, _)| u64::from_le_bytes(*number))?;
    Some((number, body.split_off(8)))
}

/// A schema, encoded as the start of a stream of rows.
pub(super) fn schema_bytes(schema: &SchemaRef) -> Result<Vec<u8>, QueryError> {
    Ok(StreamEncoder::new(schema)?.take())
}

/// The schema at the start of a stream.
pub(super) fn schema_of(bytes: &[u8]) -> Option<SchemaRef> {
    let mut stream = CheckedStream::new();
    stream.decode(&mut Bytes::copy_from_slice(bytes)).ok()?;
    stream.schema()
}

pub(super) const fn failed() -> QueryError {
    QueryError::Engine {
        step: "communicating with its process",
    }
}
