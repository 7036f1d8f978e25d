//! The holders of the charter: what they sign, each at their own node, and how the charter itself changes.
//!
//! With a charter of one key, a change of the roster takes effect at once. With more keys, it is a proposal: a file that goes from holder
//! to holder, each of whom checks and signs it, until there are enough signatures and it can be imported anywhere.

use std::sync::Arc;
use std::time::Duration;

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::{Digest32, InstitutionId};
use concordat_protocol::membership::{Charter, CharterChange, Roster, ValidRoster, from_file, renew, to_armor};
use concordat_protocol::signed::{CoSigned, Document};
use concordat_protocol::text::Label;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

use super::error::MembershipError;
use super::handle::Membership;
use super::review::reviewed;

/// How long a roster is valid before the coordinator has to sign it again.
pub(super) const ROSTER_VALIDITY: Duration = Duration::from_secs(90 * 86_400);

/// The outcome of a change.
#[derive(Debug)]
pub enum Issued {
    /// It has taken effect.
    Active(Arc<ValidRoster>),
    /// It needs more signatures.
    Proposed(Proposal),
}

/// A document that needs more signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The document with the signatures so far, as text that can be mailed.
    pub armor: String,
    /// The kind of document: `roster` or `charter`.
    pub kind: &'static str,
    /// Number of holders who have signed.
    pub signatures: usize,
    /// Number of signatures required.
    pub needed: u8,
}

/// A roster that every member would accept once it is signed. Only [`Membership::check_to_issue`] makes one.
#[derive(Debug)]
pub(super) struct RosterToIssue {
    proposed: CoSigned<Roster>,
    roster: Roster,
}

impl Membership {
    /// The newest roster, if this institution is a coordinator and may change it.
    pub(super) fn roster_to_change(&self) -> Result<Arc<ValidRoster>, MembershipError> {
        let current = self.newest().ok_or(MembershipError::NoConsortium)?;
        if current.roster().charter.holds(&self.0.identity.institution_public()) {
            Ok(current)
        } else {
            Err(MembershipError::NotCoordinator)
        }
    }

    /// Checks that every member would accept a roster that this node created, before anything about it is recorded.
    ///
    /// # Errors
    /// [`MembershipError`] if it would be refused.
    pub(super) fn check_to_issue(&self, roster: &Roster, now: Timestamp) -> Result<RosterToIssue, MembershipError> {
        let known = self.newest().ok_or(MembershipError::NoConsortium)?;
        let pinned = self.pinned_charter()?.ok_or(MembershipError::NoConsortium)?;
        let proposed = CoSigned::propose(roster).map_err(MembershipError::OwnDocument)?;
        let roster = ValidRoster::check_proposal(&proposed, &pinned, Some(&known), now);
        let roster = roster.map_err(MembershipError::NotIssued)?;
        Ok(RosterToIssue { proposed, roster })
    }

