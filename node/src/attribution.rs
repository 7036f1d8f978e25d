//! On whose account the node enters what no session caused.
//!
//! Where somebody is behind an entry, their own session says who: [`Actor::attribution`](crate::iam::Actor::attribution) for
//! people, [`Session::attribution`](crate::network::Session::attribution) for peers. What is left is here, and a contract test
//! names the files that may use it.

use concordat_protocol::audit::{Cause, NodeTask};
use concordat_storage::ledger::Attribution;

/// The node itself, where nobody asks it to act.
pub const fn by_node(task: NodeTask) -> Attribution {
    Attribution::vouch(Cause::Node { task })
}

/// Somebody who is not logged in, known by the account of the operating system alone.
pub const fn by_os_account(uid: u32) -> Attribution {
    Attribution::vouch(Cause::OsAccount { uid })
}

/// The account under which this process runs: for commands on the data directory.
pub fn by_this_account() -> Attribution {
    by_os_account(nix::unistd::geteuid().as_raw())
}
