//! Delivers messages and notices to the other side, and repeats them if necessary.

use concordat_protocol::audit::NodeTask;
use concordat_protocol::grant::ValidAcknowledgement;
use concordat_protocol::identity::Side;
use concordat_protocol::negotiation::NegotiationMessage;
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::{NegotiationFrame, NoticeFrame, NoticeReply, Reply};
use libp2p::StreamProtocol;

use super::serve::Recorded;
use super::{NegotiationError, Negotiations, PendingNotice};
use crate::attribution::by_node;
use crate::network::FramedStream;
use crate::network::hello::Attested;
use crate::shutdown::Stage;

/// Messages of negotiations.
pub(super) const NEGOTIATION: StreamProtocol = StreamProtocol::new("/concordat/negotiation/1");
/// Changes of grants.
pub(super) const NOTICE: StreamProtocol = StreamProtocol::new("/concordat/notice/1");

impl Negotiations {
    /// Sends one message and waits until the peer has recorded or refused it.
    pub(super) async fn send(&self, peer: &Side, message: Signed<NegotiationMessage>) -> Result<(), NegotiationError> {
        let away = |source| NegotiationError::Unreachable {
            peer: peer.institution.clone(),
            source,
        };
        let mut stream = self.reach(peer, NEGOTIATION).await?;
        stream.send(&NegotiationFrame { message }).await.map_err(away)?;
        match stream.expect().await.map_err(away)? {
            Reply::Accepted => Ok(()),
            Reply::Refused(refusal) => Err(NegotiationError::Refused {
                peer: peer.institution.clone(),
                refusal,
            }),
        }
    }

    /// As [`Self::send`], and stores the acknowledgment. The caller must not hold the lock of the negotiation.
    ///
    /// The task that takes a step and a new connection may both try to send the same message. One of them sends it; the other one waits
    /// and finds it acknowledged.
    pub(super) async fn deliver(
        &self,
        peer: &Side,
        message: Signed<NegotiationMessage>,
    ) -> Result<(), NegotiationError> {
        let sent = message.peek_unverified()?;
        let _delivery = self.0.store.delivery(&sent.negotiation).await?;
        if !self.0.store.is_waiting(&sent.negotiation, &message) {
            return Ok(());
        }
        self.send_and_note(peer, message).await
    }

    /// Sends a message again because the peer has repeated its own; does nothing while the message is being sent.
    pub(super) async fn deliver_again(
        &self,
        peer: &Side,
        message: Signed<NegotiationMessage>,
    ) -> Result<(), NegotiationError> {
        let sent = message.peek_unverified()?;
        match self.0.store.idle_delivery(&sent.negotiation)? {
            Some(_delivery) => self.send_and_note(peer, message).await,
            None => Ok(()),
        }
    }

    /// The caller holds the delivery lock.
    async fn send_and_note(&self, peer: &Side, message: Signed<NegotiationMessage>) -> Result<(), NegotiationError> {
        let sent = message.peek_unverified()?;
        self.send(peer, message).await?;
        // The message is durable on the other side. A lost acknowledgment costs one more delivery and nothing else.
        if let Err(error) = self.0.store.acknowledge(&sent.negotiation, sent.sequence).await {
            tracing::warn!(negotiation = %sent.negotiation.short(), %error, "an acknowledgment could not be stored");
        }
        Ok(())
    }

    /// Sends a notice and checks its acknowledgment.
    pub(super) async fn notify(&self, pending: &PendingNotice) -> Result<(), NegotiationError> {
        let away = |source| NegotiationError::Unreachable {
            peer: pending.to.institution.clone(),
            source,
        };
        let mut stream = self.reach(&pending.to, NOTICE).await?;
        let peer = stream.session().peer();
        stream
            .send(&NoticeFrame {
                notice: pending.notice.signed().clone(),
            })
            .await
            .map_err(away)?;
        match stream.expect().await.map_err(away)? {
            NoticeReply::Acknowledged(answer) => {
                let to = &pending.to.institution;
                ValidAcknowledgement::check(answer.verify(peer)?, to, &pending.notice, self.0.clock.now())?;
                self.0
                    .grants
                    .acknowledged(&pending.grant, pending.notice.signed())
                    .await
            }
            NoticeReply::Refused(refusal) => Err(NegotiationError::Refused {
                peer: pending.to.institution.clone(),
                refusal,
            }),
        }
    }

    /// Opens a stream to a node that has presented the key of `peer`: nothing about an agreement is sent to a different key under the same
    /// name.
    async fn reach(&self, peer: &Side, protocol: StreamProtocol) -> Result<FramedStream, NegotiationError> {
        let away = |source| NegotiationError::Unreachable {
            peer: peer.institution.clone(),
            source,
        };
        let node = self.node_of(&peer.institution)?;
        let stream = self.0.network.open(node, protocol).await.map_err(away)?;
        let attested = stream.session().until_attested().await.map_err(away)?;
        if attested.acts_for(peer) {
            Ok(stream)
        } else {
            Err(NegotiationError::OtherKey {
                institution: peer.institution.clone(),
            })
        }
    }

    /// Each time a peer connects, sends it what it has not answered, until `stage` stops.
    pub(super) async fn catch_up(self, stage: Stage) {
        let mut sessions = self.0.network.sessions();
        let mut seen = 0;
        loop {
            let open_sessions = sessions.borrow_and_update().clone();
            for session in open_sessions.values().filter(|session| session.number() > seen) {
                let (negotiations, session) = (self.clone(), session.clone());
                stage.spawn(async move {
                    if let Ok(attested) = session.until_attested().await {
                        negotiations.send_again(&attested).await;
                    }
                });
            }
            seen = open_sessions
                .values()
                .map(|session| session.number())
                .max()
                .unwrap_or(seen)
                .max(seen);
            match stage.token().run_until_cancelled(sessions.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    /// Sends again what the peer has not answered, and takes a step that was pending when this node stopped.
    async fn send_again(&self, attested: &Attested) {
        let peer = &attested.institution;
        for id in self.0.store.ids() {
            let Some((side, waiting)) = self.0.store.waiting(&id, attested) else {
                continue;
            };
            // Acknowledged messages are not repeated, so a step is due only if none of our messages is outstanding.
            let due = self.0.store.read(&id, |entry| entry.unanswered().is_empty());
            if due.unwrap_or(false) {
                self.react(Recorded::New(id), &by_node(NodeTask::Negotiation)).await;
            }
            for message in waiting {
                if let Err(error) = self.deliver(&side, message).await {
                    tracing::debug!(%peer, %error, "a waiting message was not delivered");
                }
            }
        }
        for (grant, to, signed) in self
            .0
            .grants
            .unacknowledged()
            .await
            .into_iter()
            .filter(|(_, to, _)| attested.acts_for(to))
        {
            let Ok(notice) = signed.verify(self.0.network.local_id()) else {
                continue;
            };
            if let Err(error) = self.notify(&PendingNotice { grant, to, notice }).await {
                tracing::warn!(%peer, %error, "a waiting notice was not acknowledged");
            }
        }
    }
}