    /// Signs a roster that was checked. With enough signatures it is in effect when this returns.
    pub(super) async fn issue(
        &self,
        RosterToIssue { proposed, roster }: RosterToIssue,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<Issued, MembershipError> {
        tracing::info!(number = roster.number, members = roster.members.len(), at = %now, "signing a roster");
        if roster.charter.holds(&self.0.identity.institution_public()) {
            let signed = proposed.add_signature(&self.0.identity.institution_key());
            let signed = signed.map_err(MembershipError::OwnDocument)?;
            self.record("roster", signed.payload_digest()?, by, now).await?;
            self.advance(signed, &roster.charter, by).await
        } else {
            Ok(Issued::Proposed(roster_proposal(&proposed, &roster.charter)?))
        }
    }

    /// A document that this institution has made, with its signature.
    pub(super) fn sign_own<T: Document>(&self, document: &T) -> Result<CoSigned<T>, MembershipError> {
        let proposed = CoSigned::propose(document).map_err(MembershipError::OwnDocument)?;
        let signed = proposed.add_signature(&self.0.identity.institution_key());
        signed.map_err(MembershipError::OwnDocument)
    }

    /// Adds this institution's signature to the proposed roster in `file`, if every member would accept it once enough holders
    /// have signed. With enough signatures it is in effect when this returns.
    ///
    /// # Errors
    /// [`MembershipError`] when the roster would be refused, cannot be described, is not the one that was reviewed as `expected`, or this
    /// institution is not a holder of its charter.
    pub async fn sign_roster(
        &self,
        file: &[u8],
        expected: Digest32,
        by: &Attribution,
    ) -> Result<Issued, MembershipError> {
        let _changing = self.0.changing.lock().await;
        let now = self.0.clock.now();
        let signed: CoSigned<Roster> = from_file(file)?;
        reviewed(signed.payload_digest()?, expected)?;
        let (roster, _) = self.compare_roster(&signed)?;
        let ours = self.0.identity.institution_public();
        if !roster.charter.holds(&ours) {
            return Err(MembershipError::NotCoordinator);
        }
        let signed = match signed.signed_by(&[ours])? {
            0 => signed.add_signature(&self.0.identity.institution_key())?,
            _ => signed,
        };
        self.record("roster", signed.payload_digest()?, by, now).await?;
        self.advance(signed, &roster.charter, by).await
    }

    /// Proposes that the charter become `threshold` of the keys of `holders`, who are active members. If this institution's signature
    /// is sufficient under the present charter, the roster that contains the change is proposed at once.
    ///
    /// # Errors
    /// [`MembershipError`] when this institution is not a holder, a holder is not an active member, or the threshold is invalid.
    pub async fn change_charter(
        &self,
        threshold: u8,
        holders: &[InstitutionId],
        by: &Attribution,
    ) -> Result<Issued, MembershipError> {
        let _changing = self.0.changing.lock().await;
        let now = self.0.clock.now();
        let current = self.roster_to_change()?;
        let mut keys = Vec::with_capacity(holders.len());
        for holder in holders {
            let member = current.active_member(holder);
            let member = member.ok_or_else(|| MembershipError::NoHolder {
                institution: holder.clone(),
            })?;
            keys.push(member.key);
        }
        let roster = current.roster();
        let to = Charter::new(keys, threshold)?;
        let change = roster.change_charter(to, now)?;
        let signed = self.sign_own(&change)?;
        self.record("charter", signed.payload_digest()?, by, now).await?;
        self.advance_charter_change(signed, &current, by, now).await
    }

    /// Adds this institution's signature to the change of the charter in `file`. With enough signatures, the roster that contains the
    /// change is proposed.
    ///
    /// # Errors
    /// [`MembershipError`] when it changes a different charter, is not the document that was reviewed as `expected`, or this institution is
    /// not a holder of the present charter.
    pub async fn sign_charter(
        &self,
        file: &[u8],
        expected: Digest32,
        by: &Attribution,
    ) -> Result<Issued, MembershipError> {
        let _changing = self.0.changing.lock().await;
        let now = self.0.clock.now();
        let current = self.roster_to_change()?;
        let signed: CoSigned<CharterChange> = from_file(file)?;
        reviewed(signed.payload_digest()?, expected)?;
        self.compare_charter(&signed)?;
        let signed = match signed.signed_by(&[self.0.identity.institution_public()])? {
            0 => signed.add_signature(&self.0.identity.institution_key())?,
            _ => signed,
        };
        self.record("charter", signed.payload_digest()?, by, now).await?;
        self.advance_charter_change(signed, &current, by, now).await
    }

    /// The next step of a charter change: more signatures, or the roster that contains it.
    async fn advance_charter_change(
        &self,
        signed: CoSigned<CharterChange>,
        current: &ValidRoster,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<Issued, MembershipError> {
        let before = &current.roster().charter;
        let signatures = signed.signed_by(before.keys())?;
        if signatures < usize::from(before.threshold()) {
            return Ok(Issued::Proposed(Proposal {
                armor: to_armor(&signed),
                kind: "charter",
                signatures,
                needed: before.threshold(),
            }));
        }
        let mut next = renew(current.roster(), now, ROSTER_VALIDITY);
        next.charter = signed.peek_unverified()?.to;
        next.charter_changes.push(signed);
        self.issue(self.check_to_issue(&next, now)?, by, now).await
    }

    /// Accepts a roster that has enough signatures; returns one that has not as a proposal.
    async fn advance(
        &self,
        signed: CoSigned<Roster>,
        charter: &Charter,
        by: &Attribution,
    ) -> Result<Issued, MembershipError> {
        let proposal = roster_proposal(&signed, charter)?;
        if proposal.signatures < usize::from(proposal.needed) {
            return Ok(Issued::Proposed(proposal));
        }
        let pinned = self.pinned_charter()?.ok_or(MembershipError::NoConsortium)?;
        Ok(Issued::Active(self.accept_roster(signed, &pinned, by).await?))
    }

    /// Records in the ledger what this institution has signed as a holder, before it leaves this node.
    async fn record(
        &self,
        document: &str,
        digest: Digest32,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<(), MembershipError> {
        let entry = EntryBody::CharterSigned {
            document: Label::sanitized(document),
            digest,
        };
        drop(self.0.ledger.append_async(entry, by, now).await?);
        Ok(())
    }
}

fn roster_proposal(signed: &CoSigned<Roster>, charter: &Charter) -> Result<Proposal, MembershipError> {
    Ok(Proposal {
        armor: to_armor(signed),
        kind: "roster",
        signatures: signed.signed_by(charter.keys())?,
        needed: charter.threshold(),
    })
}
