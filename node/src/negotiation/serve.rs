//! Serves what peers send: messages of negotiations, and notices about grants.

use concordat_protocol::grant::{Acknowledgement, Notice, NoticeEffect, Party, ValidNotice};
use concordat_protocol::identity::Side;
use concordat_protocol::ids::NegotiationId;
use concordat_protocol::negotiation::{Authentic, Body, NegotiationMessage, ProviderNegotiation};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{NegotiationFrame, NoticeFrame, NoticeReply, Reply};
use concordat_protocol::wire::streams::{GRANT_HEADS, NEGOTIATION, NOTICE};
use concordat_storage::ledger::Attribution;
use tracing::{Instrument, Span};

use super::automatic::Recorded;
use super::entry::{Entry, Origin};
use super::sides::owner_of;
use super::store::LockedSlot;
use super::transition::{Noticed, Reception, Transition};
use super::{NegotiationError, Negotiations, span};
use crate::attribution::by_peer;
use crate::shutdown::Stage;
use concordat_network::hello::Attested;
use concordat_network::{FramedStream, IncomingStreams, NetworkError, Session};

impl Negotiations {
    /// Serves peers until `stage` stops.
    ///
    /// # Errors
    /// [`NegotiationError::Network`] when these protocols are already being served.
    pub fn serve(&self, stage: &Stage) -> Result<(), NegotiationError> {
        let messages = self.0.network.accept(NEGOTIATION)?;
        let notices = self.0.network.accept(NOTICE)?;
        let comparisons = self.0.network.accept(GRANT_HEADS)?;
        stage.spawn(self.clone().serve_messages(messages, stage.clone()));
        stage.spawn(self.clone().serve_notices(notices, stage.clone()));
        stage.spawn(self.clone().serve_comparisons(comparisons, stage.clone()));
        stage.spawn(self.clone().catch_up(stage.clone()));
        stage.spawn(self.clone().follow_restorations(stage.clone()));
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
        let answering = async {
            match self.handle_message(message, &sender, &by).await {
                Ok(recorded) => {
                    let negotiations = self.clone();
                    let by = by.clone();
                    let reaction = async move { negotiations.react(recorded, &by).await };
                    stage.spawn(reaction.instrument(Span::current()));
                    Reply::Accepted
                }
                Err(error) => {
                    tracing::info!(%error, "a message was refused");
                    Reply::Refused(error.refusal())
                }
            }
        };
        let reply = answering.instrument(span::of_unidentified(&sender.institution)).await;
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
        let message = Authentic::check(signed, |node| owner_of(&roster, node))?;
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
        span::identify(&id);
        let locked = self.0.store.lock_slot(&id).await;
        let handled = match locked.entry().await {
            Ok(entry) => self.advance(locked, &entry, message, sender, (by, now)).await,
            Err(NegotiationError::UnknownNegotiation { .. }) => self.begin(locked, message, (by, now)).await,
            Err(other) => Err(other),
        };
        self.0.store.remove_if_unused(&id);
        handled
    }

    /// Handles a message of a negotiation that is stored here. A request that the consumer withdraws before there is an offer is removed
    /// with it; the ledger keeps both steps.
    async fn advance(
        &self,
        locked: LockedSlot,
        entry: &Entry,
        message: Authentic,
        sender: &Attested,
        by: (&Attribution, Timestamp),
    ) -> Result<Recorded, NegotiationError> {
        // These conclude what an earlier key of the sender has signed, and sign nothing for which the present key would be needed.
        let concludes = matches!(message.message().body, Body::Finalized | Body::Terminate { .. });
        let message = if concludes && sender.acts_for(entry.peer_side()) {
            message.on_behalf_of(entry.peer_side().key)
        } else {
            message
        };
        match Transition::receive(locked, entry, message, by)? {
            Reception::Advanced(transition) => {
                self.apply(transition).await?;
                Ok(Recorded::New(entry.id()))
            }
            Reception::Withdrawn(transition) => {
                self.apply(transition).await?;
                Ok(Recorded::NothingLeft)
            }
            Reception::Repeated => Ok(Recorded::Repeated(entry.id())),
        }
    }

    /// Opens a negotiation for a first request. A dataset that is not visible to the peer gives the same refusal as one that does not exist.
    /// A termination is acknowledged: nothing is left to end.
    async fn begin(
        &self,
        locked: LockedSlot,
        message: Authentic,
        (by, now): (&Attribution, Timestamp),
    ) -> Result<Recorded, NegotiationError> {
        let signed = message.signed().clone();
        let sender = message.message().from.clone();
        let parties = self.parties(&sender, Party::Provider, now)?;
        let dataset = match &message.message().body {
            Body::Request { scope, .. } => self.visible(&scope.collection).await?.0.created(),
            Body::Terminate { .. } => return Ok(Recorded::NothingLeft),
            Body::Offer { .. }
            | Body::Accept
            | Body::Agreement { .. }
            | Body::Verification { .. }
            | Body::Finalized => None,
        };
        let origin = Origin {
            restorations: self.0.restorations.current(),
            dataset,
            author: None,
        };
        let opened = ProviderNegotiation::open(message, &parties, now)?;
        let id = opened.id();
        // Held until the negotiation is stored: requests that arrive at the same time are counted one after the other.
        let admission = self.0.store.admit(&sender, &signed, now).await?;
        let admitted = self.admitted(&sender, now)?;
        self.apply(Transition::open(
            locked,
            (opened, signed),
            (admission, admitted, origin),
            (by, now),
        ))
        .await?;
        Ok(Recorded::New(id))
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
        let session = stream.session().clone();
        let sender = session.until_attested().await?;
        let NoticeFrame { notice } = stream.expect().await?;
        let answering = async {
            match self.apply_notice(notice, &session, &sender).await {
                Ok(acknowledgment) => NoticeReply::Acknowledged(acknowledgment),
                Err(error) => {
                    tracing::info!(%error, "a notice was refused");
                    NoticeReply::Refused(error.refusal())
                }
            }
        };
        let reply = answering.instrument(span::of_unidentified(&sender.institution)).await;
        stream.send(&reply).await?;
        stream.close().await
    }

    async fn apply_notice(
        &self,
        notice: Signed<Notice>,
        session: &Session,
        sender: &Attested,
    ) -> Result<Signed<Acknowledgement>, NegotiationError> {
        let (notice, effect) = self.receive_notice(notice, session, sender).await?;
        let acknowledgment = notice.acknowledge(effect, self.0.clock.now());
        Ok(Signed::sign(&acknowledgment, &self.0.identity.node_key)?
            .signed()
            .clone())
    }

    /// Checks and applies a notice that the peer of `session` has made.
    pub(super) async fn receive_notice(
        &self,
        notice: Signed<Notice>,
        session: &Session,
        sender: &Attested,
    ) -> Result<(ValidNotice, NoticeEffect), NegotiationError> {
        let now = self.0.clock.now();
        let by = by_peer(session);
        let verified = notice.verify(session.peer())?;
        let grant = verified.document().grant;
        span::identify(&NegotiationId::from(grant));
        self.activate_if_final(&grant, &by).await;
        let locked = self.0.grants.lock(&grant).await?;
        let Noticed {
            notice,
            effect,
            transition,
        } = Transition::notice(locked, verified, sender, (&by, now))?;
        if let Some(transition) = transition {
            self.apply(transition).await?;
        }
        Ok((notice, effect))
    }
}
