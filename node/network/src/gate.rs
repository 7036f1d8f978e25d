//! The gate: a connection whose peer is not an active member is closed before any protocol runs.
//!
//! The gate is the first part of the network behavior, so it decides before any other part creates its handler:
//!
//! 1. before the handshake, connections are limited by their source ([`crate::source`]);
//! 2. after the handshake, when the peer has proved its key: it must be a member, within the limits for the peer, for its institution and
//!    in total;
//! 3. whenever the members change: connections of nodes that are no longer members are closed at once.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use concordat_protocol::ids::InstitutionId;
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, dummy,
    },
};

use crate::{
    config::Limits,
    members::{Members, node_id},
    source::Unfinished,
};

/// Why the gate closed a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The peer is not an active member of the roster.
    #[error("the peer is not an active member")]
    NotMember,
    /// Too many connections are still in their handshake.
    #[error("too many unfinished connections")]
    Pending,
    /// Too many connections in total.
    #[error("too many connections")]
    Total,
    /// Too many connections with this peer.
    #[error("too many connections with this peer")]
    PerPeer,
    /// Too many connections with the nodes of this institution.
    #[error("too many connections with this institution")]
    PerInstitution,
}

/// Admits members within limits and refuses all other peers.
#[derive(Debug)]
pub(crate) struct Gate {
    members: Arc<Members>,
    limits: Limits,
    unfinished: Unfinished,
    pending_out: HashSet<ConnectionId>,
    established: HashMap<PeerId, BTreeSet<ConnectionId>>,
    to_close: VecDeque<PeerId>,
}

impl Gate {
    /// A gate that refuses all peers until the members are set.
    pub(crate) fn new(limits: Limits, unfinished: Unfinished) -> Self {
        Self {
            members: Arc::default(),
            limits,
            unfinished,
            pending_out: HashSet::new(),
            established: HashMap::new(),
            to_close: VecDeque::new(),
        }
    }

    /// Replaces the members and returns the connected peers that are no longer members; their connections are closed.
    pub(crate) fn set_members(&mut self, members: Arc<Members>) -> Vec<PeerId> {
        self.unfinished.set_members(&members);
        self.members = members;
        let removed: Vec<PeerId> = self
            .established
            .keys()
            .copied()
            .filter(|peer| !self.is_member(peer))
            .collect();
        self.to_close.extend(&removed);
        removed
    }

    /// Closes all connections with `peer`.
    pub(crate) fn close(&mut self, peer: PeerId) {
        self.to_close.push_back(peer);
    }

    fn is_member(&self, peer: &PeerId) -> bool {
        node_id(peer).is_some_and(|node| self.members.contains(&node))
    }

    fn admit(&self, peer: &PeerId) -> Result<(), Refused> {
        let node = node_id(peer).ok_or(Refused::NotMember)?;
        let institution = self.members.institution(&node).ok_or(Refused::NotMember)?;
        let theirs = self.established_with(institution);
        if theirs >= self.limits.connections_per_institution {
            return Err(Refused::PerInstitution);
        }
        // An institution without a connection is admitted even if the total is reached: the roster bounds the number of institutions.
        if theirs > 0 && self.established.values().map(BTreeSet::len).sum::<usize>() >= self.limits.connections {
            return Err(Refused::Total);
        }
        if self.established.get(peer).map_or(0, BTreeSet::len) >= self.limits.connections_per_peer {
            return Err(Refused::PerPeer);
        }
        Ok(())
    }

    fn established_with(&self, institution: &InstitutionId) -> usize {
        let theirs =
            |peer: &PeerId| node_id(peer).and_then(|node| self.members.institution(&node)) == Some(institution);
        let connections = self.established.iter().filter(|(peer, _)| theirs(peer));
        connections.map(|(_, connections)| connections.len()).sum()
    }

