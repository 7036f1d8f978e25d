//! Negotiations and grants: one list, because a grant results from a negotiation and keeps its id.

mod view;

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::routing::{get, post};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::ids::{DatasetRef, GrantId, NegotiationId};
use concordat_protocol::negotiation::Justification;
use concordat_protocol::text::Reason;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use super::parameters::Path;
use super::route::{Access, Caller, Route};
use super::state::Api;
use crate::iam::Action;
use crate::negotiation::{GrantRequest, NegotiationView, Restriction};

/// How long a step waits for the automatic steps that follow it.
const AUTOMATIC_STEPS_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new("/v1/grants", Access::Needs(Action::ReadGrants), get(list))
            .describe([Operation::get("Negotiations and grants").returns_object()]),
        Route::new("/v1/grants/request", Access::Needs(Action::RequestGrant), post(request))
            .describe([Operation::post("Request a grant").accepts_object().returns_object()]),
        Route::new("/v1/grants/{id}", Access::Needs(Action::ReadGrants), get(show))
            .describe([Operation::get("A negotiation and its grant").returns_object()]),
        Route::new(
            "/v1/grants/{id}/transcript",
            Access::Needs(Action::ReadGrants),
            get(transcript),
        )
        .describe([Operation::get("The messages of a negotiation").returns_object()]),
        Route::new(
            "/v1/grants/{id}/offer",
            Access::Needs(Action::AnswerRequests),
            post(offer),
        )
        .describe([Operation::post("Make an offer, at most what the policy allows")
            .accepts_object()
            .returns_object()]),
        Route::new(
            "/v1/grants/{id}/accept",
            Access::Needs(Action::AcceptOffer),
            post(accept),
        )
        .describe([Operation::post("Accept an offer").returns_object()]),
        Route::new(
            "/v1/grants/{id}/verify",
            Access::Needs(Action::AcceptOffer),
            post(verify),
        )
        .describe([Operation::post("Sign the terms of an accepted offer").returns_object()]),
        Route::new("/v1/grants/{id}/reject", Access::LoggedIn, post(reject)).describe([Operation::post(
            "End a negotiation",
        )
        .accepts_object()
        .returns_object()]),
        Route::new(
            "/v1/grants/{id}/revoke",
            Access::Needs(Action::RevokeGrant),
            post(revoke),
        )
        .describe([Operation::post("Revoke a grant").accepts_object().returns_object()]),
        Route::new(
            "/v1/grants/{id}/suspend",
            Access::Needs(Action::SuspendGrant),
            post(suspend),
        )
        .describe([Operation::post("Suspend a grant").accepts_object().returns_object()]),
        Route::new(
            "/v1/grants/{id}/resume",
            Access::Needs(Action::SuspendGrant),
            post(resume),
        )
        .describe([Operation::post("Resume a suspended grant")
            .accepts_object()
            .returns_object()]),
        Route::new(
            "/v1/grants/{id}/relinquish",
            Access::Needs(Action::RelinquishGrant),
            post(relinquish),
        )
        .describe([Operation::post("Give up a grant of another institution")
            .accepts_object()
            .returns_object()]),
    ]
}

async fn list(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let mut items = Vec::new();
    for negotiation in api.node().negotiations().list().await? {
        items.push(grant_json(&api, &negotiation).await);
    }
    Ok(Json(Value::Array(items)))
}

/// What is requested, as a person writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestBody {
    dataset: DatasetRef,
    request: GrantRequest,
    #[serde(default)]
    justification: Option<Justification>,
}

async fn request(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(body): Body<RequestBody>,
) -> Result<Json<Value>, Problem> {
    let node = api.node();
    let now = node.clock().now();
    let catalog = node.federation().catalog_of(&body.dataset.institution).await?;
    let listed = catalog.iter().find(|known| known.dataset == body.dataset);
    let scope = body.request.into_scope(
        body.dataset.clone(),
        listed.map(|known| &known.entry),
        node.identity().jurisdiction.clone(),
        now,
    )?;
    let justification = body
        .justification
        .unwrap_or_else(|| Justification::sanitized("not stated"));
    let negotiation = node
        .negotiations()
        .request(scope, justification, &actor.own_account_attribution())
        .await?;
    Ok(Json(grant_json(&api, &negotiation).await))
}

async fn show(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let negotiation = find(&api, &id).await?;
    Ok(Json(grant_json(&api, &negotiation).await))
}

async fn transcript(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(Json(view::transcript(&find(&api, &id).await?)))
}

async fn offer(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Body(restriction): Body<Restriction>,
) -> Result<Json<Value>, Problem> {
    let id = find(&api, &id).await?.id;
    let by = actor.own_account_attribution();
    let negotiation = api.node().negotiations().offer(&id, &restriction, &by).await?;
    Ok(Json(grant_json(&api, &negotiation).await))
}

async fn accept(State(api): State<Api>, Caller(actor): Caller, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id = find(&api, &id).await?.id;
    api.node()
        .negotiations()
        .accept(&id, &actor.own_account_attribution())
        .await?;
    after_automatic_steps(&api, &id).await
}

