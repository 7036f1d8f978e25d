//! Each rule, with a message that breaks only this rule.

use super::*;
use crate::grant::testing::heart;
use crate::scope::{Constraint, Part, Rows, Value, Values, Window};
use crate::time::MAX_CLOCK_SKEW_MS;

#[test]
fn each_state_takes_the_messages_of_the_table_and_no_other() {
    let allowed = "
        REQUESTED provider offer, REQUESTED provider agreement, REQUESTED provider termination, REQUESTED consumer termination,
        OFFERED consumer request, OFFERED consumer acceptance, OFFERED consumer termination, OFFERED provider termination,
        ACCEPTED provider agreement, ACCEPTED provider termination,
        AGREED consumer verification, AGREED consumer termination,
        VERIFIED provider confirmation, VERIFIED provider termination";
    let allowed: BTreeSet<String> = allowed.split(',').map(|row| row.trim().to_owned()).collect();
    let mut accepted_messages = BTreeSet::new();
    for (consumer, provider) in [
        requested(),
        offered(),
        accepted(),
        agreed(),
        verified(),
        finalized(),
        terminated(),
    ] {
        let state = consumer.state_name();
        for body in bodies(&provider) {
            let kind = body.kind();
            let from_provider = consumer.receive(forged(&provider, body.clone(), &node(1), |_| ()), T0);
            let from_consumer = provider.receive(forged(&consumer, body, &node(2), |_| ()), T0);
            for (party, result) in [
                ("provider", from_provider.map(|_| ())),
                ("consumer", from_consumer.map(|_| ())),
            ] {
                match result {
                    Ok(()) => drop(accepted_messages.insert(format!("{state} {party} {kind}"))),
                    Err(NegotiationError::Peer(Refusal::WrongTurn { state: s, .. })) => assert_eq!(s, state),
                    Err(other) => panic!("{state} {party} {kind}: {other:?}"),
                }
            }
        }
    }
    assert_eq!(accepted_messages, allowed);
}

/// One body of each kind, valid for the state of `provider` if that state accepts it at all.
fn bodies(provider: &ProviderNegotiation) -> Vec<Body> {
    let scope = if provider.state_name() == StateName::Requested {
        wide()
    } else {
        narrow()
    };
    let once = terms(provider, scope).add_signature(&institution_key(1)).unwrap();
    let both = if let State::Agreed(state) = provider.state() {
        state.signed.add_signature(&institution_key(2)).unwrap()
    } else {
        once.clone()
    };
    vec![
        Body::Request {
            scope: wide(),
            justification: why(),
        },
        Body::Offer {
            scope: narrow(),
            narrowings: Narrowing::explain_all(&wide(), &narrow(), explain),
        },
        Body::Accept,
        Body::Agreement { terms: once },
        Body::Verification { terms: both },
        Body::Finalized,
        Body::Terminate {
            reason: Reason::sanitized("enough"),
        },
    ]
}

fn terms_of(provider: &ProviderNegotiation, scope: Scope) -> GrantTerms {
    GrantTerms {
        grant: id().into(),
        revision: 1,
        provider: institution("budapest"),
        provider_key: institution_key(1).public(),
        consumer: institution("zurich"),
        consumer_key: institution_key(2).public(),
        scope,
        policy: POLICY,
        transcript: provider.transcript().head(),
        agreed_at: T0,
    }
}

fn terms(provider: &ProviderNegotiation, scope: Scope) -> CoSigned<GrantTerms> {
    CoSigned::propose(&terms_of(provider, scope)).unwrap()
}

fn agreement(terms: &GrantTerms, seed: u8) -> Body {
    Body::Agreement {
        terms: CoSigned::propose(terms)
            .unwrap()
            .add_signature(&institution_key(seed))
            .unwrap(),
    }
}

