//! Grants and the roster: grants of institutions that leave the roster, or are suspended on it, are suspended.

use concordat_protocol::audit::NodeTask;
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::identity::Side;
use concordat_protocol::membership::ValidRoster;
use concordat_protocol::text::Reason;

use super::Negotiations;
use crate::attribution::by_node;
use crate::shutdown::Stage;

impl Negotiations {
    /// Suspends the grants of institutions that are no longer members, with each roster and at the start, until `stage` stops. Until a
    /// suspension is recorded, no lease is issued either: issuing one compares the same roster number.
    pub(super) async fn follow_members(self, stage: Stage) {
        let mut rosters = self.0.membership.watch();
        loop {
            let newest = rosters.borrow_and_update().clone();
            if let Some(newest) = newest {
                self.suspend_former(&newest).await;
            }
            match stage.token().run_until_cancelled(rosters.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    async fn suspend_former(&self, roster: &ValidRoster) {
        let identity = &self.0.identity;
        let ours = roster.active_member(&identity.institution);
        let is_member = ours.is_some_and(|member| member.key == identity.institution_public());
        for (id, peer, since) in self.0.grants.active_as_provider().await {
            let reason = match self.check_membership(roster, &peer, since) {
                Ok(()) if is_member => continue,
                Ok(()) => "this institution is not an active member of the consortium".to_owned(),
                Err(reason) => reason,
            };
            let by = by_node(NodeTask::Maintenance);
            let suspended = self
                .change_grant(&id, GrantEvent::Suspend, Reason::sanitized(&reason), &by)
                .await;
            match suspended {
                Ok(_) => {
                    tracing::warn!(grant = %id.short(), peer = %peer.institution, %reason, "a grant was suspended")
                }
                Err(error) => tracing::error!(grant = %id.short(), %error, "a grant could not be suspended"),
            }
        }
    }

    /// Checks that a grant to `peer`, which was admitted with roster `since`, can continue.
    fn check_membership(&self, roster: &ValidRoster, peer: &Side, since: u64) -> Result<(), String> {
        let member = self.0.membership.active_side(roster, peer)?;
        if member.since == since {
            Ok(())
        } else {
            Err(format!("`{}` was removed and admitted again", peer.institution))
        }
    }
}
