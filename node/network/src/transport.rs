//! The transport of the swarm: TCP (Noise, Yamux) and QUIC, and the rules that apply before a peer is identified.
//!
//! 1. Each incoming connection is registered in [`Unfinished`] and is closed if that is full and it is the oldest.
//! 2. Over TCP the first byte has to arrive within a short time, so that a silent socket costs little. With QUIC there is
//!    no connection before the first packet.
//! 3. Both kinds have to finish the handshake within the connect timeout, regardless of how slowly bytes arrive.
//! 4. An address is dialed only if [`Dialing`] allows it. It is checked here, at the last moment: names have been resolved by
//!    then, so that the address that is checked is the one that is dialed.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncRead, AsyncWrite, FutureExt, future::BoxFuture};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent},
        upgrade::Version,
    },
    identity::Keypair,
    noise, quic, tcp, yamux,
};
use tokio::time::Sleep;

use crate::{
    address::{carrier, host},
    config::Timeouts,
    dial::Dialing,
    error::NetworkError,
    reset::Resets,
    source::Unfinished,
};

/// Maximum number of streams in both directions on one connection, above which the multiplexer closes it. Each can buffer 256 KiB.
const MAX_MULTIPLEXED_STREAMS: usize = 256;

type Connection = (PeerId, StreamMuxerBox);

/// The transport that the swarm runs on.
pub(crate) fn transport(
    keypair: &Keypair,
    timeouts: &Timeouts,
    unfinished: Unfinished,
    dialing: Dialing,
    resets: Resets,
) -> Result<Boxed<Connection>, NetworkError> {
    let first_byte = timeouts.first_byte;
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .map(move |stream, point| {
            let socket = resets.wrap(stream, point.get_remote_address());
            FirstByte::new(socket, point.is_listener().then_some(first_byte))
        })
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair).map_err(NetworkError::Transport)?)
        .multiplex(multiplexer())
        .timeout(timeouts.connect)
        .boxed();
    let mut config = quic::Config::new(keypair);
    config.handshake_timeout = timeouts.connect;
    config.max_concurrent_stream_limit = u32::try_from(MAX_MULTIPLEXED_STREAMS).unwrap_or(u32::MAX);
    let quic = quic::tokio::Transport::new(config).map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let either = tcp.or_transport(quic.boxed()).map(|either, _| either.into_inner());
    let guarded = Guarded {
        inner: either.boxed(),
        unfinished,
        dialing,
    };
    Ok(guarded.boxed())
}

fn multiplexer() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(MAX_MULTIPLEXED_STREAMS);
    config
}

/// Counts incoming connections and checks outgoing ones.
struct Guarded {
    inner: Boxed<Connection>,
    unfinished: Unfinished,
    dialing: Dialing,
}

impl Guarded {
    /// An incoming connection that stays registered until its handshake succeeds, fails, or is evicted.
    fn admit(
        &self,
        from: &Multiaddr,
        handshake: impl Future<Output = io::Result<Connection>> + Send + 'static,
    ) -> BoxFuture<'static, io::Result<Connection>> {
        let pending = self.unfinished.enter(host(from), carrier(from));
        async move {
            let done = pending.cut().run_until_cancelled_owned(handshake).await;
            drop(pending);
            done.unwrap_or_else(|| Err(io::Error::other("closed in favor of a newer connection")))
        }
        .boxed()
    }
}

impl Transport for Guarded {
    type Output = Connection;
    type Error = io::Error;
    type ListenerUpgrade = BoxFuture<'static, io::Result<Connection>>;
    type Dial = <Boxed<Connection> as Transport>::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        self.dialing
            .check_dial(&address)
            .map_err(|refused| TransportError::Other(io::Error::other(refused)))?;
        self.inner.dial(address, options)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Pin::new(&mut self.inner).poll(context).map(|event| {
            // Only an incoming connection has an upgrade, and it contains its source.
            let from = match &event {
                TransportEvent::Incoming { send_back_addr, .. } => send_back_addr.clone(),
                TransportEvent::NewAddress { .. }
                | TransportEvent::AddressExpired { .. }
                | TransportEvent::ListenerClosed { .. }
                | TransportEvent::ListenerError { .. } => Multiaddr::empty(),
            };
            event.map_upgrade(|handshake| self.admit(&from, handshake))
        })
    }
}

/// A socket whose first byte has to arrive in time.
struct FirstByte<S> {
    socket: S,
    /// `None` once a byte has arrived.
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> FirstByte<S> {
    fn new(socket: S, within: Option<Duration>) -> Self {
        Self {
            socket,
            until: within.map(|within| Box::pin(tokio::time::sleep(within))),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstByte<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        let Some(until) = &mut self.until else { return read };
        if read.is_ready() {
            self.until = None;
            return read;
        }
        until
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstByte<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(context)
    }
}
