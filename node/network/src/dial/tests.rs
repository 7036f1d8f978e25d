use concordat_protocol::identity::{NodeKey, PrivateKey as _};

use super::*;
use crate::members::peer_id;

/// Addresses of each kind that has to be distinguished, at both ends of its range.
const KINDS: [(Kind, &[&str]); 5] = [
    (
        Kind::Public,
        &[
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "223.255.255.255",
            "2000::1",
            "2600::1",
            "2001:200::1",
            "2001:db7::1",
            "2003::1",
            "3ffe::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ],
    ),
    (
        Kind::Loopback,
        &[
            "127.0.0.1",
            "127.255.255.255",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
        ],
    ),
    (
        Kind::Private,
        &[
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.0",
            "192.168.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "fc00::",
            "fdff:ffff::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
        ],
    ),
    (
        Kind::LinkLocal,
        &[
            "169.254.0.1",
            "169.254.255.255",
            "fe80::1",
            "febf::1",
            "::ffff:169.254.1.1",
        ],
    ),
    (
        Kind::Never,
        &[
            "0.0.0.0",
            "0.255.255.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.9",
            "198.18.0.1",
            "198.19.255.255",
            "192.88.99.1",
            "192.0.0.192",
            "169.254.169.254",
            "169.254.169.250",
            "169.254.170.2",
            "169.254.170.23",
            "169.254.0.23",
            "169.254.42.42",
            "168.63.129.16",
            "100.100.100.200",
            "100.96.0.96",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::6460:0060",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:a9fe:a9fe::1",
            "fd00:42::42",
            "fe80::a9fe:a9fe",
            "::",
            "::127.0.0.1",
            "ff02::1",
            "fec0::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "64:ff9b:1::1",
            "100::1",
            "5f00::1",
            "4000::1",
        ],
    ),
];

fn each(text: &str) -> [Multiaddr; 4] {
    let ip = if text.contains(':') { "ip6" } else { "ip4" };
    let peer = "12D3KooWGzh3BNyAVVqqpxJ4tcGnEo5YK9UWYKpJ7cPmnyGiKbCW";
    ["tcp/7400", "udp/7400/quic-v1"]
        .map(|rest| {
            [
                format!("/{ip}/{text}/{rest}"),
                format!("/{ip}/{text}/{rest}/p2p/{peer}"),
            ]
        })
        .concat()
        .iter()
        .map(|address| address.parse().unwrap())
        .collect::<Vec<Multiaddr>>()
        .try_into()
        .unwrap()
}

#[test]
fn every_kind_of_address_needs_its_own_range() {
    let ranges = [
        (Kind::Public, DialRange::Public),
        (Kind::Loopback, DialRange::Loopback),
        (Kind::Private, DialRange::Private),
        (Kind::LinkLocal, DialRange::LinkLocal),
    ];
    for (allowed, range) in ranges {
        let dialing = Dialing::new(vec![range]);
        for (kind, addresses) in KINDS {
            for address in addresses.iter().flat_map(|text| each(text)) {
                assert_eq!(
                    dialing.check(&address, &member()).is_ok(),
                    kind == allowed,
                    "{address} with `{range}`"
                );
            }
        }
    }
}

#[test]
fn without_a_setting_only_public_addresses_are_dialed() {
    let dialing = Dialing::new(Dialing::default_ranges());
    for (kind, addresses) in KINDS {
        for address in addresses.iter().flat_map(|text| each(text)) {
            assert_eq!(
                dialing.check(&address, &member()).is_ok(),
                kind == Kind::Public,
                "{address}"
            );
        }
    }
    let none = Dialing::new(Vec::new());
    assert!(
        none.check(&"/ip4/1.1.1.1/tcp/7400".parse().unwrap(), &member())
            .is_err()
    );
}

#[test]
fn dial_block_or_allowed_host_allows_only_itself() {
    let dialing = Dialing::new(
        ["10.20.0.0/16", "fd12::/16", "0.0.0.0/0", "::/0"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
    );
    for (kind, addresses) in KINDS {
        for address in addresses.iter().flat_map(|text| each(text)) {
            assert_eq!(
                dialing.check(&address, &member()).is_ok(),
                kind != Kind::Never,
                "{address}"
            );
        }
    }
    let dialing = Dialing::new(vec!["10.20.0.0/16".parse().unwrap()]);
    dialing.allow_only(["192.168.3.4:7400", "169.254.169.254:7400"].map(|socket| allowed("budapest", socket)));
    for (text, dialed) in [
        ("10.20.255.1", true),
        ("10.21.0.1", false),
        ("::ffff:10.20.0.1", true),
        ("192.168.3.4", true),
        ("192.168.3.5", false),
        ("169.254.169.254", false),
        ("1.1.1.1", false),
    ] {
        assert!(
            each(text)
                .iter()
                .all(|address| dialing.check(address, &member()).is_ok() == dialed),
            "{text}"
        );
    }
}

/// An allowed host is for one institution and one port, also at the moment of dialing, when only the peer is known.
#[test]
fn dial_allowed_host_is_bound_to_institution_and_port() {
    let dialing = Dialing::new(Vec::new());
    let peers = [1, 2].map(|seed| NodeKey::from_seed(&[seed; 32].into()).public());
    let listed = |node, institution: &str| (node, institution.parse().unwrap(), Vec::new());
    let members = [listed(peers[0], "budapest"), listed(peers[1], "zurich")];
    dialing.set_members(Arc::new(members.into_iter().collect()));
    dialing.allow_only(["10.1.2.3:22", "[fd12::1]:22"].map(|socket| allowed("budapest", socket)));
    for (institution, node) in [("budapest", peers[0]), ("zurich", peers[1])] {
        for (address, is_allowed) in [
            ("/ip4/10.1.2.3/tcp/22", true),
            ("/ip4/10.1.2.3/udp/22/quic-v1", true),
            ("/ip6/fd12::1/tcp/22", true),
            ("/ip4/10.1.2.3/tcp/23", false),
            ("/ip4/10.1.2.4/tcp/22", false),
            ("/ip6/fd12::1/udp/23/quic-v1", false),
        ] {
            let stated: Multiaddr = address.parse().unwrap();
            let expected = is_allowed && institution == "budapest";
            let checked = dialing.check(&stated, &institution.parse().unwrap());
            assert_eq!(checked.is_ok(), expected, "{institution} at {address}");
            assert!(dialing.check_dial(&stated).is_err(), "{address} without a peer");
            let dialed = stated.with_p2p(peer_id(&node).unwrap()).unwrap();
            assert_eq!(
                dialing.check_dial(&dialed).is_ok(),
                expected,
                "{institution} at {dialed}"
            );
        }
    }
    dialing.set_members(Arc::default());
    let dialed = "/ip4/10.1.2.3/tcp/22".parse::<Multiaddr>().unwrap();
    let dialed = dialed.with_p2p(peer_id(&peers[0]).unwrap()).unwrap();
    assert!(dialing.check_dial(&dialed).is_err(), "a node that is not a member");
}

fn member() -> InstitutionId {
    "budapest".parse().unwrap()
}

fn allowed(institution: &str, socket: &str) -> AllowedHost {
    AllowedHost {
        institution: institution.parse().unwrap(),
        socket: socket.parse().unwrap(),
    }
}

#[test]
fn unknown_forms_are_not_dialed() {
    let everything = ["public", "private", "loopback", "link-local", "0.0.0.0/0", "::/0"];
    let dialing = Dialing::new(everything.map(|text| text.parse().unwrap()).to_vec());
    let peer = "12D3KooWGzh3BNyAVVqqpxJ4tcGnEo5YK9UWYKpJ7cPmnyGiKbCW";
    for address in [
        "/ip4/1.1.1.1".to_owned(),
        "/ip4/1.1.1.1/udp/7400".to_owned(),
        "/ip4/1.1.1.1/udp/7400/quic".to_owned(),
        "/ip4/1.1.1.1/tcp/80/ws".to_owned(),
        "/ip4/1.1.1.1/tcp/80/http".to_owned(),
        "/ip4/1.1.1.1/tcp/80/tls/ws".to_owned(),
        "/ip4/1.1.1.1/tcp/80/ip4/10.0.0.1/tcp/22".to_owned(),
        "/unix/run.sock".to_owned(),
        "/memory/1".to_owned(),
        "/dnsaddr/node.example".to_owned(),
        "/ip6zone/eth0/ip6/fe80::1/tcp/7400".to_owned(),
        format!("/ip4/1.1.1.1/tcp/7400/p2p/{peer}/p2p-circuit"),
        format!("/ip4/1.1.1.1/tcp/7400/p2p/{peer}/p2p-circuit/p2p/{peer}"),
        format!("/p2p/{peer}"),
    ] {
        let parsed: Multiaddr = address.parse().unwrap();
        assert_eq!(dialing.check(&parsed, &member()), Err(DialRefused::Form), "{address}");
    }
    let named = "/dns4/node.example/tcp/7400".parse().unwrap();
    assert_eq!(dialing.check(&named, &member()), Err(DialRefused::Name));
}

#[test]
fn ranges_are_read_as_they_are_written() {
    for text in [
        "public",
        "private",
        "loopback",
        "link-local",
        "10.20.0.0/16",
        "fd12::/16",
        "0.0.0.0/0",
    ] {
        assert_eq!(text.parse::<DialRange>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "Public",
        "10.20.0.1/16",
        "10.0.0.0/33",
        "10.0.0.0",
        "fd12::1/16",
        "::ffff:10.0.0.0/104",
        "any",
    ] {
        assert_eq!(text.parse::<DialRange>(), Err(InvalidDialRange), "{text}");
    }
}
