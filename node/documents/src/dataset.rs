//! Datasets of this institution: their contents, the classes of their columns, their limits, and whether members can see them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use concordat_protocol::ids::{
    ActorId, CollectionName, ColumnName, DatasetName, Digest32, InstitutionId, KeyId, SegmentName,
};
use concordat_protocol::schema::{ColumnClass, VersionNumber};
use concordat_protocol::scope::Tier;
use concordat_protocol::text::Reason;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A dataset in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetSummary {
    /// Its name.
    #[schema(value_type = String)]
    pub name: DatasetName,
    /// Its segment.
    #[schema(value_type = String)]
    pub segment: SegmentName,
    /// The version that a new query reads.
    #[schema(value_type = u64)]
    pub version: VersionNumber,
    /// Its rows.
    pub rows: u64,
    /// How many columns it has.
    pub columns: u64,
    /// How many of them have no class; it cannot be published before all have one.
    pub unclassified: u64,
    /// Whether members can see it.
    pub published: bool,
}

/// A dataset with its columns and limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Its name.
    #[schema(value_type = String)]
    pub name: DatasetName,
    /// Its segment.
    #[schema(value_type = String)]
    pub segment: SegmentName,
    /// The version that a new query reads.
    #[schema(value_type = u64)]
    pub version: VersionNumber,
    /// The oldest version that is retained.
    #[schema(value_type = u64)]
    pub oldest_version: VersionNumber,
    /// How many versions are retained; `null` for all.
    #[schema(value_type = Option<u32>)]
    pub keep: Option<NonZeroU32>,
    /// Its rows.
    pub rows: u64,
    /// The column that identifies the subject of a row; `null` if each row is a subject.
    #[schema(value_type = Option<String>)]
    pub subject_column: Option<ColumnName>,
    /// Whether its subjects are numbered; otherwise it answers only at `records`.
    pub subjects_numbered: bool,
    /// Whether members can see it.
    pub published: bool,
    /// The highest tier at which sensitive columns are released; `null` for none.
    #[schema(value_type = Option<String>)]
    pub sensitive: Option<Tier>,
    /// Further columns that reveal when a person was born.
    #[schema(value_type = Vec<String>)]
    pub births: BTreeSet<ColumnName>,
    /// The limits at each tier.
    pub limits: Vec<LimitsAtTier>,
    /// The limits of queries below `records`.
    pub below_records: LimitsBelowRecords,
    /// Its columns.
    pub columns: Vec<DatasetColumn>,
    /// The version that a new query reads, and where it comes from.
    pub source: DatasetVersion,
}

/// A column of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetColumn {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ColumnName,
    /// Its type, for people.
    pub kind: String,
    /// Whether a value may be missing.
    pub nullable: bool,
    /// Its class; `null` if it has none yet.
    #[schema(value_type = Option<String>)]
    pub class: Option<ColumnClass>,
    /// How its values can be generalized, for people; `null` if they cannot be.
    pub generalization: Option<String>,
}

/// The limits that apply at one tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsAtTier {
    /// The tier.
    #[schema(value_type = String)]
    pub tier: Tier,
    /// Fewest subjects behind a released cell.
    pub min_cell: u32,
    /// Most queries of one grant in 24 hours.
    pub queries_per_day: u32,
    /// Most rows in one answer.
    pub max_rows: u64,
    /// Longest duration of a grant, in days.
    pub days: u16,
    /// Those of them that a steward has set.
    pub set: TierLimits,
}

/// Limits at one tier; those that are not set have the default of the policy set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TierLimits {
    /// Fewest subjects behind a released cell.
    #[schema(value_type = Option<u32>)]
    pub min_cell: Option<NonZeroU32>,
    /// Most queries of one grant in 24 hours.
    #[schema(value_type = Option<u32>)]
    pub queries_per_day: Option<NonZeroU32>,
    /// Most rows in one answer.
    #[schema(value_type = Option<u64>)]
    pub max_rows: Option<NonZeroU64>,
    /// Longest duration of a grant, in days.
    #[schema(value_type = Option<u16>)]
    pub days: Option<NonZeroU16>,
}

/// The limits of queries below `records` that apply: most in 24 hours, at all tiers below it together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsBelowRecords {
    /// Of one person.
    pub person: u32,
    /// Of all people of one institution.
    pub institution: u32,
    /// Of all institutions, the holder's included.
    pub all: u32,
    /// Those of them that a steward has set.
    pub set: QueriesBelowRecords,
}

