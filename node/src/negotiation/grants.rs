//! The grants this node is a party to, and whether they can be used at this moment.
//!
//! Many answers may run under one grant. Each sends its bytes one chunk at a time and holds a [`ChunkGuard`] until the chunk has
//! arrived or can no longer arrive; a change of the grant waits for the guards that are held and prevents new ones. So when a
//! revocation returns, the last byte has left, and no byte follows (invariant 5).
//!
//! Grants begin and change by transitions only ([`super::transition`]); this module stores them.

mod lease;
mod record;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use concordat_protocol::grant::{GrantStatus, Notice, Party};
use concordat_protocol::identity::{PrivateKey, Side};
use concordat_protocol::ids::GrantId;
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use concordat_storage::data_dir::Storage;
use concordat_storage::meta::SealedTree;
use tokio::sync::OwnedMutexGuard;

pub(crate) use lease::{ChunkGuard, Lease};
pub(crate) use record::{GrantView, PendingNotice};
pub(super) use record::{Live, LockedGrant, Record};

use super::NegotiationError;
use crate::changes::GRANTS;
use crate::identity::Identity;
use concordat_network::hello::Attested;
use lease::SUSPENDED;

/// A cloneable handle to the register of grants.
#[derive(Clone, Debug)]
pub struct Grants(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Arc<Identity>,
    records: SealedTree<Record>,
    live: RwLock<BTreeMap<GrantId, Arc<Live>>>,
}

impl Grants {
    /// Loads the recorded grants; the signatures of each are checked again.
    ///
    /// # Errors
    /// [`NegotiationError`] when the state cannot be read or a grant in it is invalid.
    pub fn open(identity: Arc<Identity>, storage: &Storage) -> Result<Self, NegotiationError> {
        let records: SealedTree<Record> = storage.meta().tree(GRANTS)?;
        let mut live = BTreeMap::new();
        for (_, record) in records.iter()? {
            let grant = Live::open(record, &identity.institution)?;
            live.insert(grant.terms().grant, Arc::new(grant));
        }
        Ok(Self(Arc::new(Inner {
            identity,
            records,
            live: RwLock::new(live),
        })))
    }

    /// The grant `id`, if this node is a party to it.
    pub async fn get(&self, id: &GrantId) -> Option<GrantView> {
        Some(self.live(id)?.view().await)
    }

    /// All grants, oldest first.
    pub async fn list(&self) -> Vec<GrantView> {
        let live: Vec<_> = self.all().into_values().collect();
        let mut views = Vec::with_capacity(live.len());
        for grant in live {
            views.push(grant.view().await);
        }
        views.sort_by_key(|view| (view.terms.agreed_at, view.terms.grant));
        views
    }

    /// A lease under grant `id` for the institution behind `consumer`, whose key must be the one that the terms name. A grant of
    /// another institution and one that does not exist give the same refusal.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such grant for this consumer, or when it cannot be used at `now`.
    pub async fn lease(&self, id: &GrantId, consumer: &Attested, now: Timestamp) -> Result<Lease, Refusal> {
        let institution = &consumer.institution;
        let unknown = || Refusal::because(RefusalCode::NotFound, format!("no grant `{id}` for `{institution}`"));
        let live = self.live(id).ok_or_else(unknown)?;
        if live.party() != Party::Provider || !consumer.acts_for(&live.peer_side()) {
            return Err(unknown());
        }
        let lease = Lease {
            live,
            peer: consumer.side(),
        };
        if lease.live.shared().await.peer_since != consumer.member_since {
            return Err(Refusal::of_rule(
                RefusalCode::Denied,
                Some(SUSPENDED),
                "the grant is suspended: its consumer was removed from the consortium in the meantime; the provider has to resume it",
            ));
        }
        lease.guard(now).await?;
        Ok(lease)
    }

