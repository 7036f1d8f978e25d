//! The negotiations in memory and in the sealed state.
//!
//! Each has a lock for taking steps, held until the step is stored and sent, so that two steps never cross. Looking at a
//! negotiation needs no lock: a peer that is slow to answer holds up its own negotiation and nobody's list.

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

use super::NegotiationFault;
use crate::changes::NEGOTIATIONS;
use crate::network::hello::Attested;

/// A negotiation from the side on which this node is.
#[derive(Clone, Debug)]
pub enum Entry {
    /// This node holds the data.
    Provider(ProviderNegotiation),
    /// This node asks.
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

    /// Where it stands.
    pub fn state(&self) -> &State {
        either!(self, n => n.state())
    }

    /// The name of the state.
    pub fn state_name(&self) -> StateName {
        either!(self, n => n.state_name())
    }

    /// The grant that came of it.
    pub fn grant(&self) -> Option<&ValidGrant> {
        either!(self, n => n.grant())
    }

    /// The messages of ours that the other side has not answered.
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

/// A negotiation as it is shown.
#[derive(Clone, Debug)]
pub struct NegotiationView {
    /// Its number.
    pub id: NegotiationId,
    /// Which side this node is on.
    pub party: Party,
    /// The other institution.
    pub peer: InstitutionId,
    /// The key that it began with; the grant is this key's.
    pub peer_key: InstitutionPublicKey,
    /// Where it stands.
    pub state: StateName,
    /// What is known in that state.
    pub detail: State,
    /// When it began.
    pub started_at: Timestamp,
    /// Every message and its digest.
    pub messages: Vec<(NegotiationMessage, Digest32)>,
    /// Digest of the last message.
    pub head: Digest32,
}

/// What is kept of a negotiation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    negotiation: StoredNegotiation,
    /// Number of the newest message of ours that the other side has acknowledged; what it has taken is not sent again unless
    /// it repeats itself. 0 before the first.
    acknowledged: u32,
}

/// A negotiation and the lock that whoever takes a step in it holds.
#[derive(Debug, Default)]
struct Slot {
    entry: RwLock<Option<Entry>>,
    acknowledged: AtomicU32,
    step: Arc<tokio::sync::Mutex<()>>,
    /// Held while a message is on its way: no message is sent by two at a time. Whoever holds it and waits for `step` is let through,
    /// because nobody waits for it with `step` in hand.
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

    fn look<T>(&self, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.entry
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(look)
    }

    fn set(&self, entry: Option<Entry>) {
        *self.entry.write().unwrap_or_else(PoisonError::into_inner) = entry;
    }
}

/// All negotiations of this node.
#[derive(Debug)]
pub(super) struct Store {
    tree: SealedTree<Kept>,
    slots: RwLock<BTreeMap<NegotiationId, Arc<Slot>>>,
    changes: watch::Sender<u64>,
}

/// One negotiation, locked for a step.
#[derive(Debug)]
pub(super) struct Place<'a> {
    id: NegotiationId,
    slot: Arc<Slot>,
    _step: OwnedMutexGuard<()>,
    store: PhantomData<&'a Store>,
}

impl Place<'_> {
    /// The negotiation in it.
    pub(super) fn entry(&self) -> Result<Entry, NegotiationFault> {
        self.slot
            .look(Entry::clone)
            .ok_or(NegotiationFault::UnknownNegotiation { negotiation: self.id })
    }
}

impl Store {
    pub(super) fn open(storage: &Storage) -> Result<Self, NegotiationFault> {
        let tree: SealedTree<Kept> = storage.meta().tree(NEGOTIATIONS)?;
        let mut slots = BTreeMap::new();
        for (_, kept) in tree.iter()? {
            let entry = restore(kept.negotiation)?;
            slots.insert(entry.id(), Arc::new(Slot::with(entry, kept.acknowledged)));
        }
        Ok(Self {
            tree,
            slots: RwLock::new(slots),
            changes: watch::Sender::new(0),
        })
    }

