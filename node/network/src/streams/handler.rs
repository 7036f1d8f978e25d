//! The stream behavior of one connection: negotiates protocols and forwards streams.

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
        ConnectionHandler, ConnectionHandlerEvent, ConnectionId, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};

use super::{acceptors::Acceptors, request::StreamRequest};
use crate::{error::NetworkError, session::Session};

/// The connection no longer responds: a stream was not negotiated in time.
#[derive(Debug)]
pub(crate) struct Unresponsive;

/// Negotiates the streams of one connection.
#[derive(Debug)]
pub(crate) struct Handler {
    session: Session,
    connection: ConnectionId,
    acceptors: Arc<Acceptors>,
    keep_alive: bool,
    requests: VecDeque<StreamRequest>,
    unresponsive: bool,
}

impl Handler {
    pub(super) fn new(
        (session, connection): (Session, ConnectionId),
        acceptors: Arc<Acceptors>,
        keep_alive: bool,
    ) -> Self {
        Self {
            session,
            connection,
            acceptors,
            keep_alive,
            requests: VecDeque::new(),
            unresponsive: false,
        }
    }

    fn failed(&mut self, request: StreamRequest, error: StreamUpgradeError<Infallible>) {
        self.unresponsive |= matches!(error, StreamUpgradeError::Timeout);
        let error = match error {
            StreamUpgradeError::Timeout => NetworkError::Io(io::ErrorKind::TimedOut.into()),
            StreamUpgradeError::NegotiationFailed => NetworkError::Unsupported {
                peer: self.session.peer(),
                protocol: request.protocol,
            },
            StreamUpgradeError::Io(error) => NetworkError::Io(error),
            StreamUpgradeError::Apply(never) => match never {},
        };
        // The caller may have given up in the meantime.
        let _ = request.reply.send(Err(error));
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = StreamRequest;
    type ToBehaviour = Unresponsive;
    type InboundProtocol = Negotiation;
    type OutboundProtocol = Negotiation;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = StreamRequest;

    fn listen_protocol(&self) -> SubstreamProtocol<Negotiation> {
        SubstreamProtocol::new(Negotiation(self.acceptors.protocols()), ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.keep_alive
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Negotiation, StreamRequest, Unresponsive>> {
        if std::mem::take(&mut self.unresponsive) {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Unresponsive));
        }
        match self.requests.pop_front() {
            Some(request) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(Negotiation(vec![request.protocol.clone()]), request),
            }),
            // Requests arrive through `on_behaviour_event`, after which the connection polls again.
            None => Poll::Pending,
        }
    }

    fn on_behaviour_event(&mut self, request: StreamRequest) {
        self.requests.push_back(request);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Negotiation, Negotiation, (), StreamRequest>) {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "libp2p adds events; only negotiated streams are relevant here"
        )]
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol),
                ..
            }) => {
                self.acceptors
                    .deliver((&self.session, self.connection), stream, &protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, _),
                info,
            }) => {
                // The caller may have given up in the meantime; the stream is then reset.
                let _ = info.reply.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => self.failed(info, error),
            _ => {}
        }
    }
}

/// Negotiates one of several protocols and returns the stream unchanged.
#[derive(Debug)]
pub(crate) struct Negotiation(Vec<StreamProtocol>);

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
