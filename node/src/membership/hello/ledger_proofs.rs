//! What this node does about ledgers between hellos: it stops serving when its own is an older copy, and requests proofs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use concordat_protocol::ids::NodeId;
use tracing::Instrument as _;

use crate::membership::handle::Membership;
use crate::membership::span::session_span;
use crate::shutdown::Stage;

/// Minimum time between two rounds of requesting proofs from peers: more frequent requests cost more than they show.
const PROOF_INTERVAL: Duration = Duration::from_millis(250);

/// How long a peer may take to prove heads of its ledger on an open session.
const PROOF_TIMEOUT: Duration = Duration::from_secs(10);

impl Membership {
    /// Stops serving as soon as this node learns that it is an older copy of itself, regardless of what happens to the connection that
    /// revealed it. Sessions that are still in their hello stay open, so that the peer sees the head as well.
    pub(super) async fn end_when_older(self, stage: Stage) {
        let mut older = self.0.heads.watch_older();
        let mut known = false;
        loop {
            let changed = stage
                .token()
                .run_until_cancelled(older.wait_for(|older| *older != known))
                .await;
            match changed.map(|found| found.map(|older| *older)) {
                Some(Ok(older)) => known = older,
                Some(Err(_)) | None => return,
            }
            if known {
                let open_sessions = self.0.network.sessions().borrow().clone();
                for session in open_sessions.values().filter(|session| session.attested().is_some()) {
                    self.disconnect(session.peer()).await;
                }
                self.0.epoch.raise();
            }
        }
    }

    /// Repeats the hello with peers that have many heads without a proof. A peer that is slow to answer does not delay the others.
    pub(super) async fn request_proofs(self, stage: Stage) {
        let pending = Arc::new(Mutex::new(BTreeSet::new()));
        while let Some(peers) = stage.token().run_until_cancelled(self.0.heads.many_pending()).await {
            for peer in peers {
                let session = self.0.network.sessions().borrow().get(&peer).cloned();
                let session = session.filter(|session| session.attested().is_some());
                let Some(session) = session.filter(|_| locked(&pending).insert(peer)) else {
                    continue;
                };
                let membership = self.clone();
                let pending = Arc::clone(&pending);
                let request = async move {
                    match tokio::time::timeout(PROOF_TIMEOUT, membership.introduce(&session)).await {
                        Ok(outcome) => membership.finish_hello(&session, None, outcome).await,
                        Err(_) => tracing::info!("the peer did not prove the heads of its ledger in time"),
                    }
                    locked(&pending).remove(&peer);
                };
                stage.spawn(request.instrument(session_span(peer)));
            }
            if stage
                .token()
                .run_until_cancelled(tokio::time::sleep(PROOF_INTERVAL))
                .await
                .is_none()
            {
                return;
            }
        }
    }
}

fn locked(peers: &Mutex<BTreeSet<NodeId>>) -> MutexGuard<'_, BTreeSet<NodeId>> {
    peers.lock().unwrap_or_else(PoisonError::into_inner)
}
