//! Negotiations with a side that does not keep the rules.

use std::time::Duration;

use concordat_protocol::grant::GrantTerms;
use concordat_protocol::identity::{InstitutionKey, NodeKey, PrivateKey};
use concordat_protocol::ids::{Digest32, GrantId, InstitutionId, NegotiationId};
use concordat_protocol::negotiation::{AsProvider, Body, Narrowing, NegotiationMessage, StateName};
use concordat_protocol::scope::{Scope, Tier, Window};
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{RefusalCode, Reply};
use concordat_tests::tester;

use super::deal::{Deal, agreed, asked, hear, offered, refused, say};
use super::honest::{World, scope, why, wide};
use super::rogue::{Wire, now, sign};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_break_a_rule_are_refused_and_leave_nothing() {
    let world = World::met().await;
    let (rogue, provider, friend) = (&world.rogue, &world.provider, &world.friend);
    let with = |change: &dyn Fn(&mut NegotiationMessage)| {
        let mut message = request(&world, 1, wide(provider));
        change(&mut message);
        sign(&message, &rogue.node)
    };
    let of = |wish: Scope| sign(&request(&world, 1, wish), &rogue.node);
    let over = Window::new(now().plus_seconds(-3600), now().plus_seconds(-1)).unwrap();
    let lies = [
        ("does not belong to `budapest`", with(&|m| m.from = friend.id().clone())),
        (
            "not signed by the node it names",
            sign(
                &request(&world, 1, wide(provider)),
                &NodeKey::from_seed(&[9; 32].into()),
            ),
        ),
        ("not the two parties", with(&|m| m.to = friend.id().clone())),
        ("message 2 came where message 1 is due", with(&|m| m.sequence = 2)),
        (
            "follows another transcript",
            with(&|m| m.previous = Some(Digest32::ZERO)),
        ),
        (
            "not of this time",
            with(&|m| m.sent_at = now().plus_seconds(-2 * 86_400)),
        ),
        ("not of this time", with(&|m| m.sent_at = now().plus_seconds(3600))),
        ("begins with a request", with(&|m| m.body = Body::Accept)),
        ("begins with a request", with(&|m| m.body = Body::Finalized)),
        (
            "the time asked for ended",
            of(Scope {
                window: over,
                ..wide(provider)
            }),
        ),
        ("there is no dataset `budapest.heart`", of(scope(friend.id()))),
    ];
    for (words, lie) in lies {
        let (_, told) = refused(rogue, provider, lie).await;
        assert!(told.contains(words), "`{told}` should say `{words}`");
    }
    // Truly signed by another member, but sent by this one.
    let mut borrowed = request(&world, 1, wide(provider));
    borrowed.from = friend.id().clone();
    borrowed.node = friend.node.network().local_id();
    refused(rogue, provider, sign(&borrowed, &friend.node.identity().node_key)).await;
    assert_eq!(provider.negotiations().await, 0);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dataset_that_is_not_published_is_refused_in_the_words_for_one_that_is_not_there() {
    let world = World::met().await;
    let mut answers = Vec::new();
    for name in ["ward", "none"] {
        let wish = Scope {
            dataset: format!("cleveland.{name}").parse().unwrap(),
            ..wide(&world.provider)
        };
        let request = sign(&request(&world, 1, wish), &world.rogue.node);
        let (code, words) = refused(&world.rogue, &world.provider, request).await;
        answers.push((code, words.replace(name, "…")));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, RefusalCode::NotFound);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_can_neither_repeat_nor_borrow_nor_skip_a_step() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let mut deal = offered(&world).await;
    let other = sign(&request(&world, 2, wide(provider)), &rogue.node);
    assert_eq!(say(rogue, provider, other).await, Reply::Taken);

    let accept = deal.draft(provider, rogue, Body::Accept);
    let elsewhere = NegotiationMessage {
        negotiation: NegotiationId::from_bytes([2; 16]),
        sequence: 2,
        ..accept.clone()
    };
    let skipped = NegotiationMessage {
        sequence: accept.sequence + 1,
        ..accept.clone()
    };
    let backdated = NegotiationMessage {
        sent_at: now().plus_seconds(-3600),
        ..accept.clone()
    };
    let for_them = deal.draft(provider, rogue, Body::Finalized);
    let lies = [
        ("follows another transcript", elsewhere),
        ("message 4 came where message 3 is due", skipped),
        ("not of this time", backdated),
        ("the consumer cannot send a confirmation", for_them),
    ];
    for (words, lie) in lies {
        let (_, told) = refused(rogue, provider, sign(&lie, &rogue.node)).await;
        assert!(told.contains(words), "`{told}` should say `{words}`");
    }
    // Saying again what was said is answered as before and changes nothing.
    let said = deal.view.transcript().messages()[0].signed().clone();
    let offer = deal.view.transcript().messages()[1].signed().clone();
    assert_eq!(say(rogue, provider, said).await, Reply::Taken);
    assert_eq!(hear(&mut deal.incoming).await, offer);
    let known = provider.node.negotiations().show(&deal.id()).await.unwrap();
    assert_eq!((known.head, known.messages.len()), (deal.view.transcript().head(), 2));
    assert_eq!(provider.negotiations().await, 2);
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_side_that_does_not_take_what_it_is_told_holds_up_only_its_own_negotiation() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let mut deal = offered(&world).await;
    let said = deal.view.transcript().messages()[0].signed().clone();
    assert_eq!(say(rogue, provider, said).await, Reply::Taken);
    let (_, _unanswered) = Wire::next(&mut deal.incoming).await;
    assert_eq!(promptly(provider.negotiations()).await, 1);
    promptly(world.still_stands()).await;
}

/// Far less than a node waits for an answer, far more than it takes to list what is there.
async fn promptly<T>(step: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), step)
        .await
        .expect("nothing should wait for the silent side")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_can_only_sign_what_the_provider_signed() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let deal = agreed(&world).await;
    let Body::Agreement { terms } = &deal.view.transcript().messages().last().unwrap().message().body else {
        panic!("the last message is the agreement")
    };
    let honest = terms.peek_unverified().unwrap();
    let wider = GrantTerms {
        scope: wide(provider),
        ..honest.clone()
    };
    let later = GrantTerms {
        agreed_at: now().plus_seconds(60),
        ..honest
    };
    let alone = |terms: &GrantTerms| CoSigned::propose(terms).unwrap().add_signature(&rogue.house).unwrap();
    let by_another = terms
        .add_signature(&InstitutionKey::from_seed(&[8; 32].into()))
        .unwrap();
    for terms in [alone(&wider), alone(&later), terms.clone(), by_another] {
        let lie = deal.draft(provider, rogue, Body::Verification { terms });
        refused(rogue, provider, sign(&lie, &rogue.node)).await;
    }
    let view = provider.node.negotiations().show(&deal.id()).await.unwrap();
    assert_eq!(view.state, StateName::Agreed);
    assert!(provider.node.grants().list().await.is_empty());
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_beyond_the_request_or_without_its_reasons_is_refused() {
    let world = World::new().await;
    let (rogue, friend) = (&world.rogue, &world.friend);
    rogue.meet(friend).await;
    let wish = Scope {
        tier: Tier::Aggregate,
        ..scope(&rogue.institution)
    };
    let deal = asked(&world, wish.clone()).await;
    let wider = Scope {
        tier: Tier::Records,
        ..wish.clone()
    };
    let narrower = Scope {
        tier: Tier::Count,
        ..wish.clone()
    };
    let lies = [
        ("the offer goes beyond the request in: tier", offer(&wish, &wider)),
        (
            "not those of its differences",
            Body::Offer {
                scope: narrower,
                narrowings: Vec::new(),
            },
        ),
        ("the provider cannot send a confirmation", Body::Finalized),
        ("the provider cannot send a", Body::Accept),
    ];
    for (words, body) in lies {
        let (_, told) = refused(rogue, friend, sign(&deal.draft(friend, rogue, body), &rogue.node)).await;
        assert!(told.contains(words), "`{told}` should say `{words}`");
    }
    nothing_came_of(&world, &deal, StateName::Requested).await;
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_that_is_not_exactly_what_was_asked_is_refused() {
    let world = World::new().await;
    let (rogue, friend) = (&world.rogue, &world.friend);
    rogue.meet(friend).await;
    let wish = Scope {
        tier: Tier::Aggregate,
        ..scope(&rogue.institution)
    };
    let deal = asked(&world, wish.clone()).await;
    for (words, lie) in false_agreements(&world, &deal, &wish) {
        let (_, told) = refused(rogue, friend, lie).await;
        assert!(told.contains(words), "`{told}` should say `{words}`");
    }
    nothing_came_of(&world, &deal, StateName::Requested).await;
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terms_that_are_widened_after_the_acceptance_are_refused() {
    let world = World::new().await;
    let (rogue, friend) = (&world.rogue, &world.friend);
    rogue.meet(friend).await;
    let wish = scope(&rogue.institution);
    let mut deal = asked(&world, wish.clone()).await;
    let less = Scope {
        tier: Tier::Aggregate,
        ..wish.clone()
    };
    let sent = deal
        .view
        .offer(less, |_| (Reason::new("less").unwrap(), None), &rogue.node, now())
        .unwrap();
    deal.step(rogue, friend, sent).await;
    let id = deal.id();
    let by = tester();
    let (accepted, ()) = tokio::join!(friend.node.negotiations().accept(&id, &by), deal.follow(friend));
    accepted.unwrap();
    let terms = terms(&world, &deal, &wish);
    let (_, told) = refused(rogue, friend, agreement(&world, &deal, &terms)).await;
    assert!(
        told.contains("the terms cover something else than what was accepted"),
        "`{told}`"
    );
    nothing_came_of(&world, &deal, StateName::Accepted).await;
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_requests_is_refused_before_it_fills_the_house() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let mut taken = 0;
    let mut last = None;
    for number in 0..=u8::MAX {
        let message = sign(&request(&world, number, wide(provider)), &rogue.node);
        match say(rogue, provider, message).await {
            Reply::Taken => taken += 1,
            Reply::Refused(refusal) => last = Some(refusal.code),
        }
    }
    assert_eq!(last, Some(RefusalCode::Busy), "{taken} requests were taken");
    assert_eq!(provider.negotiations().await, taken);
    world.still_stands().await;
}

fn request(world: &World, number: u8, scope: Scope) -> NegotiationMessage {
    NegotiationMessage {
        negotiation: NegotiationId::from_bytes([number; 16]),
        sequence: 1,
        previous: None,
        from: world.rogue.institution.clone(),
        to: world.provider.id().clone(),
        node: world.rogue.id(),
        sent_at: now(),
        body: Body::Request {
            scope,
            justification: why(),
        },
    }
}

fn offer(wish: &Scope, scope: &Scope) -> Body {
    let narrowings = Narrowing::explain_all(wish, scope, |_| (Reason::new("more").unwrap(), None));
    Body::Offer {
        scope: scope.clone(),
        narrowings,
    }
}

/// The terms that an honest provider would write now.
fn terms(world: &World, deal: &Deal<AsProvider>, scope: &Scope) -> GrantTerms {
    GrantTerms {
        grant: GrantId::from(deal.id()),
        revision: 1,
        provider: world.rogue.institution.clone(),
        provider_key: world.rogue.house.public(),
        consumer: world.friend.id().clone(),
        consumer_key: world.friend.node.identity().institution_public(),
        scope: scope.clone(),
        policy: Digest32::ZERO,
        transcript: deal.view.transcript().head(),
        agreed_at: now(),
    }
}

/// An agreement over `terms`, of the moment they state.
fn agreement(world: &World, deal: &Deal<AsProvider>, terms: &GrantTerms) -> Signed<NegotiationMessage> {
    let signed = CoSigned::propose(terms)
        .unwrap()
        .add_signature(&world.rogue.house)
        .unwrap();
    let draft = deal.draft(&world.friend, &world.rogue, Body::Agreement { terms: signed });
    sign(
        &NegotiationMessage {
            sent_at: terms.agreed_at,
            ..draft
        },
        &world.rogue.node,
    )
}

fn false_agreements(
    world: &World,
    deal: &Deal<AsProvider>,
    wish: &Scope,
) -> Vec<(&'static str, Signed<NegotiationMessage>)> {
    let (rogue, friend) = (&world.rogue, &world.friend);
    let true_terms = terms(world, deal, wish);
    let with = |change: &dyn Fn(&mut GrantTerms)| {
        let mut terms = true_terms.clone();
        change(&mut terms);
        agreement(world, deal, &terms)
    };
    let other: InstitutionId = "cleveland".parse().unwrap();
    let yesterday = true_terms.agreed_at.plus_seconds(-86_400);
    let backdated = {
        let terms = GrantTerms {
            agreed_at: yesterday,
            ..true_terms.clone()
        };
        let signed = CoSigned::propose(&terms).unwrap().add_signature(&rogue.house).unwrap();
        sign(
            &deal.draft(friend, rogue, Body::Agreement { terms: signed }),
            &rogue.node,
        )
    };
    let by_another = {
        let stranger = InstitutionKey::from_seed(&[8; 32].into());
        let signed = CoSigned::propose(&true_terms)
            .unwrap()
            .add_signature(&stranger)
            .unwrap();
        let draft = deal.draft(friend, rogue, Body::Agreement { terms: signed });
        sign(
            &NegotiationMessage {
                sent_at: true_terms.agreed_at,
                ..draft
            },
            &rogue.node,
        )
    };
    let elsewhere = {
        let draft = deal.draft(friend, rogue, offer(wish, wish));
        sign(
            &NegotiationMessage {
                negotiation: NegotiationId::from_bytes([77; 16]),
                ..draft
            },
            &rogue.node,
        )
    };
    vec![
        (
            "cover something else than what was asked",
            with(&|t| t.scope.tier = Tier::Records),
        ),
        (
            "cover something else than what was asked",
            with(&|t| t.scope.limits.min_cell = 1),
        ),
        (
            "cover something else than what was asked",
            with(&|t| t.scope.tier = Tier::Exists),
        ),
        ("name another", with(&|t| t.grant = GrantId::from_bytes([5; 16]))),
        ("name another", with(&|t| t.consumer = other.clone())),
        ("name another", with(&|t| t.revision = 2)),
        ("name another", with(&|t| t.transcript = Digest32::ZERO)),
        ("name another", backdated),
        ("not of this time", with(&|t| t.agreed_at = yesterday)),
        ("not of this time", with(&|t| t.agreed_at = now().plus_seconds(3600))),
        ("the terms are not valid", by_another),
        ("", elsewhere),
    ]
}

/// The friend stands where it stood, and holds no grant.
async fn nothing_came_of(world: &World, deal: &Deal<AsProvider>, state: StateName) {
    let view = world.friend.node.negotiations().show(&deal.id()).await.unwrap();
    assert_eq!(view.state, state);
    assert!(world.friend.node.grants().list().await.is_empty());
}
