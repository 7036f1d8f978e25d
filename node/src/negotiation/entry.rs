//! A negotiation from the side of this node, whichever side that is.

use concordat_policy::{HeldScope, HeldUnder};
use concordat_protocol::grant::Party;
use concordat_protocol::identity::{InstitutionPublicKey, Side};
use concordat_protocol::ids::{ActorId, CollectionRef, CreationId, Digest32, InstitutionId, NegotiationId};
use concordat_protocol::negotiation::{
    Body, ConsumerNegotiation, NegotiationError as ProtocolError, NegotiationMessage, ProviderNegotiation, State,
    StateName, StoredNegotiation, Transcript,
};
use concordat_protocol::scope::Scope;
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::precedence::{Held, Precedence};
use super::summary::{ListPosition, NegotiationSummary};
use crate::restorations::RestorationCount;

/// A negotiation as seen from the side of this node.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
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
    pub(crate) fn id(&self) -> NegotiationId {
        either!(self, n => n.id())
    }

    /// The other institution.
    pub(crate) fn peer(&self) -> &InstitutionId {
        either!(self, n => n.peer())
    }

    /// The other institution with the key that the negotiation began with.
    pub(crate) fn peer_side(&self) -> &Side {
        either!(self, n => n.peer_side())
    }

    /// This institution with the key that the negotiation began with.
    pub(crate) fn own_side(&self) -> &Side {
        either!(self, n => n.transcript().parties().side(self.party()))
    }

    /// Its state.
    pub(crate) fn state(&self) -> &State {
        either!(self, n => n.state())
    }

    /// The name of the state.
    pub(crate) fn state_name(&self) -> StateName {
        either!(self, n => n.state_name())
    }

    /// The collection that it is about.
    pub(super) fn collection(&self) -> Option<&CollectionRef> {
        either!(self, n => collection_of(n.transcript()))
    }

    /// Its place among the agreements of its consumer.
    pub(super) fn place(&self) -> Precedence {
        either!(self, n => Precedence::of(n.transcript()))
    }

    /// What the consumer gets by it, if this side has offered anything and there is no grant yet.
    pub(super) fn offered(&self) -> Option<Held> {
        let scope = match self.state() {
            State::Offered(offered) => &offered.offer,
            State::Accepted(accepted) => &accepted.offer,
            State::Agreed(agreed) => &agreed.terms.scope,
            State::Verified(verified) => &verified.grant.terms().scope,
            State::Requested(_) | State::Finalized(_) | State::Terminated(_) => return None,
        };
        let under = HeldUnder::Negotiation(self.id());
        let scope = scope.clone();
        (self.party() == Party::Provider).then(|| Held {
            place: self.place(),
            scope: HeldScope { under, scope },
        })
    }

    /// Our messages that the other side has not answered.
    pub(crate) fn unanswered(&self) -> Vec<Signed<NegotiationMessage>> {
        either!(self, n => n.unanswered())
    }

    /// Those of [`Entry::unanswered`] with a higher number than `sequence`.
    pub(crate) fn unanswered_after(&self, sequence: u32) -> Vec<Signed<NegotiationMessage>> {
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
    pub(crate) const fn party(&self) -> Party {
        match self {
            Self::Provider(_) => Party::Provider,
            Self::Consumer(_) => Party::Consumer,
        }
    }

    /// What to store.
    pub(super) fn stored(&self) -> StoredNegotiation {
        either!(self, n => n.stored())
    }

    /// Checks a stored negotiation again, message by message, with the keys that were valid at the time. The present roster is not
    /// consulted.
    pub(super) fn restore(stored: StoredNegotiation) -> Result<Self, ProtocolError> {
        Ok(match stored.role {
            Party::Consumer => ConsumerNegotiation::restore(stored)?.into(),
            Party::Provider => ProviderNegotiation::restore(stored)?.into(),
        })
    }

    /// Where it is in the list of all; `None` without a message.
    pub(super) fn position(&self) -> Option<ListPosition> {
        let first = either!(self, n => n.transcript().messages().first())?;
        Some(ListPosition {
            started_at: first.message().sent_at,
            id: self.id(),
        })
    }

    /// What a list shows of it; `None` if it does not begin with a request, which was checked when it was stored.
    pub(super) fn summary(&self) -> Option<NegotiationSummary> {
        let messages = either!(self, n => n.transcript().messages());
        let mut bodies = messages.iter().rev().map(|message| &message.message().body);
        let newest = bodies.find_map(terms_of)?;
        Some(NegotiationSummary {
            position: self.position()?,
            party: self.party(),
            peer: self.peer().clone(),
            consumer: messages.first()?.message().from.clone(),
            state: self.state_name(),
            collection: newest.collection.clone(),
            tier: newest.tier,
            window: newest.window,
        })
    }

    /// What is shown of it.
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
            stopped: None,
        }
    }
}

/// The terms that a message requests or offers.
fn terms_of(body: &Body) -> Option<&Scope> {
    match body {
        Body::Request { scope, .. } | Body::Offer { scope, .. } => Some(scope),
        Body::Accept
        | Body::Agreement { .. }
        | Body::Verification { .. }
        | Body::Finalized
        | Body::Terminate { .. } => None,
    }
}

/// The collection that a negotiation is about, as its first message names it.
pub(super) fn collection_of(transcript: &Transcript) -> Option<&CollectionRef> {
    match &transcript.messages().first()?.message().body {
        Body::Request { scope, .. } => Some(&scope.collection),
        Body::Offer { .. }
        | Body::Accept
        | Body::Agreement { .. }
        | Body::Verification { .. }
        | Body::Finalized
        | Body::Terminate { .. } => None,
    }
}

impl From<ProviderNegotiation> for Entry {
    fn from(negotiation: ProviderNegotiation) -> Self {
        Self::Provider(negotiation)
    }
}

impl From<ConsumerNegotiation> for Entry {
    fn from(negotiation: ConsumerNegotiation) -> Self {
        Self::Consumer(negotiation)
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
    /// Why this node does not take the step that is due; a person has to decide.
    pub stopped: Option<Reason>,
}

/// What a negotiation depends on, apart from its messages and its sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Origin {
    /// The restorations of this node when it began.
    pub(super) restorations: RestorationCount,
    /// The creation of the dataset that is requested; `None` at the consumer.
    pub(super) dataset: Option<CreationId>,
    /// Who made the newest offer; `None` before the first, and at the consumer.
    pub(super) author: Option<ActorId>,
}

/// The rosters that had admitted the two sides when the negotiation began; of their last admissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admitted {
    pub(super) ours: u64,
    pub(super) theirs: u64,
}
