//! Attacks before a connection is authenticated: silent sockets, handshakes that do not end, members that send no hello.
//!
//! Any address of 127.0.0.0/8 can be connected from, so one machine can simulate as many hosts and subnets as a test needs. In
//! each test a well-behaved member connects and is answered while the attack goes on.

use concordat_protocol::wire::streams::HELLO;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use concordat_node::{Admission, MembershipError};
use concordat_protocol::audit::{Cause, EntryBody};
use concordat_protocol::wire::messages::HelloReply;
use concordat_tests::tester;
use libp2p::multiaddr::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::malicious_peer::{MaliciousPeer, NOWHERE};
use super::well_behaved::{InProcessNode, World};

/// More sockets than the node accepts from anywhere.
const SOCKETS: u16 = 400;
/// The first line of multistream-select, with which every TCP connection begins.
const MULTISTREAM_HEADER: &[u8] = b"\x13/multistream/1.0.0\n\x07/noise\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_sockets_of_one_host_block_no_one() {
    assert_withstands(|_| Ipv4Addr::LOCALHOST, Manner::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_sockets_of_one_subnet_block_no_one() {
    assert_withstands(|n| [127, 0, 7, n.to_be_bytes()[1]].into(), Manner::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_sockets_from_everywhere_block_no_one() {
    assert_withstands(everywhere, Manner::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_handshakes_block_no_one() {
    assert_withstands(everywhere, Manner::Drip).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_stop_after_the_first_line_block_no_one() {
    assert_withstands(everywhere, Manner::FirstLine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_without_a_hello_is_cut_off_and_others_are_served() {
    let world = World::new().await;
    for _ in 0..20 {
        // The gate accepts a few of them; the test checks what happens to those.
        let _ = world.attacker.dial(&world.provider).await;
    }
    late_member(&world.provider).await;
    world.assert_still_serving().await;
    world.attacker.until_alone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_hellos_in_a_loop_add_a_bounded_number_of_entries() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let before = refusals(provider, attacker).len();
    for _ in 0..30 {
        if attacker.dial(provider).await.is_ok() {
            let forged = attacker.hello(provider, |_| (), |statement| statement.to = attacker.id());
            assert!(attacker.request::<HelloReply>(provider, HELLO, &forged).await.is_err());
        }
        attacker.until_alone().await;
    }
    assert_eq!(
        refusals(provider, attacker)[before..],
        [1],
        "the rest is recorded when the minute is over"
    );
    late_member(provider).await;
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applicant_addresses_are_dialed_only_after_admission() {
    let world = World::new().await;
    let membership = world.provider.node.membership();
    let dials = |text: &str| {
        let address = text.parse().unwrap();
        let zagreb = "zagreb".parse().unwrap();
        world.provider.node.network().dialing().check(&address, &zagreb).is_ok()
    };
    let application_with = |address: &str| {
        let applicant = MaliciousPeer::start("zagreb", 44);
        applicant.enrolment_at(&[NOWHERE, address])
    };
    let inside = "/ip4/10.1.2.3/tcp/22";
    let metadata = "/ip4/169.254.169.254/tcp/80";
    let before = world.provider.roster();
    for address in [
        inside,
        metadata,
        "/ip4/0.0.0.0/tcp/22",
        "/ip6/::ffff:10.1.2.3/tcp/22",
        "/unix/run.sock",
    ] {
        let refused = membership
            .admit(application_with(address).as_bytes(), &tester())
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(address), "{refused}");
        assert_eq!(world.provider.roster(), before, "{address}");
    }
    // Allowing another host does not allow this one, and nothing allows an address that is never dialed.
    let other: IpAddr = [10, 1, 2, 4].into();
    let host = |ip: &str| ip.parse::<IpAddr>().unwrap();
    let admit = async |address: &str, hosts: &[IpAddr]| {
        let application = application_with(address);
        membership
            .admit_with(
                application.as_bytes(),
                &Admission {
                    allow_hosts: hosts.to_vec(),
                    replace_key: false,
                },
                &tester(),
            )
            .await
    };
    assert!(admit(inside, &[other]).await.is_err());
    assert!(admit(metadata, &[host("169.254.169.254")]).await.is_err());
    assert!(!dials(inside));
    admit(inside, &[host("10.1.2.3"), other]).await.unwrap();
    assert!(dials(inside) && !dials("/ip4/10.1.2.4/tcp/22") && !dials(metadata));
    // Another port of that host is not dialed, nor is it for a member that states it too.
    assert!(!dials("/ip4/10.1.2.3/tcp/23"));
    let other = world.attacker.institution.clone();
    let stated = inside.parse().unwrap();
    assert!(world.provider.node.network().dialing().check(&stated, &other).is_err());
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_allowed_for_a_member_are_recorded_and_end_with_it() {
    let world = World::new().await;
    let provider = &world.provider;
    let member = &world.member;
    let inside = "/ip4/10.1.2.3/tcp/22";
    let dials = |target: &InProcessNode| {
        let address = inside.parse().unwrap();
        let zagreb = "zagreb".parse().unwrap();
        target.node.network().dialing().check(&address, &zagreb).is_ok()
    };
    let application = MaliciousPeer::start("zagreb", 44).enrolment_at(&[NOWHERE, inside]);
    // An institution that cannot admit members cannot allow hosts either: that is checked first.
    let by = tester();
    let not_coordinator = member.node.membership();
    let admission = Admission {
        allow_hosts: vec![IpAddr::from([10, 1, 2, 3])],
        ..Admission::default()
    };
    let refused = not_coordinator.admit_with(application.as_bytes(), &admission, &by);
    assert!(matches!(refused.await.unwrap_err(), MembershipError::NotCoordinator));
    assert!(!dials(member) && allowed(member).is_empty());

    let membership = provider.node.membership();
    // An applicant that cannot be admitted gets no hosts either, and there is no entry that claims it.
    let taken = MaliciousPeer::start(member.id().as_str(), 45).enrolment_at(&[inside]);
    let refused = membership.admit_with(taken.as_bytes(), &admission, &by).await;
    assert!(matches!(refused.unwrap_err(), MembershipError::Change(_)));
    assert!(!dials(provider) && allowed(provider).is_empty());

    membership
        .admit_with(application.as_bytes(), &admission, &tester())
        .await
        .unwrap();
    assert!(dials(provider));
    let entries = allowed(provider);
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].1, ["10.1.2.3:22"]);
    assert_eq!(&entries[0].0, tester().cause());
    // Removing another member does not end the permission; removing this one does.
    membership.remove(member.id(), &tester()).await.unwrap();
    assert!(dials(provider));
    membership.remove(&"zagreb".parse().unwrap(), &tester()).await.unwrap();
    assert!(!dials(provider), "the host of a removed member is dialed");
}

/// Who allowed which hosts, according to the ledger.
fn allowed(target: &InProcessNode) -> Vec<(Cause, Vec<String>)> {
    let entries = target.node.ledger().range(0, u64::MAX).unwrap().into_iter();
    let allowed = entries.filter_map(|stored| {
        let EntryBody::HostsAllowed { hosts, .. } = stored.entry.body else {
            return None;
        };
        Some((stored.entry.cause, hosts.iter().map(ToString::to_string).collect()))
    });
    allowed.collect()
}

fn everywhere(n: u16) -> Ipv4Addr {
    let [high, low] = n.to_be_bytes();
    [127, 10 + high, low, 1].into()
}

/// What a socket does once it is connected.
#[derive(Clone, Copy)]
enum Manner {
    /// Sends nothing.
    Silent,
    /// Sends one byte per second.
    Drip,
    /// Sends a valid first line, and then nothing.
    FirstLine,
}

/// Holds sockets from all of `sources` open and reopens them when they are closed; meanwhile a member connects and is answered.
async fn assert_withstands(sources: impl Fn(u16) -> Ipv4Addr, manner: Manner) {
    let world = World::new().await;
    let to = socket(&world.provider);
    let mut attack = JoinSet::new();
    for from in (0..SOCKETS).map(sources) {
        attack.spawn(async move {
            loop {
                if let Ok(socket) = connect(from, to).await {
                    run_manner(socket, manner).await;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    late_member(&world.provider).await;
    world.attacker.meet(&world.provider).await;
    world.assert_still_serving().await;
    attack.shutdown().await;
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

/// Runs until the other side closes the socket.
async fn run_manner(mut socket: TcpStream, manner: Manner) {
    let bytes = match manner {
        Manner::Silent => &[],
        Manner::Drip | Manner::FirstLine => MULTISTREAM_HEADER,
    };
    for byte in bytes {
        if socket.write_all(&[*byte]).await.is_err() {
            return;
        }
        if matches!(manner, Manner::Drip) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    let mut rest = Vec::new();
    // Any end is fine.
    let _ = socket.read_to_end(&mut rest).await;
}

/// Admits a new member, which connects on the first try and is authenticated.
async fn late_member(target: &InProcessNode) {
    let late = MaliciousPeer::start("zagreb", 44);
    let membership = target.node.membership();
    membership.admit(late.enrollment().as_bytes(), &tester()).await.unwrap();
    late.meet(target).await;
}

fn socket(target: &InProcessNode) -> SocketAddr {
    let address = target.node.network().listen_addrs().remove(0);
    let mut parts = address.iter();
    let (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) = (parts.next(), parts.next()) else {
        panic!("{address}")
    };
    (ip, port).into()
}

/// The counts of refused hellos of this peer in the ledger.
fn refusals(target: &InProcessNode, attacker: &MaliciousPeer) -> Vec<u32> {
    let entries = target.node.ledger().range(0, target.node.ledger().size()).unwrap();
    let count = |body: &EntryBody| {
        let EntryBody::PeerRefused { node, count, .. } = body else {
            return None;
        };
        (*node == attacker.id()).then_some(*count)
    };
    entries.iter().filter_map(|stored| count(&stored.entry.body)).collect()
}
