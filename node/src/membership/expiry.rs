//! A timer based on the node's clock, for what no message announces:
//!
//! 1. A certificate that is about to expire is renewed by a new `hello` while a quarter of its time is left; the dialer does it.
//! 2. When it expires, the session is closed and the epoch is raised, so that running answers are evaluated again.
//! 3. When the roster expires, the epoch is raised: no decision is valid without a valid roster. Connections stay open, because the next
//!    roster arrives over them, but nothing else is served.

use std::collections::BTreeMap;
use std::time::Duration;

use concordat_protocol::ids::NodeId;
use concordat_protocol::time::Timestamp;

use super::handle::Membership;
use crate::shutdown::Stage;
use concordat_network::{Role, Session};

/// How often the timer checks the clock: often enough that nothing outlasts its validity noticeably.
const CLOCK_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Minimum time between two attempts to renew with the same peer, in milliseconds.
const RETRY_MS: i64 = 30_000;

impl Membership {
    /// Ends and renews sessions whose certificate or roster expires, until `stage` stops.
    pub fn watch_expiry(&self, stage: &Stage) {
        stage.spawn(self.clone().check_expiry(stage.clone()));
    }

    async fn check_expiry(self, stage: Stage) {
        let mut tried = BTreeMap::new();
        let is_valid_at = |now| self.newest().is_some_and(|roster| roster.check_validity(now).is_ok());
        let mut was_valid = is_valid_at(self.0.clock.now());
        let wait = || tokio::time::sleep(CLOCK_CHECK_INTERVAL);
        while stage.token().run_until_cancelled(wait()).await.is_some() {
            let now = self.0.clock.now();
            if let Err(error) = self.end_sessions().await {
                tracing::debug!(%error, "the network has stopped");
            }
            if let Err(error) = self.0.heads.save().await {
                tracing::error!(%error, "the heads of peers' ledgers could not be stored");
            }
            let is_valid = is_valid_at(now);
            if was_valid && !is_valid {
                tracing::warn!("the roster has expired; nothing is served until a newer one arrives");
                self.0.epoch.raise();
            }
            was_valid = is_valid;
            self.renew(&mut tried, now, &stage);
        }
    }

    fn renew(&self, tried: &mut BTreeMap<NodeId, Timestamp>, now: Timestamp, stage: &Stage) {
        let open_sessions = self.0.network.sessions().borrow().clone();
        tried.retain(|peer, _| open_sessions.contains_key(peer));
        for session in open_sessions.values().filter(|session| due(session, now)) {
            let last = tried.get(&session.peer());
            if last.is_some_and(|last| now.since(*last) < RETRY_MS) {
                continue;
            }
            tried.insert(session.peer(), now);
            self.spawn_hello(session, stage);
        }
    }
}

/// Whether this node dialed the session and should present its certificate again.
fn due(session: &Session, now: Timestamp) -> bool {
    let shown = session.attested();
    session.role() == Role::Dialer && shown.is_some_and(|shown| now >= shown.renewal())
}
