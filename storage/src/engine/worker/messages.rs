//! The messages between the node and an engine process.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{schema::VersionNumber, scope::Scope};
use object_store::{ObjectMeta, path::Path};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    arrow_stream::{CheckedStream, StreamEncoder},
    engine::{Bounds, QueryError, Source, source::AnswerKeys},
};

/// Maximum bytes that one read request may ask for.
pub(super) const MAX_READ_BYTES: u64 = 16 << 20;
/// Maximum length of a repeated error message, in characters.
const MAX_TEXT: usize = 500;

/// One query, as sent to an engine process.
#[derive(Serialize, Deserialize)]
pub(in crate::engine) struct Task {
    pub(in crate::engine) scope: Scope,
    pub(in crate::engine) sql: String,
    /// The version of the dataset that the objects belong to, if the query names one.
    pub(in crate::engine) version: Option<VersionNumber>,
    pub(super) subject: String,
    schema: Vec<u8>,
    objects: Vec<Object>,
    pseudonyms: KeyBytes,
    order: KeyBytes,
    memory: usize,
    milliseconds: u64,
    groups: usize,
}

/// The bytes of a key in a message; zeroized when dropped.
#[derive(Serialize, Deserialize)]
struct KeyBytes(Vec<u8>);

impl Drop for KeyBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
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
    pub(in crate::engine) fn new(
        source: &dyn Source,
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
            pseudonyms: KeyBytes(keys.pseudonyms.bytes().to_vec()),
            order: KeyBytes(keys.order.bytes().to_vec()),
            memory: bounds.memory,
            milliseconds: u64::try_from(bounds.time.as_millis()).unwrap_or(u64::MAX),
            groups: bounds.groups,
        })
    }

    pub(in crate::engine) fn schema(&self) -> Option<SchemaRef> {
        schema_of(&self.schema)
    }

    pub(in crate::engine) fn objects(&self) -> Option<Vec<ObjectMeta>> {
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

    pub(in crate::engine) fn keys(&self) -> Option<AnswerKeys> {
        AnswerKeys::from_bytes(&self.pseudonyms.0, &self.order.0)
    }

    pub(in crate::engine) fn bounds(&self) -> Bounds {
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
