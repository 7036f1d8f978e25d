//! Describes what a roster or a charter change would change, for the holder who is asked to sign it.
//!
//! A document is compared with the state of this node, not with its sender's description. Only the document whose digest was reviewed
//! is signed.

use concordat_protocol::identity::InstitutionPublicKey;
use concordat_protocol::ids::Digest32;
use concordat_protocol::membership::{
    Charter, CharterChange, Follows, Member, MemberNode, MemberStatus, Roster, ValidRoster, from_file,
};
use concordat_protocol::signed::CoSigned;
use serde::Serialize;

use super::error::MembershipError;
use super::handle::Membership;

/// What a document would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Review {
    /// The kind of document: `roster` or `charter`.
    pub kind: &'static str,
    /// Digest of the document without its signatures; it is named when the document is signed.
    pub digest: Digest32,
    /// Number of holders who have signed.
    pub signatures: usize,
    /// Number of signatures required.
    pub needed: u8,
    /// Each difference from the state of this node, as a sentence.
    pub changes: Vec<String>,
}

impl Membership {
    /// What the proposed roster in `file` would change. It is checked as if it were signed by enough holders.
    ///
    /// # Errors
    /// [`MembershipError`] if the roster would be refused.
    pub fn review_roster(&self, file: &[u8]) -> Result<Review, MembershipError> {
        let signed: CoSigned<Roster> = from_file(file)?;
        let known = self.newest().ok_or(MembershipError::NoConsortium)?;
        let pinned = self.pinned_charter()?.ok_or(MembershipError::NoConsortium)?;
        let proposed = ValidRoster::check_proposal(&signed, &pinned, Some(&known), self.0.clock.now())?;
        Ok(Review {
            kind: "roster",
            digest: signed.payload_digest()?,
            signatures: signed.signed_by(proposed.charter.keys())?,
            needed: proposed.charter.threshold(),
            changes: roster_changes(known.roster(), &proposed),
        })
    }

    /// What the change of the charter in `file` would change.
    ///
    /// # Errors
    /// [`MembershipError`] if it changes a charter other than the present one.
    pub fn review_charter(&self, file: &[u8]) -> Result<Review, MembershipError> {
        let signed: CoSigned<CharterChange> = from_file(file)?;
        let change = signed.peek_unverified()?;
        let current = self.newest().ok_or(MembershipError::NoConsortium)?;
        let roster = current.roster();
        roster.check_charter_change(&change)?;
        Ok(Review {
            kind: "charter",
            digest: signed.payload_digest()?,
            signatures: signed.signed_by(change.from.keys())?,
            needed: change.from.threshold(),
            changes: charter_changes(&change.from, &change.to, &roster.members),
        })
    }
}

/// Checks that the document is the one that was reviewed.
///
/// # Errors
/// [`MembershipError::NotReviewed`] if it is not.
pub(super) fn reviewed(digest: Digest32, expected: Digest32) -> Result<(), MembershipError> {
    if digest == expected {
        Ok(())
    } else {
        Err(MembershipError::NotReviewed { digest })
    }
}

fn roster_changes(known: &Roster, proposed: &Roster) -> Vec<String> {
    let mut changes = Vec::new();
    for member in &known.members {
        let listed = proposed
            .members
            .iter()
            .find(|other| other.institution == member.institution);
        match listed {
            Some(listed) => changes.extend(member_changes(member, listed)),
            None => changes.push(format!("`{}` is no longer listed", member.institution)),
        }
    }
    let is_new = |member: &&Member| {
        !known
            .members
            .iter()
            .any(|other| other.institution == member.institution)
    };
    for member in proposed.members.iter().filter(is_new) {
        changes.push(format!(
            "`{}` is added: {}, law {}, {}, key {}",
            member.institution,
            member.name,
            member.jurisdiction,
            member.status.as_str(),
            member.key.fingerprint()
        ));
        changes.extend(
            member
                .nodes
                .iter()
                .map(|node| format!("`{}` has {}", member.institution, described(node))),
        );
    }
    changes.extend(charter_changes(&known.charter, &proposed.charter, &proposed.members));
    if known.consortium != proposed.consortium {
        changes.push(format!("the consortium is called `{}`", proposed.consortium));
    }
    changes.push(format!(
        "roster {} instead of {}, valid until {} instead of {}",
        proposed.number, known.number, proposed.not_after, known.not_after
    ));
    changes
}

fn member_changes(before: &Member, after: &Member) -> Vec<String> {
    let who = &after.institution;
    let mut changes = Vec::new();
    if before.status != after.status {
        changes.push(match after.status {
            MemberStatus::Removed => format!("`{who}` is removed"),
            MemberStatus::Suspended => format!("`{who}` is suspended"),
            MemberStatus::Active => format!("`{who}` takes part again"),
        });
    }
    if before.key != after.key {
        let (old, new) = (before.key.fingerprint(), after.key.fingerprint());
        let signed_by = match after.earlier.last().map(|earlier| &earlier.followed_by) {
            Some(Follows::OldKey(_)) => "signed for by its old key",
            Some(Follows::Holders { .. }) => "signed for by the holders of the charter only",
            None => "signed for by no one",
        };
        changes.push(format!("`{who}` has another key, {signed_by}: {new} instead of {old}"));
    } else if before.earlier != after.earlier {
        changes.push(format!("`{who}` lists other earlier keys"));
    }
    if before.name != after.name {
        changes.push(format!("`{who}` is called {} instead of {}", after.name, before.name));
    }
    if before.jurisdiction != after.jurisdiction {
        let (old, new) = (&before.jurisdiction, &after.jurisdiction);
        changes.push(format!("`{who}` is under the law of {new} instead of {old}"));
    }
    let lacks = |nodes: &[MemberNode], node: &MemberNode| !nodes.contains(node);
    let removed = before.nodes.iter().filter(|node| lacks(&after.nodes, node));
    changes.extend(removed.map(|node| format!("`{who}` no longer has {}", described(node))));
    let new = after.nodes.iter().filter(|node| lacks(&before.nodes, node));
    changes.extend(new.map(|node| format!("`{who}` has {}", described(node))));
    if changes.is_empty() && before != after {
        changes.push(format!("`{who}` has another statement, of {}", after.stated_at));
    }
    changes
}

fn described(node: &MemberNode) -> String {
    let addresses: Vec<&str> = node.addresses.iter().map(|address| address.as_str()).collect();
    format!("node {} at {}", node.node, addresses.join(", "))
}

fn charter_changes(before: &Charter, after: &Charter, members: &[Member]) -> Vec<String> {
    let mut changes = Vec::new();
    if before.threshold() != after.threshold() {
        let (old, new) = (before.threshold(), after.threshold());
        changes.push(format!("{new} holders of the charter have to sign instead of {old}"));
    }
    let named = |key: &InstitutionPublicKey| {
        let holder = members.iter().find(|member| member.key == *key);
        let name = holder.map_or_else(|| "no member".to_owned(), |member| format!("`{}`", member.institution));
        format!("{name}, key {}", key.fingerprint())
    };
    let lost = before.keys().iter().filter(|key| !after.holds(key));
    changes.extend(lost.map(|key| format!("no longer a holder of the charter: {}", named(key))));
    let gained = after.keys().iter().filter(|key| !before.holds(key));
    changes.extend(gained.map(|key| format!("a holder of the charter from then on: {}", named(key))));
    changes
}

#[cfg(test)]
mod tests;
