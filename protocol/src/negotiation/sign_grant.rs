//! Where a grant is signed: first by the provider, which states the terms, then by the consumer, which adds its signature to the same bytes.

use super::consumer::ConsumerNegotiation;
use super::message::Body;
use super::provider::ProviderNegotiation;
use super::session::{AsConsumer, AsProvider, Sent};
use super::state::State;
use super::{NegotiationError, Refusal};
use crate::grant::{GrantError, GrantTerms, Party};
use crate::identity::{InstitutionKey, NodeKey};
use crate::ids::{Digest32, GrantId};
use crate::scope::Scope;
use crate::signed::{CoSigned, SignatureError};
use crate::time::Timestamp;

impl ProviderNegotiation {
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

impl ConsumerNegotiation {
    /// Adds our institution's signature to the terms that the provider signed.
    ///
    /// # Errors
    /// [`NegotiationError::Ours`] if there are none or `institution_key` is not the key that the roster pins.
    pub fn verify_agreement(
        &self,
        institution_key: &InstitutionKey,
        node: &NodeKey,
        now: Timestamp,
    ) -> Result<Sent<AsConsumer>, NegotiationError> {
        let signed = match self.state() {
            State::Agreed(state) => &state.signed,
            State::Requested(_)
            | State::Offered(_)
            | State::Accepted(_)
            | State::Verified(_)
            | State::Finalized(_)
            | State::Terminated(_) => {
                let state = self.state_name();
                let by = Party::Consumer;
                return Err(NegotiationError::Ours(Refusal::WrongTurn {
                    state,
                    by,
                    kind: "verification",
                }));
            }
        };
        let both = signed.add_signature(institution_key);
        let terms = both.map_err(|error| NegotiationError::Ours(Refusal::Terms(GrantError::Signature(error))))?;
        self.advance(Body::Verification { terms }, node, now)
    }
}

fn unsigned(error: SignatureError) -> NegotiationError {
    NegotiationError::Ours(Refusal::Terms(GrantError::Signature(error)))
}
