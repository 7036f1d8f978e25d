//! Attribution of ledger entries to peers, and of those that were not caused by a session.
//!
//! If a person or a peer causes an entry, their session provides the attribution: [`Actor::authorize`](crate::iam::Actor::authorize) for
//! people, [`by_peer`] for peers. The other functions need no session; a contract test lists the files that may use them.

use concordat_protocol::audit::{Cause, NodeTask};
use concordat_storage::ledger::Attribution;

use concordat_network::Session;

/// A peer: the transport's handshake has proved its node key, and its hello, if it is complete, the institution.
pub(crate) fn by_peer(session: &Session) -> Attribution {
    Attribution::vouch(Cause::Peer {
        node: session.peer(),
        institution: session.attested().map(|attested| attested.institution.clone()),
        actor: None,
    })
}

/// The node itself, when it acts without a request.
pub(crate) const fn by_node(task: NodeTask) -> Attribution {
    Attribution::vouch(Cause::Node { task })
}

/// A person who is not logged in, identified only by an account of the operating system.
pub(crate) const fn by_os_account(uid: u32) -> Attribution {
    Attribution::vouch(Cause::OsAccount { uid })
}

/// The account under which this process runs, for commands on the data directory.
pub(crate) fn by_this_account() -> Attribution {
    by_os_account(nix::unistd::geteuid().as_raw())
}
