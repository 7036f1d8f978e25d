//! The negotiations in memory and in the sealed state.
//!
//! Each has a lock for taking steps, held until the step is stored and sent, so that two steps never interleave. Reading a
//! negotiation does not need that lock: a peer that is slow to answer delays its own negotiation and no listing.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use concordat_protocol::grant::{Party, ValidGrant};
use concordat_protocol::identity::{InstitutionPublicKey, Side};
use concordat_protocol::ids::{Digest32, InstitutionId, NegotiationId};
use concordat_protocol::negotiation::{
    ConsumerNegotiation, NegotiationMessage, ProviderNegotiation, State, StateName, StoredNegotiation,
};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use concordat_storage::data_dir::Storage;
use concordat_storage::meta::SealedTree;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedMutexGuard, watch};

use super::NegotiationError;
use crate::changes::NEGOTIATIONS;
use crate::network::hello::Attested;

/// A negotiation as seen from the side of this node.
#[derive(Clone, Debug)]
pub enum Entry {
    /// This node holds the data.
    Provider(ProviderNegotiation),
    /// This node requests the data.
    Consumer(ConsumerNegotiation),
}

macro_rules! either {
    ($entry:expr, $negotiation:ident => $value:expr) => {
        match $entry {
            Entry::Provider($negotiation) => $value,
            Entry::Consumer($negotiation) => $value,
        }
    };
}

impl Entry {
    /// The negotiation's number.
    pub fn id(&self) -> NegotiationId {
        either!(self, n => n.id())
    }

    /// The other institution.
    pub fn peer(&self) -> &InstitutionId {
        either!(self, n => n.peer())
    }

    /// The other institution with the key that the negotiation began with.
    pub fn peer_side(&self) -> &Side {
        either!(self, n => n.peer_side())
    }

    /// Its state.
    pub fn state(&self) -> &State {
        either!(self, n => n.state())
    }

    /// The name of the state.
    pub fn state_name(&self) -> StateName {
        either!(self, n => n.state_name())
    }

    /// The grant that resulted from it.
    pub fn grant(&self) -> Option<&ValidGrant> {
        either!(self, n => n.grant())
    }

    /// Our messages that the other side has not answered.
    pub fn unanswered(&self) -> Vec<Signed<NegotiationMessage>> {
        either!(self, n => n.unanswered())
    }

    /// Those of [`Entry::unanswered`] with a higher number than `sequence`.
    pub fn unanswered_after(&self, sequence: u32) -> Vec<Signed<NegotiationMessage>> {
        let messages = either!(self, n => n.transcript().messages());
        let newer = messages.iter().filter(|message| message.message().sequence > sequence);
        let newer: Vec<_> = newer.map(|message| message.signed().clone()).collect();
        let mut unanswered = self.unanswered();
        unanswered.retain(|message| newer.contains(message));
        unanswered
    }

    /// Which side this node is on.
    pub const fn party(&self) -> Party {
        match self {
            Self::Provider(_) => Party::Provider,
            Self::Consumer(_) => Party::Consumer,
        }
    }

    fn stored(&self) -> StoredNegotiation {
        either!(self, n => n.stored())
    }

    pub(super) fn view(&self) -> NegotiationView {
        let transcript = either!(self, n => n.transcript());
        let messages = transcript.messages();
        NegotiationView {
            id: self.id(),
            party: self.party(),
            peer: self.peer().clone(),
            peer_key: self.peer_side().key,
            state: self.state_name(),
            detail: self.state().clone(),
            started_at: messages
                .first()
                .map_or(Timestamp::from_millis(0), |first| first.message().sent_at),
            messages: messages
                .iter()
                .map(|message| (message.message().clone(), message.digest()))
                .collect(),
            head: transcript.head(),
        }
    }
}

/// A negotiation as shown to users.
#[derive(Clone, Debug)]
pub struct NegotiationView {
    /// Its number.
    pub id: NegotiationId,
    /// Which side this node is on.
    pub party: Party,
    /// The other institution.
    pub peer: InstitutionId,
    /// The key that it began with; the grant belongs to this key.
    pub peer_key: InstitutionPublicKey,
    /// The name of its state.
    pub state: StateName,
    /// The state with its details.
    pub detail: State,
    /// When it began.
    pub started_at: Timestamp,
    /// Every message and its digest.
    pub messages: Vec<(NegotiationMessage, Digest32)>,
    /// Digest of the last message.
    pub head: Digest32,
}

