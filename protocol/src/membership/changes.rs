//! The changes of a roster. Each returns the unsigned roster with the next number; the coordinator signs it with the charter key.

use std::time::Duration;

use super::enrollment::{Enrollment, ValidEnrollment};
use super::key_succession::{EarlierKey, Follows, MAX_EARLIER_KEYS};
use super::member_node::{MAX_MEMBERS, MemberNode};
use super::roster::{Member, MemberStatus, Roster};
use crate::ids::InstitutionId;
use crate::time::Timestamp;

/// The roster with the applicant: a new member, or a known one (same key) with a newer statement. An institution that was
/// removed may return with the same key, with an application that it signed after the removal; that resumes no grant. A member may
/// apply with a new key for which its current key has signed ([`Enrollment::succeeds`]).
///
/// # Errors
/// [`ChangeError`] if the id, the key or a node belongs or belonged to another member, the application is not newer, or the
/// roster is full.
pub fn admit(
    roster: &Roster,
    applicant: &ValidEnrollment,
    now: Timestamp,
    validity: Duration,
) -> Result<Roster, ChangeError> {
    let follows = own_key(roster, applicant)?;
    admit_following(roster, applicant, follows, now, validity)
}

/// As [`admit`], for a member whose old key is lost or stolen: the holders of the charter replace it with the applicant's key.
/// Every other member keeps its grants to the old key suspended until it has confirmed the new one.
///
/// # Errors
/// As for [`admit`]; [`ChangeError::Unknown`] if the applicant is not listed, [`ChangeError::NothingToReplace`] if it is
/// listed with this key.
pub fn replace_key(
    roster: &Roster,
    applicant: &ValidEnrollment,
    now: Timestamp,
    validity: Duration,
) -> Result<Roster, ChangeError> {
    let Enrollment { institution, key, .. } = applicant.enrollment();
    let institution = || institution.clone();
    match roster.members.iter().find(|member| member.institution == institution()) {
        None => Err(ChangeError::Unknown {
            institution: institution(),
        }),
        Some(member) if member.key == *key => Err(ChangeError::NothingToReplace {
            institution: institution(),
        }),
        Some(_) => admit_following(roster, applicant, Some(Follows::Holders { at: now }), now, validity),
    }
}

/// How the applicant's key follows the one that is listed; `None` if it is that key, or the applicant is not listed.
fn own_key(roster: &Roster, applicant: &ValidEnrollment) -> Result<Option<Follows>, ChangeError> {
    let Enrollment {
        institution,
        key,
        succeeds,
        ..
    } = applicant.enrollment();
    let listed = roster.members.iter().find(|member| member.institution == *institution);
    let Some(member) = listed.filter(|member| member.key != *key) else {
        return Ok(None);
    };
    match succeeds {
        Some(signed) if applicant.follows() == Some(member.key) => Ok(Some(Follows::OldKey(signed.clone()))),
        Some(_) | None => Err(ChangeError::OtherKey {
            institution: institution.clone(),
        }),
    }
}

fn admit_following(
    roster: &Roster,
    applicant: &ValidEnrollment,
    follows: Option<Follows>,
    now: Timestamp,
    validity: Duration,
) -> Result<Roster, ChangeError> {
    check_not_taken(roster, applicant.enrollment())?;
    let mut next = successor(roster, now, validity);
    let number = next.number;
    let known = next
        .members
        .iter_mut()
        .find(|member| member.institution == applicant.enrollment().institution);
    match known {
        Some(member) => {
            if follows.is_some() && roster.charter.holds(&member.key) {
                return Err(ChangeError::HolderKey {
                    institution: member.institution.clone(),
                });
            }
            restate(member, applicant, follows, number)?;
        }
        None => next.members.push(Member::admitted(applicant, number)),
    }
    if next.members.len() > MAX_MEMBERS {
        Err(ChangeError::Full)
    } else {
        Ok(next)
    }
}

