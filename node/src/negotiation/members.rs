//! Agreements and the roster: grants of institutions that leave the roster, or are suspended on it, are suspended; negotiations with
//! institutions that leave it are ended.

use concordat_protocol::audit::NodeTask;
use concordat_protocol::grant::{GrantEvent, Party};
use concordat_protocol::identity::Side;
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::membership::{MemberStatus, ValidRoster};
use concordat_protocol::negotiation::StateName;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

use super::serve::Recorded;
use super::store::{Admitted, LockedSlot};
use super::{Entry, NegotiationError, Negotiations};
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
                stage.spawn(async move { negotiations.end_former().await });
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

    /// Ends the open negotiations whose sides do not have the membership or the keys that they began with.
    async fn end_former(&self) {
        let by = by_node(NodeTask::Maintenance);
        let now = self.0.clock.now();
        for id in self.0.store.open_ids() {
            let Ok(locked) = self.0.store.open_entry(&id).await else {
                continue;
            };
            let Ok(entry) = locked.entry().await else { continue };
            let has_ended = matches!(self.obstacle(&entry, locked.admitted(), now), Ok(Some(_)));
            drop(locked);
            if has_ended {
                self.react(Recorded::New(id), &by).await;
            }
        }
    }

    /// Why a negotiation cannot continue if its sides have changed since it began, in a state that this side may end; `None` if it
    /// can continue, or has to wait for the other side to end it. What both have signed is concluded also after a change of keys.
    pub(super) fn obstacle(
        &self,
        entry: &Entry,
        began: Admitted,
        now: Timestamp,
    ) -> Result<Option<Reason>, NegotiationError> {
        let state = entry.state_name();
        if !state.may_terminate(entry.party()) {
            return Ok(None);
        }
        let roster = self.0.membership.valid_roster(now)?;
        let (ours, theirs) = (entry.own_side(), entry.peer_side());
        let left = former(&roster, &ours.institution, began.ours)
            .or_else(|| former(&roster, &theirs.institution, began.theirs));
        let signed_by_both = state == StateName::Verified && entry.party() == Party::Provider;
        let new_key = || {
            let has_new_key = |side: &&Side| {
                let member = roster.member(&side.institution);
                member.is_some_and(|member| member.key != side.key)
            };
            let side = [ours, theirs]
                .into_iter()
                .find(has_new_key)
                .filter(|_| !signed_by_both)?;
            Some(format!("the key of `{}` was replaced", side.institution))
        };
        let why = left.or_else(new_key);
        Ok(why.map(|why| Reason::sanitized(&format!("{why} after the negotiation began; start a new one"))))
    }

    /// Ends a negotiation, in a state in which this side may.
    pub(super) async fn end(
        &self,
        locked: LockedSlot<'_>,
        entry: Entry,
        reason: Reason,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<(), NegotiationError> {
        let key = &self.0.identity.node_key;
        match entry {
            Entry::Provider(negotiation) => {
                let sent = negotiation.terminate(reason, key, now)?;
                self.forward(locked, Entry::Provider(sent.next.clone()), sent, by, now)
                    .await
            }
            Entry::Consumer(negotiation) => {
                let sent = negotiation.terminate(reason, key, now)?;
                self.forward(locked, Entry::Consumer(sent.next.clone()), sent, by, now)
                    .await
            }
        }
    }
}

/// Why `institution` is not the member that roster `since` admitted; `None` if it is, also while it is suspended.
fn former(roster: &ValidRoster, institution: &InstitutionId, since: u64) -> Option<String> {
    match roster.member(institution) {
        Some(member) if member.status != MemberStatus::Removed => (member.since != since)
            .then(|| format!("`{institution}` was removed from the consortium and admitted again")),
        Some(_) | None => Some(format!("`{institution}` was removed from the consortium")),
    }
}