    fn closed(&mut self, peer: &PeerId, connection: ConnectionId) {
        if let Some(connections) = self.established.get_mut(peer) {
            connections.remove(&connection);
            if connections.is_empty() {
                self.established.remove(peer);
            }
        }
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(&peer).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if !peer.is_some_and(|peer| self.is_member(&peer)) {
            return Err(ConnectionDenied::new(Refused::NotMember));
        }
        if self.pending_out.len() >= self.limits.pending {
            return Err(ConnectionDenied::new(Refused::Pending));
        }
        self.pending_out.insert(connection);
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_out.remove(&connection);
        self.admit(&peer).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "libp2p adds events; the gate only counts connections"
        )]
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                self.established
                    .entry(event.peer_id)
                    .or_default()
                    .insert(event.connection_id);
            }
            FromSwarm::ConnectionClosed(event) => self.closed(&event.peer_id, event.connection_id),
            FromSwarm::DialFailure(event) => {
                self.pending_out.remove(&event.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.to_close.pop_front() {
            Some(peer_id) => Poll::Ready(ToSwarm::CloseConnection {
                peer_id,
                connection: CloseConnection::All,
            }),
            // The queue is filled by the owner of the swarm, which polls it next, so no waker is stored.
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::{core::ConnectedPoint, identity::Keypair, swarm::behaviour::ConnectionEstablished};

    #[test]
    fn gate_non_member_refused_in_both_directions() {
        let (mut gate, member) = gate();
        let non_member = Keypair::generate_ed25519().public().to_peer_id();
        assert_eq!(inbound(&mut gate, non_member, 1), Err(Refused::NotMember));
        assert_eq!(outbound(&mut gate, non_member, 2), Err(Refused::NotMember));
        assert_eq!(dial(&mut gate, Some(non_member), 3), Err(Refused::NotMember));
        assert_eq!(dial(&mut gate, None, 4), Err(Refused::NotMember));
        assert_eq!(inbound(&mut gate, member, 5), Ok(()));
        assert_eq!(outbound(&mut gate, member, 6), Ok(()));
        assert_eq!(dial(&mut gate, Some(member), 7), Ok(()));
    }

    #[test]
    fn unfinished_dials_are_bounded() {
        let (mut gate, member) = gate();
        for id in 0..2 {
            assert_eq!(dial(&mut gate, Some(member), 10 + id), Ok(()));
        }
        assert_eq!(dial(&mut gate, Some(member), 12), Err(Refused::Pending));
        assert_eq!(outbound(&mut gate, member, 10), Ok(()));
        assert_eq!(dial(&mut gate, Some(member), 12), Ok(()));
    }

    #[test]
    fn connections_are_bounded_for_a_peer_and_in_all() {
        let (mut gate, member) = gate();
        for id in 0..2 {
            establish(&mut gate, member, id);
        }
        assert_eq!(inbound(&mut gate, member, 2), Err(Refused::PerPeer));
        assert_eq!(outbound(&mut gate, member, 2), Err(Refused::PerPeer));
        gate.closed(&member, ConnectionId::new_unchecked(0));
        assert_eq!(inbound(&mut gate, member, 2), Ok(()));

        gate.limits.connections = 1;
        assert_eq!(inbound(&mut gate, member, 2), Err(Refused::Total));
    }

    #[test]
    fn gate_nodes_of_one_institution_share_its_limit() {
        let nodes: Vec<PeerId> = (0..16)
            .map(|_| Keypair::generate_ed25519().public().to_peer_id())
            .collect();
        let (mut gate, single) = gate();
        let listed = |peer: &PeerId, institution: &str| (node_id(peer).unwrap(), institution.parse().unwrap(), vec![]);
        let members = nodes.iter().map(|peer| listed(peer, "zurich"));
        gate.members = Arc::new(members.chain([listed(&single, "budapest")]).collect());
        gate.limits.connections = 5;
        gate.limits.connections_per_institution = 5;
        let admitted = nodes.iter().enumerate().filter(|(id, peer)| {
            let admitted = inbound(&mut gate, **peer, *id).is_ok();
            if admitted {
                establish(&mut gate, **peer, *id);
            }
            admitted
        });
        assert_eq!(admitted.count(), 5);
        assert_eq!(inbound(&mut gate, nodes[0], 50), Err(Refused::PerInstitution));
        assert_eq!(inbound(&mut gate, single, 51), Ok(()));
        establish(&mut gate, single, 51);
        assert_eq!(inbound(&mut gate, single, 52), Err(Refused::Total));
    }

    #[test]
    fn removed_members_are_closed_and_others_stay() {
        let (mut gate, member) = gate();
        establish(&mut gate, member, 0);
        assert_eq!(gate.set_members(gate.members.clone()), []);
        assert_eq!(gate.set_members(Arc::default()), [member]);
        assert_eq!(gate.to_close, [member]);
    }

    fn gate() -> (Gate, PeerId) {
        let limits = Limits {
            pending: 2,
            connections: 8,
            connections_per_peer: 2,
            ..Limits::default()
        };
        let member = Keypair::generate_ed25519().public().to_peer_id();
        let mut gate = Gate::new(limits.clone(), Unfinished::new(limits));
        let institution = "budapest".parse().unwrap();
        gate.members = Arc::new(Members::from_iter([(node_id(&member).unwrap(), institution, vec![])]));
        (gate, member)
    }

    fn establish(gate: &mut Gate, peer_id: PeerId, id: usize) {
        let address = Multiaddr::empty();
        let endpoint = ConnectedPoint::Listener {
            local_addr: address.clone(),
            send_back_addr: address,
        };
        gate.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id,
            connection_id: ConnectionId::new_unchecked(id),
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established: 0,
        }));
    }

    fn dial(gate: &mut Gate, peer: Option<PeerId>, id: usize) -> Result<(), Refused> {
        let id = ConnectionId::new_unchecked(id);
        gate.handle_pending_outbound_connection(id, peer, &[], Endpoint::Dialer)
            .map(drop)
            .map_err(reason)
    }

    fn inbound(gate: &mut Gate, peer: PeerId, id: usize) -> Result<(), Refused> {
        let id = ConnectionId::new_unchecked(id);
        let address = Multiaddr::empty();
        gate.handle_established_inbound_connection(id, peer, &address, &address)
            .map(drop)
            .map_err(reason)
    }

    fn outbound(gate: &mut Gate, peer: PeerId, id: usize) -> Result<(), Refused> {
        let id = ConnectionId::new_unchecked(id);
        let address = Multiaddr::empty();
        let port = PortUse::Reuse;
        let admitted = gate.handle_established_outbound_connection(id, peer, &address, Endpoint::Dialer, port);
        admitted.map(drop).map_err(reason)
    }

    fn reason(denied: ConnectionDenied) -> Refused {
        denied.downcast().unwrap()
    }
}
