//! Imports: the answer is a stream of lines (NDJSON) that tells how far it is and ends with what it did.
//!
//! ```text
//! {"surveying":true}  {"refused":{"line":3,"reason":"…"}} …  {"written":{"rows":8192,"of":50000}} …  {"committing":true}
//! {"imported":{…}}    or    {"problem":{…}}
//! ```

use std::{convert::Infallible, path::PathBuf};

use axum::{
    body::Body as HttpBody,
    extract::{Path, State},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use concordat_protocol::{
    audit::EntryBody,
    ids::{DatasetName, SegmentName},
};
use concordat_storage::{
    catalog::{ImportMode, ImportRequest, Imported, Progress},
    ingest::{CsvOptions, Header, Missing, Note, Refused, SubjectRule, TextEncoding},
    ledger::Attribution,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Access, Api, Body, Caller, Route};
use crate::{fault::Problem, iam::Action, node::Node};

/// Lines on their way to the client: enough that the import seldom waits, few enough to cost nothing.
const LINES: usize = 256;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::new(
        "/v1/datasets/{name}/import",
        Access::Needs(Action::ImportDataset),
        post(import),
    )]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportBody {
    /// Where the file lies, as the daemon sees it.
    path: PathBuf,
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
    header: HeaderWord,
    #[serde(default)]
    missing: MissingWord,
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
enum HeaderWord {
    #[default]
    Auto,
    Present,
    Absent,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MissingWord {
    #[default]
    Auto,
    Everywhere,
    BlankOnly,
}

async fn import(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(name): Path<String>,
    Body(body): Body<ImportBody>,
) -> Result<Response, Problem> {
    let mut request = body.into_request(name.parse()?)?;
    request.by = Some(actor.id().clone());
    let by = actor.attribution();
    let (lines, waiting) = mpsc::channel(LINES);
    let node = api.node().clone();
    // It goes on when the client hangs up: half of it would be thrown away, and the ledger names who began it.
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

impl ImportBody {
    fn into_request(self, name: DatasetName) -> Result<ImportRequest, Problem> {
        if let Some(kind) = self.kind.filter(|kind| kind != "csv") {
            return Err(
                Problem::usage(format!("files of the kind `{kind}` cannot be imported")).help("convert it to CSV")
            );
        }
        if !self.path.is_absolute() {
            return Err(Problem::usage("the path of the file must be absolute"));
        }
        let options = CsvOptions {
            subject: subject(self.subject_column, self.each_row_is_a_subject)?,
            encoding: self.encoding.as_deref().map(TextEncoding::from_label).transpose()?,
            header: match self.header {
                HeaderWord::Auto => Header::Auto,
                HeaderWord::Present => Header::Present,
                HeaderWord::Absent => Header::Absent { names: Vec::new() },
            },
            missing: match self.missing {
                MissingWord::Auto => Missing::Auto,
                MissingWord::Everywhere => Missing::Everywhere,
                MissingWord::BlankOnly => Missing::BlankOnly,
            },
            refused: if self.skip_refused {
                Refused::Skip
            } else {
                Refused::Stop
            },
            text_columns: self.text_columns,
            ..CsvOptions::default()
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
            ..ImportRequest::new(name, self.path)
        })
    }
}

fn subject(column: Option<String>, each_row: bool) -> Result<SubjectRule, Problem> {
    match (column, each_row) {
        (Some(_), true) => Err(Problem::usage(
            "either a column tells people apart, or each row is a subject of its own",
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
    // What cannot be written down must not be done.
    node.ledger().ready()?;
    let now = node.clock().now();
    let signer = &node.identity().institution_key;
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
    Ok(imported)
}

/// Every refused row arrives; of the rest, what the client is too slow for is left out.
fn report(lines: &mpsc::Sender<Bytes>, event: Progress) {
    match event {
        Progress::Refused(reject) => {
            send(
                lines,
                &json!({ "refused": { "line": reject.line, "reason": reject.reason.to_string() } }),
            );
        }
        Progress::Surveying => offer(lines, &json!({ "surveying": true })),
        Progress::Writing { rows, of } => offer(lines, &json!({ "written": { "rows": rows, "of": of } })),
        Progress::Committing => offer(lines, &json!({ "committing": true })),
    }
}

/// Waits for room; a client that has hung up misses nothing that is not also in the ledger.
fn send(lines: &mpsc::Sender<Bytes>, line: &Value) {
    lines.blocking_send(encoded(line)).ok();
}

fn offer(lines: &mpsc::Sender<Bytes>, line: &Value) {
    lines.try_send(encoded(line)).ok();
}

fn encoded(line: &Value) -> Bytes {
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
