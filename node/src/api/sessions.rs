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
    text::Label,
};
use concordat_storage::keys::Secret;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

use super::{Access, Api, Body, Caller, OsAccount, Route, access};
use crate::{
    attribution::by_os_account,
    changes::Subject,
    iam::{Actor, Login, Training},
    problem::Problem,
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new("/v1/login", Access::Open, post(login)),
        Route::new("/v1/logout", Access::AnySession, post(logout)),
        Route::new("/v1/whoami", Access::AnySession, get(whoami)),
        Route::new("/v1/password", Access::AnySession, post(set_password)),
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
            let answer = node.sessions().login_at(&name, &body.password, account.uid, now);
            // Recorded before the person learns the outcome: a login that cannot be recorded is not valid.
            let (entry, by) = match &answer {
                Ok(login) => (
                    EntryBody::LoginSucceeded {
                        one_time: login.actor.is_only_to_set_password(),
                    },
                    login.actor.attribution(),
                ),
                Err(_) => {
                    let actor = known(node, &name);
                    (EntryBody::LoginFailed { actor }, by_os_account(account.uid))
                }
            };
            drop(node.ledger().append(entry, &by, now)?);
            Ok::<Login, Problem>(answer?)
        })
        .await?;
    Ok(Json(session_json(&login)))
}

/// The response to a login, with what the person must know about their password.
fn session_json(login: &Login) -> Value {
    let token = login.token.expose();
    json!({
        "token": token.as_str(),
        "actor": login.actor.id(),
        "roles": login.actor.roles(),
        "until": login.until.to_string(),
        "set_password": login.actor.is_only_to_set_password(),
        "password_resets": resets(&login.actor),
    })
}

fn resets(actor: &Actor) -> Vec<Value> {
    let resets = actor.password_resets().iter();
    resets
        .map(|reset| json!({ "at": reset.at.to_string(), "by": reset.by }))
        .collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnPassword {
    #[serde(deserialize_with = "secret")]
    current: Secret,
    #[serde(deserialize_with = "secret")]
    password: Secret,
}

/// A person sets their own password; all their sessions end and a new one begins.
async fn set_password(
    State(api): State<Api>,
    account: OsAccount,
    Caller(actor): Caller,
    Body(OwnPassword { current, password }): Body<OwnPassword>,
) -> Result<Json<Value>, Problem> {
    let login = api
        .blocking(move |node| {
            let (name, now) = (actor.id().name(), node.clock().now());
            node.accounts().check_own_password(name, &current, &password, now)?;
            let entry = EntryBody::UserChanged {
                actor: actor.id().clone(),
                change: Label::sanitized("password"),
                roles: Vec::new(),
            };
            let (subject, by) = (Subject::Account(name.to_owned()), actor.attribution());
            let change = || Ok::<_, Problem>(node.accounts().set_own_password(name, &password)?);
            node.changes().make(subject, entry, (&by, now), change)?;
            Ok::<Login, Problem>(node.sessions().login_at(name, &password, account.uid, now)?)
        })
        .await?;
    Ok(Json(session_json(&login)))
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
    set_password: bool,
    password_resets: Vec<Value>,
}

async fn whoami(Caller(actor): Caller) -> Json<Person> {
    Json(Person {
        actor: actor.id().clone(),
        roles: actor.roles().clone(),
        factors: actor.factors().clone(),
        authenticated_at: actor.authenticated_at().to_string(),
        training: actor.training().cloned(),
        set_password: actor.is_only_to_set_password(),
        password_resets: resets(&actor),
    })
}
