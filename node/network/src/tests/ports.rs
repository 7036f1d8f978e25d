//! A port belongs to one program, and IPv4 and IPv6 have their own.

use concordat_protocol::error_kind::{ErrorKind, Explain};

use super::*;

/// How many ports are tried where a test needs a free one.
const TEST_PORTS: usize = 5;

#[tokio::test]
async fn a_port_that_another_node_listens_on_is_refused() {
    for listen in [TCP, QUIC] {
        let one = Node::start(1, listen).await;
        let taken = one.net.listen_addrs()[0].to_string();
        assert_in_use(&taken).await;
        one.stop().await;
        Node::restart(2, &taken).await.stop().await;
    }
}

#[tokio::test]
async fn a_port_of_ipv4_and_one_of_ipv6_are_two() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    let (node, [four, six]) = at_both_wildcards().await;
    for taken in four.iter().chain(&six) {
        assert_in_use(taken).await;
    }
    node.stop().await;
    let one = Node::restart(1, &four[0]).await;
    let two = Node::restart(2, &six[0]).await;
    one.stop().await;
    two.stop().await;
}

/// A node that listens on all addresses of IPv4 and of IPv6 at one port, over TCP and QUIC, and these addresses. Another test may take a
/// port that was free a moment ago, so several are tried.
async fn at_both_wildcards() -> (Node, [[String; 2]; 2]) {
    for _ in 0..TEST_PORTS {
        let free = std::net::TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let at = |host: &str| [format!("/{host}/tcp/{port}"), format!("/{host}/udp/{port}/quic-v1")];
        let [four, six] = [at("ip4/0.0.0.0"), at("ip6/::")];
        let listen: Vec<&str> = four.iter().chain(&six).map(String::as_str).collect();
        match Node::start_at(1, &listen, vec![DialRange::Loopback]).await {
            Ok(node) => return (node, [four, six]),
            Err(error) => println!("port {port}: {error}"),
        }
    }
    panic!("no node listens on IPv4 and IPv6 at one port")
}

/// A second node cannot listen on the address, and the error states why and what to do.
async fn assert_in_use(address: &str) {
    let refused = Node::try_start(9, address).await.map(|_| ()).unwrap_err();
    assert!(
        matches!(refused, NetworkError::PortInUse { .. }),
        "{address}: {refused:?}"
    );
    assert_eq!(refused.kind(), ErrorKind::Usage);
    let help = refused.help().unwrap();
    assert!(help.contains("`node.listen`"), "{help}");
}
