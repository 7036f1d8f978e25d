//! Two well-behaved sides over a network that loses, repeats, reorders and damages messages, step by step at random.

use proptest::prelude::*;

use super::*;

/// What can happen next.
#[derive(Clone, Debug)]
enum Event {
    /// A side takes a step; a low number ends the negotiation, any other advances it.
    Act(Party, u8),
    /// A message that was sent earlier arrives, counted from the newest.
    Arrive(Party, usize),
    /// A message arrives with one bit changed.
    Damaged(Party, usize, usize),
    /// A side is restarted and restores its state.
    Restart(Party),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn both_sides_come_to_the_same_end(events in prop::collection::vec(event(), 0..40)) {
        let mut world = World::new();
        for event in events {
            world.step(&event);
            world.check();
        }
        world.run_to_end();
        let consumer = &world.consumer;
        let provider = world.provider.as_ref().unwrap();
        prop_assert!(consumer.state_name().is_final(), "{}", consumer.state_name());
        prop_assert_eq!(consumer.state_name(), provider.state_name());
        prop_assert_eq!(consumer.grant(), provider.grant());
    }
}

fn event() -> impl Strategy<Value = Event> {
    let party = || prop_oneof![Just(Party::Provider), Just(Party::Consumer)];
    prop_oneof![
        4 => (party(), any::<u8>()).prop_map(|(by, pick)| Event::Act(by, pick)),
        4 => (party(), 0_usize..4).prop_map(|(to, back)| Event::Arrive(to, back)),
        1 => (party(), 0_usize..4, any::<usize>()).prop_map(|(to, back, at)| Event::Damaged(to, back, at)),
        1 => party().prop_map(Event::Restart),
    ]
}

struct World {
    consumer: ConsumerNegotiation,
    provider: Option<ProviderNegotiation>,
    /// Everything ever sent, with its recipient: a network may deliver any message again.
    sent: Vec<(Party, Signed<NegotiationMessage>)>,
}

impl World {
    fn new() -> Self {
        let Sent { next, message } = begin(wide()).unwrap();
        Self {
            consumer: next,
            provider: None,
            sent: vec![(Party::Provider, message)],
        }
    }

    fn step(&mut self, event: &Event) {
        match *event {
            Event::Act(by, pick) => self.act(by, pick),
            Event::Arrive(to, back) => {
                if let Some(message) = self.sent_to(to, back) {
                    self.deliver(to, &message);
                }
            }
            Event::Damaged(to, back, at) => {
                if let Some(message) = self.sent_to(to, back) {
                    assert!(Authentic::check(flipped(&message, at), owner).is_err());
                }
            }
            Event::Restart(Party::Consumer) => {
                self.consumer = ConsumerNegotiation::restore(self.consumer.stored()).unwrap();
            }
            Event::Restart(Party::Provider) => {
                self.provider = self
                    .provider
                    .take()
                    .map(|p| ProviderNegotiation::restore(p.stored()).unwrap());
            }
        }
    }

    fn sent_to(&self, to: Party, back: usize) -> Option<Signed<NegotiationMessage>> {
        self.sent
            .iter()
            .filter(|(recipient, _)| *recipient == to)
            .rev()
            .nth(back)
            .map(|(_, message)| message.clone())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "in every other state the usual next step is tried"
    )]
    fn act(&mut self, by: Party, pick: u8) {
        let end = || Reason::sanitized("enough");
        match by {
            Party::Consumer => {
                let step = match self.consumer.state_name() {
                    _ if pick < 8 => self.consumer.terminate(end(), &node(2), T0),
                    StateName::Offered if pick < 40 => self.consumer.counter(wide(), why(), &node(2), T0),
                    StateName::Agreed => self.consumer.verify_agreement(&institution_key(2), &node(2), T0),
                    _ => self.consumer.accept(&node(2), T0),
                };
                if let Ok(Sent { next, message }) = step {
                    self.consumer = next;
                    self.sent.push((Party::Provider, message));
                }
            }
            Party::Provider => {
                let Some(provider) = &self.provider else { return };
                let step = match provider.state_name() {
                    _ if pick < 8 => provider.terminate(end(), &node(1), T0),
                    StateName::Requested if pick < 200 => provider.offer(narrow(), explain, &node(1), T0),
                    StateName::Verified => provider.finalize(&node(1), T0),
                    _ => provider.agree(POLICY, &institution_key(1), &node(1), T0),
                };
                if let Ok(Sent { next, message }) = step {
                    self.provider = Some(next);
                    self.sent.push((Party::Consumer, message));
                }
            }
        }
    }

    fn deliver(&mut self, to: Party, message: &Signed<NegotiationMessage>) {
        let message = authentic(message);
        match to {
            Party::Consumer => match self.consumer.receive(message, T0) {
                Ok(Received::Advanced(next)) => self.consumer = next,
                Ok(Received::Duplicate { answers }) => self.resent(Party::Provider, answers),
                Err(error) => assert!(matches!(error, NegotiationError::Peer(_)), "{error:?}"),
            },
            Party::Provider => match &self.provider {
                None => self.provider = ProviderNegotiation::open(message, &parties(), T0).ok(),
                Some(provider) => match provider.receive(message, T0) {
                    Ok(Received::Advanced(next)) => self.provider = Some(next),
                    Ok(Received::Duplicate { answers }) => self.resent(Party::Consumer, answers),
                    Err(error) => assert!(matches!(error, NegotiationError::Peer(_)), "{error:?}"),
                },
            },
        }
    }

    /// The invariants after every step.
    fn check(&self) {
        let Some(provider) = &self.provider else { return };
        let ours = self.consumer.transcript().messages();
        let theirs = provider.transcript().messages();
        let shared = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
        assert!(
            ours.len() - shared <= 2 && theirs.len() - shared <= 2,
            "the transcripts drifted apart"
        );
        if let Some(grant) = self.consumer.grant() {
            assert_eq!(
                Some(grant),
                provider.grant(),
                "the consumer has a grant that the provider does not have"
            );
        }
        if let Some(grant) = provider.grant() {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "a test names the variant that it looks for"
            )]
            let signed = match self.consumer.state() {
                State::Verified(state) => &state.grant,
                State::Finalized(state) => &state.grant,
                other => panic!("the provider has a grant while the consumer is {}", other.name()),
            };
            assert_eq!(signed, grant);
            assert!(wide().covers(&grant.terms().scope));
        }
    }

    /// The network becomes reliable and both sides continue to the end.
    fn run_to_end(&mut self) {
        for _ in 0..12 {
            self.resend();
            self.act(Party::Provider, u8::MAX);
            self.resend();
            self.act(Party::Consumer, u8::MAX);
            self.check();
        }
    }

    fn resend(&mut self) {
        for message in self.consumer.unanswered() {
            self.deliver(Party::Provider, &message);
        }
        for message in self
            .provider
            .as_ref()
            .map(ProviderNegotiation::unanswered)
            .unwrap_or_default()
        {
            self.deliver(Party::Consumer, &message);
        }
    }

    fn resent(&mut self, to: Party, messages: Vec<Signed<NegotiationMessage>>) {
        self.sent.extend(messages.into_iter().map(|message| (to, message)));
    }
}
