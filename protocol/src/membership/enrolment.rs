//! Applications to join, and the changes of the roster that answer them. Each change gives the unsigned roster with the
//! next number; the coordinator signs it with the charter key.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{MAX_ADDRESSES, MAX_MEMBERS, MAX_NODES, Member, MemberNode, MemberStatus, Roster};
use crate::identity::InstitutionPublicKey;
use crate::ids::{InstitutionId, Jurisdiction, NodeId};
use crate::labels::{self, Label};
use crate::signed::{Document, SignatureError, Signed};
use crate::text::{Address, LegalName};
use crate::time::{Staleness, Timestamp};

/// How old an application may be when it is admitted: 30 days, the time a board takes between two meetings.
pub const MAX_ENROLMENT_AGE_MS: i64 = 30 * 24 * 3600 * 1000;

/// An application to join, signed with the key that it asks to have pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The short id it wants.
    pub institution: InstitutionId,
    /// Its legal name.
    pub name: LegalName,
    /// Whose law binds it.
    pub jurisdiction: Jurisdiction,
    /// Its institution key.
    pub key: InstitutionPublicKey,
    /// Its node.
    pub node: NodeId,
    /// Where the node can be reached.
    pub addresses: Vec<Address>,
    /// When it was signed.
    pub issued_at: Timestamp,
}

impl Document for Enrolment {
    const LABEL: Label = labels::ENROLMENT;
}

/// An application whose sender holds the key it names. Whether that key is the institution's own is for people to compare:
/// [`InstitutionPublicKey::fingerprint`].
#[derive(Clone, Debug)]
pub struct ValidEnrolment {
    enrolment: Enrolment,
}

impl ValidEnrolment {
    /// Checks the signature by the key that the application names, its age and its bounds.
    ///
    /// # Errors
    /// [`EnrolmentError`] says which of these fails.
    pub fn check(signed: Signed<Enrolment>, now: Timestamp) -> Result<Self, EnrolmentError> {
        let claimed = signed.peek_unverified().map_err(EnrolmentError::Signature)?.key;
        let verified = signed.verify(claimed).map_err(EnrolmentError::Signature)?;
        let enrolment = verified.document();
        enrolment
            .issued_at
            .fresh_at(now, MAX_ENROLMENT_AGE_MS)
            .map_err(EnrolmentError::Stale)?;
        if enrolment.addresses.len() > MAX_ADDRESSES {
            return Err(EnrolmentError::TooManyAddresses {
                found: enrolment.addresses.len(),
            });
        }
        Ok(Self {
            enrolment: enrolment.clone(),
        })
    }

    /// The application.
    pub fn enrolment(&self) -> &Enrolment {
        &self.enrolment
    }
}

