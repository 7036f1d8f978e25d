//! Before a connection is known: sockets that say nothing, handshakes that do not end, members that do not introduce themselves.
//!
//! Any address of 127.0.0.0/8 can be connected from, so one machine stands for as many hosts and blocks as a test needs. In
//! each test an honest member connects and is answered while the attack goes on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use concordat_node::membership::{Admission, MembershipError};
use concordat_node::network::hello::HELLO;
use concordat_protocol::audit::{Cause, EntryBody};
use concordat_protocol::wire::messages::HelloReply;
use concordat_tests::tester;
use libp2p::multiaddr::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::honest::{House, World};
use super::rogue::{NOWHERE, Rogue};

/// More than there is room for from anywhere.
const SOCKETS: u16 = 400;
/// The first line of multistream-select, by which every TCP connection begins.
const GREETING: &[u8] = b"\x13/multistream/1.0.0\n\x07/noise\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_sockets_of_one_host_keep_nobody_out() {
    withstands(|_| Ipv4Addr::LOCALHOST, Manner::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_sockets_of_one_block_keep_nobody_out() {
    withstands(|n| [127, 0, 7, n.to_be_bytes()[1]].into(), Manner::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_sockets_from_everywhere_keep_nobody_out() {
    withstands(everywhere, Manner::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_of_a_byte_a_second_keep_nobody_out() {
    withstands(everywhere, Manner::Drip).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_stop_after_the_first_line_keep_nobody_out() {
    withstands(everywhere, Manner::Greeting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_says_no_hello_is_cut_off_and_others_are_served() {
    let world = World::new().await;
    for _ in 0..20 {
        // The gate takes a few of them; what counts is what becomes of those.
        let _ = world.rogue.dial(&world.provider).await;
    }
    late_member(&world.provider).await;
    world.still_stands().await;
    world.rogue.until_alone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_hellos_in_a_loop_are_entered_in_bounded_number() {
    let world = World::new().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let before = refusals(provider, rogue).len();
    for _ in 0..30 {
        if rogue.dial(provider).await.is_ok() {
            let lie = rogue.hello(provider, |_| (), |statement| statement.to = rogue.id());
            assert!(rogue.ask::<HelloReply>(provider, HELLO, &lie).await.is_err());
        }
        rogue.until_alone().await;
    }
    assert_eq!(
        refusals(provider, rogue)[before..],
        [1],
        "the rest comes when the minute is over"
    );
    late_member(provider).await;
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_of_an_applicant_are_dialed_only_after_a_yes() {
    let world = World::new().await;
    let membership = world.provider.node.membership();
    let dials = |text: &str| {
        let address = text.parse().unwrap();
        world.provider.node.network().dialing().check(&address).is_ok()
    };
    let applies = |address: &str| {
        let applicant = Rogue::start("zagreb", 44);
        applicant.enrolment_at(&[NOWHERE, address])
    };
    let (inside, metadata) = ("/ip4/10.1.2.3/tcp/22", "/ip4/169.254.169.254/tcp/80");
    let before = world.provider.roster();
    for address in [
        inside,
        metadata,
        "/ip4/0.0.0.0/tcp/22",
        "/ip6/::ffff:10.1.2.3/tcp/22",
        "/unix/run.sock",
    ] {
        let refused = membership
            .admit(applies(address).as_bytes(), &tester())
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(address), "{refused}");
        assert_eq!(world.provider.roster(), before, "{address}");
    }
    // A yes to another host is none to this one, and none helps what is never dialed.
    let other: IpAddr = [10, 1, 2, 4].into();
    let yes = |ip: &str| ip.parse::<IpAddr>().unwrap();
    let admit = async |address: &str, hosts: &[IpAddr]| {
        let application = applies(address);
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
    assert!(admit(metadata, &[yes("169.254.169.254")]).await.is_err());
    assert!(!dials(inside));
    admit(inside, &[yes("10.1.2.3"), other]).await.unwrap();
    assert!(dials(inside) && !dials("/ip4/10.1.2.4/tcp/22") && !dials(metadata));
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_allowed_for_a_member_are_entered_and_end_with_it() {
    let world = World::new().await;
    let (provider, friend) = (&world.provider, &world.friend);
    let inside = "/ip4/10.1.2.3/tcp/22";
    let dials = |house: &House| {
        let address = inside.parse().unwrap();
        house.node.network().dialing().check(&address).is_ok()
    };
    let application = Rogue::start("zagreb", 44).enrolment_at(&[NOWHERE, inside]);
    // Whoever cannot admit anybody allows nothing either: that comes first.
    let (by, member) = (tester(), friend.node.membership());
    let admission = Admission {
        allow_hosts: vec![IpAddr::from([10, 1, 2, 3])],
        ..Admission::default()
    };
    let refused = member.admit_with(application.as_bytes(), &admission, &by);
    assert!(matches!(refused.await.unwrap_err(), MembershipError::NotCoordinator));
    assert!(!dials(friend) && allowed(friend).is_empty());

    let membership = provider.node.membership();
    membership
        .admit_with(application.as_bytes(), &admission, &tester())
        .await
        .unwrap();
    assert!(dials(provider));
    let entries = allowed(provider);
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].1, ["10.1.2.3"]);
    assert_eq!(&entries[0].0, tester().cause());
    // The removal of another member does not end it, that of this one does.
    membership.remove(friend.id(), &tester()).await.unwrap();
    assert!(dials(provider));
    membership.remove(&"zagreb".parse().unwrap(), &tester()).await.unwrap();
    assert!(!dials(provider), "the host of a removed member is dialed");
}

/// Who allowed which hosts, as the ledger tells it.
fn allowed(house: &House) -> Vec<(Cause, Vec<String>)> {
    let entries = house.node.ledger().range(0, u64::MAX).unwrap().into_iter();
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
    /// Nothing.
    Silent,
    /// A byte a second.
    Drip,
    /// A good beginning, and then nothing.
    Greeting,
}

/// While sockets from all of `sources` are held open and come back when they are closed, a member connects and is answered.
async fn withstands(sources: impl Fn(u16) -> Ipv4Addr, manner: Manner) {
    let world = World::new().await;
    let to = socket(&world.provider);
    let mut attack = JoinSet::new();
    for from in (0..SOCKETS).map(sources) {
        attack.spawn(async move {
            loop {
                if let Ok(socket) = connect(from, to).await {
                    behave(socket, manner).await;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    late_member(&world.provider).await;
    world.rogue.meet(&world.provider).await;
    world.still_stands().await;
    attack.shutdown().await;
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

/// Until the other side closes.
async fn behave(mut socket: TcpStream, manner: Manner) {
    let bytes = match manner {
        Manner::Silent => &[],
        Manner::Drip | Manner::Greeting => GREETING,
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
    // However it ends, it ends.
    let _ = socket.read_to_end(&mut rest).await;
}

/// A member that is admitted only now connects at the first try and is believed.
async fn late_member(house: &House) {
    let late = Rogue::start("zagreb", 44);
    let membership = house.node.membership();
    membership.admit(late.enrolment().as_bytes(), &tester()).await.unwrap();
    late.meet(house).await;
}

fn socket(house: &House) -> SocketAddr {
    let address = house.node.network().listen_addrs().remove(0);
    let mut parts = address.iter();
    let (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) = (parts.next(), parts.next()) else {
        panic!("{address}")
    };
    (ip, port).into()
}

/// The counts of what the ledger tells of refused introductions of this peer.
fn refusals(house: &House, rogue: &Rogue) -> Vec<u32> {
    let entries = house.node.ledger().range(0, house.node.ledger().size()).unwrap();
    let count = |body: &EntryBody| {
        let EntryBody::PeerRefused { node, count, .. } = body else {
            return None;
        };
        (*node == rogue.id()).then_some(*count)
    };
    entries.iter().filter_map(|stored| count(&stored.entry.body)).collect()
}
