//! One negotiation: what is in memory of it, its record, and its locks.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use concordat_protocol::grant::Party;
use concordat_protocol::identity::Side;
use concordat_protocol::ids::{InstitutionId, NegotiationId};
use concordat_protocol::negotiation::{NegotiationMessage, StateName, StoredNegotiation};
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::meta::{Batch, MetaError, SealedTree};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::negotiation::NegotiationError;
use crate::negotiation::bound_collection::BoundCollection;
use crate::negotiation::entry::{Admitted, Entry, Origin};
use crate::negotiation::precedence::Held;
use crate::negotiation::summary::{ListPosition, NegotiationSummary};

/// The stored record of a negotiation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NegotiationRecord {
    negotiation: StoredNegotiation,
    admitted: Admitted,
    #[serde(default)]
    origin: Origin,
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
    /// What a list shows of it.
    summary: Option<NegotiationSummary>,
    /// Whether the other side has not acknowledged all of our messages.
    is_waiting: bool,
}

impl Content {
    fn of(entry: Entry, acknowledged: u32) -> Self {
        if entry.state_name().is_final() {
            Self::Ended(Ended {
                peer: entry.peer_side().clone(),
                state: entry.state_name(),
                summary: entry.summary(),
                is_waiting: !entry.unanswered_after(acknowledged).is_empty(),
            })
        } else {
            Self::Open(Box::new(entry))
        }
    }
}

/// What this node has to do in a negotiation without a decision by a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::negotiation) enum Due {
    /// Perhaps the next step.
    Step,
    /// To record its grant, if that was interrupted.
    Grant,
    /// Nothing.
    Nothing,
}

/// A negotiation and the lock that is held while a step is taken.
#[derive(Debug)]
pub(super) struct Slot {
    id: NegotiationId,
    tree: SealedTree<NegotiationRecord>,
    content: RwLock<Content>,
    admitted: RwLock<Admitted>,
    origin: RwLock<Origin>,
    /// Why the step that is due was not taken; determined again after a start.
    stopped: RwLock<Option<Reason>>,
    acknowledged: AtomicU32,
    step: Arc<Mutex<()>>,
    /// Held while a message is being sent, so that no message is sent by two tasks at a time. A task may wait for `step` while it holds
    /// this lock, because no task waits for this lock while it holds `step`.
    delivery: Arc<Mutex<()>>,
}

impl Slot {
    /// The slot of a negotiation that is not stored yet.
    pub(super) fn empty(id: NegotiationId, tree: SealedTree<NegotiationRecord>) -> Self {
        Self {
            id,
            tree,
            content: RwLock::default(),
            admitted: RwLock::default(),
            origin: RwLock::default(),
            stopped: RwLock::default(),
            acknowledged: AtomicU32::new(0),
            step: Arc::default(),
            delivery: Arc::default(),
        }
    }

    /// The slot of a stored negotiation, which is checked.
    pub(super) fn open(
        record: NegotiationRecord,
        tree: SealedTree<NegotiationRecord>,
    ) -> Result<(NegotiationId, Self), NegotiationError> {
        let NegotiationRecord {
            negotiation,
            admitted,
            origin,
            acknowledged,
        } = record;
        let entry = Entry::restore(negotiation)?;
        let id = entry.id();
        let slot = Self {
            content: RwLock::new(Content::of(entry, acknowledged)),
            admitted: RwLock::new(admitted),
            origin: RwLock::new(origin),
            acknowledged: AtomicU32::new(acknowledged),
            ..Self::empty(id, tree)
        };
        Ok((id, slot))
    }

