//! What this node and its peers enforce below tier `records`, as each of them announces it.
//!
//! 1. This node states what its policy set and the records of its published collections require (`statement.rs`), signs it (`own.rs`), and
//!    signs the next statement when that or its start has changed. The records are read again only if the epoch was raised meanwhile.
//! 2. The dialer of a session sends its statement after the hello and gets that of the other side; so does a node whose statement has changed,
//!    and every node from time to time (`fetch.rs`, `serve.rs`). One statement of an institution is answered at a time (`exchanges.rs`).
//! 3. A statement is accepted if the peer of the session signed it in its present start, and if it is later than the one that is known. Of
//!    each node the newest one is kept in the sealed state, with what it has weakened; an entry of the ledger names each change (`store.rs`).
//!
//! 4. Once a day, each peer is sent a seed, and its answers about the canary are compared with what it announces (`probe.rs`). What was found
//!    is in the sealed state; an entry of the ledger names each change (`peer_probes.rs`). This node answers such probes in `sharing`.
//!
//! What is announced, and what is found, is shown to people. Nothing is decided by it: neither what this node answers, nor whom it serves.

mod error;
mod exchanges;
mod fetch;
mod handle;
mod own;
mod peer_probes;
mod probe;
mod serve;
mod statement;
mod store;

pub(crate) use handle::{Rules, RulesParts};
pub(crate) use store::PeerRules;

use crate::shutdown::Stage;
use concordat_network::NetworkError;
use concordat_protocol::wire::streams::RULES;

impl Rules {
    /// Serves this node's statement to peers, fetches theirs and probes them, until `stage` stops.
    ///
    /// # Errors
    /// [`NetworkError::AlreadyServed`].
    pub fn serve(&self, stage: &Stage) -> Result<(), NetworkError> {
        let incoming = self.network().accept(RULES)?;
        stage.spawn(self.clone().serve_all(incoming, stage.clone()));
        stage.spawn(self.clone().exchange_on_sessions(stage.clone()));
        stage.spawn(self.clone().exchange_on_changes(stage.clone()));
        stage.spawn(self.clone().follow_roster(stage.clone()));
        stage.spawn(self.clone().probe_peers(stage.clone()));
        Ok(())
    }
}
