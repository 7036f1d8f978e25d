//! A port belongs to one program.
//!
//! The transport sets `SO_REUSEPORT` on its TCP listeners (socket(7)), with which a second program of the same account may listen on the
//! same port: the kernel then divides the connections between the two, and most of them reach the wrong node.

use std::{io, net::SocketAddr, time::Duration};

use libp2p::{Multiaddr, multiaddr::Protocol};
use socket2::{Domain, Socket, Type};

use crate::{address::host, error::NetworkError};

/// How often a port is tried. The sockets of a node that has just stopped are closed within a moment.
const ATTEMPTS: u32 = 40;
/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until no other program uses the port of `address`.
///
/// # Errors
/// [`NetworkError::PortInUse`] if the port does not become free.
pub(crate) async fn until_free(address: &Multiaddr) -> Result<(), NetworkError> {
    let Some((socket, kind)) = socket_of(address) else {
        return Ok(());
    };
    for _ in 1..ATTEMPTS {
        if !in_use(socket, kind) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    match in_use(socket, kind) {
        false => Ok(()),
        true => Err(NetworkError::PortInUse {
            address: address.clone(),
        }),
    }
}

/// Whether a socket without `SO_REUSEPORT` is refused because there is another. Any other error is left to the transport.
fn in_use(socket: SocketAddr, kind: Type) -> bool {
    bind(socket, kind).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// Binds a socket as the transport does, but for `SO_REUSEPORT`, and closes it.
fn bind(address: SocketAddr, kind: Type) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        // Otherwise a listener of IPv4 on the same port, perhaps an own one, would count.
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        // Connections of a listener that was closed do not count. Elsewhere the option admits a second listener.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    if kind == Type::STREAM {
        socket.listen(1)?;
    }
    Ok(())
}

/// The address and the kind of the socket that listens on `address`; `None` if it has no port of its own.
fn socket_of(address: &Multiaddr) -> Option<(SocketAddr, Type)> {
    let ip = host(address)?;
    let (port, kind) = address.iter().find_map(|part| {
        #[expect(clippy::wildcard_enum_match_arm, reason = "other protocols have no port")]
        match part {
            Protocol::Tcp(port) => Some((port, Type::STREAM)),
            Protocol::Udp(port) => Some((port, Type::DGRAM)),
            _ => None,
        }
    })?;
    (port != 0).then(|| (SocketAddr::new(ip, port), kind))
}
