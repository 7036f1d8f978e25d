//! Negotiations with a side that does not follow the protocol.

use std::time::Duration;

use concordat_protocol::grant::GrantTerms;
use concordat_protocol::identity::{InstitutionKey, NodeKey, PrivateKey};
use concordat_protocol::ids::{Digest32, GrantId, InstitutionId, NegotiationId};
use concordat_protocol::negotiation::{AsProvider, Body, Narrowing, NegotiationMessage, StateName};
use concordat_protocol::scope::{Columns, Datasets, Noise, Protection, Rows, Scope, Tier, Window};
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{RefusalCode, Reply};
use concordat_tests::tester;

use super::malicious_peer::{Wire, now, rule, sign};
use super::negotiation_fixture::{NegotiationFixture, agreed, next_message, offered, refused, requested, send_message};
use super::well_behaved::{World, scope, why, wide};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_break_a_rule_are_refused_and_leave_nothing() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let member = &world.member;
    let with = |change: &dyn Fn(&mut NegotiationMessage)| {
        let mut message = request(&world, 1, wide(provider));
        change(&mut message);
        sign(&message, &attacker.node)
    };
    let of = |scope: Scope| sign(&request(&world, 1, scope), &attacker.node);
    let over = Window::new(now().plus_seconds(-3600), now().plus_seconds(-1)).unwrap();
    let invalid = [
        ("node-of-sender", with(&|m| m.from = member.id().clone())),
        (
            "message-signature",
            sign(
                &request(&world, 1, wide(provider)),
                &NodeKey::from_seed(&[9; 32].into()),
            ),
        ),
        ("parties", with(&|m| m.to = member.id().clone())),
        ("message-order", with(&|m| m.sequence = 2)),
        ("transcript", with(&|m| m.previous = Some(Digest32::ZERO))),
        ("message-time", with(&|m| m.sent_at = now().plus_seconds(3600))),
        ("request-first", with(&|m| m.body = Body::Accept)),
        ("request-first", with(&|m| m.body = Body::Finalized)),
        (
            "time-window",
            of(Scope {
                window: over,
                ..wide(provider)
            }),
        ),
        ("dataset-known", of(scope(member.id()))),
        (
            "scope-applied",
            of(Scope {
                protection: Protection::Perturbed(Noise::new(3, 5, 5).unwrap()),
                ..wide(provider)
            }),
        ),
    ];
    for (expected, message) in invalid {
        let refusal = refused(attacker, provider, message).await;
        assert_eq!(rule(&refusal), Some(expected), "{refusal:?}");
    }
    // Really signed by another member, but sent by this one.
    let mut borrowed = request(&world, 1, wide(provider));
    borrowed.from = member.id().clone();
    borrowed.node = member.node.network().local_id();
    refused(attacker, provider, sign(&borrowed, &member.node.identity().node_key)).await;
    assert_eq!(provider.negotiations(), 0);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_for_an_unpublished_dataset_is_refused_as_unknown() {
    let world = World::connected().await;
    let mut answers = Vec::new();
    for name in ["ward", "none"] {
        let scope_of_request = Scope {
            collection: format!("cleveland.{name}").parse().unwrap(),
            datasets: Datasets::one(name.parse().unwrap(), Columns::default(), Rows::all()),
            ..wide(&world.provider)
        };
        let request = sign(&request(&world, 1, scope_of_request), &world.attacker.node);
        let refusal = refused(&world.attacker, &world.provider, request).await;
        answers.push((refusal.code, format!("{:?}", refusal.reasons).replace(name, "…")));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, RefusalCode::NotFound);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_can_neither_repeat_nor_borrow_nor_skip_a_step() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let mut fixture = offered(&world).await;
    let other = sign(&request(&world, 2, wide(provider)), &attacker.node);
    assert_eq!(send_message(attacker, provider, other).await, Reply::Accepted);

    let accept = fixture.draft(provider, attacker, Body::Accept);
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
    let for_them = fixture.draft(provider, attacker, Body::Finalized);
    let invalid = [
        ("transcript", elsewhere),
        ("message-order", skipped),
        ("message-time", backdated),
        ("turn", for_them),
    ];
    for (expected, message) in invalid {
        let refusal = refused(attacker, provider, sign(&message, &attacker.node)).await;
        assert_eq!(rule(&refusal), Some(expected), "{refusal:?}");
    }
    // A repeated message is answered as before and changes nothing.
    let sent = fixture.view.transcript().messages()[0].signed().clone();
    let offer = fixture.view.transcript().messages()[1].signed().clone();
    assert_eq!(send_message(attacker, provider, sent).await, Reply::Accepted);
    assert_eq!(next_message(&mut fixture.incoming).await, offer);
    let known = provider.node.negotiations().show(&fixture.id()).await.unwrap();
    assert_eq!(
        (known.head, known.messages.len()),
        (fixture.view.transcript().head(), 2)
    );
    assert_eq!(provider.negotiations(), 2);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn negotiation_whose_peer_does_not_accept_delays_no_other() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let mut fixture = offered(&world).await;
    let sent = fixture.view.transcript().messages()[0].signed().clone();
    assert_eq!(send_message(attacker, provider, sent).await, Reply::Accepted);
    let (_, _unanswered) = Wire::next(&mut fixture.incoming).await;
    assert_eq!(provider.negotiations(), 1);
    promptly(world.assert_still_serving()).await;
}

