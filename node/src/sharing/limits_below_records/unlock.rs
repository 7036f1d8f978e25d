//! Unlocking people whose queries below `records` are locked, which needs two stewards.
//!
//! The first one proposes it, which is in the ledger; the second one, who is independent of the first
//! ([`iam::independence`](crate::iam)), approves it by the same request. A proposal is for the locks as they were. If others
//! have been added or removed since, or if the first one may not propose it any more, the request of the second one is a new proposal. So is another request
//! of the first one, which has a later time.

use std::collections::BTreeSet;

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::{ActorId, CollectionName, InstitutionId};
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;
use concordat_storage::meta::{Batch, MetaError};

use super::error::UnlockError;
use super::locks::{Locks, UnlockOrder, UnlockProposal, institution_key, named_by};
use super::store::{LimitsBelowRecords, Store};
use crate::changes::Subject;
use crate::iam::{Accounts, Action, Actor, PermittedPerson};

/// What the role of a steward permits: who sets the limits of a dataset also decides about those who reach them.
const ACTION: Action = Action::PublishDataset;

/// A person whose queries are locked.
#[derive(Clone, Debug)]
pub(crate) struct LockedPerson {
    /// The institution.
    pub(crate) institution: InstitutionId,
    /// The person.
    pub(crate) person: ActorId,
    /// Since when.
    pub(crate) since: Timestamp,
    /// The steward who has proposed to unlock this person, alone or with all others of the institution.
    pub(crate) proposed_by: Option<ActorId>,
}

/// What became of a request to unlock people.
#[derive(Clone, Debug)]
pub(crate) enum Unlocking {
    /// They are unlocked.
    Unlocked(BTreeSet<ActorId>),
    /// Another steward has to approve it.
    Proposed(BTreeSet<ActorId>),
}

impl LimitsBelowRecords {
    /// The people whose queries to a collection are locked, by institution. Blocks.
    ///
    /// # Errors
    /// [`MetaError`] if the state cannot be read.
    pub(in crate::sharing) fn locked_people(&self, of: &CollectionName) -> Result<Vec<LockedPerson>, MetaError> {
        let store = self.store();
        let mut found = Vec::new();
        for (key, locks) in store.locks.iter()? {
            let Some((collection, institution)) = named_by(&key).filter(|(collection, _)| collection == of) else {
                continue;
            };
            for (person, since) in locks.iter() {
                let alone = UnlockOrder {
                    collection: collection.clone(),
                    institution: institution.clone(),
                    person: Some(person.clone()),
                };
                found.push(LockedPerson {
                    proposed_by: store.proposed_by(&locks, &alone)?,
                    institution: institution.clone(),
                    person: person.clone(),
                    since,
                });
            }
        }
        found.sort_by(|a, b| (&a.institution, &a.person).cmp(&(&b.institution, &b.person)));
        Ok(found)
    }

    /// Unlocks people if another steward has proposed it, and proposes it otherwise. Blocks.
    ///
    /// # Errors
    /// [`UnlockError`]; nothing is changed then.
    pub(in crate::sharing) fn unlock(
        &self,
        order: &UnlockOrder,
        by: &Actor,
        accounts: &Accounts,
        now: Timestamp,
    ) -> Result<Unlocking, UnlockError> {
        let attribution = by.authorize(ACTION)?;
        let store = self.store();
        let _counting = store.lock();
        let key = institution_key(&order.collection, &order.institution);
        let locks = store.locks.get(&key)?.unwrap_or_default();
        let selected = selected(order, &locks)?;
        if selected.contains(by.id()) {
            return Err(UnlockError::Oneself {
                person: by.id().clone(),
            });
        }
        let people = selected.people().cloned().collect();
        match store.proposal_of_another(order, &selected, by.id(), accounts)? {
            None => {
                store.propose(order, selected, by.id(), (&attribution, now))?;
                Ok(Unlocking::Proposed(people))
            }
            Some((first, requested)) => {
                let both = by.authorize_second(accounts, &first, (requested, now))?;
                store.release(order, &locks, &selected, (&both, now))?;
                Ok(Unlocking::Unlocked(people))
            }
        }
    }
}

