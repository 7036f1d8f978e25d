//! Negotiations as this node leads them, and the grants that come of them.
//!
//! The rules live in [`concordat_protocol::negotiation`]; this part stores, sends and reacts:
//!
//! 1. A step is written to the ledger and stored before its message is sent; what could not be delivered is sent again when
//!    the peer connects. A message received is stored before it is answered.
//! 2. People decide twice: the provider's steward lets the policy make an offer ([`Negotiations::offer`]), the consumer accepts
//!    it ([`Negotiations::accept`]). What follows from that (agreement, verification, confirmation) the nodes do by themselves.
//! 3. At the confirmation both sides enter the grant in their register ([`Grants`]); from then on it is changed by notices.

mod condition;
mod deliver;
mod error;
mod facts;
mod grants;
mod members;
mod narrow;
mod serve;
mod store;
mod wish;

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
use concordat_protocol::text::{Reason, Word};
use concordat_protocol::time::Timestamp;
use concordat_storage::{
    data_dir::Storage,
    ledger::{Attribution, Ledger},
};

pub use condition::ConditionError;
pub use error::NegotiationFault;
pub use facts::{dataset_facts, party, speaks};
pub use grants::{ChunkGuard, GrantView, Grants, Lease, PendingNotice};
pub use narrow::{InvalidTransform, RestrictedLimits, Restriction, RestrictionError, TransformWord};
pub use store::{Entry, NegotiationView};
pub use wish::{Wish, WishError};

use self::store::Store;
use crate::changes::{Changes, Subject};
use crate::clock::Clock;
use crate::identity::Identity;
use crate::membership::Membership;
use crate::network::NetworkHandle;
use crate::policy::LivePolicy;

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

