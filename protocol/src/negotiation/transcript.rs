//! The transcript: every message in order, each naming the one before, and the resulting state.
//!
//! Both sides keep the same transcript. Anyone who has it and knows the keys of the parties can replay it and
//! reaches the same state; this is how a stored negotiation is restored, and how it is proven to others.

use serde::{Deserialize, Deserializer, Serialize, de};

use super::state::{State, Turn};
use super::{NegotiationError, Refusal};
use super::{
    error::MAX_REQUEST,
    message::{Authentic, Body, NegotiationMessage},
    parties::Parties,
};
use crate::grant::Party;
use crate::identity::Side;
use crate::ids::{Digest32, NegotiationId, NodeId};
use crate::signed::Signed;
use crate::time::{MAX_CLOCK_SKEW_MS, Staleness, Timestamp};

/// Most messages of one negotiation; with it a transcript is bounded in memory and on disk.
pub const MAX_MESSAGES: usize = 64;
/// Messages reserved for the conclusion: no more requests and offers once only these are left.
const CLOSING_MESSAGES: usize = 8;

/// A negotiation's messages, checked, and the resulting state.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
    parties: Parties,
    negotiation: NegotiationId,
    messages: Vec<Authentic>,
    state: State,
}

impl Transcript {
    /// Replays `messages` from the first on and checks everything again except their freshness; `owner` returns the institution to
    /// which a node belongs or belonged, and its key.
    ///
    /// # Errors
    /// [`NegotiationError::Stored`] names the first message that is not valid.
    pub fn verify(
        messages: impl IntoIterator<Item = Signed<NegotiationMessage>>,
        parties: &Parties,
        owner: impl Fn(&NodeId) -> Option<Side>,
    ) -> Result<Self, NegotiationError> {
        Self::replay(messages, parties, |signed| Authentic::check(signed, &owner))
    }

    /// As [`Transcript::verify`], for messages that this node has stored where no one else can write: the institution of the
    /// sending node was checked when the message was received.
    ///
    /// # Errors
    /// [`NegotiationError::Stored`] names the first message that is not valid.
    pub(super) fn from_stored(stored: StoredNegotiation) -> Result<Self, NegotiationError> {
        let StoredNegotiation { parties, messages, .. } = stored;
        Self::replay(messages, &parties, |signed| parties.authenticate_stored(signed))
    }

    fn replay(
        messages: impl IntoIterator<Item = Signed<NegotiationMessage>>,
        parties: &Parties,
        check: impl Fn(Signed<NegotiationMessage>) -> Result<Authentic, Refusal>,
    ) -> Result<Self, NegotiationError> {
        let mut transcript: Option<Self> = None;
        let mut sequence = 0_usize;
        for signed in messages {
            sequence = sequence.saturating_add(1);
            let appended = check(signed).and_then(|message| {
                let sent_at = message.message().sent_at;
                match transcript.take() {
                    None => Self::begin(message, parties, sent_at),
                    Some(so_far) => so_far.append(message, sent_at),
                }
            });
            transcript = Some(appended.map_err(|refusal| NegotiationError::Stored { sequence, refusal })?);
        }
        transcript.ok_or(NegotiationError::Stored {
            sequence,
            refusal: Refusal::NoRequest,
        })
    }

    /// Digest of the newest message.
    pub fn head(&self) -> Digest32 {
        self.messages.last().map_or(Digest32::ZERO, Authentic::digest)
    }

    /// The negotiation.
    pub fn negotiation(&self) -> NegotiationId {
        self.negotiation
    }

    /// The two institutions.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// The resulting state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The messages in order.
    pub fn messages(&self) -> &[Authentic] {
        &self.messages
    }

