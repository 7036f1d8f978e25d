//! What the policy is told about a request, and what it makes of it.

use concordat_protocol::grant::Party;
use concordat_protocol::identity::Side;
use concordat_protocol::ids::{DatasetRef, Digest32, InstitutionId, NegotiationId};
use concordat_protocol::membership::{Member, ValidRoster};
use concordat_protocol::negotiation::{Body, ProviderNegotiation, RuleName, State};
use concordat_protocol::scope::{Difference, Scope};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages;
use concordat_storage::{catalog::CatalogError, data_dir::Storage};

use super::{NegotiationFault, Negotiations, Restriction, narrow};
use crate::policy::{self, DatasetFacts, Explanation, OfferDecision, OfferInput};

/// What may be offered, and why it is less than what was asked.
pub(super) struct Assessed {
    pub(super) scope: Scope,
    narrowings: Vec<policy::Narrowing>,
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
                Reason::fitted(&found.reason.text),
                RuleName::new(&found.reason.rule).ok(),
            ),
            None if self.by_steward => self.explain_steward(difference),
            None => (Reason::fitted("the policy allows no more"), None),
        }
    }

    /// What the policy would have allowed stands beside what the steward offers.
    fn explain_steward(&self, difference: &Difference) -> (Reason, Option<RuleName>) {
        let same = |known: &&policy::Narrowing| {
            known.difference.part == difference.part && known.difference.asked == difference.asked
        };
        let known = self.narrowings.iter().find(same);
        let allowed = known.map_or(&difference.asked, |known| &known.difference.offered);
        let text = format!("the policy allows `{allowed}`; the holder's data steward offers less");
        (Reason::fitted(&text), RuleName::new(narrow::BY_STEWARD).ok())
    }
}

impl Negotiations {
    /// Asks the policy how much of `request` may be offered to `consumer`.
    pub(super) async fn assess(
        &self,
        request: &Scope,
        consumer: &InstitutionId,
        now: Timestamp,
    ) -> Result<Assessed, NegotiationFault> {
        match self.judge(request, consumer, now).await? {
            OfferDecision::Offer(offer) => Ok(Assessed {
                scope: offer.scope,
                narrowings: offer.narrowings,
                by_steward: false,
            }),
            OfferDecision::Refused(refusal) => Err(NegotiationFault::Denied {
                reasons: refusal.reasons.into_iter().map(told).collect(),
            }),
        }
    }

    /// The same offer as the steward narrows it. The policy is asked again about what is left, so that nothing is offered that
    /// would be denied when it is used.
    pub(super) async fn narrowed(
        &self,
        offer: Assessed,
        restriction: &Restriction,
        consumer: &InstitutionId,
        now: Timestamp,
    ) -> Result<Assessed, NegotiationFault> {
        if *restriction == Restriction::default() {
            return Ok(offer);
        }
        let dataset = &offer.scope.dataset;
        let facts = self.facts(dataset).await?.ok_or_else(|| NegotiationFault::NoDataset {
            dataset: dataset.to_string(),
        })?;
        let scope = restriction.within(&offer.scope, consumer, &facts)?;
        let again = self.assess(&scope, consumer, now).await?;
        if again.scope == scope {
            return Ok(Assessed {
                scope,
                by_steward: true,
                ..offer
            });
        }
        let told = |narrowing: policy::Narrowing| messages::Reason {
            text: format!("`{}`: {}", narrowing.difference.asked, narrowing.reason.text),
            remedy: narrowing.reason.remedy,
            rule: Some(narrowing.reason.rule),
        };
        Err(NegotiationFault::Wider {
            reasons: again.narrowings.into_iter().map(told).collect(),
        })
    }

    /// What the policy says today, rule by rule, to what was asked of us in the negotiation `id`; nothing if we asked.
    ///
    /// # Errors
    /// [`NegotiationFault`] when the negotiation, the roster or the catalogue cannot be read.
    pub async fn explain(&self, id: &NegotiationId) -> Result<Option<Explanation>, NegotiationFault> {
        let negotiation = self.show(id).await?;
        let asked = negotiation.messages.first().map(|(message, _)| message);
        let (Party::Provider, Some(message)) = (negotiation.party, asked) else {
            return Ok(None);
        };
        let Body::Request { scope, .. } = &message.body else {
            return Ok(None);
        };
        let decision = self.judge(scope, &message.from, self.0.clock.now()).await?;
        Ok(Some(match decision {
            OfferDecision::Offer(offer) => offer.explanation,
            OfferDecision::Refused(refusal) => refusal.explanation,
        }))
    }

