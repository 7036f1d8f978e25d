//! Resets connections: what was written and has not left this machine is discarded.
//!
//! Closing is not enough when nothing more may be delivered: a multiplexer sends what it has buffered before it closes, and the kernel
//! sends what is in the buffer of a closed TCP socket, for as long as the peer takes to read it.
//!
//! 1. Over TCP, each socket has a flag. Once it is set, the socket is dropped at the next poll with a linger time of zero, with which
//!    the kernel discards its buffer and sends a reset. Its multiplexer fails then.
//! 2. Over QUIC, the connection is closed, which discards what its streams have buffered.
//! 3. The reset is done when the swarm reports each of the connections as closed.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use concordat_protocol::ids::NodeId;
use futures::{AsyncRead, AsyncWrite, task::AtomicWaker};
use libp2p::{Multiaddr, multiaddr::Protocol, swarm::ConnectionId, tcp::tokio::TcpStream};
use tokio::sync::oneshot;

/// The flags of the open TCP sockets by remote address; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resets(Arc<Mutex<HashMap<Multiaddr, Vec<Weak<Flag>>>>>);

#[derive(Debug, Default)]
struct Flag {
    is_set: AtomicBool,
    waker: AtomicWaker,
}

impl Resets {
    /// A socket that can be reset by its remote address.
    pub(crate) fn wrap(&self, socket: TcpStream, remote: &Multiaddr) -> Resettable {
        let flag = Arc::new(Flag::default());
        let mut flags = self.flags();
        flags.retain(|_, flags| {
            flags.retain(|flag| flag.strong_count() > 0);
            !flags.is_empty()
        });
        flags
            .entry(without_peer(remote))
            .or_default()
            .push(Arc::downgrade(&flag));
        Resettable {
            socket: Some(socket),
            flag,
        }
    }

    /// Resets the sockets that are connected to `remote`.
    pub(crate) fn reset(&self, remote: &Multiaddr) {
        let flags = self.flags().remove(&without_peer(remote)).unwrap_or_default();
        for flag in flags.iter().filter_map(Weak::upgrade) {
            flag.is_set.store(true, Ordering::SeqCst);
            flag.waker.wake();
        }
    }

    fn flags(&self) -> MutexGuard<'_, HashMap<Multiaddr, Vec<Weak<Flag>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address of the socket alone: a dialed address may also name the peer.
fn without_peer(address: &Multiaddr) -> Multiaddr {
    address
        .iter()
        .filter(|part| !matches!(part, Protocol::P2p(_)))
        .collect()
}

/// A TCP socket that can be reset.
#[derive(Debug)]
pub(crate) struct Resettable {
    /// `None` after a reset.
    socket: Option<TcpStream>,
    flag: Arc<Flag>,
}

impl Resettable {
    fn socket(&mut self, context: &Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        // Registered before the flag is read: a reset in between wakes this task again.
        self.flag.waker.register(context.waker());
        if self.flag.is_set.load(Ordering::SeqCst)
            && let Some(socket) = self.socket.take()
        {
            socket.0.set_zero_linger()?;
        }
        self.socket
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Resettable {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.socket(context) {
            Ok(socket) => socket.poll_read(context, buffer),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncWrite for Resettable {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.socket(context) {
            Ok(socket) => socket.poll_write(context, bytes),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.socket(context) {
            Ok(socket) => socket.poll_flush(context),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.socket(context) {
            Ok(socket) => socket.poll_close(context),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// The open connections, and who waits until some of them are closed. Owned by the task of the network.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: HashMap<ConnectionId, OpenConnection>,
    waiting: Vec<(BTreeSet<ConnectionId>, oneshot::Sender<()>)>,
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct OpenConnection {
    /// The peer.
    pub(crate) peer: NodeId,
    /// The number of its session; `None` if the session ended while the connection was made.
    pub(crate) session: Option<u64>,
    /// The address of the other end.
    pub(crate) remote: Multiaddr,
}

impl Connections {
    /// Adds a connection.
    pub(crate) fn opened(&mut self, id: ConnectionId, connection: OpenConnection) {
        self.open.insert(id, connection);
    }

    /// Removes a connection that is closed.
    pub(crate) fn closed(&mut self, id: ConnectionId) {
        self.open.remove(&id);
        for (left, reply) in std::mem::take(&mut self.waiting) {
            self.wait(left.into_iter().filter(|one| *one != id).collect(), reply);
        }
    }

    /// The connections of a session, with the addresses of their other ends.
    pub(crate) fn of(&self, peer: NodeId, session: u64) -> Vec<(ConnectionId, Multiaddr)> {
        let of_session = |one: &&OpenConnection| one.peer == peer && one.session.is_none_or(|number| number == session);
        self.open
            .iter()
            .filter(|(_, one)| of_session(one))
            .map(|(id, one)| (*id, one.remote.clone()))
            .collect()
    }

    /// The open connections with `peer`.
    pub(crate) fn with(&self, peer: NodeId) -> impl Iterator<Item = ConnectionId> {
        let with_peer = self.open.iter().filter(move |(_, one)| one.peer == peer);
        with_peer.map(|(id, _)| *id)
    }

    /// Replies once all of `left` are closed.
    pub(crate) fn wait(&mut self, left: BTreeSet<ConnectionId>, reply: oneshot::Sender<()>) {
        if left.is_empty() {
            // The caller may have given up in the meantime.
            let _ = reply.send(());
        } else {
            self.waiting.push((left, reply));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream as Socket};

    use super::*;

    async fn ends(resets: &Resets) -> (Resettable, Socket, Multiaddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = Socket::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, from) = listener.accept().await.unwrap();
        let remote: Multiaddr = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port())
            .parse()
            .unwrap();
        assert_eq!(from, near.local_addr().unwrap());
        (resets.wrap(TcpStream(near), &remote), far, remote)
    }

    #[tokio::test]
    async fn reset_discards_what_the_peer_has_not_received() {
        let resets = Resets::default();
        let (mut near, mut far, remote) = ends(&resets).await;
        let mut written = 0;
        let block = [7; 64 << 10];
        while let Ok(sent) = tokio::time::timeout(Duration::from_millis(200), near.write(&block)).await {
            written += sent.unwrap();
        }
        let peer = remote.clone().with(Protocol::P2p(libp2p::PeerId::random()));
        resets.reset(&peer);
        assert_eq!(
            near.write(&block).await.unwrap_err().kind(),
            io::ErrorKind::ConnectionReset
        );
        // The other end still has what had arrived, and then the reset instead of the rest.
        let mut received = 0;
        let mut buffer = vec![0; 64 << 10];
        let ended = loop {
            match tokio::io::AsyncReadExt::read(&mut far, &mut buffer).await {
                Ok(0) => break Ok(()),
                Ok(read) => received += read,
                Err(error) => break Err(error.kind()),
            }
        };
        assert_eq!(
            ended,
            Err(io::ErrorKind::ConnectionReset),
            "{received} of {written} arrived"
        );
        assert!(received < written, "{received} of {written} arrived");
    }

    #[tokio::test]
    async fn reset_wakes_a_reader_that_waits() {
        let resets = Resets::default();
        let (mut near, _far, remote) = ends(&resets).await;
        let reading = tokio::spawn(async move { near.read(&mut [0; 8]).await.map_err(|error| error.kind()) });
        tokio::task::yield_now().await;
        resets.reset(&remote);
        assert_eq!(reading.await.unwrap(), Err(io::ErrorKind::ConnectionReset));
    }
}
