//! Complete negotiations; the single rules are tested in `rules` and `applied`, random networks in `model`.

mod applied;
mod model;
mod order;
mod rules;

use std::collections::BTreeSet;

use super::*;
use crate::grant::testing::{T0, institution, institution_key, narrow, node, side, wide};
use crate::grant::{GrantError, GrantTerms, Party};
use crate::identity::{NodeKey, PrivateKey};
use crate::ids::{Digest32, NegotiationId, NodeId};
use crate::scope::{Difference, Scope};
use crate::signed::{CoSigned, SignatureError, Signed};
use crate::text::{Reason, Text};

#[test]
fn a_request_is_narrowed_accepted_signed_and_confirmed() {
    let (consumer, provider) = finalized();
    let grant = consumer.grant().unwrap();
    assert_eq!(grant, provider.grant().unwrap());
    assert_eq!(grant.terms().scope, narrow());
    assert_eq!(grant.terms().policy, POLICY);
    assert_eq!(consumer.transcript(), provider.transcript());
    assert_eq!(consumer.transcript().messages().len(), 6);
}

#[test]
fn an_unnarrowed_request_is_agreed_at_once() {
    let (consumer, provider) = requested();
    let (provider, consumer) = exchange(provider.agree(POLICY, &institution_key(1), &node(1), T0), &consumer);
    let (consumer, provider) = exchange(consumer.verify_agreement(&institution_key(2), &node(2), T0), &provider);
    let (provider, consumer) = exchange(provider.finalize(&node(1), T0), &consumer);
    assert_eq!(provider.grant().unwrap().terms().scope, wide());
    assert_eq!(provider.transcript(), consumer.transcript());
}

#[test]
fn a_consumer_can_ask_for_something_else() {
    let (consumer, provider) = offered();
    let (consumer, provider) = exchange(consumer.counter(narrow(), why(), &node(2), T0), &provider);
    assert_eq!(
        (consumer.state_name(), provider.state_name()),
        (StateName::Requested, StateName::Requested)
    );
    let (provider, _) = exchange(provider.agree(POLICY, &institution_key(1), &node(1), T0), &consumer);
    assert!(matches!(provider.state(), State::Agreed(state) if state.terms.scope == narrow()));
}

#[test]
fn every_narrowing_has_its_reason() {
    let (consumer, _) = offered();
    let State::Offered(state) = consumer.state() else {
        panic!("{:?}", consumer.state_name())
    };
    let narrowings: Vec<_> = state
        .narrowings
        .iter()
        .map(|n| (n.difference.offered.as_str(), n.reason.as_str()))
        .collect();
    assert_eq!(narrowings, [("age generalized to bands of 10 years", "it is columns")]);
}

#[test]
fn a_stored_negotiation_is_read_back_from_its_messages() {
    let (consumer, provider) = finalized();
    let mut bytes = Vec::new();
    ciborium::into_writer(&consumer.stored(), &mut bytes).unwrap();
    let stored: StoredNegotiation = ciborium::from_reader(bytes.as_slice()).unwrap();
    assert_eq!(ConsumerNegotiation::restore(stored.clone()).unwrap(), consumer);
    assert_eq!(ProviderNegotiation::restore(provider.stored()).unwrap(), provider);
    let other_side = ProviderNegotiation::restore(stored).unwrap_err();
    assert_eq!(other_side, NegotiationError::OtherRole { role: Party::Consumer });
}

#[test]
fn a_stored_negotiation_shows_any_change() {
    let whole = finalized().0.stored();
    let damaged = |change: &dyn Fn(&mut Vec<Signed<NegotiationMessage>>)| {
        let mut stored = whole.clone();
        change(&mut stored.messages);
        ConsumerNegotiation::restore(stored).map(|_| ())
    };
    let at = |sequence| move |error: NegotiationError| matches!(error, NegotiationError::Stored { sequence: s, .. } if s == sequence);
    assert!(at(2)(damaged(&|messages| drop(messages.remove(1))).unwrap_err()));
    assert!(at(3)(damaged(&|messages| messages.swap(2, 3)).unwrap_err()));
    assert!(at(1)(damaged(&|messages| drop(messages.remove(0))).unwrap_err()));
    assert!(at(0)(damaged(&Vec::clear).unwrap_err()));
    assert!(at(4)(
        damaged(&|messages| messages[3] = flipped(&messages[3], 200)).unwrap_err()
    ));
}

