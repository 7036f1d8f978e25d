//! Negotiations that the attacker conducts by the rules, up to the point where a test breaks them.

use concordat_node::{NegotiationError, Restriction};
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::ids::{Digest32, GrantId, NegotiationId};
use concordat_protocol::negotiation::Negotiation;
use concordat_protocol::negotiation::{
    ConsumerNegotiation, NegotiationMessage, ProviderNegotiation, Received, Role, StateName,
};
use concordat_protocol::scope::Scope;
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{NegotiationFrame, Refusal, Reply};
use concordat_protocol::wire::streams::NEGOTIATION;
use concordat_tests::tester;
use libp2p_stream::IncomingStreams;
use std::time::Duration;

use super::malicious_peer::{MaliciousPeer, Wire, now, soon};
use super::well_behaved::{InProcessNode, World, nameless, scope, why, wide};

/// Sends one message as it is.
pub(super) async fn send_message(
    attacker: &MaliciousPeer,
    target: &InProcessNode,
    message: Signed<NegotiationMessage>,
) -> Reply {
    attacker
        .request(target, NEGOTIATION, &NegotiationFrame { message })
        .await
        .expect("every message is answered")
}

/// Sends one message that must be refused, and returns the refusal.
pub(super) async fn refused(
    attacker: &MaliciousPeer,
    target: &InProcessNode,
    message: Signed<NegotiationMessage>,
) -> Refusal {
    match send_message(attacker, target, message).await {
        Reply::Refused(refusal) => refusal,
        Reply::Accepted => panic!("the message was accepted"),
    }
}

/// The next message that a well-behaved node sends, which is acknowledged.
pub(super) async fn next_message(incoming: &mut IncomingStreams) -> Signed<NegotiationMessage> {
    let (_, mut stream) = Wire::next(incoming).await;
    let frame: NegotiationFrame = stream.recv().await.unwrap();
    stream.send(&Reply::Accepted).await.unwrap();
    frame.message
}

/// A negotiation in which the attacker is one side.
pub(super) struct NegotiationFixture<R> {
    pub(super) view: Negotiation<R>,
    pub(super) incoming: IncomingStreams,
}

impl<R: Role> NegotiationFixture<R> {
    pub(super) fn id(&self) -> NegotiationId {
        self.view.id()
    }

    /// Takes a step by the rules and sends its message.
    pub(super) async fn step(
        &mut self,
        attacker: &MaliciousPeer,
        target: &InProcessNode,
        sent: concordat_protocol::negotiation::Sent<R>,
    ) {
        self.view = sent.next;
        assert_eq!(send_message(attacker, target, sent.message).await, Reply::Accepted);
    }

    /// Receives the next message of the well-behaved side.
    pub(super) async fn follow(&mut self, target: &InProcessNode) {
        let message = target.authentic(next_message(&mut self.incoming).await);
        let received = self.view.receive(message, now());
        match received.expect("a well-behaved node follows the protocol") {
            Received::Advanced(next) => self.view = next,
            Received::Duplicate { .. } => panic!("an accepted message was sent again"),
        }
    }

    /// The next message of the attacker with any content, not signed yet.
    pub(super) fn draft(
        &self,
        from: &InProcessNode,
        attacker: &MaliciousPeer,
        body: concordat_protocol::negotiation::Body,
    ) -> NegotiationMessage {
        let transcript = self.view.transcript();
        NegotiationMessage {
            negotiation: self.id(),
            sequence: transcript.messages().last().unwrap().message().sequence + 1,
            previous: Some(transcript.head()),
            from: attacker.institution.clone(),
            to: from.id().clone(),
            node: attacker.id(),
            sent_at: now(),
            body,
        }
    }
}

/// The attacker requests everything but the names from the provider and has its offer.
pub(super) async fn offered(world: &World) -> NegotiationFixture<concordat_protocol::negotiation::AsConsumer> {
    offered_of(world, nameless(&world.provider)).await
}

/// The attacker requests `scope` from the provider and has its offer.
async fn offered_of(world: &World, scope: Scope) -> NegotiationFixture<concordat_protocol::negotiation::AsConsumer> {
    let attacker = &world.attacker;
    let provider = &world.provider;
    let incoming = attacker.accept(NEGOTIATION);
    let id = NegotiationId::from_bytes([42; 16]);
    let sent =
        ConsumerNegotiation::request(id, &world.attacker_as_consumer(), scope, why(), &attacker.node, now()).unwrap();
    let mut fixture = NegotiationFixture {
        view: sent.next,
        incoming,
    };
    assert_eq!(send_message(attacker, provider, sent.message).await, Reply::Accepted);
    let by = provider.steward().await;
    let whole = Restriction::default();
    let (made, ()) = tokio::join!(
        provider.node.negotiations().offer(&id, &whole, &by),
        fixture.follow(provider)
    );
    assert_eq!(made.unwrap().state, StateName::Offered);
    fixture
}

