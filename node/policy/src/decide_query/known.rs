//! What policies still allow of a scope, as it was evaluated before.
//!
//! Each query under a grant is compared with what policies allow now, column by column. The result depends on the policy set, on the two
//! institutions, on the collection with its release rules, on the used part of the grant, and on what else the institution holds; on no row and no
//! time. So the same comparison is not made again by this process. What is kept is the decision without the way to it, which has a kilobyte or two
//! for each column.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use concordat_protocol::ids::Digest32;
use concordat_protocol::scope::Scope;

use crate::facts::{CollectionFacts, Party};
use crate::load::Policy;
use crate::offer::{HeldScope, OfferDecision, OfferInput};

/// Most comparisons that are known; the one that was used least recently is dropped.
const MAX_KNOWN: usize = 32;
/// Most columns in all of them, of the collection and of the scopes: some two hundred bytes each, four megabytes together. A grant over forty
/// datasets has a thousand.
const MAX_COLUMNS: usize = 20_000;

/// The known comparisons, most recently used last.
static KNOWN: Mutex<VecDeque<(Compared, OfferDecision)>> = Mutex::new(VecDeque::new());

/// All that a comparison depends on.
#[derive(Debug)]
struct Compared {
    /// The digest of the policy set: its schema, its rules and its settings.
    policy: Digest32,
    consumer: Party,
    provider: Party,
    collection: Option<CollectionFacts>,
    request: Scope,
    held: Vec<HeldScope>,
}

impl Compared {
    fn new(policy: &Policy, input: &OfferInput<'_>) -> Self {
        let OfferInput {
            consumer,
            provider,
            collection,
            request,
            held,
        } = *input;
        Self {
            policy: policy.digest(),
            consumer: consumer.clone(),
            provider: provider.clone(),
            collection: collection.cloned(),
            request: request.clone(),
            held: held.to_vec(),
        }
    }

    /// The columns that it takes memory for.
    fn columns(&self) -> usize {
        let facts = self.collection.as_ref().map_or(0, |facts| facts.columns().count());
        // The decision has the scope once more, and a reason for each column that it shows less of.
        let scopes = self
            .held
            .iter()
            .map(|held| &held.scope)
            .chain([&self.request, &self.request]);
        let columns = scopes.map(|scope| scope.datasets.count_columns());
        columns.fold(facts, usize::saturating_add)
    }

    fn is_of(&self, policy: &Policy, input: &OfferInput<'_>) -> bool {
        let OfferInput {
            consumer,
            provider,
            collection,
            request,
            held,
        } = *input;
        self.policy == policy.digest()
            && self.request == *request
            && self.consumer == *consumer
            && self.provider == *provider
            && self.collection.as_ref() == collection
            && self.held == held
    }
}

/// How much of an agreed scope may still be released, as [`Policy::still_allowed`], without an explanation.
pub(crate) fn still_allowed(policy: &Policy, input: &OfferInput<'_>) -> OfferDecision {
    if let Some(known) = find(policy, input) {
        return known;
    }
    let decision = policy.still_allowed_unexplained(input);
    keep(policy, input, &decision);
    decision
}

fn find(policy: &Policy, input: &OfferInput<'_>) -> Option<OfferDecision> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let at = known.iter().position(|(of, _)| of.is_of(policy, input))?;
    let found = known.remove(at)?;
    let decision = found.1.clone();
    known.push_back(found);
    Some(decision)
}

fn keep(policy: &Policy, input: &OfferInput<'_>, decision: &OfferDecision) {
    let compared = Compared::new(policy, input);
    let columns = compared.columns();
    if columns > MAX_COLUMNS {
        return;
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    // Another thread may have made the same comparison.
    known.retain(|(of, _)| !of.is_of(policy, input));
    while known.len() >= MAX_KNOWN || columns_in(&known).saturating_add(columns) > MAX_COLUMNS {
        known.pop_front();
    }
    known.push_back((compared, decision.clone()));
}

fn columns_in(known: &VecDeque<(Compared, OfferDecision)>) -> usize {
    known.iter().map(|(of, _)| of.columns()).fold(0, usize::saturating_add)
}

/// Whether the comparison is known, and whether all that are known are within the bounds.
#[cfg(test)]
pub(crate) fn is_known(policy: &Policy, input: &OfferInput<'_>) -> (bool, bool) {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known.iter().any(|(of, _)| of.is_of(policy, input));
    (found, known.len() <= MAX_KNOWN && columns_in(&known) <= MAX_COLUMNS)
}
