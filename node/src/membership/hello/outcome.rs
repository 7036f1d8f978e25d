//! What follows from a hello: the session is served, or the peer is rejected.

use concordat_protocol::text::Reason;

use super::error::HelloError;
use crate::attribution::by_peer;
use crate::ledger_heads::LedgerHeadsError;
use crate::membership::handle::Membership;
use crate::membership::rejected_peers::Rejection;
use concordat_network::Session;
use concordat_network::hello::Attested;

impl Membership {
    /// After a successful hello the rosters are compared; a failed one is recorded and the peer is disconnected.
    pub(super) async fn finish_hello(&self, session: &Session, outcome: Result<Attested, HelloError>) {
        match outcome {
            Ok(attested) => {
                self.0.rejected_peers.forget(&session.peer());
                self.compare_rosters(session, &attested).await;
            }
            Err(HelloError::Network(error)) => {
                tracing::debug!(%error, "the hello was not completed")
            }
            Err(HelloError::OwnLedger) => self.disconnect_all().await,
            Err(error) => self.reject(session, &error).await,
        }
    }

    async fn reject(&self, session: &Session, error: &HelloError) {
        let node = session.peer();
        let rejection = Rejection {
            reason: error.to_string(),
            clock: error.is_about_clocks(),
        };
        self.0.rejected_peers.note(node, rejection);
        // A ledger conflict has its own entry, which is written once.
        if !matches!(error, HelloError::LedgerHeads(LedgerHeadsError::PeerConflict { .. })) {
            self.enter_refusal(session, error).await;
        }
        self.disconnect(node).await;
    }

    async fn enter_refusal(&self, session: &Session, error: &HelloError) {
        let reason = Reason::sanitized(&error.to_string());
        let now = self.0.clock.now();
        let due = self.0.bad_hellos.note(session.peer(), by_peer(session), reason, now);
        self.enter_refusals(due).await;
    }
}
