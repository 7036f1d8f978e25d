//! Serves what peers send: messages of negotiations, and notices about grants.

use concordat_protocol::audit::Direction;
use concordat_protocol::grant::Party;
use concordat_protocol::identity::Side;
use concordat_protocol::ids::{InstitutionId, NegotiationId};
use concordat_protocol::negotiation::{Authentic, Body, NegotiationMessage, ProviderNegotiation, Received, State};
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::{NegotiationFrame, NoticeFrame, NoticeReply, Reply};
use concordat_storage::ledger::Attribution;

use super::deliver::{NEGOTIATION, NOTICE};
use super::store::LockedSlot;
use super::{Entry, NegotiationError, Negotiations, owner_of};
use crate::network::hello::Attested;
use crate::network::{FramedStream, IncomingStreams, NetworkError, Session};
use crate::shutdown::Stage;

/// Open negotiations that one peer may have started: more than a steward reads in a week, and few enough
/// that a peer cannot fill the storage of this node with them.
const MAX_OPEN: usize = 64;

/// The outcome for a message that is durable here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Recorded {
    /// It was a new step.
    New(NegotiationId),
    /// It was recorded before.
    Repeated(NegotiationId),
}

impl Recorded {
    const fn id(self) -> NegotiationId {
        match self {
            Self::New(id) | Self::Repeated(id) => id,
        }
    }
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
        let by = stream.session().attribution();
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
        let id = message.message().negotiation;
        let mut locked = self.0.store.lock_slot(&id).await;
        let next = match locked.entry() {
            Ok(Entry::Provider(negotiation)) => match negotiation.receive(message, now)? {
                Received::Advanced(next) => Entry::Provider(next),
                Received::Duplicate { .. } => return Ok(Recorded::Repeated(id)),
            },
            Ok(Entry::Consumer(negotiation)) => match negotiation.receive(message, now)? {
                Received::Advanced(next) => Entry::Consumer(next),
                Received::Duplicate { .. } => return Ok(Recorded::Repeated(id)),
            },
            Err(_) => match self.begin(message, &sender.institution, now).await {
                Ok(opened) => Entry::Provider(opened),
                Err(refused) => {
                    self.0.store.remove_if_empty(locked);
                    return Err(refused);
                }
            },
        };
        self.enter_and_put(&mut locked, next, (&signed, Direction::Received), (by, now))
            .await?;
        Ok(Recorded::New(id))
    }

    /// Opens a negotiation for a first request. A dataset that is not visible to the peer gives the same refusal as one that does not exist.
    async fn begin(
        &self,
        message: Authentic,
        sender: &InstitutionId,
        now: concordat_protocol::time::Timestamp,
    ) -> Result<ProviderNegotiation, NegotiationError> {
        let parties = self.parties(sender, Party::Provider, now)?;
        if self.0.store.open_count(sender) >= MAX_OPEN {
            return Err(NegotiationError::TooManyOpen { max: MAX_OPEN });
        }
        if let Body::Request { scope, .. } = &message.message().body {
            self.visible(&scope.dataset).await?;
        }
        Ok(ProviderNegotiation::open(message, &parties, now)?)
    }

    /// Takes the steps that follow without a decision by a person, attributed to the peer whose message caused them.
    pub(super) async fn react(&self, recorded: Recorded, by: &Attribution) {
        let id = recorded.id();
        if let Err(error) = self.try_react(recorded, by).await {
            tracing::warn!(negotiation = %id.short(), %error, "the next step of a negotiation failed");
        }
    }

    async fn try_react(&self, recorded: Recorded, by: &Attribution) -> Result<(), NegotiationError> {
        let id = recorded.id();
        let now = self.0.clock.now();
        let identity = &self.0.identity;
        let locked = self.0.store.open_entry(&id).await?;
        match locked.entry()? {
            Entry::Provider(negotiation) => match negotiation.state() {
                State::Accepted(_) => {
                    self.same_key(negotiation.peer_side(), now)?;
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
                    self.same_key(negotiation.peer_side(), now)?;
                    let sent = negotiation.verify_agreement(&identity.institution_key(), &identity.node_key, now)?;
                    self.forward(locked, Entry::Consumer(sent.next.clone()), sent, by, now)
                        .await
                }
                State::Finalized(_) => self.activate(&locked.entry()?, by).await,
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
        let entry = locked.entry()?;
        drop(locked);
        match recorded {
            Recorded::New(_) => Ok(()),
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
        notice: Signed<concordat_protocol::grant::Notice>,
        session: &Session,
        sender: &Attested,
    ) -> Result<Signed<concordat_protocol::grant::Acknowledgement>, NegotiationError> {
        let now = self.0.clock.now();
        let notice = notice.verify(session.peer())?;
        let valid = self
            .0
            .grants
            .apply_notice(notice, sender, &session.attribution(), now)
            .await?;
        let acknowledgment = valid.acknowledge(now);
        Ok(Signed::sign(&acknowledgment, &self.0.identity.node_key)?
            .signed()
            .clone())
    }
}
