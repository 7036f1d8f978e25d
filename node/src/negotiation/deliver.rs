//! Sends one message or notice, and records what the other side has acknowledged.

use std::sync::Arc;

use concordat_protocol::grant::ValidAcknowledgement;
use concordat_protocol::identity::Side;
use concordat_protocol::negotiation::NegotiationMessage;
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::{NegotiationFrame, NoticeFrame, NoticeReply, Reply};

use super::grants::PendingNotice;
use super::transition::Outgoing;
use super::{NegotiationError, Negotiations};
use concordat_network::FramedStream;
use concordat_network::hello::Attested;
use concordat_protocol::wire::streams::{NEGOTIATION, NOTICE, StreamName};

impl Negotiations {
    /// Sends the message of a step. A peer that is not connected, or not with its key, gets it when it connects.
    pub(super) async fn forward(&self, outgoing: Option<Outgoing>) -> Result<(), NegotiationError> {
        let Some(outgoing) = outgoing else { return Ok(()) };
        match self.deliver(outgoing.to(), outgoing.message()).await {
            Err(
                NegotiationError::Unreachable { .. }
                | NegotiationError::NotMember { .. }
                | NegotiationError::OtherKey { .. },
            ) => {
                tracing::info!("the peer is not connected; the message is sent when it connects");
                Ok(())
            }
            other => other,
        }
    }

    /// Sends one message and waits until the peer has recorded or refused it.
    pub(super) async fn send(&self, peer: &Side, message: &Signed<NegotiationMessage>) -> Result<(), NegotiationError> {
        let away = |source| NegotiationError::Unreachable {
            peer: peer.institution.clone(),
            source,
        };
        let mut stream = self.reach(peer, NEGOTIATION).await?;
        let message = message.clone();
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
        message: &Signed<NegotiationMessage>,
    ) -> Result<(), NegotiationError> {
        let sent = message.peek_unverified()?;
        let _delivery = self.0.store.delivery(&sent.negotiation).await?;
        if !self.0.store.is_waiting(&sent.negotiation, message).await {
            return Ok(());
        }
        self.send_and_note(peer, message, &sent).await
    }

    /// Sends a message again because the peer has repeated its own; does nothing while the message is being sent.
    pub(super) async fn deliver_again(
        &self,
        peer: &Side,
        message: &Signed<NegotiationMessage>,
    ) -> Result<(), NegotiationError> {
        let sent = message.peek_unverified()?;
        match self.0.store.idle_delivery(&sent.negotiation)? {
            Some(_delivery) => self.send_and_note(peer, message, &sent).await,
            None => Ok(()),
        }
    }

    /// The caller holds the delivery lock.
    async fn send_and_note(
        &self,
        peer: &Side,
        message: &Signed<NegotiationMessage>,
        sent: &NegotiationMessage,
    ) -> Result<(), NegotiationError> {
        self.send(peer, message).await?;
        // The message is durable on the other side. A lost acknowledgment costs one more delivery and nothing else.
        if let Err(error) = self.0.store.acknowledge(&sent.negotiation, sent.sequence).await {
            tracing::warn!(%error, "an acknowledgment could not be stored");
        }
        Ok(())
    }

    /// Sends a notice and checks its acknowledgment.
    pub(super) async fn send_notice(&self, pending: &PendingNotice) -> Result<(), NegotiationError> {
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
                let sent = &pending.notice;
                let now = self.0.clock.now();
                ValidAcknowledgement::check(answer.verify(peer)?, to, sent, pending.newest, now)?;
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
    pub(super) async fn reach(&self, peer: &Side, protocol: StreamName) -> Result<FramedStream, NegotiationError> {
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

    /// What the node of `peer` has proved on the open connection; `None` if there is none.
    pub(super) fn attested(&self, peer: &Side) -> Option<Arc<Attested>> {
        let node = self.node_of(&peer.institution).ok()?;
        let attested = self.0.network.sessions().borrow().get(&node)?.attested()?;
        attested.acts_for(peer).then_some(attested)
    }
}
