//! The command line as a whole: the commands of `concordat-cli`, and those that work on a data directory themselves.

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use concordat_cli::output::Output;
use concordat_cli::{AuditCommand, GlobalOptions, with_comments};
use concordat_documents::problem::Problem;
use concordat_node::start_quiet;

use crate::{audit, backup, config, demo, doctor, init, key, serve};

/// Share data under agreements that both sides have signed.
#[derive(Debug, Parser)]
#[command(name = "concordat", version, about, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set up a node: keys, configuration, first account
    Init(init::Args),
    /// Run the node
    Serve,
    /// What is wrong, and the command that fixes it
    Doctor,
    #[command(flatten)]
    Running(concordat_cli::Command),
    /// Three institutions on this machine, start to finish
    Demo(demo::Args),
    /// Snapshots of this node
    #[command(subcommand)]
    Backup(backup::BackupCommand),
    /// Recreate the node from a snapshot
    Restore(backup::Restore),
    /// Keys of the node
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// The ledger
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The configuration that was accepted
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

/// The order in which `concordat --help` lists the commands: as a node and its people need them.
const ORDER: [&str; 23] = [
    "init",
    "serve",
    "status",
    "doctor",
    "login",
    "passwd",
    "logout",
    "whoami",
    "user",
    "consortium",
    "grant",
    "catalog",
    "query",
    "why",
    "demo",
    "dataset",
    "collection",
    "backup",
    "restore",
    "key",
    "audit",
    "policy",
    "config",
];

impl Cli {
    /// Reads the arguments of this process; prints help, the version or what is wrong with them, and exits then.
    #[must_use]
    pub fn from_arguments() -> Self {
        Self::read(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut found = ordered().try_get_matches_from(with_comments(arguments))?;
        Self::from_arg_matches_mut(&mut found).map_err(|error| error.format(&mut ordered()))
    }

    /// Where the output of this command goes.
    #[must_use]
    pub fn output(&self) -> Output {
        self.global.output()
    }
}

/// The definition of the command line, with the commands in their order.
fn ordered() -> clap::Command {
    Cli::command().mut_subcommands(|command| {
        let place = ORDER.iter().position(|name| *name == command.get_name());
        command.display_order(place.unwrap_or(ORDER.len()))
    })
}

/// Runs the command.
///
/// # Errors
/// The problem, whose code determines the exit code.
pub async fn run(cli: Cli) -> Result<(), Problem> {
    if !matches!(cli.command, Command::Serve) {
        start_quiet(cli.global.color());
    }
    let context = cli.global.context()?;
    match cli.command {
        Command::Init(args) => init::run(args, &context).await,
        Command::Serve => serve::run(&context).await,
        Command::Doctor => doctor::run(&context).await,
        Command::Running(command) => command.run(&context).await,
        Command::Demo(args) => demo::run(args, &context).await,
        Command::Backup(command) => command.run(&context).await,
        Command::Restore(args) => args.run(&context).await,
        Command::Key(command) => command.run(&context).await,
        Command::Audit(command) => audit::run(command, &context).await,
        Command::Config(command) => command.run(&context).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        ordered().debug_assert();
    }

    /// The environment is not an argument: an option that it sets must not contradict one that a person states.
    #[test]
    fn options_from_the_environment_contradict_no_other() {
        fn check(command: &clap::Command, path: &str) {
            for argument in command.get_arguments() {
                let name = format!("{path} {}", argument.get_id());
                assert!(!argument.is_exclusive_set(), "{name} excludes those of the environment");
                for other in command.get_arg_conflicts_with(argument) {
                    let is_set = argument.get_env().or(other.get_env()).is_some();
                    assert!(!is_set, "{name} contradicts {}", other.get_id());
                }
            }
            for inner in command.get_subcommands() {
                check(inner, &format!("{path} {}", inner.get_name()));
            }
        }
        let mut command = ordered();
        command.build();
        check(&command, "concordat");
    }

    #[test]
    fn every_command_has_its_place_in_the_help() {
        let mut commands: Vec<String> = ordered().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        commands.sort_by_key(|name| ORDER.iter().position(|known| known == name));
        assert_eq!(commands, ORDER);
        let help = ordered().render_help().to_string();
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let listed: Vec<&str> = listed.map_while(|line| line.split_whitespace().next()).collect();
        assert_eq!(listed, [&ORDER[..], &["help"]].concat());
    }

    #[test]
    fn options_are_accepted_after_commands_of_both_crates() {
        for command in [&["user", "list"][..], &["config", "diff"], &["key", "status"]] {
            let options = ["--format", "json", "--dir", "d"].iter();
            let arguments = ["concordat"].iter().chain(command).chain(options);
            let cli = Cli::read(arguments.map(OsString::from)).unwrap();
            let context = cli.global.context().unwrap();
            assert!(context.dir.ends_with("d"), "{command:?}");
        }
    }
}
