//! The grants this node is a party to, and whether they can be used at this moment.
//!
//! Many answers may run under one grant. Each sends its bytes one chunk at a time and holds a [`ChunkGuard`] until the chunk has
//! arrived or can no longer arrive; a change of the grant waits for the guards that are held and prevents new ones. So when a
//! revocation returns, the last byte has left, and no byte follows (invariant 5).

mod record;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use concordat_protocol::audit::{EntryBody, GrantChange};
use concordat_protocol::grant::{
    Effective, GrantEvent, GrantState, GrantStatus, GrantTerms, Notice, NoticeEffect, NoticeOutcome, Party, ValidGrant,
    ValidNotice,
};
use concordat_protocol::identity::{PrivateKey, Side};
use concordat_protocol::ids::GrantId;
use concordat_protocol::signed::{Signed, Verified};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use concordat_storage::data_dir::Storage;
use concordat_storage::ledger::{Attribution, Ledger};
use concordat_storage::meta::SealedTree;
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, watch};

pub use record::{GrantView, PendingNotice};
use record::{Live, Record};

use super::NegotiationError;
use crate::changes::{Changes, GRANTS, Subject};
use crate::epoch::Epoch;
use crate::identity::Identity;
use crate::network::hello::Attested;

/// A cloneable handle to the register of grants.
#[derive(Clone, Debug)]
pub struct Grants(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Arc<Identity>,
    changes: Changes,
    epoch: Epoch,
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
        ledger: Ledger,
        epoch: Epoch,
    ) -> Result<Self, NegotiationError> {
        let records: SealedTree<Record> = storage.meta().tree(GRANTS)?;
        let mut live = BTreeMap::new();
        for (_, record) in records.iter()? {
            let grant = Live::open(record, &identity.institution)?;
            live.insert(grant.terms().grant, Arc::new(grant));
        }
        let changes = Changes::open(storage.meta(), ledger)?;
        Ok(Self(Arc::new(Inner {
            identity,
            changes,
            epoch,
            records,
            live: RwLock::new(live),
        })))
    }

    /// Records a grant that both sides have signed; the other side was admitted to the consortium with roster `peer_since`. Recording the
    /// same grant twice changes nothing.
    ///
    /// # Errors
    /// [`NegotiationError`] when it cannot be recorded; it is then not active.
    pub async fn activate(
        &self,
        grant: &ValidGrant,
        peer_since: u64,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<(), NegotiationError> {
        let id = grant.terms().grant;
        if self.live(&id).is_some() {
            return Ok(());
        }
        let record = Record::new(grant, peer_since, now);
        let live = Arc::new(Live::open(record.clone(), &self.0.identity.institution)?);
        self.enter_and_save(&live, (GrantChange::Activated, None), record, (by, now))
            .await?;
        self.0
            .live
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, live);
        self.0.epoch.raise();
        Ok(())
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
            return Err(Refusal::because(
                RefusalCode::Denied,
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

    /// Changes a grant as this institution and returns the notice to send to the other side. When this returns, running answers
    /// have stopped if the change stops them. A resumption states the roster that admitted the other side (`peer_since`).
    ///
    /// # Errors
    /// [`NegotiationError`] when there is no such grant, or this side is not allowed to make the change.
    pub async fn change(
        &self,
        id: &GrantId,
        event: GrantEvent,
        reason: Reason,
        peer_since: Option<u64>,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<PendingNotice, NegotiationError> {
        let live = self.live(id).ok_or(NegotiationError::UnknownGrant { grant: *id })?;
        let mut held = live.exclusive().await;
        let next = held.state.apply(event, live.party(), reason.clone(), now)?;
        let notice = self.notice(&live, event, reason.clone(), held.sent.saturating_add(1), now)?;
        let mut record = held.after_own_change(next, notice.signed().clone());
        record.peer_since = peer_since.unwrap_or(held.peer_since);
        self.enter_and_save(&live, (change_of(event), Some(reason)), record.clone(), (by, now))
            .await?;
        *held = record;
        self.0.epoch.raise();
        Ok(PendingNotice {
            grant: *id,
            to: live.peer_side(),
            newest: notice.document().sequence,
            notice,
        })
    }

    /// Applies a notice of the other side. When this returns, its effect is durable, and can be acknowledged. Only a notice that changes
    /// the state is recorded in the ledger; a provider can repeat such changes only as often as it may resume the grant.
    ///
    /// # Errors
    /// [`NegotiationError`] when the notice is invalid or the other side is not allowed to make the change.
    pub async fn apply_notice(
        &self,
        verified: Verified<Notice, concordat_protocol::ids::NodeId>,
        sender: &Attested,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<(ValidNotice, NoticeEffect), NegotiationError> {
        let id = verified.document().grant;
        let live = self.live(&id).ok_or(NegotiationError::UnknownGrant { grant: id })?;
        let (us, peer) = (live.party(), live.peer_side());
        // A sender that does not act for the other party is checked as itself, and its notice is refused.
        let sender = if sender.acts_for(&peer) { peer } else { sender.side() };
        let mut held = live.exclusive().await;
        let valid = ValidNotice::check(verified, &sender, us, live.terms(), now)?;
        if held.is_repeated(&valid) {
            return Ok((valid, NoticeEffect::Applied));
        }
        match valid.outcome(held.received, &held.state, now) {
            NoticeOutcome::NoEffect(effect) => return Ok((valid, effect)),
            NoticeOutcome::Unchanged => {
                let record = held.after_peer_notice(held.state.clone(), &valid, now)?;
                self.save(id, record.clone()).await?;
                *held = record;
            }
            NoticeOutcome::Changed(next) => {
                let record = held.after_peer_notice(next, &valid, now)?;
                let notice = valid.notice();
                let change = (change_of(notice.event), Some(notice.reason.clone()));
                self.enter_and_save(&live, change, record.clone(), (by, now)).await?;
                *held = record;
                self.0.epoch.raise();
            }
        }
        Ok((valid, NoticeEffect::Applied))
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
    ///
    /// # Errors
    /// [`NegotiationError`] when it cannot be recorded.
    pub async fn acknowledged(&self, id: &GrantId, notice: &Signed<Notice>) -> Result<(), NegotiationError> {
        let Some(live) = self.live(id) else { return Ok(()) };
        let mut held = live.exclusive().await;
        let mut record = held.clone();
        record.pending.retain(|pending| pending != notice);
        self.save(*id, record.clone()).await?;
        *held = record;
        Ok(())
    }

    fn notice(
        &self,
        live: &Live,
        event: GrantEvent,
        reason: Reason,
        sequence: u32,
        at: Timestamp,
    ) -> Result<Verified<Notice, concordat_protocol::ids::NodeId>, NegotiationError> {
        let (from, to) = (self.0.identity.institution.clone(), live.peer().clone());
        let notice = Notice {
            grant: live.terms().grant,
            event,
            reason,
            from,
            to,
            sequence,
            at,
        };
        Ok(Signed::sign(&notice, &self.0.identity.node_key)?)
    }

    /// Writes the ledger entry before the record changes.
    async fn enter_and_save(
        &self,
        live: &Live,
        (change, reason): (GrantChange, Option<Reason>),
        record: Record,
        by: (&Attribution, Timestamp),
    ) -> Result<(), NegotiationError> {
        let id = live.terms().grant;
        let entry = EntryBody::GrantChanged {
            grant: id,
            peer: live.peer().clone(),
            change,
            reason,
        };
        let open = self
            .0
            .changes
            .begin_async(Subject::Grant(id.to_string()), entry, by)
            .await?;
        let saved = self.save(id, record).await;
        self.0.changes.end_async(open, saved.is_ok()).await?;
        saved
    }

    async fn save(&self, id: GrantId, record: Record) -> Result<(), NegotiationError> {
        let records = self.0.records.clone();
        Ok(tokio::task::spawn_blocking(move || records.put(&id.to_string(), &record)).await??)
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

/// The short live permission to answer one query under a grant. It permits nothing by itself: each chunk needs a guard.
#[derive(Clone, Debug)]
pub struct Lease {
    live: Arc<Live>,
    peer: Side,
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

    /// Permission to send one chunk.
    ///
    /// # Errors
    /// [`Refusal`] once the grant can no longer be used.
    pub async fn guard(&self, now: Timestamp) -> Result<ChunkGuard, Refusal> {
        let held = self.live.record().read_owned().await;
        match held.state.effective(self.terms(), now) {
            Effective::Active => Ok(ChunkGuard { _held: held }),
            other @ (Effective::NotYet
            | Effective::Suspended
            | Effective::Revoked
            | Effective::Relinquished
            | Effective::Expired) => Err(ended(other, &held.state)),
        }
    }

    /// How many changes of the grant wait for its guards: a holder of a guard that waits for a peer then gives up.
    pub fn changes(&self) -> watch::Receiver<usize> {
        self.live.changes()
    }
}

fn ended(effective: Effective, state: &GrantState) -> Refusal {
    let label = match effective {
        Effective::NotYet => "is not active yet",
        Effective::Active => "is active",
        Effective::Suspended => "is suspended",
        Effective::Revoked => "was revoked",
        Effective::Relinquished => "was relinquished",
        Effective::Expired => "has expired",
    };
    let reason = state
        .reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    Refusal::because(RefusalCode::Denied, format!("the grant {label}{reason}"))
}

const fn change_of(event: GrantEvent) -> GrantChange {
    match event {
        GrantEvent::Suspend => GrantChange::Suspended,
        GrantEvent::Resume => GrantChange::Resumed,
        GrantEvent::Revoke => GrantChange::Revoked,
        GrantEvent::Relinquish => GrantChange::Relinquished,
    }
}
