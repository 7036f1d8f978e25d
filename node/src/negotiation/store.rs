//! The negotiations in memory and in the sealed state.
//!
//! Each has a lock for taking steps, held until the step is stored, so that two steps never interleave. Reading a negotiation does not need
//! that lock: a peer that is slow to answer delays its own negotiation and no listing.
//!
//! The messages of a negotiation that has ended are not kept in memory; they are read from the sealed state when they are needed.

mod slot;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use concordat_protocol::identity::Side;
use concordat_protocol::ids::{ActorId, InstitutionId, NegotiationId};
use concordat_protocol::negotiation::NegotiationMessage;
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::data_dir::Storage;
use concordat_storage::meta::SealedTree;
use tokio::sync::{OwnedMutexGuard, watch};

pub(super) use slot::{Due, LockedSlot};
use slot::{NegotiationRecord, Slot};

use super::NegotiationError;
use super::admission::{Admission, Admissions};
use super::bound_collection::BoundCollection;
use super::entry::Entry;
use super::precedence::Held;
use super::summary::{ListPosition, NegotiationSummary};
use crate::changes::NEGOTIATIONS;
use concordat_network::hello::Attested;

/// All negotiations of this node.
#[derive(Debug)]
pub(super) struct Store {
    tree: SealedTree<NegotiationRecord>,
    slots: RwLock<BTreeMap<NegotiationId, Arc<Slot>>>,
    admissions: Admissions,
    changes: watch::Sender<u64>,
}

impl Store {
    pub(super) fn open(storage: &Storage) -> Result<Self, NegotiationError> {
        let tree: SealedTree<NegotiationRecord> = storage.meta().tree(NEGOTIATIONS)?;
        let mut slots = BTreeMap::new();
        for (_, record) in tree.iter()? {
            let (id, slot) = Slot::open(record, tree.clone())?;
            slots.insert(id, Arc::new(slot));
        }
        Ok(Self {
            tree,
            slots: RwLock::new(slots),
            admissions: Admissions::open(storage.meta())?,
            changes: watch::Sender::new(0),
        })
    }

    /// Locks the slot of a negotiation that may not exist yet. [`Store::remove_if_unused`] must follow.
    pub(super) async fn lock_slot(&self, id: &NegotiationId) -> LockedSlot {
        loop {
            let slot = {
                let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
                let new = || Arc::new(Slot::empty(*id, self.tree.clone()));
                slots.entry(*id).or_insert_with(new).clone()
            };
            let locked = LockedSlot::lock(slot).await;
            // A slot that was removed while this task waited for it is not in the map any more: what is stored in it would be invisible.
            if self.slot(id).is_ok_and(|current| Arc::ptr_eq(&current, locked.slot())) {
                return locked;
            }
        }
    }

    /// A slot for a negotiation whose number was just generated at random. No other task can find it before it is stored, so both of its
    /// locks are acquired at once.
    pub(super) async fn reserve(&self, id: NegotiationId) -> (LockedSlot, OwnedMutexGuard<()>) {
        let slot = Arc::new(Slot::empty(id, self.tree.clone()));
        let delivery = slot.delivery().lock_owned().await;
        (LockedSlot::lock(slot).await, delivery)
    }

    /// Locks the slot of an existing negotiation.
    pub(super) async fn open_entry(&self, id: &NegotiationId) -> Result<LockedSlot, NegotiationError> {
        Ok(LockedSlot::lock(self.slot(id)?).await)
    }

    /// A negotiation in its present state, even while a step is being taken.
    pub(super) async fn load(&self, id: &NegotiationId) -> Result<Entry, NegotiationError> {
        self.slot(id)?.entry().await
    }

    /// Why the step that is due in a negotiation was not taken.
    pub(super) fn stopped(&self, id: &NegotiationId) -> Option<Reason> {
        self.slot(id).ok()?.stopped()
    }

    /// The other side of a negotiation; `None` if it is unknown.
    pub(super) fn peer(&self, id: &NegotiationId) -> Option<Side> {
        self.slot(id).ok()?.peer()
    }

    /// What this node has to do in a negotiation by itself.
    pub(super) fn due(&self, id: &NegotiationId) -> Due {
        self.slot(id).map_or(Due::Nothing, |slot| slot.due())
    }

    /// What a list shows of a negotiation; `None` if nothing is stored.
    pub(super) fn summary(&self, id: &NegotiationId) -> Option<NegotiationSummary> {
        self.slot(id).ok()?.summary()
    }

    /// The positions of all negotiations after `after`, in order.
    pub(super) fn positions(&self, after: Option<ListPosition>) -> Vec<ListPosition> {
        let mut positions: Vec<ListPosition> = {
            let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
            let stored = slots.values().filter_map(|slot| slot.position());
            stored.filter(|position| Some(*position) > after).collect()
        };
        positions.sort_unstable();
        positions
    }

