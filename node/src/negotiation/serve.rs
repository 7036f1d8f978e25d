//! Serves what peers send: messages of negotiations, and notices about grants.

use concordat_protocol::audit::Direction;
use concordat_protocol::grant::{Acknowledgement, Notice, Party};
use concordat_protocol::identity::Side;
use concordat_protocol::ids::{GrantId, NegotiationId};
use concordat_protocol::negotiation::{Authentic, Body, NegotiationMessage, ProviderNegotiation, Received, State};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{NegotiationFrame, NoticeFrame, NoticeReply, Reply};
use concordat_storage::ledger::Attribution;

use super::deliver::{NEGOTIATION, NOTICE};
use super::store::{Due, LockedSlot};
use super::{Entry, Kept, NegotiationError, Negotiations, owner_of};
use crate::attribution::by_peer;
use crate::network::hello::Attested;
use crate::network::{FramedStream, IncomingStreams, NetworkError, Session};
use crate::shutdown::Stage;

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
    /// Serves peers until `stage` stops.
    ///
    /// # Errors
    /// [`NegotiationError::Network`] when these protocols are already being served.
    pub fn serve(&self, stage: &Stage) -> Result<(), NegotiationError> {
        let (messages, notices) = (self.0.network.accept(NEGOTIATION)?, self.0.network.accept(NOTICE)?);
        stage.spawn(self.clone().serve_messages(messages, stage.clone()));
        stage.spawn(self.clone().serve_notices(notices, stage.clone()));
        stage.spawn(self.clone().catch_up(stage.clone()));
        stage.spawn(self.clone().follow_members(stage.clone()));
        Ok(())
    }

    async fn serve_messages(self, mut incoming: IncomingStreams, stage: Stage) {
        while let Some(stream) = stage.token().run_until_cancelled(incoming.next()).await {
            let negotiations = self.clone();
            let reacting = stage.clone();
            stage.spawn(async move {
                if let Err(error) = negotiations.serve_message(stream, &reacting).await {
                    tracing::debug!(%error, "a negotiation stream failed");
                }
            });
        }
    }

    async fn serve_message(&self, mut stream: FramedStream, stage: &Stage) -> Result<(), NetworkError> {
        let sender = stream.session().until_attested().await?;
        let NegotiationFrame { message } = stream.expect().await?;
        let by = by_peer(stream.session());
        let reply = match self.handle_message(message, &sender, &by).await {
            Ok(recorded) => {
                let negotiations = self.clone();
                stage.spawn(async move { negotiations.react(recorded, &by).await });
                Reply::Accepted
            }
            Err(error) => {
                tracing::info!(peer = %sender.institution, %error, "a message was refused");
                Reply::Refused(error.refusal())
            }
        };
        stream.send(&reply).await?;
        stream.close().await
    }

    /// Checks a message and records it. It is answered only after that.
    async fn handle_message(
        &self,
        signed: Signed<NegotiationMessage>,
        sender: &Attested,
        by: &Attribution,
    ) -> Result<Recorded, NegotiationError> {
        let now = self.0.clock.now();
        let roster = self.0.membership.valid_roster(now)?;
        let message = Authentic::check(signed.clone(), |node| owner_of(&roster, node))?;
        let author = Side {
            institution: message.message().from.clone(),
            key: message.key(),
        };
        if sender.side() != author {
            return Err(NegotiationError::ForeignSender {
                named: message.message().from.clone(),
            });
        }
        let mut locked = self.0.store.lock_slot(&message.message().negotiation).await;
        let handled = match locked.entry().await {
            Ok(entry) => self.advance(&mut locked, entry, message, sender, (by, now)).await,
            Err(NegotiationError::UnknownNegotiation { .. }) => self.begin(&mut locked, message, (by, now)).await,
            Err(other) => Err(other),
        };
        self.0.store.remove_if_empty(locked);
        handled
    }

    /// Handles a message of a negotiation that is stored here. A request that the consumer withdraws before there is an offer is removed
    /// with it; the ledger keeps both steps.
    async fn advance(
        &self,
        locked: &mut LockedSlot<'_>,
        entry: Entry,
        message: Authentic,
        sender: &Attested,
        (by, now): (&Attribution, Timestamp),
    ) -> Result<Recorded, NegotiationError> {
        let (id, signed) = (entry.id(), message.signed().clone());
        // These conclude what an earlier key of the sender has signed, and sign nothing for which the present key would be needed.
        let concludes = matches!(message.message().body, Body::Finalized | Body::Terminate { .. });
        let message = if concludes && sender.acts_for(entry.peer_side()) {
            message.on_behalf_of(entry.peer_side().key)
        } else {
            message
        };
        let next = match &entry {
            Entry::Provider(negotiation) => match negotiation.receive(message, now)? {
                Received::Advanced(next) => Entry::Provider(next),
                Received::Duplicate { .. } => return Ok(Recorded::Repeated(id)),
            },
            Entry::Consumer(negotiation) => match negotiation.receive(message, now)? {
                Received::Advanced(next) => Entry::Consumer(next),
                Received::Duplicate { .. } => return Ok(Recorded::Repeated(id)),
            },
        };
        let kept = if entry.is_withdrawn_in(&next) {
            Kept::Removed
        } else {
            Kept::Stored
        };
        self.enter_and_put(locked, (next, kept), (&signed, Direction::Received), (by, now))
            .await?;
        Ok(match kept {
            Kept::Stored => Recorded::New(id),
            Kept::Removed => Recorded::NothingLeft,
        })
    }

    /// Opens a negotiation for a first request. A dataset that is not visible to the peer gives the same refusal as one that does not exist.
    /// A termination is acknowledged: nothing is left to end.
    async fn begin(
        &self,
        locked: &mut LockedSlot<'_>,
        message: Authentic,
        (by, now): (&Attribution, Timestamp),
    ) -> Result<Recorded, NegotiationError> {
        let (signed, sender) = (message.signed().clone(), message.message().from.clone());
        let parties = self.parties(&sender, Party::Provider, now)?;
        match &message.message().body {
            Body::Request { scope, .. } => self.visible(&scope.dataset).await?,
            Body::Terminate { .. } => return Ok(Recorded::NothingLeft),
            Body::Offer { .. }
            | Body::Accept
            | Body::Agreement { .. }
            | Body::Verification { .. }
            | Body::Finalized => {}
        }
        let opened = ProviderNegotiation::open(message, &parties, now)?;
        let id = opened.id();
        // Held until the negotiation is stored: requests that arrive at the same time are counted one after the other.
        let _admission = self.0.store.admit(&sender, now).await?;
        locked.set_admitted(self.admitted(&sender, now)?);
        let next = (Entry::Provider(opened), Kept::Stored);
        self.enter_and_put(locked, next, (&signed, Direction::Received), (by, now))
            .await?;
        Ok(Recorded::New(id))
    }

    /// Takes the steps that follow without a decision by a person, attributed to the peer whose message caused them.
    pub(super) async fn react(&self, recorded: Recorded, by: &Attribution) {
        let (Recorded::New(id) | Recorded::Repeated(id)) = recorded else {
            return;
        };
        if let Err(error) = self.try_react(id, recorded, by).await {
            tracing::warn!(negotiation = %id.short(), %error, "the next step of a negotiation failed");
        }
    }

    async fn try_react(&self, id: NegotiationId, recorded: Recorded, by: &Attribution) -> Result<(), NegotiationError> {
        let now = self.0.clock.now();
        let identity = &self.0.identity;
        let locked = self.0.store.open_entry(&id).await?;
        let entry = locked.entry().await?;
        if let Some(reason) = self.obstacle(&entry, locked.admitted(), now)? {
            return self.end(locked, entry, reason, by, now).await;
        }
        match entry {
            Entry::Provider(negotiation) => match negotiation.state() {
                State::Accepted(_) => {
                    self.same_members(negotiation.peer_side(), locked.admitted(), now)?;
                    let policy = self.policy_digest(&negotiation).await?;
                    let sent = negotiation.agree(policy, &identity.institution_key(), &identity.node_key, now)?;
                    self.forward(locked, Entry::Provider(sent.next.clone()), sent, by, now)
                        .await
                }
                State::Verified(_) => {
                    let sent = negotiation.finalize(&identity.node_key, now)?;
                    self.activate(&Entry::Provider(sent.next.clone()), by).await?;
                    self.forward(locked, Entry::Provider(sent.next.clone()), sent, by, now)
                        .await
                }
                State::Requested(_)
                | State::Offered(_)
                | State::Agreed(_)
                | State::Finalized(_)
                | State::Terminated(_) => self.repeat(locked, recorded).await,
            },
            Entry::Consumer(negotiation) => match negotiation.state() {
                State::Agreed(_) => {
                    self.same_members(negotiation.peer_side(), locked.admitted(), now)?;
                    let sent = negotiation.verify_agreement(&identity.institution_key(), &identity.node_key, now)?;
                    self.forward(locked, Entry::Consumer(sent.next.clone()), sent, by, now)
                        .await
                }
                State::Finalized(_) => self.activate(&Entry::Consumer(negotiation), by).await,
                State::Requested(_)
                | State::Offered(_)
                | State::Accepted(_)
                | State::Verified(_)
                | State::Terminated(_) => self.repeat(locked, recorded).await,
            },
        }
    }

    /// A peer that repeats a message has not received our answer and gets it again. If its message was new, nothing is repeated: everything
    /// that followed is already being sent.
    async fn repeat(&self, locked: LockedSlot<'_>, recorded: Recorded) -> Result<(), NegotiationError> {
        let entry = locked.entry().await?;
        drop(locked);
        match recorded {
            Recorded::New(_) | Recorded::NothingLeft => Ok(()),
            Recorded::Repeated(_) => {
                for message in entry.unanswered() {
                    self.deliver_again(entry.peer_side(), message).await?;
                }
                Ok(())
            }
        }
    }

    async fn activate(&self, entry: &Entry, by: &Attribution) -> Result<(), NegotiationError> {
        let Some(grant) = entry.grant() else { return Ok(()) };
        let now = self.0.clock.now();
        let peer_since = self.member_since(entry.peer_side(), now)?;
        self.0.grants.activate(grant, peer_since, by, now).await?;
        self.0.store.announce();
        Ok(())
    }

    async fn serve_notices(self, mut incoming: IncomingStreams, stage: Stage) {
        while let Some(stream) = stage.token().run_until_cancelled(incoming.next()).await {
            let negotiations = self.clone();
            stage.spawn(async move {
                if let Err(error) = negotiations.serve_notice(stream).await {
                    tracing::debug!(%error, "a notice stream failed");
                }
            });
        }
    }

    async fn serve_notice(&self, mut stream: FramedStream) -> Result<(), NetworkError> {
        let sender = stream.session().until_attested().await?;
        let NoticeFrame { notice } = stream.expect().await?;
        let reply = match self.apply_notice(notice, stream.session(), &sender).await {
            Ok(acknowledgment) => NoticeReply::Acknowledged(acknowledgment),
            Err(error) => {
                tracing::info!(peer = %sender.institution, %error, "a notice was refused");
                NoticeReply::Refused(error.refusal())
            }
        };
        stream.send(&reply).await?;
        stream.close().await
    }

    async fn apply_notice(
        &self,
        notice: Signed<Notice>,
        session: &Session,
        sender: &Attested,
    ) -> Result<Signed<Acknowledgement>, NegotiationError> {
        let (now, by) = (self.0.clock.now(), by_peer(session));
        let notice = notice.verify(session.peer())?;
        self.activate_if_final(&notice.document().grant, &by).await;
        let (valid, effect) = self.0.grants.apply_notice(notice, sender, &by, now).await?;
        let acknowledgment = valid.acknowledge(effect, now);
        Ok(Signed::sign(&acknowledgment, &self.0.identity.node_key)?
            .signed()
            .clone())
    }

    /// A notice can arrive while the grant that it is about is being recorded.
    async fn activate_if_final(&self, grant: &GrantId, by: &Attribution) {
        let id = NegotiationId::from(*grant);
        if self.0.store.due(&id) == Due::Grant && self.0.grants.get(grant).await.is_none() {
            self.react(Recorded::New(id), by).await;
        }
    }
}
