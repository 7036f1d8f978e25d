//! People: their accounts, roles and training.

use axum::{
    Json,
    extract::State,
    routing::{get, post},
};
use concordat_documents::Items;
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_documents::user::{Account, NewAccess, NewAccount, NewPassword, NewRoles, Training};

use super::body::Body;
use super::parameters::Path;
use super::route_access::{Access, Caller, Cost, Route};
use super::state::Api;
use crate::iam::Action;
use crate::services::users;

pub(super) fn routes() -> Vec<Route> {
    let manage = Access::Needs(Action::ManageUsers);
    vec![
        Route::new("/v1/users", manage, get(list).post(add))
            .cost(Cost::Short)
            .describe(|| {
                [
                    Operation::get("All accounts").returns_items::<Account>(),
                    Operation::post("Create an account")
                        .accepts::<NewAccount>()
                        .returns::<Account>(),
                ]
            }),
        Route::new("/v1/users/{name}/roles", manage, post(set_roles))
            .cost(Cost::Short)
            .describe(|| {
                [Operation::post("Set the roles of an account")
                    .accepts::<NewRoles>()
                    .returns::<Account>()]
            }),
        Route::new("/v1/users/{name}/access", manage, post(set_access))
            .cost(Cost::Short)
            .describe(|| {
                [Operation::post("Enable or disable an account")
                    .accepts::<NewAccess>()
                    .returns::<Account>()]
            }),
        Route::new("/v1/users/{name}/password", manage, post(set_password))
            .cost(Cost::Short)
            .describe(|| {
                [Operation::post("Set a password that opens one session")
                    .accepts::<NewPassword>()
                    .returns::<Account>()]
            }),
        Route::new("/v1/users/{name}/training", manage, post(record_training))
            .cost(Cost::Short)
            .describe(|| {
                [Operation::post("Record a training")
                    .accepts::<Training>()
                    .returns::<Account>()]
            }),
    ]
}

async fn list(State(api): State<Api>, Caller(caller): Caller) -> Result<Json<Items<Account>>, Problem> {
    users::list(api.node(), &caller).await.map(Json)
}

async fn add(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(new): Body<NewAccount>,
) -> Result<Json<Account>, Problem> {
    users::add(api.node(), &caller, new).await.map(Json)
}

async fn set_roles(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(new): Body<NewRoles>,
) -> Result<Json<Account>, Problem> {
    users::set_roles(api.node(), &caller, name, new).await.map(Json)
}

async fn set_access(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(new): Body<NewAccess>,
) -> Result<Json<Account>, Problem> {
    users::set_access(api.node(), &caller, name, new).await.map(Json)
}

async fn set_password(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(new): Body<NewPassword>,
) -> Result<Json<Account>, Problem> {
    users::set_password(api.node(), &caller, name, new).await.map(Json)
}

async fn record_training(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(new): Body<Training>,
) -> Result<Json<Account>, Problem> {
    users::record_training(api.node(), &caller, name, new).await.map(Json)
}
