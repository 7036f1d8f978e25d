//! The negotiations of this node, and the grants that result from them.
//!
//! The rules are in [`concordat_protocol::negotiation`]; this module stores, sends and reacts:
//!
//! 1. A step is written to the ledger and stored before its message is sent; what could not be delivered is sent again when
//!    the peer connects. A message received is stored before it is answered.
//! 2. People decide twice: the provider's steward lets the policy make an offer ([`Negotiations::offer`]), the consumer accepts
//!    it ([`Negotiations::accept`]). What follows from that (agreement, verification, confirmation) the nodes do by themselves.
//! 3. At the confirmation both sides record the grant in their register ([`Grants`]); from then on notices change it.
//! 4. What was agreed with a member does not outlast its membership or its key: a negotiation that began before is ended.

mod admission;
mod condition;
mod deliver;
mod error;
mod facts;
mod grant_request;
mod grants;
mod members;
mod narrow;
mod serve;
mod store;

use std::sync::Arc;

use concordat_protocol::audit::{Direction, EntryBody};
use concordat_protocol::grant::{GrantEvent, Party};
use concordat_protocol::ids::{GrantId, InstitutionId, NegotiationId, NodeId};
use concordat_protocol::membership::{Member, ValidRoster};
use concordat_protocol::negotiation::{
    ConsumerNegotiation, Justification, NegotiationMessage, Parties, Sent, Side, State, StateName,
};
use concordat_protocol::scope::Scope;
use concordat_protocol::signed::Signed;
use concordat_protocol::text::{Label, Reason};
use concordat_protocol::time::Timestamp;
use concordat_storage::{
    data_dir::Storage,
    ledger::{Attribution, Ledger},
};

pub use condition::ConditionError;
pub use error::NegotiationError;
pub use facts::{dataset_facts, is_active_side, party};
pub use grant_request::{GrantRequest, GrantRequestError};
pub use grants::{ChunkGuard, GrantView, Grants, Lease, PendingNotice};
pub use narrow::{InvalidTransform, RestrictedLimits, Restriction, RestrictionError, TransformName};
pub use store::{Entry, NegotiationView};

use self::store::{Admitted, Store};
use crate::changes::{Changes, Subject};
use crate::clock::Clock;
use crate::identity::Identity;
use crate::membership::Membership;
use crate::network::NetworkHandle;
use crate::policies::LivePolicy;

/// A cloneable handle to the negotiations of this node.
#[derive(Clone, Debug)]
pub struct Negotiations(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Arc<Identity>,
    storage: Storage,
    changes: Changes,
    clock: Clock,
    network: NetworkHandle,
    membership: Membership,
    grants: Grants,
    policy: LivePolicy,
    store: Store,
}

/// The parts that [`Negotiations`] needs.
#[derive(Debug)]
pub struct NegotiationParts {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Where negotiations and datasets are stored.
    pub storage: Storage,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock.
    pub clock: Clock,
    /// The network.
    pub network: NetworkHandle,
    /// The consortium.
    pub membership: Membership,
    /// The register of grants.
    pub grants: Grants,
    /// The policies.
    pub policy: LivePolicy,
}

impl Negotiations {
    /// Loads the stored negotiations.
    ///
    /// # Errors
    /// [`NegotiationError`] when the state cannot be read or a negotiation in it is damaged.
    pub fn open(parts: NegotiationParts) -> Result<Self, NegotiationError> {
        let NegotiationParts {
            identity,
            storage,
            ledger,
            clock,
            network,
            membership,
            grants,
            policy,
        } = parts;
        let store = Store::open(&storage)?;
        let changes = Changes::open(storage.meta(), ledger)?;
        Ok(Self(Arc::new(Inner {
            identity,
            storage,
            changes,
            clock,
            network,
            membership,
            grants,
            policy,
            store,
        })))
    }

    /// Asks the holder of `scope.dataset` for `scope`. If the holder cannot be reached now, the request is sent when it connects.
    ///
    /// # Errors
    /// [`NegotiationError`] when the request is not possible or the holder refuses it at once.
    pub async fn request(
        &self,
        scope: Scope,
        justification: Justification,
        by: &Attribution,
    ) -> Result<NegotiationView, NegotiationError> {
        let now = self.0.clock.now();
        let provider = scope.dataset.institution.clone();
        let parties = self.parties(&provider, Party::Consumer, now)?;
        let admitted = self.admitted(&provider, now)?;
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let id = NegotiationId::from_bytes(id);
        let sent = ConsumerNegotiation::request(id, &parties, scope, justification, &self.0.identity.node_key, now)?;
        let mut locked = self.0.store.reserve(id).await;
        locked.set_admitted(admitted);
        // Locked before the request is visible: a connection to the holder may be established while it is sent.
        let delivery = self.0.store.delivery(&id).await?;
        self.step(&mut locked, Entry::Consumer(sent.next), &sent.message, by, now)
            .await?;
        let delivered = self.send(parties.provider(), sent.message).await;
        if let Err(refused @ NegotiationError::Refused { .. }) = delivered {
            self.0.store.forget(&mut locked).await?;
            return Err(refused);
        }
        drop(locked);
        if delivered.is_ok() {
            self.0.store.acknowledge(&id, 1).await?;
        }
        drop(delivery);
        self.show(&id).await
    }