    pub(super) fn begin(first: Authentic, parties: &Parties, now: Timestamp) -> Result<Self, Refusal> {
        let by = parties.author(&first)?;
        check_size(&first)?;
        let message = first.message();
        check_not_future(message, now)?;
        if message.sequence != 1 {
            return Err(Refusal::OutOfOrder {
                expected: 1,
                found: message.sequence,
            });
        }
        if message.previous.is_some() {
            return Err(Refusal::OtherTranscript);
        }
        let state = State::begin(&Turn { message, by, parties })?;
        Ok(Self {
            parties: parties.clone(),
            negotiation: message.negotiation,
            messages: vec![first],
            state,
        })
    }

    /// The transcript with one more message, from either side.
    pub(super) fn append(self, next: Authentic, now: Timestamp) -> Result<Self, Refusal> {
        let by = self.author(&next)?;
        check_size(&next)?;
        let message = next.message();
        self.check_sequence(message)?;
        self.check_time(message, now)?;
        self.check_length(&message.body)?;
        let state = self.state.next(&Turn {
            message,
            by,
            parties: &self.parties,
        })?;
        let mut messages = self.messages;
        messages.push(next);
        Ok(Self {
            messages,
            state,
            ..self
        })
    }

    /// Handles a message from the other side: it is the next one, it is already known, or it crossed one of ours.
    pub(super) fn receive(&self, us: Party, message: Authentic, now: Timestamp) -> Result<Arrival, Refusal> {
        if self.author(&message)? == us {
            return Err(Refusal::OtherParties {
                from: message.message().from.clone(),
                to: message.message().to.clone(),
            });
        }
        if self.messages.iter().rfind(|known| !self.is_from(known, us)) == Some(&message) {
            return Ok(Arrival::Known {
                answers: self.since_other_side(us),
            });
        }
        if !self.crosses(&message, us) {
            return self.clone().append(message, now).map(Arrival::New);
        }
        let both_terminate = matches!(self.state, State::Terminated(_));
        if both_terminate && us == Party::Consumer {
            let ours = self.messages.last().map(|ours| ours.signed().clone());
            return Ok(Arrival::Known {
                answers: ours.into_iter().collect(),
            });
        }
        self.without_last()?.append(message, now).map(Arrival::New)
    }

    /// The message that `by` would send next.
    pub(super) fn draft(&self, by: Party, body: Body, node: NodeId, now: Timestamp) -> NegotiationMessage {
        NegotiationMessage {
            negotiation: self.negotiation,
            sequence: self.next_sequence(),
            previous: Some(self.head()),
            from: self.parties.side(by).institution.clone(),
            to: self.parties.side(by.other()).institution.clone(),
            node,
            sent_at: now,
            body,
        }
    }

    /// What `party` sent since the last message of the other side, in order.
    pub(super) fn since_other_side(&self, party: Party) -> Vec<Signed<NegotiationMessage>> {
        let last = self.messages.iter().rposition(|message| !self.is_from(message, party));
        let ours = self
            .messages
            .iter()
            .skip(last.map_or(0, |position| position.saturating_add(1)));
        ours.map(|message| message.signed().clone()).collect()
    }

    fn author(&self, authentic: &Authentic) -> Result<Party, Refusal> {
        let found = authentic.message().negotiation;
        if found == self.negotiation {
            self.parties.author(authentic)
        } else {
            Err(Refusal::OtherNegotiation { found })
        }
    }

    fn next_sequence(&self) -> u32 {
        self.messages
            .last()
            .map_or(1, |last| last.message().sequence.saturating_add(1))
    }

    fn check_sequence(&self, message: &NegotiationMessage) -> Result<(), Refusal> {
        let expected = self.next_sequence();
        if message.sequence != expected {
            return Err(Refusal::OutOfOrder {
                expected,
                found: message.sequence,
            });
        }
        if message.previous == Some(self.head()) {
            Ok(())
        } else {
            Err(Refusal::OtherTranscript)
        }
    }

