//! Messages from peers: no body makes the codec panic, and a message that was decoded can be encoded and decoded again unchanged.
//!
//! The first byte chooses the type of message, the rest is the body.

#![no_main]

mod bounded;

use concordat_protocol::wire::{
    codec::{Frame, HEADER_LEN, decode, encode, frame_len},
    messages::{
        AddressesFrame, CatalogReply, CatalogRequest, Countersignature, EstimateReply, EstimateRequest,
        GrantColumnsReply, GrantColumnsRequest, GrantHeadsFrame, GrantHeadsReply, Hello, HelloClosing, HelloReply,
        NegotiationFrame, NoticeFrame, NoticeReply, ProbeReply, ProbeRequest, QueryClosing, QueryFrame, QueryOpening,
        Reply, RosterMessage, RulesFrame,
    },
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else {
        return;
    };
    let checks = [
        check::<Hello>,
        check::<RosterMessage>,
        check::<CatalogRequest>,
        check::<CatalogReply>,
        check::<NegotiationFrame>,
        check::<Reply>,
        check::<QueryFrame>,
        check::<QueryOpening>,
        check::<QueryClosing>,
        check::<Countersignature>,
        check::<NoticeFrame>,
        check::<NoticeReply>,
        check::<GrantHeadsFrame>,
        check::<GrantHeadsReply>,
        check::<GrantColumnsRequest>,
        check::<GrantColumnsReply>,
        check::<HelloReply>,
        check::<HelloClosing>,
        check::<AddressesFrame>,
        check::<RulesFrame>,
        check::<ProbeRequest>,
        check::<ProbeReply>,
        check::<EstimateRequest>,
        check::<EstimateReply>,
    ];
    checks[usize::from(*choice) % checks.len()](body);
});

fn check<F: Frame>(body: &[u8]) {
    if let Some(header) = body.first_chunk::<HEADER_LEN>() {
        let _ = frame_len::<F>(*header);
    }
    let Ok(message) = decode::<F>(body) else {
        return;
    };
    // A body may be longer than necessary; its message then encodes to a shorter frame.
    let frame = encode(&message).expect("what was read can be written");
    let again = decode::<F>(&frame[HEADER_LEN..]).expect("what was written can be read");
    assert_eq!(encode(&again).expect("it is the same message"), frame);
}
