//! The program `concordat`: node and command line in one.
//!
//! A file contains one noun that works on a data directory itself: `init`, `serve`, `restore` and the like. What it does there is in
//! `concordat-node` ([`concordat_node::init`], [`concordat_node::offline`], [`concordat_node::run_daemon`]); here are its options, its
//! prompts and what it prints. The commands of a running node come from `concordat-cli`, and [`Cli`] puts both in one order.

mod address;
mod audit;
mod backup;
mod command_line;
mod config;
mod demo;
mod doctor;
mod init;
mod key;
mod secrets;
mod serve;
mod unlock;

pub use command_line::{Cli, run};
