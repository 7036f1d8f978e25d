//! Whether a query is planned once more after an error: without a member, or on other columns.

use concordat_protocol::ids::InstitutionId;
use concordat_protocol::wire::messages::RefusalCode;

use super::{FederationError, NotContinued};

impl FederationError {
    /// The member that did not answer, or with which this node must not exchange anything; `None` if the error is about something else. A
    /// member that calls a query invalid has answered.
    pub(in crate::federation) fn absent_member(&self) -> Option<&InstitutionId> {
        match self {
            Self::Refused { refusal, .. } if refusal.code == RefusalCode::Invalid => None,
            Self::Refused { provider, .. }
            | Self::Unreachable { provider, .. }
            | Self::NotMember { provider }
            | Self::KeyChanged { provider } => Some(provider),
            Self::Interrupted { provider, reason, .. } => reason.is_absence().then_some(provider),
            Self::Usage { .. }
            | Self::Query { .. }
            | Self::Incomplete { .. }
            | Self::NoPart { .. }
            | Self::ColumnsChanged { .. }
            | Self::NotPermitted(_)
            | Self::NoGrant { .. }
            | Self::PurposeNeeded { .. }
            | Self::Tier { .. }
            | Self::SchemaMismatch { .. }
            | Self::LevelsDiffer { .. }
            | Self::ValueChanges { .. }
            | Self::Cut { .. }
            | Self::Misbehaved { .. }
            | Self::Machine { .. } => None,
        }
    }

    /// Whether a query on other columns might have succeeded.
    pub(in crate::federation) fn depends_on_columns(&self) -> bool {
        match self {
            Self::ColumnsChanged { .. }
            | Self::Query { .. }
            | Self::SchemaMismatch { .. }
            | Self::LevelsDiffer { .. }
            | Self::ValueChanges { .. }
            | Self::Incomplete { .. }
            | Self::NoPart { .. } => true,
            Self::Refused { refusal, .. } => refusal.code == RefusalCode::Invalid,
            Self::Interrupted { reason, .. } => *reason == NotContinued::OtherColumns,
            Self::Usage { .. }
            | Self::NotPermitted(_)
            | Self::NoGrant { .. }
            | Self::PurposeNeeded { .. }
            | Self::Tier { .. }
            | Self::Cut { .. }
            | Self::Unreachable { .. }
            | Self::NotMember { .. }
            | Self::KeyChanged { .. }
            | Self::Misbehaved { .. }
            | Self::Machine { .. } => false,
        }
    }
}
