//! Datasets of this institution: their contents, the classes of their columns, and whether members can see them.

use axum::{
    Json,
    extract::State,
    routing::{get, post},
};
use concordat_documents::Items;
use concordat_documents::dataset::{
    Dataset, DatasetCheck, DatasetSummary, DatasetVersion, Erased, Erasure, ErasureRequest, NewClasses, NewLimits,
    NewRetention, Retention,
};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;

use super::body::Body;
use super::parameters::Path;
use super::route_access::{Access, Caller, Route};
use super::state::Api;
use crate::iam::Action;
use crate::services::datasets;

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
            .describe(|| [Operation::get("A dataset with its columns, classes and limits").returns::<Dataset>()]),
        Route::new("/v1/datasets/{name}/versions", read, get(versions))
            .describe(|| [Operation::get("The versions of a dataset").returns_items::<DatasetVersion>()]),
        Route::new("/v1/datasets/{name}/verify", read, post(verify))
            .describe(|| [Operation::post("Check every object of a dataset").returns::<DatasetCheck>()]),
        Route::new("/v1/datasets/{name}/classify", classifying, post(classify)).describe(|| {
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
            .describe(|| [Operation::post("Show a dataset to members").returns::<DatasetSummary>()]),
        Route::new("/v1/datasets/{name}/limits", publishing, post(limit)).describe(|| {
            [Operation::post("Set the limits of a dataset")
                .accepts::<NewLimits>()
                .returns::<Dataset>()]
        }),
        Route::new("/v1/datasets/{name}/withdraw", publishing, post(withdraw))
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

async fn verify(
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

async fn retain(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(new): Body<NewRetention>,
) -> Result<Json<Retention>, Problem> {
    datasets::retain(api.node(), &caller, name, new).await.map(Json)
}

async fn erase(
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
