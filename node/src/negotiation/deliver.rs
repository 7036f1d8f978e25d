//! Delivers messages and notices to the other side, and repeats them if necessary.

use std::sync::Arc;
use std::time::Duration;

use concordat_protocol::audit::NodeTask;
use concordat_protocol::grant::ValidAcknowledgement;
use concordat_protocol::identity::Side;
use concordat_protocol::ids::{GrantId, NegotiationId};
use concordat_protocol::negotiation::NegotiationMessage;
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{NegotiationFrame, NoticeFrame, NoticeReply, RefusalCode, Reply};

use super::serve::Recorded;
use super::store::Due;
use super::{NegotiationError, Negotiations, PendingNotice};
use crate::attribution::by_node;
use crate::network::hello::Attested;
use crate::network::{FramedStream, StreamProtocol};
use crate::shutdown::Stage;

/// Messages of negotiations.
pub(super) const NEGOTIATION: StreamProtocol = StreamProtocol::new("/concordat/negotiation/1");
/// Changes of grants.
pub(super) const NOTICE: StreamProtocol = StreamProtocol::new("/concordat/notice/1");
/// How often what a connected peer has not acknowledged is sent again: it may have refused it because it was busy or its disk was full.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

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
        if !self.0.store.is_waiting(&sent.negotiation, &message).await {
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

    /// Sends the notices about a grant that wait, in the order of their numbers, one task at a time; before them the messages of its
    /// negotiation, without which the other side does not know the grant. Fails if the newest was not acknowledged. One that is refused
    /// does not delay those after it: a later notice may end the grant.
    pub(super) async fn notify(&self, grant: &GrantId) -> Result<(), NegotiationError> {
        let _delivery = self.0.grants.delivery(grant).await?;
        let waiting = self.0.grants.unacknowledged(grant).await;
        if let Some(attested) = waiting.first().and_then(|pending| self.attested(&pending.to)) {
            self.deliver_waiting(&NegotiationId::from(*grant), &attested).await;
        }
        let mut newest = Ok(());
        for pending in waiting {
            newest = self.send_notice(&pending).await;
            if matches!(newest, Err(NegotiationError::Unreachable { .. })) {
                break;
            }
        }
        newest
    }

    /// Sends a notice and checks its acknowledgment.
    async fn send_notice(&self, pending: &PendingNotice) -> Result<(), NegotiationError> {
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
                let (sent, now) = (&pending.notice, self.0.clock.now());
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

    /// Each time a peer connects, and at intervals while it is connected, sends it what it has not acknowledged, until `stage` stops.
    pub(super) async fn catch_up(self, stage: Stage) {
        let mut sessions = self.0.network.sessions();
        let mut retries = tokio::time::interval(RETRY_INTERVAL);
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
            let next = async {
                tokio::select! {
                    changed = sessions.changed() => changed.map(|()| seen),
                    _ = retries.tick() => Ok(0),
                }
            };
            seen = match stage.token().run_until_cancelled(next).await {
                Some(Ok(seen)) => seen,
                Some(Err(_)) | None => return,
            };
        }
    }

    /// Sends again what the peer has not acknowledged, and takes a step that was pending when this node stopped.
    async fn send_again(&self, attested: &Attested) {
        for id in self.0.store.ids() {
            self.deliver_waiting(&id, attested).await;
        }
        let peer = &attested.institution;
        for (grant, to) in self.0.grants.with_unacknowledged().await {
            if !attested.acts_for(&to) {
                continue;
            }
            if let Err(error) = self.notify(&grant).await {
                tracing::warn!(%peer, %error, "a waiting notice was not acknowledged");
            }
        }
    }

    /// Takes the step that is due in a negotiation with this peer, and sends the messages that wait, in order.
    async fn deliver_waiting(&self, id: &NegotiationId, attested: &Attested) {
        let Some((side, waiting)) = self.0.store.waiting(id, attested).await else {
            return;
        };
        let is_due = match self.0.store.due(id) {
            Due::Step => true,
            Due::Grant => self.0.grants.get(&GrantId::from(*id)).await.is_none(),
            Due::Nothing => false,
        };
        if is_due {
            self.react(Recorded::New(*id), &by_node(NodeTask::Negotiation)).await;
        }
        for message in waiting {
            match self.deliver(&side, message).await {
                Ok(()) => {}
                Err(NegotiationError::Refused { refusal, .. }) if is_final(refusal.code) => {
                    self.end_refused_request(id, refusal.reasons.first().map_or("", |reason| &reason.text))
                        .await;
                }
                Err(error) => {
                    let peer = &attested.institution;
                    tracing::debug!(%peer, %error, "a waiting message was not delivered");
                }
            }
        }
    }

    /// Ends a negotiation whose request, the only message so far, the other side refuses whenever it is sent.
    async fn end_refused_request(&self, id: &NegotiationId, why: &str) {
        let by = by_node(NodeTask::Negotiation);
        let ended = match self.0.store.load(id).await {
            Ok(entry) if entry.is_first_request() => {
                let reason = Reason::sanitized(&format!("the provider refused the request: {why}"));
                self.reject(id, reason, &by).await.map(|_| ())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::warn!(negotiation = %id.short(), %error, "a refused request was not ended");
        }
    }

    /// What the node of `peer` has proved on the open connection; `None` if there is none.
    fn attested(&self, peer: &Side) -> Option<Arc<Attested>> {
        let node = self.node_of(&peer.institution).ok()?;
        let attested = self.0.network.sessions().borrow().get(&node)?.attested()?;
        attested.acts_for(peer).then_some(attested)
    }
}

/// Whether the same message would be refused again.
const fn is_final(code: RefusalCode) -> bool {
    match code {
        RefusalCode::Invalid | RefusalCode::NotFound => true,
        RefusalCode::Denied | RefusalCode::Busy | RefusalCode::Failed | RefusalCode::CountersignFirst => false,
    }
}
