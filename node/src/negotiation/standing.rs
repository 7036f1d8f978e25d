//! An accepted offer that this node would make now, too: only such an offer becomes a grant.
//!
//! Between an offer and its acceptance the person who made it may lose the account or the role, the dataset may be withdrawn or erased, and
//! the policy may change; and another agreement of the consumer may come first. The node then does not sign, and a person decides: a steward confirms the offer, or ends the negotiation.

use concordat_protocol::error_kind::{Explain as _, chain};
use concordat_protocol::ids::{ActorId, Digest32};
use concordat_protocol::negotiation::{AsProvider, State};
use concordat_protocol::scope::Scope;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;

use super::admission::Admission;
use super::assess::Applicant;
use super::precedence::Precedence;
use super::sides::Continuing;
use super::{NegotiationError, Negotiations};
use crate::iam::Action;

/// An accepted offer that this node would make now, too. Only [`Negotiations::standing`] makes one.
#[derive(Debug)]
pub(super) struct StandingOffer {
    continuing: Continuing<AsProvider>,
    policy: Digest32,
    /// No other offer to the consumer is made or signed until this one is.
    admission: Admission,
}

impl StandingOffer {
    /// The negotiation with its lock, the digest of the policy that allows the offer, and the lock under which that was decided.
    pub(super) fn into_parts(self) -> (Continuing<AsProvider>, Digest32, Admission) {
        (self.continuing, self.policy, self.admission)
    }
}

impl Negotiations {
    /// Checks that the offer which the consumer has accepted is one that `author` could make now. If not, the negotiation shows why until a
    /// person has decided.
    pub(super) async fn standing(
        &self,
        continuing: Continuing<AsProvider>,
        author: Option<&ActorId>,
        now: Timestamp,
    ) -> Result<StandingOffer, NegotiationError> {
        let admission = self.0.store.lock_admission(continuing.negotiation().peer()).await;
        match self.check_offer(&continuing, author, now).await {
            Ok(policy) => Ok(StandingOffer {
                continuing,
                policy,
                admission,
            }),
            Err(error) => {
                let id = continuing.negotiation().id();
                let mut why = vec![chain(&error)];
                why.extend(error.reasons());
                let text = format!(
                    "{}; a data steward confirms the offer with `concordat grant offer {id}`, or ends it with `concordat grant reject {id}`",
                    why.join("; ")
                );
                continuing.stop(Reason::sanitized(&text));
                Err(error)
            }
        }
    }

    /// The digest of the policy that allows the offer.
    async fn check_offer(
        &self,
        continuing: &Continuing<AsProvider>,
        author: Option<&ActorId>,
        now: Timestamp,
    ) -> Result<Digest32, NegotiationError> {
        let negotiation = continuing.negotiation();
        let State::Accepted(accepted) = negotiation.state() else {
            return Err(NegotiationError::WrongState {
                step: "sign the terms",
                state: negotiation.state_name(),
            });
        };
        self.check_author(author).await?;
        let (_, facts) = self.visible(&accepted.offer.collection).await?;
        self.check_policy(&accepted.offer, continuing, now).await?;
        Ok(self.policy_digest(&facts))
    }

    async fn check_author(&self, author: Option<&ActorId>) -> Result<(), NegotiationError> {
        let author = author.cloned().ok_or(NegotiationError::UnknownAuthor)?;
        let accounts = self.0.accounts.clone();
        let permitted = move || accounts.permitted_now(&author, Action::AnswerRequests).map(drop);
        tokio::task::spawn_blocking(permitted)
            .await?
            .map_err(NegotiationError::Author)
    }

    async fn check_policy(
        &self,
        offer: &Scope,
        continuing: &Continuing<AsProvider>,
        now: Timestamp,
    ) -> Result<(), NegotiationError> {
        let negotiation = continuing.negotiation();
        let applicant = Applicant {
            consumer: negotiation.peer(),
            place: Precedence::of(negotiation.transcript()),
        };
        let again = self.assess(offer, applicant, now).await?;
        if again.scope.covers(offer) {
            Ok(())
        } else {
            Err(again.into_exceeded())
        }
    }
}
