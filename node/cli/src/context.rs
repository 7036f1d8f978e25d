//! What every command works with.

use std::path::PathBuf;

use concordat_client::Client;
use concordat_documents::problem::Problem;

use crate::output::{Format, Output};
use crate::session_store;

/// The options that every command accepts.
#[derive(Debug, clap::Args)]
pub struct GlobalOptions {
    /// Data directory of the node [default: ~/.concordat]
    #[arg(long, global = true, env = "CONCORDAT_DIR", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How data is written
    #[arg(long, global = true, value_enum, default_value_t)]
    format: Format,
    /// Write without colors
    #[arg(long, global = true)]
    no_color: bool,
}

impl GlobalOptions {
    /// Where the output of a command goes.
    #[must_use]
    pub fn output(&self) -> Output {
        Output::new(self.format, !self.no_color)
    }

    /// Whether logs and output may be colored.
    #[must_use]
    pub fn color(&self) -> bool {
        !self.no_color && std::env::var_os("NO_COLOR").is_none()
    }

    /// What the command works with.
    ///
    /// # Errors
    /// If no data directory was given, and there is no home directory.
    pub fn context(self) -> Result<Context, Problem> {
        let (out, color) = (self.output(), self.color());
        let dir = data_dir(self.dir)?;
        Ok(Context { dir, out, color })
    }
}

/// What every command works with.
#[derive(Debug)]
pub struct Context {
    /// The data directory.
    pub dir: PathBuf,
    /// Where output goes.
    pub out: Output,
    /// Whether output may be colored.
    pub color: bool,
}

impl Context {
    /// A client of the daemon, with the session of the logged-in person if there is one.
    ///
    /// # Errors
    /// If the session file cannot be read.
    pub fn client(&self) -> Result<Client, Problem> {
        Ok(Client::new(&self.dir).with_token(session_store::token(&self.dir)?))
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
    use clap::Parser;

    use super::*;
    use crate::Command;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        global: GlobalOptions,
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn global_options_are_accepted_after_the_command() {
        let line = Line::try_parse_from(["concordat", "user", "list", "--format", "json", "--dir", "d"]).unwrap();
        assert_eq!(line.global.format, Format::Json);
        assert_eq!(line.global.dir, Some(PathBuf::from("d")));
        assert!(matches!(line.command, Command::User(_)));
    }
}
