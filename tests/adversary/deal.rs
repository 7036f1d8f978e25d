//! Negotiations that a rogue leads by the rules, up to the point where a test breaks them.

use concordat_node::negotiation::{NegotiationFault, Restriction};
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::ids::{Digest32, GrantId, NegotiationId};
use concordat_protocol::negotiation::Negotiation;
use concordat_protocol::negotiation::{
    ConsumerNegotiation, NegotiationMessage, ProviderNegotiation, Received, Role, StateName,
};
use concordat_protocol::scope::Scope;
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{NegotiationFrame, RefusalCode, Reply};
use concordat_tests::tester;
use libp2p::StreamProtocol;
use libp2p_stream::IncomingStreams;
use std::time::Duration;

use super::honest::{House, World, nameless, scope, why, wide};
use super::rogue::{Rogue, Wire, now, soon};

/// Messages of negotiations.
pub(super) const NEGOTIATION: StreamProtocol = StreamProtocol::new("/concordat/negotiation/1");

/// Sends one message as it is.
pub(super) async fn say(rogue: &Rogue, house: &House, message: Signed<NegotiationMessage>) -> Reply {
    rogue
        .ask(house, NEGOTIATION, &NegotiationFrame { message })
        .await
        .expect("every message is answered")
}

/// Sends one message that has to be refused, and gives the words.
pub(super) async fn refused(
    rogue: &Rogue,
    house: &House,
    message: Signed<NegotiationMessage>,
) -> (RefusalCode, String) {
    match say(rogue, house, message).await {
        Reply::Refused(refusal) => (refusal.code, refusal.reasons[0].text.clone()),
        Reply::Taken => panic!("the message was taken"),
    }
}

/// The next message that an honest node sends, which is acknowledged.
pub(super) async fn hear(incoming: &mut IncomingStreams) -> Signed<NegotiationMessage> {
    let (_, mut stream) = Wire::next(incoming).await;
    let frame: NegotiationFrame = stream.recv().await.unwrap();
    stream.send(&Reply::Taken).await.unwrap();
    frame.message
}

/// A negotiation in which the rogue is one side.
pub(super) struct Deal<R> {
    pub(super) view: Negotiation<R>,
    pub(super) incoming: IncomingStreams,
}

impl<R: Role> Deal<R> {
    pub(super) fn id(&self) -> NegotiationId {
        self.view.id()
    }

    /// Takes a step by the rules and tells it.
    pub(super) async fn step(&mut self, rogue: &Rogue, house: &House, sent: concordat_protocol::negotiation::Sent<R>) {
        self.view = sent.next;
        assert_eq!(say(rogue, house, sent.message).await, Reply::Taken);
    }

    /// Takes what the honest side says next.
    pub(super) async fn follow(&mut self, house: &House) {
        let message = house.authentic(hear(&mut self.incoming).await);
        let received = self.view.receive(message, now());
        match received.expect("an honest node keeps the rules") {
            Received::Advanced(next) => self.view = next,
            Received::Duplicate { .. } => panic!("what was taken was sent again"),
        }
    }

    /// The next message of the rogue with any content, not signed yet.
    pub(super) fn draft(
        &self,
        from: &House,
        rogue: &Rogue,
        body: concordat_protocol::negotiation::Body,
    ) -> NegotiationMessage {
        let transcript = self.view.transcript();
        NegotiationMessage {
            negotiation: self.id(),
            sequence: transcript.messages().last().unwrap().message().sequence + 1,
            previous: Some(transcript.head()),
            from: rogue.institution.clone(),
            to: from.id().clone(),
            node: rogue.id(),
            sent_at: now(),
            body,
        }
    }
}

/// The rogue asks the provider for everything but the names and has its offer.
pub(super) async fn offered(world: &World) -> Deal<concordat_protocol::negotiation::AsConsumer> {
    let (rogue, provider) = (&world.rogue, &world.provider);
    let incoming = rogue.accept(NEGOTIATION);
    let id = NegotiationId::from_bytes([42; 16]);
    let sent =
        ConsumerNegotiation::request(id, &world.asking(), nameless(provider), why(), &rogue.node, now()).unwrap();
    let mut deal = Deal {
        view: sent.next,
        incoming,
    };
    assert_eq!(say(rogue, provider, sent.message).await, Reply::Taken);
    let (by, whole) = (tester(), Restriction::default());
    let (made, ()) = tokio::join!(
        provider.node.negotiations().offer(&id, &whole, &by),
        deal.follow(provider)
    );
    assert_eq!(made.unwrap().state, StateName::Offered);
    deal
}

