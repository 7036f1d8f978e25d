//! What no policy set may allow. It is decided here, from the facts, for every authorization request ([`crate::request`]); the rules
//! of a set can only narrow what is left.
//!
//! 1. An institution that is not an active member gets nothing of another institution. The holder's own people need no membership.
//! 2. An unclassified column is not released in any form, to anyone.
//! 3. A direct identifier is not released in clear, to anyone.

use concordat_protocol::decision::RuleReason;
use concordat_protocol::membership::MemberStatus;
use concordat_protocol::schema::ColumnClass;

use crate::facts::{ColumnFacts, Party};
use concordat_protocol::policy_set::Reveal;

/// The rule for columns without a class.
pub(crate) const UNCLASSIFIED: &str = "never-unclassified";

/// Why `consumer` and its people get nothing of `holder`; `None` if that is left to the rules.
pub(crate) fn to_institution(consumer: &Party, holder: &Party) -> Option<RuleReason> {
    let is_member = consumer.status == Some(MemberStatus::Active);
    if is_member || consumer.institution == holder.institution {
        return None;
    }
    Some(RuleReason::new(
        "never-to-non-members",
        "nothing is released to an institution that is not an active member of the consortium, whatever the rules permit",
        "the consortium's coordinator can admit or reinstate the institution",
    ))
}

/// Why the column is not released in this form; `None` if that is left to the rules.
pub(crate) fn of_column(column: &ColumnFacts, reveal: Reveal) -> Option<RuleReason> {
    match (column.class, reveal) {
        (None, Reveal::Clear | Reveal::Generalized | Reveal::Pseudonym) => Some(RuleReason::new(
            UNCLASSIFIED,
            "an unclassified column is not released, whatever the rules permit",
            "the holder's data steward can classify it with `concordat dataset classify`",
        )),
        (Some(ColumnClass::DirectIdentifier), Reveal::Clear) => Some(RuleReason::new(
            "never-names-in-clear",
            "a direct identifier is never released in clear, whatever the rules permit",
            "a pseudonym is enough to link records of the same person under one grant",
        )),
        (Some(ColumnClass::DirectIdentifier), Reveal::Generalized | Reveal::Pseudonym) => None,
        (Some(ColumnClass::QuasiIdentifier | ColumnClass::Sensitive | ColumnClass::Ordinary), _) => None,
    }
}