/// The locks that an order is about.
fn selected(order: &UnlockOrder, locks: &Locks) -> Result<Locks, UnlockError> {
    let UnlockOrder {
        collection,
        institution,
        person,
    } = order;
    if let Some(person) = person.as_ref().filter(|person| !person.belongs_to(institution)) {
        return Err(UnlockError::OtherInstitution {
            person: person.clone(),
            institution: institution.clone(),
        });
    }
    let selected = locks.selected(person.as_ref());
    if selected.is_empty() {
        return Err(UnlockError::NotLocked {
            collection: collection.clone(),
            institution: institution.clone(),
            person: person.clone(),
        });
    }
    Ok(selected)
}

impl Store {
    /// Who has proposed to unlock these locks, if another steward has and still may, and when.
    fn proposal_of_another(
        &self,
        order: &UnlockOrder,
        selected: &Locks,
        by: &ActorId,
        accounts: &Accounts,
    ) -> Result<Option<(PermittedPerson, Timestamp)>, UnlockError> {
        let proposal = self.proposals.get(&order.proposal_key())?;
        let Some(proposal) = proposal.filter(|proposal| proposal.locks == *selected && proposal.by != *by) else {
            return Ok(None);
        };
        let first = accounts.permitted_now(&proposal.by, ACTION).ok();
        Ok(first.map(|first| (first, proposal.at)))
    }

    /// Who has proposed to unlock one of the people of an institution, alone or with all others.
    fn proposed_by(&self, locks: &Locks, alone: &UnlockOrder) -> Result<Option<ActorId>, MetaError> {
        let all = UnlockOrder {
            person: None,
            ..alone.clone()
        };
        for order in [alone, &all] {
            let proposal = self.proposals.get(&order.proposal_key())?;
            let current = locks.selected(order.person.as_ref());
            if let Some(proposal) = proposal.filter(|proposal| proposal.locks == current) {
                return Ok(Some(proposal.by));
            }
        }
        Ok(None)
    }

    fn propose(
        &self,
        order: &UnlockOrder,
        locks: Locks,
        person: &ActorId,
        (by, now): (&Attribution, Timestamp),
    ) -> Result<(), UnlockError> {
        let entry = EntryBody::ReleaseUnlockProposed {
            collection: order.collection.clone(),
            institution: order.institution.clone(),
            actor: order.person.clone(),
        };
        drop(self.ledger.append(entry, by, now)?);
        let proposal = UnlockProposal {
            by: person.clone(),
            at: now,
            locks,
        };
        Ok(self.proposals.put(&order.proposal_key(), &proposal)?)
    }

    /// Unlocks the people of `selected`, and forgets how often they have reached limits: one more time would lock them again.
    fn release(
        &self,
        order: &UnlockOrder,
        locks: &Locks,
        selected: &Locks,
        by: (&Attribution, Timestamp),
    ) -> Result<(), UnlockError> {
        let key = institution_key(&order.collection, &order.institution);
        let left = locks.without(selected);
        let mut counts = self.institutions.get(&key)?.unwrap_or_default();
        counts.forget_reached(selected.people());
        let entry = EntryBody::ReleaseUnlocked {
            collection: order.collection.clone(),
            institution: order.institution.clone(),
            actor: order.person.clone(),
        };
        let release = || -> Result<(), UnlockError> {
            let mut batch = Batch::new();
            batch
                .remove(&self.proposals, &order.proposal_key())
                .put(&self.institutions, &key, &counts)?;
            if left.is_empty() {
                batch.remove(&self.locks, &key);
            } else {
                batch.put(&self.locks, &key, &left)?;
            }
            Ok(self.meta.commit(batch)?)
        };
        self.changes
            .make(Subject::ReleaseLocks(key.clone()), by, || Ok((entry, release)))
    }
}
