//! The Concordat node: who may ask, and how the world reaches us.

pub mod api;
pub mod attribution;
pub mod changes;
pub mod cli;
pub mod clock;
pub mod config;
pub mod custody;
pub mod demo;
pub mod epoch;
pub mod evidence;
pub mod fault;
pub mod federation;
pub mod iam;
pub mod identity;
pub mod init;
mod json;
pub mod ledger_heads;
pub mod membership;
pub mod negotiation;
pub mod network;
pub mod node;
pub mod policy;
mod refusals;
pub mod sharing;
pub mod shutdown;
pub mod start_state;
pub mod telemetry;
