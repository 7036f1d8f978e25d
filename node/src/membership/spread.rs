//! How a new roster reaches everybody: asked for by who is behind, told by who is ahead.

use concordat_protocol::ids::NodeId;
use concordat_protocol::wire::messages::RosterMessage;
use libp2p::StreamProtocol;

use super::{Membership, MembershipError};
use crate::network::hello::Attested;
use crate::network::{FramedStream, IncomingStreams, NetworkError, Session};
use crate::shutdown::Stage;

/// Exchange of rosters.
pub const ROSTER: StreamProtocol = StreamProtocol::new("/concordat/roster/1");

impl Membership {
    /// Serves rosters to peers and tells them each new one, until `stage` stops.
    pub fn spread(&self, incoming: IncomingStreams, stage: &Stage) {
        stage.spawn(self.clone().serve_rosters(incoming, stage.clone()));
        stage.spawn(self.clone().tell_changes(stage.clone()));
    }

    async fn serve_rosters(self, mut incoming: IncomingStreams, stage: Stage) {
        while let Some(stream) = stage.token().run_until_cancelled(incoming.next()).await {
            let membership = self.clone();
            stage.spawn(async move {
                if let Err(error) = membership.serve_roster(stream).await {
                    tracing::warn!(%error, "a roster exchange failed");
                }
            });
        }
    }

    async fn serve_roster(&self, mut stream: FramedStream) -> Result<(), MembershipError> {
        let answer = match stream.expect().await? {
            RosterMessage::Ask => {
                RosterMessage::Tell(self.newest().ok_or(MembershipError::NoConsortium)?.signed().clone())
            }
            RosterMessage::Tell(roster) => {
                self.import(roster, &stream.session().attribution()).await?;
                RosterMessage::Known
            }
            RosterMessage::Known => return Ok(()),
        };
        stream.send(&answer).await?;
        Ok(stream.close().await?)
    }

    async fn tell_changes(self, stage: Stage) {
        let mut roster = self.watch();
        roster.mark_unchanged();
        while let Some(Ok(())) = stage.token().run_until_cancelled(roster.changed()).await {
            for peer in self.0.network.connected_peers() {
                let membership = self.clone();
                stage.spawn(async move { membership.tell(peer).await });
            }
        }
    }

    /// Asks a peer that is ahead, tells a peer that is behind.
    pub(super) async fn compare_rosters(&self, session: &Session, attested: &Attested) {
        let ours = self.newest().map_or(0, |roster| roster.number());
        if attested.roster_number > ours {
            if let Err(error) = self.ask(session.peer()).await {
                tracing::warn!(peer = %session.peer().short(), %error, "the peer's newer roster was not taken");
            }
        } else if attested.roster_number < ours {
            self.tell(session.peer()).await;
        }
    }

    async fn ask(&self, peer: NodeId) -> Result<(), MembershipError> {
        let mut stream = self.0.network.open(peer, ROSTER).await?;
        stream.send(&RosterMessage::Ask).await?;
        if let RosterMessage::Tell(roster) = stream.expect().await? {
            self.import(roster, &stream.session().attribution()).await?;
        }
        Ok(())
    }

    async fn tell(&self, peer: NodeId) {
        if let Err(error) = self.try_tell(peer).await {
            tracing::debug!(peer = %peer.short(), %error, "the peer was not told the roster; it asks when it connects");
        }
    }

    async fn try_tell(&self, peer: NodeId) -> Result<(), NetworkError> {
        let Some(roster) = self.newest() else { return Ok(()) };
        let mut stream = self.0.network.open(peer, ROSTER).await?;
        stream.send(&RosterMessage::Tell(roster.signed().clone())).await?;
        stream.expect::<RosterMessage>().await.map(|_| ())
    }
}
