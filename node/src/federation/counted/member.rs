//! A member that has a part of a grouping.

use std::sync::Arc;

use concordat_engine::{GroupingDifference, QueryError};
use concordat_protocol::scope::{ProtectionName, Tier};

use crate::federation::declared::Declared;
use crate::federation::error::FederationError;
use crate::federation::source::Target;

/// The part of one member.
pub(super) struct Member {
    pub(super) target: Target,
    pub(super) declared: Arc<Declared>,
}

impl Member {
    /// How its figures are protected: those that are computed from records are exact.
    pub(super) fn protection(&self) -> ProtectionName {
        if self.target.tier == Tier::Records {
            return ProtectionName::Exact;
        }
        self.declared.statistics.scope.protection.name()
    }
}

/// The error for members whose declarations differ.
pub(super) fn no_common(members: &[Member], difference: GroupingDifference) -> FederationError {
    let dataset = |at: usize| members.get(at).map(|member| &member.target.dataset);
    let named = |members: &[(usize, String); 2]| {
        let [(here, ours), (there, theirs)] = members;
        Some((
            dataset(*here)?.clone(),
            ours.clone(),
            dataset(*there)?.clone(),
            theirs.clone(),
        ))
    };
    let (what, members, common) = match difference {
        GroupingDifference::Declared { what, members, common } => (what, members, common),
        GroupingDifference::Refused(error) => {
            return match dataset(0) {
                Some(dataset) => FederationError::query(dataset, error),
                None => FederationError::planning(error),
            };
        }
    };
    match named(&members) {
        Some((here, left_levels, there, right_levels)) => FederationError::LevelsDiffer {
            column: what,
            collection: there.collection,
            left: here.institution,
            left_levels,
            right: there.institution,
            right_levels,
            common,
        },
        None => FederationError::planning(QueryError::Engine { step: "planning" }),
    }
}
