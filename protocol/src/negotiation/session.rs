//! What both sides of a negotiation can do; their own steps are in `provider` and `consumer`.

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

/// The side that requests data.
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

/// A negotiation as seen from one side. No step changes it: each returns the next value, to be stored before the message is sent.
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
    /// The message to the other side.
    pub message: Signed<NegotiationMessage>,
}

/// The result of receiving a message.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one exists at a time, and almost always the large one"
)]
pub enum Received<R> {
    /// The negotiation advanced: store it before acknowledging.
    Advanced(Negotiation<R>),
    /// The message was received before; nothing changes.
    Duplicate {
        /// What we sent after it, in order, to be sent again.
        answers: Vec<Signed<NegotiationMessage>>,
    },
}

impl<R: Role> Negotiation<R> {
    /// Handles the next message of the other side.
    ///
    /// # Errors
    /// [`NegotiationError::Peer`] with the rule that it breaks; the negotiation is unchanged.
    pub fn receive(&self, message: Authentic, now: Timestamp) -> Result<Received<R>, NegotiationError> {
        let arrival = self
            .transcript
            .receive(R::PARTY, message, now)
            .map_err(NegotiationError::Peer)?;
        Ok(match arrival {
            Arrival::New(transcript) => Received::Advanced(Self::from_transcript(transcript)),
            Arrival::Known { answers } => Received::Duplicate { answers },
        })
    }

    /// Ends the negotiation, if the state table allows that to our side.
    ///
    /// # Errors
    /// [`NegotiationError::Ours`] if it does not.
    pub fn terminate(&self, reason: Reason, node: &NodeKey, now: Timestamp) -> Result<Sent<R>, NegotiationError> {
        self.advance(Body::Terminate { reason }, node, now)
    }

    /// Restores a stored negotiation.
    ///
    /// # Errors
    /// [`NegotiationError::Stored`] if it is damaged, [`NegotiationError::OtherRole`] if it belongs to the other side.
    pub fn restore(stored: StoredNegotiation) -> Result<Self, NegotiationError> {
        if stored.role != R::PARTY {
            return Err(NegotiationError::OtherRole { role: stored.role });
        }
        Transcript::from_stored(stored).map(Self::from_transcript)
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

    /// Its id.
    pub fn id(&self) -> NegotiationId {
        self.transcript.negotiation()
    }

    /// The messages so far.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Its state.
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

    /// The resulting grant, once finalized.
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

    /// What we sent since the last message of the other side, in order, to be sent again after an interruption.
    pub fn unanswered(&self) -> Vec<Signed<NegotiationMessage>> {
        self.transcript.since_other_side(R::PARTY)
    }

    pub(super) fn advance(&self, body: Body, node: &NodeKey, now: Timestamp) -> Result<Sent<R>, NegotiationError> {
        let draft = self.transcript.draft(R::PARTY, body, node.public(), now);
        let signed = sign(&draft, node)?;
        let message = signed.signed().clone();
        let next = self
            .transcript
            .clone()
            .append(
                Authentic::own(signed, self.transcript.parties().side(R::PARTY).key),
                now,
            )
            .map_err(NegotiationError::Ours)?;
        Ok(Sent {
            next: Self::from_transcript(next),
            message,
        })
    }

    pub(super) const fn from_transcript(transcript: Transcript) -> Self {
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
