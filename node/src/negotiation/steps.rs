//! What people decide: to request, to offer, to accept, to end a negotiation, and to change a grant.

use concordat_protocol::grant::{GrantEvent, Party};
use concordat_protocol::ids::{GrantId, NegotiationId};
use concordat_protocol::negotiation::{Justification, ProviderNegotiation, State, StateName};
use concordat_protocol::scope::{Difference, Scope};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;
use tracing::Instrument;

use super::assess::Applicant;
use super::entry::{Entry, NegotiationView, Origin};
use super::grants::GrantView;
use super::precedence::Precedence;
use super::restriction::Restriction;
use super::store::LockedSlot;
use super::transition::{Outgoing, Transition};
use super::{NegotiationError, Negotiations, span};

impl Negotiations {
    /// Asks the holder of `scope.collection` for `scope`. If the holder cannot be reached now, the request is sent when it connects.
    ///
    /// # Errors
    /// [`NegotiationError`] when the request is not possible, the person has begun too many, or the holder refuses it at once.
    pub async fn request(
        &self,
        scope: Scope,
        justification: Justification,
        by: &Attribution,
    ) -> Result<NegotiationView, NegotiationError> {
        let now = self.0.clock.now();
        let provider = scope.collection.institution.clone();
        let parties = self.parties(&provider, Party::Consumer, now)?;
        let admitted = self.admitted(&provider, now)?;
        let own = by
            .actor()
            .filter(|actor| actor.belongs_to(&self.0.identity.institution));
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let id = NegotiationId::from_bytes(id);
        let requesting = async {
            // Held until the request is sent: a connection to the holder may be established meanwhile.
            let (locked, delivery) = self.0.store.reserve(id).await;
            let origin = Origin {
                restorations: self.0.restorations.current(),
                ..Origin::default()
            };
            let sides = (&parties, admitted, origin);
            let request = (scope, justification);
            let transition = Transition::request(locked, sides, request, &self.0.identity, (by, now))?;
            if let Some(person) = own {
                let bytes = transition.message_bytes();
                self.0.store.count_requested(person, bytes, now).await?;
            }
            if let Some(outgoing) = self.apply(transition).await? {
                self.send_request(&id, &outgoing).await?;
            }
            drop(delivery);
            self.show(&id).await
        };
        requesting.instrument(span::of(&id, &provider)).await
    }

    /// Sends a request for the first time. If the holder refuses it, only the ledger keeps it, unless the negotiation has gone on
    /// meanwhile. The caller holds the delivery lock.
    async fn send_request(&self, id: &NegotiationId, request: &Outgoing) -> Result<(), NegotiationError> {
        match self.send(request.to(), request.message()).await {
            Ok(()) => self.0.store.acknowledge(id, 1).await,
            Err(refused @ NegotiationError::Refused { .. }) => {
                self.0.store.forget_request(id).await?;
                Err(refused)
            }
            // It is sent when the holder connects.
            Err(_) => Ok(()),
        }
    }

    /// Creates the policy's offer for a request, narrows it by the options of the steward, and sends it. An offer that the consumer has
    /// accepted, but that does not become a grant by itself any more, is confirmed, if this person can make it now.
    ///
    /// # Errors
    /// [`NegotiationError::Denied`] with every reason when the policy allows nothing of it, [`NegotiationError::ExceedsPolicy`]
    /// when the steward would offer more than the policy.
    pub async fn offer(
        &self,
        id: &NegotiationId,
        restriction: &Restriction,
        by: &Attribution,
    ) -> Result<NegotiationView, NegotiationError> {
        let offering = async {
            let now = self.0.clock.now();
            let locked = self.0.store.open_entry(id).await?;
            let Entry::Provider(negotiation) = locked.entry().await? else {
                return Err(NegotiationError::NotProvider);
            };
            if negotiation.state_name() == StateName::Accepted && *restriction == Restriction::default() {
                return self.confirm_offer(id, locked, negotiation, (by, now)).await;
            }
            let State::Requested(requested) = negotiation.state() else {
                return Err(NegotiationError::WrongState {
                    step: "offer",
                    state: negotiation.state_name(),
                });
            };
            let request = requested.request.clone();
            let consumer = negotiation.peer().clone();
            let continuing = self.same_members(locked, negotiation, now).await?;
            // Held until the offer is stored: the next one to the same consumer counts it.
            let admission = self.0.store.lock_admission(&consumer).await;
            let applicant = Applicant {
                consumer: &consumer,
                place: Precedence::Requested,
            };
            let offer = self.assess(&request, applicant, now).await?;
            let offer = self.narrowed(offer, restriction, applicant, now).await?;
            let explain = |difference: &Difference| offer.explain(difference);
            let offered = (offer.scope.clone(), admission);
            let transition = Transition::offer(continuing, offered, explain, &self.0.identity, (by, now))?;
            let outgoing = self.apply(transition).await?;
            self.forward(outgoing).await?;
            self.show(id).await
        };
        offering.instrument(self.span(id)).await
    }

