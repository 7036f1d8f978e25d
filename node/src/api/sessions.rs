//! Logging in and out.

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    routing::{get, post},
};
use concordat_protocol::{
    audit::EntryBody,
    ids::ActorId,
    query::{Factor, Role},
};
use concordat_storage::keys::Secret;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

use super::{Access, Api, Body, Caller, OsAccount, Route, access};
use crate::{
    attribution::by_os_account,
    fault::Problem,
    iam::{Login, Training},
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new("/v1/login", Access::Open, post(login)),
        Route::new("/v1/logout", Access::LoggedIn, post(logout)),
        Route::new("/v1/whoami", Access::LoggedIn, get(whoami)),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginBody {
    name: String,
    #[serde(deserialize_with = "secret")]
    password: Secret,
}

/// Reads text that is wiped when it is dropped.
pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::from)
}

async fn login(
    State(api): State<Api>,
    account: OsAccount,
    Body(body): Body<LoginBody>,
) -> Result<Json<Value>, Problem> {
    let login = api
        .blocking(move |node| {
            let now = node.clock().now();
            let name = body.name;
            let answer = node.sessions().login(&name, &body.password, now);
            // Written down before the person learns the outcome: what cannot be recorded does not count.
            let (entry, by) = match &answer {
                Ok(login) => (EntryBody::LoginSucceeded { one_time: false }, login.actor.attribution()),
                Err(_) => {
                    let actor = known(node, &name);
                    (EntryBody::LoginFailed { actor }, by_os_account(account.uid))
                }
            };
            drop(node.ledger().append(entry, &by, now)?);
            Ok::<Login, Problem>(answer?)
        })
        .await?;
    let token = login.token.expose();
    Ok(Json(json!({
        "token": token.as_str(),
        "actor": login.actor.id(),
        "roles": login.actor.roles(),
        "until": login.until.to_string(),
    })))
}

/// Only a name that is known here is recorded: an unknown one may be a mistyped password.
fn known(node: &crate::node::Node, name: &str) -> Option<ActorId> {
    node.accounts().show(name).ok()?;
    ActorId::at(name, &node.identity().institution).ok()
}

async fn logout(State(api): State<Api>, headers: HeaderMap) -> Result<Json<Value>, Problem> {
    api.node().sessions().logout(&access::token(&headers)?);
    Ok(Json(json!({ "logged_in": false })))
}

#[derive(Serialize)]
struct Person {
    actor: ActorId,
    roles: BTreeSet<Role>,
    factors: BTreeSet<Factor>,
    authenticated_at: String,
    training: Option<Training>,
}

async fn whoami(Caller(actor): Caller) -> Json<Person> {
    Json(Person {
        actor: actor.id().clone(),
        roles: actor.roles().clone(),
        factors: actor.factors().clone(),
        authenticated_at: actor.authenticated_at().to_string(),
        training: actor.training().cloned(),
    })
}