    async fn judge(
        &self,
        request: &Scope,
        consumer: &InstitutionId,
        now: Timestamp,
    ) -> Result<OfferDecision, NegotiationFault> {
        let roster = self.0.membership.in_force(now)?;
        let facts = self.facts(&request.dataset).await?;
        let input = OfferInput {
            consumer: &party(&roster, consumer).ok_or_else(|| NegotiationFault::NoMember {
                institution: consumer.clone(),
            })?,
            provider: &party(&roster, &self.0.identity.institution).ok_or(NegotiationFault::NoRoster)?,
            dataset: facts.as_ref(),
            request,
        };
        Ok(self.0.policy.current().offer(&input, now))
    }

    /// What the agreement is decided under: the policy set, and what the steward has set for the dataset.
    pub(super) async fn policy_digest(&self, negotiation: &ProviderNegotiation) -> Result<Digest32, NegotiationFault> {
        let facts = match negotiation.state() {
            State::Accepted(accepted) => self.facts(&accepted.offer.dataset).await?,
            State::Requested(_)
            | State::Offered(_)
            | State::Agreed(_)
            | State::Verified(_)
            | State::Finalized(_)
            | State::Terminated(_) => None,
        };
        let release = facts.map(|facts| facts.release).unwrap_or_default();
        Ok(self.0.policy.current().digest_with(&release))
    }

    /// Whether peers may know of `dataset`.
    pub(super) async fn visible(&self, dataset: &DatasetRef) -> Result<(), NegotiationFault> {
        let ours = dataset.institution == self.0.identity.institution;
        let visible = ours && self.facts(dataset).await?.is_some_and(|facts| facts.published);
        if visible {
            Ok(())
        } else {
            Err(NegotiationFault::NoDataset {
                dataset: dataset.to_string(),
            })
        }
    }

    async fn facts(&self, dataset: &DatasetRef) -> Result<Option<DatasetFacts>, NegotiationFault> {
        dataset_facts(&self.0.storage, dataset).await
    }
}

/// What this node's catalogue says of one of its datasets; nothing when there is none of that name.
///
/// # Errors
/// [`NegotiationFault::Catalog`] when the catalogue cannot be read.
pub async fn dataset_facts(storage: &Storage, dataset: &DatasetRef) -> Result<Option<DatasetFacts>, NegotiationFault> {
    let (catalog, dataset) = (storage.catalog().clone(), dataset.clone());
    let read = move || match catalog.open_version(&dataset.dataset, None) {
        Ok(version) => {
            let record = catalog.datasets().show(&dataset.dataset)?;
            Ok(Some(DatasetFacts::new(
                &dataset.institution,
                &record,
                version.manifest(),
            )))
        }
        Err(CatalogError::NotFound { .. }) => Ok(None),
        Err(other) => Err(other),
    };
    Ok(tokio::task::spawn_blocking(read).await??)
}

/// An institution as the roster has it.
pub fn party(roster: &ValidRoster, institution: &InstitutionId) -> Option<policy::Party> {
    let Member {
        institution,
        jurisdiction,
        status,
        ..
    } = roster.member(institution)?;
    Some(policy::Party {
        institution: institution.clone(),
        jurisdiction: jurisdiction.clone(),
        status: Some(*status),
    })
}

/// Whether `who` is an active member of the roster by the key that it has shown.
pub fn speaks(roster: &ValidRoster, who: &Side) -> bool {
    roster
        .active_member(&who.institution)
        .is_some_and(|member| member.key == who.key)
}

fn told(reason: policy::Reason) -> messages::Reason {
    messages::Reason {
        text: reason.text,
        remedy: reason.remedy,
        rule: Some(reason.rule),
    }
}
