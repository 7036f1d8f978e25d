//! The commands that send requests to a running node.

use clap::Subcommand;
use concordat_documents::problem::Problem;

use crate::context::Context;
use crate::{catalog, collection, consortium, dataset, grant, policy, query, session, status, user, why};

/// The commands that only a running node can carry out.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What is running and who is connected
    Status(status::Args),
    /// Open a session
    Login(session::LoginArgs),
    /// Set your own password
    Passwd,
    /// End the session
    Logout,
    /// Who is logged in
    Whoami,
    /// People
    #[command(subcommand)]
    User(user::UserCommand),
    /// The charter and the signed roster
    #[command(subcommand)]
    Consortium(consortium::ConsortiumCommand),
    /// Negotiations and the grants that result from them
    #[command(subcommand)]
    Grant(grant::GrantCommand),
    /// What other institutions publish
    Catalog(catalog::Args),
    /// Query your own and other institutions' datasets
    Query(query::Args),
    /// Why something is permitted or denied, and what would change it
    Why(why::Args),
    /// Datasets of this institution
    #[command(subcommand)]
    Dataset(dataset::DatasetCommand),
    /// Collections of datasets that belong together
    #[command(subcommand)]
    Collection(collection::CollectionCommand),
    /// Policies of this institution
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// The problem, whose code determines the exit code.
    pub async fn run(self, context: &Context) -> Result<(), Problem> {
        match self {
            Self::Status(args) => status::run(&args, context).await,
            Self::Login(args) => session::login(args, context).await,
            Self::Passwd => session::passwd(context).await,
            Self::Logout => session::logout(context).await,
            Self::Whoami => session::whoami(context).await,
            Self::User(command) => command.run(context).await,
            Self::Consortium(command) => consortium::run(command, context).await,
            Self::Grant(command) => grant::run(command, context).await,
            Self::Catalog(args) => catalog::run(args, context).await,
            Self::Query(args) => query::run(args, context).await,
            Self::Why(args) => why::run(args, context).await,
            Self::Dataset(command) => command.run(context).await,
            Self::Collection(command) => command.run(context).await,
            Self::Policy(command) => command.run(context).await,
        }
    }
}
