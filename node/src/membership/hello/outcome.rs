//! What follows from a hello: the session is served, or the peer is rejected.

use std::time::Duration;

use concordat_protocol::audit::EntryBody;
use concordat_protocol::text::Reason;

use super::error::HelloError;
use crate::attribution::by_peer;
use crate::ledger_heads::{LedgerHeadsError, StartRefused};
use crate::membership::handle::Membership;
use crate::membership::rejected_peers::Rejection;
use concordat_network::hello::Attested;
use concordat_network::{Connection, Session};

/// How long a node that is served may take for another hello, with which it learns that a copy of it was refused.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(10);

impl Membership {
    /// After a successful hello the rosters are compared; a failed one is recorded and the peer is disconnected. `over` is the connection
    /// that the peer has opened it on.
    pub(super) async fn finish_hello(
        &self,
        session: &Session,
        over: Option<Connection>,
        outcome: Result<Attested, HelloError>,
    ) {
        match outcome {
            Ok(attested) => {
                self.0.rejected_peers.forget(&session.peer());
                self.compare_rosters(session, &attested).await;
            }
            Err(HelloError::Network(error)) => {
                tracing::debug!(%error, "the hello was not completed")
            }
            Err(HelloError::OwnCopy) => self.disconnect_all().await,
            Err(error) => match error.refused_start() {
                Some(refused) => self.reject_start(session, over, refused).await,
                None => self.reject(session, &error).await,
            },
        }
    }

    async fn reject(&self, session: &Session, error: &HelloError) {
        let node = session.peer();
        self.note_rejected(session, error.to_string(), error.is_about_clocks());
        // A ledger conflict has its own entry, which is written once.
        if !matches!(error, HelloError::LedgerHeads(LedgerHeadsError::PeerConflict { .. })) {
            self.enter_refusal(session, error).await;
        }
        self.disconnect(node).await;
    }

    /// Refuses a start that is not the newest of its node. The node that is served keeps its connections and learns of the other one.
    async fn reject_start(&self, session: &Session, over: Option<Connection>, refused: &StartRefused) {
        let node = session.peer();
        let first = self.0.heads.note_refused_start(node, refused).await;
        let first = first.unwrap_or_else(|error| {
            tracing::error!(%error, "the refused start of a peer could not be stored");
            false
        });
        if first {
            self.enter_refused_start(session, refused).await;
        }
        match over {
            Some(connection) => {
                if let Err(error) = self.0.network.close(connection).await {
                    tracing::debug!(%error, "the network has stopped");
                }
            }
            None => self.disconnect(node).await,
        }
        let served = self.0.network.sessions().borrow().get(&node).cloned();
        match served.filter(|served| served.attested().is_some()) {
            Some(served) if first => {
                if let Ok(Err(error)) = tokio::time::timeout(NOTICE_TIMEOUT, self.introduce(&served)).await {
                    tracing::debug!(%error, "the node that is served learns of its copy in its next hello");
                }
            }
            Some(_) => {}
            None => self.note_rejected(session, refused.to_string(), false),
        }
    }

    fn note_rejected(&self, session: &Session, reason: String, clock: bool) {
        self.0.rejected_peers.note(session.peer(), Rejection { reason, clock });
    }

    async fn enter_refusal(&self, session: &Session, error: &HelloError) {
        let reason = Reason::sanitized(&error.to_string());
        let now = self.0.clock.now();
        let due = self.0.bad_hellos.note(session.peer(), by_peer(session), reason, now);
        self.enter_refusals(due).await;
    }

    /// Enters a refused start with both signed statements. A node that shows one start after the other makes as many entries as with any
    /// other bad hello.
    async fn enter_refused_start(&self, session: &Session, refused: &StartRefused) {
        let node = session.peer();
        let reason = Reason::sanitized(&refused.to_string());
        let now = self.0.clock.now();
        let by = by_peer(session);
        let mut due = self.0.bad_hellos.note(node, by.clone(), reason.clone(), now);
        // The last one is this refusal, unless it is only counted.
        let is_due = due.pop().is_some();
        self.enter_refusals(due).await;
        let roster = self.newest();
        let Some(member) = roster
            .as_ref()
            .and_then(|roster| roster.active_node(&node))
            .filter(|_| is_due)
        else {
            return;
        };
        tracing::error!(peer = %node.short(), %reason, "a copy of a peer is refused");
        let (known, shown) = refused.digests();
        let entry = EntryBody::PeerStartRefused {
            node,
            institution: member.institution.clone(),
            known,
            shown,
            reason,
        };
        if let Err(error) = self.0.ledger.append_async(entry, &by, now).await {
            tracing::error!(%error, "the refusal of a peer could not be written to the ledger");
        }
    }
}
