//! The policy's decision on a request: what may be offered, and why it is narrower.

use concordat_protocol::grant::Party;
use concordat_protocol::ids::{CollectionRef, Digest32, InstitutionId, NegotiationId};
use concordat_protocol::negotiation::{Body, RuleName};
use concordat_protocol::scope::{Difference, Limits, Scope};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages;

use super::bound_collection::BoundCollection;
use super::facts::{collection_facts, party};
use super::precedence::Precedence;
use super::restriction::{BY_STEWARD, Restriction};
use super::{NegotiationError, Negotiations};
use concordat_policy::{self, CollectionFacts, Explanation, OfferDecision, OfferInput};

/// Who gets an offer, and which place the negotiation has among the agreements of this institution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Applicant<'a> {
    pub(super) consumer: &'a InstitutionId,
    pub(super) place: Precedence,
}

/// What may be offered, and why it is narrower than the request.
pub(super) struct Assessed {
    pub(super) scope: Scope,
    narrowings: Vec<concordat_policy::Narrowing>,
    /// Whether the steward narrowed it further.
    by_steward: bool,
}

impl Assessed {
    /// The policy's reason for one difference.
    pub(super) fn explain(&self, difference: &Difference) -> (Reason, Option<RuleName>) {
        match self
            .narrowings
            .iter()
            .find(|narrowing| narrowing.difference == *difference)
        {
            Some(found) => (
                Reason::sanitized(&found.reason.text),
                RuleName::new(&found.reason.rule).ok(),
            ),
            None if self.by_steward => self.explain_steward(difference),
            None => (Reason::sanitized("the policy allows no more"), None),
        }
    }

    /// The error of an offer that goes beyond this, with what is allowed.
    pub(super) fn into_exceeded(self) -> NegotiationError {
        let to_reason = |narrowing: concordat_policy::Narrowing| messages::Reason {
            text: format!("`{}`: {}", narrowing.difference.requested, narrowing.reason.text),
            remedy: narrowing.reason.remedy,
            rule: Some(narrowing.reason.rule),
        };
        NegotiationError::ExceedsPolicy {
            reasons: self.narrowings.into_iter().map(to_reason).collect(),
        }
    }

    /// Names what the policy would have allowed next to what the steward offers.
    fn explain_steward(&self, difference: &Difference) -> (Reason, Option<RuleName>) {
        let same = |known: &&concordat_policy::Narrowing| {
            known.difference.part == difference.part && known.difference.requested == difference.requested
        };
        let known = self.narrowings.iter().find(same);
        let allowed = known.map_or(&difference.requested, |known| &known.difference.offered);
        let text = format!("the policy allows `{allowed}`; the data steward of the provider offers less");
        (Reason::sanitized(&text), RuleName::new(BY_STEWARD).ok())
    }
}

impl Negotiations {
    /// Evaluates how much of `request` the policy lets this node offer to `applicant`.
    pub(super) async fn assess(
        &self,
        request: &Scope,
        applicant: Applicant<'_>,
        now: Timestamp,
    ) -> Result<Assessed, NegotiationError> {
        match self.evaluate(request, applicant, now).await? {
            OfferDecision::Offer(offer) => Ok(Assessed {
                scope: offer.scope,
                narrowings: offer.narrowings,
                by_steward: false,
            }),
            OfferDecision::Refused(refusal) => Err(NegotiationError::Denied {
                reasons: refusal.reasons.into_iter().map(to_wire).collect(),
            }),
        }
    }

    /// The same offer, narrowed by the steward. The policy is evaluated again for the rest, so that nothing is offered that
    /// would be denied when it is used.
    pub(super) async fn narrowed(
        &self,
        offer: Assessed,
        restriction: &Restriction,
        applicant: Applicant<'_>,
        now: Timestamp,
    ) -> Result<Assessed, NegotiationError> {
        if *restriction == Restriction::default() {
            return Ok(offer);
        }
        let collection = &offer.scope.collection;
        let facts = self
            .facts(collection)
            .await?
            .ok_or_else(|| NegotiationError::NoDataset {
                dataset: collection.to_string(),
            })?;
        let scope = restriction.within(&offer.scope, applicant.consumer, &facts)?;
        let again = self.assess(&scope, applicant, now).await?;
        let scope = with_figures_of(&again.scope, scope);
        if again.scope == scope && restriction.is_of(&scope.protection) {
            let mut narrowings = offer.narrowings;
            narrowings.extend(again.narrowings);
            return Ok(Assessed {
                scope,
                narrowings,
                by_steward: true,
            });
        }
        Err(again.into_exceeded())
    }

