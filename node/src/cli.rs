//! The command line: `concordat <noun> <verb>`.
//!
//! A file below `cli/` contains one noun: its arguments and what its verbs do. Almost all verbs send a request to the daemon
//! through [`Client`](crate::api::client::Client) and pass the JSON response to [`Output`], which writes it as a table, JSON or CSV. `init` and `serve` work
//! on the data directory themselves.
//!
//! To add one: an enum with `#[derive(Subcommand)]` and a `run(self, context)` in its file, a variant in [`Command`], and a
//! line in [`run`].

mod answer;
mod audit;
mod backup;
mod catalog;
mod config;
mod consortium;
mod context;
mod dataset;
mod demo;
mod doctor;
mod files;
mod grant;
mod init;
mod key;
pub(crate) mod output;
mod policy;
mod prompt;
mod query;
mod serve;
mod session;
mod session_store;
mod status;
mod text;
mod unlock;
mod user;
mod why;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(crate) use output::{Format, Output};

use context::Context;

use crate::telemetry;
use concordat_documents::problem::Problem;

/// Share data under agreements that both sides have signed.
#[derive(Debug, Parser)]
#[command(name = "concordat", version, about, propagate_version = true)]
pub struct Cli {
    /// Data directory of the node [default: ~/.concordat]
    #[arg(long, global = true, env = "CONCORDAT_DIR", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How data is written
    #[arg(long, global = true, value_enum, default_value_t)]
    format: Format,
    /// Write without colors
    #[arg(long, global = true)]
    no_color: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set up a node: keys, configuration, first account
    Init(init::Args),
    /// Run the node
    Serve,
    /// What is running and who is connected
    Status(status::Args),
    /// What is wrong, and the command that fixes it
    Doctor,
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
    User(user::Verb),
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
    /// Three institutions on this machine, start to finish
    Demo(demo::Args),
    /// Datasets of this institution
    #[command(subcommand)]
    Dataset(dataset::Verb),
    /// Snapshots of this node
    #[command(subcommand)]
    Backup(backup::Verb),
    /// Recreate the node from a snapshot
    Restore(backup::Restore),
    /// Keys of the node
    #[command(subcommand)]
    Key(key::Verb),
    /// The ledger
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Policies of this institution
    #[command(subcommand)]
    Policy(policy::Verb),
    /// The configuration that was accepted
    #[command(subcommand)]
    Config(config::Verb),
}

impl Cli {
    /// Where the output of this command goes.
    pub fn output(&self) -> Output {
        Output::new(self.format, !self.no_color)
    }
}

/// Runs the command.
///
/// # Errors
/// The problem, whose code determines the exit code.
pub async fn run(cli: Cli) -> Result<(), Problem> {
    let out = cli.output();
    let color = !cli.no_color && std::env::var_os("NO_COLOR").is_none();
    if !matches!(cli.command, Command::Serve) {
        telemetry::start_quiet(color);
    }
    let context = Context {
        dir: data_dir(cli.dir)?,
        out,
        color,
    };
    match cli.command {
        Command::Init(args) => init::run(args, &context).await,
        Command::Serve => serve::run(&context).await,
        Command::Status(args) => status::run(&args, &context).await,
        Command::Doctor => doctor::run(&context).await,
        Command::Login(args) => session::login(args, &context).await,
        Command::Passwd => session::passwd(&context).await,
        Command::Logout => session::logout(&context).await,
        Command::Whoami => session::whoami(&context).await,
        Command::User(verb) => verb.run(&context).await,
        Command::Consortium(command) => consortium::run(command, &context).await,
        Command::Grant(command) => grant::run(command, &context).await,
        Command::Catalog(args) => catalog::run(args, &context).await,
        Command::Query(args) => query::run(args, &context).await,
        Command::Why(args) => why::run(args, &context).await,
        Command::Demo(args) => demo::run(args, &context).await,
        Command::Dataset(verb) => verb.run(&context).await,
        Command::Backup(verb) => verb.run(&context).await,
        Command::Restore(args) => args.run(&context).await,
        Command::Key(verb) => verb.run(&context).await,
        Command::Audit(verb) => verb.run(&context).await,
        Command::Policy(verb) => verb.run(&context).await,
        Command::Config(verb) => verb.run(&context).await,
    }
}

/// Absolute, so that the socket and the files are found from anywhere.
fn data_dir(given: Option<PathBuf>) -> Result<PathBuf, Problem> {
    let dir = match (given, std::env::home_dir()) {
        (Some(dir), _) => dir,
        (None, Some(home)) => home.join(".concordat"),
        (None, None) => {
            return Err(Problem::usage("there is no home directory").help("give the data directory with `--dir`"));
        }
    };
    std::path::absolute(&dir).map_err(|error| Problem::internal(&format!("cannot use `{}`", dir.display()), &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_are_accepted_after_the_command() {
        let cli = Cli::try_parse_from(["concordat", "user", "list", "--format", "json", "--dir", "d"]).unwrap();
        assert_eq!(cli.format, Format::Json);
        assert_eq!(cli.dir, Some(PathBuf::from("d")));
    }
}
