//! The Concordat node: who may query, and how other programs and nodes connect to it.
//!
//! The program that runs it is `concordat-program`, and what people type is in `concordat-cli`. Rules and their evaluation are in
//! `concordat-policy`, connections and frames in `concordat-network`, the documents of the API in `concordat-documents`.
//!
//! In the order in which a node needs them:
//!
//! | modules | what they do |
//! | --- | --- |
//! | `clock`, `shutdown`, `telemetry`, `epoch`, `descriptors` | time, an orderly end, the log, the number of changes on which running answers depend, and how many file descriptors there are |
//! | `identity`, [`config`], [`init`], `start_state`, `bound_state` | keys and settings of an institution, and what a start compares them with |
//! | [`templates`] | what is declared about the columns of a data model; no service uses it yet |
//! | `iam`, `attribution` | people: accounts, sessions, training; who caused an entry of the ledger |
//! | `refusals`, `restorations` | requests of peers that are refused before a decision; what a restore brings back |
//! | `policies`, `membership`, `negotiation` | which policies apply, who belongs to the consortium, and which grants exist |
//! | `rules` | what this node and its peers announce that they enforce below tier `records` |
//! | `sharing` | the provider's path of a query, from the envelope to the receipt |
//! | `federation` | the consumer's path, from SQL to the combined answer |
//! | `ledger_heads`, `evidence` | what proves afterwards what happened |
//! | `changes`, `lifecycle` | changes that the ledger has before they are made; keys, erasure and backups |
//! | `node` | the parts put together |
//! | `services`, [`offline`] | what people can have the node do, one function per action: a running one, and one that is stopped |
//! | `api`, `daemon` | HTTP, through which clients call the services; the daemon from start to stop |

pub mod config;
pub mod init;
pub mod offline;
pub mod templates;

mod api;
mod attribution;
mod bound_state;
mod changes;
mod clock;
mod daemon;
mod descriptors;
mod epoch;
mod evidence;
mod federation;
mod iam;
mod identity;
mod ledger_heads;
mod lifecycle;
mod membership;
mod negotiation;
mod node;
mod policies;
mod refusals;
mod restorations;
mod rules;
mod services;
mod sharing;
mod shutdown;
mod start_state;
mod telemetry;

pub use api::{Api, routes, serve};
pub use clock::Clock;
pub use daemon::run_daemon;
pub use federation::{FederatedEngine, FederationError, Question};
pub use iam::{Actor, SessionToken, Training};
pub use identity::Identity;
pub use ledger_heads::{CountedStart, StartNotCounted};
pub use membership::{Admission, MembershipError};
pub use negotiation::{NegotiationError, RETRY_INTERVAL, Restriction};
pub use node::{Node, StartConfig};
pub use services::evidence::receipt;
pub use sharing::{DEFAULT_MEMORY, EngineConfig};
pub use shutdown::Shutdown;
pub use telemetry::{start_logging, start_quiet};