/// The attacker accepts an offer and has the provider's signature on the terms.
pub(super) async fn agreed(world: &World) -> NegotiationFixture<concordat_protocol::negotiation::AsConsumer> {
    agreed_of(world, nameless(&world.provider)).await
}

/// Like [`agreed`], for `scope`.
async fn agreed_of(world: &World, scope: Scope) -> NegotiationFixture<concordat_protocol::negotiation::AsConsumer> {
    let attacker = &world.attacker;
    let provider = &world.provider;
    let mut fixture = offered_of(world, scope).await;
    let sent = fixture.view.accept(&attacker.node, now()).unwrap();
    fixture.step(attacker, provider, sent).await;
    fixture.follow(provider).await;
    fixture
}

/// The attacker has a valid grant from the provider.
pub(super) async fn granted(world: &World) -> GrantId {
    granted_of(world, nameless(&world.provider)).await
}

/// Like [`granted`], for `scope`.
pub(super) async fn granted_of(world: &World, scope: Scope) -> GrantId {
    let attacker = &world.attacker;
    let provider = &world.provider;
    let mut fixture = agreed_of(world, scope).await;
    let sent = fixture
        .view
        .verify_agreement(&attacker.institution_key, &attacker.node, now())
        .unwrap();
    fixture.step(attacker, provider, sent).await;
    fixture.follow(provider).await;
    fixture.view.grant().unwrap().terms().grant
}

/// The member has requested `scope` from the attacker.
pub(super) async fn requested(
    world: &World,
    scope: Scope,
) -> NegotiationFixture<concordat_protocol::negotiation::AsProvider> {
    let mut incoming = world.attacker.accept(NEGOTIATION);
    let by = tester();
    let (made, message) = tokio::join!(
        world.member.node.negotiations().request(scope, why(), &by),
        next_message(&mut incoming)
    );
    made.unwrap();
    let request = world.member.authentic(message);
    let view = ProviderNegotiation::open(request, &world.attacker_as_provider(), now()).unwrap();
    NegotiationFixture { view, incoming }
}

/// The member has a valid grant from the attacker, for everything.
pub(super) async fn granted_to_member(world: &World) -> GrantId {
    let attacker = &world.attacker;
    let member = &world.member;
    let mut fixture = requested(world, scope(&attacker.institution)).await;
    let sent = fixture
        .view
        .agree(Digest32::ZERO, &attacker.institution_key, &attacker.node, now())
        .unwrap();
    fixture.step(attacker, member, sent).await;
    fixture.follow(member).await;
    let sent = fixture.view.finalize(&attacker.node, now()).unwrap();
    fixture.step(attacker, member, sent).await;
    await_grant(member, &fixture.id()).await;
    GrantId::from(fixture.id())
}

/// The member has a valid grant from the provider; the attacker takes no part.
pub(super) async fn grant_between_members(world: &World) -> GrantId {
    let member = world.member.node.negotiations();
    let provider = world.provider.node.negotiations();
    let request = member.request(wide(&world.provider), why(), &tester()).await.unwrap();
    let steward = world.provider.steward().await;
    // A request waits for the connection if it is not up yet.
    let offered = soon(async {
        loop {
            match provider.offer(&request.id, &Restriction::default(), &steward).await {
                Err(NegotiationError::UnknownNegotiation { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
                offered => return offered,
            }
        }
    });
    offered.await.unwrap();
    member.accept(&request.id, &tester()).await.unwrap();
    await_grant(&world.member, &request.id).await;
    GrantId::from(request.id)
}

/// Waits until the grant that resulted from a negotiation is in the register.
pub(super) async fn await_grant(target: &InProcessNode, id: &NegotiationId) {
    let view = target
        .node
        .negotiations()
        .wait_until_ended(id, Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(view.state, StateName::Finalized);
    let mut epoch = target.node.epoch().watch();
    let grant = GrantId::from(*id);
    while target.node.grants().get(&grant).await.is_none() {
        soon(epoch.changed()).await.unwrap();
    }
}

/// Ends or changes a grant at a well-behaved node.
pub(super) async fn change(target: &InProcessNode, grant: &GrantId, event: GrantEvent) {
    let reason = Reason::new("a test").unwrap();
    target
        .node
        .negotiations()
        .change_grant(grant, event, reason, &tester())
        .await
        .unwrap();
}