/// The stored record of a negotiation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NegotiationRecord {
    negotiation: StoredNegotiation,
    /// Number of our newest message that the other side has acknowledged. Acknowledged messages are not sent again unless the other side
    /// repeats its own. 0 before the first.
    acknowledged: u32,
}

/// A negotiation and the lock that is held while a step is taken.
#[derive(Debug, Default)]
struct Slot {
    entry: RwLock<Option<Entry>>,
    acknowledged: AtomicU32,
    step: Arc<tokio::sync::Mutex<()>>,
    /// Held while a message is being sent, so that no message is sent by two tasks at a time. A task may wait for `step` while it holds
    /// this lock, because no task waits for this lock while it holds `step`.
    delivery: Arc<tokio::sync::Mutex<()>>,
}

impl Slot {
    fn with(entry: Entry, acknowledged: u32) -> Self {
        Self {
            entry: RwLock::new(Some(entry)),
            acknowledged: AtomicU32::new(acknowledged),
            step: Arc::default(),
            delivery: Arc::default(),
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.entry
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(read)
    }

    fn set(&self, entry: Option<Entry>) {
        *self.entry.write().unwrap_or_else(PoisonError::into_inner) = entry;
    }
}

/// All negotiations of this node.
#[derive(Debug)]
pub(super) struct Store {
    tree: SealedTree<NegotiationRecord>,
    slots: RwLock<BTreeMap<NegotiationId, Arc<Slot>>>,
    changes: watch::Sender<u64>,
}

/// One negotiation, locked for a step.
#[derive(Debug)]
pub(super) struct LockedSlot<'a> {
    id: NegotiationId,
    slot: Arc<Slot>,
    _step: OwnedMutexGuard<()>,
    store: PhantomData<&'a Store>,
}

impl LockedSlot<'_> {
    /// The negotiation.
    pub(super) fn entry(&self) -> Result<Entry, NegotiationError> {
        self.slot
            .read(Entry::clone)
            .ok_or(NegotiationError::UnknownNegotiation { negotiation: self.id })
    }
}

impl Store {
    pub(super) fn open(storage: &Storage) -> Result<Self, NegotiationError> {
        let tree: SealedTree<NegotiationRecord> = storage.meta().tree(NEGOTIATIONS)?;
        let mut slots = BTreeMap::new();
        for (_, record) in tree.iter()? {
            let entry = restore(record.negotiation)?;
            slots.insert(entry.id(), Arc::new(Slot::with(entry, record.acknowledged)));
        }
        Ok(Self {
            tree,
            slots: RwLock::new(slots),
            changes: watch::Sender::new(0),
        })
    }

