//! Negotiations and grants: one list, because a grant is what becomes of a negotiation and keeps its number.

mod view;

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::ids::{DatasetRef, GrantId, NegotiationId};
use concordat_protocol::negotiation::Justification;
use concordat_protocol::text::Reason;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Access, Api, Body, Caller, Route};
use crate::fault::{Code, Problem};
use crate::iam::Action;
use crate::negotiation::{NegotiationView, Restriction, Wish};

/// How long a step waits for what follows from it by itself.
const SETTLE: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new("/v1/grants", Access::Needs(Action::ReadGrants), get(list)),
        Route::new("/v1/grants/request", Access::Needs(Action::RequestGrant), post(request)),
        Route::new("/v1/grants/{id}", Access::Needs(Action::ReadGrants), get(show)),
        Route::new(
            "/v1/grants/{id}/transcript",
            Access::Needs(Action::ReadGrants),
            get(transcript),
        ),
        Route::new(
            "/v1/grants/{id}/offer",
            Access::Needs(Action::AnswerRequests),
            post(offer),
        ),
        Route::new(
            "/v1/grants/{id}/accept",
            Access::Needs(Action::AcceptOffer),
            post(accept),
        ),
        Route::new(
            "/v1/grants/{id}/verify",
            Access::Needs(Action::AcceptOffer),
            post(verify),
        ),
        Route::new("/v1/grants/{id}/reject", Access::LoggedIn, post(reject)),
        Route::new(
            "/v1/grants/{id}/revoke",
            Access::Needs(Action::RevokeGrant),
            post(revoke),
        ),
        Route::new(
            "/v1/grants/{id}/suspend",
            Access::Needs(Action::SuspendGrant),
            post(suspend),
        ),
        Route::new(
            "/v1/grants/{id}/resume",
            Access::Needs(Action::SuspendGrant),
            post(resume),
        ),
        Route::new(
            "/v1/grants/{id}/relinquish",
            Access::Needs(Action::RelinquishGrant),
            post(relinquish),
        ),
    ]
}

async fn list(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let mut items = Vec::new();
    for negotiation in api.node().negotiations().list().await? {
        items.push(shown(&api, &negotiation).await);
    }
    Ok(Json(Value::Array(items)))
}

/// What is asked for, as a person writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestBody {
    dataset: DatasetRef,
    wish: Wish,
    #[serde(default)]
    justification: Option<Justification>,
}

async fn request(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(body): Body<RequestBody>,
) -> Result<Json<Value>, Problem> {
    let node = api.node();
    let scope = body.wish.into_scope(node, body.dataset).await?;
    let words = body
        .justification
        .unwrap_or_else(|| Justification::fitted("not stated"));
    let negotiation = node.negotiations().request(scope, words, &actor.attribution()).await?;
    Ok(Json(shown(&api, &negotiation).await))
}

async fn show(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let negotiation = find(&api, &id).await?;
    Ok(Json(shown(&api, &negotiation).await))
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
    let by = actor.attribution();
    let negotiation = api.node().negotiations().offer(&id, &restriction, &by).await?;
    Ok(Json(shown(&api, &negotiation).await))
}

async fn accept(State(api): State<Api>, Caller(actor): Caller, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id = find(&api, &id).await?.id;
    api.node().negotiations().accept(&id, &actor.attribution()).await?;
    settled(&api, &id).await
}

async fn verify(State(api): State<Api>, Caller(actor): Caller, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id = find(&api, &id).await?.id;
    api.node().negotiations().verify(&id, &actor.attribution()).await?;
    settled(&api, &id).await
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
        .reject(&negotiation.id, body.reason, &actor.attribution())
        .await?;
    Ok(Json(shown(&api, &negotiation).await))
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
        .change_grant(&grant, event, body.reason, &actor.attribution())
        .await?;
    let mut value = shown(&api, &negotiation).await;
    if let Some(object) = value.as_object_mut() {
        object.insert("acknowledged".to_owned(), acknowledged.into());
    }
    Ok(Json(value))
}

async fn settled(api: &Api, id: &NegotiationId) -> Result<Json<Value>, Problem> {
    let negotiation = api.node().negotiations().settled(id, SETTLE).await?;
    Ok(Json(shown(api, &negotiation).await))
}

async fn shown(api: &Api, negotiation: &NegotiationView) -> Value {
    let grant = api.node().grants().get(&GrantId::from(negotiation.id)).await;
    view::negotiation(negotiation, grant.as_ref(), api.node().clock().now())
}

/// A grant with what is behind it: where the offer fell short of the request, and where it stands now.
/// A grant with what the holder's policy says of it today, rule by rule, if we are the holder.
pub(super) async fn explained(api: &Api, id: &str) -> Result<Value, Problem> {
    let negotiation = find(api, id).await?;
    let mut value = shown(api, &negotiation).await;
    let explanation = api.node().negotiations().explain(&negotiation.id).await?;
    if let (Some(object), Some(explanation)) = (value.as_object_mut(), explanation) {
        object.insert("policy".to_owned(), json!(explanation.steps));
    }
    Ok(value)
}

/// A negotiation by its number or by the beginning of it, if that is the only one that begins so.
async fn find(api: &Api, id: &str) -> Result<NegotiationView, Problem> {
    let negotiations = api.node().negotiations();
    if let Ok(whole) = id.parse() {
        return Ok(negotiations.show(&whole).await?);
    }
    let unknown =
        || Problem::new(Code::NotFound, format!("there is no grant `{id}`")).help("`concordat grant list` shows them");
    if id.len() < 4 {
        return Err(unknown());
    }
    let mut fitting = negotiations.list().await?;
    fitting.retain(|negotiation| negotiation.id.to_string().starts_with(id));
    match fitting.len() {
        1 => fitting.pop().ok_or_else(unknown),
        0 => Err(unknown()),
        several => Err(Problem::usage(format!("{several} grants begin with `{id}`")).help("write more of the number")),
    }
}
