//! `concordat login`, `logout` and `whoami`; the session's token lies in `run/session`.

use crate::json::Field as _;
use std::path::{Path, PathBuf};

use concordat_storage::{keys::Secret, seal::durable::write_private};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Context, prompt};
use crate::{api::client::Client, fault::Problem};

#[derive(Debug, clap::Args)]
pub(super) struct LoginArgs {
    /// Name of the account, without the institution
    name: String,
}

pub(super) async fn login(args: LoginArgs, context: &Context) -> Result<(), Problem> {
    let password = prompt::secret("password")?;
    let body = json!({ "name": args.name, "password": text(&password)? });
    let mut answer: Value = Client::new(&context.dir).post("/v1/login", &body).await?;
    let token = Zeroizing::new(answer.at("token").as_str().unwrap_or_default().to_owned());
    let path = path(&context.dir);
    write_private(&path, token.as_bytes())
        .map_err(|error| Problem::fault(&format!("cannot write `{}`", path.display()), &error))?;
    if let Some(fields) = answer.as_object_mut() {
        fields.remove("token");
    }
    let (actor, until) = (
        answer.at("actor").as_str().unwrap_or("-"),
        answer.at("until").as_str().unwrap_or("-"),
    );
    context
        .out
        .done(&format!("logged in as {actor} until {until}"), &answer)
}

pub(super) async fn logout(context: &Context) -> Result<(), Problem> {
    let ended = context.client()?.post::<Value>("/v1/logout", &json!({})).await;
    let path = path(&context.dir);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Problem::fault(&format!("cannot remove `{}`", path.display()), &error));
        }
        _ => {}
    }
    context.out.done("logged out", &ended?)
}

pub(super) async fn whoami(context: &Context) -> Result<(), Problem> {
    let person: Value = context.client()?.get("/v1/whoami").await?;
    context.out.record(&person)
}

/// The token of the session in `dir`, if somebody is logged in.
pub(super) fn token(dir: &Path) -> Result<Option<Zeroizing<String>>, Problem> {
    let path = path(dir);
    match std::fs::read_to_string(&path) {
        Ok(token) => Ok(Some(Zeroizing::new(token))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Problem::fault(&format!("cannot read `{}`", path.display()), &error)),
    }
}

/// A secret as the text that goes into a request.
pub(super) fn text(secret: &Secret) -> Result<&str, Problem> {
    std::str::from_utf8(secret.expose()).map_err(|_| Problem::usage("the password is not text in UTF-8"))
}

fn path(dir: &Path) -> PathBuf {
    dir.join("run/session")
}
