//! The negotiations in memory and in the sealed state.
//!
//! Each has a lock for taking steps, held until the step is stored and sent, so that two steps never interleave. Reading a
//! negotiation does not need that lock: a peer that is slow to answer delays its own negotiation and no listing.
//!
//! The messages of a negotiation that has ended are not kept in memory; they are read from the sealed state when they are needed.

use std::collections::BTreeMap;
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
use super::admission::{Admission, Admissions};
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

    /// This institution with the key that the negotiation began with.
    pub fn own_side(&self) -> &Side {
        either!(self, n => n.transcript().parties().side(self.party()))
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

    /// Whether it consists of our request only.
    pub(super) fn is_first_request(&self) -> bool {
        let messages = either!(self, n => n.transcript().messages());
        self.party() == Party::Consumer && messages.len() == 1
    }

    /// Whether `next` is this negotiation after the consumer has withdrawn its request, to which there was no offer.
    pub(super) fn is_withdrawn_in(&self, next: &Self) -> bool {
        let first = either!(self, n => n.transcript().messages()).len() == 1;
        first && self.party() == Party::Provider && next.state_name() == StateName::Terminated
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

/// The rosters that had admitted the two sides when the negotiation began; of their last admissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admitted {
    pub(super) ours: u64,
    pub(super) theirs: u64,
}

/// The stored record of a negotiation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NegotiationRecord {
    negotiation: StoredNegotiation,
    admitted: Admitted,
    /// Number of our newest message that the other side has acknowledged. Acknowledged messages are not sent again unless the other side
    /// repeats its own. 0 before the first.
    acknowledged: u32,
}

/// What is in memory of a negotiation.
#[derive(Debug, Default)]
enum Content {
    /// Its first message is not stored yet, or it was removed.
    #[default]
    Empty,
    /// All of it.
    Open(Box<Entry>),
    /// It has ended.
    Ended(Ended),
}

/// What is in memory of a negotiation that has ended.
#[derive(Clone, Debug)]
struct Ended {
    peer: Side,
    state: StateName,
    /// Whether the other side has not acknowledged all of our messages.
    is_waiting: bool,
}

impl Content {
    fn of(entry: Entry, acknowledged: u32) -> Self {
        if entry.state_name().is_final() {
            Self::Ended(Ended {
                peer: entry.peer_side().clone(),
                state: entry.state_name(),
                is_waiting: !entry.unanswered_after(acknowledged).is_empty(),
            })
        } else {
            Self::Open(Box::new(entry))
        }
    }
}

/// What this node has to do in a negotiation without a decision by a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Perhaps the next step.
    Step,
    /// To record its grant, if that was interrupted.
    Grant,
    /// Nothing.
    Nothing,
}

/// A negotiation and the lock that is held while a step is taken.
#[derive(Debug, Default)]
struct Slot {
    content: RwLock<Content>,
    admitted: RwLock<Admitted>,
    acknowledged: AtomicU32,
    step: Arc<tokio::sync::Mutex<()>>,
    /// Held while a message is being sent, so that no message is sent by two tasks at a time. A task may wait for `step` while it holds
    /// this lock, because no task waits for this lock while it holds `step`.
    delivery: Arc<tokio::sync::Mutex<()>>,
}

impl Slot {
    fn with(entry: Entry, admitted: Admitted, acknowledged: u32) -> Self {
        Self {
            content: RwLock::new(Content::of(entry, acknowledged)),
            admitted: RwLock::new(admitted),
            acknowledged: AtomicU32::new(acknowledged),
            ..Self::default()
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Content) -> T) -> T {
        read(&self.content.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, content: Content) {
        *self.content.write().unwrap_or_else(PoisonError::into_inner) = content;
    }

    fn admitted(&self) -> Admitted {
        *self.admitted.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn acknowledged(&self) -> u32 {
        self.acknowledged.load(Ordering::Acquire)
    }
}

/// All negotiations of this node.
#[derive(Debug)]
pub(super) struct Store {
    tree: SealedTree<NegotiationRecord>,
    slots: RwLock<BTreeMap<NegotiationId, Arc<Slot>>>,
    admissions: Admissions,
    changes: watch::Sender<u64>,
}

/// One negotiation, locked for a step.
#[derive(Debug)]
pub(super) struct LockedSlot<'a> {
    id: NegotiationId,
    slot: Arc<Slot>,
    _step: OwnedMutexGuard<()>,
    store: &'a Store,
}

impl LockedSlot<'_> {
    /// The negotiation.
    pub(super) async fn entry(&self) -> Result<Entry, NegotiationError> {
        self.store.entry_in(&self.slot, &self.id).await
    }

