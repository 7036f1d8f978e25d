//! `why`: a decision, rule by rule, and what would have to change for a permit. No data is queried.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of the SQL engine are non-exhaustive: variants that are not listed are refused"
)]

use axum::Json;
use axum::extract::State;
use concordat_documents::problem::Problem;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::QueryId;
use concordat_protocol::scope::Purpose;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use super::grants;
use super::route::Caller;
use super::state::Api;
use crate::iam::Actor;

/// Ledger entries that are searched for a request, from the newest on.
const SEARCHED: u64 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyBody {
    subject: String,
    #[serde(default)]
    purpose: Option<Purpose>,
}

/// A text with spaces is a query; an id is a request in the ledger, or a grant.
pub(super) async fn why(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(body): Body<WhyBody>,
) -> Result<Json<Value>, Problem> {
    if body.subject.trim().contains(char::is_whitespace) {
        return Ok(Json(explain_query(&api, &actor, &body).await));
    }
    if let Ok(request) = body.subject.parse::<QueryId>()
        && let Some(decision) = decision_in_ledger(&api, request).await?
    {
        return Ok(Json(decision));
    }
    let grant = grants::explain(&api, &body.subject).await;
    grant.map(Json).map_err(|problem| match problem.code {
        ErrorKind::NotFound => {
            problem.help("give a grant, a request id from the ledger, or a complete SELECT in quotes")
        }
        _ => problem,
    })
}

async fn explain_query(api: &Api, actor: &Actor, body: &WhyBody) -> Value {
    let federation = api.node().federation();
    let own = federation
        .explain_own(actor, &body.subject, body.purpose.as_ref())
        .await;
    let policy = own.map(|explanation| explanation.steps).unwrap_or_default();
    match federation.explain(actor, &body.subject, body.purpose.clone()).await {
        Ok(mut steps) => {
            steps.push("no local rule forbids it; each provider decides again when it receives the query".to_owned());
            json!({ "decision": "permit", "steps": steps, "policy": policy })
        }
        Err(error) => {
            let problem = Problem::from(error);
            json!({
                "decision": "deny",
                "detail": problem.detail,
                "reasons": problem.reasons,
                "help": problem.help,
                "policy": policy,
            })
        }
    }
}

/// The decision about `request` as recorded in the ledger.
async fn decision_in_ledger(api: &Api, request: QueryId) -> Result<Option<Value>, Problem> {
    let entries = api.blocking(move |node| node.ledger().tail(SEARCHED)).await?;
    let found = entries.into_iter().rev().find_map(|stored| match stored.entry.body {
        EntryBody::DecisionMade {
            request: of,
            permitted,
            reasons,
            policy,
            grant,
            ..
        } if of == request => Some(json!({
            "decision": if permitted { "permit" } else { "deny" },
            "request": request,
            "grant": grant,
            "actor": stored.entry.cause.actor(),
            "at": stored.entry.at.to_string(),
            "entry": stored.entry.sequence,
            "policy": policy,
            "reasons": reasons,
        })),
        _ => None,
    });
    Ok(found)
}
