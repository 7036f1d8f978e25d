//! People: their accounts, roles and training. Every change is recorded in the ledger before it is made.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, State},
    routing::{get, post},
};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_documents::secret::SecretText;
use concordat_protocol::{
    audit::EntryBody,
    ids::ActorId,
    query::Role,
    text::{Label, Text},
    time::Timestamp,
};
use concordat_storage::ledger::Attribution;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Access, Api, Body, Caller, Route, sessions::secret};
use crate::{
    changes::Subject,
    iam::{AccountChange, AccountView, Action, Training},
    node::Node,
};

pub(super) fn routes() -> Vec<Route> {
    let manage = Access::Needs(Action::ManageUsers);
    vec![
        Route::new("/v1/users", manage, get(list).post(add)).describe([
            Operation::get("All accounts").returns_object(),
            Operation::post("Create an account").returns_object(),
        ]),
        Route::new("/v1/users/{name}/roles", manage, post(set_roles)).describe([Operation::post(
            "Set the roles of an account",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/users/{name}/access", manage, post(set_access)).describe([Operation::post(
            "Enable or disable an account",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/users/{name}/password", manage, post(set_password)).describe([Operation::post(
            "Set a password that opens one session",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/users/{name}/training", manage, post(record_training)).describe([Operation::post(
            "Record a training",
        )
        .accepts_object()
        .returns_object()]),
    ]
}

/// An account as it is shown to people.
#[derive(Serialize)]
struct Account {
    name: String,
    roles: BTreeSet<Role>,
    training: Option<Value>,
    disabled: bool,
    created: String,
}

impl From<AccountView> for Account {
    fn from(view: AccountView) -> Self {
        let training = view
            .training
            .map(|t| json!({ "name": t.name, "until": t.until.to_string() }));
        Self {
            name: view.name,
            roles: view.roles,
            training,
            disabled: view.disabled,
            created: view.created.to_string(),
        }
    }
}

async fn list(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let people = api.blocking(|node| node.accounts().list()).await?;
    let items: Vec<Account> = people.into_iter().map(Account::from).collect();
    Ok(Json(json!({ "items": items })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    name: String,
    roles: BTreeSet<Role>,
    password: SecretText,
}

async fn add(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(new): Body<NewAccount>,
) -> Result<Json<Account>, Problem> {
    api.blocking(move |node| {
        let NewAccount { name, roles, password } = new;
        let (now, labels) = (node.clock().now(), labels(&roles));
        let change = node.accounts().new_account_for(&name, roles, &secret(&password), now)?;
        let entry = EntryBody::UserAdded {
            actor: actor(node, &name)?,
            roles: labels,
        };
        record_and_make(node, change, entry, &caller.attribution())
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Roles {
    roles: BTreeSet<Role>,
}

async fn set_roles(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(Roles { roles }): Body<Roles>,
) -> Result<Json<Account>, Problem> {
    api.blocking(move |node| {
        let labels = labels(&roles);
        let change = node.accounts().other_roles(&name, roles)?;
        let entry = EntryBody::UserChanged {
            actor: actor(node, &name)?,
            change: Label::sanitized("roles"),
            roles: labels,
        };
        record_and_make(node, change, entry, &caller.attribution())
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enabled {
    enabled: bool,
}

async fn set_access(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(Enabled { enabled }): Body<Enabled>,
) -> Result<Json<Account>, Problem> {
    api.blocking(move |node| {
        let (change, entry) = if enabled {
            (node.accounts().enabled(&name)?, user_changed(node, &name, "access")?)
        } else {
            let change = node.accounts().disabled(&name)?;
            let actor = actor(node, &name)?;
            (change, EntryBody::UserDisabled { actor })
        };
        record_and_make(node, change, entry, &caller.attribution())
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    password: SecretText,
}

async fn set_password(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(NewPassword { password }): Body<NewPassword>,
) -> Result<Json<Account>, Problem> {
    api.blocking(move |node| {
        let now = node.clock().now();
        let change = node
            .accounts()
            .other_password(&name, &secret(&password), caller.id(), now)?;
        let entry = user_changed(node, &name, "password-reset")?;
        record_and_make(node, change, entry, &caller.attribution())
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTraining {
    name: Text<100>,
    until: String,
}

async fn record_training(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(new): Body<NewTraining>,
) -> Result<Json<Account>, Problem> {
    let until = Timestamp::parse(&new.until)?;
    api.blocking(move |node| {
        let training = Training { name: new.name, until };
        let change = node.accounts().training(&name, training, node.clock().now())?;
        let entry = user_changed(node, &name, "training")?;
        record_and_make(node, change, entry, &caller.attribution())
    })
    .await
}

fn show(node: &Node, name: &str) -> Result<Json<Account>, Problem> {
    Ok(Json(node.accounts().show(name)?.into()))
}

fn actor(node: &Node, name: &str) -> Result<ActorId, Problem> {
    Ok(ActorId::at(name, &node.identity().institution)?)
}

fn labels(roles: &BTreeSet<Role>) -> Vec<Label> {
    roles.iter().map(|role| Label::sanitized(role.as_str())).collect()
}

fn user_changed(node: &Node, name: &str, what: &str) -> Result<EntryBody, Problem> {
    Ok(EntryBody::UserChanged {
        actor: actor(node, name)?,
        change: Label::sanitized(what),
        roles: Vec::new(),
    })
}

/// Records a change that was checked in the ledger, makes it, and returns the account.
fn record_and_make(
    node: &Node,
    change: AccountChange,
    entry: EntryBody,
    by: &Attribution,
) -> Result<Json<Account>, Problem> {
    let name = change.name().to_owned();
    let by = (by, node.clock().now());
    node.changes().make(Subject::Account(name.clone()), entry, by, || {
        Ok::<_, Problem>(node.accounts().make(change)?)
    })?;
    show(node, &name)
}
