//! The terms of a grant and what makes them valid.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::party::Party;
use crate::identity::{InstitutionPublicKey, Side};
use crate::ids::{Digest32, GrantId, InstitutionId};
use crate::labels::{self, DomainLabel};
use crate::scope::{NotApplied, Scope};
use crate::signed::{CoSigned, Document, SignatureError};
use crate::time::Timestamp;

/// What two institutions agreed on; signed by both of their keys over the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantTerms {
    /// The grant; the same 16 bytes as its negotiation.
    pub grant: GrantId,
    /// Counts up from 1 with every amendment.
    pub revision: u32,
    /// Who holds the data.
    pub provider: InstitutionId,
    /// The key that represents the provider. The grant belongs to this key: a name alone gives no rights under it.
    pub provider_key: InstitutionPublicKey,
    /// Who may query it.
    pub consumer: InstitutionId,
    /// The key that represents the consumer.
    pub consumer_key: InstitutionPublicKey,
    /// What is permitted.
    pub scope: Scope,
    /// Digest of the provider's policy set that made the offer.
    pub policy: Digest32,
    /// Head of the negotiation's transcript when the terms were written.
    pub transcript: Digest32,
    /// When the provider signed: the same time as that of the message which carries the terms.
    pub agreed_at: Timestamp,
}

impl Document for GrantTerms {
    const LABEL: DomainLabel = labels::GRANT;
}

impl GrantTerms {
    /// The institution on the side `party`, with its key.
    pub fn side(&self, party: Party) -> Side {
        let (institution, key) = match party {
            Party::Provider => (&self.provider, self.provider_key),
            Party::Consumer => (&self.consumer, self.consumer_key),
        };
        Side {
            institution: institution.clone(),
            key,
        }
    }

    /// Which side `who` is on, if any: id and key must both be those of the terms.
    pub fn party(&self, who: &Side) -> Option<Party> {
        [Party::Provider, Party::Consumer]
            .into_iter()
            .find(|party| self.side(*party) == *who)
    }

    /// Checks the rules that terms must satisfy, no matter who signed them.
    ///
    /// # Errors
    /// [`GrantError`] names the rule that they break.
    pub fn check(&self) -> Result<(), GrantError> {
        if self.provider == self.consumer || self.provider_key == self.consumer_key {
            return Err(GrantError::OneParty);
        }
        if self.scope.collection.institution != self.provider {
            return Err(GrantError::ForeignCollection {
                provider: self.provider.clone(),
            });
        }
        if self.revision == 0 {
            return Err(GrantError::NoRevision);
        }
        self.scope.check_applied().map_err(GrantError::NotApplied)
    }
}

/// Terms that both institutions have signed.
#[derive(Clone, Debug)]
pub struct ValidGrant {
    /// Every query under the grant reads them.
    terms: Arc<GrantTerms>,
    signed: CoSigned<GrantTerms>,
    digest: Digest32,
}

impl ValidGrant {
    /// Checks the signatures of both institutions, whose keys the roster pins, and the rules that the terms must satisfy by
    /// themselves.
    ///
    /// # Errors
    /// [`GrantError`] names the rule that they break.
    pub fn check(
        signed: CoSigned<GrantTerms>,
        provider: InstitutionPublicKey,
        consumer: InstitutionPublicKey,
    ) -> Result<Self, GrantError> {
        if provider == consumer {
            return Err(GrantError::OneParty);
        }
        let named = signed.peek_unverified().map_err(GrantError::Signature)?;
        if named.provider_key != provider || named.consumer_key != consumer {
            return Err(GrantError::OtherKeys);
        }
        let digest = signed.payload_digest().map_err(GrantError::Signature)?;
        let verified = signed.verify(&[provider, consumer]).map_err(GrantError::Signature)?;
        verified.document().check()?;
        let (terms, signed) = verified.into_parts();
        Ok(Self {
            terms: Arc::new(terms),
            signed,
            digest,
        })
    }

    /// The terms.
    pub fn terms(&self) -> &GrantTerms {
        &self.terms
    }

    /// The same terms, to keep without a copy.
    pub fn shared_terms(&self) -> Arc<GrantTerms> {
        Arc::clone(&self.terms)
    }

    /// The bytes that both signed, to store or show.
    pub fn signed(&self) -> &CoSigned<GrantTerms> {
        &self.signed
    }

    /// Identifies the terms: SHA-256 of the encoded payload.
    pub fn digest(&self) -> Digest32 {
        self.digest
    }
}

