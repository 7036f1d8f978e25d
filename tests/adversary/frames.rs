//! Bytes that are not messages.

use concordat_protocol::wire::codec;
use concordat_protocol::wire::messages::RosterMessage;
use concordat_protocol::wire::streams::{ALL, CATALOG, ESTIMATE, HELLO, ROSTER, StreamName};

use super::well_behaved::World;

/// Every protocol between nodes; hello last, because a peer that fails at it loses its connection.
fn protocols() -> impl Iterator<Item = StreamName> {
    let after_hello = ALL.into_iter().filter(|protocol| *protocol != HELLO);
    after_hello.chain([HELLO])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_gibibytes_are_refused_at_the_length() {
    assert_refused_everywhere(&[0xff; 4]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_not_cbor_are_refused() {
    assert_refused_everywhere(&framed(b"GET / HTTP/1.1\r\nHost: cleveland\r\n\r\n")).await;
    assert_refused_everywhere(&framed(&[])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nesting_that_would_exhaust_the_stack_is_refused() {
    assert_refused_everywhere(&framed(&[vec![0x81; 60_000], vec![0x80]].concat())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_longer_than_its_frame_is_refused() {
    // An array of 2^64 - 1 elements, none of which follows.
    assert_refused_everywhere(&framed(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])).await;
    // A byte string of 2^63 bytes in place of a signed document.
    assert_refused_everywhere(&framed(b"\xa1\x67message\x5b\x80\x00\x00\x00\x00\x00\x00\x00")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_with_extra_bytes_or_an_unknown_field_is_refused() {
    let world = World::connected().await;
    let ask = codec::encode(&RosterMessage::Request)
        .unwrap()
        .split_off(codec::HEADER_LEN);
    // {"ask": null, "extra": true}
    let more = b"\xa2\x67request\xf6\x65extra\xf5".to_vec();
    for body in [
        [&ask[..], &[0]].concat(),
        [&ask[..], &ask[..]].concat(),
        more,
        b"\x65extra".to_vec(),
    ] {
        let mut stream = world.attacker.open(&world.provider, ROSTER).await.unwrap();
        stream.body(&body).await.unwrap();
        assert!(stream.is_dropped().await, "{body:x?} was answered");
    }
    let mut stream = world.attacker.open(&world.provider, ROSTER).await.unwrap();
    stream.body(&ask).await.unwrap();
    assert!(matches!(stream.recv().await.unwrap(), RosterMessage::Announce(_)));
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_stop_in_the_middle_delay_no_one() {
    let world = World::connected().await;
    let mut stalled = Vec::new();
    let starts: [&[u8]; 3] = [&[0], &[0, 0, 1, 0], &[0, 0, 1, 0, 0xa1]];
    let all = starts
        .into_iter()
        .flat_map(|started| protocols().map(move |protocol| (protocol, started)));
    // A peer has 32 streams, and some of them have to be left for what follows.
    for (protocol, started) in all.take(30) {
        let opened = world.attacker.open(&world.provider, protocol).await;
        if let Ok(mut stream) = opened {
            let sent = stream.raw(started).await;
            // Catalogs and estimates are not served to a peer that has many streams open already.
            let has_half = [CATALOG, ESTIMATE].contains(&protocol);
            assert!(sent.is_ok() || has_half, "{protocol} refused a stream");
            stalled.push(stream);
        }
    }
    assert!(stalled.len() >= 12);
    world.assert_still_serving().await;
    let known = world
        .attacker
        .request::<RosterMessage>(&world.provider, ROSTER, &RosterMessage::Request)
        .await;
    assert!(
        matches!(known.unwrap(), RosterMessage::Announce(_)),
        "other streams of the same peer continue"
    );
}

/// Sends `bytes` where a first frame is expected and asserts that the stream is dropped, for every protocol.
async fn assert_refused_everywhere(bytes: &[u8]) {
    let world = World::connected().await;
    for protocol in protocols() {
        let opened = world.attacker.open(&world.provider, protocol).await;
        let mut stream = opened.unwrap();
        // A peer that fails at hello may lose the connection before it has sent everything.
        let dropped = stream.raw(bytes).await.is_err() || stream.is_dropped().await;
        assert!(dropped, "{protocol} answered {bytes:x?}");
    }
    world.assert_still_serving().await;
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}