    /// The negotiations whose ids start with `prefix`.
    pub(super) fn ids_with_prefix(&self, prefix: &str) -> Vec<NegotiationId> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let matching = slots.iter().filter(|(id, _)| id.to_string().starts_with(prefix));
        let stored = matching.filter(|(_, slot)| !slot.is_empty());
        stored.map(|(id, _)| *id).collect()
    }

    /// The negotiations that have not ended.
    pub(super) fn open_ids(&self) -> Vec<NegotiationId> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let open = slots.iter().filter(|(_, slot)| slot.is_open());
        open.map(|(id, _)| *id).collect()
    }

    /// What this node has offered to `consumer` of `dataset` in open negotiations.
    pub(super) fn offered(&self, consumer: &InstitutionId, dataset: &BoundCollection, now: Timestamp) -> Vec<Held> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let offered = slots.values().filter_map(|slot| slot.offered(consumer, dataset, now));
        offered.collect()
    }

    /// Waits until no request of `peer` is admitted, and no offer to it is made or signed. Hold the result until what was decided is
    /// stored.
    pub(super) async fn lock_admission(&self, peer: &InstitutionId) -> Admission {
        self.admissions.lock(peer).await
    }

    /// Counts a negotiation that `peer` begins with `request`. Hold the result until it is stored.
    pub(super) async fn admit(
        &self,
        peer: &InstitutionId,
        request: &Signed<NegotiationMessage>,
        now: Timestamp,
    ) -> Result<Admission, NegotiationError> {
        let admission = self.admissions.lock(peer).await;
        let bytes = request.as_bytes().len();
        self.admissions
            .count(&admission, self.open_count(peer), bytes, now)
            .await?;
        Ok(admission)
    }

    /// Counts a negotiation that `person`, of this institution, begins with a request of so many bytes.
    pub(super) async fn count_requested(
        &self,
        person: &ActorId,
        bytes: usize,
        now: Timestamp,
    ) -> Result<(), NegotiationError> {
        self.admissions.count_requested(person, bytes, now).await
    }

    /// Number of open negotiations that `peer` started.
    fn open_count(&self, peer: &InstitutionId) -> usize {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.values().filter(|slot| slot.was_begun_by(peer)).count()
    }

    fn slot(&self, id: &NegotiationId) -> Result<Arc<Slot>, NegotiationError> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots
            .get(id)
            .cloned()
            .ok_or(NegotiationError::UnknownNegotiation { negotiation: *id })
    }

    /// Makes the next value visible, once it is durable.
    pub(super) fn show(&self, locked: &LockedSlot, next: Entry) {
        locked.show(next, locked.acknowledged());
        self.slots
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(locked.id())
            .or_insert_with(|| locked.slot().clone());
        self.announce();
    }

    /// Deletes a negotiation that no one has to decide about, because the other side has refused the request, unless it has gone on meanwhile.
    pub(super) async fn forget_request(&self, id: &NegotiationId) -> Result<(), NegotiationError> {
        let locked = self.open_entry(id).await?;
        if locked.entry().await?.is_first_request() {
            let locked = tokio::task::spawn_blocking(move || locked.remove().map(|()| locked)).await??;
            self.discard(&locked);
        }
        Ok(())
    }

    /// Removes a negotiation from memory that is not stored any more.
    pub(super) fn discard(&self, locked: &LockedSlot) {
        locked.show_removed();
        self.slots
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&locked.id());
        self.announce();
    }

    /// Removes a slot that stayed empty, unless another task has it. A slot that no task has is referenced only by the map.
    pub(super) fn remove_if_unused(&self, id: &NegotiationId) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let is_unused = slots
            .get(id)
            .is_some_and(|slot| Arc::strong_count(slot) == 1 && slot.is_empty());
        if is_unused {
            slots.remove(id);
        }
    }

    /// Waits until no message of a negotiation is being sent. While the result is held, only its holder sends messages; the holder must not
    /// hold the step lock while it waits.
    pub(super) async fn delivery(&self, id: &NegotiationId) -> Result<OwnedMutexGuard<()>, NegotiationError> {
        let delivery = self.slot(id)?.delivery();
        Ok(delivery.lock_owned().await)
    }

    /// As [`Store::delivery`]; `None` if a message is being sent.
    pub(super) fn idle_delivery(&self, id: &NegotiationId) -> Result<Option<OwnedMutexGuard<()>>, NegotiationError> {
        let delivery = self.slot(id)?.delivery();
        Ok(delivery.try_lock_owned().ok())
    }

    /// Whether the other side has neither acknowledged nor answered our message.
    pub(super) async fn is_waiting(&self, id: &NegotiationId, message: &Signed<NegotiationMessage>) -> bool {
        match self.slot(id) {
            Ok(slot) => slot.unacknowledged().await.contains(message),
            Err(_) => false,
        }
    }

    /// Records that our message `sequence` is durable on the other side, so it is not sent again automatically.
    pub(super) async fn acknowledge(&self, id: &NegotiationId, sequence: u32) -> Result<(), NegotiationError> {
        let locked = self.open_entry(id).await?;
        if sequence > locked.acknowledged() {
            let entry = locked.entry().await?;
            tokio::task::spawn_blocking(move || locked.put(entry, sequence)).await??;
        }
        Ok(())
    }

    /// Our messages in negotiation `id` that `peer` has neither answered nor acknowledged, if the negotiation is with this
    /// peer.
    pub(super) async fn waiting(
        &self,
        id: &NegotiationId,
        peer: &Attested,
    ) -> Option<(Side, Vec<Signed<NegotiationMessage>>)> {
        let slot = self.slot(id).ok()?;
        let side = slot.peer()?;
        if !peer.acts_for(&side) {
            return None;
        }
        Some((side, slot.unacknowledged().await))
    }

    /// Notifies the tasks that wait for a change of a negotiation.
    pub(super) fn announce(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn ids(&self) -> Vec<NegotiationId> {
        self.slots
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .copied()
            .collect()
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