/// What [`Negotiations`] works with.
#[derive(Debug)]
pub struct NegotiationParts {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Where negotiations and datasets are kept.
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
    /// Takes up the negotiations that are stored.
    ///
    /// # Errors
    /// [`NegotiationFault`] when the state cannot be read or a negotiation in it is damaged.
    pub fn open(parts: NegotiationParts) -> Result<Self, NegotiationFault> {
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

    /// Asks the holder of `scope.dataset` for `scope`. If the holder cannot be reached now, the request waits for it.
    ///
    /// # Errors
    /// [`NegotiationFault`] when the request is not possible or the holder refuses it at once.
    pub async fn request(
        &self,
        scope: Scope,
        justification: Justification,
        by: &Attribution,
    ) -> Result<NegotiationView, NegotiationFault> {
        let now = self.0.clock.now();
        let provider = scope.dataset.institution.clone();
        let parties = self.parties(&provider, Party::Consumer, now)?;
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let id = NegotiationId::from_bytes(id);
        let sent = ConsumerNegotiation::request(id, &parties, scope, justification, &self.0.identity.node_key, now)?;
        let mut place = self.0.store.reserve(id).await;
        // Before anybody can see it: the connection to the holder may come up while it is sent.
        let delivery = self.0.store.delivery(&id).await?;
        self.step(&mut place, Entry::Consumer(sent.next), &sent.message, by, now)
            .await?;
        let delivered = self.send(parties.provider(), sent.message).await;
        if let Err(refused @ NegotiationFault::Refused { .. }) = delivered {
            self.0.store.forget(&mut place).await?;
            return Err(refused);
        }
        drop(place);
        if delivered.is_ok() {
            self.0.store.acknowledge(&id, 1).await?;
        }
        drop(delivery);
        self.show(&id).await
    }

    /// Lets the policy make an offer for a request, narrows it as the steward says, and sends it.
    ///
    /// # Errors
    /// [`NegotiationFault::Denied`] with every reason when the policy allows nothing of it, [`NegotiationFault::Wider`] when the
    /// steward would offer more than the policy.
    pub async fn offer(
        &self,
        id: &NegotiationId,
        restriction: &Restriction,
        by: &Attribution,
    ) -> Result<NegotiationView, NegotiationFault> {
        let now = self.0.clock.now();
        let place = self.0.store.open_entry(id).await?;
        let Entry::Provider(negotiation) = place.entry()? else {
            return Err(NegotiationFault::NotProvider);
        };
        let State::Requested(requested) = negotiation.state() else {
            return Err(NegotiationFault::NotNow {
                step: "offer",
                state: negotiation.state_name(),
            });
        };
        self.same_key(negotiation.peer_side(), now)?;
        let offer = self.assess(&requested.request, negotiation.peer(), now).await?;
        let offer = self.narrowed(offer, restriction, negotiation.peer(), now).await?;
        let sent = negotiation.offer(
            offer.scope.clone(),
            |difference| offer.explain(difference),
            &self.0.identity.node_key,
            now,
        )?;
        self.forward(place, Entry::Provider(sent.next.clone()), sent, by, now)
            .await?;
        self.show(id).await
    }

    /// Accepts the offer; agreement and confirmation follow by themselves.
    ///
    /// # Errors
    /// [`NegotiationFault`] when there is no offer to accept.
    pub async fn accept(&self, id: &NegotiationId, by: &Attribution) -> Result<NegotiationView, NegotiationFault> {
        let now = self.0.clock.now();
        let place = self.0.store.open_entry(id).await?;
        let Entry::Consumer(negotiation) = place.entry()? else {
            return Err(NegotiationFault::NotConsumer);
        };
        match negotiation.state_name() {
            StateName::Accepted | StateName::Agreed | StateName::Verified | StateName::Finalized => {}
            StateName::Requested | StateName::Offered | StateName::Terminated => {
                self.same_key(negotiation.peer_side(), now)?;
                let sent = negotiation.accept(&self.0.identity.node_key, now)?;
                self.forward(place, Entry::Consumer(sent.next.clone()), sent, by, now)
                    .await?;
            }
        }
        self.show(id).await
    }

    /// Signs the agreement as consumer, unless that was done already.
    ///
    /// # Errors
    /// [`NegotiationFault`] when there is no agreement yet.
    pub async fn verify(&self, id: &NegotiationId, by: &Attribution) -> Result<NegotiationView, NegotiationFault> {
        let now = self.0.clock.now();
        let place = self.0.store.open_entry(id).await?;
        let Entry::Consumer(negotiation) = place.entry()? else {
            return Err(NegotiationFault::NotConsumer);
        };
        match negotiation.state_name() {
            StateName::Verified | StateName::Finalized => {}
            StateName::Requested
            | StateName::Offered
            | StateName::Accepted
            | StateName::Agreed
            | StateName::Terminated => {
                self.same_key(negotiation.peer_side(), now)?;
                let identity = &self.0.identity;
                let sent = negotiation.verify_agreement(&identity.institution_key(), &identity.node_key, now)?;
                self.forward(place, Entry::Consumer(sent.next.clone()), sent, by, now)
                    .await?;
            }
        }
        self.show(id).await
    }

    /// Ends a negotiation before there is a grant.
    ///
    /// # Errors
    /// [`NegotiationFault`] when it has ended already or it is not this side's turn to end it.
    pub async fn reject(
        &self,
        id: &NegotiationId,
        reason: Reason,
        by: &Attribution,
    ) -> Result<NegotiationView, NegotiationFault> {
        let now = self.0.clock.now();
        let place = self.0.store.open_entry(id).await?;
        let key = &self.0.identity.node_key;
        match place.entry()? {
            Entry::Provider(negotiation) => {
                let sent = negotiation.terminate(reason, key, now)?;
                self.forward(place, Entry::Provider(sent.next.clone()), sent, by, now)
                    .await?;
            }
            Entry::Consumer(negotiation) => {
                let sent = negotiation.terminate(reason, key, now)?;
                self.forward(place, Entry::Consumer(sent.next.clone()), sent, by, now)
                    .await?;
            }
        }
        self.show(id).await
    }

    /// Suspends, resumes, revokes or gives back a grant. When this returns, the change is in force here and running answers have
    /// stopped if it stops them; whether the other side has acknowledged it yet is the second value.
    ///
    /// # Errors
    /// [`NegotiationFault`] when there is no such grant, or the change is not this side's to make.
    pub async fn change_grant(
        &self,
        id: &GrantId,
        event: GrantEvent,
        reason: Reason,
        by: &Attribution,
    ) -> Result<(GrantView, bool), NegotiationFault> {
        let now = self.0.clock.now();
        let peer_since = match event {
            GrantEvent::Resume => Some(self.resumable(id, now).await?),
            GrantEvent::Suspend | GrantEvent::Revoke | GrantEvent::Relinquish => None,
        };
        let pending = self.0.grants.change(id, event, reason, peer_since, by, now).await?;
        let acknowledged = match self.notify(&pending).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(grant = %id.short(), %error, "the other side has not acknowledged; it is told again when it connects");
                false
            }
        };
        let view = self
            .0
            .grants
            .get(id)
            .await
            .ok_or(NegotiationFault::UnknownGrant { grant: *id })?;
        Ok((view, acknowledged))
    }

    /// One negotiation.
    ///
    /// # Errors
    /// [`NegotiationFault::UnknownNegotiation`].
    #[expect(
        clippy::unused_async,
        reason = "everything asked of negotiations is awaited, whether or not it waits"
    )]
    pub async fn show(&self, id: &NegotiationId) -> Result<NegotiationView, NegotiationFault> {
        self.0.store.look(id, Entry::view)
    }

    /// All negotiations, in the order of their first messages.
    ///
    /// # Errors
    /// [`NegotiationFault`] when one cannot be read.
    pub async fn list(&self) -> Result<Vec<NegotiationView>, NegotiationFault> {
        let mut views = Vec::new();
        for id in self.0.store.ids() {
            match self.show(&id).await {
                Ok(view) => views.push(view),
                // It is just being begun, or was just given up.
                Err(NegotiationFault::UnknownNegotiation { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        views.sort_by_key(|view| (view.started_at, view.id));
        Ok(views)
    }

    /// Waits until the negotiation has ended or `patience` is over, and shows it as it is then.
    ///
    /// # Errors
    /// [`NegotiationFault::UnknownNegotiation`].
    pub async fn settled(
        &self,
        id: &NegotiationId,
        patience: std::time::Duration,
    ) -> Result<NegotiationView, NegotiationFault> {
        let mut changes = self.0.store.watch();
        let ended = async {
            loop {
                changes.mark_unchanged();
                let view = self.show(id).await?;
                if self.at_its_end(&view).await || changes.changed().await.is_err() {
                    return Ok(view);
                }
            }
        };
        match tokio::time::timeout(patience, ended).await {
            Ok(view) => view,
            Err(_) => self.show(id).await,
        }
    }

    /// Whether nothing follows by itself: it was ended, or its grant stands in the register.
    async fn at_its_end(&self, view: &NegotiationView) -> bool {
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

    /// Records a step of ours, then sends it. A peer that is away gets it when it connects.
    ///
    /// The place is free while the message is on its way: two sides that waited for each other's place would wait for ever.
    async fn forward<R>(
        &self,
        mut place: store::Place<'_>,
        next: Entry,
        sent: Sent<R>,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<(), NegotiationFault> {
        let peer = next.peer_side().clone();
        self.step(&mut place, next, &sent.message, by, now).await?;
        drop(place);
        match self.deliver(&peer, sent.message).await {
            Err(NegotiationFault::Unreachable { .. }) => {
                tracing::info!(peer = %peer.institution, "the peer is away; the message waits for it");
                Ok(())
            }
            other => other,
        }
    }

    /// Ledger first, then the store: after a crash in between, the ledger shows a step that was never sent.
    async fn step(
        &self,
        place: &mut store::Place<'_>,
        next: Entry,
        message: &Signed<NegotiationMessage>,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<(), NegotiationFault> {
        self.enter_and_put(place, next, (message, Direction::Sent), (by, now))
            .await
    }

    async fn enter_and_put(
        &self,
        place: &mut store::Place<'_>,
        next: Entry,
        (message, direction): (&Signed<NegotiationMessage>, Direction),
        by: (&Attribution, Timestamp),
    ) -> Result<(), NegotiationFault> {
        let entry = EntryBody::NegotiationStep {
            negotiation: next.id(),
            peer: next.peer().clone(),
            direction,
            state: Word::fitted(&next.state_name().to_string()),
            message: message.digest(),
        };
        let subject = Subject::Negotiation(next.id().to_string());
        let open = self.0.changes.begin_async(subject, entry, by).await?;
        let put = self.0.store.put(place, next).await;
        self.0.changes.end_async(open, put.is_ok()).await?;
        put
    }

    /// The two sides of a negotiation with `peer`, where this node is on the side `us`.
    fn parties(&self, peer: &InstitutionId, us: Party, now: Timestamp) -> Result<Parties, NegotiationFault> {
        let roster = self.0.membership.in_force(now)?;
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

    fn node_of(&self, peer: &InstitutionId) -> Result<NodeId, NegotiationFault> {
        let roster = self.0.membership.in_force(self.0.clock.now())?;
        active_node(&roster, peer)
    }

    /// Ends a negotiation's step unless the other side still has the key that the negotiation began with.
    ///
    /// Returns the number of the roster by which it belongs.
    fn same_key(&self, peer: &Side, now: Timestamp) -> Result<u64, NegotiationFault> {
        let roster = self.0.membership.in_force(now)?;
        let member = active(&roster, &peer.institution)?;
        if member.key == peer.key {
            Ok(member.since)
        } else {
            Err(NegotiationFault::OtherKey {
                institution: peer.institution.clone(),
            })
        }
    }

    /// The number of the roster by which the other side of a grant belongs, by its key of that time or one that follows it.
    fn belongs_since(&self, peer: &Side, now: Timestamp) -> Result<u64, NegotiationFault> {
        let roster = self.0.membership.in_force(now)?;
        active(&roster, &peer.institution)?;
        let member = self.0.membership.active_side(&roster, peer);
        member
            .map(|member| member.since)
            .map_err(|_| NegotiationFault::OtherKey {
                institution: peer.institution.clone(),
            })
    }

    /// The roster by which the other side of a grant belongs now; without one, nothing can be resumed.
    async fn resumable(&self, id: &GrantId, now: Timestamp) -> Result<u64, NegotiationFault> {
        let held = self.0.grants.get(id).await;
        let view = held.ok_or(NegotiationFault::UnknownGrant { grant: *id })?;
        self.belongs_since(&view.terms.side(view.party.other()), now)
    }
}

/// The node to ask at `institution`.
///
/// # Errors
/// [`NegotiationFault::NoMember`] when it is no active member.
pub fn active_node(roster: &ValidRoster, institution: &InstitutionId) -> Result<NodeId, NegotiationFault> {
    let node = roster
        .active_member(institution)
        .and_then(|member| member.nodes.first());
    node.map(|node| node.node).ok_or_else(|| NegotiationFault::NoMember {
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

fn active<'a>(roster: &'a ValidRoster, institution: &InstitutionId) -> Result<&'a Member, NegotiationFault> {
    roster
        .active_member(institution)
        .ok_or_else(|| NegotiationFault::NoMember {
            institution: institution.clone(),
        })
}
