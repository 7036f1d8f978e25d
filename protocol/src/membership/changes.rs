//! The changes of a roster that answer applications. Each gives the unsigned roster with the next number; the coordinator signs
//! it with the charter key.

use std::time::Duration;

use super::enrolment::{Enrolment, ValidEnrolment};
use super::key_succession::{EarlierKey, Follows, MAX_EARLIER_KEYS};
use super::member_node::{MAX_MEMBERS, MemberNode};
use super::roster::{Member, MemberStatus, Roster};
use crate::ids::InstitutionId;
use crate::time::Timestamp;

/// The roster with the applicant in it: a new member, or a known one (same key) with its newer statement. An institution that was
/// removed may return with the key that it had, by an application that it has signed since; nothing is resumed by that. A member may
/// come with a new key that its present one has signed for ([`Enrolment::succeeds`]).
///
/// # Errors
/// [`ChangeError`] when the id, the key or a node is somebody else's or was, the application is an old one, or there is no room.
pub fn admit(
    roster: &Roster,
    applicant: &ValidEnrolment,
    now: Timestamp,
    validity: Duration,
) -> Result<Roster, ChangeError> {
    let follows = own_key(roster, applicant)?;
    admit_following(roster, applicant, follows, now, validity)
}

/// As [`admit`], for a member whose old key is lost or stolen: the holders of the charter put the applicant's key into its place. Every
/// other member keeps what it granted to the old key suspended until it has confirmed the new one.
///
/// # Errors
/// As for [`admit`]; [`ChangeError::Unknown`] when the applicant is not listed, [`ChangeError::NothingToReplace`] when it is, by this key.
pub fn replace_key(
    roster: &Roster,
    applicant: &ValidEnrolment,
    now: Timestamp,
    validity: Duration,
) -> Result<Roster, ChangeError> {
    let Enrolment { institution, key, .. } = applicant.enrolment();
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
fn own_key(roster: &Roster, applicant: &ValidEnrolment) -> Result<Option<Follows>, ChangeError> {
    let Enrolment {
        institution,
        key,
        succeeds,
        ..
    } = applicant.enrolment();
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
    applicant: &ValidEnrolment,
    follows: Option<Follows>,
    now: Timestamp,
    validity: Duration,
) -> Result<Roster, ChangeError> {
    refuse_taken(roster, applicant.enrolment())?;
    let mut next = successor(roster, now, validity);
    let number = next.number;
    let known = next
        .members
        .iter_mut()
        .find(|member| member.institution == applicant.enrolment().institution);
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

/// Ids, keys and nodes of members are theirs for good, of those removed as well.
fn refuse_taken(roster: &Roster, applicant: &Enrolment) -> Result<(), ChangeError> {
    for member in &roster.members {
        let institution = || member.institution.clone();
        let same = member.institution == applicant.institution;
        let had = member.earlier.iter().any(|earlier| earlier.key == applicant.key);
        let theirs = |node: &MemberNode| applicant.nodes.iter().any(|wanted| wanted.node == node.node);
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
    applicant: &ValidEnrolment,
    follows: Option<Follows>,
    number: u64,
) -> Result<(), ChangeError> {
    let institution = || applicant.enrolment().institution.clone();
    if member.status == MemberStatus::Suspended {
        return Err(ChangeError::Suspended {
            institution: institution(),
        });
    }
    if applicant.enrolment().issued_at <= member.stated_at {
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
/// [`ChangeError::Unknown`] when it is not listed, [`ChangeError::Founder`] for a holder of the charter.
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
    if roster.charter.holds(&member.key) {
        return Err(ChangeError::Founder {
            institution: institution.clone(),
        });
    }
    member.status = status;
    Ok(next)
}

/// The roster with the next number and a new end, and nothing else changed.
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

/// Why a roster cannot be changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The id belongs, or belonged, to a member with another key.
    #[error(
        "`{institution}` is or was a member with another key, which has not signed for the new one; if it is another institution, let it choose another id; if `{institution}` has lost its key, compare the new one with it by telephone and admit it with `--replace-key`"
    )]
    OtherKey {
        /// The member.
        institution: InstitutionId,
    },
    /// The holders of the charter need their keys to sign rosters.
    #[error(
        "`{institution}` holds a key of the charter, which cannot be exchanged as long as it does; give the charter to others first with `concordat consortium charter set`"
    )]
    HolderKey {
        /// The holder.
        institution: InstitutionId,
    },
    /// There is no other key to replace.
    #[error("`{institution}` is listed with this key already; admit it without `--replace-key`")]
    NothingToReplace {
        /// The member.
        institution: InstitutionId,
    },
    /// The member had as many keys as a roster can carry.
    #[error("`{institution}` had {MAX_EARLIER_KEYS} keys already, more than a roster can carry")]
    TooManyKeys {
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
    /// A holder of the charter signs the rosters and cannot be taken off them.
    #[error("`{institution}` holds a key of the charter and cannot be suspended or removed; change the charter first")]
    Founder {
        /// The founder.
        institution: InstitutionId,
    },
}