    /// Signs the terms of an accepted offer in the name of another person than the one who made it.
    async fn confirm_offer(
        &self,
        id: &NegotiationId,
        locked: LockedSlot,
        negotiation: ProviderNegotiation,
        (by, now): (&Attribution, Timestamp),
    ) -> Result<NegotiationView, NegotiationError> {
        let continuing = self.same_members(locked, negotiation, now).await?;
        let offer = self.standing(continuing, by.actor(), now).await?;
        let transition = Transition::agree(offer, &self.0.identity, (by, now))?;
        let outgoing = self.apply(transition).await?;
        self.forward(outgoing).await?;
        self.show(id).await
    }

    /// Accepts the offer; agreement and confirmation follow automatically.
    ///
    /// # Errors
    /// [`NegotiationError`] when there is no offer to accept.
    pub async fn accept(&self, id: &NegotiationId, by: &Attribution) -> Result<NegotiationView, NegotiationError> {
        let accepting = async {
            let now = self.0.clock.now();
            let locked = self.0.store.open_entry(id).await?;
            let Entry::Consumer(negotiation) = locked.entry().await? else {
                return Err(NegotiationError::NotConsumer);
            };
            match negotiation.state_name() {
                StateName::Accepted | StateName::Agreed | StateName::Verified | StateName::Finalized => {}
                StateName::Requested | StateName::Offered | StateName::Terminated => {
                    let continuing = self.same_members(locked, negotiation, now).await?;
                    let transition = Transition::accept(continuing, &self.0.identity, (by, now))?;
                    let outgoing = self.apply(transition).await?;
                    self.forward(outgoing).await?;
                }
            }
            self.show(id).await
        };
        accepting.instrument(self.span(id)).await
    }

    /// Signs the agreement as the consumer, unless it is signed already.
    ///
    /// # Errors
    /// [`NegotiationError`] when there is no agreement yet.
    pub async fn verify(&self, id: &NegotiationId, by: &Attribution) -> Result<NegotiationView, NegotiationError> {
        let verifying = async {
            let now = self.0.clock.now();
            let locked = self.0.store.open_entry(id).await?;
            let Entry::Consumer(negotiation) = locked.entry().await? else {
                return Err(NegotiationError::NotConsumer);
            };
            match negotiation.state_name() {
                StateName::Verified | StateName::Finalized => {}
                StateName::Requested
                | StateName::Offered
                | StateName::Accepted
                | StateName::Agreed
                | StateName::Terminated => {
                    let continuing = self.same_members(locked, negotiation, now).await?;
                    let transition = Transition::verify(continuing, &self.0.identity, (by, now))?;
                    let outgoing = self.apply(transition).await?;
                    self.forward(outgoing).await?;
                }
            }
            self.show(id).await
        };
        verifying.instrument(self.span(id)).await
    }

    /// Ends a negotiation before there is a grant.
    ///
    /// # Errors
    /// [`NegotiationError`] when it has ended already or it is not this side's turn to end it.
    pub async fn reject(
        &self,
        id: &NegotiationId,
        reason: Reason,
        by: &Attribution,
    ) -> Result<NegotiationView, NegotiationError> {
        let rejecting = async {
            let now = self.0.clock.now();
            let locked = self.0.store.open_entry(id).await?;
            let entry = locked.entry().await?;
            self.end(locked, &entry, reason, (by, now)).await?;
            self.show(id).await
        };
        rejecting.instrument(self.span(id)).await
    }

    /// Suspends, resumes, revokes or relinquishes a grant. When this returns, the change is effective here and running answers have
    /// stopped if it stops them; the second value is whether the other side has acknowledged it.
    ///
    /// # Errors
    /// [`NegotiationError`] when there is no such grant, or this side is not allowed to make the change.
    pub async fn change_grant(
        &self,
        id: &GrantId,
        event: GrantEvent,
        reason: Reason,
        by: &Attribution,
    ) -> Result<(GrantView, bool), NegotiationError> {
        let changing = self.amend(id, (event, reason), by);
        changing.instrument(self.span(&NegotiationId::from(*id))).await
    }

    /// As [`Self::change_grant`], in the span of the negotiation.
    pub(super) async fn amend(
        &self,
        id: &GrantId,
        (event, reason): (GrantEvent, Reason),
        by: &Attribution,
    ) -> Result<(GrantView, bool), NegotiationError> {
        self.record_amendment(id, (event, reason), by).await?;
        // The notice is in the record of the grant, behind those that were not acknowledged yet.
        let acknowledged = match self.notify(id).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "the other side has not acknowledged the change; the notice is sent again when it connects");
                false
            }
        };
        let view = self.0.grants.get(id).await;
        let view = view.ok_or(NegotiationError::UnknownGrant { grant: *id })?;
        Ok((view, acknowledged))
    }

    /// Makes a change of a grant here. Its notice waits in the record of the grant.
    pub(super) async fn record_amendment(
        &self,
        id: &GrantId,
        (event, reason): (GrantEvent, Reason),
        by: &Attribution,
    ) -> Result<(), NegotiationError> {
        let now = self.0.clock.now();
        let resumable = match event {
            GrantEvent::Resume => Some(self.resumable(id, now).await?),
            GrantEvent::Suspend | GrantEvent::Revoke | GrantEvent::Relinquish => None,
        };
        let locked = self.0.grants.lock(id).await?;
        let transition = Transition::amend(locked, (event, reason), resumable, &self.0.identity, (by, now))?;
        self.apply(transition).await?;
        Ok(())
    }
}
