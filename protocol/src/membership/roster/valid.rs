//! What must hold before a roster is believed.

use std::collections::{HashMap, HashSet};

use super::{Charter, MAX_ADDRESSES, MAX_MEMBERS, MAX_NODES, Member, MemberStatus, Roster, succession};
use crate::identity::InstitutionPublicKey;
use crate::ids::{Digest32, InstitutionId, NodeId};
use crate::membership::{CharterError, KeySuccessionError};
use crate::signed::{CoSigned, CoVerified, SignatureError};
use crate::text::ConsortiumName;
use crate::time::{MAX_CLOCK_SKEW_MS, Timestamp};

/// A roster that was checked against the pinned charter key and against the one held before.
#[derive(Clone, Debug)]
pub struct ValidRoster {
    verified: CoVerified<Roster>,
    digest: Digest32,
    places: HashMap<NodeId, usize>,
}

impl ValidRoster {
    /// Checks `signed` against the `charter` that is pinned, the roster held so far, and the time. If the charter was changed since,
    /// the roster says so with the signatures of the holders before.
    ///
    /// # Errors
    /// [`RosterError`] says which rule it breaks; the roster held so far then stays in force.
    pub fn check(
        signed: CoSigned<Roster>,
        charter: &Charter,
        previous: Option<&Self>,
        now: Timestamp,
    ) -> Result<Self, RosterError> {
        let digest = signed.payload_digest().map_err(RosterError::Signature)?;
        let signers = signers(&signed, charter)?;
        let verified = signed.verify_some(signers.keys(), usize::from(signers.threshold()));
        let verified = verified.map_err(RosterError::Signature)?;
        let roster = verified.document();
        check_content(roster, digest, previous, now)?;
        let places = places(roster);
        Ok(Self {
            verified,
            digest,
            places,
        })
    }

    /// Checks all of a roster but whether enough holders have signed it: what a holder looks at before it signs.
    ///
    /// # Errors
    /// As [`ValidRoster::check`].
    pub fn check_proposal(
        signed: &CoSigned<Roster>,
        charter: &Charter,
        previous: Option<&Self>,
        now: Timestamp,
    ) -> Result<Roster, RosterError> {
        let digest = signed.payload_digest().map_err(RosterError::Signature)?;
        signers(signed, charter)?;
        let roster = signed.peek_unverified().map_err(RosterError::Signature)?;
        check_content(&roster, digest, previous, now)?;
        Ok(roster)
    }

    /// The list itself.
    pub fn roster(&self) -> &Roster {
        self.verified.document()
    }

    /// The signed bytes, to keep or pass on.
    pub fn signed(&self) -> &CoSigned<Roster> {
        self.verified.signed()
    }

    /// Names this roster, whichever holders have signed it.
    pub fn digest(&self) -> Digest32 {
        self.digest
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.roster().number
    }

    /// Whether it is still in force at `now`; to be asked again as time passes.
    ///
    /// # Errors
    /// [`RosterError::Expired`] once it is void.
    pub fn in_force(&self, now: Timestamp) -> Result<(), RosterError> {
        check_time(self.roster(), now)
    }

    /// The member called `institution`, whatever its status.
    pub fn member(&self, institution: &InstitutionId) -> Option<&Member> {
        self.roster()
            .members
            .iter()
            .find(|member| member.institution == *institution)
    }

    /// The active member called `institution`.
    pub fn active_member(&self, institution: &InstitutionId) -> Option<&Member> {
        self.member(institution)
            .filter(|member| member.status == MemberStatus::Active)
    }

    /// The active member that `node` belongs to.
    pub fn active_node(&self, node: &NodeId) -> Option<&Member> {
        let place = self.places.get(node)?;
        self.roster()
            .members
            .get(*place)
            .filter(|member| member.status == MemberStatus::Active)
    }

    /// All active members.
    pub fn active_members(&self) -> impl Iterator<Item = &Member> {
        self.roster()
            .members
            .iter()
            .filter(|member| member.status == MemberStatus::Active)
    }
}

