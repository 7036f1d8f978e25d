//! The provider's own steps.

use super::NegotiationError;
use super::message::{Authentic, Body, Narrowing, RuleName};
use super::session::{AsProvider, Negotiation, Sent};
use super::state::State;
use super::{parties::Parties, transcript::Transcript};
use crate::identity::NodeKey;
use crate::scope::{Difference, Scope};
use crate::text::Reason;
use crate::time::Timestamp;

/// A negotiation as seen by the institution that holds the data.
pub type ProviderNegotiation = Negotiation<AsProvider>;

impl ProviderNegotiation {
    /// Begins with the consumer's first request.
    ///
    /// # Errors
    /// [`NegotiationError::Peer`] with the rule that the request breaks.
    pub fn open(request: Authentic, parties: &Parties, now: Timestamp) -> Result<Self, NegotiationError> {
        Transcript::begin(request, parties, now)
            .map(Self::from_transcript)
            .map_err(NegotiationError::Peer)
    }

    /// Offers `scope`, which must lie inside the request; `explain` gives the reason and the rule for each difference.
    ///
    /// # Errors
    /// [`NegotiationError::Ours`] if it is wider than the request or it is not our turn.
    pub fn offer(
        &self,
        scope: Scope,
        explain: impl FnMut(&Difference) -> (Reason, Option<RuleName>),
        node: &NodeKey,
        now: Timestamp,
    ) -> Result<Sent<AsProvider>, NegotiationError> {
        let narrowings = match self.state() {
            State::Requested(state) => Narrowing::explain_all(&state.request, &scope, explain),
            State::Offered(_)
            | State::Accepted(_)
            | State::Agreed(_)
            | State::Verified(_)
            | State::Finalized(_)
            | State::Terminated(_) => Vec::new(),
        };
        self.advance(Body::Offer { scope, narrowings }, node, now)
    }

    /// Confirms the consumer's signature: the grant is active.
    ///
    /// # Errors
    /// [`NegotiationError::Ours`] if it is not our turn.
    pub fn finalize(&self, node: &NodeKey, now: Timestamp) -> Result<Sent<AsProvider>, NegotiationError> {
        self.advance(Body::Finalized, node, now)
    }
}
