//! Queries, catalogs and `why`.

mod parts;

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use concordat_documents::Items;
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_documents::query::{Catalog, CatalogQuery, FunctionRule, PARTS, QueryEstimate, QueryRequest};
use concordat_documents::why::{Why, WhyRequest};

use parts::Parts;

use super::body::Body;
use super::body_budget::MAX_QUERY;
use super::parameters::Query;
use super::route_access::{Access, Caller, Cost, Route};
use super::state::Api;
use crate::iam::Action;
use crate::services::{queries, why};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new("/v1/query", Access::Needs(Action::Query), post(query))
            .cost(Cost::OwnLimit)
            .accepts_up_to(MAX_QUERY)
            .describe(|| {
                [
                    Operation::post("Run a query; the answer is an Arrow IPC stream in parts")
                        .accepts::<QueryRequest>()
                        .returns_bytes(PARTS),
                ]
            }),
        Route::new("/v1/query/estimate", Access::Needs(Action::Query), post(estimate))
            .accepts_up_to(MAX_QUERY)
            .describe(|| {
                [Operation::post("What a query would do, cost and show; it is not sent")
                    .accepts::<QueryRequest>()
                    .returns::<QueryEstimate>()]
            }),
        Route::new(
            "/v1/query/functions",
            Access::Needs(Action::ExplainDecision),
            get(functions),
        )
        .cost(Cost::Short)
        .describe(|| [Operation::get("What a query can compute, and at which tier").returns_items::<FunctionRule>()]),
        Route::new("/v1/catalog", Access::Needs(Action::ReadCatalog), get(catalog)).describe(|| {
            [Operation::get("What other members publish")
                .query::<CatalogQuery>()
                .returns::<Catalog>()]
        }),
        Route::new("/v1/why", Access::Needs(Action::ExplainDecision), post(why))
            .accepts_up_to(MAX_QUERY)
            .describe(|| {
                [Operation::post("A decision, rule by rule")
                    .accepts::<WhyRequest>()
                    .returns::<Why>()]
            }),
    ]
}

async fn query(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(request): Body<QueryRequest>,
) -> Result<Response, Problem> {
    let answer = queries::run(api.node(), &caller, request).await?;
    let parts = Parts::begin(answer)?;
    let stream = futures::stream::try_unfold(parts, async |mut parts| {
        let next = parts.next().await?;
        Ok::<_, Problem>(next.map(|part| (part, parts)))
    });
    let body = HttpBody::from_stream(futures::TryStreamExt::map_err(stream, |problem| problem.detail));
    Ok(([(CONTENT_TYPE, PARTS)], body).into_response())
}

async fn estimate(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(request): Body<QueryRequest>,
) -> Result<Json<QueryEstimate>, Problem> {
    queries::estimate(api.node(), &caller, request).await.map(Json)
}

async fn functions(Caller(caller): Caller) -> Result<Json<Items<FunctionRule>>, Problem> {
    queries::functions(&caller).map(Json)
}

async fn catalog(
    State(api): State<Api>,
    Caller(caller): Caller,
    Query(query): Query<CatalogQuery>,
) -> Result<Json<Catalog>, Problem> {
    queries::catalog(api.node(), &caller, query).await.map(Json)
}

async fn why(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(request): Body<WhyRequest>,
) -> Result<Json<Why>, Problem> {
    why::explain(api.node(), &caller, request).await.map(Json)
}
