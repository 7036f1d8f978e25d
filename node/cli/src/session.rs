//! `concordat login`, `passwd`, `logout` and `whoami`; the session token is stored with the person ([`super::session_store`]).

use std::collections::BTreeSet;

use concordat_documents::Empty;
use concordat_documents::problem::Problem;
use concordat_documents::session::{LoggedOut, LoginRequest, OwnPassword, PasswordReset, Person, Session};
use concordat_protocol::ids::ActorId;
use concordat_protocol::query::Role;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::prompt::{self, text};
use crate::session_store::{session_store, unusable};
use concordat_client::Client;

#[derive(Debug, clap::Args)]
pub struct LoginArgs {
    /// Name of the account, without the institution
    name: String,
}

pub(crate) async fn login(args: LoginArgs, context: &Context) -> Result<(), Problem> {
    let password = prompt::secret("password")?;
    let body = LoginRequest {
        name: args.name,
        password: text(&password)?,
    };
    let session = Client::new(&context.dir).post("/v1/login", &body).await?;
    finish_login(session, context)
}

/// `concordat passwd`: the current password and the new one, typed or as two lines of standard input.
pub(crate) async fn passwd(context: &Context) -> Result<(), Problem> {
    let current = prompt::secret("current password")?;
    let password = prompt::new_secret("password")?;
    let body = OwnPassword {
        current: text(&current)?,
        password: text(&password)?,
    };
    let session = context.client()?.post("/v1/password", &body).await?;
    finish_login(session, context)
}

/// A session as it is printed: without its token.
#[derive(Debug, Serialize)]
struct LoggedIn {
    actor: ActorId,
    roles: BTreeSet<Role>,
    until: String,
    set_password: bool,
    password_resets: Vec<PasswordReset>,
}

/// Stores the token of a new session, and prints what the person must know.
fn finish_login(session: Session, context: &Context) -> Result<(), Problem> {
    let store = session_store(&context.dir)?;
    let token = Zeroizing::new(session.token.expose().to_owned());
    store.put(&token).map_err(|error| unusable("write", &store, &error))?;
    let info = LoggedIn {
        actor: session.actor,
        roles: session.roles,
        until: session.until,
        set_password: session.set_password,
        password_resets: session.password_resets,
    };
    let mut sentence = format!("logged in as {} until {}", info.actor, info.until);
    for reset in &info.password_resets {
        sentence.push_str(&format!("\nyour password was set by {} on {}", reset.by, reset.at));
    }
    if info.set_password {
        sentence.push_str("\nset a password of your own now, with `concordat passwd`: nothing else is possible before");
    }
    context.out.done(&sentence, &info)
}

pub(crate) async fn logout(context: &Context) -> Result<(), Problem> {
    let ended = context.client()?.post::<LoggedOut>("/v1/logout", &Empty {}).await;
    let store = session_store(&context.dir)?;
    store.remove().map_err(|error| unusable("remove", &store, &error))?;
    context.out.done("logged out", &ended?)
}

pub(crate) async fn whoami(context: &Context) -> Result<(), Problem> {
    let person: Person = context.client()?.get("/v1/whoami").await?;
    context.out.record(&person)
}
