//! Imports: the request contains the bytes of a file, and the response is a stream of lines (NDJSON) that reports the progress
//! and ends with the result.
//!
//! The body is a line of JSON and then the file, with the media type [`UPLOAD`]. The sender was able to read the file; the node
//! opens no path that a request names, except below the inboxes of its configuration (`inbox` in the line of JSON, and no file
//! bytes).
//!
//! ```text
//! {"inspecting":true}  {"refused":{"line":3,"reason":"…"}} …  {"written":{"rows":8192,"of":50000}} …  {"committing":true}
//! {"imported":{…}}    or    {"problem":{…}}
//! ```
//!
//! In a file without lines, such as Parquet, `line` is the number of the row.

mod received;

use std::{convert::Infallible, io, path::PathBuf};

use axum::{
    Json,
    body::Body as HttpBody,
    extract::{Request, State},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use concordat_documents::UPLOAD;
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::{
    audit::EntryBody,
    ids::{DatasetName, SegmentName},
};
use concordat_storage::{
    catalog::{ImportMode, ImportRequest, Imported, Progress},
    fs::open_beneath,
    ingest::{Format, Header, Missing, Note, Refused, Source, SubjectRule, TableOptions, TextEncoding},
    ledger::Attribution,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use received::{Received, receive};

use super::parameters::Path;
use super::route::{Access, Caller, Route};
use super::state::Api;
use crate::{iam::Action, node::Node};

/// Lines that wait for the client: enough that the import seldom waits, few enough to use little memory.
const LINES: usize = 256;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            "/v1/datasets/{name}/import",
            Access::Needs(Action::ImportDataset),
            post(import).get(may_import),
        )
        .describe([
            Operation::get("Whether the caller may import the dataset, and where the node reads files itself")
                .returns_object(),
            Operation::post("Import a table: a line of JSON, then the bytes of the file")
                .accepts_bytes(UPLOAD)
                .returns_bytes("application/x-ndjson"),
        ]),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportBody {
    /// The sender's name of the file; it is used in the manifest and in messages, and is never opened.
    #[serde(default)]
    name: String,
    /// A file below an inbox, instead of bytes.
    #[serde(default)]
    inbox: Option<PathBuf>,
    /// The format of the file, `csv`, `parquet` or `ndjson`; it is recognized if none is stated.
    #[serde(default)]
    kind: Option<String>,
    mode: Mode,
    #[serde(default)]
    segment: Option<SegmentName>,
    #[serde(default)]
    subject_column: Option<String>,
    #[serde(default)]
    each_row_is_a_subject: bool,
    #[serde(default)]
    skip_refused: bool,
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    header: HeaderOption,
    #[serde(default)]
    missing: MissingOption,
    #[serde(default)]
    text_columns: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Create,
    Append,
    Replace,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HeaderOption {
    #[default]
    Auto,
    Present,
    Absent,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MissingOption {
    #[default]
    Auto,
    Everywhere,
    BlankOnly,
}

/// Succeeds if the caller may import: a client checks this before it sends a file.
async fn may_import(Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let name: DatasetName = name.parse()?;
    Ok(Json(json!({ "dataset": name, "may_import": true })))
}

async fn import(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let name: DatasetName = name.parse()?;
    let media = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if media != Some(UPLOAD) {
        return Err(Problem::usage(format!(
            "an import is sent as `{UPLOAD}`: a line of JSON, then the file"
        )));
    }
    let Received { head, upload }: Received<ImportBody> = receive(api.node(), request.into_body()).await?;
    let source = match &head.inbox {
        None => Source::sent(&head.name, upload),
        Some(_) if !upload.is_empty() => {
            return Err(Problem::usage("a file in an inbox was named, and bytes were sent too"));
        }
        Some(path) => in_inbox(&api, path)?,
    };
    let mut request = head.into_request(name, source)?;
    request.by = Some(actor.id().clone());
    let by = actor.own_account_attribution();
    let (lines, waiting) = mpsc::channel(LINES);
    let node = api.node().clone();
    // It continues if the client disconnects: a partial import would be discarded, and the ledger names who started it.
    tokio::task::spawn_blocking(move || {
        let last = match run(&node, &request, &by, &lines) {
            Ok(imported) => json!({ "imported": summary(&request, &imported) }),
            Err(problem) => json!({ "problem": problem }),
        };
        send(&lines, &last);
    });
    let stream = futures::stream::unfold(waiting, async |mut waiting| {
        let line: Bytes = waiting.recv().await?;
        Some((Ok::<_, Infallible>(line), waiting))
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], HttpBody::from_stream(stream)).into_response())
}

/// Opens a file below an inbox; symbolic links that lead out of the inbox are not followed.
fn in_inbox(api: &Api, path: &std::path::Path) -> Result<Source, Problem> {
    let shown = path.display();
    let found = api.import().inboxes.iter().find_map(|inbox| inbox.of(path));
    let Some((inbox, below)) = found else {
        return Err(
            Problem::new(ErrorKind::Denied, format!("`{shown}` is not in an inbox of this node"))
                .help("send the file with `--from`; an administrator can configure inboxes as `import.inboxes`"),
        );
    };
    match open_beneath(inbox, below) {
        Ok(file) => Ok(Source::opened(path, file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Problem::new(ErrorKind::NotFound, format!("there is no file `{shown}`")))
        }
        Err(error) => Err(Problem::usage(format!("`{shown}` cannot be imported: {error}"))),
    }
}

impl ImportBody {
    fn into_request(self, name: DatasetName, source: Source) -> Result<ImportRequest, Problem> {
        let options = TableOptions {
            format: self.kind.as_deref().map(stated_format).transpose()?,
            subject: subject(self.subject_column, self.each_row_is_a_subject)?,
            encoding: self.encoding.as_deref().map(TextEncoding::from_label).transpose()?,
            header: match self.header {
                HeaderOption::Auto => Header::Auto,
                HeaderOption::Present => Header::Present,
                HeaderOption::Absent => Header::Absent { names: Vec::new() },
            },
            missing: match self.missing {
                MissingOption::Auto => Missing::Auto,
                MissingOption::Everywhere => Missing::Everywhere,
                MissingOption::BlankOnly => Missing::BlankOnly,
            },
            refused: if self.skip_refused {
                Refused::Skip
            } else {
                Refused::Stop
            },
            text_columns: self.text_columns,
            ..TableOptions::default()
        };
        let mode = match self.mode {
            Mode::Create => ImportMode::Create,
            Mode::Append => ImportMode::Append,
            Mode::Replace => ImportMode::Replace,
        };
        Ok(ImportRequest {
            options,
            segment: self.segment,
            mode,
            ..ImportRequest::new(name, source)
        })
    }
}

fn stated_format(kind: &str) -> Result<Format, Problem> {
    Format::from_label(kind).ok_or_else(|| {
        let labels = Format::ALL.map(Format::label).join("`, `");
        Problem::usage(format!("files of the kind `{kind}` cannot be imported")).help(format!(
            "the kinds are `{labels}`; leave it out to have the format recognized"
        ))
    })
}

fn subject(column: Option<String>, each_row: bool) -> Result<SubjectRule, Problem> {
    match (column, each_row) {
        (Some(_), true) => Err(Problem::usage(
            "either a column identifies the subjects, or each row is a subject of its own",
        )
        .help("state one of the two")),
        (Some(column), false) => Ok(SubjectRule::Column(column)),
        (None, true) => Ok(SubjectRule::EachRow),
        (None, false) => Ok(SubjectRule::Unstated),
    }
}

fn run(
    node: &Node,
    request: &ImportRequest,
    by: &Attribution,
    lines: &mpsc::Sender<Bytes>,
) -> Result<Imported, Problem> {
    // What cannot be recorded must not be done.
    node.ledger().ready()?;
    let now = node.clock().now();
    let signer = &node.identity().institution_key();
    let imported = node
        .storage()
        .catalog()
        .import(request, signer, now, &mut |event| report(lines, event))?;
    let entry = EntryBody::DatasetImported {
        dataset: request.name.clone(),
        version: imported.version.get(),
        rows: imported.total_rows,
        manifest: imported.manifest,
    };
    drop(node.ledger().append(entry, by, node.clock().now())?);
    if imported.withdrawn {
        let entry = EntryBody::DatasetWithdrawn {
            dataset: request.name.clone(),
        };
        drop(node.ledger().append(entry, by, node.clock().now())?);
    }
    node.epoch().raise();
    // The new version is valid if this fails; what could not be removed is removed after the next import.
    if let Err(problem) = node.lifecycle().trim(&request.name, by) {
        tracing::warn!(
            error = problem.detail,
            dataset = %request.name,
            "older versions beyond the retention rule were not removed"
        );
    }
    Ok(imported)
}

/// Every refused row is delivered; other progress lines are dropped if the client is too slow.
fn report(lines: &mpsc::Sender<Bytes>, event: Progress) {
    match event {
        Progress::Refused(reject) => {
            send(
                lines,
                &json!({ "refused": { "line": reject.line, "reason": reject.reason.to_string() } }),
            );
        }
        Progress::Inspecting => send_or_drop(lines, &json!({ "inspecting": true })),
        Progress::Writing { rows, of } => send_or_drop(lines, &json!({ "written": { "rows": rows, "of": of } })),
        Progress::Committing => send_or_drop(lines, &json!({ "committing": true })),
    }
}

/// Waits for space in the channel; a disconnected client misses only what is also in the ledger.
fn send(lines: &mpsc::Sender<Bytes>, line: &Value) {
    lines.blocking_send(encode(line)).ok();
}

fn send_or_drop(lines: &mpsc::Sender<Bytes>, line: &Value) {
    lines.try_send(encode(line)).ok();
}

fn encode(line: &Value) -> Bytes {
    Bytes::from(format!("{line}\n"))
}

fn summary(request: &ImportRequest, imported: &Imported) -> Value {
    let notes: Vec<String> = imported.notes.iter().map(Note::to_string).collect();
    json!({
        "dataset": request.name,
        "version": imported.version,
        "rows": imported.rows,
        "total_rows": imported.total_rows,
        "refused": imported.refused,
        "notes": notes,
        "withdrawn": imported.withdrawn,
    })
}
