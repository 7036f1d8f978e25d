//! Compares the notices about each grant when its two sides connect, so that no difference lasts.
//!
//! 1. Each side states the newest notices that it knows, by number and digest: its own, and those of the other side.
//! 2. The other side returns what the first one lacks, as signed by who made it. A notice of the first side itself is one that it has
//!    forgotten, because it was restored from a backup.
//! 3. The first side applies both. A forgotten notice only narrows access; an end is final.
//!
//! A grant that a restoration has suspended can be resumed only after that. The other side may be silent about what it knows; so it is a
//! person who resumes, and not the comparison.

use concordat_protocol::audit::NodeTask;
use concordat_protocol::grant::{GrantHeads, NewerNotices};
use concordat_protocol::identity::PrivateKey as _;
use concordat_protocol::ids::{GrantId, NegotiationId};
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{GrantHeadsFrame, GrantHeadsReply, Refusal, RefusalCode};
use concordat_protocol::wire::streams::GRANT_HEADS;
use tracing::Instrument;

use super::grants::Live;
use super::transition::Transition;
use super::{NegotiationError, Negotiations};
use crate::attribution::by_node;
use crate::shutdown::Stage;
use concordat_network::hello::Attested;
use concordat_network::{FramedStream, IncomingStreams, NetworkError, Session};

impl Negotiations {
    /// Compares the grants with the peer of `session`, each once in a session, and again while a difference is left.
    pub(super) async fn compare_grants(&self, session: &Session, attested: &Attested) {
        for (id, live) in self.0.grants.with_peer(attested) {
            let comparing = async {
                if let Err(error) = self.compare(&id, &live, (session, attested)).await {
                    tracing::debug!(%error, "a grant was not compared with the other side");
                }
            };
            comparing.instrument(self.span(&NegotiationId::from(id))).await;
        }
    }

    async fn compare(
        &self,
        id: &GrantId,
        live: &Live,
        (session, attested): (&Session, &Attested),
    ) -> Result<(), NegotiationError> {
        let mut comparison = live.comparison().await;
        let restorations = self.0.restorations.current();
        let heads = {
            let held = live.shared().await;
            let is_done = comparison.session == Some(session.number())
                && comparison.difference.is_none()
                && held.compared == restorations;
            if is_done || held.state.status.is_final() {
                return Ok(());
            }
            held.heads(*id)?
        };
        let waiting = self.0.store.waiting(&NegotiationId::from(*id), attested).await;
        if waiting.is_some_and(|(_, messages)| !messages.is_empty()) {
            // The other side may not have the grant yet.
            return Ok(());
        }
        comparison.difference = match self.exchange(live, heads).await? {
            GrantHeadsReply::Newer(newer) => {
                self.learn(id, newer, (session, attested)).await?;
                self.note_comparison(id).await?;
                None
            }
            GrantHeadsReply::Refused(refusal) => Some(difference(live, &refusal)),
        };
        comparison.session = Some(session.number());
        Ok(())
    }

    async fn exchange(&self, live: &Live, heads: GrantHeads) -> Result<GrantHeadsReply, NegotiationError> {
        let peer = live.peer_side();
        let away = |source| NegotiationError::Unreachable {
            peer: peer.institution.clone(),
            source,
        };
        let mut stream = self.reach(&peer, GRANT_HEADS).await?;
        stream.send(&GrantHeadsFrame { heads }).await.map_err(away)?;
        stream.expect().await.map_err(away)
    }

    /// Applies what this side lacks.
    async fn learn(
        &self,
        id: &GrantId,
        newer: NewerNotices,
        (session, attested): (&Session, &Attested),
    ) -> Result<(), NegotiationError> {
        if let Some(yours) = newer.yours {
            let ours = yours.verify(self.0.identity.node_key.public())?;
            let by = by_node(NodeTask::Recovery);
            let locked = self.0.grants.lock(id).await?;
            let now = self.0.clock.now();
            if let Some(transition) = Transition::remember(locked, &ours, &self.0.identity, (&by, now))? {
                tracing::warn!("a change of a grant that this node had made was learned again from the other side");
                self.apply(transition).await?;
            }
        }
        if let Some(theirs) = newer.ours {
            self.receive_notice(theirs, session, attested).await?;
        }
        Ok(())
    }

    /// Stores that a grant was compared since the last restoration.
    async fn note_comparison(&self, id: &GrantId) -> Result<(), NegotiationError> {
        let restorations = self.0.restorations.current();
        let locked = self.0.grants.lock(id).await?;
        if locked.record().compared == restorations {
            return Ok(());
        }
        let by = by_node(NodeTask::Recovery);
        let now = self.0.clock.now();
        self.apply(Transition::compared(locked, restorations, (&by, now)))
            .await?;
        Ok(())
    }

    /// Answers peers that compare grants, until `stage` stops.
    pub(super) async fn serve_comparisons(self, mut incoming: IncomingStreams, stage: Stage) {
        while let Some(stream) = stage.token().run_until_cancelled(incoming.next()).await {
            let negotiations = self.clone();
            stage.spawn(async move {
                if let Err(error) = negotiations.serve_comparison(stream).await {
                    tracing::debug!(%error, "a stream that compares a grant failed");
                }
            });
        }
    }

    async fn serve_comparison(&self, mut stream: FramedStream) -> Result<(), NetworkError> {
        let sender = stream.session().until_attested().await?;
        let GrantHeadsFrame { heads } = stream.expect().await?;
        let reply = self.newer_than(&heads, &sender).await;
        stream.send(&reply).await?;
        stream.close().await
    }

    /// What the sender of `heads` lacks. A grant of another institution and one that does not exist give the same refusal.
    async fn newer_than(&self, heads: &GrantHeads, sender: &Attested) -> GrantHeadsReply {
        let Some(live) = self.0.grants.of_peer(&heads.grant, sender) else {
            let text = format!("no grant `{}` for `{}`", heads.grant, sender.institution);
            return GrantHeadsReply::Refused(Refusal::because(RefusalCode::NotFound, text));
        };
        let newer = live.shared().await.newer_than(heads);
        newer.map_or_else(
            |_| {
                GrantHeadsReply::Refused(Refusal::because(
                    RefusalCode::Failed,
                    "the stored notices cannot be read",
                ))
            },
            GrantHeadsReply::Newer,
        )
    }
}

fn difference(live: &Live, refusal: &Refusal) -> Reason {
    let why = refusal.reasons.first().map_or("", |reason| &reason.text);
    let text = format!("`{}` does not know this grant: {why}", live.peer());
    Reason::sanitized(&text)
}
