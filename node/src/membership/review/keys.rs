//! Every step from one key of a member to another.
//!
//! A step that the holders authorize is shown as theirs, and so is a succession that contains one: the steps after it are signed by keys
//! that the holders have chosen, not by the member.

use concordat_protocol::identity::InstitutionPublicKey;
use concordat_protocol::membership::{EarlierKey, Follows, KeySuccession, Member};

use crate::membership::error::MembershipError;

/// How the member gets another key: first the result, then each step.
///
/// # Errors
/// [`MembershipError::NotDescribed`] if the steps do not lead from the known key to the proposed one, or known steps differ.
pub(super) fn key_changes(before: &Member, after: &Member) -> Result<Vec<String>, MembershipError> {
    let who = &after.institution;
    let other_history = || MembershipError::not_described(format!("the keys that `{who}` had"));
    let new = after
        .earlier
        .strip_prefix(before.earlier.as_slice())
        .ok_or_else(other_history)?;
    let leads_from = new.first().map_or(after.key, |earlier| earlier.key);
    if leads_from != before.key {
        return Err(other_history());
    }
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let is_by_holders = |step: &EarlierKey| matches!(step.followed_by, Follows::Holders { .. });
    let how = if new.iter().any(is_by_holders) {
        "the holders replace the key; the member's old key has not signed"
    } else {
        "signed for by its old key"
    };
    let old = before.key.fingerprint();
    let new_key = after.key.fingerprint();
    let mut changes = vec![format!("`{who}` has another key, {how}: {new_key} instead of {old}")];
    changes.extend(steps(new, after)?);
    Ok(changes)
}

/// The keys that a member had.
///
/// # Errors
/// [`MembershipError::NotDescribed`] if they do not lead to its key.
pub(super) fn key_history(member: &Member) -> Result<Vec<String>, MembershipError> {
    steps(&member.earlier, member)
}

/// Each of these steps, which lead to the key of `member`.
fn steps(earlier: &[EarlierKey], member: &Member) -> Result<Vec<String>, MembershipError> {
    let next = earlier.iter().skip(1).map(|next| next.key).chain([member.key]);
    let mut set_by_holders = false;
    let mut sentences = Vec::new();
    for (number, (EarlierKey { key, followed_by }, next)) in (1_usize..).zip(earlier.iter().zip(next)) {
        let who = &member.institution;
        let count = earlier.len();
        let keys = format!("from key {} to {}", key.fingerprint(), next.fingerprint());
        let by = match followed_by {
            Follows::OldKey(signed) => {
                let at = stated(&signed.peek_unverified()?, member, (*key, next))?;
                let of_holders = if set_by_holders {
                    ", which the holders have chosen"
                } else {
                    ""
                };
                format!("the first of the two has signed at {at}{of_holders}")
            }
            Follows::Holders { at } => {
                set_by_holders = true;
                format!("the holders replace it at {at}; the old key has not signed")
            }
        };
        sentences.push(format!("`{who}`, step {number} of {count}, {keys}: {by}"));
    }
    Ok(sentences)
}

/// The time of a statement that names exactly this step.
fn stated(
    statement: &KeySuccession,
    member: &Member,
    (key, next): (InstitutionPublicKey, InstitutionPublicKey),
) -> Result<String, MembershipError> {
    let KeySuccession {
        institution,
        from,
        to,
        at,
    } = statement;
    if *institution == member.institution && *from == key && *to == next {
        Ok(at.to_string())
    } else {
        Err(MembershipError::not_described(format!(
            "the keys that `{}` had",
            member.institution
        )))
    }
}
