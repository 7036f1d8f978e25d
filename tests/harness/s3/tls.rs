//! TLS in front of the server, under a certificate authority that no machine trusts.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// A port that is_active_side TLS.
#[derive(Debug)]
pub struct Secured {
    /// The address, as a node's configuration contains it.
    pub endpoint: String,
    /// The certificate of the authority, as PEM.
    pub authority: PathBuf,
}

/// Listens on its own port and forwards what arrives there over TLS to `server`, until the runtime ends.
pub(super) async fn listen(server: SocketAddr, folder: &Path) -> Secured {
    let (acceptor, authority) = certified();
    let path = folder.join("authority.pem");
    fs::write(&path, authority).expect("a certificate");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            connections.spawn(forward(acceptor.clone(), socket, server));
        }
    });
    Secured {
        endpoint: format!("https://{address}"),
        authority: path,
    }
}

async fn forward(acceptor: TlsAcceptor, socket: TcpStream, server: SocketAddr) {
    // A client that rejects the certificate closes the connection.
    if let Ok(mut client) = acceptor.accept(socket).await
        && let Ok(mut upstream) = TcpStream::connect(server).await
    {
        tokio::io::copy_bidirectional(&mut client, &mut upstream).await.ok();
    }
}

/// A certificate for this machine, and the authority that signed it.
fn certified() -> (TlsAcceptor, String) {
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().expect("a key");
    let authority = authority.self_signed(&authority_key).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address is a name");
    let server = server
        .signed_by(&key, &authority, &authority_key)
        .expect("a certificate");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(
            vec![server.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .expect("the key is the certificate's");
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}
