//! The messages between the node and an engine process.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use concordat_arrow_stream::{CheckedStream, StreamEncoder};
use concordat_keys::KeyInTransit;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{schema::VersionNumber, scope::Scope};
use object_store::{ObjectMeta, path::Path};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{Bounds, QueryError, Table, source::AnswerKeys};

/// Maximum bytes that one read request may ask for.
pub(super) const MAX_READ_BYTES: u64 = 16 << 20;
/// Maximum length of a repeated error message, in characters.
const MAX_TEXT: usize = 500;

/// One query, as sent to an engine process.
#[derive(Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) scope: Scope,
    pub(crate) sql: String,
    /// The version of the dataset that the objects belong to, if the query names one.
    pub(crate) version: Option<VersionNumber>,
    pub(super) subject: String,
    schema: Vec<u8>,
    objects: Vec<Object>,
    pseudonyms: KeyInTransit,
    order: KeyInTransit,
    memory: usize,
    milliseconds: u64,
    groups: usize,
}

#[derive(Serialize, Deserialize)]
struct Object {
    path: String,
    size: u64,
    modified: DateTime<Utc>,
    e_tag: Option<String>,
    version: Option<String>,
}

impl Task {
    pub(crate) fn new(
        source: &dyn Table,
        scope: Scope,
        keys: &AnswerKeys,
        (sql, version): (&str, Option<VersionNumber>),
        bounds: &Bounds,
    ) -> Result<Self, QueryError> {
        let object = |meta: ObjectMeta| Object {
            path: meta.location.to_string(),
            size: meta.size,
            modified: meta.last_modified,
            e_tag: meta.e_tag,
            version: meta.version,
        };
        Ok(Self {
            scope,
            sql: sql.to_owned(),
            version,
            subject: source.subject_column().to_owned(),
            schema: schema_bytes(&source.schema())?,
            objects: source.objects().into_iter().map(object).collect(),
            pseudonyms: keys.pseudonyms.to_transit(),
            order: keys.order.to_transit(),
            memory: bounds.memory,
            milliseconds: u64::try_from(bounds.time.as_millis()).unwrap_or(u64::MAX),
            groups: bounds.groups,
        })
    }

    pub(crate) fn schema(&self) -> Option<SchemaRef> {
        schema_of(&self.schema)
    }

    pub(crate) fn objects(&self) -> Option<Vec<ObjectMeta>> {
        let meta = |object: &Object| {
            Some(ObjectMeta {
                location: Path::parse(&object.path).ok()?,
                last_modified: object.modified,
                size: object.size,
                e_tag: object.e_tag.clone(),
                version: object.version.clone(),
            })
        };
        self.objects.iter().map(meta).collect()
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
    OnValue,
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
            QueryError::FailedOnValue => Self::OnValue,
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
            Failure::OnValue => Self::FailedOnValue,
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
fn schema_bytes(schema: &SchemaRef) -> Result<Vec<u8>, QueryError> {
    Ok(StreamEncoder::new(schema)?.take())
}

/// The schema at the start of a stream.
fn schema_of(bytes: &[u8]) -> Option<SchemaRef> {
    let mut stream = CheckedStream::new();
    stream.decode(&mut Bytes::copy_from_slice(bytes)).ok()?;
    stream.schema()
}

pub(super) const fn failed() -> QueryError {
    QueryError::Engine {
        step: "communicating with its process",
    }
}
