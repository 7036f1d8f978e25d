//! Policy sets: their sources, their tests, their differences, and how they are applied.

use concordat_protocol::ids::{ActorId, Digest32};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use concordat_protocol::policy_set::{
    Case, CaseOutcome, FileDiff, PolicyDiff, PolicyFile, PolicySources, Reveal, Sampled, Settings,
};

/// A policy set in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySetSummary {
    /// Its number.
    pub number: u64,
    /// Its digest over schema, rules and settings.
    #[schema(value_type = String)]
    pub digest: Digest32,
    /// Who applied it; `null` for the node itself.
    #[schema(value_type = Option<String>)]
    pub actor: Option<ActorId>,
    /// Who approved it as the second person.
    #[schema(value_type = Option<String>)]
    pub approved_by: Option<ActorId>,
    /// When it was applied.
    #[schema(format = DateTime)]
    pub at: String,
}

/// A policy set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySet {
    /// Its number.
    pub number: u64,
    /// Its digest over schema, rules and settings.
    #[schema(value_type = String)]
    pub digest: Digest32,
    /// Who applied it; `null` for the node itself.
    #[schema(value_type = Option<String>)]
    pub actor: Option<ActorId>,
    /// Who approved it as the second person.
    #[schema(value_type = Option<String>)]
    pub approved_by: Option<ActorId>,
    /// When it was applied.
    #[schema(format = DateTime)]
    pub at: String,
    /// Its files.
    pub files: Vec<PolicyFile>,
    /// Its settings.
    pub settings: Settings,
}

/// The current policy set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CurrentPolicySet {
    /// Its number.
    pub number: u64,
    /// Its digest over schema, rules and settings.
    #[schema(value_type = String)]
    pub digest: Digest32,
    /// Who applied it; `null` for the node itself.
    #[schema(value_type = Option<String>)]
    pub actor: Option<ActorId>,
    /// Who approved it as the second person.
    #[schema(value_type = Option<String>)]
    pub approved_by: Option<ActorId>,
    /// When it was applied.
    #[schema(format = DateTime)]
    pub at: String,
    /// Its files.
    pub files: Vec<PolicyFile>,
    /// Its settings.
    pub settings: Settings,
    /// How many rules it has.
    pub rules: usize,
    /// The set that waits for approval by a second person.
    pub proposal: Option<PolicyProposal>,
}

/// A policy set that waits for approval by a second person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyProposal {
    /// Its digest.
    #[schema(value_type = String)]
    pub digest: Digest32,
    /// Who proposed it.
    #[schema(value_type = String)]
    pub by: ActorId,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
}

/// A policy set that is valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckedPolicy {
    /// Its digest.
    #[schema(value_type = String)]
    pub digest: Digest32,
    /// How many rules it has.
    pub rules: usize,
    /// The requests that it was tried with.
    pub sample: Sampled,
}

/// Cases to run against a policy set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyTest {
    /// The set to test; the current one if none is sent.
    #[serde(default)]
    pub sources: Option<PolicySources>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// The result of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyTestReport {
    /// Digest of the set that was tested.
    #[schema(value_type = String)]
    pub digest: Digest32,
    /// How many cases do not have the expected decision.
    pub failed: usize,
    /// What the set allows that no set may allow.
    pub never_allowed: Vec<String>,
    /// The cases.
    pub items: Vec<CaseOutcome>,
}

/// Two policy sets to compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyComparison {
    /// The set before.
    pub from: ComparedSet,
    /// The set after.
    pub to: ComparedSet,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ComparedSet {
    /// A set by its number.
    Number(u64),
    /// The current one.
    Current,
    /// Files that have not been applied yet.
    Sources(PolicySources),
}

/// A policy set to apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPolicySet {
    /// The set.
    pub sources: PolicySources,
    /// The digest of the set that was reviewed.
    #[schema(value_type = String)]
    pub expect: Digest32,
    /// Cases that it has to pass.
    #[serde(default)]
    pub cases: Vec<Case>,
}

/// The approval of a proposed policy set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyApproval {
    /// The digest of the proposal.
    #[schema(value_type = String)]
    pub expect: Digest32,
}

/// An earlier policy set to apply again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyRollback {
    /// Its number.
    pub number: u64,
}

/// A policy set that was applied or proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppliedPolicy {
    /// Whether it is active.
    pub state: PolicyState,
    /// Its number; `null` as long as it is a proposal.
    pub number: Option<u64>,
    /// Its digest.
    #[schema(value_type = String)]
    pub digest: Digest32,
    /// Who applied or proposed it.
    #[schema(value_type = Option<String>)]
    pub actor: Option<ActorId>,
    /// Who approved it as the second person.
    #[schema(value_type = Option<String>)]
    pub approved_by: Option<ActorId>,
}

/// Whether a policy set is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyState {
    /// It is active.
    Applied,
    /// It waits for another person.
    Proposed,
}