#[test]
fn an_offer_lies_inside_the_request() {
    let (consumer, provider) = exchange_counter();
    let parts = vec![Part::Columns];
    let ours = provider.offer(wide(), explain, &node(1), T0).unwrap_err();
    assert_eq!(
        ours,
        NegotiationError::Ours(Refusal::WiderThanRequest { parts: parts.clone() })
    );
    let narrowings = Narrowing::explain_all(&narrow(), &wide(), explain);
    let wider = forged(
        &provider,
        Body::Offer {
            scope: wide(),
            narrowings,
        },
        &node(1),
        |_| (),
    );
    assert_eq!(refusal(&consumer, wider), Refusal::WiderThanRequest { parts });
}

/// Both sides after a request for the narrow scope.
fn exchange_counter() -> (ConsumerNegotiation, ProviderNegotiation) {
    let (consumer, provider) = offered();
    exchange(consumer.counter(narrow(), why(), &node(2), T0), &provider)
}

#[test]
fn offer_explains_every_difference_and_no_other() {
    let (consumer, provider) = requested();
    let true_ones = Narrowing::explain_all(&wide(), &narrow(), explain);
    let mut invented = true_ones.clone();
    invented[0].difference.offered = "age clear".into();
    for narrowings in [vec![], invented] {
        let offer = forged(
            &provider,
            Body::Offer {
                scope: narrow(),
                narrowings,
            },
            &node(1),
            |_| (),
        );
        assert_eq!(refusal(&consumer, offer), Refusal::NarrowingsMismatch);
    }
    let narrowings = true_ones.into_iter().cycle().take(MAX_NARROWINGS + 1).collect();
    let long = forged(
        &provider,
        Body::Offer {
            scope: narrow(),
            narrowings,
        },
        &node(1),
        |_| (),
    );
    assert!(matches!(refusal(&consumer, long), Refusal::TooManyNarrowings { .. }));
}

#[test]
fn a_negotiation_goes_on_with_the_keys_that_it_began_with_only() {
    let (consumer, provider) = offered();
    let successor = |node_id: &NodeId| {
        owner(node_id).map(|side| Side {
            key: institution_key(4).public(),
            ..side
        })
    };
    let ours = consumer.accept(&node(2), T0).unwrap().message;
    let renamed = Authentic::check(ours.clone(), successor).unwrap();
    let from = institution("zurich");
    assert_eq!(refusal(&provider, renamed), Refusal::OtherKey { from: from.clone() });
    assert!(provider.receive(authentic(&ours), T0).is_ok());
    // Nor can another key begin one in the name of a party.
    let first = begin(wide()).unwrap().message;
    let opened = ProviderNegotiation::open(Authentic::check(first, successor).unwrap(), &parties(), T0);
    assert_eq!(opened.unwrap_err().refusal(), Some(&Refusal::OtherKey { from }));
}

#[test]
fn terms_cover_exactly_what_was_accepted_or_requested() {
    let (consumer, provider) = accepted();
    let wider = forged(&provider, agreement(&terms_of(&provider, wide()), 1), &node(1), |_| ());
    assert_eq!(refusal(&consumer, wider), Refusal::ScopeChanged { accepted: true });
    let (consumer, provider) = requested();
    let other = forged(
        &provider,
        agreement(&terms_of(&provider, narrow()), 1),
        &node(1),
        |_| (),
    );
    assert_eq!(refusal(&consumer, other), Refusal::ScopeChanged { accepted: false });
}

#[test]
fn terms_name_this_negotiation_its_parties_and_this_moment() {
    let (consumer, provider) = accepted();
    let right = terms_of(&provider, narrow());
    let wrong = [
        (
            "grant",
            GrantTerms {
                grant: NegotiationId::from_bytes([8; 16]).into(),
                ..right.clone()
            },
        ),
        (
            "revision",
            GrantTerms {
                revision: 2,
                ..right.clone()
            },
        ),
        (
            "consumer",
            GrantTerms {
                consumer: institution("geneva"),
                ..right.clone()
            },
        ),
        (
            "consumer key",
            GrantTerms {
                consumer_key: institution_key(4).public(),
                ..right.clone()
            },
        ),
        (
            "provider key",
            GrantTerms {
                provider_key: institution_key(4).public(),
                ..right.clone()
            },
        ),
        (
            "transcript",
            GrantTerms {
                transcript: Digest32::ZERO,
                ..right.clone()
            },
        ),
        (
            "time",
            GrantTerms {
                agreed_at: T0.plus_seconds(-1),
                ..right.clone()
            },
        ),
    ];
    for (what, terms) in wrong {
        let message = forged(&provider, agreement(&terms, 1), &node(1), |_| ());
        assert_eq!(refusal(&consumer, message), Refusal::TermsDiffer { what });
    }
    let foreign = GrantTerms {
        provider: institution("geneva"),
        ..right
    };
    let message = forged(&provider, agreement(&foreign, 1), &node(1), |_| ());
    assert!(matches!(
        refusal(&consumer, message),
        Refusal::Terms(GrantError::ForeignCollection { .. })
    ));
}

