//! What one institution has of one dataset under several agreements.
//!
//! What no scope may cover, several of one consumer may not cover together ([`concordat_policy::HeldScope`]). So each decision about an
//! agreement counts those of the same consumer over the same dataset that come before it ([`Precedence`]): when an offer is made, when its
//! terms are signed, and at each query.
//!
//! 1. Counted are grants that have not ended, suspended and future ones too, and open negotiations with an offer.
//! 2. An offer is decided on and stored, and terms are decided on and signed, under the admission lock of the consumer. Of two that are
//!    made at the same time, the second counts the first.
//! 3. A negotiation is open until its grant is in the register. Negotiations are read first, so that none is missed in between.

use concordat_policy::HeldScope;
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::time::Timestamp;

use super::Negotiations;
use super::bound_collection::BoundCollection;
use super::grants::Lease;
use super::precedence::{Precedence, before};

impl Negotiations {
    /// What `consumer` has of `dataset` under agreements that come before `own`, the first of them first.
    pub(super) fn held_before(
        &self,
        own: Precedence,
        consumer: &InstitutionId,
        dataset: &BoundCollection,
        now: Timestamp,
    ) -> Vec<HeldScope> {
        let negotiated = self.0.store.offered(consumer, dataset, now);
        let granted = self.0.grants.held(consumer, dataset, now);
        before(own, negotiated.into_iter().chain(granted))
    }

    /// What the consumer of a grant has of its dataset under agreements that were signed before it. Waits for nothing: the caller may hold
    /// the guard of the grant.
    pub(crate) fn held_before_grant(&self, lease: &Lease, now: Timestamp) -> Vec<HeldScope> {
        let terms = lease.terms();
        self.held_before(Precedence::of_terms(terms), &terms.consumer, lease.dataset(), now)
    }
}
