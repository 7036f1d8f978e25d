//! `concordat config …`: the configuration that was accepted, and a changed one to be accepted.
//!
//! Both commands work on the data directory of a stopped node: a configuration takes effect at startup.

use clap::Subcommand;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::Digest32;
use concordat_storage::{data_dir::Storage, keys::Argon2Cost, ledger::Attribution};
use serde::Serialize;

use super::context::Context;
use super::output::Column;
use super::{prompt, unlock};
use crate::{
    clock::Clock,
    config::Config,
    iam::{Accounts, Action, Sessions},
    start_state::{StartState, configuration_digest},
};

const COLUMNS: [Column; 3] = [("setting", "key"), ("accepted", "accepted"), ("found", "found")];

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Where concordat.toml differs from what was accepted
    Diff,
    /// Accept concordat.toml as it is now; prompts for your password
    Accept {
        /// Your account, with the role administrator or security officer
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// Accept only if the settings have this digest
        #[arg(long, value_name = "DIGEST")]
        expect: Option<Digest32>,
    },
}

impl Verb {
    pub(super) async fn run(self, context: &Context) -> Result<(), Problem> {
        let config = Config::load(&context.dir)?;
        let storage = unlock::storage(&config, &context.dir).await?;
        let ledger = storage.open_ledger(config.node.institution.clone())?;
        let bound = StartState::open(storage.meta())?;
        bound.reconcile(&ledger, Clock::system().now())?;
        match self {
            Self::Diff => {
                let differences = bound.differences(&config)?;
                context.out.list(&differences, &COLUMNS)
            }
            Self::Accept { name, expect } => {
                let differences = bound.differences(&config)?;
                if differences.is_empty() {
                    return context.out.done(
                        "the configuration is the one that was accepted",
                        &Accepted { accepted: None },
                    );
                }
                for difference in &differences {
                    context.out.note(&difference.to_string());
                }
                let by = authorized(&name, &config, &storage).await?;
                if let Some(expect) = expect {
                    matches_expected(&config, expect)?;
                }
                let accepted = bound.accept_configuration(&config, &ledger, &by, Clock::system().now())?;
                let sentence = format!("accepted the configuration {}", accepted.digest());
                let accepted = Some(accepted.digest());
                context.out.done(&sentence, &Accepted { accepted })
            }
        }
    }
}

/// The digest of the configuration that was accepted, for programs; `None` if it was accepted before.
#[derive(Serialize)]
struct Accepted {
    accepted: Option<Digest32>,
}

fn matches_expected(config: &Config, expected: Digest32) -> Result<(), Problem> {
    let found = configuration_digest(&config.protected_settings());
    if found == expected {
        return Ok(());
    }
    let detail = format!("the settings have the digest {found}, not the expected one");
    Err(Problem::new(ErrorKind::Integrity, detail).help("compare them with `concordat config diff`"))
}

/// Authenticates the person who accepts with their password: only an authorized person can change what the node starts with.
async fn authorized(name: &str, config: &Config, storage: &Storage) -> Result<Attribution, Problem> {
    let password = prompt::secret(&format!("password of {name}"))?;
    let accounts = Accounts::open(storage.meta(), config.node.institution.clone(), Argon2Cost::default())?;
    let name = name.to_owned();
    let now = Clock::system().now();
    let login = move || Sessions::new(accounts).login(&name, &password, now);
    let login = tokio::task::spawn_blocking(login).await;
    let login = login.map_err(|error| Problem::internal("the operation was interrupted", &error))?;
    Ok(login?.actor.authorize(Action::AcceptConfiguration)?)
}
