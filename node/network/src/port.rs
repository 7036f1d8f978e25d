//! A port belongs to one program.
//!
//! The transport sets `SO_REUSEPORT` on its listeners (socket(7)), with which a second program of the same account may listen on the same
//! port: the kernel then divides the connections between the two, and most of them reach the wrong node.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use libp2p::{Multiaddr, multiaddr::Protocol};

use crate::{
    address::{host, is_tcp},
    error::NetworkError,
};

/// How often a port is tried. The sockets of a node that has just stopped are closed within a moment.
const ATTEMPTS: u32 = 40;
/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until no other program listens on the TCP port of `address`. A socket of UDP is exclusive by itself.
///
/// # Errors
/// [`NetworkError::PortInUse`] if the port does not become free.
pub(crate) async fn until_free(address: &Multiaddr) -> Result<(), NetworkError> {
    let Some(socket) = tcp_socket(address) else {
        return Ok(());
    };
    for _ in 1..ATTEMPTS {
        if !in_use(socket) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    match in_use(socket) {
        false => Ok(()),
        true => Err(NetworkError::PortInUse {
            address: address.clone(),
        }),
    }
}

/// Whether a listener without `SO_REUSEPORT` is refused because there is another. Any other error is left to the transport.
fn in_use(socket: SocketAddr) -> bool {
    TcpListener::bind(socket).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

fn tcp_socket(address: &Multiaddr) -> Option<SocketAddr> {
    let ip = host(address).filter(|_| is_tcp(address))?;
    let port = address.iter().find_map(|part| {
        if let Protocol::Tcp(port) = part {
            Some(port)
        } else {
            None
        }
    })?;
    (port != 0).then(|| SocketAddr::new(ip, port))
}
