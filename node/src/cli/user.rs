//! `concordat user …`: people.

use crate::json::Field as _;
use clap::Subcommand;
use concordat_documents::problem::Problem;
use serde_json::{Value, json};

use super::{Context, prompt, session};
use crate::api::client::segment;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Create an account; prompts for a password that is valid for one login, in which the person sets their own
    Add {
        /// Name of the account, without the institution
        name: String,
        /// A role of the person; can be repeated
        #[arg(long = "role", value_name = "ROLE", required = true, value_delimiter = ',')]
        roles: Vec<String>,
    },
    /// All accounts
    List,
    /// Set the roles of an account; its sessions end
    Role {
        /// Name of the account
        name: String,
        /// All its roles from now on: researcher, steward, coordinator, security-officer, auditor, administrator
        #[arg(required = true, value_delimiter = ',')]
        roles: Vec<String>,
    },
    /// End an account's access; its sessions end
    Disable {
        /// Name of the account
        name: String,
    },
    /// Allow a disabled or locked-out account to log in again
    Enable {
        /// Name of the account
        name: String,
    },
    /// Set a password that is valid for one login, in which the person sets their own; prompts for it
    Password {
        /// Name of the account
        name: String,
    },
    /// Record a training
    Training {
        /// Name of the account
        name: String,
        /// The training, such as `GCP 2027`
        #[arg(long)]
        course: String,
        /// The date by which it must be renewed
        #[arg(long, value_name = "DATE")]
        until: String,
    },
}

impl Verb {
    pub(super) async fn run(self, context: &Context) -> Result<(), Problem> {
        let client = context.client()?;
        let change = async |name: &str, what: &str, body: Value| {
            let path = format!("/v1/users/{}/{what}", segment(name));
            let account: Value = client.post(&path, &body).await?;
            context.out.done(&format!("{name}: {what} changed"), &account)
        };
        match self {
            Self::Add { name, roles } => {
                let password = prompt::new_secret(&format!("password for `{name}`"))?;
                let body = json!({ "name": name, "roles": roles, "password": session::text(&password)? });
                let account: Value = client.post("/v1/users", &body).await?;
                context.out.done(
                    &format!(
                        "{name} can log in once, to set a password, and is then {}",
                        roles.join(", ")
                    ),
                    &account,
                )
            }
            Self::List => {
                let people: Value = client.get("/v1/users").await?;
                let columns = [
                    ("name", "name"),
                    ("roles", "roles"),
                    ("training", "training.name"),
                    ("until", "training.until"),
                    ("disabled", "disabled"),
                ];
                context.out.list(people.at("items"), &columns)
            }
            Self::Role { name, roles } => change(&name, "roles", json!({ "roles": roles })).await,
            Self::Disable { name } => change(&name, "access", json!({ "enabled": false })).await,
            Self::Enable { name } => change(&name, "access", json!({ "enabled": true })).await,
            Self::Password { name } => {
                let password = prompt::new_secret(&format!("password for `{name}`"))?;
                change(&name, "password", json!({ "password": session::text(&password)? })).await
            }
            Self::Training { name, course, until } => {
                change(&name, "training", json!({ "name": course, "until": until })).await
            }
        }
    }
}
