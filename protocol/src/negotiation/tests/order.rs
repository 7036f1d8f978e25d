//! Messages that are repeated, cross each other, or are too many.

use super::*;

#[test]
fn repeated_message_is_answered_again_and_older_one_refused() {
    let (_, waiting) = requested();
    let (consumer, provider) = offered();
    let request = consumer.transcript().messages()[0].clone();
    let offer = provider.transcript().messages()[1].signed().clone();
    let answer = |provider: &ProviderNegotiation| match provider.receive(request.clone(), T0).unwrap() {
        Received::Duplicate { answers } => answers,
        Received::Advanced(_) => panic!("a repeated request advanced the negotiation"),
    };
    assert_eq!(answer(&waiting), []);
    assert_eq!(answer(&provider), [offer]);
    let (_, provider) = accepted();
    assert!(matches!(refusal(&provider, request), Refusal::OutOfOrder { .. }));
    let (_, provider) = finalized();
    let verification = provider.transcript().messages()[4].clone();
    assert!(matches!(
        provider.receive(verification, T0).unwrap(),
        Received::Duplicate { answers } if answers.len() == 1
    ));
}

#[test]
fn a_termination_that_crosses_an_offer_stands() {
    let (consumer, provider) = requested();
    let offer = provider.offer(narrow(), explain, &node(1), T0).unwrap();
    let end = consumer
        .terminate(Reason::sanitized("no longer needed"), &node(2), T0)
        .unwrap();
    let (ended, provider) = exchange(Ok(end), &offer.next);
    assert_eq!(provider.transcript(), ended.transcript());
    assert!(matches!(
        refusal(&ended, authentic(&offer.message)),
        Refusal::OutOfOrder { .. }
    ));
    assert_eq!(provider.state_name(), StateName::Terminated);
}

#[test]
fn terminations_that_cross_leave_one_transcript() {
    for (consumer, provider) in [requested(), offered()] {
        let end = |reason| Reason::sanitized(reason);
        let ours = consumer.terminate(end("no longer needed"), &node(2), T0).unwrap();
        let theirs = provider.terminate(end("not possible"), &node(1), T0).unwrap();
        let (consumer, provider) = exchange(Ok(ours), &theirs.next);
        assert_eq!(provider.transcript(), consumer.transcript());
        assert_eq!(provider.unanswered(), []);
        // The provider's is acknowledged, and changes nothing.
        assert!(matches!(
            consumer.receive(authentic(&theirs.message), T0),
            Ok(Received::Duplicate { answers }) if answers.len() == 1
        ));
    }
}

#[test]
fn crossing_termination_cannot_undo_answered_message_or_grant() {
    for (consumer, provider) in [accepted(), verified(), finalized()] {
        let earlier = consumer.transcript().messages()[0].digest();
        let back = forged(
            &consumer,
            Body::Terminate {
                reason: Reason::sanitized("undo"),
            },
            &node(2),
            |m| {
                m.sequence = 2;
                m.previous = Some(earlier);
            },
        );
        assert!(matches!(refusal(&provider, back), Refusal::OutOfOrder { .. }));
    }
    let (consumer, provider) = finalized();
    let verification = consumer.transcript().messages()[4].digest();
    let back = forged(
        &consumer,
        Body::Terminate {
            reason: Reason::sanitized("undo"),
        },
        &node(2),
        |m| {
            m.sequence = 6;
            m.previous = Some(verification);
        },
    );
    assert!(matches!(refusal(&provider, back), Refusal::OutOfOrder { .. }));
}

#[test]
fn negotiation_reserves_messages_for_the_conclusion() {
    let (mut consumer, mut provider) = offered();
    let refused = loop {
        match consumer.counter(wide(), why(), &node(2), T0) {
            Ok(sent) => (consumer, provider) = exchange(Ok(sent), &provider),
            Err(error) => break error,
        }
        (provider, consumer) = exchange(provider.offer(narrow(), explain, &node(1), T0), &consumer);
    };
    assert_eq!(refused, NegotiationError::Ours(Refusal::TooLong));
    let (consumer, provider) = exchange(consumer.accept(&node(2), T0), &provider);
    let (provider, consumer) = exchange(provider.agree(POLICY, &institution_key(1), &node(1), T0), &consumer);
    let (consumer, provider) = exchange(consumer.verify_agreement(&institution_key(2), &node(2), T0), &provider);
    let (_, consumer) = exchange(provider.finalize(&node(1), T0), &consumer);
    assert!(consumer.grant().is_some());
    let mut stored = consumer.stored();
    stored.messages = std::iter::repeat_n(stored.messages[0].clone(), MAX_MESSAGES + 1).collect();
    let mut bytes = Vec::new();
    ciborium::into_writer(&stored, &mut bytes).unwrap();
    assert!(ciborium::from_reader::<StoredNegotiation, _>(bytes.as_slice()).is_err());
}
