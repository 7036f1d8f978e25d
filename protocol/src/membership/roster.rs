//! The roster: the signed, numbered, expiring list of members. It is also the bootstrap list of addresses.

mod error;
mod succession;
mod valid;

use serde::{Deserialize, Serialize};

pub use error::RosterError;
pub use valid::ValidRoster;

use super::charter::{Charter, CharterChange, CharterError, MAX_CHARTER_CHANGES, PinnedCharter};
use super::enrollment::{Enrollment, ValidEnrollment};
use super::key_succession::{ConfirmedKeys, EarlierKey, Follows, check_earlier};
use super::member_node::MemberNode;
use crate::identity::InstitutionPublicKey;
use crate::ids::{InstitutionId, Jurisdiction};
use crate::labels::{self, DomainLabel};
use crate::signed::{CoSigned, Document, SignatureError, Signed};
use crate::text::{ConsortiumName, LegalName};
use crate::time::Timestamp;

/// The list of members, signed by the holders of the charter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// The consortium that it belongs to.
    pub consortium: ConsortiumName,
    /// Counts up from 1 with every change; a lower number never replaces a higher one.
    pub number: u64,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// It is void after this time: a member that is cut off from updates stops trusting an old list.
    pub not_after: Timestamp,
    /// Whose signatures make a roster of this consortium valid; at first the founder's institution key alone.
    pub charter: Charter,
    /// The changes that led to this charter, from the first on; each signed by enough of the previous holders.
    pub charter_changes: Vec<CoSigned<CharterChange>>,
    /// The members, those suspended and removed included.
    pub members: Vec<Member>,
}

impl Document for Roster {
    const LABEL: DomainLabel = labels::ROSTER;
}

impl Roster {
    /// The first roster, with the founder as its only member; the founder's key becomes the charter key.
    pub fn found(consortium: ConsortiumName, founder: &ValidEnrollment, now: Timestamp, not_after: Timestamp) -> Self {
        Self {
            consortium,
            number: 1,
            issued_at: now,
            not_after,
            charter: Charter::sole(founder.enrollment().key),
            charter_changes: Vec::new(),
            members: vec![Member::admitted(founder, 1)],
        }
    }

    /// Its charter, as a member pins it.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] if its last change of the charter is not one.
    pub fn pinned_charter(&self) -> Result<PinnedCharter, SignatureError> {
        PinnedCharter::named(self.charter.clone(), &self.charter_changes)
    }

    /// The change of its charter to `to`, to be signed by the holders of the present one.
    ///
    /// # Errors
    /// [`CharterError`] if it would not be a change, or there have been too many.
    pub fn change_charter(&self, to: Charter, at: Timestamp) -> Result<CharterChange, CharterError> {
        let pinned = self.pinned_charter().map_err(CharterError::Signature)?;
        let change = CharterChange {
            consortium: self.consortium.clone(),
            previous: pinned.last_change(),
            from: self.charter.clone(),
            to,
            at,
        };
        self.check_charter_change(&change)?;
        Ok(change)
    }

    /// Checks that `change` can be the next change of its charter.
    ///
    /// # Errors
    /// [`CharterError`] if it continues from another charter or consortium, is not a change, or there have been too many.
    pub fn check_charter_change(&self, change: &CharterChange) -> Result<(), CharterError> {
        if self.charter_changes.len() >= MAX_CHARTER_CHANGES {
            return Err(CharterError::TooLong);
        }
        let pinned = self.pinned_charter().map_err(CharterError::Signature)?;
        pinned.check_next(change, &self.consortium)
    }
}

/// One institution of the consortium. Except for its status and when it was admitted, all of it is stated by the institution
/// itself, under its own key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its short id.
    pub institution: InstitutionId,
    /// Its legal name.
    pub name: LegalName,
    /// Country whose law applies to it.
    pub jurisdiction: Jurisdiction,
    /// The key that represents it.
    pub key: InstitutionPublicKey,
    /// The keys that represented it before, the oldest first.
    pub earlier: Vec<EarlierKey>,
    /// Its nodes, at most [`MAX_NODES`](crate::membership::MAX_NODES).
    pub nodes: Vec<MemberNode>,
    /// When it stated all of this; a later statement replaces an earlier one, never the reverse.
    pub stated_at: Timestamp,
    /// The statement, signed by [`Member::key`]: only the member itself can change its name, nodes or addresses.
    pub statement: Signed<Enrollment>,
    /// Number of the roster that admitted it; of the last admission if it was removed in between.
    pub since: u64,
    /// Whether it is currently active.
    pub status: MemberStatus,
}

impl Member {
    /// The entry of an applicant whom roster `since` admits.
    pub(super) fn admitted(applicant: &ValidEnrollment, since: u64) -> Self {
        let Enrollment {
            institution,
            name,
            jurisdiction,
            key,
            nodes,
            issued_at,
            succeeds: _,
        } = applicant.enrollment().clone();
        Self {
            institution,
            name,
            jurisdiction,
            key,
            earlier: Vec::new(),
            nodes,
            stated_at: issued_at,
            statement: applicant.signed().clone(),
            since,
            status: MemberStatus::Active,
        }
    }

    /// The keys whose rights this member has: its current one, and earlier ones as long as each authorized its successor itself or
    /// the successor is among `confirmed`.
    pub fn recognized_keys(&self, confirmed: &ConfirmedKeys) -> Vec<InstitutionPublicKey> {
        let mut keys = vec![self.key];
        let mut next = self.key;
        for EarlierKey { key, followed_by } in self.earlier.iter().rev() {
            let recognized = match followed_by {
                Follows::OldKey(_) => true,
                Follows::Holders { .. } => confirmed.contains(&self.institution, &next),
            };
            if !recognized {
                break;
            }
            keys.push(*key);
            next = *key;
        }
        keys
    }

    /// Whether the member ever had `key`.
    pub fn had(&self, key: &InstitutionPublicKey) -> bool {
        self.earlier.iter().any(|earlier| earlier.key == *key)
    }

    /// Checks that the member itself has stated what the roster lists about it, and that its keys lead to the current one.
    fn check_statement(&self) -> Result<(), RosterError> {
        check_earlier(&self.institution, &self.earlier, self.key).map_err(|source| RosterError::Keys {
            institution: self.institution.clone(),
            source,
        })?;
        let verified = self.statement.clone().verify(self.key);
        let verified = verified.map_err(|source| RosterError::Statement {
            institution: self.institution.clone(),
            source,
        })?;
        let stated = verified.document();
        let same = [
            ("id", stated.institution == self.institution),
            ("name", stated.name == self.name),
            ("jurisdiction", stated.jurisdiction == self.jurisdiction),
            ("key", stated.key == self.key),
            ("nodes or addresses", stated.nodes == self.nodes),
            ("time of statement", stated.issued_at == self.stated_at),
        ];
        match same.into_iter().find(|(_, same)| !same) {
            Some((what, _)) => Err(RosterError::NotStated {
                institution: self.institution.clone(),
                what,
            }),
            None => Ok(()),
        }
    }
}

/// Whether a member is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStatus {
    /// It is active.
    Active,
    /// It is suspended; its entry and keys are kept.
    Suspended,
    /// It is no longer a member; it stays listed so that its id and keys are not assigned to another institution.
    Removed,
}

impl MemberStatus {
    /// The name of the status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }
}
