//! Sessions end when their basis ends: the member's entry on the roster, its key, its certificate, the roster itself.

use concordat_protocol::ids::NodeId;
use concordat_protocol::membership::ValidRoster;
use concordat_protocol::time::Timestamp;

use super::error::MembershipError;
use super::handle::Membership;
use concordat_network::hello::Attested;

impl Membership {
    /// Closes every session whose peer no longer has the identity that it has presented.
    pub(super) async fn end_sessions(&self) -> Result<(), MembershipError> {
        let now = self.0.clock.now();
        let Some(roster) = self.newest() else { return Ok(()) };
        let open_sessions = self.0.network.sessions().borrow().clone();
        let over = open_sessions.values().filter(|session| {
            let shown = session.attested();
            shown.is_some_and(|shown| !is_still_valid(&shown, &roster, session.peer(), now))
        });
        let mut ended = false;
        for session in over {
            tracing::info!(peer = %session.peer().short(), "a session ended: the roster or certificate of the peer is no longer valid");
            self.0.network.disconnect(session.peer()).await?;
            ended = true;
        }
        if ended {
            self.0.epoch.raise();
        }
        Ok(())
    }

    /// Ends every session: this node is an older copy of itself.
    pub(super) async fn disconnect_all(&self) {
        for peer in self.0.network.connected_peers() {
            self.disconnect(peer).await;
        }
        self.0.epoch.raise();
    }

    /// Ends the session with `node`, if the network is still running.
    pub(super) async fn disconnect(&self, node: NodeId) {
        if let Err(error) = self.0.network.disconnect(node).await {
            tracing::debug!(%error, "the network has stopped");
        }
    }
}

/// Whether what the peer has presented is still valid.
fn is_still_valid(shown: &Attested, roster: &ValidRoster, peer: NodeId, now: Timestamp) -> bool {
    let member = roster.active_node(&peer);
    let same = member.is_some_and(|member| {
        member.institution == shown.institution
            && member.key == shown.institution_key
            && member.since == shown.member_since
    });
    same && now <= shown.not_after
}
