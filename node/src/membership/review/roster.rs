//! Every difference between two rosters.

use concordat_protocol::ids::InstitutionId;
use concordat_protocol::membership::{Member, Roster};

use super::charter::changes_of_charter;
use super::member::{added, member_changes};
use crate::membership::error::MembershipError;

/// Each difference, as a sentence; the last sentence names the numbers and times of both.
///
/// # Errors
/// [`MembershipError::NotDescribed`], and [`MembershipError::NotRemoved`].
pub(super) fn roster_changes(known: &Roster, proposed: &Roster) -> Result<Vec<String>, MembershipError> {
    let Roster {
        consortium,
        number,
        issued_at,
        not_after,
        charter: _,
        charter_changes: _,
        members,
    } = proposed;
    let mut changes = changes_of_members(&known.members, members)?;
    changes.extend(changes_of_charter(known, proposed)?);
    if known.consortium != *consortium {
        changes.push(format!("the consortium is called `{consortium}`"));
    }
    changes.push(format!(
        "roster {number} of {issued_at} instead of {} of {}, valid until {not_after} instead of {}",
        known.number, known.issued_at, known.not_after
    ));
    Ok(changes)
}

fn changes_of_members(known: &[Member], proposed: &[Member]) -> Result<Vec<String>, MembershipError> {
    let mut changes = Vec::new();
    let mut described = Vec::new();
    for member in known {
        match find(proposed, &member.institution) {
            Some(listed) => {
                described.push(&listed.institution);
                changes.extend(member_changes(member, listed)?);
            }
            None => changes.push(format!("`{}` is no longer listed", member.institution)),
        }
    }
    let is_new = |member: &&Member| find(known, &member.institution).is_none();
    for member in proposed.iter().filter(is_new) {
        described.push(&member.institution);
        changes.extend(added(member)?);
    }
    if proposed.iter().map(|member| &member.institution).eq(described) {
        Ok(changes)
    } else {
        Err(MembershipError::not_described(
            "the order of its members, or lists a member twice",
        ))
    }
}

fn find<'a>(members: &'a [Member], institution: &InstitutionId) -> Option<&'a Member> {
    members.iter().find(|member| member.institution == *institution)
}