    /// Creates the policy's offer for a request, narrows it by the options of the steward, and sends it.
    ///
    /// # Errors
    /// [`NegotiationError::Denied`] with every reason when the policy allows nothing of it, [`NegotiationError::ExceedsPolicy`]
    /// when the steward would offer more than the policy.
    pub async fn offer(
        &self,
        id: &NegotiationId,
        restriction: &Restriction,
        by: &Attribution,
    ) -> Result<NegotiationView, NegotiationError> {
        let now = self.0.clock.now();
        let locked = self.0.store.open_entry(id).await?;
        let Entry::Provider(negotiation) = locked.entry().await? else {
            return Err(NegotiationError::NotProvider);
        };
        let State::Requested(requested) = negotiation.state() else {
            return Err(NegotiationError::WrongState {
                step: "offer",
                state: negotiation.state_name(),
            });
        };
        self.same_members(negotiation.peer_side(), locked.admitted(), now)?;
        let offer = self.assess(&requested.request, negotiation.peer(), now).await?;
        let offer = self.narrowed(offer, restriction, negotiation.peer(), now).await?;
        let sent = negotiation.offer(
            offer.scope.clone(),
            |difference| offer.explain(difference),
            &self.0.identity.node_key,
            now,
        )?;
        self.forward(locked, Entry::Provider(sent.next.clone()), sent, by, now)
            .await?;
        self.show(id).await
    }

    /// Accepts the offer; agreement and confirmation follow automatically.
    ///
    /// # Errors
    /// [`NegotiationError`] when there is no offer to accept.
    pub async fn accept(&self, id: &NegotiationId, by: &Attribution) -> Result<NegotiationView, NegotiationError> {
        let now = self.0.clock.now();
        let locked = self.0.store.open_entry(id).await?;
        let Entry::Consumer(negotiation) = locked.entry().await? else {
            return Err(NegotiationError::NotConsumer);
        };
        match negotiation.state_name() {
            StateName::Accepted | StateName::Agreed | StateName::Verified | StateName::Finalized => {}
            StateName::Requested | StateName::Offered | StateName::Terminated => {
                self.same_members(negotiation.peer_side(), locked.admitted(), now)?;
                let sent = negotiation.accept(&self.0.identity.node_key, now)?;
                self.forward(locked, Entry::Consumer(sent.next.clone()), sent, by, now)
                    .await?;
            }
        }
        self.show(id).await
    }

    /// Signs the agreement as the consumer, unless it is signed already.
    ///
    /// # Errors
    /// [`NegotiationError`] when there is no agreement yet.
    pub async fn verify(&self, id: &NegotiationId, by: &Attribution) -> Result<NegotiationView, NegotiationError> {
        let now = self.0.clock.now();
        let locked = self.0.store.open_entry(id).await?;
        let Entry::Consumer(negotiation) = locked.entry().await? else {
            return Err(NegotiationError::NotConsumer);
        };
        match negotiation.state_name() {
            StateName::Verified | StateName::Finalized => {}
            StateName::Requested
            | StateName::Offered
            | StateName::Accepted
            | StateName::Agreed
            | StateName::Terminated => {
                self.same_members(negotiation.peer_side(), locked.admitted(), now)?;
                let identity = &self.0.identity;
                let sent = negotiation.verify_agreement(&identity.institution_key(), &identity.node_key, now)?;
                self.forward(locked, Entry::Consumer(sent.next.clone()), sent, by, now)
                    .await?;
            }
        }
        self.show(id).await
    }

    /// Ends a negotiation before there is a grant.
    ///
    /// # Errors
    /// [`NegotiationError`] when it has ended already or it is not this side's turn to end it.
    pub async fn reject(
        &self,
        id: &NegotiationId,
        reason: Reason,
        by: &Attribution,
    ) -> Result<NegotiationView, NegotiationError> {
        let now = self.0.clock.now();
        let locked = self.0.store.open_entry(id).await?;
        let entry = locked.entry().await?;
        self.end(locked, entry, reason, by, now).await?;
        self.show(id).await
    }

