//! Getting messages and notices to the other side, again if need be.

use concordat_protocol::audit::NodeTask;
use concordat_protocol::grant::ValidAcknowledgement;
use concordat_protocol::identity::Side;
use concordat_protocol::negotiation::NegotiationMessage;
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::{NegotiationFrame, NoticeFrame, NoticeReply, Reply};
use libp2p::StreamProtocol;

use super::serve::Taken;
use super::{NegotiationFault, Negotiations, PendingNotice};
use crate::attribution::by_node;
use crate::network::FramedStream;
use crate::network::hello::Attested;
use crate::shutdown::Stage;

/// Messages of negotiations.
pub(super) const NEGOTIATION: StreamProtocol = StreamProtocol::new("/concordat/negotiation/1");
/// Changes of grants.
pub(super) const NOTICE: StreamProtocol = StreamProtocol::new("/concordat/notice/1");

impl Negotiations {
    /// Sends one message and waits until it is taken or refused.
    pub(super) async fn send(&self, peer: &Side, message: Signed<NegotiationMessage>) -> Result<(), NegotiationFault> {
        let away = |source| NegotiationFault::Unreachable {
            peer: peer.institution.clone(),
            source,
        };
        let mut stream = self.reach(peer, NEGOTIATION).await?;
        stream.send(&NegotiationFrame { message }).await.map_err(away)?;
        match stream.expect().await.map_err(away)? {
            Reply::Taken => Ok(()),
            Reply::Refused(refusal) => Err(NegotiationFault::Refused {
                peer: peer.institution.clone(),
                refusal,
            }),
        }
    }

    /// As [`Self::send`], and keeps that the message was taken. Whoever calls holds no place.
    ///
    /// The one who takes a step and the connection that comes up meanwhile may both want to send the same message. One of them does; the
    /// other one waits and finds it taken.
    pub(super) async fn deliver(
        &self,
        peer: &Side,
        message: Signed<NegotiationMessage>,
    ) -> Result<(), NegotiationFault> {
        let sent = message.peek_unverified()?;
        let _delivery = self.0.store.delivery(&sent.negotiation).await?;
        if !self.0.store.is_waiting(&sent.negotiation, &message) {
            return Ok(());
        }
        self.send_and_note(peer, message).await
    }

    /// Sends a message that the peer may have taken before, because it has repeated its own; not while it is on its way.
    pub(super) async fn deliver_again(
        &self,
        peer: &Side,
        message: Signed<NegotiationMessage>,
    ) -> Result<(), NegotiationFault> {
        let sent = message.peek_unverified()?;
        match self.0.store.idle_delivery(&sent.negotiation)? {
            Some(_delivery) => self.send_and_note(peer, message).await,
            None => Ok(()),
        }
    }

    /// Whoever calls holds the delivery.
    async fn send_and_note(&self, peer: &Side, message: Signed<NegotiationMessage>) -> Result<(), NegotiationFault> {
        let sent = message.peek_unverified()?;
        self.send(peer, message).await?;
        // It is durable at the other side. A mark that is lost costs one more delivery and nothing else.
        if let Err(error) = self.0.store.acknowledge(&sent.negotiation, sent.sequence).await {
            tracing::warn!(negotiation = %sent.negotiation.short(), %error, "an acknowledgement could not be kept");
        }
        Ok(())
    }

    /// Sends a notice and checks its acknowledgement.
    pub(super) async fn notify(&self, pending: &PendingNotice) -> Result<(), NegotiationFault> {
        let away = |source| NegotiationFault::Unreachable {
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
            NoticeReply::Refused(refusal) => Err(NegotiationFault::Refused {
                peer: pending.to.institution.clone(),
                refusal,
            }),
        }
    }

    /// A stream to a node that has shown the key of `peer`: nothing about an agreement is told to another key under its name.
    async fn reach(&self, peer: &Side, protocol: StreamProtocol) -> Result<FramedStream, NegotiationFault> {
        let away = |source| NegotiationFault::Unreachable {
            peer: peer.institution.clone(),
            source,
        };
        let node = self.node_of(&peer.institution)?;
        let stream = self.0.network.open(node, protocol).await.map_err(away)?;
        let attested = stream.session().until_attested().await.map_err(away)?;
        if attested.acts_for(peer) {
            Ok(stream)
        } else {
            Err(NegotiationFault::OtherKey {
                institution: peer.institution.clone(),
            })
        }
    }

    /// Sends what a peer has not answered each time it connects, until `stage` stops.
    pub(super) async fn catch_up(self, stage: Stage) {
        let mut sessions = self.0.network.sessions();
        let mut seen = 0;
        loop {
            let standing = sessions.borrow_and_update().clone();
            for session in standing.values().filter(|session| session.number() > seen) {
                let (negotiations, session) = (self.clone(), session.clone());
                stage.spawn(async move {
                    if let Ok(attested) = session.until_attested().await {
                        negotiations.send_again(&attested).await;
                    }
                });
            }
            seen = standing
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

    /// What the peer has not answered goes out again; a step that a stop of this node kept from being taken is taken now.
    async fn send_again(&self, attested: &Attested) {
        let peer = &attested.institution;
        for id in self.0.store.ids() {
            let Some((side, waiting)) = self.0.store.waiting(&id, attested) else {
                continue;
            };
            // What the peer has acknowledged it is not told again, so a step is due only where none of ours is outstanding.
            let due = self.0.store.look(&id, |entry| entry.unanswered().is_empty());
            if due.unwrap_or(false) {
                self.react(Taken::New(id), &by_node(NodeTask::Negotiation)).await;
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
