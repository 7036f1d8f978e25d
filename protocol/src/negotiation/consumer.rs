//! The consumer's own steps.

use super::NegotiationError;
use super::message::{Authentic, Body, Justification, NegotiationMessage};
use super::session::{AsConsumer, Negotiation, Sent, sign};
use super::{parties::Parties, transcript::Transcript};
use crate::identity::{NodeKey, PrivateKey};
use crate::ids::NegotiationId;
use crate::scope::Scope;
use crate::time::Timestamp;

/// A negotiation as seen by the institution that requests data.
pub type ConsumerNegotiation = Negotiation<AsConsumer>;

impl ConsumerNegotiation {
    /// Begins a negotiation under the new random number `id` by requesting `scope`.
    ///
    /// # Errors
    /// [`NegotiationError::Ours`] if the collection is not the provider's or the requested time window is over.
    pub fn request(
        id: NegotiationId,
        parties: &Parties,
        scope: Scope,
        justification: Justification,
        node: &NodeKey,
        now: Timestamp,
    ) -> Result<Sent<AsConsumer>, NegotiationError> {
        let draft = NegotiationMessage {
            negotiation: id,
            sequence: 1,
            previous: None,
            from: parties.consumer().institution.clone(),
            to: parties.provider().institution.clone(),
            node: node.public(),
            sent_at: now,
            body: Body::Request { scope, justification },
        };
        let signed = sign(&draft, node)?;
        let message = signed.signed().clone();
        let transcript = Transcript::begin(Authentic::own(signed, parties.consumer().key), parties, now)
            .map_err(NegotiationError::Ours)?;
        Ok(Sent {
            next: Self::from_transcript(transcript),
            message,
        })
    }

    /// Answers an offer by requesting something else of the same collection.
    ///
    /// # Errors
    /// [`NegotiationError::Ours`] if there is no offer, or the scope breaks a rule of requests.
    pub fn counter(
        &self,
        scope: Scope,
        justification: Justification,
        node: &NodeKey,
        now: Timestamp,
    ) -> Result<Sent<AsConsumer>, NegotiationError> {
        self.advance(Body::Request { scope, justification }, node, now)
    }

    /// Accepts the offer as it is.
    ///
    /// # Errors
    /// [`NegotiationError::Ours`] if there is no offer.
    pub fn accept(&self, node: &NodeKey, now: Timestamp) -> Result<Sent<AsConsumer>, NegotiationError> {
        self.advance(Body::Accept, node, now)
    }
}