    /// Suspends, resumes, revokes or relinquishes a grant. When this returns, the change is effective here and running answers have
    /// stopped if it stops them; the second value is whether the other side has acknowledged it.
    ///
    /// # Errors
    /// [`NegotiationError`] when there is no such grant, or this side is not allowed to make the change.
    pub async fn change_grant(
        &self,
        id: &GrantId,
        event: GrantEvent,
        reason: Reason,
        by: &Attribution,
    ) -> Result<(GrantView, bool), NegotiationError> {
        let now = self.0.clock.now();
        let peer_since = match event {
            GrantEvent::Resume => Some(self.resumable(id, now).await?),
            GrantEvent::Suspend | GrantEvent::Revoke | GrantEvent::Relinquish => None,
        };
        let pending = self.0.grants.change(id, event, reason, peer_since, by, now).await?;
        let acknowledged = match self.notify(&pending.grant).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(grant = %id.short(), %error, "the other side has not acknowledged the change; the notice is sent again when it connects");
                false
            }
        };
        let view = self
            .0
            .grants
            .get(id)
            .await
            .ok_or(NegotiationError::UnknownGrant { grant: *id })?;
        Ok((view, acknowledged))
    }

    /// One negotiation.
    ///
    /// # Errors
    /// [`NegotiationError::UnknownNegotiation`].
    pub async fn show(&self, id: &NegotiationId) -> Result<NegotiationView, NegotiationError> {
        Ok(self.0.store.load(id).await?.view())
    }

    /// All negotiations, in the order of their first messages.
    ///
    /// # Errors
    /// [`NegotiationError`] when one cannot be read.
    pub async fn list(&self) -> Result<Vec<NegotiationView>, NegotiationError> {
        let mut views = Vec::new();
        for id in self.0.store.ids() {
            match self.show(&id).await {
                Ok(view) => views.push(view),
                // It is being created, or was just removed.
                Err(NegotiationError::UnknownNegotiation { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        views.sort_by_key(|view| (view.started_at, view.id));
        Ok(views)
    }

    /// Waits until the negotiation has ended or `timeout` has passed, and returns its state at that time.
    ///
    /// # Errors
    /// [`NegotiationError::UnknownNegotiation`].
    pub async fn wait_until_ended(
        &self,
        id: &NegotiationId,
        timeout: std::time::Duration,
    ) -> Result<NegotiationView, NegotiationError> {
        let mut changes = self.0.store.watch();
        let ended = async {
            loop {
                changes.mark_unchanged();
                let view = self.show(id).await?;
                if self.has_ended(&view).await || changes.changed().await.is_err() {
                    return Ok(view);
                }
            }
        };
        match tokio::time::timeout(timeout, ended).await {
            Ok(view) => view,
            Err(_) => self.show(id).await,
        }
    }

    /// Whether no automatic step follows: it was terminated, or its grant is in the register.
    async fn has_ended(&self, view: &NegotiationView) -> bool {
        match view.state {
            StateName::Terminated => true,
            StateName::Finalized => self.0.grants.get(&GrantId::from(view.id)).await.is_some(),
            StateName::Requested
            | StateName::Offered
            | StateName::Accepted
            | StateName::Agreed
            | StateName::Verified => false,
        }
    }

    /// Records our step, then sends it. A peer that is not connected, or not with its key, gets it when it connects.
    ///
    /// The lock is released while the message is sent: two sides that waited for each other's lock would deadlock.
    async fn forward<R>(
        &self,
        mut locked: store::LockedSlot<'_>,
        next: Entry,
        sent: Sent<R>,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<(), NegotiationError> {
        let peer = next.peer_side().clone();
        self.step(&mut locked, next, &sent.message, by, now).await?;
        drop(locked);
        match self.deliver(&peer, sent.message).await {
            Err(
                NegotiationError::Unreachable { .. }
                | NegotiationError::NotMember { .. }
                | NegotiationError::OtherKey { .. },
            ) => {
                tracing::info!(peer = %peer.institution, "the peer is not connected; the message is sent when it connects");
                Ok(())
            }
            other => other,
        }
    }

    /// Writes the ledger first, then the store: after a crash in between, the ledger shows a step that was never sent.
    async fn step(
        &self,
        locked: &mut store::LockedSlot<'_>,
        next: Entry,
        message: &Signed<NegotiationMessage>,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<(), NegotiationError> {
        self.enter_and_put(locked, (next, Kept::Stored), (message, Direction::Sent), (by, now))
            .await
    }

    async fn enter_and_put(
        &self,
        locked: &mut store::LockedSlot<'_>,
        (next, kept): (Entry, Kept),
        (message, direction): (&Signed<NegotiationMessage>, Direction),
        by: (&Attribution, Timestamp),
    ) -> Result<(), NegotiationError> {
        let entry = EntryBody::NegotiationStep {
            negotiation: next.id(),
            peer: next.peer().clone(),
            direction,
            state: Label::sanitized(&next.state_name().to_string()),
            message: message.digest(),
        };
        let subject = Subject::Negotiation(next.id().to_string());
        let open = self.0.changes.begin_async(subject, entry, by).await?;
        let put = match kept {
            Kept::Stored => self.0.store.put(locked, next).await,
            Kept::Removed => self.0.store.forget(locked).await,
        };
        self.0.changes.end_async(open, put.is_ok()).await?;
        put
    }

    /// The two sides of a negotiation with `peer`, where this node is on the side `us`.
    fn parties(&self, peer: &InstitutionId, us: Party, now: Timestamp) -> Result<Parties, NegotiationError> {
        let roster = self.0.membership.valid_roster(now)?;
        let ours = Side {
            institution: self.0.identity.institution.clone(),
            key: self.0.identity.institution_public(),
        };
        let theirs = Side {
            institution: peer.clone(),
            key: active(&roster, peer)?.key,
        };
        Ok(match us {
            Party::Provider => Parties::new(ours, theirs)?,
            Party::Consumer => Parties::new(theirs, ours)?,
        })
    }

    fn node_of(&self, peer: &InstitutionId) -> Result<NodeId, NegotiationError> {
        let roster = self.0.membership.valid_roster(self.0.clock.now())?;
        active_node(&roster, peer)
    }

    /// The rosters that admitted this institution and `peer`.
    fn admitted(&self, peer: &InstitutionId, now: Timestamp) -> Result<Admitted, NegotiationError> {
        let roster = self.0.membership.valid_roster(now)?;
        let since = |institution: &InstitutionId| active(&roster, institution).map(|member| member.since);
        Ok(Admitted {
            ours: since(&self.0.identity.institution)?,
            theirs: since(peer)?,
        })
    }

    /// Checks that the other side still has the key that the negotiation began with, and that neither side was removed since.
    fn same_members(&self, peer: &Side, began: Admitted, now: Timestamp) -> Result<(), NegotiationError> {
        let roster = self.0.membership.valid_roster(now)?;
        if active(&roster, &peer.institution)?.key != peer.key {
            return Err(NegotiationError::OtherKey {
                institution: peer.institution.clone(),
            });
        }
        let admitted = self.admitted(&peer.institution, now)?;
        let readmitted = [
            (&self.0.identity.institution, admitted.ours == began.ours),
            (&peer.institution, admitted.theirs == began.theirs),
        ];
        match readmitted.into_iter().find(|(_, same)| !same) {
            Some((institution, _)) => Err(NegotiationError::Readmitted {
                institution: institution.clone(),
            }),
            None => Ok(()),
        }
    }

    /// The number of the roster that admitted the other side of a grant, with its key at that time or a successor of that key.
    fn member_since(&self, peer: &Side, now: Timestamp) -> Result<u64, NegotiationError> {
        let roster = self.0.membership.valid_roster(now)?;
        active(&roster, &peer.institution)?;
        let member = self.0.membership.active_side(&roster, peer);
        member
            .map(|member| member.since)
            .map_err(|_| NegotiationError::OtherKey {
                institution: peer.institution.clone(),
            })
    }

    /// The number of the roster that admitted the other side of a grant; fails if the grant cannot be resumed because the other side is not
    /// a member.
    async fn resumable(&self, id: &GrantId, now: Timestamp) -> Result<u64, NegotiationError> {
        let held = self.0.grants.get(id).await;
        let view = held.ok_or(NegotiationError::UnknownGrant { grant: *id })?;
        self.member_since(&view.terms.side(view.party.other()), now)
    }
}

/// What becomes of a negotiation with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// It is stored.
    Stored,
    /// It is removed; the ledger keeps its steps.
    Removed,
}

/// The node of `institution` that receives messages.
///
/// # Errors
/// [`NegotiationError::NotMember`] when it is not an active member.
pub fn active_node(roster: &ValidRoster, institution: &InstitutionId) -> Result<NodeId, NegotiationError> {
    let node = roster
        .active_member(institution)
        .and_then(|member| member.nodes.first());
    node.map(|node| node.node).ok_or_else(|| NegotiationError::NotMember {
        institution: institution.clone(),
    })
}

/// The active member that a node belongs to, with its key.
fn owner_of(roster: &ValidRoster, node: &NodeId) -> Option<Side> {
    let member = roster.active_node(node)?;
    Some(Side {
        institution: member.institution.clone(),
        key: member.key,
    })
}

fn active<'a>(roster: &'a ValidRoster, institution: &InstitutionId) -> Result<&'a Member, NegotiationError> {
    roster
        .active_member(institution)
        .ok_or_else(|| NegotiationError::NotMember {
            institution: institution.clone(),
        })
}