impl PartialEq for ValidGrant {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// Why terms are not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// A signature is missing or wrong.
    #[error("the terms are not signed by both institutions")]
    Signature(#[source] SignatureError),
    /// Provider and consumer are the same, or use the same key.
    #[error("the provider and the consumer of a grant must be two institutions with a key each")]
    OneParty,
    /// The terms name other keys than those of the two institutions.
    #[error("the terms name other keys than those of the two institutions")]
    OtherKeys,
    /// The collection belongs to another institution.
    #[error("the terms cover a collection of another institution than `{provider}`")]
    ForeignCollection {
        /// The provider named in the terms.
        provider: InstitutionId,
    },
    /// Revisions count from 1.
    #[error("the terms have no revision number")]
    NoRevision,
    /// The scope has a part that is not applied.
    #[error("the terms have a part that is not applied")]
    NotApplied(#[source] NotApplied),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::testing::{institution_key, side, terms};
    use crate::identity::PrivateKey;
    use crate::scope::{Noise, Part, Protection, Tier};

    fn signed_by(terms: &GrantTerms, seeds: &[u8]) -> CoSigned<GrantTerms> {
        let proposed = CoSigned::propose(terms).unwrap();
        seeds.iter().fold(proposed, |signed, seed| {
            signed.add_signature(&institution_key(*seed)).unwrap()
        })
    }

    #[test]
    fn terms_need_both_signatures() {
        let check = |seeds: &[u8]| {
            ValidGrant::check(
                signed_by(&terms(), seeds),
                institution_key(1).public(),
                institution_key(2).public(),
            )
        };
        assert_eq!(check(&[1, 2]).unwrap().terms(), &terms());
        for incomplete in [&[1][..], &[2], &[], &[1, 3]] {
            assert!(
                matches!(check(incomplete), Err(GrantError::Signature(_))),
                "{incomplete:?}"
            );
        }
    }

    #[test]
    fn terms_bind_parties_to_their_keys() {
        let check = |terms: &GrantTerms| {
            ValidGrant::check(
                signed_by(terms, &[1, 2]),
                institution_key(1).public(),
                institution_key(2).public(),
            )
            .map(|_| ())
        };
        assert_eq!(check(&terms()), Ok(()));
        let others = [
            GrantTerms {
                provider_key: institution_key(3).public(),
                ..terms()
            },
            GrantTerms {
                consumer_key: institution_key(3).public(),
                ..terms()
            },
        ];
        for other in others {
            assert_eq!(check(&other), Err(GrantError::OtherKeys));
        }
        assert_eq!(terms().party(&side("zurich", 2)), Some(Party::Consumer));
        assert_eq!(terms().party(&side("budapest", 1)), Some(Party::Provider));
        for other in [
            side("zurich", 3),
            side("budapest", 2),
            side("zurich", 1),
            side("geneva", 2),
        ] {
            assert_eq!(terms().party(&other), None, "{other:?}");
        }
    }

    #[test]
    fn one_signature_cannot_stand_for_two() {
        let refused = ValidGrant::check(
            signed_by(&terms(), &[1]),
            institution_key(1).public(),
            institution_key(1).public(),
        );
        assert_eq!(refused.unwrap_err(), GrantError::OneParty);
    }

    #[test]
    fn terms_that_contradict_themselves_are_refused() {
        let check = |terms: &GrantTerms| {
            ValidGrant::check(
                signed_by(terms, &[1, 2]),
                institution_key(1).public(),
                institution_key(2).public(),
            )
            .unwrap_err()
        };
        let same = GrantTerms {
            consumer: terms().provider,
            ..terms()
        };
        assert_eq!(check(&same), GrantError::OneParty);
        let mut foreign = terms();
        foreign.scope.collection.institution = foreign.consumer.clone();
        assert_eq!(
            check(&foreign),
            GrantError::ForeignCollection {
                provider: foreign.provider.clone()
            }
        );
        assert_eq!(check(&GrantTerms { revision: 0, ..terms() }), GrantError::NoRevision);
        let mut perturbed = terms();
        perturbed.scope.protection = Protection::Perturbed(Noise::new(3, 5, 5).unwrap());
        let refused = check(&perturbed);
        assert!(
            matches!(&refused, GrantError::NotApplied(why) if why.part == Part::Protection),
            "{refused:?}"
        );
        perturbed.scope.tier = Tier::Aggregate;
        assert_eq!(perturbed.check(), Ok(()), "figures are protected so");
    }
}
