//! The Concordat node: who may query, and how other programs and nodes connect to it.

pub use concordat_policy as policy;

pub mod api;
pub mod attribution;
pub mod bound_state;
pub mod changes;
pub mod cli;
pub mod clock;
pub mod config;
pub mod epoch;
pub mod evidence;
pub mod federation;
pub mod iam;
pub mod identity;
pub mod init;
mod json;

pub mod ledger_heads;
pub mod lifecycle;
pub mod membership;
pub mod negotiation;
pub mod node;
pub mod policies;
mod refusals;
pub mod services;
pub mod sharing;
pub mod shutdown;
pub mod start_state;
pub mod telemetry;

pub use concordat_network as network;