/// Ids, keys and nodes of members are never reassigned, not even those of removed members.
fn check_not_taken(roster: &Roster, applicant: &Enrollment) -> Result<(), ChangeError> {
    for member in &roster.members {
        let institution = || member.institution.clone();
        let same = member.institution == applicant.institution;
        let had = member.earlier.iter().any(|earlier| earlier.key == applicant.key);
        let theirs = |node: &MemberNode| applicant.nodes.iter().any(|requested| requested.node == node.node);
        if had || !same && (member.key == applicant.key || member.nodes.iter().any(theirs)) {
            return Err(ChangeError::Taken {
                institution: institution(),
            });
        }
    }
    Ok(())
}

fn restate(
    member: &mut Member,
    applicant: &ValidEnrollment,
    follows: Option<Follows>,
    number: u64,
) -> Result<(), ChangeError> {
    let institution = || applicant.enrollment().institution.clone();
    if member.status == MemberStatus::Suspended {
        return Err(ChangeError::Suspended {
            institution: institution(),
        });
    }
    if applicant.enrollment().issued_at <= member.stated_at {
        return Err(ChangeError::OldApplication {
            institution: institution(),
        });
    }
    let since = if member.status == MemberStatus::Removed {
        number
    } else {
        member.since
    };
    let mut earlier = member.earlier.clone();
    if let Some(followed_by) = follows {
        let key = member.key;
        earlier.push(EarlierKey { key, followed_by });
    }
    if earlier.len() > MAX_EARLIER_KEYS {
        return Err(ChangeError::TooManyKeys {
            institution: institution(),
        });
    }
    *member = Member {
        earlier,
        ..Member::admitted(applicant, since)
    };
    Ok(())
}

/// The roster with `institution` removed.
///
/// # Errors
/// [`ChangeError::Unknown`] if it is not listed, [`ChangeError::Founder`] for a holder of the charter.
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
/// As for [`remove`]; [`ChangeError::Unknown`] also if it was removed, since it then has to enroll again.
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
    if roster.charter.holds(&member.key) {
        return Err(ChangeError::Founder {
            institution: institution.clone(),
        });
    }
    member.status = status;
    Ok(next)
}

/// The roster with the next number and a new expiry time, otherwise unchanged.
pub fn renew(roster: &Roster, now: Timestamp, validity: Duration) -> Roster {
    successor(roster, now, validity)
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

/// Why a roster cannot be changed this way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The id belongs, or belonged, to a member with another key.
    #[error(
        "`{institution}` is or was a member with another key, which has not signed for the new one; if it is another institution, it must choose another id; if `{institution}` has lost its key, compare the new one with it by telephone and admit it with `--replace-key`"
    )]
    OtherKey {
        /// The member.
        institution: InstitutionId,
    },
    /// The holders of the charter need their keys to sign rosters.
    #[error(
        "`{institution}` holds a key of the charter, which cannot be replaced while it does; transfer the charter to other holders first with `concordat consortium charter set`"
    )]
    HolderKey {
        /// The holder.
        institution: InstitutionId,
    },
    /// The member is already listed with this key.
    #[error("`{institution}` is already listed with this key; admit it without `--replace-key`")]
    NothingToReplace {
        /// The member.
        institution: InstitutionId,
    },
    /// The member has had as many keys as a roster can list.
    #[error("`{institution}` has already had {MAX_EARLIER_KEYS} earlier keys, the most that a roster can list")]
    TooManyKeys {
        /// The member.
        institution: InstitutionId,
    },
    /// The applicant's key or node belongs to another member.
    #[error("the key or node of the applicant already belongs to `{institution}`")]
    Taken {
        /// The member that it belongs to.
        institution: InstitutionId,
    },
    /// The member is suspended; enrolling again does not lift that.
    #[error("`{institution}` is suspended; lift the suspension first")]
    Suspended {
        /// The member.
        institution: InstitutionId,
    },
    /// The application is not newer than the one on the roster.
    #[error(
        "the application of `{institution}` is not newer than the one on the roster; ask it to run `concordat consortium enrol` again"
    )]
    OldApplication {
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
    /// A holder of the charter signs the rosters and cannot be removed from them.
    #[error("`{institution}` holds a key of the charter and cannot be suspended or removed; change the charter first")]
    Founder {
        /// The founder.
        institution: InstitutionId,
    },
}
