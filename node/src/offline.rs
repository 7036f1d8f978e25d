//! What commands do in the data directory of a node that is not running. There is no session: who can unlock the node may do it, and
//! accepting a configuration needs a password besides.

mod audit;
mod configuration;
mod reconcile;
mod unlock_secret;

pub use crate::start_state::Difference;
pub use audit::verify_ledger;
pub use configuration::StoppedNode;
pub use unlock_secret::{change_unlock_secret, record_recovery};
