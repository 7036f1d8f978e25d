//! The grants this node is a party to, and whether they can be used at this moment.
//!
//! Many answers may run under one grant. Each sends its bytes one chunk at a time and holds a [`ChunkGuard`] until the chunk has
//! arrived or can no longer arrive; a change of the grant waits for the guards that are held and prevents new ones. So when a
//! revocation returns, the last byte has left, and no byte follows (invariant 5).
//!
//! Grants begin and change by transitions only ([`super::transition`]); this module stores them.

mod lease;
mod record;
mod resumable;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use concordat_protocol::grant::{Effective, GrantStatus, Notice, Party};
use concordat_protocol::identity::{PrivateKey, Side};
use concordat_protocol::ids::{CreationId, GrantId, InstitutionId};
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use concordat_storage::data_dir::Storage;
use concordat_storage::meta::{Batch, MetaError, SealedTree};
use tokio::sync::OwnedMutexGuard;

pub(crate) use lease::{ChunkGuard, Lease};
pub(super) use record::{ExclusiveGrant, GrantBasis, Live, LockedGrant, Record};
pub(crate) use record::{GrantView, PendingNotice};
pub(super) use resumable::Resumable;

use super::NegotiationError;
use super::bound_collection::BoundCollection;
use super::precedence::Held;
use crate::changes::GRANTS;
use crate::identity::Identity;
use crate::restorations::Restorations;
use concordat_network::hello::Attested;
use lease::SUSPENDED;

/// A cloneable handle to the register of grants.
#[derive(Clone, Debug)]
pub struct Grants(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Arc<Identity>,
    storage: Storage,
    restorations: Restorations,
    records: SealedTree<Record>,
    live: RwLock<BTreeMap<GrantId, Arc<Live>>>,
}

impl Grants {
    /// Loads the recorded grants; the signatures of each are checked again.
    ///
    /// # Errors
    /// [`NegotiationError`] when the state cannot be read or a grant in it is invalid.
    pub fn open(
        identity: Arc<Identity>,
        storage: &Storage,
        restorations: Restorations,
    ) -> Result<Self, NegotiationError> {
        let records: SealedTree<Record> = storage.meta().tree(GRANTS)?;
        let mut live = BTreeMap::new();
        for (_, record) in records.iter()? {
            let grant = Live::open(record, &identity.institution)?;
            live.insert(grant.terms().grant, Arc::new(grant));
        }
        Ok(Self(Arc::new(Inner {
            identity,
            storage: storage.clone(),
            restorations,
            records,
            live: RwLock::new(live),
        })))
    }

    /// The grant `id`, if this node is a party to it.
    pub async fn get(&self, id: &GrantId) -> Option<GrantView> {
        Some(self.live(id)?.view().await)
    }

    /// The state of grant `id` at `now`, if this node is a party to it. Waits for no guard.
    pub(crate) fn effective(&self, id: &GrantId, now: Timestamp) -> Option<Effective> {
        Some(self.live(id)?.effective(now))
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
        let (peer_since, restorations) = {
            let held = live.shared().await;
            (held.peer_since, held.restorations)
        };
        let denied = |rule, text: &str| Err(Refusal::of_rule(RefusalCode::Denied, Some(rule), text));
        if peer_since != consumer.member_since {
            return denied(
                SUSPENDED,
                "the grant is suspended: its consumer was removed from the consortium in the meantime; the provider has to resume it",
            );
        }
        if restorations != self.0.restorations.current() {
            return denied(
                SUSPENDED,
                "the grant is suspended: the provider was restored from an older copy in the meantime and has to resume it",
            );
        }
        drop(lease::guard(&live, now).await?);
        match live.dataset().release_rules(&self.0.storage).await {
            Ok(Some(release)) => Ok(Lease {
                live,
                peer: consumer.side(),
                release,
            }),
            Ok(None) => denied("grant-dataset-erased", "the dataset that the grant is about was erased"),
            Err(error) => {
                tracing::warn!(%error, "the dataset of a grant could not be looked up");
                Err(Refusal::because(
                    RefusalCode::Failed,
                    "the holder cannot read its catalog",
                ))
            }
        }
    }

    /// The proof that a grant with `peer`, which was admitted with roster `peer_since`, can be resumed.
    pub(super) fn resumable(&self, peer: InstitutionId, peer_since: u64) -> Resumable {
        Resumable::new(peer, peer_since, self.0.restorations.current())
    }

    /// What a grant depends on that is activated now.
    pub(super) fn basis(&self, peer_since: u64, dataset: Option<CreationId>) -> GrantBasis {
        GrantBasis {
            peer_since,
            restorations: self.0.restorations.current(),
            dataset,
        }
    }

    /// Why grant `id` cannot be used at `now`, whether this node is its provider or its consumer; `None` if it can.
    pub async fn refusal(&self, id: &GrantId, now: Timestamp) -> Option<Refusal> {
        let live = self.live(id)?;
        lease::guard(&live, now).await.err()
    }

