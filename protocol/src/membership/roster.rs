//! The roster: the signed, numbered, expiring list of members. It is also the list of addresses to start from.

mod error;
mod succession;
mod valid;

use serde::{Deserialize, Serialize};

pub use error::RosterError;
pub use valid::ValidRoster;

use super::charter::{Charter, CharterChange};
use super::enrolment::{Enrolment, ValidEnrolment};
use super::key_succession::{ConfirmedKeys, EarlierKey, Follows, check_earlier};
use super::member_node::MemberNode;
use crate::identity::InstitutionPublicKey;
use crate::ids::{InstitutionId, Jurisdiction};
use crate::labels::{self, Label};
use crate::signed::{CoSigned, Document, Signed};
use crate::text::{ConsortiumName, LegalName};
use crate::time::Timestamp;

/// The list of members as the holders of the charter sign it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// Whose list it is.
    pub consortium: ConsortiumName,
    /// Counts up from 1 with every change; a lower number never replaces a higher one.
    pub number: u64,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// After this it is void: a member cut off from news stops trusting old lists.
    pub not_after: Timestamp,
    /// Whose signatures make a roster of this consortium; at first the founder's institution key alone.
    pub charter: Charter,
    /// How the charter came to be this one, from the first on; each change signed by enough of the holders before.
    pub charter_changes: Vec<CoSigned<CharterChange>>,
    /// The members, those suspended and removed included.
    pub members: Vec<Member>,
}

impl Document for Roster {
    const LABEL: Label = labels::ROSTER;
}

impl Roster {
    /// The first roster, with the founder as its only member; the founder's key becomes the charter key.
    pub fn found(consortium: ConsortiumName, founder: &ValidEnrolment, now: Timestamp, not_after: Timestamp) -> Self {
        Self {
            consortium,
            number: 1,
            issued_at: now,
            not_after,
            charter: Charter::sole(founder.enrolment().key),
            charter_changes: Vec::new(),
            members: vec![Member::admitted(founder, 1)],
        }
    }
}

/// One institution of the consortium. All but its status and when it came is what it states itself, under its own key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its short id.
    pub institution: InstitutionId,
    /// Its legal name.
    pub name: LegalName,
    /// Whose law binds it.
    pub jurisdiction: Jurisdiction,
    /// The key that speaks for it.
    pub key: InstitutionPublicKey,
    /// The keys that spoke for it before, the oldest first.
    pub earlier: Vec<EarlierKey>,
    /// Its nodes, at most [`MAX_NODES`](crate::membership::MAX_NODES).
    pub nodes: Vec<MemberNode>,
    /// When it stated all of this; a later statement replaces an earlier one and never the other way round.
    pub stated_at: Timestamp,
    /// The statement, signed by [`Member::key`]: nobody else gives it another name, node or address.
    pub statement: Signed<Enrolment>,
    /// Number of the roster that admitted it, the last time if it was removed in between.
    pub since: u64,
    /// Whether it takes part at present.
    pub status: MemberStatus,
}

impl Member {
    /// The entry of an applicant whom roster `since` admits.
    pub(super) fn admitted(applicant: &ValidEnrolment, since: u64) -> Self {
        let Enrolment {
            institution,
            name,
            jurisdiction,
            key,
            nodes,
            issued_at,
            succeeds: _,
        } = applicant.enrolment().clone();
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

    /// The keys whose rights this member has: its present one, and those before it as long as each was followed by its own word or
    /// the one after it is among `confirmed`.
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

    /// Checks that the member itself has stated what the roster says of it, and that its keys lead to the present one.
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

/// Whether a member takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStatus {
    /// It takes part.
    Active,
    /// It does not take part at present; its place and keys are kept.
    Suspended,
    /// It no longer belongs; it stays listed so that its id and keys are not given to somebody else.
    Removed,
}

impl MemberStatus {
    /// The status as a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }
}