    fn read<T>(&self, read: impl FnOnce(&Content) -> T) -> T {
        read(&self.content.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, content: Content) {
        *self.content.write().unwrap_or_else(PoisonError::into_inner) = content;
    }

    /// The negotiation in its present state, even while a step is being taken.
    pub(super) async fn entry(&self) -> Result<Entry, NegotiationError> {
        let unknown = NegotiationError::UnknownNegotiation { negotiation: self.id };
        let in_memory = self.read(|content| match content {
            Content::Empty => Some(None),
            Content::Open(entry) => Some(Some(Entry::clone(entry))),
            Content::Ended(_) => None,
        });
        match in_memory {
            Some(Some(entry)) => Ok(entry),
            Some(None) => Err(unknown),
            None => {
                let tree = self.tree.clone();
                let key = self.id.to_string();
                // Its messages are checked again, which takes time with long ones.
                let restore = move || {
                    let record = tree.get(&key)?.ok_or(unknown)?;
                    Ok::<_, NegotiationError>(Entry::restore(record.negotiation)?)
                };
                tokio::task::spawn_blocking(restore).await?
            }
        }
    }

    /// Whether nothing is stored under its id.
    pub(super) fn is_empty(&self) -> bool {
        self.read(|content| matches!(content, Content::Empty))
    }

    /// Whether the negotiation has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        self.read(|content| matches!(content, Content::Open(_)))
    }

    /// Where it is in the list of all; `None` if nothing is stored.
    pub(super) fn position(&self) -> Option<ListPosition> {
        self.read(|content| match content {
            Content::Empty => None,
            Content::Open(entry) => entry.position(),
            Content::Ended(ended) => ended.summary.as_ref().map(|summary| summary.position),
        })
    }

    /// What a list shows of it; `None` if nothing is stored. Reads no record.
    pub(super) fn summary(&self) -> Option<NegotiationSummary> {
        self.read(|content| match content {
            Content::Empty => None,
            Content::Open(entry) => entry.summary(),
            Content::Ended(ended) => ended.summary.clone(),
        })
    }

    /// Whether it is an open negotiation that `peer` started.
    pub(super) fn was_begun_by(&self, peer: &InstitutionId) -> bool {
        self.read(|content| match content {
            Content::Open(entry) => entry.party() == Party::Provider && entry.peer() == peer,
            Content::Empty | Content::Ended(_) => false,
        })
    }

    /// What this node has offered in it to `consumer` of `dataset`, until the offered time is over.
    pub(super) fn offered(&self, consumer: &InstitutionId, dataset: &BoundCollection, now: Timestamp) -> Option<Held> {
        let held = self.read(|content| match content {
            Content::Open(entry) if entry.peer() == consumer => entry.offered(),
            Content::Empty | Content::Open(_) | Content::Ended(_) => None,
        })?;
        let scope = &held.scope.scope;
        let is_over = scope.window.not_after() <= now;
        let created = self.origin.read().unwrap_or_else(PoisonError::into_inner).dataset;
        let about = BoundCollection::new(scope.collection.clone(), created);
        (about == *dataset && !is_over).then_some(held)
    }

    /// The other side; `None` if nothing is stored.
    pub(super) fn peer(&self) -> Option<Side> {
        self.read(|content| match content {
            Content::Empty => None,
            Content::Open(entry) => Some(entry.peer_side().clone()),
            Content::Ended(ended) => Some(ended.peer.clone()),
        })
    }

    /// What this node has to do by itself. Acknowledged messages are not repeated, so a step is due only if none of our messages is
    /// unanswered.
    pub(super) fn due(&self) -> Due {
        self.read(|content| match content {
            Content::Open(entry) if entry.unanswered().is_empty() => Due::Step,
            Content::Ended(ended) if ended.state == StateName::Finalized => Due::Grant,
            Content::Empty | Content::Open(_) | Content::Ended(_) => Due::Nothing,
        })
    }

    /// Our messages that the other side has neither acknowledged nor answered, in order.
    pub(super) async fn unacknowledged(&self) -> Vec<Signed<NegotiationMessage>> {
        let may_wait = self.read(|content| match content {
            Content::Empty => false,
            Content::Open(_) => true,
            Content::Ended(ended) => ended.is_waiting,
        });
        if !may_wait {
            return Vec::new();
        }
        match self.entry().await {
            Ok(entry) => entry.unanswered_after(self.acknowledged()),
            Err(_) => Vec::new(),
        }
    }

