//! The checks that a roster must pass before it is accepted.

use std::collections::{HashMap, HashSet};

use super::{Member, MemberStatus, Roster, RosterError, succession};
use crate::identity::InstitutionPublicKey;
use crate::ids::{Digest32, InstitutionId, NodeId};
use crate::membership::charter::{Charter, CharterError, PinnedCharter};
use crate::membership::member_node::{MAX_ADDRESSES, MAX_MEMBERS, MAX_NODES};
use crate::signed::{CoSigned, CoVerified};
use crate::time::{MAX_CLOCK_SKEW_MS, Timestamp};

/// A roster that was checked against the pinned charter key and against the previous one.
#[derive(Clone, Debug)]
pub struct ValidRoster {
    verified: CoVerified<Roster>,
    digest: Digest32,
    member_index: HashMap<NodeId, usize>,
}

impl ValidRoster {
    /// Checks `signed` against the `pinned` charter, the current roster, and the time. If the charter was changed since, the roster
    /// contains the changes with the signatures of the previous holders.
    ///
    /// A roster that is not newer is refused by its number, before any signature is checked: a member that keeps sending old
    /// ones does not make this node verify a thousand statements each time.
    ///
    /// # Errors
    /// [`RosterError`] names the rule that it breaks; the current roster then stays valid.
    pub fn check(
        signed: CoSigned<Roster>,
        pinned: &PinnedCharter,
        previous: Option<&Self>,
        now: Timestamp,
    ) -> Result<Self, RosterError> {
        let digest = signed.payload_digest().map_err(RosterError::Signature)?;
        if let Some(previous) = previous.filter(|previous| previous.digest == digest) {
            // The same document, with any signatures: it was checked when it was accepted.
            previous.check_validity(now)?;
            return Ok(previous.clone());
        }
        let named = signed.peek_unverified().map_err(RosterError::Signature)?;
        if let Some(previous) = previous {
            check_not_older(&named, previous.roster())?;
        }
        let signers = signers(&named, pinned)?;
        let verified = signed.verify_some(signers.keys(), usize::from(signers.threshold()));
        let verified = verified.map_err(RosterError::Signature)?;
        let roster = verified.document();
        check_content(roster, digest, previous, now)?;
        let member_index = member_index(roster);
        Ok(Self {
            verified,
            digest,
            member_index,
        })
    }

    /// Checks all of a roster except whether enough holders have signed it: what a holder checks before it signs.
    ///
    /// # Errors
    /// As [`ValidRoster::check`].
    pub fn check_proposal(
        signed: &CoSigned<Roster>,
        pinned: &PinnedCharter,
        previous: Option<&Self>,
        now: Timestamp,
    ) -> Result<Roster, RosterError> {
        let digest = signed.payload_digest().map_err(RosterError::Signature)?;
        let roster = signed.peek_unverified().map_err(RosterError::Signature)?;
        signers(&roster, pinned)?;
        check_content(&roster, digest, previous, now)?;
        Ok(roster)
    }

    /// The list itself.
    pub fn roster(&self) -> &Roster {
        self.verified.document()
    }

    /// The signed bytes, to store or forward.
    pub fn signed(&self) -> &CoSigned<Roster> {
        self.verified.signed()
    }

    /// Identifies this roster, independent of which holders have signed it.
    pub fn digest(&self) -> Digest32 {
        self.digest
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.roster().number
    }

    /// Checks that it has not expired at `now`; to be checked again as time passes.
    ///
    /// # Errors
    /// [`RosterError::Expired`] once it has expired.
    pub fn check_validity(&self, now: Timestamp) -> Result<(), RosterError> {
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
        let index = self.member_index.get(node)?;
        self.roster()
            .members
            .get(*index)
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

/// The charter that must have signed: the pinned one, or the one to which its holders have changed it.
fn signers(named: &Roster, pinned: &PinnedCharter) -> Result<Charter, RosterError> {
    let expected = pinned
        .followed_by(&named.charter_changes, &named.consortium)
        .map_err(RosterError::Charter)?;
    if named.charter == *expected.charter() {
        Ok(expected.into_charter())
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
    if let Some(previous) = previous {
        // Before the statements of the members: two rosters under one number are a contradiction whatever they state.
        check_follows(roster, digest, previous)?;
    }
    check_bounds(roster)?;
    check_duplicates(roster)?;
    check_statements(roster)?;
    match previous {
        Some(previous) => succession::check_members(previous.roster(), roster),
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
    let mut institutions = HashSet::new();
    let mut keys = HashSet::new();
    let mut nodes = HashSet::new();
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

fn check_not_older(offered: &Roster, held: &Roster) -> Result<(), RosterError> {
    if offered.consortium != held.consortium {
        return Err(RosterError::OtherConsortium {
            offered: offered.consortium.clone(),
            held: held.consortium.clone(),
        });
    }
    if offered.number < held.number {
        Err(RosterError::Older {
            offered: offered.number,
            held: held.number,
        })
    } else {
        Ok(())
    }
}

/// Checks that a roster follows the current one: by its number, and with the same history of the charter.
fn check_follows(offered: &Roster, second: Digest32, previous: &ValidRoster) -> Result<(), RosterError> {
    let held = previous.roster();
    let first = previous.digest();
    check_not_older(offered, held)?;
    check_history(offered, held)?;
    if offered.number == held.number && first != second {
        return Err(RosterError::Equivocation {
            number: held.number,
            first,
            second,
        });
    }
    Ok(())
}

/// The known changes of the charter stay, in their order: former holders do not replace one of them by another, even if the
/// pin is still the charter before it.
fn check_history(offered: &Roster, held: &Roster) -> Result<(), RosterError> {
    let malformed = |error| RosterError::Charter(CharterError::Signature(error));
    if offered.charter_changes.len() < held.charter_changes.len() {
        return Err(RosterError::OtherHistory);
    }
    for (offered, held) in offered.charter_changes.iter().zip(&held.charter_changes) {
        if offered.payload_digest().map_err(malformed)? != held.payload_digest().map_err(malformed)? {
            return Err(RosterError::OtherHistory);
        }
    }
    Ok(())
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

fn member_index(roster: &Roster) -> HashMap<NodeId, usize> {
    let members = roster.members.iter().enumerate();
    members
        .flat_map(|(index, member)| member.nodes.iter().map(move |node| (node.node, index)))
        .collect()
}
