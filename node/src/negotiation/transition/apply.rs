//! The only code that changes negotiations and grants.

use concordat_protocol::audit::{Direction, EntryBody, GrantChange};
use concordat_protocol::text::Label;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;
use concordat_storage::meta::{Batch, MetaError};

use super::{Activation, Amendment, Change, Kept, Outgoing, Step, Transition};
use crate::changes::Subject;
use crate::negotiation::grants::{ExclusiveGrant, LockedGrant};
use crate::negotiation::store::LockedSlot;
use crate::negotiation::{NegotiationError, Negotiations};

impl Negotiations {
    /// Makes a change: writes its ledger entry, stores it, makes it visible, and returns what to send. The order and the locks are described
    /// at [`super`].
    ///
    /// The lock of what changes is in the transition; it is held until the change is complete, and never while something is sent. When this
    /// returns, the entry and the record are on the disk, answers that run under a changed grant have stopped if they had to, and the epoch
    /// is raised.
    ///
    /// The change runs to its end on a thread of its own. A future that is canceled while it waits leaves a complete change behind and no
    /// message in transit; what is to be sent is in the record, and is sent at the next retry. A future that was never polled leaves
    /// nothing behind. A kill between entry and record is recorded by the next start as a change that was not made.
    ///
    /// # Errors
    /// [`NegotiationError`] if ledger or state cannot be written. If the entry was written and the record was not, the ledger states
    /// that too.
    pub(in crate::negotiation) async fn apply(
        &self,
        transition: Transition,
    ) -> Result<Option<Outgoing>, NegotiationError> {
        let negotiations = self.clone();
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(|| negotiations.commit(transition))).await?
    }

    fn commit(&self, transition: Transition) -> Result<Option<Outgoing>, NegotiationError> {
        let Transition { change, by, at } = transition;
        let by = (&by, at);
        match change {
            Change::Negotiation {
                locked,
                activation,
                step,
                admission,
            } => {
                if let Some(activation) = activation {
                    self.commit_activation(activation, by)?;
                }
                let outgoing = step.map(|step| self.commit_step(&locked, step, by)).transpose()?;
                drop(admission);
                Ok(outgoing.flatten())
            }
            Change::Grant { locked, amendment } => {
                self.commit_amendment(&locked, amendment, by)?;
                Ok(None)
            }
        }
    }

    fn commit_step(
        &self,
        locked: &LockedSlot,
        step: Step,
        by: (&Attribution, Timestamp),
    ) -> Result<Option<Outgoing>, NegotiationError> {
        let Step {
            next,
            message,
            direction,
            kept,
        } = step;
        let to = next.peer_side().clone();
        let entry = EntryBody::NegotiationStep {
            negotiation: next.id(),
            peer: next.peer().clone(),
            direction,
            state: Label::sanitized(&next.state_name().to_string()),
            message: message.digest(),
        };
        let subject = Subject::Negotiation(next.id().to_string());
        self.make(subject, entry, by, |batch| match kept {
            Kept::Stored => locked.add_to(batch, &next, locked.acknowledged()),
            Kept::Removed => {
                locked.add_removal_to(batch);
                Ok(())
            }
        })?;
        match kept {
            Kept::Stored => self.0.store.show(locked, next),
            Kept::Removed => self.0.store.discard(locked),
        }
        Ok(match direction {
            Direction::Sent => Some(Outgoing { to, message }),
            Direction::Received => None,
        })
    }

    fn commit_activation(&self, activation: Activation, by: (&Attribution, Timestamp)) -> Result<(), NegotiationError> {
        let Activation { live, record } = activation;
        let id = live.terms().grant;
        let entry = EntryBody::GrantChanged {
            grant: id,
            peer: live.peer().clone(),
            change: GrantChange::Activated,
            reason: None,
        };
        let subject = Subject::Grant(id.to_string());
        self.make(subject, entry, by, |batch| self.0.grants.add_to(batch, &id, &record))?;
        self.0.grants.show(live);
        self.0.epoch.raise();
        self.0.store.announce();
        Ok(())
    }

    /// The entry is written while chunks in transit are waited for: it does not depend on them, and they end before the change is made.
    fn commit_amendment(
        &self,
        locked: &LockedGrant,
        amendment: Amendment,
        by: (&Attribution, Timestamp),
    ) -> Result<(), NegotiationError> {
        let Amendment { record, change } = amendment;
        let Some((change, reason)) = change else {
            return self.0.grants.put(locked, record);
        };
        let id = locked.live().terms().grant;
        let entry = EntryBody::GrantChanged {
            grant: id,
            peer: locked.live().peer().clone(),
            change,
            reason,
        };
        let subject = Subject::Grant(id.to_string());
        let exclusion = locked.exclude_chunks();
        let excluded = || -> Result<ExclusiveGrant, NegotiationError> { Ok(exclusion.wait()?) };
        let put = |batch: &mut Batch| self.0.grants.add_to(batch, &id, &record);
        let mut exclusive = self.make_after(subject, entry, by, excluded, put)?;
        exclusive.set(record);
        // Before the next chunk may be sent.
        self.0.epoch.raise();
        drop(exclusive);
        Ok(())
    }

    /// Records `entry` and makes its change, which is durable when this returns; only then it may become visible. Both are from the transition,
    /// whose lock is held since the value was read.
    fn make(
        &self,
        subject: Subject,
        entry: EntryBody,
        by: (&Attribution, Timestamp),
        put: impl FnOnce(&mut Batch) -> Result<(), MetaError>,
    ) -> Result<(), NegotiationError> {
        self.make_after(subject, entry, by, || Ok(()), put)
    }

    /// As [`Self::make`]; `ready` waits for what has to be before the change, once the entry is durable.
    fn make_after<T>(
        &self,
        subject: Subject,
        entry: EntryBody,
        by: (&Attribution, Timestamp),
        ready: impl FnOnce() -> Result<T, NegotiationError>,
        put: impl FnOnce(&mut Batch) -> Result<(), MetaError>,
    ) -> Result<T, NegotiationError> {
        let change = move || -> Result<(T, _), NegotiationError> { Ok((ready()?, put)) };
        self.0.changes.make_in_state(subject, by, move || Ok((entry, change)))
    }
}