    /// The policy's present decision, rule by rule, on the request that this node received in negotiation `id`; `None` if this node sent
    /// the request.
    ///
    /// # Errors
    /// [`NegotiationError`] when the negotiation, the roster or the catalog cannot be read.
    pub async fn explain(&self, id: &NegotiationId) -> Result<Option<Explanation>, NegotiationError> {
        let negotiation = self.show(id).await?;
        let first = negotiation.messages.first().map(|(message, _)| message);
        let (Party::Provider, Some(message)) = (negotiation.party, first) else {
            return Ok(None);
        };
        let Body::Request { scope, .. } = &message.body else {
            return Ok(None);
        };
        let applicant = Applicant {
            consumer: &message.from,
            place: self.0.store.load(id).await?.place(),
        };
        let decision = self.evaluate(scope, applicant, self.0.clock.now()).await?;
        Ok(Some(match decision {
            OfferDecision::Offer(offer) => offer.explanation,
            OfferDecision::Refused(refusal) => refusal.explanation,
        }))
    }

    async fn evaluate(
        &self,
        request: &Scope,
        Applicant { consumer, place }: Applicant<'_>,
        now: Timestamp,
    ) -> Result<OfferDecision, NegotiationError> {
        let roster = self.0.membership.valid_roster(now)?;
        let found = BoundCollection::named(&self.0.storage, &request.collection).await?;
        let held = match &found {
            Some((collection, _)) => self.held_before(place, consumer, collection, now),
            None => Vec::new(),
        };
        let input = OfferInput {
            consumer: &party(&roster, consumer).ok_or_else(|| NegotiationError::NotMember {
                institution: consumer.clone(),
            })?,
            provider: &party(&roster, &self.0.identity.institution).ok_or(NegotiationError::NoRoster)?,
            collection: found.as_ref().map(|(_, facts)| facts),
            request,
            held: &held,
        };
        Ok(self.0.policy.current().offer(&input, now))
    }

    /// Digest of what the agreement is decided under: the policy set, and the release rules that the steward has set for the dataset.
    pub(super) fn policy_digest(&self, facts: &CollectionFacts) -> Digest32 {
        self.0.policy.current().digest_with(&facts.release)
    }

    /// Checks that `collection` is visible to peers, and finds which one of that name it is.
    pub(super) async fn visible(
        &self,
        collection: &CollectionRef,
    ) -> Result<(BoundCollection, CollectionFacts), NegotiationError> {
        let found = if collection.institution == self.0.identity.institution {
            BoundCollection::named(&self.0.storage, collection).await?
        } else {
            None
        };
        let visible = found.filter(|(_, facts)| facts.published);
        visible.ok_or_else(|| NegotiationError::NoDataset {
            dataset: collection.to_string(),
        })
    }

    async fn facts(&self, collection: &CollectionRef) -> Result<Option<CollectionFacts>, NegotiationError> {
        collection_facts(&self.0.storage, collection).await
    }
}

/// The scope with the protection and the limits of figures that the policy offers: a request for records that is offered below `records`
/// has none yet.
fn with_figures_of(offered: &Scope, scope: Scope) -> Scope {
    let limits = Limits {
        max_cells: offered.limits.max_cells,
        distinctions: offered.limits.distinctions,
        ..scope.limits
    };
    Scope {
        protection: offered.protection,
        limits,
        ..scope
    }
}

fn to_wire(reason: concordat_protocol::decision::RuleReason) -> messages::Reason {
    messages::Reason {
        text: reason.text,
        remedy: reason.remedy,
        rule: Some(reason.rule),
    }
}
