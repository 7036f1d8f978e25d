//! The permission to answer one query under a grant, chunk by chunk.

use std::sync::Arc;

use concordat_protocol::grant::{Effective, GrantState, GrantTerms};
use concordat_protocol::identity::Side;
use concordat_protocol::release::ReleaseRules;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use tokio::sync::{OwnedRwLockReadGuard, watch};

use super::record::{Live, Record};
use crate::negotiation::bound_collection::BoundCollection;

/// The rule that a suspended grant permits nothing, as peers are sent it.
pub(super) const SUSPENDED: &str = "grant-suspended";

/// The short live permission to answer one query under a grant. It permits nothing by itself: each chunk needs a guard.
#[derive(Clone, Debug)]
pub struct Lease {
    pub(super) live: Arc<Live>,
    pub(super) peer: Side,
    /// The release rules of the collection when the lease was given.
    pub(super) release: ReleaseRules,
}

/// While this is held, the grant does not change. Hold it until one chunk has arrived or can no longer arrive.
#[derive(Debug)]
pub struct ChunkGuard {
    _held: OwnedRwLockReadGuard<Record>,
}

impl Lease {
    /// The holder of the lease: the institution with the key that it has presented.
    pub fn peer(&self) -> &Side {
        &self.peer
    }

    /// The terms of the grant.
    pub fn terms(&self) -> &GrantTerms {
        self.live.terms()
    }

    /// The dataset that it opens, and no other of the same name.
    pub(crate) fn dataset(&self) -> &BoundCollection {
        self.live.dataset()
    }

    /// The release rules of the collection when the lease was given.
    pub(crate) const fn release(&self) -> &ReleaseRules {
        &self.release
    }

    /// Permission to send one chunk.
    ///
    /// # Errors
    /// [`Refusal`] once the grant can no longer be used.
    pub async fn guard(&self, now: Timestamp) -> Result<ChunkGuard, Refusal> {
        guard(&self.live, now).await
    }

    /// How many changes of the grant wait for its guards: a holder of a guard that waits for a peer then gives up.
    pub fn changes(&self) -> watch::Receiver<usize> {
        self.live.changes()
    }
}

/// Permission to send one chunk under a grant.
///
/// # Errors
/// [`Refusal`] if the grant cannot be used at `now`.
pub(super) async fn guard(live: &Live, now: Timestamp) -> Result<ChunkGuard, Refusal> {
    let held = live.record().read_owned().await;
    match held.state.effective(live.terms(), now) {
        Effective::Active => Ok(ChunkGuard { _held: held }),
        other @ (Effective::NotYet
        | Effective::Suspended
        | Effective::Revoked
        | Effective::Relinquished
        | Effective::Expired) => Err(ended(other, &held.state)),
    }
}

fn ended(effective: Effective, state: &GrantState) -> Refusal {
    let (rule, label) = match effective {
        Effective::NotYet => ("grant-not-yet-active", "is not active yet"),
        Effective::Active => ("grant-active", "is active"),
        Effective::Suspended => (SUSPENDED, "is suspended"),
        Effective::Revoked => ("grant-revoked", "was revoked"),
        Effective::Relinquished => ("grant-relinquished", "was relinquished"),
        Effective::Expired => ("grant-expired", "has expired"),
    };
    let reason = state
        .reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    Refusal::of_rule(RefusalCode::Denied, Some(rule), format!("the grant {label}{reason}"))
}