#[test]
fn provider_agrees_with_the_institution_key_only() {
    let (consumer, provider) = accepted();
    let right = terms_of(&provider, narrow());
    let missing_signature = Refusal::Terms(GrantError::Signature(SignatureError::MissingSignature));
    let message = forged(&provider, agreement(&right, 3), &node(1), |_| ());
    assert_eq!(refusal(&consumer, message), missing_signature);
    let ours = provider.agree(POLICY, &institution_key(3), &node(1), T0).unwrap_err();
    assert_eq!(ours, NegotiationError::Ours(missing_signature));
}

#[test]
fn consumer_signs_same_bytes_with_the_institution_key_only() {
    let (consumer, provider) = agreed();
    let State::Agreed(state) = provider.state() else {
        panic!("{}", provider.state_name())
    };
    let refused = |terms: CoSigned<GrantTerms>| {
        refusal(
            &provider,
            forged(&consumer, Body::Verification { terms }, &node(2), |_| ()),
        )
    };
    let missing_signature = Refusal::Terms(GrantError::Signature(SignatureError::MissingSignature));
    assert_eq!(refused(state.signed.clone()), missing_signature);
    assert_eq!(
        refused(state.signed.add_signature(&institution_key(3)).unwrap()),
        missing_signature
    );
    let wider = GrantTerms {
        scope: wide(),
        ..state.terms.clone()
    };
    let other = CoSigned::propose(&wider)
        .unwrap()
        .add_signature(&institution_key(1))
        .unwrap()
        .add_signature(&institution_key(2))
        .unwrap();
    assert_eq!(refused(other), Refusal::TermsChanged);
    let own = consumer
        .verify_agreement(&institution_key(3), &node(2), T0)
        .unwrap_err();
    assert_eq!(own, NegotiationError::Ours(missing_signature));
}

#[test]
fn message_has_one_position_in_the_transcript() {
    let (consumer, provider) = requested();
    let terminate = || Body::Terminate {
        reason: Reason::sanitized("no"),
    };
    let refused =
        |change: fn(&mut NegotiationMessage)| refusal(&consumer, forged(&provider, terminate(), &node(1), change));
    assert_eq!(
        refused(|m| m.sequence = 3),
        Refusal::OutOfOrder { expected: 2, found: 3 }
    );
    assert_eq!(
        refused(|m| m.sequence = 1),
        Refusal::OutOfOrder { expected: 2, found: 1 }
    );
    assert_eq!(refused(|m| m.previous = None), Refusal::OtherTranscript);
    assert_eq!(refused(|m| m.previous = Some(Digest32::ZERO)), Refusal::OtherTranscript);
    let other = NegotiationId::from_bytes([8; 16]);
    assert_eq!(
        refused(|m| m.negotiation = NegotiationId::from_bytes([8; 16])),
        Refusal::OtherNegotiation { found: other }
    );
    assert!(matches!(
        refused(|m| m.to = institution("geneva")),
        Refusal::OtherParties { .. }
    ));
}

