//! Negotiations and grants: one list, because a grant results from a negotiation and keeps its id.

use axum::{
    Json,
    extract::State,
    routing::{get, post},
};
use concordat_documents::grant::{Grant, GrantChange, GrantListQuery, GrantPage, GrantRequest, OfferTerms, Transcript};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;

use super::body::Body;
use super::body_budget::MAX_DOCUMENT;
use super::parameters::{Path, Query};
use super::route_access::{Access, Caller, Cost, Route};
use super::state::Api;
use crate::iam::Action;
use crate::services::grants;

pub(super) fn routes() -> Vec<Route> {
    let read = Access::Needs(Action::ReadGrants);
    let negotiating = [
        Route::new("/v1/grants", read, get(list)).describe(|| {
            [Operation::get("A page of the negotiations and grants")
                .query::<GrantListQuery>()
                .returns::<GrantPage>()]
        }),
        Route::new("/v1/grants/request", Access::Needs(Action::RequestGrant), post(request))
            .accepts_up_to(MAX_DOCUMENT)
            .describe(|| {
                [Operation::post("Request a grant")
                    .accepts::<GrantRequest>()
                    .returns::<Grant>()]
            }),
        Route::new("/v1/grants/{id}", read, get(show))
            .cost(Cost::Short)
            .describe(|| [Operation::get("A negotiation and its grant").returns::<Grant>()]),
        Route::new("/v1/grants/{id}/transcript", read, get(transcript))
            .cost(Cost::Short)
            .describe(|| [Operation::get("The messages of a negotiation").returns::<Transcript>()]),
        Route::new(
            "/v1/grants/{id}/offer",
            Access::Needs(Action::AnswerRequests),
            post(offer),
        )
        .accepts_up_to(MAX_DOCUMENT)
        .describe(|| {
            [Operation::post("Make an offer, at most what the policy allows")
                .accepts::<OfferTerms>()
                .returns::<Grant>()]
        }),
        Route::new(
            "/v1/grants/{id}/accept",
            Access::Needs(Action::AcceptOffer),
            post(accept),
        )
        .cost(Cost::Short)
        .describe(|| [Operation::post("Accept an offer").returns::<Grant>()]),
        Route::new(
            "/v1/grants/{id}/verify",
            Access::Needs(Action::AcceptOffer),
            post(verify),
        )
        .cost(Cost::Short)
        .describe(|| [Operation::post("Sign the terms of an accepted offer").returns::<Grant>()]),
    ];
    negotiating.into_iter().chain(changes()).collect()
}

fn change(summary: &'static str) -> [Operation; 1] {
    let operation = Operation::post(summary).accepts::<GrantChange>();
    [operation.returns::<Grant>()]
}

/// The routes that end a negotiation or change a grant, with a reason.
fn changes() -> [Route; 5] {
    let revoking = Action::RevokeGrant;
    let suspending = Action::SuspendGrant;
    [
        Route::new(
            "/v1/grants/{id}/reject",
            Access::NeedsEither(Action::AcceptOffer, Action::AnswerRequests),
            post(reject),
        )
        .cost(Cost::Short)
        .describe(|| change("End a negotiation")),
        Route::new("/v1/grants/{id}/revoke", Access::Needs(revoking), post(revoke))
            .cost(Cost::Short)
            .describe(|| change("Revoke a grant")),
        Route::new("/v1/grants/{id}/suspend", Access::Needs(suspending), post(suspend))
            .cost(Cost::Short)
            .describe(|| change("Suspend a grant")),
        Route::new("/v1/grants/{id}/resume", Access::Needs(suspending), post(resume))
            .cost(Cost::Short)
            .describe(|| change("Resume a suspended grant")),
        Route::new(
            "/v1/grants/{id}/relinquish",
            Access::Needs(Action::RelinquishGrant),
            post(relinquish),
        )
        .cost(Cost::Short)
        .describe(|| change("Give up a grant of another institution")),
    ]
}

async fn list(
    State(api): State<Api>,
    Caller(caller): Caller,
    Query(query): Query<GrantListQuery>,
) -> Result<Json<GrantPage>, Problem> {
    grants::list(api.node(), &caller, query).await.map(Json)
}

async fn request(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(new): Body<GrantRequest>,
) -> Result<Json<Grant>, Problem> {
    grants::request(api.node(), &caller, new).await.map(Json)
}

async fn show(State(api): State<Api>, Caller(caller): Caller, Path(id): Path<String>) -> Result<Json<Grant>, Problem> {
    grants::show(api.node(), &caller, id).await.map(Json)
}

async fn transcript(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Json<Transcript>, Problem> {
    grants::transcript(api.node(), &caller, id).await.map(Json)
}

async fn offer(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Body(terms): Body<OfferTerms>,
) -> Result<Json<Grant>, Problem> {
    grants::offer(api.node(), &caller, id, terms).await.map(Json)
}

async fn accept(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Json<Grant>, Problem> {
    grants::accept(api.node(), &caller, id).await.map(Json)
}

async fn verify(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Json<Grant>, Problem> {
    grants::verify(api.node(), &caller, id).await.map(Json)
}

async fn reject(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Body(change): Body<GrantChange>,
) -> Result<Json<Grant>, Problem> {
    grants::reject(api.node(), &caller, id, change).await.map(Json)
}

async fn revoke(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Body(change): Body<GrantChange>,
) -> Result<Json<Grant>, Problem> {
    grants::revoke(api.node(), &caller, id, change).await.map(Json)
}

async fn suspend(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Body(change): Body<GrantChange>,
) -> Result<Json<Grant>, Problem> {
    grants::suspend(api.node(), &caller, id, change).await.map(Json)
}

async fn resume(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Body(change): Body<GrantChange>,
) -> Result<Json<Grant>, Problem> {
    grants::resume(api.node(), &caller, id, change).await.map(Json)
}

async fn relinquish(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Body(change): Body<GrantChange>,
) -> Result<Json<Grant>, Problem> {
    grants::relinquish(api.node(), &caller, id, change).await.map(Json)
}