    /// The rosters that had admitted the two sides when it began.
    pub(super) fn admitted(&self) -> Admitted {
        self.slot.admitted()
    }

    /// States the rosters that have admitted the two sides, before the first message is stored.
    pub(super) fn set_admitted(&self, admitted: Admitted) {
        *self.slot.admitted.write().unwrap_or_else(PoisonError::into_inner) = admitted;
    }
}

impl Store {
    pub(super) fn open(storage: &Storage) -> Result<Self, NegotiationError> {
        let tree: SealedTree<NegotiationRecord> = storage.meta().tree(NEGOTIATIONS)?;
        let mut slots = BTreeMap::new();
        for (_, record) in tree.iter()? {
            let entry = restore(record.negotiation)?;
            let id = entry.id();
            let slot = Slot::with(entry, record.admitted, record.acknowledged);
            slots.insert(id, Arc::new(slot));
        }
        Ok(Self {
            tree,
            slots: RwLock::new(slots),
            admissions: Admissions::open(storage.meta())?,
            changes: watch::Sender::new(0),
        })
    }

    /// Locks the slot of a negotiation that may not exist yet.
    pub(super) async fn lock_slot(&self, id: &NegotiationId) -> LockedSlot<'_> {
        loop {
            let slot = {
                let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
                slots.entry(*id).or_default().clone()
            };
            let locked = self.lock(*id, slot).await;
            // A slot that was removed while this task waited for it is not in the map any more: what is stored in it would be invisible.
            if self.slot(id).is_ok_and(|current| Arc::ptr_eq(&current, &locked.slot)) {
                return locked;
            }
        }
    }

    async fn lock(&self, id: NegotiationId, slot: Arc<Slot>) -> LockedSlot<'_> {
        let step = slot.step.clone().lock_owned().await;
        LockedSlot {
            id,
            slot,
            _step: step,
            store: self,
        }
    }

    /// Locks the slot of a negotiation whose number was just generated at random: no other task can hold it.
    pub(super) async fn reserve(&self, id: NegotiationId) -> LockedSlot<'_> {
        self.lock_slot(&id).await
    }

    /// Locks the slot of an existing negotiation.
    pub(super) async fn open_entry(&self, id: &NegotiationId) -> Result<LockedSlot<'_>, NegotiationError> {
        Ok(self.lock(*id, self.slot(id)?).await)
    }

    /// A negotiation in its present state, even while a step is being taken.
    pub(super) async fn load(&self, id: &NegotiationId) -> Result<Entry, NegotiationError> {
        let slot = self.slot(id)?;
        self.entry_in(&slot, id).await
    }

    async fn entry_in(&self, slot: &Slot, id: &NegotiationId) -> Result<Entry, NegotiationError> {
        let unknown = NegotiationError::UnknownNegotiation { negotiation: *id };
        let in_memory = slot.read(|content| match content {
            Content::Empty => Some(None),
            Content::Open(entry) => Some(Some(Entry::clone(entry))),
            Content::Ended(_) => None,
        });
        match in_memory {
            Some(Some(entry)) => Ok(entry),
            Some(None) => Err(unknown),
            None => {
                let (tree, key) = (self.tree.clone(), id.to_string());
                let record = tokio::task::spawn_blocking(move || tree.get(&key)).await??;
                restore(record.ok_or(unknown)?.negotiation)
            }
        }
    }

    /// What this node has to do in a negotiation by itself. Acknowledged messages are not repeated, so a step is due only if none of our
    /// messages is unanswered.
    pub(super) fn due(&self, id: &NegotiationId) -> Due {
        let Ok(slot) = self.slot(id) else { return Due::Nothing };
        slot.read(|content| match content {
            Content::Open(entry) if entry.unanswered().is_empty() => Due::Step,
            Content::Ended(ended) if ended.state == StateName::Finalized => Due::Grant,
            Content::Empty | Content::Open(_) | Content::Ended(_) => Due::Nothing,
        })
    }

    /// The negotiations that have not ended.
    pub(super) fn open_ids(&self) -> Vec<NegotiationId> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let open = slots
            .iter()
            .filter(|(_, slot)| slot.read(|content| matches!(content, Content::Open(_))));
        open.map(|(id, _)| *id).collect()
    }

    /// Counts a negotiation that `peer` begins. Hold the result until it is stored.
    pub(super) async fn admit(&self, peer: &InstitutionId, now: Timestamp) -> Result<Admission, NegotiationError> {
        let admission = self.admissions.lock(peer).await;
        self.admissions.count(&admission, self.open_count(peer), now).await?;
        Ok(admission)
    }

    /// Number of open negotiations that `peer` started.
    fn open_count(&self, peer: &InstitutionId) -> usize {
        let is_open = |content: &Content| match content {
            Content::Open(entry) => entry.party() == Party::Provider && entry.peer() == peer,
            Content::Empty | Content::Ended(_) => false,
        };
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.values().filter(|slot| slot.read(is_open)).count()
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
        let acknowledged = locked.slot.acknowledged();
        self.save(locked, &next, acknowledged).await?;
        locked.slot.set(Content::of(next, acknowledged));
        self.announce();
        Ok(())
    }

    async fn save(&self, locked: &LockedSlot<'_>, entry: &Entry, acknowledged: u32) -> Result<(), NegotiationError> {
        let (tree, key) = (self.tree.clone(), locked.id.to_string());
        let record = NegotiationRecord {
            negotiation: entry.stored(),
            admitted: locked.admitted(),
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
    pub(super) async fn is_waiting(&self, id: &NegotiationId, message: &Signed<NegotiationMessage>) -> bool {
        self.unacknowledged(id).await.contains(message)
    }

    /// Our messages that the other side has neither acknowledged nor answered, in order.
    async fn unacknowledged(&self, id: &NegotiationId) -> Vec<Signed<NegotiationMessage>> {
        let Ok(slot) = self.slot(id) else { return Vec::new() };
        let may_wait = slot.read(|content| match content {
            Content::Empty => false,
            Content::Open(_) => true,
            Content::Ended(ended) => ended.is_waiting,
        });
        if !may_wait {
            return Vec::new();
        }
        match self.entry_in(&slot, id).await {
            Ok(entry) => entry.unanswered_after(slot.acknowledged()),
            Err(_) => Vec::new(),
        }
    }

    /// Records that our message `sequence` is durable on the other side, so it is not sent again automatically.
    pub(super) async fn acknowledge(&self, id: &NegotiationId, sequence: u32) -> Result<(), NegotiationError> {
        let locked = self.open_entry(id).await?;
        if sequence > locked.slot.acknowledged() {
            let entry = locked.entry().await?;
            self.save(&locked, &entry, sequence).await?;
            locked.slot.acknowledged.store(sequence, Ordering::Release);
            locked.slot.set(Content::of(entry, sequence));
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
        let side = self.slot(id).ok()?.read(|content| match content {
            Content::Empty => None,
            Content::Open(entry) => Some(entry.peer_side().clone()),
            Content::Ended(ended) => Some(ended.peer.clone()),
        })?;
        if !peer.acts_for(&side) {
            return None;
        }
        Some((side, self.unacknowledged(id).await))
    }

    /// Notifies the tasks that wait for a change of a negotiation.
    pub(super) fn announce(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Deletes a negotiation that no one has to decide about: the other side refused the first message, or withdrew its request.
    pub(super) async fn forget(&self, locked: &mut LockedSlot<'_>) -> Result<(), NegotiationError> {
        let (tree, key) = (self.tree.clone(), locked.id.to_string());
        tokio::task::spawn_blocking(move || tree.remove(&key)).await??;
        locked.slot.set(Content::Empty);
        self.slots
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&locked.id);
        self.announce();
        Ok(())
    }

    /// Removes a slot that stayed empty, unless another task waits for it. A slot that no task waits for has two references: the map and
    /// the locked slot.
    #[expect(clippy::needless_pass_by_value, reason = "the lock is released")]
    pub(super) fn remove_if_empty(&self, locked: LockedSlot<'_>) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let is_unshared = slots.get(&locked.id).is_some_and(|slot| Arc::strong_count(slot) == 2);
        let is_empty = locked.slot.read(|content| matches!(content, Content::Empty));
        if is_unshared && is_empty {
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

/// Checks a stored negotiation again, message by message, with the keys that were valid at the time. The present roster is not
/// consulted.
fn restore(stored: StoredNegotiation) -> Result<Entry, NegotiationError> {
    Ok(match stored.role {
        Party::Consumer => Entry::Consumer(ConsumerNegotiation::restore(stored)?),
        Party::Provider => Entry::Provider(ProviderNegotiation::restore(stored)?),
    })
}
