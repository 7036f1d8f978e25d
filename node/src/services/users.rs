//! People: their accounts, roles and training.

use std::collections::BTreeSet;

use concordat_documents::Items;
use concordat_documents::problem::Problem;
use concordat_documents::secret::SecretText;
use concordat_documents::user::{self, Account, NewAccess, NewAccount, NewPassword, NewRoles};
use concordat_keys::Secret;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::ActorId;
use concordat_protocol::query::Role;
use concordat_protocol::text::{Course, Label};
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

use super::run::blocking;
use crate::changes::Subject;
use crate::iam::{AccountChange, AccountView, Action, Actor, Training};
use crate::node::Node;

/// All accounts.
///
/// # Errors
/// `denied` without the role; `internal` if the state cannot be read.
pub(crate) async fn list(node: &Node, caller: &Actor) -> Result<Items<Account>, Problem> {
    caller.require(Action::ManageUsers)?;
    let people = blocking(node, |node| node.accounts().list()).await?;
    Ok(people.into_iter().map(account).collect())
}

/// Creates an account with a password that opens one session.
///
/// # Errors
/// `denied` without the role; `usage` if the name is taken or the password unsuitable.
pub(crate) async fn add(node: &Node, caller: &Actor, new: NewAccount) -> Result<Account, Problem> {
    let by = caller.authorize(Action::ManageUsers)?;
    let creator = caller.id().clone();
    blocking(node, move |node| {
        let NewAccount { name, roles, password } = new;
        let now = node.clock().now();
        let labels = labels(&roles);
        let given = (&creator, now);
        let change = node
            .accounts()
            .new_account_for(&name, roles, &secret(&password), given)?;
        let entry = EntryBody::UserAdded {
            actor: actor(node, &name)?,
            roles: labels,
        };
        record_and_make(node, change, entry, &by)
    })
    .await
}

/// Sets the roles of an account.
///
/// # Errors
/// `denied` without the role; `usage` if no administrator would be left.
pub(crate) async fn set_roles(node: &Node, caller: &Actor, name: String, new: NewRoles) -> Result<Account, Problem> {
    let by = caller.authorize(Action::ManageUsers)?;
    let setter = caller.id().clone();
    blocking(node, move |node| {
        let labels = labels(&new.roles);
        let given = (&setter, node.clock().now());
        let change = node.accounts().other_roles(&name, new.roles, given)?;
        let entry = EntryBody::UserChanged {
            actor: actor(node, &name)?,
            change: Label::sanitized("roles"),
            roles: labels,
        };
        record_and_make(node, change, entry, &by)
    })
    .await
}

/// Enables or disables an account. An account that is disabled loses its sessions.
///
/// # Errors
/// `denied` without the role; `usage` if no administrator would be left.
pub(crate) async fn set_access(node: &Node, caller: &Actor, name: String, new: NewAccess) -> Result<Account, Problem> {
    let by = caller.authorize(Action::ManageUsers)?;
    let setter = caller.id().clone();
    blocking(node, move |node| {
        let (change, entry) = if new.enabled {
            let given = (&setter, node.clock().now());
            (
                node.accounts().enabled(&name, given)?,
                user_changed(node, &name, "access")?,
            )
        } else {
            let change = node.accounts().disabled(&name)?;
            let actor = actor(node, &name)?;
            (change, EntryBody::UserDisabled { actor })
        };
        record_and_make(node, change, entry, &by)
    })
    .await
}

/// Sets a password for another person. It opens one session, in which the person sets their own.
///
/// # Errors
/// `denied` without the role; `usage` if the password is unsuitable.
pub(crate) async fn set_password(
    node: &Node,
    caller: &Actor,
    name: String,
    new: NewPassword,
) -> Result<Account, Problem> {
    let by = caller.authorize(Action::ManageUsers)?;
    let setter = caller.id().clone();
    blocking(node, move |node| {
        let now = node.clock().now();
        let password = secret(&new.password);
        let change = node.accounts().other_password(&name, &password, &setter, now)?;
        let entry = user_changed(node, &name, "password-reset")?;
        record_and_make(node, change, entry, &by)
    })
    .await
}

/// Records a training.
///
/// # Errors
/// `denied` without the role; `usage` if it is over.
pub(crate) async fn record_training(
    node: &Node,
    caller: &Actor,
    name: String,
    new: user::Training,
) -> Result<Account, Problem> {
    let by = caller.authorize(Action::ManageUsers)?;
    let until = Timestamp::parse_end(&new.until)?;
    blocking(node, move |node| {
        let note = training_note(node, &new.name);
        let training = Training { name: new.name, until };
        let change = node.accounts().training(&name, training, node.clock().now())?;
        let entry = user_changed(node, &name, "training")?;
        let account = record_and_make(node, change, entry, &by)?;
        Ok::<_, Problem>(Account { note, ..account })
    })
    .await
}

/// Why a training in `course` gives no access here; `None` if the policy names the course.
fn training_note(node: &Node, course: &Course) -> Option<String> {
    let named = node.policies().live().current().named_trainings();
    if named.contains(course) {
        return None;
    }
    let named: Vec<&str> = named.iter().map(Course::as_str).collect();
    Some(format!(
        "the policy of this institution does not name the course `{course}`, so it gives no access to its data; the courses that count here \
         are {}; other institutions decide for their data by their own policies",
        if named.is_empty() {
            "none".to_owned()
        } else {
            named.join(", ")
        }
    ))
}

/// A secret of a request; both copies are wiped when they are dropped.
pub(super) fn secret(text: &SecretText) -> Secret {
    Secret::from(text.expose().to_owned())
}

/// A training as a document.
pub(super) fn training(training: Training) -> user::Training {
    user::Training {
        name: training.name,
        until: training.until.to_string(),
    }
}

fn account(view: AccountView) -> Account {
    Account {
        name: view.name,
        roles: view.roles,
        training: view.training.map(training),
        disabled: view.disabled,
        created: view.created.to_string(),
        note: None,
    }
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
fn record_and_make(node: &Node, change: AccountChange, entry: EntryBody, by: &Attribution) -> Result<Account, Problem> {
    let name = change.name().to_owned();
    let by = (by, node.clock().now());
    // The entry states whole values, which do not depend on the account as it was; the change is checked again when it is made.
    let make = || Ok::<_, Problem>(node.accounts().make(change)?);
    node.changes()
        .make(Subject::Account(name.clone()), by, || Ok::<_, Problem>((entry, make)))?;
    Ok(account(node.accounts().show(&name)?))
}
