//! People: their accounts, roles and training. Every change is recorded in the ledger before it is made.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, State},
    routing::{get, post},
};
use concordat_protocol::{
    audit::EntryBody,
    ids::ActorId,
    query::Role,
    text::{Label, Text},
    time::Timestamp,
};
use concordat_storage::{keys::Secret, ledger::Attribution};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Access, Api, Body, Caller, Route, sessions::secret};
use crate::{
    changes::Subject,
    iam::{AccountView, Action, IamError, Training},
    node::Node,
    problem::Problem,
};

pub(super) fn routes() -> Vec<Route> {
    let manage = Access::Needs(Action::ManageUsers);
    vec![
        Route::new("/v1/users", manage, get(list).post(add)),
        Route::new("/v1/users/{name}/roles", manage, post(set_roles)),
        Route::new("/v1/users/{name}/access", manage, post(set_access)),
        Route::new("/v1/users/{name}/password", manage, post(set_password)),
        Route::new("/v1/users/{name}/training", manage, post(record_training)),
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
    #[serde(deserialize_with = "secret")]
    password: Secret,
}

async fn add(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(new): Body<NewAccount>,
) -> Result<Json<Account>, Problem> {
    api.blocking(move |node| {
        let NewAccount { name, roles, password } = new;
        if node.accounts().show(&name).is_ok() {
            return Err(IamError::Exists { name }.into());
        }
        let entry = EntryBody::UserAdded {
            actor: actor(node, &name)?,
            roles: labels(&roles),
        };
        let now = node.clock().now();
        record_change(node, &name, (&caller.attribution(), entry), || {
            node.accounts().add_for(&name, roles, &password, now)?;
            Ok(())
        })?;
        show(node, &name)
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
    change(&api, name, move |node, name| {
        let entry = EntryBody::UserChanged {
            actor: actor(node, name)?,
            change: Label::sanitized("roles"),
            roles: labels(&roles),
        };
        record_change(node, name, (&caller.attribution(), entry), || {
            Ok(node.accounts().set_roles(name, roles)?)
        })
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
    change(&api, name, move |node, name| {
        if enabled {
            let entry = user_changed(node, name, "access")?;
            record_change(node, name, (&caller.attribution(), entry), || {
                Ok(node.accounts().enable(name)?)
            })
        } else {
            let actor = actor(node, name)?;
            let entry = EntryBody::UserDisabled { actor };
            record_change(node, name, (&caller.attribution(), entry), || {
                Ok(node.accounts().disable(name)?)
            })
        }
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    #[serde(deserialize_with = "secret")]
    password: Secret,
}

async fn set_password(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Body(NewPassword { password }): Body<NewPassword>,
) -> Result<Json<Account>, Problem> {
    change(&api, name, move |node, name| {
        let (entry, now) = (user_changed(node, name, "password-reset")?, node.clock().now());
        record_change(node, name, (&caller.attribution(), entry), || {
            Ok(node.accounts().reset_password(name, &password, caller.id(), now)?)
        })
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
    change(&api, name, move |node, name| {
        let (entry, now) = (user_changed(node, name, "training")?, node.clock().now());
        let training = Training { name: new.name, until };
        record_change(node, name, (&caller.attribution(), entry), || {
            Ok(node.accounts().record_training(name, training, now)?)
        })
    })
    .await
}

/// Changes an existing account, and returns its new state.
async fn change(
    api: &Api,
    name: String,
    change: impl FnOnce(&Node, &str) -> Result<(), Problem> + Send + 'static,
) -> Result<Json<Account>, Problem> {
    api.blocking(move |node| {
        node.accounts().show(&name)?;
        change(node, &name)?;
        show(node, &name)
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

/// Records a change of an account in the ledger, and makes it.
fn record_change(
    node: &Node,
    name: &str,
    (by, entry): (&Attribution, EntryBody),
    change: impl FnOnce() -> Result<(), Problem>,
) -> Result<(), Problem> {
    let by = (by, node.clock().now());
    node.changes()
        .make(Subject::Account(name.to_owned()), entry, by, change)
}
