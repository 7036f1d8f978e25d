//! Synchronizes rosters between peers: a node with an older roster requests the newer one, and a node with a newer one announces it.

use concordat_protocol::ids::NodeId;
use concordat_protocol::wire::messages::RosterMessage;
use concordat_protocol::wire::streams::ROSTER;
use tracing::Instrument as _;

use super::error::MembershipError;
use super::handle::Membership;
use super::span::session_span;
use crate::attribution::by_peer;
use crate::shutdown::Stage;
use concordat_network::hello::Attested;
use concordat_network::{FramedStream, IncomingStreams, NetworkError, Session};

impl Membership {
    /// Serves rosters to peers and announces each new one to them, until `stage` stops.
    pub fn sync_roster(&self, incoming: IncomingStreams, stage: &Stage) {
        stage.spawn(self.clone().serve_rosters(incoming, stage.clone()));
        stage.spawn(self.clone().announce_changes(stage.clone()));
    }

    async fn serve_rosters(self, mut incoming: IncomingStreams, stage: Stage) {
        while let Some(stream) = stage.token().run_until_cancelled(incoming.next()).await {
            let membership = self.clone();
            let span = session_span(stream.session().peer());
            let served = async move {
                if let Err(error) = membership.serve_roster(stream).await {
                    tracing::warn!(%error, "a roster exchange failed");
                }
            };
            stage.spawn(served.instrument(span));
        }
    }

    async fn serve_roster(&self, mut stream: FramedStream) -> Result<(), MembershipError> {
        let answer = match stream.expect().await? {
            RosterMessage::Request => {
                RosterMessage::Announce(self.newest().ok_or(MembershipError::NoConsortium)?.signed().clone())
            }
            RosterMessage::Announce(roster) => {
                self.import(roster, &by_peer(stream.session())).await?;
                RosterMessage::Acknowledged
            }
            RosterMessage::Acknowledged => return Ok(()),
        };
        stream.send(&answer).await?;
        Ok(stream.close().await?)
    }

    async fn announce_changes(self, stage: Stage) {
        let mut roster = self.watch();
        roster.mark_unchanged();
        while let Some(Ok(())) = stage.token().run_until_cancelled(roster.changed()).await {
            for peer in self.0.network.connected_peers() {
                let membership = self.clone();
                let announced = async move { membership.announce_or_log(peer).await };
                stage.spawn(announced.instrument(session_span(peer)));
            }
        }
    }

    /// Requests the roster of a peer that has a newer one, or announces ours to a peer that has an older one.
    pub(super) async fn compare_rosters(&self, session: &Session, attested: &Attested) {
        let ours = self.newest().map_or(0, |roster| roster.number());
        if attested.roster_number > ours {
            if let Err(error) = self.request_roster(session.peer()).await {
                tracing::warn!(%error, "the peer's newer roster was not accepted");
            }
        } else if attested.roster_number < ours {
            self.announce_or_log(session.peer()).await;
        }
    }

    async fn request_roster(&self, peer: NodeId) -> Result<(), MembershipError> {
        let mut stream = self.0.network.open(peer, ROSTER).await?;
        stream.send(&RosterMessage::Request).await?;
        if let RosterMessage::Announce(roster) = stream.expect().await? {
            self.import(roster, &by_peer(stream.session())).await?;
        }
        Ok(())
    }

    async fn announce_or_log(&self, peer: NodeId) {
        if let Err(error) = self.announce(peer).await {
            tracing::debug!(%error, "the roster was not announced to the peer; it requests it when it connects");
        }
    }

    async fn announce(&self, peer: NodeId) -> Result<(), NetworkError> {
        let Some(roster) = self.newest() else { return Ok(()) };
        let mut stream = self.0.network.open(peer, ROSTER).await?;
        stream.send(&RosterMessage::Announce(roster.signed().clone())).await?;
        stream.expect::<RosterMessage>().await.map(|_| ())
    }
}
