//! `concordat user …`: people.

use clap::Subcommand;
use concordat_documents::Items;
use concordat_documents::problem::Problem;
use concordat_documents::user::{Account, NewAccess, NewAccount, NewPassword, NewRoles, Training};
use concordat_protocol::query::Role;
use concordat_protocol::text::Course;
use serde::Serialize;

use crate::context::Context;
use crate::end::{ZoneArgs, end};
use crate::prompt;
use concordat_client::segment;

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Create an account; prompts for a password that is valid for one login, in which the person sets their own
    Add {
        /// Name of the account, without the institution
        name: String,
        /// A role of the person: researcher, steward, coordinator, security-officer, auditor, administrator; can be repeated
        #[arg(long = "role", value_name = "ROLE", required = true, value_delimiter = ',')]
        roles: Vec<Role>,
    },
    /// All accounts
    List,
    /// Set the roles of an account; its sessions end
    Role {
        /// Name of the account
        name: String,
        /// All its roles from now on: researcher, steward, coordinator, security-officer, auditor, administrator
        #[arg(required = true, value_delimiter = ',')]
        roles: Vec<Role>,
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
        /// The course. Which courses count is decided by the policy of the institution that holds the data; the default policy names
        /// human-subjects-protection, data-protection and good-clinical-practice
        #[arg(long)]
        course: Course,
        /// The last day on which it counts, for example 2027-06-30; or a moment, for example 2027-06-30T12:00:00+02:00
        #[arg(long, value_name = "DATE", value_parser = end)]
        until: String,
        #[command(flatten)]
        zone: ZoneArgs,
    },
}

impl UserCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Problem> {
        match self {
            Self::Add { name, roles } => {
                let password = prompt::text(&prompt::new_secret(&format!("password for `{name}`"))?)?;
                let roles = roles.into_iter().collect();
                let new = NewAccount { name, roles, password };
                let account: Account = context.client()?.post("/v1/users", &new).await?;
                let roles: Vec<&str> = account.roles.iter().map(|role| role.as_str()).collect();
                let sentence = format!(
                    "{} can log in once, to set a password, and is then {}",
                    account.name,
                    roles.join(", ")
                );
                context.out.done(&sentence, &account)
            }
            Self::List => {
                let people: Items<Account> = context.client()?.get("/v1/users").await?;
                let columns = [
                    ("name", "name"),
                    ("roles", "roles"),
                    ("training", "training.name"),
                    ("until", "training.until"),
                    ("disabled", "disabled"),
                ];
                context.out.list(&people.items, &columns)
            }
            Self::Role { name, roles } => {
                let roles = roles.into_iter().collect();
                change(&name, "roles", &NewRoles { roles }, context).await
            }
            Self::Disable { name } => change(&name, "access", &NewAccess { enabled: false }, context).await,
            Self::Enable { name } => change(&name, "access", &NewAccess { enabled: true }, context).await,
            Self::Password { name } => {
                let password = prompt::text(&prompt::new_secret(&format!("password for `{name}`"))?)?;
                change(&name, "password", &NewPassword { password }, context).await
            }
            Self::Training {
                name,
                course,
                until,
                zone,
            } => {
                let until = zone.end(&until, context)?;
                change(&name, "training", &Training { name: course, until }, context).await
            }
        }
    }
}

/// Changes one part of an account, named as in the path of its route.
async fn change(name: &str, part: &str, new: &impl Serialize, context: &Context) -> Result<(), Problem> {
    let path = format!("/v1/users/{}/{part}", segment(name));
    let account: Account = context.client()?.post(&path, new).await?;
    if let Some(note) = &account.note {
        context.out.note(note);
    }
    context.out.done(&format!("{name}: {part} changed"), &account)
}
