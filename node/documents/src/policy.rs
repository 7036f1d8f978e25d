//! Policy sets: their sources, their tests, their differences, and how they are applied.

use concordat_protocol::ids::{ActorId, ColumnName, Digest32, InstitutionId, Jurisdiction};
use concordat_protocol::schema::ColumnClass;
use concordat_protocol::scope::Tier;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::decision::Decision;

/// A file of rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Its name, as shown in errors.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The settings of a policy set. In a request, those that are omitted have their defaults; a response has all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySettings {
    /// Longest duration of a grant, in days.
    pub max_days: Option<u16>,
    /// Fewest subjects behind a released cell.
    pub min_cell: Option<u32>,
    /// Most rows in one answer.
    pub max_rows: Option<u64>,
    /// Most queries of one grant in 24 hours.
    pub max_queries_per_day: Option<u32>,
    /// Whether a policy set is activated only after a second person has approved it.
    pub two_people: Option<bool>,
}

/// The files of a policy set and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySources {
    /// The files, in the order in which their rules are shown.
    pub files: Vec<PolicyFile>,
    /// The settings.
    #[serde(default)]
    pub settings: PolicySettings,
}

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
    pub settings: PolicySettings,
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
    pub settings: PolicySettings,
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
    pub sample: PolicySample,
}

/// What a sample of the possible requests contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySample {
    /// The number of requesting institutions, the holder included.
    pub institutions: usize,
    /// The number of datasets.
    pub datasets: usize,
    /// The number of columns in them.
    pub columns: usize,
    /// The purposes.
    pub purposes: Vec<String>,
    /// The values that are in it because rules name them.
    pub named: Vec<String>,
    /// The number of values that rules name and that are not in it.
    pub left_out: usize,
}

/// Cases to run against a policy set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyTest {
    /// The set to test; the current one if none is sent.
    #[serde(default)]
    pub sources: Option<PolicySources>,
    /// The cases.
    pub cases: Vec<PolicyCase>,
}

/// One case: may this member receive a column of this class in this form, at this tier, for this purpose?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyCase {
    /// The requesting member; by default an active one in the holder's own jurisdiction.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub institution: Option<InstitutionId>,
    /// Its jurisdiction (ISO 3166-1 alpha-2).
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub jurisdiction: Option<Jurisdiction>,
    /// The class of the column; by default it has none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub class: Option<ColumnClass>,
    /// The name of the column, if a rule depends on it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub column: Option<ColumnName>,
    /// How much an answer reveals.
    #[schema(value_type = String)]
    pub tier: Tier,
    /// The purpose, as in `grant request --purpose`.
    pub purpose: String,
    /// How the column would be released.
    pub reveal: Reveal,
    /// The expected decision.
    pub expect: Decision,
}

/// How a column would be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reveal {
    /// Unchanged.
    Clear,
    /// Generalized.
    Generalized,
    /// As a pseudonym.
    Pseudonym,
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

/// The result of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseOutcome {
    /// The request, as text.
    pub case: String,
    /// Whether the decision was the expected one.
    pub passed: bool,
    /// The decision, or why the case cannot be run.
    pub found: String,
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

/// The difference between two policy sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyDiff {
    /// What was denied and is now permitted.
    pub opens: Vec<String>,
    /// What was permitted and is now denied.
    pub closes: Vec<String>,
    /// The total number of added permissions; the list may be shorter.
    pub opens_in_all: usize,
    /// The total number of removed permissions; the list may be shorter.
    pub closes_in_all: usize,
    /// What the rules of the second set permit although no set may: it stays denied, and the set is refused.
    pub never_allowed: Vec<String>,
    /// How many requests were evaluated under both.
    pub compared: usize,
    /// What these requests are: a sample of those that are possible.
    pub sample: PolicySample,
    /// Whether there were more requests in the sample than were evaluated.
    pub incomplete: bool,
    /// Settings that differ.
    pub settings: Vec<String>,
    /// The texts that differ.
    pub text: Vec<PolicyFileDiff>,
    /// Digest of the set before.
    #[schema(value_type = String)]
    pub from: Digest32,
    /// Digest of the set after.
    #[schema(value_type = String)]
    pub to: Digest32,
}

/// The difference in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFileDiff {
    /// The file.
    pub file: String,
    /// Its lines: ` ` before those of both sets, `-` of the first, `+` of the second.
    pub lines: Vec<String>,
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
    pub cases: Vec<PolicyCase>,
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