    /// Locks the slot of a negotiation that may not exist yet.
    pub(super) async fn lock_slot(&self, id: &NegotiationId) -> LockedSlot<'_> {
        let slot = self
            .slots
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(*id)
            .or_default()
            .clone();
        lock(*id, slot).await
    }

    /// Locks the slot of a negotiation whose number was just generated at random: no other task can hold it.
    pub(super) async fn reserve(&self, id: NegotiationId) -> LockedSlot<'_> {
        self.lock_slot(&id).await
    }

    /// Locks the slot of an existing negotiation.
    pub(super) async fn open_entry(&self, id: &NegotiationId) -> Result<LockedSlot<'_>, NegotiationError> {
        Ok(lock(*id, self.slot(id)?).await)
    }

    /// Reads a negotiation in its present state, even while a step is being taken.
    pub(super) fn read<T>(&self, id: &NegotiationId, read: impl FnOnce(&Entry) -> T) -> Result<T, NegotiationError> {
        self.slot(id)?
            .read(read)
            .ok_or(NegotiationError::UnknownNegotiation { negotiation: *id })
    }

    /// Number of open negotiations that `peer` started.
    pub(super) fn open_count(&self, peer: &InstitutionId) -> usize {
        let open =
            |entry: &Entry| entry.party() == Party::Provider && entry.peer() == peer && !entry.state_name().is_final();
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.values().filter(|slot| slot.read(open) == Some(true)).count()
    }

    fn slot(&self, id: &NegotiationId) -> Result<Arc<Slot>, NegotiationError> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots
            .get(id)
            .cloned()
            .ok_or(NegotiationError::UnknownNegotiation { negotiation: *id })
    }

    /// Stores the next value durably, then makes it visible.
    pub(super) async fn put(&self, locked: &mut LockedSlot<'_>, next: Entry) -> Result<(), NegotiationError> {
        let acknowledged = locked.slot.acknowledged.load(Ordering::Acquire);
        self.save(locked, &next, acknowledged).await?;
        locked.slot.set(Some(next));
        self.announce();
        Ok(())
    }

    async fn save(&self, locked: &LockedSlot<'_>, entry: &Entry, acknowledged: u32) -> Result<(), NegotiationError> {
        let (tree, key) = (self.tree.clone(), locked.id.to_string());
        let record = NegotiationRecord {
            negotiation: entry.stored(),
            acknowledged,
        };
        Ok(tokio::task::spawn_blocking(move || tree.put(&key, &record)).await??)
    }

    /// Waits until no message of a negotiation is being sent. While the result is held, only its holder sends messages; the holder must not
    /// hold the step lock while it waits.
    pub(super) async fn delivery(&self, id: &NegotiationId) -> Result<OwnedMutexGuard<()>, NegotiationError> {
        let delivery = self.slot(id)?.delivery.clone();
        Ok(delivery.lock_owned().await)
    }

    /// As [`Store::delivery`]; `None` if a message is being sent.
    pub(super) fn idle_delivery(&self, id: &NegotiationId) -> Result<Option<OwnedMutexGuard<()>>, NegotiationError> {
        let delivery = self.slot(id)?.delivery.clone();
        Ok(delivery.try_lock_owned().ok())
    }

    /// Whether the other side has neither acknowledged nor answered our message.
    pub(super) fn is_waiting(&self, id: &NegotiationId, message: &Signed<NegotiationMessage>) -> bool {
        let Ok(slot) = self.slot(id) else { return false };
        let acknowledged = slot.acknowledged.load(Ordering::Acquire);
        let waits = |entry: &Entry| entry.unanswered_after(acknowledged).contains(message);
        slot.read(waits).unwrap_or(false)
    }

    /// Records that our message `sequence` is durable on the other side, so it is not sent again automatically.
    pub(super) async fn acknowledge(&self, id: &NegotiationId, sequence: u32) -> Result<(), NegotiationError> {
        let locked = self.open_entry(id).await?;
        if sequence > locked.slot.acknowledged.load(Ordering::Acquire) {
            self.save(&locked, &locked.entry()?, sequence).await?;
            locked.slot.acknowledged.store(sequence, Ordering::Release);
        }
        Ok(())
    }

    /// Our messages in negotiation `id` that `peer` has neither answered nor acknowledged, if the negotiation is with this
    /// peer.
    pub(super) fn waiting(
        &self,
        id: &NegotiationId,
        peer: &Attested,
    ) -> Option<(Side, Vec<Signed<NegotiationMessage>>)> {
        let slot = self.slot(id).ok()?;
        let acknowledged = slot.acknowledged.load(Ordering::Acquire);
        slot.read(|entry| {
            let side = entry.peer_side();
            peer.acts_for(side)
                .then(|| (side.clone(), entry.unanswered_after(acknowledged)))
        })?
    }

    /// Notifies the tasks that wait for a change of a negotiation.
    pub(super) fn announce(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Deletes a negotiation whose first message the other side refused.
    pub(super) async fn forget(&self, locked: &mut LockedSlot<'_>) -> Result<(), NegotiationError> {
        let (tree, key) = (self.tree.clone(), locked.id.to_string());
        tokio::task::spawn_blocking(move || tree.remove(&key)).await??;
        locked.slot.set(None);
        self.slots
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&locked.id);
        Ok(())
    }

    /// Removes a slot that stayed empty, unless another task waits for it. A slot that no task waits for has two references: the map and
    /// the locked slot.
    #[expect(clippy::needless_pass_by_value, reason = "the lock is released")]
    pub(super) fn remove_if_empty(&self, locked: LockedSlot<'_>) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let is_unshared = slots.get(&locked.id).is_some_and(|slot| Arc::strong_count(slot) == 2);
        if is_unshared && locked.slot.read(|_| ()).is_none() {
            slots.remove(&locked.id);
        }
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

async fn lock<'a>(id: NegotiationId, slot: Arc<Slot>) -> LockedSlot<'a> {
    let step = slot.step.clone().lock_owned().await;
    LockedSlot {
        id,
        slot,
        _step: step,
        store: PhantomData,
    }
}

/// Checks a stored negotiation again, message by message, with the keys that were valid at the time. The present roster is not
/// consulted.
fn restore(stored: StoredNegotiation) -> Result<Entry, NegotiationError> {
    Ok(match stored.role {
        Party::Consumer => Entry::Consumer(ConsumerNegotiation::restore(stored)?),
        Party::Provider => Entry::Provider(ProviderNegotiation::restore(stored)?),
    })
}