    /// Why grant `id` cannot be used at `now`, whether this node is its provider or its consumer; `None` if it can.
    pub async fn refusal(&self, id: &GrantId, now: Timestamp) -> Option<Refusal> {
        let live = self.live(id)?;
        let peer = live.peer_side();
        Lease { live, peer }.guard(now).await.err()
    }

    /// Whether the grant `id` is in the register.
    pub(super) fn contains(&self, id: &GrantId) -> bool {
        self.live(id).is_some()
    }

    /// Locks the grant `id` for a change. Waits until each chunk that was sent under it has arrived or can no longer arrive.
    pub(super) async fn lock(&self, id: &GrantId) -> Result<LockedGrant, NegotiationError> {
        let live = self.live(id).ok_or(NegotiationError::UnknownGrant { grant: *id })?;
        Ok(live.exclusive().await)
    }

    /// Stores a new grant durably, then makes it visible. Blocks.
    pub(super) fn insert(&self, live: Live, record: &Record) -> Result<(), NegotiationError> {
        let id = live.terms().grant;
        self.0.records.put(&id.to_string(), record)?;
        self.0
            .live
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, Arc::new(live));
        Ok(())
    }

    /// Stores the next record of a grant durably, then makes it visible. Blocks.
    pub(super) fn put(&self, locked: &mut LockedGrant, record: Record) -> Result<(), NegotiationError> {
        self.0.records.put(&locked.live().terms().grant.to_string(), &record)?;
        locked.set(record);
        Ok(())
    }

    /// The active grants of which this institution is the provider: each with the other side, and the roster that admitted it.
    pub(super) async fn active_as_provider(&self) -> Vec<(GrantId, Side, u64)> {
        let mut active = Vec::new();
        for (id, live) in self.all() {
            let held = live.shared().await;
            if live.party() == Party::Provider && held.state.status == GrantStatus::Active {
                active.push((id, live.peer_side(), held.peer_since));
            }
        }
        active
    }

    /// The grants about which the other side has not acknowledged every notice, each with the other side.
    pub(super) async fn with_unacknowledged(&self) -> Vec<(GrantId, Side)> {
        let mut waiting = Vec::new();
        for (id, live) in self.all() {
            if !live.shared().await.pending.is_empty() {
                waiting.push((id, live.peer_side()));
            }
        }
        waiting
    }

    /// The notices about grant `id` that the other side has not acknowledged yet, in the order of their numbers.
    pub(super) async fn unacknowledged(&self, id: &GrantId) -> Vec<PendingNotice> {
        let Some(live) = self.live(id) else { return Vec::new() };
        let held = live.shared().await;
        let by_us = self.0.identity.node_key.public();
        let pending = held.pending.iter().filter_map(|notice| {
            Some(PendingNotice {
                grant: *id,
                to: live.peer_side(),
                newest: held.sent,
                notice: notice.clone().verify(by_us).ok()?,
            })
        });
        pending.collect()
    }

    /// Waits until no notice about grant `id` is being sent. While the result is held, only its holder sends them.
    pub(super) async fn delivery(&self, id: &GrantId) -> Result<OwnedMutexGuard<()>, NegotiationError> {
        let live = self.live(id).ok_or(NegotiationError::UnknownGrant { grant: *id })?;
        Ok(live.delivery().await)
    }

    /// Records that `notice` was acknowledged.
    pub(super) async fn acknowledged(&self, id: &GrantId, notice: &Signed<Notice>) -> Result<(), NegotiationError> {
        let Some(live) = self.live(id) else { return Ok(()) };
        let mut locked = live.exclusive().await;
        let mut record = locked.record().clone();
        record.pending.retain(|pending| pending != notice);
        let grants = self.clone();
        tokio::task::spawn_blocking(move || grants.put(&mut locked, record)).await?
    }

    fn live(&self, id: &GrantId) -> Option<Arc<Live>> {
        self.0
            .live
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    fn all(&self) -> BTreeMap<GrantId, Arc<Live>> {
        self.0.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
