//! The command line, as far as a running node carries it out: `concordat <noun> <verb>`.
//!
//! A file contains one noun: its arguments and what its verbs do. A verb sends a request to the daemon through
//! [`Client`](concordat_client::Client) and passes the document that is returned to [`Output`](output::Output), which writes it as a
//! table, JSON or CSV.
//!
//! To add one: an enum with `#[derive(Subcommand)]` and a `run(self, context)` in its file, a variant in [`Command`] and a line in
//! [`Command::run`], and the noun's place in the order of `concordat --help` in `concordat-program`.
//!
//! What works on a data directory itself is in `concordat-program`, which has the binary. The nouns of which it adds verbs are exported
//! one by one ([`AuditCommand`], [`BackupCommand`], [`KeyCommand`], [`doctor`]), and so is what its commands share with those here:
//! [`Context`], [`output`], [`prompt`] and [`files`]. [`with_comments`] prepares the arguments of the process.

pub mod doctor;
pub mod files;
pub mod output;
pub mod prompt;

mod answer;
mod audit;
mod backup;
mod catalog;
mod collection;
mod command;
mod consortium;
mod context;
mod dataset;
mod end;
mod grant;
mod key;
mod policy;
mod query;
mod session;
mod session_store;
mod status;
mod text;
mod user;
mod why;
mod withheld;

pub use audit::{AuditCommand, print_audit_report};
pub use backup::BackupCommand;
pub use command::Command;
pub use context::{Context, GlobalOptions};
pub use key::KeyCommand;
pub use query::with_comments;
