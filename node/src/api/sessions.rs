//! Logging in and out.

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    routing::{get, post},
};
use concordat_documents::problem::Problem;
use concordat_documents::{
    openapi::Operation,
    secret::SecretText,
    session::{LoggedOut, LoginRequest, OwnPassword, PasswordReset, Person, Session, SessionInfo},
    user,
};
use concordat_protocol::{audit::EntryBody, ids::ActorId, text::Label};
use concordat_storage::keys::Secret;

use super::body::Body;
use super::os_account::OsAccount;
use super::route;
use super::route::{Access, Caller, Route};
use super::state::Api;
use crate::{
    attribution::by_os_account,
    changes::Subject,
    iam::{Actor, Login, Training},
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new("/v1/login", Access::Open, post(login)).describe([Operation::post("Start a session")
            .accepts::<LoginRequest>()
            .returns::<Session>()]),
        Route::new("/v1/logout", Access::AnySession, post(logout))
            .describe([Operation::post("End the session").returns::<LoggedOut>()]),
        Route::new("/v1/whoami", Access::AnySession, get(whoami))
            .describe([Operation::get("The person behind the session").returns::<Person>()]),
        Route::new("/v1/password", Access::AnySession, post(set_password)).describe([Operation::post(
            "Set a password of one's own; all sessions end and a new one begins",
        )
        .accepts::<OwnPassword>()
        .returns::<Session>()]),
    ]
}

/// A secret of a request; both copies are wiped when they are dropped.
pub(super) fn secret(text: &SecretText) -> Secret {
    Secret::from(text.expose().to_owned())
}

async fn login(
    State(api): State<Api>,
    account: OsAccount,
    Body(body): Body<LoginRequest>,
) -> Result<Json<Session>, Problem> {
    let login = api
        .blocking(move |node| {
            let now = node.clock().now();
            let name = body.name;
            let answer = node
                .sessions()
                .login_at(&name, &secret(&body.password), account.uid, now);
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
    Ok(Json(session(&login)))
}

/// The response to a login, with what the person must know about their password.
fn session(login: &Login) -> Session {
    Session {
        token: SecretText::new(login.token.expose().as_str().to_owned()),
        info: SessionInfo {
            actor: login.actor.id().clone(),
            roles: login.actor.roles().clone(),
            until: login.until.to_string(),
            set_password: login.actor.is_only_to_set_password(),
            password_resets: resets(&login.actor),
        },
    }
}

fn resets(actor: &Actor) -> Vec<PasswordReset> {
    let resets = actor.password_resets().iter().map(|reset| PasswordReset {
        at: reset.at.to_string(),
        by: reset.by.clone(),
    });
    resets.collect()
}

pub(super) fn training(training: &Training) -> user::Training {
    user::Training {
        name: training.name.clone(),
        until: training.until.to_string(),
    }
}

/// A person sets their own password; all their sessions end and a new one begins.
async fn set_password(
    State(api): State<Api>,
    account: OsAccount,
    Caller(actor): Caller,
    Body(OwnPassword { current, password }): Body<OwnPassword>,
) -> Result<Json<Session>, Problem> {
    let login = api
        .blocking(move |node| {
            let (current, password) = (secret(&current), secret(&password));
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
    Ok(Json(session(&login)))
}

/// Only a name that is known here is recorded: an unknown one may be a mistyped password.
fn known(node: &crate::node::Node, name: &str) -> Option<ActorId> {
    node.accounts().show(name).ok()?;
    ActorId::at(name, &node.identity().institution).ok()
}

async fn logout(State(api): State<Api>, headers: HeaderMap) -> Result<Json<LoggedOut>, Problem> {
    api.node().sessions().logout(&route::token(&headers)?);
    Ok(Json(LoggedOut { logged_in: false }))
}

async fn whoami(Caller(actor): Caller) -> Json<Person> {
    Json(Person {
        actor: actor.id().clone(),
        roles: actor.roles().clone(),
        factors: actor.factors().clone(),
        authenticated_at: actor.authenticated_at().to_string(),
        training: actor.training().map(training),
        set_password: actor.is_only_to_set_password(),
        password_resets: resets(&actor),
    })
}
