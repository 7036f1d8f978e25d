//! Every difference between two charters, and every step between them.

use concordat_protocol::identity::InstitutionPublicKey;
use concordat_protocol::membership::{Charter, CharterChange, Member, Roster};

use crate::membership::error::MembershipError;

/// Each change of the charter that the proposed roster contains and the known one does not.
///
/// # Errors
/// [`MembershipError::NotDescribed`] if they do not lead from the known charter to the proposed one, or known changes differ.
pub(super) fn changes_of_charter(known: &Roster, proposed: &Roster) -> Result<Vec<String>, MembershipError> {
    let other_history = || MembershipError::not_described("the history of the charter");
    let before = &known.charter_changes;
    let after = &proposed.charter_changes;
    for (before, after) in before.iter().zip(after) {
        if before.payload_digest()? != after.payload_digest()? {
            return Err(other_history());
        }
    }
    let new = after.get(before.len()..).ok_or_else(other_history)?;
    let mut current = known.charter.clone();
    let mut changes = Vec::new();
    for signed in new {
        let change = signed.peek_unverified()?;
        if change.from != current {
            return Err(other_history());
        }
        changes.extend(change_of_charter(&change, &proposed.members)?);
        current = change.to;
    }
    if current == proposed.charter {
        Ok(changes)
    } else {
        Err(other_history())
    }
}

/// What one change of the charter changes. The members name the holders.
///
/// # Errors
/// [`MembershipError::NotDescribed`] if the charters differ in something else than keys and threshold.
pub(super) fn change_of_charter(change: &CharterChange, members: &[Member]) -> Result<Vec<String>, MembershipError> {
    let CharterChange {
        consortium,
        // It is the known one, which the check of the change has compared.
        previous: _,
        from,
        to,
        at,
    } = change;
    let differences = differences(from, to, members);
    if differences.is_empty() {
        return Err(MembershipError::not_described("the charter"));
    }
    let mut changes = vec![format!("the charter of `{consortium}` is changed, proposed at {at}")];
    changes.extend(differences);
    Ok(changes)
}

fn differences(before: &Charter, after: &Charter, members: &[Member]) -> Vec<String> {
    let mut changes = Vec::new();
    if before.threshold() != after.threshold() {
        let old = before.threshold();
        let new = after.threshold();
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
