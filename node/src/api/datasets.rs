//! Datasets of this institution: their contents, the classes of their columns, and whether members can see them.
//!
//! Names of datasets and collections are of one space: what is done to a whole collection without regard to its datasets has one handler, which
//! routes of collections have too.

use axum::{
    Json,
    extract::State,
    routing::{get, post},
};
use concordat_documents::Items;
use concordat_documents::dataset::{
    AcknowledgedAnswers, Dataset, DatasetCheck, DatasetSummary, DatasetVersion, Erased, Erasure, ErasureRequest,
    NewClasses, NewLimits, NewRetention, ReleaseLock, Retention, Unlock, UnlockRequest,
};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;

use super::body::Body;
use super::body_budget::MAX_DOCUMENT;
use super::parameters::Path;
use super::route_access::{Access, Caller, Cost, Route};
use super::state::Api;
use crate::iam::Action;
use crate::services::{answers, datasets, release_locks};

pub(super) fn routes() -> Vec<Route> {
    let read = Access::Needs(Action::ReadDatasets);
    let publishing = Access::Needs(Action::PublishDataset);
    let importing = Access::Needs(Action::ImportDataset);
    let classifying = Access::Needs(Action::ClassifyDataset);
    let erasing = Access::Needs(Action::EraseDataset);
    vec![
        Route::new("/v1/datasets", read, get(list))
            .describe(|| [Operation::get("The datasets of this institution").returns_items::<DatasetSummary>()]),
        Route::new("/v1/datasets/{name}", read, get(show))
            .cost(Cost::Short)
            .describe(|| [Operation::get("A dataset with its columns, classes and limits").returns::<Dataset>()]),
        Route::new("/v1/datasets/{name}/versions", read, get(versions))
            .describe(|| [Operation::get("The versions of a dataset").returns_items::<DatasetVersion>()]),
        Route::new("/v1/datasets/{name}/verify", read, post(verify))
            .describe(|| [Operation::post("Check every object of a dataset").returns::<DatasetCheck>()]),
        Route::new("/v1/datasets/{name}/classify", classifying, post(classify))
            .cost(Cost::Short)
            .accepts_up_to(MAX_DOCUMENT)
            .describe(|| {
                [Operation::post("Set the classes of columns")
                    .accepts::<NewClasses>()
                    .returns::<Dataset>()]
            }),
        Route::new("/v1/datasets/{name}/retain", importing, post(retain)).describe(|| {
            [Operation::post("Set how many versions are retained")
                .accepts::<NewRetention>()
                .returns::<Retention>()]
        }),
        Route::new("/v1/datasets/{name}/erase", erasing, post(erase)).describe(|| {
            [Operation::post("Erase a dataset by destroying its keys")
                .accepts::<ErasureRequest>()
                .returns::<Erased>()]
        }),
        Route::new("/v1/erasures", read, get(erasures))
            .describe(|| [Operation::get("The signed statements of erasures").returns_items::<Erasure>()]),
        Route::new("/v1/datasets/{name}/publish", publishing, post(publish))
            .cost(Cost::Short)
            .describe(|| [Operation::post("Show a dataset to members").returns::<DatasetSummary>()]),
        Route::new("/v1/datasets/{name}/limits", publishing, post(limit))
            .cost(Cost::Short)
            .describe(|| {
                [Operation::post("Set the limits of a dataset")
                    .accepts::<NewLimits>()
                    .returns::<Dataset>()]
            }),
        Route::new("/v1/datasets/{name}/locks", publishing, get(locks))
            .cost(Cost::Short)
            .describe(|| {
                [
                    Operation::get("The people whose queries below records to a dataset are locked")
                        .returns_items::<ReleaseLock>(),
                ]
            }),
        Route::new("/v1/datasets/{name}/unlock", publishing, post(unlock))
            .cost(Cost::Short)
            .describe(|| {
                [
                    Operation::post("Unlock queries of people, or propose it to another steward")
                        .accepts::<UnlockRequest>()
                        .returns::<Unlock>(),
                ]
            }),
        Route::new("/v1/datasets/{name}/acknowledge", publishing, post(acknowledge))
            .cost(Cost::Short)
            .describe(|| {
                [Operation::post(
                    "Acknowledge that answers below records which are missing since a restore do not count",
                )
                .returns::<AcknowledgedAnswers>()]
            }),
        Route::new("/v1/datasets/{name}/withdraw", publishing, post(withdraw))
            .cost(Cost::Short)
            .describe(|| [Operation::post("Hide a dataset from members").returns::<DatasetSummary>()]),
    ]
}

async fn list(State(api): State<Api>, Caller(caller): Caller) -> Result<Json<Items<DatasetSummary>>, Problem> {
    datasets::list(api.node(), &caller).await.map(Json)
}

async fn show(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<Dataset>, Problem> {
    datasets::show(api.node(), &caller, name).await.map(Json)
}

async fn versions(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<Items<DatasetVersion>>, Problem> {
    datasets::versions(api.node(), &caller, name).await.map(Json)
}

pub(super) async fn verify(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<DatasetCheck>, Problem> {
    datasets::verify(api.node(), &caller, name).await.map(Json)
}

async fn classify(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(new): Body<NewClasses>,
) -> Result<Json<Dataset>, Problem> {
    datasets::classify(api.node(), &caller, name, new).await.map(Json)
}

pub(super) async fn retain(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(new): Body<NewRetention>,
) -> Result<Json<Retention>, Problem> {
    datasets::retain(api.node(), &caller, name, new).await.map(Json)
}

pub(super) async fn erase(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(request): Body<ErasureRequest>,
) -> Result<Json<Erased>, Problem> {
    datasets::erase(api.node(), &caller, name, request).await.map(Json)
}

async fn erasures(State(api): State<Api>, Caller(caller): Caller) -> Result<Json<Items<Erasure>>, Problem> {
    datasets::erasures(api.node(), &caller).await.map(Json)
}

async fn publish(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<DatasetSummary>, Problem> {
    datasets::publish(api.node(), &caller, name).await.map(Json)
}

async fn limit(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(new): Body<NewLimits>,
) -> Result<Json<Dataset>, Problem> {
    datasets::limit(api.node(), &caller, name, new).await.map(Json)
}

async fn withdraw(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<DatasetSummary>, Problem> {
    datasets::withdraw(api.node(), &caller, name).await.map(Json)
}

async fn acknowledge(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<AcknowledgedAnswers>, Problem> {
    answers::acknowledge(api.node(), &caller, name).await.map(Json)
}

async fn locks(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Json<Items<ReleaseLock>>, Problem> {
    release_locks::list(api.node(), &caller, name).await.map(Json)
}

async fn unlock(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(request): Body<UnlockRequest>,
) -> Result<Json<Unlock>, Problem> {
    release_locks::unlock(api.node(), &caller, name, request)
        .await
        .map(Json)
}
