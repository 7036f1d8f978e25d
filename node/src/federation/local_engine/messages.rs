//! The messages between the node and an engine process that plans and computes.
//!
//! A message is a length, a document in JSON of this length, and the bytes of rows, which are a stream of
//! [`concordat_arrow_stream`].

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::ipc::convert::{IpcSchemaEncoder, fb_to_schema};
use arrow::ipc::root_as_schema;
use bytes::Bytes;
use concordat_engine::{QueryError, ShownStatistics};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::{CollectionName, CollectionRef, DatasetName, DatasetRef, InstitutionId};
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::Tier;
use data_encoding::BASE64;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::federation::declared::Declared;
use crate::federation::error::FederationError;
use crate::federation::planned_part::PlannedPart;
use crate::federation::remark::Remark;
use crate::federation::report::QueryReport;
use crate::federation::source::{Access, Target};
use crate::federation::statement::{QueryTables, TableName};
use crate::federation::tables::Tables;
use crate::federation::union_table::{MemberColumns, UnionTable};
use crate::negotiation::RowCondition;

/// Bytes of the length of a document.
const LENGTH: usize = 4;
/// Maximum length of an error's text, in characters.
const MAX_TEXT: usize = 4000;

/// What a process is to do for a person.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    /// Read a query, and answer with [`FromEngine::Tables`].
    Query(String),
    /// Read a row condition, and answer with [`FromEngine::Condition`].
    Condition(String),
    /// Plan a query.
    Plan(Box<Begin>),
}

/// A query to be planned.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Begin {
    pub(super) sql: String,
    /// The day on which it is planned, in days since 1970-01-01.
    pub(super) day: i32,
    tables: Vec<TableMessage>,
    declared: Vec<DeclaredMessage>,
    pub(super) remarks: Vec<Remark>,
    pub(super) left_out: Vec<(DatasetRef, Remark)>,
    /// Memory for groupings, sorts and joins, in bytes.
    pub(super) memory: usize,
}

/// One table of the query.
#[derive(Debug, Serialize, Deserialize)]
struct TableMessage {
    institution: Option<InstitutionId>,
    collection: Option<CollectionName>,
    dataset: DatasetName,
    version: Option<VersionNumber>,
    members: Vec<MemberMessage>,
}

/// One member of a table.
#[derive(Debug, Serialize, Deserialize)]
struct MemberMessage {
    target: Target,
    /// Its columns, with their forms.
    schema: String,
    empty: BTreeSet<String>,
}

/// What a permission shows of a collection, for queries below tier `records`.
#[derive(Debug, Serialize, Deserialize)]
struct DeclaredMessage {
    collection: CollectionRef,
    access: Access,
    /// Scope, declarations and columns: an encoding, because a number in JSON may become another one.
    statistics: String,
    shown: Vec<(DatasetName, String)>,
}

/// From the node, after [`Task::Plan`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToEngine {
    /// Compute what was planned.
    Run,
    /// Rows of a member, at first its columns.
    Rows { number: u64 },
    /// The rows of a member are complete.
    End { number: u64 },
    /// A member's part failed; the node keeps the error.
    MemberFailed { number: u64 },
}

/// From the engine process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromEngine {
    /// What the node has to know of the text of a query.
    Tables(QueryTables),
    /// The comparisons of a row condition.
    Condition(RowCondition),
    /// One member answers the whole query; the columns of its answer follow.
    Whole {
        target: usize,
        sql: String,
        grouped: bool,
        figures: Option<u64>,
        remarks: Vec<Remark>,
    },
    /// The query is computed from several answers, in these steps; what each member is queried for.
    Local {
        steps: Vec<String>,
        parts: Vec<PlannedPart>,
        remarks: Vec<Remark>,
    },
    /// A query for a member; the columns of its answer follow.
    Query {
        number: u64,
        target: usize,
        sql: String,
        grouped: bool,
    },
    /// A batch of this member's rows was read, so that another one can be sent.
    More { number: u64 },
    /// No more rows of this member are read.
    Close { number: u64 },
    /// The columns of the answer, which follow, and all remarks on it.
    Columns { remarks: Vec<Remark> },
    /// Rows of the answer.
    Rows,
    /// The answer is complete.
    Done,
    /// Why there is no answer, or no more of it.
    Failed(Failure),
}

