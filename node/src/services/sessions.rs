//! Logging in and out, and what people do with their own account. No role is needed: the password decides ([`Login::entry`],
//! [`Actor::authorize_own_password`]).

use concordat_documents::problem::Problem;
use concordat_documents::secret::SecretText;
use concordat_documents::session::{LoggedOut, LoginRequest, OwnPassword, PasswordReset, Person, Session};
use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::ActorId;
use concordat_protocol::text::Label;

use super::run::blocking;
use super::users::{secret, training};
use crate::attribution::by_os_account;
use crate::changes::Subject;
use crate::iam::{Actor, Login, SessionToken};
use crate::node::Node;

/// Starts a session for the person whose process runs under the account `uid` of the operating system.
///
/// # Errors
/// `locked` if the name or the password is wrong, or after too many attempts or logins; `unreachable` if too many passwords are being checked.
pub(crate) async fn login(node: &Node, uid: u32, request: LoginRequest) -> Result<Session, Problem> {
    let login = blocking(node, move |node| {
        let name = request.name;
        let now = node.clock().now();
        let result = node.sessions().login_at(&name, &secret(&request.password), uid, now);
        // Recorded before the person learns the outcome: a login that cannot be recorded is not valid.
        let entry = match &result {
            Ok(login) => Some(login.entry()),
            Err(error) => {
                let actor = known(node, &name);
                let entered = node.sessions().failures().is_entered(actor.as_ref(), error, now);
                entered.then(|| (EntryBody::LoginFailed { actor }, by_os_account(uid)))
            }
        };
        if let Some((entry, by)) = entry {
            drop(node.ledger().append(entry, &by, now)?);
        }
        Ok::<Login, Problem>(result?)
    })
    .await?;
    Ok(session(&login))
}

/// Ends a session.
pub(crate) fn logout(node: &Node, token: &SessionToken) -> LoggedOut {
    node.sessions().logout(token);
    LoggedOut { logged_in: false }
}

/// The person behind a session.
pub(crate) fn person(caller: &Actor) -> Person {
    Person {
        actor: caller.id().clone(),
        roles: caller.roles().clone(),
        factors: caller.factors().clone(),
        authenticated_at: caller.authenticated_at().to_string(),
        training: caller.training().cloned().map(training),
        set_password: caller.is_only_to_set_password(),
        password_resets: resets(caller),
    }
}

/// Sets the caller's own password; all their sessions end and a new one begins, under the account `uid` of the operating system.
///
/// # Errors
/// `locked` if the current password is wrong, or after too many logins; `usage` if the new one is unsuitable.
pub(crate) async fn set_own_password(
    node: &Node,
    caller: &Actor,
    uid: u32,
    new: OwnPassword,
) -> Result<Session, Problem> {
    let caller = caller.clone();
    let login = blocking(node, move |node| {
        let current = secret(&new.current);
        let password = secret(&new.password);
        let name = caller.id().name().to_owned();
        let now = node.clock().now();
        let (by, change) = caller.authorize_own_password(node.accounts(), &current, &password, now)?;
        node.sessions().count_change(&caller, now)?;
        let entry = EntryBody::UserChanged {
            actor: caller.id().clone(),
            change: Label::sanitized("password"),
            roles: Vec::new(),
        };
        let subject = Subject::Account(name.clone());
        // The entry does not depend on the account; the change is made only if its password is still the one that was verified.
        let make = || Ok::<_, Problem>(node.accounts().make(change)?);
        node.changes()
            .make(subject, (&by, now), || Ok::<_, Problem>((entry, make)))?;
        Ok::<Login, Problem>(node.sessions().login_changed(&name, &password, uid, now)?)
    })
    .await?;
    Ok(session(&login))
}

/// Only a name that is known here is recorded: an unknown one may be a mistyped password.
fn known(node: &Node, name: &str) -> Option<ActorId> {
    node.accounts().show(name).ok()?;
    ActorId::at(name, &node.identity().institution).ok()
}

/// The response to a login, with what the person must know about their password.
fn session(login: &Login) -> Session {
    Session {
        token: SecretText::new(login.token.expose().as_str().to_owned()),
        actor: login.actor.id().clone(),
        roles: login.actor.roles().clone(),
        until: login.until.to_string(),
        set_password: login.actor.is_only_to_set_password(),
        password_resets: resets(&login.actor),
    }
}

fn resets(actor: &Actor) -> Vec<PasswordReset> {
    let resets = actor.password_resets().iter().map(|reset| PasswordReset {
        at: reset.at.to_string(),
        by: reset.by.clone(),
    });
    resets.collect()
}