/// Most queries below `records` in 24 hours; those that are not set have the default of the policy set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueriesBelowRecords {
    /// Of one person.
    #[schema(value_type = Option<u32>)]
    pub person: Option<NonZeroU32>,
    /// Of all people of one institution.
    #[schema(value_type = Option<u32>)]
    pub institution: Option<NonZeroU32>,
    /// Of all institutions, the holder's included.
    #[schema(value_type = Option<u32>)]
    pub all: Option<NonZeroU32>,
}

/// A person whose queries below `records` to a dataset are locked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseLock {
    /// The person's institution.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// The person.
    #[schema(value_type = String)]
    pub person: ActorId,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: String,
    /// The steward who has proposed to unlock it, if one has.
    #[schema(value_type = Option<String>)]
    pub proposed_by: Option<ActorId>,
}

/// Whose queries below `records` to unlock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnlockRequest {
    /// The institution.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// The person; all people of the institution who are locked if omitted.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub person: Option<ActorId>,
}

/// What became of a request to unlock queries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unlock {
    /// The collection.
    #[schema(value_type = String)]
    pub collection: CollectionName,
    /// The people that it is about.
    #[schema(value_type = Vec<String>)]
    pub people: BTreeSet<ActorId>,
    /// Whether they are unlocked.
    pub state: UnlockState,
}

/// Whether queries are unlocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnlockState {
    /// They are.
    Unlocked,
    /// Another steward has to approve it.
    Proposed,
}

/// Answers below `records` that are missing since a restore and do not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgedAnswers {
    /// The collection that they are about.
    #[schema(value_type = String)]
    pub collection: CollectionName,
    /// Until when answers are known.
    #[schema(format = DateTime)]
    pub known_until: String,
}

/// Limits to set; what is omitted stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewLimits {
    /// Only at this tier; at every tier if omitted.
    #[schema(value_type = Option<String>)]
    pub tier: Option<Tier>,
    /// The limits.
    pub limits: TierLimits,
    /// The limits of queries below `records`.
    pub below_records: QueriesBelowRecords,
    /// The highest tier at which sensitive columns are released, or `none`.
    pub sensitive: Option<String>,
    /// Further columns that reveal when a person was born.
    #[schema(value_type = Vec<String>)]
    pub births: BTreeSet<ColumnName>,
}

/// A version of a dataset, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetVersion {
    /// Its number.
    #[schema(value_type = u64)]
    pub version: VersionNumber,
    /// Its rows.
    pub rows: u64,
    /// How many sealed objects hold it.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The name of the file it was imported from.
    pub file: String,
    /// The BLAKE3 hash of that file.
    #[schema(value_type = String)]
    pub blake3: Digest32,
    /// When it was imported.
    #[schema(format = DateTime)]
    pub imported_at: String,
    /// Who imported it.
    #[schema(value_type = Option<String>)]
    pub by: Option<ActorId>,
}

/// The result of reading everything that is stored of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetCheck {
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// Always true: damage is an error.
    pub ok: bool,
    /// Versions that were read.
    pub versions: u64,
    /// Objects that were read.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A version with the rows of the one before, whose subjects are numbered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Indexed {
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// The version that is current now.
    #[schema(value_type = u64)]
    pub version: VersionNumber,
    /// Its rows.
    pub rows: u64,
}

/// The classes of columns.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClasses {
    /// The class of each column to set.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub classes: BTreeMap<ColumnName, ColumnClass>,
}

/// How many versions are retained.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRetention {
    /// How many of the newest versions; `null` retains all.
    #[schema(value_type = Option<u32>)]
    pub versions: Option<NonZeroU32>,
}

/// The retention of a dataset's versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// How many versions are retained; `null` for all.
    #[schema(value_type = Option<u32>)]
    pub keep: Option<NonZeroU32>,
    /// How many were removed just now.
    pub removed: u64,
}

/// Why a dataset is erased.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasureRequest {
    /// The reason, for the signed statement.
    #[schema(value_type = String)]
    pub reason: Reason,
}

/// An erasure that has just been made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erased {
    /// The statement.
    #[serde(flatten)]
    pub erasure: Erasure,
    /// Repositories of backups whose copy is erased once they can be reached.
    pub unreachable_repositories: Vec<String>,
}

/// The signed statement that a dataset was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erasure {
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// The keys that were destroyed.
    #[schema(value_type = Vec<String>)]
    pub keys: Vec<KeyId>,
    /// Number of versions it had.
    pub versions: u64,
    /// Number of objects that were removed.
    pub objects: u64,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who ordered it.
    #[schema(value_type = Option<String>)]
    pub by: Option<ActorId>,
    /// Why.
    #[schema(value_type = String)]
    pub reason: Reason,
    /// The statement as it was signed, in base64.
    pub statement: String,
}
