//! Logging in and out.

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    routing::{get, post},
};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_documents::session::{LoggedOut, LoginRequest, OwnPassword, Person, Session};

use super::body::Body;
use super::body_budget::MAX_LOGIN;
use super::os_account::OsAccount;
use super::route_access;
use super::route_access::{Access, Caller, Cost, Route};
use super::state::Api;
use crate::services::sessions;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new("/v1/login", Access::Open, post(login))
            .cost(Cost::Short)
            .accepts_up_to(MAX_LOGIN)
            .describe(|| {
                [Operation::post("Start a session")
                    .accepts::<LoginRequest>()
                    .returns::<Session>()]
            }),
        Route::new("/v1/logout", Access::AnySession, post(logout))
            .cost(Cost::Short)
            .describe(|| [Operation::post("End the session").returns::<LoggedOut>()]),
        Route::new("/v1/whoami", Access::AnySession, get(whoami))
            .cost(Cost::Short)
            .describe(|| [Operation::get("The person behind the session").returns::<Person>()]),
        Route::new("/v1/password", Access::AnySession, post(set_password))
            .cost(Cost::Short)
            .describe(|| {
                [
                    Operation::post("Set a password of one's own; all sessions end and a new one begins")
                        .accepts::<OwnPassword>()
                        .returns::<Session>(),
                ]
            }),
    ]
}

async fn login(
    State(api): State<Api>,
    account: OsAccount,
    Body(request): Body<LoginRequest>,
) -> Result<Json<Session>, Problem> {
    sessions::login(api.node(), account.uid, request).await.map(Json)
}

async fn logout(State(api): State<Api>, headers: HeaderMap) -> Result<Json<LoggedOut>, Problem> {
    Ok(Json(sessions::logout(api.node(), &route_access::token(&headers)?)))
}

async fn whoami(Caller(caller): Caller) -> Json<Person> {
    Json(sessions::person(&caller))
}

async fn set_password(
    State(api): State<Api>,
    account: OsAccount,
    Caller(caller): Caller,
    Body(new): Body<OwnPassword>,
) -> Result<Json<Session>, Problem> {
    let session = sessions::set_own_password(api.node(), &caller, account.uid, new).await?;
    Ok(Json(session))
}