    /// Whether the grant `id` is in the register.
    pub(super) fn contains(&self, id: &GrantId) -> bool {
        self.live(id).is_some()
    }

    /// Locks the grant `id` for a change. Waits until no other change of it is under way, and not for chunks.
    pub(super) async fn lock(&self, id: &GrantId) -> Result<LockedGrant, NegotiationError> {
        let live = self.live(id).ok_or(NegotiationError::UnknownGrant { grant: *id })?;
        Ok(live.lock_change().await)
    }

    /// Adds the record of a grant to a change of the state. Once that is durable, [`Self::show`] or [`ExclusiveGrant::set`] makes it visible.
    pub(super) fn add_to(&self, batch: &mut Batch, id: &GrantId, record: &Record) -> Result<(), MetaError> {
        batch.put(&self.0.records, &id.to_string(), record)?;
        Ok(())
    }

    /// Makes a new grant visible whose record is durable.
    pub(super) fn show(&self, live: Live) {
        self.0
            .live
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(live.terms().grant, Arc::new(live));
    }

    /// Stores the next record of a grant durably, then makes it visible. Waits for chunks in transit. Blocks.
    pub(super) fn put(&self, locked: &LockedGrant, record: Record) -> Result<(), NegotiationError> {
        let mut exclusive = locked.exclude_chunks().wait()?;
        self.0.records.put(&locked.live().terms().grant.to_string(), &record)?;
        exclusive.set(record);
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

    /// The grants that have not ended and of which this institution is the provider, each with its dataset.
    pub(super) async fn open_as_provider(&self, now: Timestamp) -> Vec<(GrantId, BoundCollection)> {
        let mut open = Vec::new();
        for (id, live) in self.all() {
            let held = live.shared().await;
            let has_ended = held.state.with_expiry(live.terms(), now).status.is_final();
            if live.party() == Party::Provider && !has_ended {
                open.push((id, live.dataset().clone()));
            }
        }
        open
    }

    /// What the grants of `consumer` that have not ended cover of `dataset`, of which this institution is the provider. Waits for no
    /// guard.
    pub(super) fn held(&self, consumer: &InstitutionId, dataset: &BoundCollection, now: Timestamp) -> Vec<Held> {
        let all = self.all().into_values();
        let with_consumer = all.filter(|live| live.terms().consumer == *consumer);
        with_consumer.filter_map(|live| live.held(dataset, now)).collect()
    }

    /// The active grants of which this institution is the provider and that were agreed or resumed before the last restoration.
    pub(super) async fn active_from_before_a_restoration(&self) -> Vec<GrantId> {
        let current = self.0.restorations.current();
        let mut stale = Vec::new();
        for (id, live) in self.all() {
            let held = live.shared().await;
            if live.party() == Party::Provider
                && held.state.status == GrantStatus::Active
                && held.restorations != current
            {
                stale.push(id);
            }
        }
        stale
    }

    /// How many grants permit nothing until a steward resumes them, because this node went on from an older copy of its state.
    pub(crate) fn suspended_by_restoration(&self) -> usize {
        let current = self.0.restorations.current();
        let is_suspended = |live: &Arc<Live>| {
            let record = live.record();
            // While it is being changed, it is not counted.
            let held = record.try_read();
            live.party() == Party::Provider
                && held.is_ok_and(|held| held.restorations != current && !held.state.status.is_final())
        };
        self.all().values().filter(|live| is_suspended(live)).count()
    }

    /// The grants with the institution behind `peer`.
    pub(super) fn with_peer(&self, peer: &Attested) -> Vec<(GrantId, Arc<Live>)> {
        let mut grants: Vec<_> = self.all().into_iter().collect();
        grants.retain(|(_, live)| peer.acts_for(&live.peer_side()));
        grants
    }

    /// The grant `id`, if the institution behind `peer` is the other side.
    pub(super) fn of_peer(&self, id: &GrantId, peer: &Attested) -> Option<Arc<Live>> {
        self.live(id).filter(|live| peer.acts_for(&live.peer_side()))
    }

    /// The differences from other sides that were not resolved, each with its grant.
    pub(crate) fn differences(&self) -> Vec<(GrantId, Reason)> {
        let grants = self.all().into_iter();
        grants.filter_map(|(id, live)| Some((id, live.difference()?))).collect()
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

    /// Records that `notice` was acknowledged. After a power cut it may not be recorded; then the notice is sent again, and acknowledged as one
    /// that is known.
    pub(super) async fn acknowledged(&self, id: &GrantId, notice: &Signed<Notice>) -> Result<(), NegotiationError> {
        let Some(live) = self.live(id) else { return Ok(()) };
        let locked = live.lock_change().await;
        let mut record = locked.record().clone();
        record.pending.retain(|pending| pending != notice);
        let records = self.0.records.clone();
        let key = id.to_string();
        let store = move || {
            let mut exclusive = locked.exclude_chunks().wait()?;
            let _with_the_next_change = records.apply(&key, &record)?;
            exclusive.set(record);
            Ok(())
        };
        tokio::task::spawn_blocking(store).await?
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
