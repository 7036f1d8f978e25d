//! Every difference between two entries of a member.

use concordat_protocol::membership::{Member, MemberNode, MemberStatus};

use super::keys::{key_changes, key_history};
use crate::membership::error::MembershipError;

/// Each difference between the known entry of a member and the proposed one.
///
/// # Errors
/// [`MembershipError::NotRemoved`] if it is admitted again and the known roster does not show it as removed;
/// [`MembershipError::NotDescribed`].
pub(super) fn member_changes(before: &Member, after: &Member) -> Result<Vec<String>, MembershipError> {
    let Member {
        institution,
        name,
        jurisdiction,
        key: _,
        earlier: _,
        nodes,
        stated_at,
        statement,
        since,
        status,
    } = after;
    let mut changes = Vec::new();
    if before.status != *status {
        changes.push(match status {
            MemberStatus::Removed => format!("`{institution}` is removed"),
            MemberStatus::Suspended => format!("`{institution}` is suspended"),
            MemberStatus::Active => format!("`{institution}` takes part again"),
        });
    }
    changes.extend(admitted_again(before, *since)?);
    changes.extend(key_changes(before, after)?);
    if before.name != *name {
        changes.push(format!("`{institution}` is called {name} instead of {}", before.name));
    }
    if before.jurisdiction != *jurisdiction {
        changes.push(format!(
            "`{institution}` is under the law of {jurisdiction} instead of {}",
            before.jurisdiction
        ));
    }
    changes.extend(node_changes(before, nodes));
    // The statement contains what is listed here; the checks of a roster compare the two.
    if before.stated_at != *stated_at {
        let known = before.stated_at;
        changes.push(format!(
            "`{institution}` has another statement, of {stated_at} instead of {known}"
        ));
    } else if before.statement != *statement {
        return Err(MembershipError::not_described(format!(
            "the statement of `{institution}` without another time"
        )));
    }
    Ok(changes)
}

/// A member is admitted again only after it was removed: at every other member, its grants are suspended by that.
fn admitted_again(before: &Member, since: u64) -> Result<Option<String>, MembershipError> {
    let institution = &before.institution;
    if before.since == since {
        return Ok(None);
    }
    if before.status != MemberStatus::Removed {
        return Err(MembershipError::NotRemoved {
            institution: institution.clone(),
        });
    }
    Ok(Some(format!(
        "`{institution}` is admitted again, by roster {since}; its grants from before stay suspended until they are resumed"
    )))
}

fn node_changes(before: &Member, after: &[MemberNode]) -> Vec<String> {
    let who = &before.institution;
    let known = before.nodes.as_slice();
    let mut changes = Vec::new();
    let removed = known.iter().filter(|node| !after.contains(node));
    changes.extend(removed.map(|node| format!("`{who}` no longer has {}", described(node))));
    let new = after.iter().filter(|node| !known.contains(node));
    changes.extend(new.map(|node| format!("`{who}` has {}", described(node))));
    if changes.is_empty() && known != after {
        let nodes: Vec<String> = after.iter().map(described).collect();
        changes.push(format!(
            "`{who}` lists its nodes in another order: {}",
            nodes.join("; ")
        ));
    }
    changes
}

fn described(MemberNode { node, addresses }: &MemberNode) -> String {
    let addresses: Vec<&str> = addresses.iter().map(|address| address.as_str()).collect();
    format!("node {node} at {}", addresses.join(", "))
}

/// The entry of a member that is new.
///
/// # Errors
/// [`MembershipError::NotDescribed`].
pub(super) fn added(member: &Member) -> Result<Vec<String>, MembershipError> {
    let Member {
        institution,
        name,
        jurisdiction,
        key,
        earlier: _,
        nodes,
        stated_at,
        // As above.
        statement: _,
        since,
        status,
    } = member;
    let mut changes = vec![format!(
        "`{institution}` is added: {name}, law {jurisdiction}, {}, key {}, by its statement of {stated_at}, admitted by roster {since}",
        status.as_str(),
        key.fingerprint()
    )];
    changes.extend(key_history(member)?);
    let nodes = nodes.iter();
    changes.extend(nodes.map(|node| format!("`{institution}` has {}", described(node))));
    Ok(changes)
}