    /// Why the step that is due was not taken.
    pub(super) fn stopped(&self) -> Option<Reason> {
        self.stopped.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_stopped(&self, reason: Option<Reason>) {
        *self.stopped.write().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn acknowledged(&self) -> u32 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// The lock under which messages are sent.
    pub(super) fn delivery(&self) -> Arc<Mutex<()>> {
        self.delivery.clone()
    }
}

/// One negotiation, locked for a step.
#[derive(Debug)]
pub(in crate::negotiation) struct LockedSlot {
    slot: Arc<Slot>,
    _step: OwnedMutexGuard<()>,
}

impl LockedSlot {
    /// Waits until no step is being taken.
    pub(super) async fn lock(slot: Arc<Slot>) -> Self {
        let step = slot.step.clone().lock_owned().await;
        Self { slot, _step: step }
    }

    pub(super) const fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// Its number.
    pub(in crate::negotiation) fn id(&self) -> NegotiationId {
        self.slot.id
    }

    /// The negotiation.
    pub(in crate::negotiation) async fn entry(&self) -> Result<Entry, NegotiationError> {
        self.slot.entry().await
    }

    /// The rosters that had admitted the two sides when it began.
    pub(in crate::negotiation) fn admitted(&self) -> Admitted {
        *self.slot.admitted.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// States the rosters that have admitted the two sides, before the first message is stored.
    pub(in crate::negotiation) fn set_admitted(&self, admitted: Admitted) {
        *self.slot.admitted.write().unwrap_or_else(PoisonError::into_inner) = admitted;
    }

    /// What it depends on, apart from its messages and its sides.
    pub(in crate::negotiation) fn origin(&self) -> Origin {
        self.slot.origin.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// States what it depends on, before the message is stored that it is about.
    pub(in crate::negotiation) fn set_origin(&self, origin: Origin) {
        *self.slot.origin.write().unwrap_or_else(PoisonError::into_inner) = origin;
    }

    /// Shows why the step that is due is not taken, until one is.
    pub(in crate::negotiation) fn stop(&self, reason: Reason) {
        self.slot.set_stopped(Some(reason));
    }

    /// Number of our newest message that the other side has acknowledged.
    pub(in crate::negotiation) fn acknowledged(&self) -> u32 {
        self.slot.acknowledged()
    }

    /// Stores the negotiation durably, then makes it visible. Blocks.
    pub(super) fn put(&self, entry: Entry, acknowledged: u32) -> Result<(), MetaError> {
        let record = self.record(&entry, acknowledged);
        self.slot.tree.put(&self.slot.id.to_string(), &record)?;
        self.show(entry, acknowledged);
        Ok(())
    }

    /// Removes the negotiation durably, then from memory. Blocks.
    pub(super) fn remove(&self) -> Result<(), MetaError> {
        self.slot.tree.remove(&self.slot.id.to_string())?;
        self.show_removed();
        Ok(())
    }

    /// Adds the negotiation to a change of the state. Once that is durable, `Store::show` makes it visible.
    pub(in crate::negotiation) fn add_to(
        &self,
        batch: &mut Batch,
        entry: &Entry,
        acknowledged: u32,
    ) -> Result<(), MetaError> {
        let record = self.record(entry, acknowledged);
        batch.put(&self.slot.tree, &self.slot.id.to_string(), &record)?;
        Ok(())
    }

    /// Adds the removal of the negotiation to a change of the state. Once that is durable, `Store::discard` makes it visible.
    pub(in crate::negotiation) fn add_removal_to(&self, batch: &mut Batch) {
        batch.remove(&self.slot.tree, &self.slot.id.to_string());
    }

    /// Makes the negotiation visible as it is stored.
    pub(super) fn show(&self, entry: Entry, acknowledged: u32) {
        self.slot.acknowledged.store(acknowledged, Ordering::Release);
        self.slot.set(Content::of(entry, acknowledged));
        self.slot.set_stopped(None);
    }

    /// Makes visible that the negotiation is not stored any more.
    pub(super) fn show_removed(&self) {
        self.slot.set(Content::Empty);
    }

    fn record(&self, entry: &Entry, acknowledged: u32) -> NegotiationRecord {
        NegotiationRecord {
            negotiation: entry.stored(),
            admitted: self.admitted(),
            origin: self.origin(),
            acknowledged,
        }
    }
}
