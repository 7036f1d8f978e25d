//! The maximum scope of collections, as it was worked out before.
//!
//! It depends on the policy set, on the two institutions, and on the collection with its release rules; on no row and on no time, because any window
//! in the future gives the same result. A catalog is listed often and a collection has hundreds of columns, each of which is decided for several
//! purposes and forms. So the same is not worked out again by this process.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use concordat_protocol::ids::Digest32;
use concordat_protocol::time::Timestamp;

use crate::facts::{CollectionFacts, Party};
use crate::load::Policy;
use crate::max_scope::MaxScope;

/// Most columns of the collections whose maximum is known, with some two hundred bytes each: four megabytes together.
const MAX_COLUMNS: usize = 20_000;
/// Most collections: each request is compared with all of them.
const MAX_KNOWN: usize = 256;

/// What is known, most recently used last.
static KNOWN: Mutex<VecDeque<(Considered, Option<MaxScope>)>> = Mutex::new(VecDeque::new());

/// All that the maximum depends on.
#[derive(Debug)]
struct Considered {
    /// The digest of the policy set: its schema, its rules and its settings.
    policy: Digest32,
    consumer: Party,
    provider: Party,
    collection: CollectionFacts,
}

impl Considered {
    fn is_of(&self, policy: &Policy, (consumer, provider): (&Party, &Party), collection: &CollectionFacts) -> bool {
        self.policy == policy.digest()
            && self.consumer == *consumer
            && self.provider == *provider
            && self.collection == *collection
    }

    fn columns(&self) -> usize {
        self.collection.columns().count()
    }
}

impl Policy {
    /// The maximum scope of a collection for `consumer`, over all purposes; `None` if the collection is hidden from it.
    pub fn max_scope(
        &self,
        consumer: &Party,
        provider: &Party,
        facts: &CollectionFacts,
        now: Timestamp,
    ) -> Option<MaxScope> {
        let parties = (consumer, provider);
        if let Some(known) = find(self, parties, facts) {
            return known;
        }
        let max_scope = self.work_out_max_scope(consumer, provider, facts, now);
        keep(self, parties, facts, max_scope.as_ref());
        max_scope
    }
}

fn find(policy: &Policy, parties: (&Party, &Party), facts: &CollectionFacts) -> Option<Option<MaxScope>> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let at = known.iter().position(|(of, _)| of.is_of(policy, parties, facts))?;
    let found = known.remove(at)?;
    let max_scope = found.1.clone();
    known.push_back(found);
    Some(max_scope)
}

fn keep(policy: &Policy, parties: (&Party, &Party), facts: &CollectionFacts, max_scope: Option<&MaxScope>) {
    let considered = Considered {
        policy: policy.digest(),
        consumer: parties.0.clone(),
        provider: parties.1.clone(),
        collection: facts.clone(),
    };
    let columns = considered.columns();
    if columns > MAX_COLUMNS {
        return;
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    // Another thread may have worked out the same.
    known.retain(|(of, _)| !of.is_of(policy, parties, facts));
    while known.len() >= MAX_KNOWN || columns_in(&known).saturating_add(columns) > MAX_COLUMNS {
        known.pop_front();
    }
    known.push_back((considered, max_scope.cloned()));
}

fn columns_in(known: &VecDeque<(Considered, Option<MaxScope>)>) -> usize {
    known.iter().map(|(of, _)| of.columns()).fold(0, usize::saturating_add)
}

/// Whether the maximum is known, and whether all that are known are within the bounds.
#[cfg(test)]
pub(crate) fn is_known(policy: &Policy, parties: (&Party, &Party), facts: &CollectionFacts) -> (bool, bool) {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known.iter().any(|(of, _)| of.is_of(policy, parties, facts));
    (found, known.len() <= MAX_KNOWN && columns_in(&known) <= MAX_COLUMNS)
}
