//! Describes what a roster or a charter change would change, for the holder who is asked to sign it.
//!
//! 1. A document is compared with the state of this node, not with its sender's description. Only the document whose digest was
//!    reviewed is signed.
//! 2. All fields are compared: the structures are taken apart without `..`, so that a field that is added to one of them does not
//!    compile before it is described here.
//! 3. A difference that has no description is an error. Neither the review nor the signature is made then.

mod charter;
mod keys;
mod member;
mod roster;

use concordat_protocol::ids::Digest32;
use concordat_protocol::membership::{CharterChange, Roster, ValidRoster, from_file};
use concordat_protocol::signed::CoSigned;
use serde::Serialize;

use super::error::MembershipError;
use super::handle::Membership;
use charter::change_of_charter;
use roster::roster_changes;

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
    /// [`MembershipError`] if the roster would be refused, or changes something that cannot be described.
    pub fn review_roster(&self, file: &[u8]) -> Result<Review, MembershipError> {
        let signed: CoSigned<Roster> = from_file(file)?;
        let (proposed, changes) = self.compare_roster(&signed)?;
        Ok(Review {
            kind: "roster",
            digest: signed.payload_digest()?,
            signatures: signed.signed_by(proposed.charter.keys())?,
            needed: proposed.charter.threshold(),
            changes,
        })
    }

    /// What the change of the charter in `file` would change.
    ///
    /// # Errors
    /// [`MembershipError`] if it changes a charter other than the present one.
    pub fn review_charter(&self, file: &[u8]) -> Result<Review, MembershipError> {
        let signed: CoSigned<CharterChange> = from_file(file)?;
        let (change, changes) = self.compare_charter(&signed)?;
        Ok(Review {
            kind: "charter",
            digest: signed.payload_digest()?,
            signatures: signed.signed_by(change.from.keys())?,
            needed: change.from.threshold(),
            changes,
        })
    }

    /// A proposed roster that every member would accept once enough holders have signed it, and each difference from the roster of
    /// this node.
    pub(super) fn compare_roster(&self, signed: &CoSigned<Roster>) -> Result<(Roster, Vec<String>), MembershipError> {
        let known = self.newest().ok_or(MembershipError::NoConsortium)?;
        let pinned = self.pinned_charter()?.ok_or(MembershipError::NoConsortium)?;
        let proposed = ValidRoster::check_proposal(signed, &pinned, Some(&known), self.0.clock.now())?;
        let changes = roster_changes(known.roster(), &proposed)?;
        Ok((proposed, changes))
    }

    /// A change that continues from the present charter, and each difference that it makes.
    pub(super) fn compare_charter(
        &self,
        signed: &CoSigned<CharterChange>,
    ) -> Result<(CharterChange, Vec<String>), MembershipError> {
        let change = signed.peek_unverified()?;
        let current = self.newest().ok_or(MembershipError::NoConsortium)?;
        let roster = current.roster();
        roster.check_charter_change(&change)?;
        let changes = change_of_charter(&change, &roster.members)?;
        Ok((change, changes))
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

#[cfg(test)]
mod tests;