/// An error as it crosses the socket.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Failure {
    Usage {
        detail: String,
        help: Option<String>,
    },
    Query {
        dataset: Option<DatasetRef>,
        kind: ErrorKind,
        text: String,
    },
    NoPart {
        table: String,
        missing: Vec<String>,
    },
    Tier {
        dataset: DatasetRef,
        tier: Tier,
        reason: String,
    },
    SchemaMismatch {
        column: String,
        left: InstitutionId,
        left_type: String,
        right: InstitutionId,
        right_type: String,
    },
    LevelsDiffer {
        column: String,
        collection: CollectionName,
        left: InstitutionId,
        left_levels: String,
        right: InstitutionId,
        right_levels: String,
        common: Vec<String>,
    },
    ColumnsChanged {
        dataset: DatasetRef,
    },
    /// The part of the member with this number, whose error the node has.
    Member(u64),
    /// The process failed.
    Engine,
}

/// The error of a member's part, in the engine process: the node has the error itself.
#[derive(Debug, thiserror::Error)]
#[error("a member's part failed")]
pub(super) struct MemberFailed(pub(super) u64);

impl Begin {
    /// # Errors
    /// If what is declared cannot be encoded.
    pub(super) fn new(
        (sql, day): (&str, i32),
        tables: &Tables,
        report: &QueryReport,
        memory: usize,
    ) -> Result<Self, FederationError> {
        let declared = tables.declarations().map(|(collection, access, declared)| {
            let statistics = declared.statistics.to_bytes().map_err(FederationError::planning)?;
            let shown = declared.shown.iter();
            Ok(DeclaredMessage {
                collection: collection.clone(),
                access,
                statistics: BASE64.encode(&statistics),
                shown: shown
                    .map(|(name, schema)| (name.clone(), schema_text(schema)))
                    .collect(),
            })
        });
        let declared = declared.collect::<Result<Vec<_>, FederationError>>()?;
        let tables = tables.iter().map(|(name, table)| TableMessage {
            institution: name.institution.clone(),
            collection: name.collection.clone(),
            dataset: name.dataset.clone(),
            version: name.version,
            members: table
                .members
                .iter()
                .map(|member| {
                    let MemberColumns { schema, empty } = member.columns_shown();
                    MemberMessage {
                        target: member.target.clone(),
                        schema: schema_text(&schema),
                        empty,
                    }
                })
                .collect(),
        });
        Ok(Self {
            sql: sql.to_owned(),
            day,
            tables: tables.collect(),
            declared,
            remarks: report.remarks(),
            left_out: report.undecided(),
            memory,
        })
    }

    /// The tables, in the order in which the node has them; `None` if a schema is invalid.
    pub(super) fn tables(&self) -> Option<Tables> {
        let mut tables = Tables::default();
        for table in &self.tables {
            let name = TableName {
                institution: table.institution.clone(),
                collection: table.collection.clone(),
                dataset: table.dataset.clone(),
                version: table.version,
            };
            let mut members = Vec::new();
            for member in &table.members {
                let columns = MemberColumns {
                    schema: schema_of(&member.schema)?,
                    empty: member.empty.clone(),
                };
                members.push((member.target.clone(), columns));
            }
            let table = match &table.institution {
                Some(_) => {
                    let (target, columns) = members.pop()?;
                    UnionTable::single(target, columns.schema)
                }
                None => UnionTable::of_members(&table.dataset, members),
            };
            tables.insert(name, table);
        }
        let mut declarations = Vec::new();
        for message in &self.declared {
            let statistics = BASE64.decode(message.statistics.as_bytes()).ok()?;
            let shown = message.shown.iter();
            let shown = shown.map(|(name, schema)| Some((name.clone(), schema_of(schema)?)));
            let declared = Declared {
                statistics: ShownStatistics::from_bytes(&statistics).ok()?,
                shown: shown.collect::<Option<_>>()?,
            };
            declarations.push((message.collection.clone(), message.access, Arc::new(declared)));
        }
        Some(tables.with_declarations(declarations))
    }
}