#[test]
fn only_nodes_of_the_two_parties_can_send_messages() {
    let (consumer, provider) = requested();
    let draft = |from: &str, seed: u8| {
        let body = Body::Terminate {
            reason: Reason::sanitized("no"),
        };
        let mut draft = provider
            .transcript()
            .draft(Party::Provider, body, node(seed).public(), T0);
        draft.from = institution(from);
        Signed::sign(&draft, &node(seed)).unwrap().signed().clone()
    };
    let non_member = refusal(&consumer, authentic(&draft("geneva", 3)));
    assert!(matches!(non_member, Refusal::OtherParties { .. }));
    assert!(matches!(
        Authentic::check(draft("budapest", 3), owner),
        Err(Refusal::ForeignNode { .. })
    ));
    assert!(matches!(
        Authentic::check(draft("budapest", 4), owner),
        Err(Refusal::ForeignNode { .. })
    ));
    let mut claimed = draft("budapest", 1).peek_unverified().unwrap();
    claimed.node = node(1).public();
    let forged = Signed::sign(&claimed, &node(3)).unwrap().signed().clone();
    assert_eq!(
        Authentic::check(forged, owner),
        Err(Refusal::Signature(SignatureError::WrongSignature))
    );
    let reflected = consumer.transcript().messages()[0].clone();
    assert!(matches!(refusal(&consumer, reflected), Refusal::OtherParties { .. }));
}

#[test]
fn message_outside_its_time_is_refused() {
    let (consumer, provider) = requested();
    let terminate = || Body::Terminate {
        reason: Reason::sanitized("no"),
    };
    let early = T0.plus_millis(-MAX_CLOCK_SKEW_MS - 1);
    let refused = consumer
        .receive(forged(&provider, terminate(), &node(1), |_| ()), early)
        .unwrap_err();
    assert!(matches!(refused, NegotiationError::Peer(Refusal::Stale(_))));
    let before_the_request = forged(&provider, terminate(), &node(1), |m| {
        m.sent_at = T0.plus_millis(-MAX_CLOCK_SKEW_MS - 1)
    });
    assert!(matches!(refusal(&consumer, before_the_request), Refusal::Stale(_)));
    let request = begin(wide()).unwrap().message;
    let future = ProviderNegotiation::open(authentic(&request), &parties(), early).unwrap_err();
    assert!(matches!(future, NegotiationError::Peer(Refusal::Stale(_))));
}

#[test]
fn message_is_accepted_however_late_it_arrives() {
    let months_later = wide().window.not_after().plus_seconds(86_400);
    let late = |message: &Signed<NegotiationMessage>| (authentic(message), months_later);
    let begun = begin(wide()).unwrap();
    let (message, now) = late(&begun.message);
    let provider = ProviderNegotiation::open(message, &parties(), now).unwrap();
    let offer = provider.offer(narrow(), explain, &node(1), T0).unwrap();
    let (message, now) = late(&offer.message);
    assert!(matches!(
        begun.next.receive(message, now),
        Ok(Received::Advanced(consumer)) if consumer.state_name() == StateName::Offered
    ));
    let (consumer, provider) = accepted();
    let agreement = provider.agree(POLICY, &institution_key(1), &node(1), T0).unwrap();
    let (message, now) = late(&agreement.message);
    assert!(matches!(
        consumer.receive(message, now),
        Ok(Received::Advanced(consumer)) if consumer.state_name() == StateName::Agreed
    ));
    let (consumer, provider) = agreed();
    let verification = consumer.verify_agreement(&institution_key(2), &node(2), T0).unwrap();
    let (message, now) = late(&verification.message);
    let Ok(Received::Advanced(provider)) = provider.receive(message, now) else {
        panic!("the verification is refused")
    };
    let finalized = provider.finalize(&node(1), T0).unwrap();
    let (message, now) = late(&finalized.message);
    assert!(matches!(
        verification.next.receive(message, now),
        Ok(Received::Advanced(consumer)) if consumer.grant().is_some()
    ));
}

#[test]
fn request_above_its_size_is_never_sent_or_accepted() {
    let codes = |columns: &[&str]| {
        let values = || (0..800).map(|n| Value::Text(format!("{n:0>250}"))).collect();
        let constraint = || Constraint::new(Values::Set(values()), false).unwrap();
        let rows = columns.iter().map(|column| (column.parse().unwrap(), constraint()));
        Scope {
            datasets: heart([], Rows::new(rows.collect()).unwrap()),
            ..wide()
        }
    };
    assert!(begin(codes(&["code"])).is_ok());
    let NegotiationError::Ours(Refusal::RequestTooLarge { bytes }) = begin(codes(&["code", "drug"])).unwrap_err()
    else {
        panic!("the request is sent")
    };
    assert!(bytes > MAX_REQUEST);
}

