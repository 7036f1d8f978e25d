//! Records of addresses: what a member can make others believe, keep and dial.

use std::time::Duration;

use concordat_protocol::identity::{NodeKey, PrivateKey};
use concordat_protocol::ids::NodeId;
use concordat_protocol::membership::AddressRecord;
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Address;
use concordat_protocol::wire::messages::AddressesFrame;
use concordat_protocol::wire::streams::ADDRESSES;

use super::malicious_peer::{MaliciousPeer, NOWHERE, now, sign, soon};
use super::well_behaved::{InProcessNode, World};

/// How often it is checked whether something has happened.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

fn record(node: NodeId, number: u64) -> AddressRecord {
    AddressRecord {
        node,
        number,
        addresses: vec![Address::new(NOWHERE).unwrap()],
        at: now(),
    }
}

async fn send(attacker: &MaliciousPeer, target: &InProcessNode, records: Vec<Signed<AddressRecord>>) -> AddressesFrame {
    let frame = AddressesFrame {
        records,
        complete: false,
    };
    attacker.request(target, ADDRESSES, &frame).await.unwrap()
}

/// The records that `target` has, as it passes them on.
async fn known(attacker: &MaliciousPeer, target: &InProcessNode) -> Vec<Signed<AddressRecord>> {
    let all = AddressesFrame {
        records: Vec::new(),
        complete: true,
    };
    let reply: AddressesFrame = attacker.request(target, ADDRESSES, &all).await.unwrap();
    reply.records
}

async fn numbers(attacker: &MaliciousPeer, target: &InProcessNode) -> Vec<(NodeId, u64)> {
    let records = known(attacker, target).await;
    let read = |signed: &Signed<AddressRecord>| signed.peek_unverified().unwrap();
    records
        .iter()
        .map(read)
        .map(|record| (record.node, record.number))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn address_record_of_another_or_older_is_ignored() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let member = world.member.node.identity().node();
    let non_member = NodeKey::from_seed(&[77; 32].into());
    let own = record(attacker.id(), 5);
    let empty = AddressRecord {
        addresses: Vec::new(),
        ..record(attacker.id(), 6)
    };
    let future = AddressRecord {
        at: now().plus_seconds(3600),
        ..record(attacker.id(), 6)
    };
    let forged = [
        sign(&record(member, 9), &attacker.node),
        sign(&record(provider.node.identity().node(), 9), &attacker.node),
        sign(&record(non_member.public(), 9), &non_member),
        sign(&empty, &attacker.node),
        sign(&future, &attacker.node),
        Signed::from_bytes(vec![0xa0]).unwrap(),
        sign(&own, &attacker.node),
    ];
    send(attacker, provider, forged.to_vec()).await;
    assert_eq!(numbers(attacker, provider).await, [(attacker.id(), 5)]);
    // An older one is answered with the newer one, and changes nothing.
    let reply = send(
        attacker,
        provider,
        vec![sign(&record(attacker.id(), 4), &attacker.node)],
    )
    .await;
    assert_eq!(reply.records, [sign(&own, &attacker.node)]);
    assert_eq!(numbers(attacker, provider).await, [(attacker.id(), 5)]);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn address_records_are_passed_on_unchanged_and_bounded() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let member = &world.member;
    // The member learns it from the provider alone.
    world.assert_still_serving().await;
    let signed = sign(&record(attacker.id(), 1), &attacker.node);
    send(attacker, provider, vec![signed.clone()]).await;
    attacker.meet(member).await;
    let arrived = async {
        while known(attacker, member).await != [signed.clone()] {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    soon(arrived).await;
    for number in 2..=30 {
        send(
            attacker,
            provider,
            vec![sign(&record(attacker.id(), number), &attacker.node)],
        )
        .await;
    }
    assert_eq!(
        numbers(attacker, provider).await,
        [(attacker.id(), 8)],
        "eight new ones a minute"
    );
    world.assert_still_serving().await;
}
