//! The states, one struct each, and the rules by which a message leads from one to the next.
//!
//! Both sides apply the same rules to every message, including their own: no side can send what it would refuse.

use super::{Parties, Refusal};
use super::{
    message::{Body, Justification, Narrowing, NegotiationMessage},
    state_name::StateName,
};
use crate::grant::{GrantError, GrantTerms, Party, ValidGrant};
use crate::ids::{Digest32, GrantId};
use crate::scope::Scope;
use crate::signed::CoSigned;
use crate::text::Reason;
use crate::time::Timestamp;

/// The consumer has sent a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Requested {
    /// What it requests.
    pub request: Scope,
    /// Why.
    pub justification: Justification,
}

/// The provider has sent an offer.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    /// What was requested.
    pub request: Scope,
    /// What is offered.
    pub offer: Scope,
    /// Why it is narrower.
    pub narrowings: Vec<Narrowing>,
}

/// The consumer has accepted the offer.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// What both sides have accepted.
    pub offer: Scope,
}

/// The provider has signed the terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreed {
    /// The terms.
    pub terms: GrantTerms,
    /// The terms with the provider's signature.
    pub signed: CoSigned<GrantTerms>,
}

/// The consumer has signed the terms too.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedTerms {
    /// The terms with both signatures.
    pub grant: ValidGrant,
}

/// The provider has confirmed: the grant is active.
#[derive(Clone, Debug, PartialEq)]
pub struct Finalized {
    /// The terms with both signatures.
    pub grant: ValidGrant,
    /// When it was confirmed.
    pub at: Timestamp,
}

/// One side has ended the negotiation; there is no grant.
#[derive(Clone, Debug, PartialEq)]
pub struct Terminated {
    /// Which side.
    pub by: Party,
    /// Why.
    pub reason: Reason,
}

/// The state of a negotiation.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "each variant holds the struct of the same name, which is documented"
)]
pub enum State {
    Requested(Requested),
    Offered(Offered),
    Accepted(Accepted),
    Agreed(Agreed),
    Verified(VerifiedTerms),
    Finalized(Finalized),
    Terminated(Terminated),
}

/// One incoming or outgoing message: everything that the rules check besides the state itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn<'a> {
    pub(super) message: &'a NegotiationMessage,
    pub(super) by: Party,
    pub(super) parties: &'a Parties,
}

impl State {
    /// The state that a first message leads to.
    pub(super) fn begin(turn: &Turn<'_>) -> Result<Self, Refusal> {
        match (turn.by, &turn.message.body) {
            (Party::Consumer, Body::Request { scope, justification }) => {
                Requested::new(scope, justification, turn).map(Self::Requested)
            }
            _ => Err(Refusal::NoRequest),
        }
    }

    /// The state that `turn` leads to; the table of the Dataspace Protocol, contract negotiation.
    pub(super) fn next(self, turn: &Turn<'_>) -> Result<Self, Refusal> {
        use Party::{Consumer, Provider};
        let name = self.name();
        match (self, turn.by, &turn.message.body) {
            (Self::Requested(state), Provider, Body::Offer { scope, narrowings }) => {
                state.offered(scope, narrowings, turn).map(Self::Offered)
            }
            (Self::Requested(state), Provider, Body::Agreement { terms }) => {
                state.agreed(terms, turn).map(Self::Agreed)
            }
            (Self::Offered(state), Consumer, Body::Request { scope, justification }) => {
                state.requested(scope, justification, turn).map(Self::Requested)
            }
            (Self::Offered(state), Consumer, Body::Accept) => Ok(Self::Accepted(state.accepted())),
            (Self::Accepted(state), Provider, Body::Agreement { terms }) => state.agreed(terms, turn).map(Self::Agreed),
            (Self::Agreed(state), Consumer, Body::Verification { terms }) => {
                state.verified(terms, turn).map(Self::Verified)
            }
            (Self::Verified(state), Provider, Body::Finalized) => Ok(Self::Finalized(state.finalized(turn))),
            (_, by, Body::Terminate { reason }) if name.may_terminate(by) => Ok(Self::Terminated(Terminated {
                by,
                reason: reason.clone(),
            })),
            (_, by, body) => Err(Refusal::WrongTurn {
                state: name,
                by,
                kind: body.kind(),
            }),
        }
    }

    /// The name of this state.
    pub const fn name(&self) -> StateName {
        match self {
            Self::Requested(_) => StateName::Requested,
            Self::Offered(_) => StateName::Offered,
            Self::Accepted(_) => StateName::Accepted,
            Self::Agreed(_) => StateName::Agreed,
            Self::Verified(_) => StateName::Verified,
            Self::Finalized(_) => StateName::Finalized,
            Self::Terminated(_) => StateName::Terminated,
        }
    }
}

