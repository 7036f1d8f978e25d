//! The person behind an estimate, which is decided like a query that is not sent.

use super::{ActorAssertion, InvalidQuery, Parties};
use crate::signed::Signed;
use crate::time::Timestamp;

/// A statement about a person whose signature, parties and time have been checked, as [`ValidQuery`](super::ValidQuery) checks them.
#[derive(Clone, Debug)]
pub struct ValidAssertion(ActorAssertion);

impl ValidAssertion {
    /// Checks the signature by the peer's node key, the recipient, the person belonging to the sender, and the time. The query that the
    /// statement names is never sent, so nothing is compared with it.
    ///
    /// # Errors
    /// [`InvalidQuery`] names the check that fails.
    pub fn check(signed: Signed<ActorAssertion>, parties: &Parties, now: Timestamp) -> Result<Self, InvalidQuery> {
        let assertion = signed.verify(parties.peer)?.document().clone();
        if !assertion.actor.belongs_to(&parties.consumer) {
            return Err(InvalidQuery::ForeignSender);
        }
        if assertion.audience != parties.provider {
            return Err(InvalidQuery::WrongRecipient);
        }
        if assertion.expires <= now {
            return Err(InvalidQuery::AssertionExpired);
        }
        Ok(Self(assertion))
    }

    /// The statement.
    pub const fn assertion(&self) -> &ActorAssertion {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::identity::{NodeKey, PrivateKey};
    use crate::ids::QueryId;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn parties(key: &NodeKey) -> Parties {
        Parties {
            peer: key.public(),
            consumer: "budapest".parse().unwrap(),
            provider: "cleveland".parse().unwrap(),
        }
    }

    fn checked(key: &NodeKey, change: impl FnOnce(&mut ActorAssertion)) -> Result<ValidAssertion, InvalidQuery> {
        let mut assertion = ActorAssertion {
            actor: "eva@budapest".parse().unwrap(),
            roles: BTreeSet::new(),
            factors: BTreeSet::new(),
            authenticated_at: NOW,
            password_reset_at: None,
            training_until: None,
            training_course: None,
            audience: "cleveland".parse().unwrap(),
            query: QueryId::from_bytes([1; 16]),
            expires: NOW.plus_millis(1),
        };
        change(&mut assertion);
        let signed = Signed::sign(&assertion, key).unwrap().signed().clone();
        ValidAssertion::check(signed, &parties(&NodeKey::from_seed(&[1; 32].into())), NOW)
    }

    #[test]
    fn assertion_of_another_party_or_time_is_refused() {
        let key = NodeKey::from_seed(&[1; 32].into());
        let valid = checked(&key, |_| ()).unwrap();
        assert_eq!(valid.assertion().actor.to_string(), "eva@budapest");
        let foreign = checked(&key, |assertion| assertion.actor = "eva@zurich".parse().unwrap());
        assert!(matches!(foreign, Err(InvalidQuery::ForeignSender)));
        let other = checked(&key, |assertion| assertion.audience = "zurich".parse().unwrap());
        assert!(matches!(other, Err(InvalidQuery::WrongRecipient)));
        let late = checked(&key, |assertion| assertion.expires = NOW);
        assert!(matches!(late, Err(InvalidQuery::AssertionExpired)));
        let forged = checked(&NodeKey::from_seed(&[2; 32].into()), |_| ());
        assert!(matches!(forged, Err(InvalidQuery::Signature(_))));
    }
}
