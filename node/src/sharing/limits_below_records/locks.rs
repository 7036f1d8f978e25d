//! The people whose queries below `records` are locked, as the sealed state has them.

use std::collections::BTreeMap;

use concordat_protocol::ids::{ActorId, CollectionName, InstitutionId};
use concordat_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The people of one institution whose queries to one collection are locked, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Locks(BTreeMap<ActorId, Timestamp>);

impl Locks {
    pub(super) fn contains(&self, person: &ActorId) -> bool {
        self.0.contains_key(person)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The people, each with the time of the lock.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&ActorId, Timestamp)> {
        self.0.iter().map(|(person, since)| (person, *since))
    }

    /// The people.
    pub(super) fn people(&self) -> impl Iterator<Item = &ActorId> {
        self.0.keys()
    }

    /// These and the lock of another person.
    pub(super) fn with(&self, person: &ActorId, since: Timestamp) -> Self {
        let mut locks = self.clone();
        locks.0.insert(person.clone(), since);
        locks
    }

    /// That of one person, or all of them.
    pub(super) fn selected(&self, person: Option<&ActorId>) -> Self {
        let mut locks = self.clone();
        locks.0.retain(|locked, _| person.is_none_or(|person| person == locked));
        locks
    }

    /// These without others.
    pub(super) fn without(&self, others: &Self) -> Self {
        let mut locks = self.clone();
        locks.0.retain(|person, _| !others.contains(person));
        locks
    }
}

/// That a steward has proposed to unlock people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnlockProposal {
    /// The steward.
    pub(super) by: ActorId,
    /// When.
    pub(super) at: Timestamp,
    /// The locks as they were then: one that was made later is not unlocked by it.
    pub(super) locks: Locks,
}

/// Whom to unlock.
#[derive(Clone, Debug)]
pub(crate) struct UnlockOrder {
    /// The collection.
    pub(crate) collection: CollectionName,
    /// The institution.
    pub(crate) institution: InstitutionId,
    /// The person; `None` for all people of the institution who are locked.
    pub(crate) person: Option<ActorId>,
}

impl UnlockOrder {
    /// Under which key its proposal is stored.
    pub(super) fn proposal_key(&self) -> String {
        let institution = institution_key(&self.collection, &self.institution);
        match &self.person {
            Some(person) => format!("{institution}/{person}"),
            None => institution,
        }
    }
}

/// Under which key counts and locks of one institution at one collection are stored.
pub(super) fn institution_key(collection: &CollectionName, institution: &InstitutionId) -> String {
    format!("{collection}/{institution}")
}

/// The collection and the institution that such a key names.
pub(super) fn named_by(key: &str) -> Option<(CollectionName, InstitutionId)> {
    let (collection, institution) = key.split_once('/')?;
    Some((collection.parse().ok()?, institution.parse().ok()?))
}
