//! What a list shows of a negotiation.
//!
//! A negotiation has up to hundreds of kilobytes, and those that have ended are not in memory. So what a list shows is small, and is in memory as long as the
//! negotiation is stored: a list reads none of them.

use std::fmt;

use concordat_protocol::grant::Party;
use concordat_protocol::ids::{CollectionRef, InstitutionId, NegotiationId};
use concordat_protocol::negotiation::StateName;
use concordat_protocol::scope::{Tier, Window};
use concordat_protocol::time::Timestamp;

/// A negotiation without what can be long: its messages and the columns of its terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiationSummary {
    /// Where it is in the list.
    pub position: ListPosition,
    /// Which side this node is on.
    pub party: Party,
    /// The other institution.
    pub peer: InstitutionId,
    /// The institution that requests.
    pub consumer: InstitutionId,
    /// The name of its state.
    pub state: StateName,
    /// The collection, at its holder.
    pub collection: CollectionRef,
    /// The tier of the newest terms.
    pub tier: Tier,
    /// The time of the newest terms.
    pub window: Window,
}

/// The position of a negotiation in the list of all: they are in the order of their first messages. It stays the same as long as the negotiation is stored,
/// and separates those before it from those after it when it is not stored any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPosition {
    /// When it began.
    pub started_at: Timestamp,
    /// Its number.
    pub id: NegotiationId,
}

impl ListPosition {
    /// Reads what [`fmt::Display`] writes; `None` if it is something else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (millis, id) = text.split_once('.')?;
        Some(Self {
            started_at: Timestamp::from_millis(millis.parse().ok()?),
            id: id.parse().ok()?,
        })
    }
}

impl fmt::Display for ListPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.started_at.as_millis(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn list_position_is_read_as_it_was_written(millis: i64, id: [u8; 16]) {
            let position = ListPosition {
                started_at: Timestamp::from_millis(millis),
                id: NegotiationId::from_bytes(id),
            };
            prop_assert_eq!(ListPosition::parse(&position.to_string()), Some(position));
        }
    }

    #[test]
    fn list_position_that_is_something_else_is_refused() {
        let id = "00".repeat(16);
        for text in ["", ".", "1", &id, &format!("x.{id}"), "1.00", &format!("1.{id}.")] {
            assert_eq!(ListPosition::parse(text), None, "{text}");
        }
    }
}