/// Far less than a node waits for an answer, far more than it takes to list negotiations.
async fn promptly<T>(step: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), step)
        .await
        .expect("no operation should wait for the silent side")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_can_only_sign_what_the_provider_signed() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let fixture = agreed(&world).await;
    let Body::Agreement { terms } = &fixture.view.transcript().messages().last().unwrap().message().body else {
        panic!("the last message is the agreement")
    };
    let agreed_terms = terms.peek_unverified().unwrap();
    let wider = GrantTerms {
        scope: wide(provider),
        ..agreed_terms.clone()
    };
    let later = GrantTerms {
        agreed_at: now().plus_seconds(60),
        ..agreed_terms
    };
    let alone = |terms: &GrantTerms| {
        CoSigned::propose(terms)
            .unwrap()
            .add_signature(&attacker.institution_key)
            .unwrap()
    };
    let by_another = terms
        .add_signature(&InstitutionKey::from_seed(&[8; 32].into()))
        .unwrap();
    for terms in [alone(&wider), alone(&later), terms.clone(), by_another] {
        let forged = fixture.draft(provider, attacker, Body::Verification { terms });
        refused(attacker, provider, sign(&forged, &attacker.node)).await;
    }
    let view = provider.node.negotiations().show(&fixture.id()).await.unwrap();
    assert_eq!(view.state, StateName::Agreed);
    assert!(provider.node.grants().list().await.is_empty());
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offer_beyond_the_request_or_without_reasons_is_refused() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let member = &world.member;
    attacker.meet(member).await;
    let request = Scope {
        tier: Tier::Aggregate,
        ..scope(&attacker.institution)
    };
    let fixture = requested(&world, request.clone()).await;
    let wider = Scope {
        tier: Tier::Records,
        ..request.clone()
    };
    let narrower = Scope {
        tier: Tier::Count,
        ..request.clone()
    };
    let invalid = [
        ("offer-within-request", offer(&request, &wider)),
        (
            "narrowings-stated",
            Body::Offer {
                scope: narrower,
                narrowings: Vec::new(),
            },
        ),
        ("turn", Body::Finalized),
        ("turn", Body::Accept),
    ];
    for (expected, body) in invalid {
        let message = sign(&fixture.draft(member, attacker, body), &attacker.node);
        let refusal = refused(attacker, member, message).await;
        assert_eq!(rule(&refusal), Some(expected), "{refusal:?}");
    }
    assert_unchanged(&world, &fixture, StateName::Requested).await;
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agreement_that_differs_from_the_request_is_refused() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let member = &world.member;
    attacker.meet(member).await;
    let request = Scope {
        tier: Tier::Aggregate,
        ..scope(&attacker.institution)
    };
    let fixture = requested(&world, request.clone()).await;
    for (expected, agreement) in false_agreements(&world, &fixture, &request) {
        let refusal = refused(attacker, member, agreement).await;
        assert!(
            expected.is_none() || rule(&refusal) == expected,
            "{expected:?}: {refusal:?}"
        );
    }
    assert_unchanged(&world, &fixture, StateName::Requested).await;
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terms_that_are_widened_after_the_acceptance_are_refused() {
    let world = World::new().await;
    let attacker = &world.attacker;
    let member = &world.member;
    attacker.meet(member).await;
    let request = scope(&attacker.institution);
    let mut fixture = requested(&world, request.clone()).await;
    let less = Scope {
        tier: Tier::Aggregate,
        ..request.clone()
    };
    let sent = fixture
        .view
        .offer(less, |_| (Reason::new("less").unwrap(), None), &attacker.node, now())
        .unwrap();
    fixture.step(attacker, member, sent).await;
    let id = fixture.id();
    let by = tester();
    let (made, ()) = tokio::join!(member.node.negotiations().accept(&id, &by), fixture.follow(member));
    made.unwrap();
    let terms = terms(&world, &fixture, &request);
    let refusal = refused(attacker, member, agreement(&world, &fixture, &terms)).await;
    assert_eq!(rule(&refusal), Some("scope-as-accepted"), "{refusal:?}");
    assert_unchanged(&world, &fixture, StateName::Accepted).await;
    world.assert_still_serving().await;
}

