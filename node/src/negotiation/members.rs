//! Agreements and the roster: grants of institutions that leave the roster, or are suspended on it, are suspended; negotiations with
//! institutions that leave it are ended.

use concordat_protocol::audit::NodeTask;
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::identity::Side;
use concordat_protocol::ids::NegotiationId;
use concordat_protocol::membership::ValidRoster;
use concordat_protocol::text::Reason;
use concordat_storage::ledger::Attribution;
use tracing::Instrument;

use super::Negotiations;
use super::automatic::Recorded;
use crate::attribution::by_node;
use crate::shutdown::Stage;

impl Negotiations {
    /// Suspends the grants of institutions that are no longer members and ends the negotiations with them, with each roster and at the
    /// start, until `stage` stops. Until a suspension is recorded, no lease is issued either: issuing one compares the same roster number.
    /// The same is true of a negotiation: each step compares it.
    pub(super) async fn follow_members(self, stage: Stage) {
        let mut rosters = self.0.membership.watch();
        loop {
            let newest = rosters.borrow_and_update().clone();
            if let Some(newest) = newest {
                self.suspend_former(&newest).await;
                // Beside: a peer that is not connected must not delay the suspensions of the next roster.
                let negotiations = self.clone();
                stage.spawn(async move { negotiations.end_former(&by_node(NodeTask::Maintenance)).await });
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
            let suspension = async {
                let event = (GrantEvent::Suspend, Reason::sanitized(&reason));
                match self.amend(&id, event, &by).await {
                    Ok(_) => tracing::warn!(%reason, "a grant was suspended"),
                    Err(error) => tracing::error!(%error, "a grant could not be suspended"),
                }
            };
            suspension.instrument(self.span(&NegotiationId::from(id))).await;
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

    /// Ends the open negotiations whose sides do not have the membership or the keys that they began with.
    /// Also those that have lost what they were about.
    pub(super) async fn end_former(&self, by: &Attribution) {
        let now = self.0.clock.now();
        for id in self.0.store.open_ids() {
            let Ok(locked) = self.0.store.open_entry(&id).await else {
                continue;
            };
            let Ok(entry) = locked.entry().await else { continue };
            let has_ended = matches!(self.obstacle(&entry, &locked, now).await, Ok(Some(_)));
            drop(locked);
            if has_ended {
                let reaction = self.react(Recorded::New(id), by);
                reaction.instrument(self.span(&id)).await;
            }
        }
    }
}
