//! The two sides of a negotiation, as the roster lists them: who they are, and whether they are still those that began it.

use std::fmt;

use concordat_protocol::grant::Party;
use concordat_protocol::identity::Side;
use concordat_protocol::ids::{ActorId, GrantId, InstitutionId, NodeId};
use concordat_protocol::membership::{Member, MemberStatus, ValidRoster};
use concordat_protocol::negotiation::{Negotiation, Parties, Role, StateName};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;

use super::entry::{Admitted, Entry, collection_of};
use super::grants::Resumable;
use super::store::LockedSlot;
use super::{NegotiationError, Negotiations};

/// A locked negotiation whose other side has the key that it began with, neither side of which was removed since, and whose dataset and
/// state of this node are those that it began with. Only
/// [`Negotiations::same_members`] makes one.
pub(super) struct Continuing<R> {
    locked: LockedSlot,
    negotiation: Negotiation<R>,
}

impl<R> Continuing<R> {
    /// The negotiation.
    pub(super) const fn negotiation(&self) -> &Negotiation<R> {
        &self.negotiation
    }

    /// Who made the newest offer.
    pub(super) fn author(&self) -> Option<ActorId> {
        self.locked.origin().author
    }

    /// Shows why the step that is due is not taken.
    pub(super) fn stop(&self, reason: Reason) {
        self.locked.stop(reason);
    }

    /// The negotiation and its lock, for the step that was checked.
    pub(super) fn into_parts(self) -> (LockedSlot, Negotiation<R>) {
        (self.locked, self.negotiation)
    }
}

impl<R> fmt::Debug for Continuing<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Continuing").field(&self.locked).finish()
    }
}

impl Negotiations {
    /// The two sides of a negotiation with `peer`, where this node is on the side `us`.
    pub(super) fn parties(&self, peer: &InstitutionId, us: Party, now: Timestamp) -> Result<Parties, NegotiationError> {
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

    /// The node of `peer` that receives messages.
    pub(super) fn node_of(&self, peer: &InstitutionId) -> Result<NodeId, NegotiationError> {
        let roster = self.0.membership.valid_roster(self.0.clock.now())?;
        let node = active(&roster, peer)?.nodes.first().map(|node| node.node);
        node.ok_or_else(|| NegotiationError::NotMember {
            institution: peer.clone(),
        })
    }

    /// The rosters that admitted this institution and `peer`.
    pub(super) fn admitted(&self, peer: &InstitutionId, now: Timestamp) -> Result<Admitted, NegotiationError> {
        let roster = self.0.membership.valid_roster(now)?;
        let since = |institution: &InstitutionId| active(&roster, institution).map(|member| member.since);
        Ok(Admitted {
            ours: since(&self.0.identity.institution)?,
            theirs: since(peer)?,
        })
    }

    /// Checks that the other side still has the key that the negotiation began with, that neither side was removed since, and that it has not
    /// lost what it was about.
    pub(super) async fn same_members<R: Role>(
        &self,
        locked: LockedSlot,
        negotiation: Negotiation<R>,
        now: Timestamp,
    ) -> Result<Continuing<R>, NegotiationError> {
        let peer = negotiation.peer_side();
        let began = locked.admitted();
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
        let readmitted = readmitted.into_iter().find(|(_, same)| !same);
        match readmitted.map(|(institution, _)| institution.clone()) {
            Some(institution) => Err(NegotiationError::Readmitted { institution }),
            None => {
                let collection = collection_of(negotiation.transcript());
                let us = negotiation.stored().role;
                match self.outdated(us, collection, &locked.origin()).await? {
                    Some(reason) => Err(NegotiationError::Outdated { reason }),
                    None => Ok(Continuing { locked, negotiation }),
                }
            }
        }
    }

    /// The number of the roster that admitted the other side of a grant, with its key at that time or a successor of that key.
    pub(super) fn member_since(&self, peer: &Side, now: Timestamp) -> Result<u64, NegotiationError> {
        let roster = self.0.membership.valid_roster(now)?;
        active(&roster, &peer.institution)?;
        let member = self.0.membership.active_side(&roster, peer);
        member
            .map(|member| member.since)
            .map_err(|_| NegotiationError::OtherKey {
                institution: peer.institution.clone(),
            })
    }

    /// The proof that a grant can be resumed; fails if the other side is not a member.
    pub(super) async fn resumable(&self, id: &GrantId, now: Timestamp) -> Result<Resumable, NegotiationError> {
        let held = self.0.grants.get(id).await;
        let view = held.ok_or(NegotiationError::UnknownGrant { grant: *id })?;
        let peer = view.terms.side(view.party.other());
        let since = self.member_since(&peer, now)?;
        Ok(self.0.grants.resumable(peer.institution, since))
    }

    /// Why a negotiation cannot continue if its sides have changed since it began; `None` if it can. What both have signed is concluded also
    /// after a change of keys.
    pub(super) fn changed_sides(
        &self,
        entry: &Entry,
        began: Admitted,
        now: Timestamp,
    ) -> Result<Option<Reason>, NegotiationError> {
        let state = entry.state_name();
        let roster = self.0.membership.valid_roster(now)?;
        let ours = entry.own_side();
        let theirs = entry.peer_side();
        let left = former(&roster, &ours.institution, began.ours)
            .or_else(|| former(&roster, &theirs.institution, began.theirs));
        let signed_by_both = state == StateName::Verified && entry.party() == Party::Provider;
        let new_key = || {
            let has_new_key = |side: &&Side| {
                let member = roster.member(&side.institution);
                member.is_some_and(|member| member.key != side.key)
            };
            let side = [ours, theirs]
                .into_iter()
                .find(has_new_key)
                .filter(|_| !signed_by_both)?;
            Some(format!("the key of `{}` was replaced", side.institution))
        };
        let why = left.or_else(new_key);
        Ok(why.map(|why| Reason::sanitized(&format!("{why} after the negotiation began; start a new one"))))
    }
}

/// The active member that a node belongs to, with its key.
pub(super) fn owner_of(roster: &ValidRoster, node: &NodeId) -> Option<Side> {
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

/// Why `institution` is not the member that roster `since` admitted; `None` if it is, also while it is suspended.
fn former(roster: &ValidRoster, institution: &InstitutionId, since: u64) -> Option<String> {
    match roster.member(institution) {
        Some(member) if member.status != MemberStatus::Removed => (member.since != since)
            .then(|| format!("`{institution}` was removed from the consortium and admitted again")),
        Some(_) | None => Some(format!("`{institution}` was removed from the consortium")),
    }
}