pub(super) fn request(world: &World, number: u8, scope: Scope) -> NegotiationMessage {
    NegotiationMessage {
        negotiation: NegotiationId::from_bytes([number; 16]),
        sequence: 1,
        previous: None,
        from: world.attacker.institution.clone(),
        to: world.provider.id().clone(),
        node: world.attacker.id(),
        sent_at: now(),
        body: Body::Request {
            scope,
            justification: why(),
        },
    }
}

fn offer(request: &Scope, scope: &Scope) -> Body {
    let narrowings = Narrowing::explain_all(request, scope, |_| (Reason::new("more").unwrap(), None));
    Body::Offer {
        scope: scope.clone(),
        narrowings,
    }
}

/// The terms that a well-behaved provider would issue now.
fn terms(world: &World, fixture: &NegotiationFixture<AsProvider>, scope: &Scope) -> GrantTerms {
    GrantTerms {
        grant: GrantId::from(fixture.id()),
        revision: 1,
        provider: world.attacker.institution.clone(),
        provider_key: world.attacker.institution_key.public(),
        consumer: world.member.id().clone(),
        consumer_key: world.member.node.identity().institution_public(),
        scope: scope.clone(),
        policy: Digest32::ZERO,
        transcript: fixture.view.transcript().head(),
        agreed_at: now(),
    }
}

/// An agreement on `terms`, sent at the time that they state.
fn agreement(
    world: &World,
    fixture: &NegotiationFixture<AsProvider>,
    terms: &GrantTerms,
) -> Signed<NegotiationMessage> {
    let signed = CoSigned::propose(terms)
        .unwrap()
        .add_signature(&world.attacker.institution_key)
        .unwrap();
    let draft = fixture.draft(&world.member, &world.attacker, Body::Agreement { terms: signed });
    sign(
        &NegotiationMessage {
            sent_at: terms.agreed_at,
            ..draft
        },
        &world.attacker.node,
    )
}

/// Agreements that must be refused, each with the rule that it breaks if the test depends on which.
fn false_agreements(
    world: &World,
    fixture: &NegotiationFixture<AsProvider>,
    request: &Scope,
) -> Vec<(Option<&'static str>, Signed<NegotiationMessage>)> {
    let attacker = &world.attacker;
    let member = &world.member;
    let true_terms = terms(world, fixture, request);
    let with = |change: &dyn Fn(&mut GrantTerms)| {
        let mut terms = true_terms.clone();
        change(&mut terms);
        agreement(world, fixture, &terms)
    };
    let other: InstitutionId = "cleveland".parse().unwrap();
    let yesterday = true_terms.agreed_at.plus_seconds(-86_400);
    let backdated = {
        let terms = GrantTerms {
            agreed_at: yesterday,
            ..true_terms.clone()
        };
        let signed = CoSigned::propose(&terms)
            .unwrap()
            .add_signature(&attacker.institution_key)
            .unwrap();
        sign(
            &fixture.draft(member, attacker, Body::Agreement { terms: signed }),
            &attacker.node,
        )
    };
    let by_another = {
        let non_member = InstitutionKey::from_seed(&[8; 32].into());
        let signed = CoSigned::propose(&true_terms)
            .unwrap()
            .add_signature(&non_member)
            .unwrap();
        let draft = fixture.draft(member, attacker, Body::Agreement { terms: signed });
        sign(
            &NegotiationMessage {
                sent_at: true_terms.agreed_at,
                ..draft
            },
            &attacker.node,
        )
    };
    let elsewhere = {
        let draft = fixture.draft(member, attacker, offer(request, request));
        sign(
            &NegotiationMessage {
                negotiation: NegotiationId::from_bytes([77; 16]),
                ..draft
            },
            &attacker.node,
        )
    };
    vec![
        (Some("scope-as-requested"), with(&|t| t.scope.tier = Tier::Records)),
        (Some("scope-as-requested"), with(&|t| t.scope.limits.min_cell = 1)),
        (Some("scope-as-requested"), with(&|t| t.scope.tier = Tier::Exists)),
        (
            Some("terms-of-negotiation"),
            with(&|t| t.grant = GrantId::from_bytes([5; 16])),
        ),
        (Some("terms-of-negotiation"), with(&|t| t.consumer = other.clone())),
        (Some("terms-of-negotiation"), with(&|t| t.revision = 2)),
        (Some("terms-of-negotiation"), with(&|t| t.transcript = Digest32::ZERO)),
        (Some("terms-of-negotiation"), backdated),
        (Some("message-time"), with(&|t| t.agreed_at = yesterday)),
        (Some("message-time"), with(&|t| t.agreed_at = now().plus_seconds(3600))),
        (Some("terms-valid"), by_another),
        (None, elsewhere),
    ]
}

/// Asserts that the negotiation is in `state` at the member, which holds no grant.
async fn assert_unchanged(world: &World, fixture: &NegotiationFixture<AsProvider>, state: StateName) {
    let view = world.member.node.negotiations().show(&fixture.id()).await.unwrap();
    assert_eq!(view.state, state);
    assert!(world.member.node.grants().list().await.is_empty());
}
