//! The statement of this node.

use std::sync::{Mutex, MutexGuard, PoisonError};

use concordat_protocol::membership::NodeStart;
use concordat_protocol::signed::{SignatureError, Signed};
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{EnforcedRules, RulesStatement};

use crate::identity::Identity;

/// The newest statement of this start of the node; none before the first one.
#[derive(Debug, Default)]
pub(super) struct OwnRules {
    /// Held while what is enforced is read, so that a later statement never states something older.
    stating: Mutex<()>,
    stated: Mutex<Option<Stated>>,
}

#[derive(Clone, Debug)]
struct Stated {
    /// From before what is enforced was read the last time.
    epoch: u64,
    statement: RulesStatement,
    signed: Signed<RulesStatement>,
}

impl OwnRules {
    /// The newest statement, if what is enforced was read in this epoch and start; `None` if it has to be read again.
    pub(super) fn stated_at(&self, epoch: u64, start: NodeStart) -> Option<Signed<RulesStatement>> {
        let stated = locked(&self.stated);
        let current = stated.as_ref().filter(|stated| stated.epoch == epoch);
        let current = current.filter(|stated| stated.statement.start == start);
        current.map(|stated| stated.signed.clone())
    }

    /// The statement about what `read` returns: the newest one if it states the same in the same start, otherwise the next one. The epoch is from before.
    /// Blocks.
    ///
    /// # Errors
    /// Those of `read`; [`SignatureError`] if it cannot be encoded.
    pub(super) fn present<E: From<SignatureError>>(
        &self,
        identity: &Identity,
        (epoch, now): (u64, Timestamp),
        read: impl FnOnce() -> Result<(NodeStart, EnforcedRules), E>,
    ) -> Result<Signed<RulesStatement>, E> {
        let _stating = locked(&self.stating);
        let (start, rules) = read()?;
        let newest = locked(&self.stated).clone();
        if let Some(stated) = &newest
            && stated.statement.start == start
            && stated.statement.rules == rules
        {
            let signed = stated.signed.clone();
            *locked(&self.stated) = Some(Stated {
                epoch,
                ..stated.clone()
            });
            return Ok(signed);
        }
        let revision = newest.map_or(0, |stated| stated.statement.revision).saturating_add(1);
        let statement = RulesStatement {
            node: identity.node(),
            institution: identity.institution.clone(),
            start,
            revision,
            at: now,
            rules,
        };
        let signed = Signed::sign(&statement, &identity.node_key)?.signed().clone();
        *locked(&self.stated) = Some(Stated {
            epoch,
            statement,
            signed: signed.clone(),
        });
        Ok(signed)
    }

    /// The newest statement.
    pub(super) fn newest(&self) -> Option<RulesStatement> {
        locked(&self.stated).as_ref().map(|stated| stated.statement.clone())
    }
}

/// A poisoned lock can be used: every change under these locks is a single assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use concordat_protocol::identity::{InstitutionKey, NodeKey};
    use concordat_protocol::ids::{Digest32, StartId};
    use concordat_protocol::scope::ProtectionName;
    use concordat_protocol::text::Label;
    use concordat_protocol::wire::messages::{RulesByTier, TierRules};

    use super::*;

    fn rules(min_cell: u32) -> EnforcedRules {
        let tiers = RulesByTier::of(|_| TierRules {
            min_cell,
            protections: BTreeSet::from([ProtectionName::Exact]),
            queries_per_day: 1000,
            days: 365,
        });
        EnforcedRules::new(Label::new("0.1.0").unwrap(), Digest32::ZERO, tiers)
    }

    fn start(generation: u32) -> NodeStart {
        NodeStart {
            generation,
            number: 1,
            id: StartId::from_bytes([1; 16]),
        }
    }

    fn identity() -> Identity {
        Identity::new(
            (
                "cleveland".parse().unwrap(),
                "Cleveland".parse().unwrap(),
                "US".parse().unwrap(),
            ),
            InstitutionKey::from_seed(&[1; 32].into()),
            NodeKey::from_seed(&[2; 32].into()),
        )
    }

    #[test]
    fn own_rules_are_current_in_the_epoch_of_their_reading() {
        let identity = identity();
        let own = OwnRules::default();
        let state = |epoch: u64, generation: u32| {
            let read = || Ok::<_, SignatureError>((start(generation), rules(10)));
            own.present(&identity, (epoch, Timestamp::from_millis(1)), read)
                .unwrap()
        };
        assert_eq!(own.stated_at(0, start(0)), None, "nothing was read");
        let first = state(3, 0);
        assert_eq!(own.stated_at(3, start(0)), Some(first.clone()));
        for (epoch, generation) in [(4, 0), (2, 0), (3, 1)] {
            assert_eq!(own.stated_at(epoch, start(generation)), None, "{epoch}, {generation}");
        }
        // The same was read again.
        assert_eq!(state(4, 0), first);
        assert_eq!(own.stated_at(4, start(0)), Some(first.clone()));
        let second = state(5, 1);
        assert_ne!(second, first);
        assert_eq!(own.stated_at(5, start(1)), Some(second));
    }

    #[test]
    fn own_rules_are_signed_again_only_when_they_change() {
        let identity = identity();
        let own = OwnRules::default();
        assert_eq!(own.newest(), None);
        let state = |at: i64, generation: u32, min_cell: u32| {
            let read = || Ok::<_, SignatureError>((start(generation), rules(min_cell)));
            let signed = own.present(&identity, (0, Timestamp::from_millis(at)), read).unwrap();
            let verified = signed.verify(identity.node()).unwrap();
            assert_eq!(own.newest().as_ref(), Some(verified.document()));
            (verified.document().revision, verified.document().at.as_millis())
        };
        assert_eq!(state(1, 0, 10), (1, 1));
        assert_eq!(state(2, 0, 10), (1, 1), "it is the same statement");
        assert_eq!(state(3, 0, 5), (2, 3));
        assert_eq!(state(4, 0, 10), (3, 4), "an earlier one is not repeated");
        assert_eq!(state(5, 1, 10), (4, 5), "a restore was acknowledged");
    }
}