impl Requested {
    fn new(scope: &Scope, justification: &Justification, turn: &Turn<'_>) -> Result<Self, Refusal> {
        if scope.collection.institution != turn.parties.provider().institution {
            return Err(Refusal::OtherCollection);
        }
        scope.check_applied().map_err(Refusal::NotApplied)?;
        check_window(scope, turn)?;
        Ok(Self {
            request: scope.clone(),
            justification: justification.clone(),
        })
    }

    fn offered(self, offer: &Scope, narrowings: &[Narrowing], turn: &Turn<'_>) -> Result<Offered, Refusal> {
        let parts = self.request.wider_parts(offer);
        if !parts.is_empty() {
            return Err(Refusal::WiderThanRequest { parts });
        }
        offer.check_applied().map_err(Refusal::NotApplied)?;
        check_window(offer, turn)?;
        Narrowing::check_all(narrowings, &self.request, offer)?;
        Ok(Offered {
            request: self.request,
            offer: offer.clone(),
            narrowings: narrowings.to_vec(),
        })
    }

    fn agreed(self, signed: &CoSigned<GrantTerms>, turn: &Turn<'_>) -> Result<Agreed, Refusal> {
        Agreed::new(signed, &self.request, false, turn)
    }
}

impl Offered {
    fn requested(self, scope: &Scope, justification: &Justification, turn: &Turn<'_>) -> Result<Requested, Refusal> {
        if scope.collection == self.request.collection {
            Requested::new(scope, justification, turn)
        } else {
            Err(Refusal::OtherCollection)
        }
    }

    fn accepted(self) -> Accepted {
        Accepted { offer: self.offer }
    }
}

impl Accepted {
    fn agreed(self, signed: &CoSigned<GrantTerms>, turn: &Turn<'_>) -> Result<Agreed, Refusal> {
        Agreed::new(signed, &self.offer, true, turn)
    }
}

impl Agreed {
    fn new(signed: &CoSigned<GrantTerms>, scope: &Scope, accepted: bool, turn: &Turn<'_>) -> Result<Self, Refusal> {
        let by_provider = signed.clone().verify(&[turn.parties.provider().key]);
        let verified = by_provider.map_err(|error| Refusal::Terms(GrantError::Signature(error)))?;
        let terms = verified.document();
        terms.check().map_err(Refusal::Terms)?;
        if terms.scope != *scope {
            return Err(Refusal::ScopeChanged { accepted });
        }
        check_terms(terms, turn)?;
        check_window(scope, turn)?;
        Ok(Self {
            terms: terms.clone(),
            signed: signed.clone(),
        })
    }

    fn verified(self, signed: &CoSigned<GrantTerms>, turn: &Turn<'_>) -> Result<VerifiedTerms, Refusal> {
        let digest = |signed: &CoSigned<GrantTerms>| {
            signed
                .payload_digest()
                .map_err(|error| Refusal::Terms(GrantError::Signature(error)))
        };
        if digest(signed)? != digest(&self.signed)? {
            return Err(Refusal::TermsChanged);
        }
        let provider = turn.parties.provider().key;
        let consumer = turn.parties.consumer().key;
        let grant = ValidGrant::check(signed.clone(), provider, consumer).map_err(Refusal::Terms)?;
        Ok(VerifiedTerms { grant })
    }
}

impl VerifiedTerms {
    fn finalized(self, turn: &Turn<'_>) -> Finalized {
        Finalized {
            grant: self.grant,
            at: turn.message.sent_at,
        }
    }
}

/// Terms must name this negotiation and have the date of the message that contains them. That date is neither in the future nor before
/// the message that it answers, and the consumer's signature follows it: the terms cannot be backdated.
fn check_terms(terms: &GrantTerms, turn: &Turn<'_>) -> Result<(), Refusal> {
    let head = turn.message.previous.unwrap_or(Digest32::ZERO);
    let same = [
        ("grant", terms.grant == GrantId::from(turn.message.negotiation)),
        ("revision", terms.revision == 1),
        ("provider", terms.provider == turn.parties.provider().institution),
        ("consumer", terms.consumer == turn.parties.consumer().institution),
        ("provider key", terms.provider_key == turn.parties.provider().key),
        ("consumer key", terms.consumer_key == turn.parties.consumer().key),
        ("transcript", terms.transcript == head),
        ("time", terms.agreed_at == turn.message.sent_at),
    ];
    match same.into_iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(Refusal::TermsDiffer { what }),
        None => Ok(()),
    }
}

/// The window must not be over when the message is signed. If it is over when the message arrives, the negotiation continues all the
/// same, so that it can end; a grant that results from it permits nothing.
fn check_window(scope: &Scope, turn: &Turn<'_>) -> Result<(), Refusal> {
    let not_after = scope.window.not_after();
    if turn.message.sent_at < not_after {
        Ok(())
    } else {
        Err(Refusal::WindowOver { not_after })
    }
}
