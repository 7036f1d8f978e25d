//! What both sides of a negotiation can do; their own steps stand in `provider` and `consumer`.

use std::fmt;
use std::marker::PhantomData;

use super::message::{Authentic, Body, NegotiationMessage};
use super::state::State;
use super::state_name::StateName;
use super::transcript::{Arrival, StoredNegotiation, Transcript};
use super::{NegotiationError, Refusal};
use crate::grant::{Party, ValidGrant};
use crate::identity::{NodeKey, PrivateKey, Side};
use crate::ids::{InstitutionId, NegotiationId, NodeId};
use crate::signed::{Signed, Verified};
use crate::text::Reason;
use crate::time::Timestamp;

/// Which side of a negotiation this node is on, as a type.
pub trait Role: sealed::Sealed + Copy + fmt::Debug + PartialEq {
    /// The side.
    const PARTY: Party;
}

/// The side that holds the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsProvider;

/// The side that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsConsumer;

impl Role for AsProvider {
    const PARTY: Party = Party::Provider;
}

impl Role for AsConsumer {
    const PARTY: Party = Party::Consumer;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::AsProvider {}
    impl Sealed for super::AsConsumer {}
}

/// A negotiation seen from one side. No step changes it: each gives the next one, to be stored before the message is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Negotiation<R> {
    pub(super) transcript: Transcript,
    pub(super) role: PhantomData<R>,
}

/// A step we took: store `next`, then send `message`.
#[derive(Clone, Debug)]
pub struct Sent<R> {
    /// The negotiation after the step.
    pub next: Negotiation<R>,
    /// What the other side is to be told.
    pub message: Signed<NegotiationMessage>,
}

/// What became of a message that the other side sent.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one exists at a time, and almost always the large one"
)]
pub enum Received<R> {
    /// The negotiation went on: store it before acknowledging.
    Advanced(Negotiation<R>),
    /// The message was received before; nothing changes.
    Duplicate {
        /// What we sent after it, in order, to be sent again.
        answers: Vec<Signed<NegotiationMessage>>,
    },
}

impl<R: Role> Negotiation<R> {
    /// Takes the next message of the other side.
    ///
    /// # Errors
    /// [`NegotiationError::Peer`] with the rule it breaks; the negotiation stays as it was.
    pub fn receive(&self, message: Authentic, now: Timestamp) -> Result<Received<R>, NegotiationError> {
        let arrival = self
            .transcript
            .receive(R::PARTY, message, now)
            .map_err(NegotiationError::Peer)?;
        Ok(match arrival {
            Arrival::New(transcript) => Received::Advanced(Self::over(transcript)),
            Arrival::Known { answers } => Received::Duplicate { answers },
        })
    }

    /// Ends the negotiation, where the table allows it to our side.
    ///
    /// # Errors
    /// [`NegotiationError::Ours`] when it does not.
    pub fn terminate(&self, reason: Reason, node: &NodeKey, now: Timestamp) -> Result<Sent<R>, NegotiationError> {
        self.say(Body::Terminate { reason }, node, now)
    }

    /// Reads a stored negotiation back.
    ///
    /// # Errors
    /// [`NegotiationError::Stored`] when it is damaged or of the other side.
    pub fn restore(stored: StoredNegotiation) -> Result<Self, NegotiationError> {
        if stored.role != R::PARTY {
            return Err(NegotiationError::OtherRole { role: stored.role });
        }
        Transcript::reread(stored).map(Self::over)
    }

    /// What to store.
    pub fn stored(&self) -> StoredNegotiation {
        let messages = self
            .transcript
            .messages()
            .iter()
            .map(|message| message.signed().clone())
            .collect();
        StoredNegotiation {
            role: R::PARTY,
            parties: self.transcript.parties().clone(),
            messages,
        }
    }

    /// The negotiation.
    pub fn id(&self) -> NegotiationId {
        self.transcript.negotiation()
    }

    /// The messages so far.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        self.transcript.state()
    }

    /// The name of the state.
    pub fn state_name(&self) -> StateName {
        self.state().name()
    }

    /// The other institution.
    pub fn peer(&self) -> &InstitutionId {
        &self.transcript.parties().side(R::PARTY.other()).institution
    }

    /// The other institution with the key that the negotiation began with.
    pub fn peer_side(&self) -> &Side {
        self.transcript.parties().side(R::PARTY.other())
    }

    /// The grant that came of it, once finalised.
    pub fn grant(&self) -> Option<&ValidGrant> {
        match self.state() {
            State::Finalized(state) => Some(&state.grant),
            State::Requested(_)
            | State::Offered(_)
            | State::Accepted(_)
            | State::Agreed(_)
            | State::Verified(_)
            | State::Terminated(_) => None,
        }
    }

    /// What we sent since the other side last spoke, in order, to be sent again after a break.
    pub fn unanswered(&self) -> Vec<Signed<NegotiationMessage>> {
        self.transcript.since_other_side(R::PARTY)
    }

    pub(super) fn say(&self, body: Body, node: &NodeKey, now: Timestamp) -> Result<Sent<R>, NegotiationError> {
        let draft = self.transcript.draft(R::PARTY, body, node.public(), now);
        let signed = sign(&draft, node)?;
        let message = signed.signed().clone();
        let next = self
            .transcript
            .clone()
            .take(
                Authentic::own(signed, self.transcript.parties().side(R::PARTY).key),
                now,
            )
            .map_err(NegotiationError::Ours)?;
        Ok(Sent {
            next: Self::over(next),
            message,
        })
    }

    pub(super) const fn over(transcript: Transcript) -> Self {
        Self {
            transcript,
            role: PhantomData,
        }
    }
}

pub(super) fn sign(
    message: &NegotiationMessage,
    node: &NodeKey,
) -> Result<Verified<NegotiationMessage, NodeId>, NegotiationError> {
    Signed::sign(message, node).map_err(|error| NegotiationError::Ours(Refusal::Signature(error)))
}