/// Why an application is not accepted as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// Not signed by the key that it names.
    #[error(
        "the enrolment is not signed by the key it names; ask the applicant to run `concordat consortium enrol` again"
    )]
    Signature(#[source] SignatureError),
    /// Too old or from the future.
    #[error("the enrolment is not fresh; ask the applicant to run `concordat consortium enrol` again")]
    Stale(#[source] Staleness),
    /// More addresses than a node may have.
    #[error("the enrolment lists {found} addresses, more than {MAX_ADDRESSES}")]
    TooManyAddresses {
        /// How many there are.
        found: usize,
    },
}

/// The roster with the applicant in it: a new member, or a known one (same key) with its details brought up to date and
/// the node added. An institution that was removed may return with a new key.
///
/// # Errors
/// [`ChangeError`] when the id, the key or the node is somebody else's already, or there is no room.
pub fn admit(
    roster: &Roster,
    applicant: &ValidEnrolment,
    now: Timestamp,
    validity: Duration,
) -> Result<Roster, ChangeError> {
    let applicant = applicant.enrolment();
    refuse_taken(roster, applicant)?;
    let mut next = successor(roster, now, validity);
    let node = MemberNode {
        node: applicant.node,
        addresses: applicant.addresses.clone(),
    };
    let known = next
        .members
        .iter_mut()
        .find(|member| member.institution == applicant.institution);
    match known {
        Some(member) => renew(member, applicant, node)?,
        None => next.members.push(Member {
            institution: applicant.institution.clone(),
            name: applicant.name.clone(),
            jurisdiction: applicant.jurisdiction.clone(),
            key: applicant.key,
            nodes: vec![node],
            status: MemberStatus::Active,
        }),
    }
    if next.members.len() > MAX_MEMBERS {
        Err(ChangeError::Full)
    } else {
        Ok(next)
    }
}

fn refuse_taken(roster: &Roster, applicant: &Enrolment) -> Result<(), ChangeError> {
    for member in &roster.members {
        let same = member.institution == applicant.institution;
        if same && member.key != applicant.key && member.status != MemberStatus::Removed {
            return Err(ChangeError::OtherKey {
                institution: member.institution.clone(),
            });
        }
        if same {
            continue;
        }
        let node_taken = member.nodes.iter().any(|node| node.node == applicant.node);
        if node_taken || member.key == applicant.key {
            return Err(ChangeError::Taken {
                institution: member.institution.clone(),
            });
        }
    }
    Ok(())
}

fn renew(member: &mut Member, applicant: &Enrolment, node: MemberNode) -> Result<(), ChangeError> {
    if member.status == MemberStatus::Suspended {
        return Err(ChangeError::Suspended {
            institution: member.institution.clone(),
        });
    }
    if member.status == MemberStatus::Removed {
        member.nodes.clear();
    }
    member.nodes.retain(|known| known.node != node.node);
    member.nodes.push(node);
    if member.nodes.len() > MAX_NODES {
        return Err(ChangeError::TooManyNodes {
            institution: member.institution.clone(),
        });
    }
    member.key = applicant.key;
    member.name = applicant.name.clone();
    member.jurisdiction = applicant.jurisdiction.clone();
    member.status = MemberStatus::Active;
    Ok(())
}

/// The roster with `institution` removed.
///
/// # Errors
/// [`ChangeError::Unknown`] when it is not listed, [`ChangeError::Founder`] for the holder of the charter key.
pub fn remove(
    roster: &Roster,
    institution: &InstitutionId,
    now: Timestamp,
    validity: Duration,
) -> Result<Roster, ChangeError> {
    with_status(roster, institution, MemberStatus::Removed, now, validity)
}

/// The roster with `institution` suspended.
///
/// # Errors
/// As for [`remove`].
pub fn suspend(
    roster: &Roster,
    institution: &InstitutionId,
    now: Timestamp,
    validity: Duration,
) -> Result<Roster, ChangeError> {
    with_status(roster, institution, MemberStatus::Suspended, now, validity)
}

/// The roster with the suspension of `institution` lifted.
///
/// # Errors
/// As for [`remove`]; [`ChangeError::Unknown`] also when it was removed, since it then has to enrol again.
pub fn reinstate(
    roster: &Roster,
    institution: &InstitutionId,
    now: Timestamp,
    validity: Duration,
) -> Result<Roster, ChangeError> {
    let removed = |member: &Member| member.institution == *institution && member.status == MemberStatus::Removed;
    if roster.members.iter().any(removed) {
        return Err(ChangeError::Unknown {
            institution: institution.clone(),
        });
    }
    with_status(roster, institution, MemberStatus::Active, now, validity)
}

fn with_status(
    roster: &Roster,
    institution: &InstitutionId,
    status: MemberStatus,
    now: Timestamp,
    validity: Duration,
) -> Result<Roster, ChangeError> {
    let mut next = successor(roster, now, validity);
    let member = next
        .members
        .iter_mut()
        .find(|member| member.institution == *institution)
        .ok_or_else(|| ChangeError::Unknown {
            institution: institution.clone(),
        })?;
    if member.key == roster.charter_key {
        return Err(ChangeError::Founder {
            institution: institution.clone(),
        });
    }
    member.status = status;
    Ok(next)
}

fn successor(roster: &Roster, now: Timestamp, validity: Duration) -> Roster {
    let validity = i64::try_from(validity.as_millis()).unwrap_or(i64::MAX);
    Roster {
        number: roster.number.saturating_add(1),
        issued_at: now,
        not_after: now.plus_millis(validity),
        ..roster.clone()
    }
}

/// Why a roster cannot be changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The id belongs to a member with another key.
    #[error(
        "`{institution}` is a member with another key; remove it first if its key is lost, or let the applicant choose another id"
    )]
    OtherKey {
        /// The member.
        institution: InstitutionId,
    },
    /// The applicant's key or node is another member's.
    #[error("the key or node of the applicant belongs to `{institution}` already")]
    Taken {
        /// Whose it is.
        institution: InstitutionId,
    },
    /// The member is suspended; enrolling again does not lift that.
    #[error("`{institution}` is suspended; lift the suspension first")]
    Suspended {
        /// The member.
        institution: InstitutionId,
    },
    /// The member would have too many nodes.
    #[error("`{institution}` would have more than {MAX_NODES} nodes")]
    TooManyNodes {
        /// The member.
        institution: InstitutionId,
    },
    /// The consortium would have too many members.
    #[error("the roster is full: {MAX_MEMBERS} members")]
    Full,
    /// No such member.
    #[error("`{institution}` is not a member; `concordat consortium roster show` lists them")]
    Unknown {
        /// The id that was given.
        institution: InstitutionId,
    },
    /// The holder of the charter key signs the rosters and cannot be taken off them.
    #[error("`{institution}` holds the charter key and cannot be suspended or removed")]
    Founder {
        /// The founder.
        institution: InstitutionId,
    },
}
