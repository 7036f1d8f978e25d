//! One connection's share of the stream behaviour: negotiates protocols and passes streams on.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    io,
    sync::Arc,
    task::{Context, Poll},
};

use libp2p::{
    Stream, StreamProtocol,
    core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};

use super::{Acceptors, Wish};
use crate::network::{error::NetworkError, session::Session};

/// The connection answers no more: a stream was not negotiated in time.
#[derive(Debug)]
pub(in crate::network) struct Dead;

/// Negotiates the streams of one connection.
#[derive(Debug)]
pub(in crate::network) struct Handler {
    session: Session,
    acceptors: Arc<Acceptors>,
    keep_alive: bool,
    wishes: VecDeque<Wish>,
    dead: bool,
}

impl Handler {
    pub(super) fn new(session: Session, acceptors: Arc<Acceptors>, keep_alive: bool) -> Self {
        Self {
            session,
            acceptors,
            keep_alive,
            wishes: VecDeque::new(),
            dead: false,
        }
    }

    fn failed(&mut self, wish: Wish, error: StreamUpgradeError<Infallible>) {
        self.dead |= matches!(error, StreamUpgradeError::Timeout);
        let error = match error {
            StreamUpgradeError::Timeout => NetworkError::Io(io::ErrorKind::TimedOut.into()),
            StreamUpgradeError::NegotiationFailed => NetworkError::Unsupported {
                peer: self.session.peer(),
                protocol: wish.protocol,
            },
            StreamUpgradeError::Io(error) => NetworkError::Io(error),
            StreamUpgradeError::Apply(never) => match never {},
        };
        // Whoever asked may have given up meanwhile.
        let _ = wish.reply.send(Err(error));
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Wish;
    type ToBehaviour = Dead;
    type InboundProtocol = Negotiation;
    type OutboundProtocol = Negotiation;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Wish;

    fn listen_protocol(&self) -> SubstreamProtocol<Negotiation> {
        SubstreamProtocol::new(Negotiation(self.acceptors.protocols()), ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.keep_alive
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Negotiation, Wish, Dead>> {
        if std::mem::take(&mut self.dead) {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Dead));
        }
        match self.wishes.pop_front() {
            Some(wish) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(Negotiation(vec![wish.protocol.clone()]), wish),
            }),
            // Wishes come in through `on_behaviour_event`, after which the connection polls again.
            None => Poll::Pending,
        }
    }

    fn on_behaviour_event(&mut self, wish: Wish) {
        self.wishes.push_back(wish);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Negotiation, Negotiation, (), Wish>) {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "libp2p adds events; only negotiated streams matter here"
        )]
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol),
                ..
            }) => {
                self.acceptors.deliver(&self.session, stream, &protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, _),
                info,
            }) => {
                // Whoever asked may have given up meanwhile; the stream is then reset.
                let _ = info.reply.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => self.failed(info, error),
            _ => {}
        }
    }
}

/// Agrees on one of some protocols and leaves the stream as it is.
#[derive(Debug)]
pub(in crate::network) struct Negotiation(Vec<StreamProtocol>);

impl UpgradeInfo for Negotiation {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Negotiation {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<Stream> for Negotiation {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}