/// The rogue accepts an offer and has the provider's signature under the terms.
pub(super) async fn agreed(world: &World) -> Deal<concordat_protocol::negotiation::AsConsumer> {
    let (rogue, provider) = (&world.rogue, &world.provider);
    let mut deal = offered(world).await;
    let sent = deal.view.accept(&rogue.node, now()).unwrap();
    deal.step(rogue, provider, sent).await;
    deal.follow(provider).await;
    deal
}

/// The rogue has a sound grant from the provider.
pub(super) async fn granted(world: &World) -> GrantId {
    let (rogue, provider) = (&world.rogue, &world.provider);
    let mut deal = agreed(world).await;
    let sent = deal.view.verify_agreement(&rogue.house, &rogue.node, now()).unwrap();
    deal.step(rogue, provider, sent).await;
    deal.follow(provider).await;
    deal.view.grant().unwrap().terms().grant
}

/// The friend has asked the rogue for `wish`.
pub(super) async fn asked(world: &World, wish: Scope) -> Deal<concordat_protocol::negotiation::AsProvider> {
    let mut incoming = world.rogue.accept(NEGOTIATION);
    let by = tester();
    let (made, message) = tokio::join!(
        world.friend.node.negotiations().request(wish, why(), &by),
        hear(&mut incoming)
    );
    made.unwrap();
    let request = world.friend.authentic(message);
    let view = ProviderNegotiation::open(request, &world.asked(), now()).unwrap();
    Deal { view, incoming }
}

/// The friend has a sound grant from the rogue, for everything.
pub(super) async fn given(world: &World) -> GrantId {
    let (rogue, friend) = (&world.rogue, &world.friend);
    let mut deal = asked(world, scope(&rogue.institution)).await;
    let sent = deal
        .view
        .agree(Digest32::ZERO, &rogue.house, &rogue.node, now())
        .unwrap();
    deal.step(rogue, friend, sent).await;
    deal.follow(friend).await;
    let sent = deal.view.finalize(&rogue.node, now()).unwrap();
    deal.step(rogue, friend, sent).await;
    settled(friend, &deal.id()).await;
    GrantId::from(deal.id())
}

/// The friend has a sound grant from the provider; no rogue takes part.
pub(super) async fn between_friends(world: &World) -> GrantId {
    let (friend, provider) = (world.friend.node.negotiations(), world.provider.node.negotiations());
    let asked = friend.request(wide(&world.provider), why(), &tester()).await.unwrap();
    // A request waits for the connection, if that is not up at this moment.
    let offered = soon(async {
        loop {
            match provider.offer(&asked.id, &Restriction::default(), &tester()).await {
                Err(NegotiationFault::UnknownNegotiation { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
                offered => return offered,
            }
        }
    });
    offered.await.unwrap();
    friend.accept(&asked.id, &tester()).await.unwrap();
    settled(&world.friend, &asked.id).await;
    GrantId::from(asked.id)
}

/// Waits until the grant that came of a negotiation is in the register.
async fn settled(house: &House, id: &NegotiationId) {
    let view = house
        .node
        .negotiations()
        .settled(id, Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(view.state, StateName::Finalized);
    let mut epoch = house.node.epoch().watch();
    let grant = GrantId::from(*id);
    while house.node.grants().get(&grant).await.is_none() {
        soon(epoch.changed()).await.unwrap();
    }
}

/// Ends or changes a grant at an honest house.
pub(super) async fn change(house: &House, grant: &GrantId, event: GrantEvent) {
    let reason = Reason::new("a test").unwrap();
    house
        .node
        .negotiations()
        .change_grant(grant, event, reason, &tester())
        .await
        .unwrap();
}
