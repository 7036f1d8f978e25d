//! What peers send: messages of negotiations, and notices about grants.

use concordat_protocol::audit::Direction;
use concordat_protocol::grant::Party;
use concordat_protocol::identity::Side;
use concordat_protocol::ids::{InstitutionId, NegotiationId};
use concordat_protocol::negotiation::{Authentic, Body, NegotiationMessage, ProviderNegotiation, Received, State};
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::{NegotiationFrame, NoticeFrame, NoticeReply, Reply};
use concordat_storage::ledger::Attribution;

use super::deliver::{NEGOTIATION, NOTICE};
use super::store::Place;
use super::{Entry, NegotiationFault, Negotiations, owner_of};
use crate::network::hello::Attested;
use crate::network::{FramedStream, IncomingStreams, NetworkError, Session};
use crate::shutdown::Stage;

/// Negotiations that one peer may have begun and not brought to an end: more than a steward reads in a week, and little enough
/// that a peer cannot fill the house with them.
const MAX_BEGUN: usize = 64;

/// What became of a message that is durable here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Taken {
    /// It was a step.
    New(NegotiationId),
    /// It was known.
    Repeated(NegotiationId),
}

impl Taken {
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
    /// [`NegotiationFault::Network`] when somebody else serves these protocols.
    pub fn serve(&self, stage: &Stage) -> Result<(), NegotiationFault> {
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
                    tracing::debug!(%error, "a negotiation stream broke");
                }
            });
        }
    }

    async fn serve_message(&self, mut stream: FramedStream, stage: &Stage) -> Result<(), NetworkError> {
        let sender = stream.session().until_attested().await?;
        let NegotiationFrame { message } = stream.expect().await?;
        let by = stream.session().attribution();
        let reply = match self.take(message, &sender, &by).await {
            Ok(taken) => {
                let negotiations = self.clone();
                stage.spawn(async move { negotiations.react(taken, &by).await });
                Reply::Taken
            }
            Err(fault) => {
                tracing::info!(peer = %sender.institution, error = %fault, "a message was refused");
                Reply::Refused(fault.refusal())
            }
        };
        stream.send(&reply).await?;
        stream.close().await
    }

    /// Checks a message, records it, and only then lets it be answered.
    async fn take(
        &self,
        signed: Signed<NegotiationMessage>,
        sender: &Attested,
        by: &Attribution,
    ) -> Result<Taken, NegotiationFault> {
        let now = self.0.clock.now();
        let roster = self.0.membership.in_force(now)?;
        let message = Authentic::check(signed.clone(), |node| owner_of(&roster, node))?;
        let author = Side {
            institution: message.message().from.clone(),
            key: message.key(),
        };
        if sender.side() != author {
            return Err(NegotiationFault::ForeignSender {
                named: message.message().from.clone(),
            });
        }
        let id = message.message().negotiation;
        let mut place = self.0.store.place(&id).await;
        let next = match place.entry() {
            Ok(Entry::Provider(negotiation)) => match negotiation.receive(message, now)? {
                Received::Advanced(next) => Entry::Provider(next),
                Received::Duplicate { .. } => return Ok(Taken::Repeated(id)),
            },
            Ok(Entry::Consumer(negotiation)) => match negotiation.receive(message, now)? {
                Received::Advanced(next) => Entry::Consumer(next),
                Received::Duplicate { .. } => return Ok(Taken::Repeated(id)),
            },
            Err(_) => match self.begin(message, &sender.institution, now).await {
                Ok(opened) => Entry::Provider(opened),
                Err(refused) => {
                    self.0.store.vacate(place);
                    return Err(refused);
                }
            },
        };
        self.enter_and_put(&mut place, next, (&signed, Direction::Received), (by, now))
            .await?;
        Ok(Taken::New(id))
    }

    /// A first request. A dataset that the peer may not know of is refused in the same words as one that is not there.
    async fn begin(
        &self,
        message: Authentic,
        sender: &InstitutionId,
        now: concordat_protocol::time::Timestamp,
    ) -> Result<ProviderNegotiation, NegotiationFault> {
        let parties = self.parties(sender, Party::Provider, now)?;
        if self.0.store.begun_by(sender) >= MAX_BEGUN {
            return Err(NegotiationFault::Crowded { max: MAX_BEGUN });
        }
        if let Body::Request { scope, .. } = &message.message().body {
            self.visible(&scope.dataset).await?;
        }
        Ok(ProviderNegotiation::open(message, &parties, now)?)
    }

    /// The steps that follow without anybody's decision, on the account of the peer whose message led to them.
    pub(super) async fn react(&self, taken: Taken, by: &Attribution) {
        let id = taken.id();
        if let Err(error) = self.try_react(taken, by).await {
            tracing::warn!(negotiation = %id.short(), %error, "the next step of a negotiation failed");
        }
    }

    async fn try_react(&self, taken: Taken, by: &Attribution) -> Result<(), NegotiationFault> {
        let id = taken.id();
        let now = self.0.clock.now();
        let identity = &self.0.identity;
        let place = self.0.store.open_entry(&id).await?;
        match place.entry()? {
            Entry::Provider(negotiation) => match negotiation.state() {
                State::Accepted(_) => {
                    self.same_key(negotiation.peer_side(), now)?;
                    let policy = self.policy_digest(&negotiation).await?;
                    let sent = negotiation.agree(policy, &identity.institution_key(), &identity.node_key, now)?;
                    self.forward(place, Entry::Provider(sent.next.clone()), sent, by, now)
                        .await
                }
                State::Verified(_) => {
                    let sent = negotiation.finalize(&identity.node_key, now)?;
                    self.activate(&Entry::Provider(sent.next.clone()), by).await?;
                    self.forward(place, Entry::Provider(sent.next.clone()), sent, by, now)
                        .await
                }
                State::Requested(_)
                | State::Offered(_)
                | State::Agreed(_)
                | State::Finalized(_)
                | State::Terminated(_) => self.repeat(place, taken).await,
            },
            Entry::Consumer(negotiation) => match negotiation.state() {
                State::Agreed(_) => {
                    self.same_key(negotiation.peer_side(), now)?;
                    let sent = negotiation.verify_agreement(&identity.institution_key(), &identity.node_key, now)?;
                    self.forward(place, Entry::Consumer(sent.next.clone()), sent, by, now)
                        .await
                }
                State::Finalized(_) => self.activate(&place.entry()?, by).await,
                State::Requested(_)
                | State::Offered(_)
                | State::Accepted(_)
                | State::Verified(_)
                | State::Terminated(_) => self.repeat(place, taken).await,
            },
        }
    }

    /// The other side has sent something again: it has not seen our answer.
    /// A peer that repeats itself has not seen our answer and gets it again. One whose message was new has nothing to be told: whatever
    /// has been said since then is on its way already.
    async fn repeat(&self, place: Place<'_>, taken: Taken) -> Result<(), NegotiationFault> {
        let entry = place.entry()?;
        drop(place);
        match taken {
            Taken::New(_) => Ok(()),
            Taken::Repeated(_) => {
                for message in entry.unanswered() {
                    self.deliver_again(entry.peer_side(), message).await?;
                }
                Ok(())
            }
        }
    }

    async fn activate(&self, entry: &Entry, by: &Attribution) -> Result<(), NegotiationFault> {
        let Some(grant) = entry.grant() else { return Ok(()) };
        let now = self.0.clock.now();
        let peer_since = self.belongs_since(entry.peer_side(), now)?;
        self.0.grants.activate(grant, peer_since, by, now).await?;
        self.0.store.announce();
        Ok(())
    }

    async fn serve_notices(self, mut incoming: IncomingStreams, stage: Stage) {
        while let Some(stream) = stage.token().run_until_cancelled(incoming.next()).await {
            let negotiations = self.clone();
            stage.spawn(async move {
                if let Err(error) = negotiations.serve_notice(stream).await {
                    tracing::debug!(%error, "a notice stream broke");
                }
            });
        }
    }

    async fn serve_notice(&self, mut stream: FramedStream) -> Result<(), NetworkError> {
        let sender = stream.session().until_attested().await?;
        let NoticeFrame { notice } = stream.expect().await?;
        let reply = match self.obey(notice, stream.session(), &sender).await {
            Ok(acknowledgement) => NoticeReply::Acknowledged(acknowledgement),
            Err(fault) => {
                tracing::info!(peer = %sender.institution, error = %fault, "a notice was refused");
                NoticeReply::Refused(fault.refusal())
            }
        };
        stream.send(&reply).await?;
        stream.close().await
    }

    async fn obey(
        &self,
        notice: Signed<concordat_protocol::grant::Notice>,
        session: &Session,
        sender: &Attested,
    ) -> Result<Signed<concordat_protocol::grant::Acknowledgement>, NegotiationFault> {
        let now = self.0.clock.now();
        let notice = notice.verify(session.peer())?;
        let valid = self.0.grants.obey(notice, sender, &session.attribution(), now).await?;
        let acknowledgement = valid.acknowledge(now);
        Ok(Signed::sign(&acknowledgement, &self.0.identity.node_key)?
            .signed()
            .clone())
    }
}