async fn verify(State(api): State<Api>, Caller(actor): Caller, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id = find(&api, &id).await?.id;
    api.node()
        .negotiations()
        .verify(&id, &actor.own_account_attribution())
        .await?;
    after_automatic_steps(&api, &id).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonBody {
    reason: Reason,
}

/// The provider's steward declines a request, the consumer's researcher an offer.
async fn reject(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Body(body): Body<ReasonBody>,
) -> Result<Json<Value>, Problem> {
    let negotiation = find(&api, &id).await?;
    actor.require(match negotiation.party {
        concordat_protocol::grant::Party::Provider => Action::AnswerRequests,
        concordat_protocol::grant::Party::Consumer => Action::AcceptOffer,
    })?;
    let negotiation = api
        .node()
        .negotiations()
        .reject(&negotiation.id, body.reason, &actor.own_account_attribution())
        .await?;
    Ok(Json(grant_json(&api, &negotiation).await))
}

async fn revoke(
    state: State<Api>,
    caller: Caller,
    id: Path<String>,
    body: Body<ReasonBody>,
) -> Result<Json<Value>, Problem> {
    change(state, caller, id, body, GrantEvent::Revoke).await
}

async fn suspend(
    state: State<Api>,
    caller: Caller,
    id: Path<String>,
    body: Body<ReasonBody>,
) -> Result<Json<Value>, Problem> {
    change(state, caller, id, body, GrantEvent::Suspend).await
}

async fn resume(
    state: State<Api>,
    caller: Caller,
    id: Path<String>,
    body: Body<ReasonBody>,
) -> Result<Json<Value>, Problem> {
    change(state, caller, id, body, GrantEvent::Resume).await
}

async fn relinquish(
    state: State<Api>,
    caller: Caller,
    id: Path<String>,
    body: Body<ReasonBody>,
) -> Result<Json<Value>, Problem> {
    change(state, caller, id, body, GrantEvent::Relinquish).await
}

async fn change(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Body(body): Body<ReasonBody>,
    event: GrantEvent,
) -> Result<Json<Value>, Problem> {
    let negotiation = find(&api, &id).await?;
    let grant = GrantId::from(negotiation.id);
    if api.node().grants().get(&grant).await.is_none() {
        let state = negotiation.state;
        return Err(Problem::usage(format!(
            "there is no grant yet: the negotiation is {state}"
        )));
    }
    let (_, acknowledged) = api
        .node()
        .negotiations()
        .change_grant(&grant, event, body.reason, &actor.own_account_attribution())
        .await?;
    let mut value = grant_json(&api, &negotiation).await;
    if let Some(object) = value.as_object_mut() {
        object.insert("acknowledged".to_owned(), acknowledged.into());
    }
    Ok(Json(value))
}

async fn after_automatic_steps(api: &Api, id: &NegotiationId) -> Result<Json<Value>, Problem> {
    let negotiation = api
        .node()
        .negotiations()
        .wait_until_ended(id, AUTOMATIC_STEPS_TIMEOUT)
        .await?;
    Ok(Json(grant_json(api, &negotiation).await))
}

async fn grant_json(api: &Api, negotiation: &NegotiationView) -> Value {
    let grant = api.node().grants().get(&GrantId::from(negotiation.id)).await;
    view::negotiation(negotiation, grant.as_ref(), api.node().clock().now())
}

/// A grant: where the offer is narrower than the request, and its current state. If this institution is the provider, also how its
/// policy decides on the grant today, rule by rule.
pub(super) async fn explain(api: &Api, id: &str) -> Result<Value, Problem> {
    let negotiation = find(api, id).await?;
    let mut value = grant_json(api, &negotiation).await;
    let explanation = api.node().negotiations().explain(&negotiation.id).await?;
    if let (Some(object), Some(explanation)) = (value.as_object_mut(), explanation) {
        object.insert("policy".to_owned(), json!(explanation.steps));
    }
    Ok(value)
}

/// A negotiation by its id or by a prefix of it, if only one id starts with the prefix.
async fn find(api: &Api, id: &str) -> Result<NegotiationView, Problem> {
    let negotiations = api.node().negotiations();
    if let Ok(whole) = id.parse() {
        return Ok(negotiations.show(&whole).await?);
    }
    let unknown = || {
        Problem::new(ErrorKind::NotFound, format!("there is no grant `{id}`"))
            .help("`concordat grant list` lists all grants")
    };
    if id.len() < 4 {
        return Err(unknown());
    }
    let mut matching = negotiations.list().await?;
    matching.retain(|negotiation| negotiation.id.to_string().starts_with(id));
    match matching.len() {
        1 => matching.pop().ok_or_else(unknown),
        0 => Err(unknown()),
        several => {
            Err(Problem::usage(format!("the ids of {several} grants start with `{id}`")).help("give more of the id"))
        }
    }
}
