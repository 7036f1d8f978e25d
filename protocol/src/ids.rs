//! Identifiers: one type for each kind, so that none can be mistaken for another.

mod countries;
mod names;
mod random;
mod refs;
mod selected_column;

pub use names::{
    ActorId, CollectionName, ColumnName, DatasetName, InstitutionId, InvalidName, Jurisdiction, LevelName,
    MAX_COLUMN_NAME, RESERVED_PREFIX, SegmentName, is_in_column_name, may_begin_column_name,
};
pub use random::{
    CanarySeed, CreationId, Digest32, GrantId, InvalidId, KeyId, NegotiationId, NodeId, Nonce, QueryId, StartId,
};
pub use refs::{CollectionRef, DatasetRef};
pub use selected_column::SelectedColumn;