    fn check_time(&self, message: &NegotiationMessage, now: Timestamp) -> Result<(), Refusal> {
        check_not_future(message, now)?;
        let before = self
            .messages
            .last()
            .map_or(message.sent_at, |last| last.message().sent_at);
        let by_ms = before.since(message.sent_at);
        if by_ms > MAX_CLOCK_SKEW_MS {
            Err(Refusal::Stale(Staleness::Stale { by_ms }))
        } else {
            Ok(())
        }
    }

    fn check_length(&self, body: &Body) -> Result<(), Refusal> {
        let negotiating = matches!(body, Body::Request { .. } | Body::Offer { .. });
        let limit = if negotiating {
            MAX_MESSAGES.saturating_sub(CLOSING_MESSAGES)
        } else {
            MAX_MESSAGES
        };
        if self.messages.len() < limit {
            Ok(())
        } else {
            Err(Refusal::TooLong)
        }
    }

    fn is_from(&self, message: &Authentic, party: Party) -> bool {
        message.message().from == self.parties.side(party).institution
    }

    /// Whether `message` is a termination that crossed our last message in transit, in a state where either side may send. The
    /// termination takes precedence and our message is withdrawn; if ours is a termination too, the consumer's stands. So both
    /// sides end with the same transcript.
    fn crosses(&self, message: &Authentic, us: Party) -> bool {
        let theirs = message.message();
        let last = self.messages.last();
        let same_position = |ours: &Authentic| {
            let ours = ours.message();
            theirs.sequence == ours.sequence && theirs.previous == ours.previous
        };
        matches!(theirs.body, Body::Terminate { .. })
            && self.messages.len() > 1
            && !matches!(self.state, State::Finalized(_))
            && last.is_some_and(|last| self.is_from(last, us) && same_position(last))
    }

    /// The transcript before the last message.
    fn without_last(&self) -> Result<Self, Refusal> {
        let [first, rest @ .., _last] = self.messages.as_slice() else {
            return Err(Refusal::OtherTranscript);
        };
        let begun = Self::begin(first.clone(), &self.parties, first.message().sent_at)?;
        rest.iter().try_fold(begun, |so_far, next| {
            so_far.append(next.clone(), next.message().sent_at)
        })
    }
}

/// A message may be delivered long after it was signed, because its recipient was away. Its delivery is fresh: the session proves that
/// the sender sends it now. Its position in the transcript prevents replays.
fn check_not_future(message: &NegotiationMessage, now: Timestamp) -> Result<(), Refusal> {
    message.sent_at.fresh_at(now, i64::MAX).map_err(Refusal::Stale)
}

fn check_size(message: &Authentic) -> Result<(), Refusal> {
    let bytes = message.signed().as_bytes().len();
    let is_request = matches!(message.message().body, Body::Request { .. });
    if is_request && bytes > MAX_REQUEST {
        Err(Refusal::RequestTooLarge { bytes })
    } else {
        Ok(())
    }
}

/// The result of receiving a message.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one exists at a time, and almost always the large one"
)]
pub(super) enum Arrival {
    /// It is new and leads to this transcript.
    New(Transcript),
    /// It was received before.
    Known {
        /// What we sent after it.
        answers: Vec<Signed<NegotiationMessage>>,
    },
}

/// A negotiation as it is stored: which side we are on, between which keys, and the signed messages. The state is restored by
/// replaying them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredNegotiation {
    /// Our side.
    pub role: Party,
    /// The two institutions with their keys at that time: the negotiation belongs to these keys, even if the roster changes.
    pub parties: Parties,
    /// The messages in order, at most [`MAX_MESSAGES`].
    #[serde(deserialize_with = "bounded")]
    pub messages: Vec<Signed<NegotiationMessage>>,
}

fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Signed<NegotiationMessage>>, D::Error> {
    let messages = Vec::deserialize(deserializer)?;
    if messages.len() > MAX_MESSAGES {
        Err(de::Error::custom(Refusal::TooLong))
    } else {
        Ok(messages)
    }
}