impl Failure {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other errors are the node's, which only their number reaches here"
    )]
    pub(super) fn of(error: &FederationError) -> Self {
        match error {
            FederationError::Usage { detail, help } => Self::Usage {
                detail: detail.clone(),
                help: help.clone(),
            },
            FederationError::Query { dataset, source } => Self::Query {
                dataset: dataset.clone(),
                kind: source.kind(),
                text: source.to_string(),
            },
            FederationError::NoPart { table, missing } => Self::NoPart {
                table: table.clone(),
                missing: missing.clone(),
            },
            FederationError::Tier { dataset, tier, reason } => Self::Tier {
                dataset: dataset.clone(),
                tier: *tier,
                reason: reason.clone(),
            },
            FederationError::SchemaMismatch {
                column,
                left,
                left_type,
                right,
                right_type,
            } => Self::SchemaMismatch {
                column: column.clone(),
                left: left.clone(),
                left_type: left_type.clone(),
                right: right.clone(),
                right_type: right_type.clone(),
            },
            FederationError::LevelsDiffer {
                column,
                collection,
                left,
                left_levels,
                right,
                right_levels,
                common,
            } => Self::LevelsDiffer {
                column: column.clone(),
                collection: collection.clone(),
                left: left.clone(),
                left_levels: left_levels.clone(),
                right: right.clone(),
                right_levels: right_levels.clone(),
                common: common.clone(),
            },
            FederationError::ColumnsChanged { dataset } => Self::ColumnsChanged {
                dataset: dataset.clone(),
            },
            FederationError::Machine { source, .. } => match source.downcast_ref::<MemberFailed>() {
                Some(MemberFailed(number)) => Self::Member(*number),
                None => Self::Engine,
            },
            _ => Self::Engine,
        }
    }

    /// The error; that of a member's part is `of_member`.
    pub(super) fn into_error(self, of_member: impl FnOnce(u64) -> Option<FederationError>) -> FederationError {
        match self {
            Self::Usage { detail, help } => FederationError::Usage {
                detail: bounded(&detail),
                help: help.as_deref().map(bounded),
            },
            Self::Query { dataset, kind, text } => FederationError::Query {
                dataset,
                source: Box::new(QueryError::Reported {
                    kind,
                    text: bounded(&text),
                }),
            },
            Self::NoPart { table, missing } => FederationError::NoPart { table, missing },
            Self::Tier { dataset, tier, reason } => FederationError::Tier { dataset, tier, reason },
            Self::SchemaMismatch {
                column,
                left,
                left_type,
                right,
                right_type,
            } => FederationError::SchemaMismatch {
                column,
                left,
                left_type,
                right,
                right_type,
            },
            Self::LevelsDiffer {
                column,
                collection,
                left,
                left_levels,
                right,
                right_levels,
                common,
            } => FederationError::LevelsDiffer {
                column,
                collection,
                left,
                left_levels,
                right,
                right_levels,
                common,
            },
            Self::ColumnsChanged { dataset } => FederationError::ColumnsChanged { dataset },
            Self::Member(number) => of_member(number).unwrap_or_else(engine_failed),
            Self::Engine => engine_failed(),
        }
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// The error for a process that does not keep to these messages.
pub(super) fn engine_failed() -> FederationError {
    FederationError::machine(
        "the engine process of the query failed",
        std::io::Error::from(std::io::ErrorKind::InvalidData),
    )
}

/// The length of `message` and its document.
pub(super) fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>, FederationError> {
    let document = serde_json::to_vec(message).map_err(|_| engine_failed())?;
    let length = u32::try_from(document.len()).map_err(|_| engine_failed())?;
    let mut encoded = length.to_le_bytes().to_vec();
    encoded.extend_from_slice(&document);
    Ok(encoded)
}

/// The message, and the bytes after it.
pub(super) fn decode<M: DeserializeOwned>(mut body: Bytes) -> Result<(M, Bytes), FederationError> {
    let (length, rest) = body.split_first_chunk::<LENGTH>().ok_or_else(engine_failed)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let document = rest.get(..length).ok_or_else(engine_failed)?;
    let message = serde_json::from_slice(document).map_err(|_| engine_failed())?;
    let rows = body.split_off(LENGTH.saturating_add(length));
    Ok((message, rows))
}

/// A schema with the metadata of its fields.
fn schema_text(schema: &Schema) -> String {
    BASE64.encode(IpcSchemaEncoder::new().schema_to_fb(schema).finished_data())
}

fn schema_of(text: &str) -> Option<SchemaRef> {
    let bytes = BASE64.decode(text.as_bytes()).ok()?;
    let schema = fb_to_schema(root_as_schema(&bytes).ok()?);
    Some(Arc::new(schema))
}

#[cfg(test)]
mod tests;
