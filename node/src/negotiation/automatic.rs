//! The steps that follow without a decision by a person: agreement, verification, confirmation and the record of the grant; and the end of
//! a negotiation whose sides have changed.

use concordat_protocol::ids::{GrantId, NegotiationId};
use concordat_protocol::negotiation::State;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

use super::entry::Entry;
use super::store::{Due, LockedSlot};
use super::transition::Transition;
use super::{NegotiationError, Negotiations};

/// The outcome for a message that is durable here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Recorded {
    /// It was a new step.
    New(NegotiationId),
    /// It was recorded before.
    Repeated(NegotiationId),
    /// It ended a negotiation that is not stored here any more, or never was.
    NothingLeft,
}

impl Negotiations {
    /// Takes the steps that follow without a decision by a person, attributed to the peer whose message caused them. The caller has entered
    /// the span of the negotiation.
    pub(super) async fn react(&self, recorded: Recorded, by: &Attribution) {
        let (Recorded::New(id) | Recorded::Repeated(id)) = recorded else {
            return;
        };
        if let Err(error) = self.try_react(&id, recorded, by).await {
            tracing::warn!(%error, "the next step of a negotiation failed");
        }
    }

    async fn try_react(
        &self,
        id: &NegotiationId,
        recorded: Recorded,
        by: &Attribution,
    ) -> Result<(), NegotiationError> {
        let now = self.0.clock.now();
        let locked = self.0.store.open_entry(id).await?;
        let entry = locked.entry().await?;
        if let Some(reason) = self.obstacle(&entry, &locked, now).await? {
            return self.end(locked, &entry, reason, (by, now)).await;
        }
        // A peer that repeats a message has not received our answer and gets it again. If its message was new, nothing is repeated:
        // everything that followed is already being sent.
        let peer = entry.peer_side().clone();
        let answers = match recorded {
            Recorded::Repeated(_) => entry.unanswered(),
            Recorded::New(_) | Recorded::NothingLeft => Vec::new(),
        };
        if let Some(transition) = self.next_step(locked, entry, (by, now)).await? {
            let outgoing = self.apply(transition).await?;
            return self.forward(outgoing).await;
        }
        for message in answers {
            self.deliver_again(&peer, &message).await?;
        }
        Ok(())
    }

    /// The step that is due; `None` if this side has to wait, and the lock is then released.
    async fn next_step(
        &self,
        locked: LockedSlot,
        entry: Entry,
        (by, now): (&Attribution, Timestamp),
    ) -> Result<Option<Transition>, NegotiationError> {
        let identity = &self.0.identity;
        let grants = &self.0.grants;
        match entry {
            Entry::Provider(negotiation) => match negotiation.state() {
                State::Accepted(_) => {
                    let continuing = self.same_members(locked, negotiation, now).await?;
                    let author = continuing.author();
                    let offer = self.standing(continuing, author.as_ref(), now).await?;
                    Transition::agree(offer, identity, (by, now)).map(Some)
                }
                State::Verified(_) => {
                    let peer_since = self.member_since(negotiation.peer_side(), now)?;
                    let register = (grants, peer_since);
                    Transition::finalize(locked, &negotiation, register, identity, (by, now)).map(Some)
                }
                State::Requested(_)
                | State::Offered(_)
                | State::Agreed(_)
                | State::Finalized(_)
                | State::Terminated(_) => Ok(None),
            },
            Entry::Consumer(negotiation) => match negotiation.state() {
                State::Agreed(_) => {
                    let continuing = self.same_members(locked, negotiation, now).await?;
                    Transition::verify(continuing, identity, (by, now)).map(Some)
                }
                State::Finalized(finalized) => {
                    let peer_since = self.member_since(negotiation.peer_side(), now)?;
                    let register = (grants, identity.as_ref());
                    Transition::activate(locked, &finalized.grant, peer_since, register, (by, now))
                }
                State::Requested(_)
                | State::Offered(_)
                | State::Accepted(_)
                | State::Verified(_)
                | State::Terminated(_) => Ok(None),
            },
        }
    }

    /// Ends a negotiation, in a state in which this side may.
    pub(super) async fn end(
        &self,
        locked: LockedSlot,
        entry: &Entry,
        reason: Reason,
        by: (&Attribution, Timestamp),
    ) -> Result<(), NegotiationError> {
        let transition = Transition::terminate(locked, entry, reason, &self.0.identity, by)?;
        let outgoing = self.apply(transition).await?;
        self.forward(outgoing).await
    }

    /// A notice can arrive while the grant that it is about is being recorded.
    pub(super) async fn activate_if_final(&self, grant: &GrantId, by: &Attribution) {
        let id = NegotiationId::from(*grant);
        if self.0.store.due(&id) == Due::Grant && !self.0.grants.contains(grant) {
            self.react(Recorded::New(id), by).await;
        }
    }
}
