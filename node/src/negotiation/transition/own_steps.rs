//! The steps of this side.

use concordat_protocol::audit::Direction;
use concordat_protocol::negotiation::{
    AsConsumer, AsProvider, ConsumerNegotiation, Justification, Negotiation, Parties, ProviderNegotiation, Role,
    RuleName, Sent,
};
use concordat_protocol::scope::{Difference, Scope};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

use super::{Activation, Change, Kept, Step, Transition};
use crate::identity::Identity;
use crate::negotiation::NegotiationError;
use crate::negotiation::admission::Admission;
use crate::negotiation::entry::{Admitted, Entry, Origin};
use crate::negotiation::grants::Grants;
use crate::negotiation::sides::Continuing;
use crate::negotiation::standing::StandingOffer;
use crate::negotiation::store::LockedSlot;

/// Who causes a step, and when.
type By<'a> = (&'a Attribution, Timestamp);

impl Transition {
    /// The consumer begins a negotiation.
    pub(in crate::negotiation) fn request(
        locked: LockedSlot,
        (parties, admitted, origin): (&Parties, Admitted, Origin),
        (scope, justification): (Scope, Justification),
        identity: &Identity,
        (by, at): By<'_>,
    ) -> Result<Self, NegotiationError> {
        let node = &identity.node_key;
        let sent = ConsumerNegotiation::request(locked.id(), parties, scope, justification, node, at)?;
        locked.set_admitted(admitted);
        locked.set_origin(origin);
        Ok(Self::sent(locked, sent, (by, at)))
    }

    /// The provider offers `scope`, which was decided under the admission lock of the consumer; `explain` gives the reason for each difference
    /// from the request.
    pub(in crate::negotiation) fn offer(
        continuing: Continuing<AsProvider>,
        (scope, admission): (Scope, Admission),
        explain: impl FnMut(&Difference) -> (Reason, Option<RuleName>),
        identity: &Identity,
        (by, at): By<'_>,
    ) -> Result<Self, NegotiationError> {
        let (locked, negotiation) = continuing.into_parts();
        let sent = negotiation.offer(scope, explain, &identity.node_key, at)?;
        locked.set_origin(Origin {
            author: by.actor().cloned(),
            ..locked.origin()
        });
        Ok(Self::sent(locked, sent, (by, at)).holding(admission))
    }

    /// The consumer accepts the offer.
    pub(in crate::negotiation) fn accept(
        continuing: Continuing<AsConsumer>,
        identity: &Identity,
        (by, at): By<'_>,
    ) -> Result<Self, NegotiationError> {
        let (locked, negotiation) = continuing.into_parts();
        let sent = negotiation.accept(&identity.node_key, at)?;
        Ok(Self::sent(locked, sent, (by, at)))
    }

    /// The provider signs the terms of an offer that it would make now too.
    pub(in crate::negotiation) fn agree(
        offer: StandingOffer,
        identity: &Identity,
        (by, at): By<'_>,
    ) -> Result<Self, NegotiationError> {
        let (continuing, policy, admission) = offer.into_parts();
        let (locked, negotiation) = continuing.into_parts();
        let sent = negotiation.agree(policy, &identity.institution_key(), &identity.node_key, at)?;
        Ok(Self::sent(locked, sent, (by, at)).holding(admission))
    }

    /// The consumer signs the same terms.
    pub(in crate::negotiation) fn verify(
        continuing: Continuing<AsConsumer>,
        identity: &Identity,
        (by, at): By<'_>,
    ) -> Result<Self, NegotiationError> {
        let (locked, negotiation) = continuing.into_parts();
        let sent = negotiation.verify_agreement(&identity.institution_key(), &identity.node_key, at)?;
        Ok(Self::sent(locked, sent, (by, at)))
    }

    /// The provider confirms: the grant is active. The consumer was admitted to the consortium with roster `peer_since`.
    pub(in crate::negotiation) fn finalize(
        locked: LockedSlot,
        negotiation: &ProviderNegotiation,
        (grants, peer_since): (&Grants, u64),
        identity: &Identity,
        (by, at): By<'_>,
    ) -> Result<Self, NegotiationError> {
        let sent = negotiation.finalize(&identity.node_key, at)?;
        let activation = match sent.next.grant() {
            Some(grant) => {
                let basis = grants.basis(peer_since, locked.origin().dataset);
                Activation::new(grant, basis, (grants, identity), at)?
            }
            None => None,
        };
        let change = Change::Negotiation {
            locked,
            activation,
            step: Some(Step::sent(sent)),
            admission: None,
        };
        Ok(Self {
            change,
            by: by.clone(),
            at,
        })
    }

    /// One side ends the negotiation.
    pub(in crate::negotiation) fn terminate(
        locked: LockedSlot,
        entry: &Entry,
        reason: Reason,
        identity: &Identity,
        (by, at): By<'_>,
    ) -> Result<Self, NegotiationError> {
        let node = &identity.node_key;
        Ok(match entry {
            Entry::Provider(negotiation) => Self::sent(locked, negotiation.terminate(reason, node, at)?, (by, at)),
            Entry::Consumer(negotiation) => Self::sent(locked, negotiation.terminate(reason, node, at)?, (by, at)),
        })
    }

    /// The same step, with the admission lock of the other side, which is held until the step is stored.
    fn holding(mut self, held: Admission) -> Self {
        if let Change::Negotiation { admission, .. } = &mut self.change {
            *admission = Some(held);
        }
        self
    }

    fn sent<R: Role>(locked: LockedSlot, sent: Sent<R>, (by, at): By<'_>) -> Self
    where
        Entry: From<Negotiation<R>>,
    {
        let change = Change::Negotiation {
            locked,
            activation: None,
            step: Some(Step::sent(sent)),
            admission: None,
        };
        Self {
            change,
            by: by.clone(),
            at,
        }
    }
}

impl Step {
    fn sent<R: Role>(sent: Sent<R>) -> Self
    where
        Entry: From<Negotiation<R>>,
    {
        Self {
            next: sent.next.into(),
            message: sent.message,
            direction: Direction::Sent,
            kept: Kept::Stored,
        }
    }
}
