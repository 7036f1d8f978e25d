//! Collections of several datasets: imported from folders, declared by templates, shown and published.
//!
//! A folder is sent as a line of JSON, its files, and a line that closes it ([`concordat_documents::collection`]); the response is a stream of
//! lines as for one file. The node opens no path that a request names, except below the inboxes of its configuration.

mod received;

use axum::{
    Json,
    extract::{Request, State},
    response::Response,
    routing::{get, post},
};
use concordat_documents::Items;
use concordat_documents::collection::{
    Collection, CollectionLine, CollectionPermission, CollectionSummary, FOLDER, FolderImport, NewRules, TemplateText,
};
use concordat_documents::dataset::{DatasetCheck, Erased, ErasureRequest, NewRetention, Retention};
use concordat_documents::import::{DatasetNotes, REPORT};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;

use received::receive_folder;

use super::body::Body;
use super::body_budget::MAX_DOCUMENT;
use super::datasets::{erase, retain, verify};
use super::imports::report;
use super::parameters::Path;
use super::route_access::{Access, Caller, Cost, Route};
use super::state::Api;
use crate::iam::Action;
use crate::services::collections::{self, NewFolder};
use crate::services::imports;

pub(super) fn routes() -> Vec<Route> {
    let read = Access::Needs(Action::ReadDatasets);
    let importing = Access::Needs(Action::ImportDataset);
    let publishing = Access::Needs(Action::PublishDataset);
    vec![
        Route::new("/v1/collections", read, get(list))
            .describe(|| [Operation::get("The collections of this institution").returns_items::<CollectionSummary>()]),
        Route::new("/v1/collections/{name}", read, get(show))
            .describe(|| [Operation::get("A collection with its datasets").returns::<Collection>()]),
        Route::new("/v1/collections/{name}/import", importing, post(import).get(check))
            .cost(Cost::OwnLimit)
            .describe(|| {
                [
                    Operation::get("Whether the caller may import the collection").returns::<CollectionPermission>(),
                    Operation::post(
                        "Import a folder: a line of JSON, the bytes of the files, and a line that closes it",
                    )
                    .accepts_line_and_bytes::<FolderImport>(FOLDER)
                    .returns_lines::<CollectionLine>(REPORT),
                ]
            }),
        Route::new("/v1/collections/{name}/notes", read, get(notes)).describe(|| {
            [
                Operation::get("The notes and the options of the latest import of each dataset of a collection")
                    .returns_items::<DatasetNotes>(),
            ]
        }),
        Route::new("/v1/collections/{name}/template", read, get(template))
            .describe(|| [Operation::get("What is declared about a collection, as a file").returns::<TemplateText>()]),
        Route::new("/v1/templates/{name}", read, get(shipped_template))
            .describe(|| [Operation::get("The template of a data model, as a file").returns::<TemplateText>()]),
        Route::new(
            "/v1/collections/{name}/rules",
            Access::Needs(Action::ClassifyDataset),
            post(declare),
        )
        .accepts_up_to(MAX_DOCUMENT)
        .describe(|| {
            [Operation::post("Declare what a template states about a collection")
                .accepts::<NewRules>()
                .returns::<Collection>()]
        }),
        Route::new("/v1/collections/{name}/publish", publishing, post(publish))
            .describe(|| [Operation::post("Show a collection to members").returns::<Collection>()]),
        Route::new("/v1/collections/{name}/withdraw", publishing, post(withdraw))
            .cost(Cost::Short)
            .describe(|| [Operation::post("Hide a collection from members").returns::<Collection>()]),
        Route::new("/v1/collections/{name}/retain", importing, post(retain)).describe(|| {
            [Operation::post("Set how many versions are retained")
                .accepts::<NewRetention>()
                .returns::<Retention>()]
        }),
        Route::new(
            "/v1/collections/{name}/erase",
            Access::Needs(Action::EraseDataset),
            post(erase),
        )
        .describe(|| {
            [Operation::post("Erase a collection by destroying its keys")
                .accepts::<ErasureRequest>()
                .returns::<Erased>()]
        }),
        Route::new("/v1/collections/{name}/verify", read, post(verify))
            .describe(|| [Operation::post("Check every object of a collection").returns::<DatasetCheck>()]),
    ]
}

async fn list(State(api): State<Api>, Caller(caller): Caller) -> Result<Json<Items<CollectionSummary>>, Problem> {
    collections::list(api.node(), &caller).await.map(Json)
}

async fn show(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<Collection>, Problem> {
    collections::show(api.node(), &caller, name).await.map(Json)
}

async fn check(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<CollectionPermission>, Problem> {
    collections::check(api.transfers(), &caller, &name).map(Json)
}

async fn import(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (collection, permit) = imports::begin(api.transfers(), &caller, &name)?;
    let received = receive_folder(api.node(), &caller, request, permit).await?;
    let new = NewFolder {
        import: received.head,
        uploads: received.uploads,
        config: api.import(),
        permit: received.permit,
    };
    collections::start(api.node(), &caller, collection, new).map(report)
}

async fn notes(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<Items<DatasetNotes>>, Problem> {
    collections::notes(api.node(), &caller, name).await.map(Json)
}

async fn template(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<TemplateText>, Problem> {
    collections::template(api.node(), &caller, name).await.map(Json)
}

async fn shipped_template(Caller(caller): Caller, Path(name): Path<String>) -> Result<Json<TemplateText>, Problem> {
    collections::shipped_template(&caller, name).map(Json)
}

async fn declare(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(new): Body<NewRules>,
) -> Result<Json<Collection>, Problem> {
    collections::declare(api.node(), &caller, name, new).await.map(Json)
}

async fn publish(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<Collection>, Problem> {
    collections::publish(api.node(), &caller, name).await.map(Json)
}

async fn withdraw(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<Collection>, Problem> {
    collections::withdraw(api.node(), &caller, name).await.map(Json)
}
