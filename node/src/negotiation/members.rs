//! Grants and the roster: whoever leaves it, or is suspended on it, has no grant that goes on by itself.

use concordat_protocol::audit::NodeTask;
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::identity::Side;
use concordat_protocol::membership::ValidRoster;
use concordat_protocol::text::Reason;

use super::Negotiations;
use crate::attribution::by_node;
use crate::shutdown::Stage;

impl Negotiations {
    /// Suspends the grants of members that no longer belong, with each roster and at the start, until `stage` stops. Until a
    /// suspension is recorded, no lease is given either: it compares the same roster number.
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
        let we_belong = ours.is_some_and(|member| member.key == identity.institution_public());
        for (id, peer, since) in self.0.grants.given().await {
            let reason = match self.standing(roster, &peer, since) {
                Ok(()) if we_belong => continue,
                Ok(()) => "this institution is no active member of the consortium".to_owned(),
                Err(reason) => reason,
            };
            let by = by_node(NodeTask::Maintenance);
            let suspended = self
                .change_grant(&id, GrantEvent::Suspend, Reason::fitted(&reason), &by)
                .await;
            match suspended {
                Ok(_) => {
                    tracing::warn!(grant = %id.short(), peer = %peer.institution, %reason, "a grant was suspended")
                }
                Err(error) => tracing::error!(grant = %id.short(), %error, "a grant could not be suspended"),
            }
        }
    }

    /// Why a grant given to `peer`, which belonged by roster `since`, cannot go on.
    fn standing(&self, roster: &ValidRoster, peer: &Side, since: u64) -> Result<(), String> {
        let member = self.0.membership.active_side(roster, peer)?;
        if member.since == since {
            Ok(())
        } else {
            Err(format!("`{}` was removed and admitted again", peer.institution))
        }
    }
}