#[test]
fn expired_window_is_never_requested_offered_or_agreed() {
    let past = Scope {
        window: Window::new(T0.plus_seconds(-60), T0).unwrap(),
        ..wide()
    };
    assert_eq!(
        begin(past).unwrap_err(),
        NegotiationError::Ours(Refusal::WindowOver { not_after: T0 })
    );
    let not_after = wide().window.not_after();
    let (_, provider) = requested();
    let late = provider.offer(narrow(), explain, &node(1), not_after).unwrap_err();
    assert_eq!(late, NegotiationError::Ours(Refusal::WindowOver { not_after }));
    let (_, provider) = accepted();
    let late = provider
        .agree(POLICY, &institution_key(1), &node(1), not_after)
        .unwrap_err();
    assert_eq!(late, NegotiationError::Ours(Refusal::WindowOver { not_after }));
}

#[test]
fn negotiation_is_about_one_collection_of_the_provider() {
    let foreign = Scope {
        collection: "geneva.heart".parse().unwrap(),
        ..wide()
    };
    assert_eq!(
        begin(foreign).unwrap_err(),
        NegotiationError::Ours(Refusal::OtherCollection)
    );
    let (consumer, _) = offered();
    let other = Scope {
        collection: "budapest.lung".parse().unwrap(),
        ..wide()
    };
    let refused = consumer.counter(other, why(), &node(2), T0).unwrap_err();
    assert_eq!(refused, NegotiationError::Ours(Refusal::OtherCollection));
}

#[test]
fn a_negotiation_begins_with_the_consumers_first_request() {
    let open = |change: fn(&mut NegotiationMessage)| {
        let (consumer, _) = requested();
        let mut draft = consumer.transcript().messages()[0].message().clone();
        change(&mut draft);
        let key = if draft.from == institution("zurich") {
            node(2)
        } else {
            node(1)
        };
        draft.node = key.public();
        let message = authentic(Signed::sign(&draft, &key).unwrap().signed());
        ProviderNegotiation::open(message, &parties(), T0)
            .map(|_| ())
            .map_err(|error| error.refusal().unwrap().clone())
    };
    assert_eq!(open(|_| ()), Ok(()));
    assert_eq!(
        open(|m| m.sequence = 2),
        Err(Refusal::OutOfOrder { expected: 1, found: 2 })
    );
    assert_eq!(
        open(|m| m.previous = Some(Digest32::ZERO)),
        Err(Refusal::OtherTranscript)
    );
    assert_eq!(open(|m| m.body = Body::Accept), Err(Refusal::NoRequest));
    assert_eq!(
        open(|m| std::mem::swap(&mut m.from, &mut m.to)),
        Err(Refusal::NoRequest)
    );
    assert!(matches!(
        open(|m| m.to = institution("geneva")),
        Err(Refusal::OtherParties { .. })
    ));
}

#[test]
fn two_institutions_with_a_key_each_negotiate() {
    let side = |name, seed| Side {
        institution: institution(name),
        key: institution_key(seed).public(),
    };
    assert_eq!(
        Parties::new(side("budapest", 1), side("budapest", 2)),
        Err(Refusal::OneParty)
    );
    assert_eq!(
        Parties::new(side("budapest", 1), side("zurich", 1)),
        Err(Refusal::OneParty)
    );
}

#[test]
fn differences_are_sent_without_deceptive_characters() {
    let difference = Difference {
        part: Part::Rows,
        requested: "a\u{1b}[2J\u{202e}b".into(),
        offered: "x".repeat(5000),
    };
    let narrowing = Narrowing {
        difference: super::super::message::sanitized(&difference),
        reason: Reason::sanitized("r"),
        rule: None,
    };
    assert!(Text::<5000>::new(&narrowing.difference.requested).is_ok());
    assert_eq!(narrowing.difference.offered.len(), 1000);
}