/// The charter that has to have signed: the pinned one, or what its holders have made of it.
fn signers(signed: &CoSigned<Roster>, pinned: &Charter) -> Result<Charter, RosterError> {
    let named = signed.peek_unverified().map_err(RosterError::Signature)?;
    let expected = pinned
        .followed_by(&named.charter_changes, &named.consortium)
        .map_err(RosterError::Charter)?;
    if named.charter == expected {
        Ok(expected)
    } else {
        Err(RosterError::OtherCharter {
            named: named
                .charter
                .keys()
                .iter()
                .map(InstitutionPublicKey::fingerprint)
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}

fn check_content(
    roster: &Roster,
    digest: Digest32,
    previous: Option<&ValidRoster>,
    now: Timestamp,
) -> Result<(), RosterError> {
    check_time(roster, now)?;
    check_bounds(roster)?;
    check_duplicates(roster)?;
    check_statements(roster)?;
    match previous {
        Some(previous) => check_succession(roster, digest, previous),
        None => Ok(()),
    }
}

fn check_time(roster: &Roster, now: Timestamp) -> Result<(), RosterError> {
    if roster.issued_at.since(now) > MAX_CLOCK_SKEW_MS {
        return Err(RosterError::FutureDated {
            issued_at: roster.issued_at,
        });
    }
    if now > roster.not_after {
        Err(RosterError::Expired {
            not_after: roster.not_after,
        })
    } else {
        Ok(())
    }
}

fn check_bounds(roster: &Roster) -> Result<(), RosterError> {
    if roster.number == 0 || roster.members.is_empty() {
        return Err(RosterError::Empty);
    }
    let too_many = |what, found, max| Err(RosterError::TooMany { what, found, max });
    if roster.members.len() > MAX_MEMBERS {
        return too_many("members", roster.members.len(), MAX_MEMBERS);
    }
    for member in &roster.members {
        if member.nodes.len() > MAX_NODES {
            return too_many("nodes of one member", member.nodes.len(), MAX_NODES);
        }
        for node in &member.nodes {
            if node.addresses.len() > MAX_ADDRESSES {
                return too_many("addresses of one node", node.addresses.len(), MAX_ADDRESSES);
            }
        }
    }
    Ok(())
}

fn check_duplicates(roster: &Roster) -> Result<(), RosterError> {
    let (mut institutions, mut keys, mut nodes) = (HashSet::new(), HashSet::new(), HashSet::new());
    let twice = |what, member: &Member| {
        Err(RosterError::Duplicate {
            what,
            institution: member.institution.clone(),
        })
    };
    for member in &roster.members {
        if !institutions.insert(&member.institution) {
            return twice("institution", member);
        }
        let had = member.earlier.iter().map(|earlier| earlier.key);
        if !had.chain([member.key]).all(|key| keys.insert(key)) {
            return twice("institution key", member);
        }
        if !member.nodes.iter().all(|node| nodes.insert(node.node)) {
            return twice("node", member);
        }
    }
    Ok(())
}

fn check_succession(offered: &Roster, second: Digest32, previous: &ValidRoster) -> Result<(), RosterError> {
    let (held, first) = (previous.roster(), previous.digest());
    if offered.consortium != held.consortium {
        return Err(RosterError::OtherConsortium {
            offered: offered.consortium.clone(),
            held: held.consortium.clone(),
        });
    }
    if offered.number < held.number {
        return Err(RosterError::Older {
            offered: offered.number,
            held: held.number,
        });
    }
    if offered.number == held.number && first != second {
        return Err(RosterError::Equivocation {
            number: held.number,
            first,
            second,
        });
    }
    succession::check_members(held, offered)
}

fn check_statements(roster: &Roster) -> Result<(), RosterError> {
    for member in &roster.members {
        if member.since == 0 || member.since > roster.number {
            return Err(RosterError::Backdated {
                institution: member.institution.clone(),
            });
        }
        member.check_statement()?;
    }
    Ok(())
}

fn places(roster: &Roster) -> HashMap<NodeId, usize> {
    let members = roster.members.iter().enumerate();
    members
        .flat_map(|(place, member)| member.nodes.iter().map(move |node| (node.node, place)))
        .collect()
}

/// Why a roster is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// Not enough holders of the charter have signed it, or the bytes are no roster.
    #[error(
        "the roster is not signed by enough of the charter's holders; ask the coordinator for the file again and compare fingerprints"
    )]
    Signature(#[source] SignatureError),
    /// A change of the charter that it carries is not valid.
    #[error("the roster carries a change of the charter that is not valid")]
    Charter(#[source] CharterError),
    /// It names another charter than the pinned one, and no change by its holders leads there.
    #[error("the roster names another charter, of {named}; ask the coordinator which one is right")]
    OtherCharter {
        /// Fingerprints of the keys it names.
        named: String,
    },
    /// Its time has run out.
    #[error("the roster expired at {not_after}; ask the coordinator for a newer one")]
    Expired {
        /// The end of its validity.
        not_after: Timestamp,
    },
    /// It was signed in the future: one of the two clocks is wrong.
    #[error(
        "the roster is dated {issued_at}, which is in the future; set the clock of this machine or of the coordinator's"
    )]
    FutureDated {
        /// When it says that it was signed.
        issued_at: Timestamp,
    },
    /// A newer one is held already.
    #[error("roster {offered} is older than roster {held}, which is in force; nothing was changed")]
    Older {
        /// Number of the refused roster.
        offered: u64,
        /// Number of the roster in force.
        held: u64,
    },
    /// Two different rosters carry the same number: the charter key shows two histories.
    #[error(
        "two different rosters carry the number {number} (`{first}` and `{second}`); tell every member and the coordinator"
    )]
    Equivocation {
        /// The number both carry.
        number: u64,
        /// Digest of the one in force.
        first: Digest32,
        /// Digest of the other.
        second: Digest32,
    },
    /// It belongs to another consortium.
    #[error("the roster is of the consortium `{offered}`, this node belongs to `{held}`")]
    OtherConsortium {
        /// The consortium it names.
        offered: ConsortiumName,
        /// The consortium of this node.
        held: ConsortiumName,
    },
    /// Something that must be unique is there twice.
    #[error("the roster lists the {what} of `{institution}` twice; ask the coordinator to correct it")]
    Duplicate {
        /// What is there twice.
        what: &'static str,
        /// At whose place it was seen again.
        institution: InstitutionId,
    },
    /// A member's own statement is not signed by its key.
    #[error(
        "the roster says of `{institution}` what it has not signed; nothing was changed: ask `{institution}` and the coordinator by telephone"
    )]
    Statement {
        /// The member.
        institution: InstitutionId,
        /// What is wrong with the signature.
        #[source]
        source: SignatureError,
    },
    /// The roster says something else of a member than the member itself.
    #[error(
        "the roster gives `{institution}` another {what} than it states under its own key; nothing was changed: ask `{institution}` and the coordinator by telephone"
    )]
    NotStated {
        /// The member.
        institution: InstitutionId,
        /// What differs.
        what: &'static str,
    },
    /// A member's keys do not lead to its present one.
    #[error(
        "the roster gives `{institution}` a key that its earlier one has not signed for; nothing was changed: ask `{institution}` and the coordinator by telephone"
    )]
    Keys {
        /// The member.
        institution: InstitutionId,
        /// What is wrong.
        #[source]
        source: KeySuccessionError,
    },
    /// A member's key was exchanged.
    #[error(
        "the roster gives `{institution}` the key {offered} in place of {held}; nothing was changed: ask `{institution}` and the coordinator by telephone"
    )]
    KeyChanged {
        /// The member.
        institution: InstitutionId,
        /// Fingerprint of the key known so far.
        held: String,
        /// Fingerprint of the other key.
        offered: String,
    },
    /// A member's statement was put back to an older one.
    #[error(
        "the roster puts the nodes and addresses of `{institution}` back from those of {held} to those of {offered}; nothing was changed"
    )]
    OldStatement {
        /// The member.
        institution: InstitutionId,
        /// When it made the statement that is known.
        held: Timestamp,
        /// When it made the one on the roster.
        offered: Timestamp,
    },
    /// A member is not listed any more, so that its id or key could be given to somebody else.
    #[error("the roster no longer lists `{institution}`, not even as removed; nothing was changed")]
    Dropped {
        /// The member.
        institution: InstitutionId,
    },
    /// A member that was removed is back without having applied again.
    #[error("the roster brings `{institution}` back, which was removed and has not applied again; nothing was changed")]
    Revived {
        /// The member.
        institution: InstitutionId,
    },
    /// A member is said to have been admitted by a roster that did not.
    #[error("the roster says of `{institution}` that it was admitted when it was not; nothing was changed")]
    Backdated {
        /// The member.
        institution: InstitutionId,
    },
    /// No members, or the number zero.
    #[error("the roster has no members or no number")]
    Empty,
    /// A list is longer than allowed.
    #[error("the roster has {found} {what}, more than {max}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
}

impl RosterError {
    /// Whether the charter key was used to say something that it may not: everybody should hear of it.
    pub const fn is_abuse(&self) -> bool {
        match self {
            Self::Equivocation { .. }
            | Self::Statement { .. }
            | Self::NotStated { .. }
            | Self::Keys { .. }
            | Self::KeyChanged { .. }
            | Self::OldStatement { .. }
            | Self::Dropped { .. }
            | Self::Revived { .. }
            | Self::Backdated { .. } => true,
            Self::Signature(_)
            | Self::Charter(_)
            | Self::OtherCharter { .. }
            | Self::Expired { .. }
            | Self::FutureDated { .. }
            | Self::Older { .. }
            | Self::OtherConsortium { .. }
            | Self::Duplicate { .. }
            | Self::Empty
            | Self::TooMany { .. } => false,
        }
    }
}
