//! `why`: a decision, rule by rule, and what would turn it into a yes. Nothing is asked of the data.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of the SQL engine are open: what is not named is refused"
)]

use axum::Json;
use axum::extract::State;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::QueryId;
use concordat_protocol::scope::Purpose;
use serde::Deserialize;
use serde_json::{Value, json};

use super::grants;
use super::{Api, Body, Caller};
use crate::fault::{Code, Problem};
use crate::iam::Actor;

/// Entries of the ledger that are searched for a request, from the newest on.
const SEARCHED: u64 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyBody {
    subject: String,
    #[serde(default)]
    purpose: Option<Purpose>,
}

/// A text with blanks is a question; a number is a request in the ledger, or a grant.
pub(super) async fn why(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(body): Body<WhyBody>,
) -> Result<Json<Value>, Problem> {
    if body.subject.trim().contains(char::is_whitespace) {
        return Ok(Json(question(&api, &actor, &body).await));
    }
    if let Ok(request) = body.subject.parse::<QueryId>()
        && let Some(decision) = decided(&api, request).await?
    {
        return Ok(Json(decision));
    }
    let grant = grants::explained(&api, &body.subject).await;
    grant.map(Json).map_err(|problem| match problem.code {
        Code::NotFound => problem.help("name a grant, a request from the ledger, or a whole SELECT in quotes"),
        _ => problem,
    })
}

async fn question(api: &Api, actor: &Actor, body: &WhyBody) -> Value {
    let federation = api.node().federation();
    let own = federation
        .explain_own(actor, &body.subject, body.purpose.as_ref())
        .await;
    let policy = own.map(|explanation| explanation.steps).unwrap_or_default();
    match federation.explain(actor, &body.subject, body.purpose.clone()).await {
        Ok(mut steps) => {
            steps.push("nothing here stands against it; each holder decides again when it is asked".to_owned());
            json!({ "decision": "permit", "steps": steps, "policy": policy })
        }
        Err(fault) => {
            let problem = Problem::from(fault);
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

/// The decision about `request` as the ledger has it.
async fn decided(api: &Api, request: QueryId) -> Result<Option<Value>, Problem> {
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
