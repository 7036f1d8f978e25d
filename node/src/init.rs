//! Creates the data directory of a new node.
//!
//! 1. Everything is created in a temporary folder beside the target (inside it if the target exists and is empty, like a mounted
//!    volume), so that a failure leaves no files behind.
//! 2. Master key, institution key and node key are created and sealed; the ledger begins with the identity of the node.
//! 3. The first account is created. It has every role, because in a new institution one person has to start; `concordat user role`
//!    assigns the roles to others.
//! 4. The folder is moved to the target, `concordat.toml` last: a directory that contains that file contains a complete node.

mod create;
mod restore;
mod site;
mod socket_path;
mod unlock;

pub use create::{FIRST_ACCOUNT, Plan, check_first_password, first_password_rule, init};
pub use restore::{Hints, OperatorSettings, RestorePlan, SnapshotSettings, restore, settings_of_snapshot};
pub(crate) use socket_path::check_socket_path;
pub use unlock::{Unlock, new_provider, provider_from_secret};

#[cfg(test)]
mod tests;
