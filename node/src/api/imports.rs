//! Imports. The request contains the bytes of a file, and the response is a stream of lines that reports the progress and ends with the
//! result ([`concordat_documents::import`]).
//!
//! The body is a line of JSON and then the file. The sender was able to read the file; the node opens no path that a request names,
//! except below the inboxes of its configuration (`inbox` in the line of JSON, and no file bytes).

pub(in crate::api) mod received;

use axum::{
    Json,
    body::Body as HttpBody,
    extract::{Request, State},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use concordat_documents::dataset::Indexed;
use concordat_documents::import::{
    DatasetNotes, ImportLine, ImportOptions, ImportPermission, Inspection, InspectionPermission, InspectionRequest,
    REPORT, UPLOAD,
};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use serde::Serialize;
use tokio::sync::mpsc;

use received::receive;

use super::parameters::Path;
use super::route_access::{Access, Caller, Cost, Route};
use super::state::Api;
use crate::iam::Action;
use crate::services::imports::{self, NewImport, NewInspection};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            "/v1/datasets/{name}/import",
            Access::Needs(Action::ImportDataset),
            post(import).get(check),
        )
        .cost(Cost::OwnLimit)
        .describe(|| {
            [
                Operation::get("Whether the caller may import the dataset").returns::<ImportPermission>(),
                Operation::post("Import a table: a line of JSON, then the bytes of the file")
                    .accepts_line_and_bytes::<ImportOptions>(UPLOAD)
                    .returns_lines::<ImportLine>(REPORT),
            ]
        }),
        Route::new(
            "/v1/datasets/{name}/index",
            Access::Needs(Action::ImportDataset),
            post(index),
        )
        .cost(Cost::OwnLimit)
        .describe(|| {
            [
                Operation::post("Number the subjects of a dataset that was imported before they were numbered")
                    .returns::<Indexed>(),
            ]
        }),
        Route::new(
            "/v1/imports/inspect",
            Access::Needs(Action::ImportDataset),
            post(inspect).get(check_inspection),
        )
        .cost(Cost::OwnLimit)
        .describe(|| {
            [
                Operation::get("Whether the caller may inspect a file").returns::<InspectionPermission>(),
                Operation::post("Show what would be imported: a line of JSON, then the bytes of the file")
                    .accepts_line_and_bytes::<InspectionRequest>(UPLOAD)
                    .returns::<Inspection>(),
            ]
        }),
        Route::new(
            "/v1/datasets/{name}/notes",
            Access::Needs(Action::ReadDatasets),
            get(notes),
        )
        .cost(Cost::Short)
        .describe(|| {
            [Operation::get("The notes and the options of the latest import of a dataset").returns::<DatasetNotes>()]
        }),
    ]
}

async fn check(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<ImportPermission>, Problem> {
    imports::check(api.transfers(), &caller, &name).map(Json)
}

async fn import(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (dataset, permit) = imports::begin(api.transfers(), &caller, &name)?;
    let received = receive::<ImportOptions>(api.node(), &caller, request, permit).await?;
    let new = NewImport {
        options: received.head,
        upload: received.upload,
        config: api.import(),
        permit: received.permit,
    };
    imports::start(api.node(), &caller, dataset, new).await.map(report)
}

async fn index(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<Indexed>, Problem> {
    imports::index(api.node(), api.transfers(), &caller, name)
        .await
        .map(Json)
}

async fn check_inspection(
    State(api): State<Api>,
    Caller(caller): Caller,
) -> Result<Json<InspectionPermission>, Problem> {
    imports::check_inspection(api.transfers(), &caller).map(Json)
}

async fn inspect(
    State(api): State<Api>,
    Caller(caller): Caller,
    request: Request,
) -> Result<Json<Inspection>, Problem> {
    let permit = imports::begin_inspection(api.transfers(), &caller)?;
    let received = receive::<InspectionRequest>(api.node(), &caller, request, permit).await?;
    let new = NewInspection {
        request: received.head,
        upload: received.upload,
        config: api.import(),
        permit: received.permit,
    };
    imports::inspect(api.node(), &caller, new).await.map(Json)
}

async fn notes(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<DatasetNotes>, Problem> {
    imports::notes(api.node(), &caller, name).await.map(Json)
}

/// The lines as a response.
pub(super) fn report<T: Serialize + Send + 'static>(lines: mpsc::Receiver<T>) -> Response {
    let stream = futures::stream::unfold(lines, async |mut lines| {
        let line = lines.recv().await?;
        Some((encoded(&line), lines))
    });
    ([(CONTENT_TYPE, REPORT)], HttpBody::from_stream(stream)).into_response()
}

fn encoded(line: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes.into())
}