    /// A locked place for a negotiation that may not exist yet.
    pub(super) async fn place(&self, id: &NegotiationId) -> Place<'_> {
        let slot = self
            .slots
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(*id)
            .or_default()
            .clone();
        lock(*id, slot).await
    }

    /// A place for a negotiation whose number was drawn at random just now: nobody else can hold it.
    pub(super) async fn reserve(&self, id: NegotiationId) -> Place<'_> {
        self.place(&id).await
    }

    /// The locked place of a negotiation that exists.
    pub(super) async fn open_entry(&self, id: &NegotiationId) -> Result<Place<'_>, NegotiationFault> {
        Ok(lock(*id, self.slot(id)?).await)
    }

    /// A negotiation as it stands, whoever is taking a step in it.
    pub(super) fn look<T>(&self, id: &NegotiationId, look: impl FnOnce(&Entry) -> T) -> Result<T, NegotiationFault> {
        self.slot(id)?
            .look(look)
            .ok_or(NegotiationFault::UnknownNegotiation { negotiation: *id })
    }

    /// How many negotiations that `peer` began have not ended.
    pub(super) fn begun_by(&self, peer: &InstitutionId) -> usize {
        let open =
            |entry: &Entry| entry.party() == Party::Provider && entry.peer() == peer && !entry.state_name().is_final();
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.values().filter(|slot| slot.look(open) == Some(true)).count()
    }

    fn slot(&self, id: &NegotiationId) -> Result<Arc<Slot>, NegotiationFault> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots
            .get(id)
            .cloned()
            .ok_or(NegotiationFault::UnknownNegotiation { negotiation: *id })
    }

    /// Makes the next value durable, then visible.
    pub(super) async fn put(&self, place: &mut Place<'_>, next: Entry) -> Result<(), NegotiationFault> {
        let acknowledged = place.slot.acknowledged.load(Ordering::Acquire);
        self.keep(place, &next, acknowledged).await?;
        place.slot.set(Some(next));
        self.announce();
        Ok(())
    }

    async fn keep(&self, place: &Place<'_>, entry: &Entry, acknowledged: u32) -> Result<(), NegotiationFault> {
        let (tree, key) = (self.tree.clone(), place.id.to_string());
        let kept = Kept {
            negotiation: entry.stored(),
            acknowledged,
        };
        Ok(tokio::task::spawn_blocking(move || tree.put(&key, &kept)).await??)
    }

    /// Waits until no message of a negotiation is on its way; while the result is held, none is sent but by its holder, who holds no
    /// place then.
    pub(super) async fn delivery(&self, id: &NegotiationId) -> Result<OwnedMutexGuard<()>, NegotiationFault> {
        let delivery = self.slot(id)?.delivery.clone();
        Ok(delivery.lock_owned().await)
    }

    /// As [`Store::delivery`]; `None` if a message is on its way.
    pub(super) fn idle_delivery(&self, id: &NegotiationId) -> Result<Option<OwnedMutexGuard<()>>, NegotiationFault> {
        let delivery = self.slot(id)?.delivery.clone();
        Ok(delivery.try_lock_owned().ok())
    }

    /// Whether the other side has neither acknowledged nor answered a message of ours.
    pub(super) fn is_waiting(&self, id: &NegotiationId, message: &Signed<NegotiationMessage>) -> bool {
        let Ok(slot) = self.slot(id) else { return false };
        let acknowledged = slot.acknowledged.load(Ordering::Acquire);
        let waits = |entry: &Entry| entry.unanswered_after(acknowledged).contains(message);
        slot.look(waits).unwrap_or(false)
    }

    /// The other side has taken message `sequence` of ours: it is durable there, and not sent again by itself.
    pub(super) async fn acknowledge(&self, id: &NegotiationId, sequence: u32) -> Result<(), NegotiationFault> {
        let place = self.open_entry(id).await?;
        if sequence > place.slot.acknowledged.load(Ordering::Acquire) {
            self.keep(&place, &place.entry()?, sequence).await?;
            place.slot.acknowledged.store(sequence, Ordering::Release);
        }
        Ok(())
    }

    /// The messages of ours in negotiation `id` that `peer` has neither answered nor acknowledged, if the negotiation is with this
    /// peer.
    pub(super) fn waiting(
        &self,
        id: &NegotiationId,
        peer: &Attested,
    ) -> Option<(Side, Vec<Signed<NegotiationMessage>>)> {
        let slot = self.slot(id).ok()?;
        let acknowledged = slot.acknowledged.load(Ordering::Acquire);
        slot.look(|entry| {
            let side = entry.peer_side();
            peer.acts_for(side)
                .then(|| (side.clone(), entry.unanswered_after(acknowledged)))
        })?
    }

    /// Tells those who wait for a negotiation to go on.
    pub(super) fn announce(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Forgets a negotiation whose first message the other side refused.
    pub(super) async fn forget(&self, place: &mut Place<'_>) -> Result<(), NegotiationFault> {
        let (tree, key) = (self.tree.clone(), place.id.to_string());
        tokio::task::spawn_blocking(move || tree.remove(&key)).await??;
        place.slot.set(None);
        self.slots
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&place.id);
        Ok(())
    }

    /// Gives up a place that stayed empty, unless somebody else waits for it. Two hold a slot that nobody waits for: the map and
    /// the place.
    #[expect(clippy::needless_pass_by_value, reason = "the place is given up")]
    pub(super) fn vacate(&self, place: Place<'_>) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let alone = slots.get(&place.id).is_some_and(|slot| Arc::strong_count(slot) == 2);
        if alone && place.slot.look(|_| ()).is_none() {
            slots.remove(&place.id);
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

async fn lock<'a>(id: NegotiationId, slot: Arc<Slot>) -> Place<'a> {
    let step = slot.step.clone().lock_owned().await;
    Place {
        id,
        slot,
        _step: step,
        store: PhantomData,
    }
}

/// Checks a stored negotiation again, message by message, with the keys that it was led with: what the roster says now is of no
/// concern.
fn restore(stored: StoredNegotiation) -> Result<Entry, NegotiationFault> {
    Ok(match stored.role {
        Party::Consumer => Entry::Consumer(ConsumerNegotiation::restore(stored)?),
        Party::Provider => Entry::Provider(ProviderNegotiation::restore(stored)?),
    })
}
