//! What may change from one roster to the next. The charter key decides who is a member; only the member itself
//! changes its own identity, by a newer statement under the same key or one that follows it.

use std::collections::HashMap;

use super::{Member, MemberStatus, Roster, RosterError};
use crate::ids::InstitutionId;

/// Checks every member of `held` against `next`, and that no new member is listed as if it had been admitted before.
pub(super) fn check_members(held: &Roster, next: &Roster) -> Result<(), RosterError> {
    let offered: HashMap<&InstitutionId, &Member> = next.members.iter().map(|m| (&m.institution, m)).collect();
    for known in &held.members {
        let offered = offered.get(&known.institution).ok_or_else(|| RosterError::Dropped {
            institution: known.institution.clone(),
        })?;
        check_member(known, offered, held.number)?;
    }
    let known: HashMap<&InstitutionId, &Member> = held.members.iter().map(|m| (&m.institution, m)).collect();
    match next
        .members
        .iter()
        .find(|m| !known.contains_key(&m.institution) && m.since <= held.number)
    {
        Some(invented) => Err(RosterError::Backdated {
            institution: invented.institution.clone(),
        }),
        None => Ok(()),
    }
}

/// Whether the keys of `offered` are those of `known` and perhaps further ones after them: none of the known keys and proofs
/// differs.
fn follows(known: &Member, offered: &Member) -> bool {
    let same = known
        .earlier
        .iter()
        .zip(&offered.earlier)
        .all(|(known, offered)| known == offered);
    let current = offered
        .earlier
        .get(known.earlier.len())
        .map_or(offered.key, |earlier| earlier.key);
    same && offered.earlier.len() >= known.earlier.len() && current == known.key
}

fn check_member(known: &Member, offered: &Member, held: u64) -> Result<(), RosterError> {
    let institution = || known.institution.clone();
    if !follows(known, offered) {
        return Err(RosterError::KeyChanged {
            institution: institution(),
            held: known.key.fingerprint(),
            offered: offered.key.fingerprint(),
        });
    }
    let newer = offered.stated_at > known.stated_at;
    if offered.statement != known.statement && !newer {
        return Err(RosterError::OldStatement {
            institution: institution(),
            held: known.stated_at,
            offered: offered.stated_at,
        });
    }
    if offered.since == known.since {
        let revived = known.status == MemberStatus::Removed && offered.status != MemberStatus::Removed;
        return if revived {
            Err(RosterError::Revived {
                institution: institution(),
            })
        } else {
            Ok(())
        };
    }
    // It was removed and admitted again, perhaps while this node was offline: that needs its own newer application and a newer
    // roster.
    if offered.since <= held {
        Err(RosterError::Backdated {
            institution: institution(),
        })
    } else if newer {
        Ok(())
    } else {
        Err(RosterError::Revived {
            institution: institution(),
        })
    }
}
