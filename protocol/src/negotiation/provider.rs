//! The provider's own steps.

use super::message::{Authentic, Body, Narrowing, RuleName};
use super::session::{AsProvider, Negotiation, Sent};
use super::state::State;
use super::{NegotiationError, Refusal};
use super::{parties::Parties, transcript::Transcript};
use crate::grant::{GrantError, GrantTerms, Party};
use crate::identity::{InstitutionKey, NodeKey};
use crate::ids::{Digest32, GrantId};
use crate::scope::{Difference, Scope};
use crate::signed::{CoSigned, SignatureError};
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

    /// Signs the terms: for the offer that was accepted, or for the request as it is if nothing is narrowed. `policy` is the
    /// digest of the policy set that decided.
    ///
    /// # Errors
    /// [`NegotiationError::Ours`] if it is not our turn or `institution_key` is not the key that the roster pins.
    pub fn agree(
        &self,
        policy: Digest32,
        institution_key: &InstitutionKey,
        node: &NodeKey,
        now: Timestamp,
    ) -> Result<Sent<AsProvider>, NegotiationError> {
        let scope = match self.state() {
            State::Requested(state) => state.request.clone(),
            State::Accepted(state) => state.offer.clone(),
            State::Offered(_) | State::Agreed(_) | State::Verified(_) | State::Finalized(_) | State::Terminated(_) => {
                return Err(NegotiationError::Ours(self.not_now("agreement")));
            }
        };
        let terms = self.terms(scope, policy, now);
        let signed = CoSigned::propose(&terms)
            .and_then(|terms| terms.add_signature(institution_key))
            .map_err(unsigned)?;
        self.advance(Body::Agreement { terms: signed }, node, now)
    }

    /// Confirms the consumer's signature: the grant is active.
    ///
    /// # Errors
    /// [`NegotiationError::Ours`] if it is not our turn.
    pub fn finalize(&self, node: &NodeKey, now: Timestamp) -> Result<Sent<AsProvider>, NegotiationError> {
        self.advance(Body::Finalized, node, now)
    }

    fn terms(&self, scope: Scope, policy: Digest32, now: Timestamp) -> GrantTerms {
        let parties = self.transcript.parties();
        GrantTerms {
            grant: GrantId::from(self.id()),
            revision: 1,
            provider: parties.provider().institution.clone(),
            provider_key: parties.provider().key,
            consumer: parties.consumer().institution.clone(),
            consumer_key: parties.consumer().key,
            scope,
            policy,
            transcript: self.transcript.head(),
            agreed_at: now,
        }
    }

    fn not_now(&self, kind: &'static str) -> Refusal {
        Refusal::WrongTurn {
            state: self.state_name(),
            by: Party::Provider,
            kind,
        }
    }
}

fn unsigned(error: SignatureError) -> NegotiationError {
    NegotiationError::Ours(Refusal::Terms(GrantError::Signature(error)))
}