/// Digest of the provider's policy set.
const POLICY: Digest32 = Digest32::from_bytes([5; 32]);

fn parties() -> Parties {
    Parties::new(side("budapest", 1), side("zurich", 2)).unwrap()
}

fn owner(node_id: &NodeId) -> Option<Side> {
    [(1, "budapest"), (2, "zurich"), (3, "geneva")]
        .into_iter()
        .find(|(seed, _)| node(*seed).public() == *node_id)
        .map(|(seed, name)| side(name, seed))
}

fn id() -> NegotiationId {
    NegotiationId::from_bytes([7; 16])
}

fn why() -> Justification {
    Justification::sanitized("mortality after infarction")
}

fn explain(difference: &Difference) -> (Reason, Option<RuleName>) {
    (
        Reason::sanitized(&format!("it is {}", difference.part)),
        Some(RuleName::sanitized("quasi-identifier")),
    )
}

fn authentic(message: &Signed<NegotiationMessage>) -> Authentic {
    Authentic::check(message.clone(), owner).unwrap()
}

fn flipped(message: &Signed<NegotiationMessage>, at: usize) -> Signed<NegotiationMessage> {
    let mut bytes = message.as_bytes().to_vec();
    let at = at % bytes.len();
    bytes[at] ^= 1;
    Signed::from_bytes(bytes).unwrap()
}

/// Delivers what one side sent to the other; returns both in their new state, the sender first.
fn exchange<A: Role, B: Role>(
    sent: Result<Sent<A>, NegotiationError>,
    to: &Negotiation<B>,
) -> (Negotiation<A>, Negotiation<B>) {
    let sent = sent.unwrap();
    match to.receive(authentic(&sent.message), T0).unwrap() {
        Received::Advanced(next) => (sent.next, next),
        Received::Duplicate { .. } => panic!("a new message was mistaken for an old one"),
    }
}

fn begin(scope: Scope) -> Result<Sent<AsConsumer>, NegotiationError> {
    ConsumerNegotiation::request(id(), &parties(), scope, why(), &node(2), T0)
}

fn requested() -> (ConsumerNegotiation, ProviderNegotiation) {
    let sent = begin(wide()).unwrap();
    let provider = ProviderNegotiation::open(authentic(&sent.message), &parties(), T0).unwrap();
    (sent.next, provider)
}

fn offered() -> (ConsumerNegotiation, ProviderNegotiation) {
    let (consumer, provider) = requested();
    let (provider, consumer) = exchange(provider.offer(narrow(), explain, &node(1), T0), &consumer);
    (consumer, provider)
}

fn accepted() -> (ConsumerNegotiation, ProviderNegotiation) {
    let (consumer, provider) = offered();
    exchange(consumer.accept(&node(2), T0), &provider)
}

fn agreed() -> (ConsumerNegotiation, ProviderNegotiation) {
    let (consumer, provider) = accepted();
    let (provider, consumer) = exchange(provider.agree(POLICY, &institution_key(1), &node(1), T0), &consumer);
    (consumer, provider)
}

fn verified() -> (ConsumerNegotiation, ProviderNegotiation) {
    let (consumer, provider) = agreed();
    exchange(consumer.verify_agreement(&institution_key(2), &node(2), T0), &provider)
}

fn finalized() -> (ConsumerNegotiation, ProviderNegotiation) {
    let (consumer, provider) = verified();
    let (provider, consumer) = exchange(provider.finalize(&node(1), T0), &consumer);
    (consumer, provider)
}

fn terminated() -> (ConsumerNegotiation, ProviderNegotiation) {
    let (consumer, provider) = requested();
    exchange(
        consumer.terminate(Reason::sanitized("no longer needed"), &node(2), T0),
        &provider,
    )
}

/// The next message of `from`, modified by `change` and properly signed.
fn forged<R: Role>(
    from: &Negotiation<R>,
    body: Body,
    key: &NodeKey,
    change: impl FnOnce(&mut NegotiationMessage),
) -> Authentic {
    let mut draft = from.transcript().draft(R::PARTY, body, key.public(), T0);
    change(&mut draft);
    authentic(Signed::sign(&draft, key).unwrap().signed())
}

/// Why `to` refuses `message` at `T0`.
fn refusal<R: Role>(to: &Negotiation<R>, message: Authentic) -> Refusal {
    let error = to.receive(message, T0).unwrap_err();
    let NegotiationError::Peer(refusal) = error else {
        panic!("{error:?}")
    };
    refusal
}
