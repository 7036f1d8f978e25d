//! Identifiers: one type for each kind, so that none can be mistaken for another.

mod names;
mod random;

pub use names::{
    ActorId, ColumnName, DatasetName, DatasetRef, InstitutionId, InvalidName, Jurisdiction, RESERVED_PREFIX,
    SegmentName,
};
pub use random::{CreationId, Digest32, GrantId, InvalidId, KeyId, NegotiationId, NodeId, Nonce, QueryId};
