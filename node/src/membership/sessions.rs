//! Sessions end when what they rest on ends: the member's place on the roster, its key, its certificate, the roster itself.
//!
//! A timer by the node's clock sees to what no message announces:
//!
//! 1. A certificate that comes to its end is renewed by a new `hello` while a quarter of its time is left; the dialler does it.
//! 2. At its end the session is closed and the epoch raised, so that running answers are decided again.
//! 3. At the end of the roster the epoch is raised: no decision holds without a roster in force. Connections stay, because the next
//!    roster comes over them, and nothing else does.

use std::collections::BTreeMap;
use std::time::Duration;

use concordat_protocol::ids::NodeId;
use concordat_protocol::membership::ValidRoster;
use concordat_protocol::time::Timestamp;

use super::{Membership, MembershipError};
use crate::network::hello::Attested;
use crate::network::{Role, Session};
use crate::shutdown::Stage;

/// How often the timer looks at the clock: often enough that nothing lasts noticeably longer than it may.
const TICK: Duration = Duration::from_secs(1);
/// Least time between two tries to renew with the same peer, in milliseconds.
const RETRY_MS: i64 = 30_000;

impl Membership {
    /// Ends and renews what the time ends, until `stage` stops.
    pub fn keep_time(&self, stage: &Stage) {
        stage.spawn(self.clone().tick(stage.clone()));
    }

    async fn tick(self, stage: Stage) {
        let mut tried = BTreeMap::new();
        let in_time = |now| self.newest().is_some_and(|roster| roster.in_force(now).is_ok());
        let mut in_force = in_time(self.0.clock.now());
        let wait = || tokio::time::sleep(TICK);
        while stage.token().run_until_cancelled(wait()).await.is_some() {
            let now = self.0.clock.now();
            if let Err(error) = self.end_sessions().await {
                tracing::debug!(%error, "the network has stopped");
            }
            if let Err(error) = self.0.heads.save().await {
                tracing::error!(%error, "the heads of peers' ledgers could not be kept");
            }
            let holds = in_time(now);
            if in_force && !holds {
                tracing::warn!("the roster has come to its end; nothing is served until a newer one comes");
                self.0.epoch.raise();
            }
            in_force = holds;
            self.renew(&mut tried, now, &stage);
        }
    }

    /// Closes every session whose peer is not, or no longer, who it has shown to be.
    pub(super) async fn end_sessions(&self) -> Result<(), MembershipError> {
        let now = self.0.clock.now();
        let Some(roster) = self.newest() else { return Ok(()) };
        let standing = self.0.network.sessions().borrow().clone();
        let over = standing.values().filter(|session| {
            let shown = session.attested();
            shown.is_some_and(|shown| !vouched(&shown, &roster, session.peer(), now))
        });
        let mut ended = false;
        for session in over {
            tracing::info!(peer = %session.peer().short(), "a session ended: roster or certificate no longer vouch for the peer");
            self.0.network.disconnect(session.peer()).await?;
            ended = true;
        }
        if ended {
            self.0.epoch.raise();
        }
        Ok(())
    }

    fn renew(&self, tried: &mut BTreeMap<NodeId, Timestamp>, now: Timestamp, stage: &Stage) {
        let standing = self.0.network.sessions().borrow().clone();
        tried.retain(|peer, _| standing.contains_key(peer));
        for session in standing.values().filter(|session| due(session, now)) {
            let last = tried.get(&session.peer());
            if last.is_some_and(|last| now.since(*last) < RETRY_MS) {
                continue;
            }
            tried.insert(session.peer(), now);
            let (membership, session) = (self.clone(), session.clone());
            stage.spawn(async move {
                let said = membership.introduce(&session).await;
                membership.conclude(&session, said).await;
            });
        }
    }
}

/// Whether the dialler of this session should show its certificate again.
fn due(session: &Session, now: Timestamp) -> bool {
    let shown = session.attested();
    session.role() == Role::Dialer && shown.is_some_and(|shown| now >= shown.renewal())
}

/// Whether what the peer has shown still stands.
fn vouched(shown: &Attested, roster: &ValidRoster, peer: NodeId, now: Timestamp) -> bool {
    let member = roster.active_node(&peer);
    let same = member.is_some_and(|member| {
        member.institution == shown.institution
            && member.key == shown.institution_key
            && member.since == shown.member_since
    });
    same && now <= shown.not_after
}
