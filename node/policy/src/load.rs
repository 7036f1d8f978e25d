//! Policy sets: parsed, validated against the schema, and with named rules.

use std::{
    collections::BTreeSet,
    fmt,
    num::{NonZeroU16, NonZeroU32, NonZeroU64},
    str::FromStr,
    sync::Arc,
};

use cedar_policy::{Entities, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use concordat_protocol::decision::{RuleEffect, RuleReason};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    ids::Digest32,
    policy_set::Settings,
    release::{QueriesBelowRecords, ReleaseRules, TierLimits},
    scope::Tier,
};

use crate::column_names;
use crate::text_bounds;
use crate::verdict::Verdicts;

/// The schema of policies; shipped and not replaceable, because the authorization requests are built against it.
pub(crate) const SCHEMA: &str = include_str!("../cedar/concordat.cedarschema");
/// The policy set that is active until a steward replaces it.
pub(crate) const DEFAULT: &str = include_str!("../cedar/default.cedar");
/// Domain of the policy set's digest.
const DIGEST: &str = "concordat/policy-set/1";

/// A loaded policy set; clones share it.
#[derive(Clone)]
pub struct Policy(pub(crate) Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) schema: Schema,
    pub(crate) set: PolicySet,
    /// The permits alone: what would be allowed without the rules that forbid.
    pub(crate) permits: PolicySet,
    /// The rules in the order of the files.
    pub(crate) rules: Vec<Named>,
    pub(crate) actions: Entities,
    pub(crate) settings: Settings,
    /// What the rules have decided.
    pub(crate) verdicts: Verdicts,
    /// Whether a rule may distinguish columns by their names.
    pub(crate) names_matter: bool,
    digest: Digest32,
}

/// A policy and its annotations.
pub(crate) struct Named {
    pub(crate) id: PolicyId,
    pub(crate) effect: RuleEffect,
    pub(crate) reason: RuleReason,
    pub(crate) policy: cedar_policy::Policy,
}

impl Policy {
    /// The shipped policy set.
    ///
    /// # Errors
    /// None in practice: the tests of this crate load the shipped set.
    pub fn shipped(settings: Settings) -> Result<Self, PolicyErrors> {
        Self::from_sources(&[("default.cedar".to_owned(), DEFAULT.to_owned())], settings)
    }

    /// A policy set from pairs of file name and text.
    ///
    /// # Errors
    /// Everything that is wrong with the texts, at once.
    pub fn from_sources(sources: &[(String, String)], settings: Settings) -> Result<Self, PolicyErrors> {
        let errors = text_bounds::errors(sources);
        if !errors.is_empty() {
            return Err(PolicyErrors(errors));
        }
        text_bounds::on_large_stack(|| Self::parse(sources, settings)).unwrap_or_else(|| {
            Err(PolicyErrors::one(
                "the policy set",
                "there is not enough memory to read it",
            ))
        })
    }

    /// Parses texts that are within the bounds.
    fn parse(sources: &[(String, String)], settings: Settings) -> Result<Self, PolicyErrors> {
        let schema = Schema::from_str(SCHEMA).map_err(|error| PolicyErrors::one("concordat.cedarschema", error))?;
        let actions = schema
            .action_entities()
            .map_err(|error| PolicyErrors::one("concordat.cedarschema", error))?;
        let mut errors = Vec::new();
        let mut rules = Vec::new();
        for (file, text) in sources {
            match PolicySet::from_str(text) {
                Ok(set) => name_all(file, &set, &mut rules, &mut errors),
                Err(parse) => errors.extend(parse.iter().map(|error| in_file(file, error))),
            }
        }
        let set = collect(rules.iter(), &mut errors);
        let permits = collect(
            rules.iter().filter(|rule| rule.effect == RuleEffect::Permit),
            &mut errors,
        );
        let checked = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
        errors.extend(checked.validation_errors().map(ToString::to_string));
        errors.extend(checked.validation_warnings().map(ToString::to_string));
        if !errors.is_empty() {
            return Err(PolicyErrors(errors));
        }
        let digest = digest(sources, settings);
        let names_matter = column_names::matter(rules.iter().map(|rule| &rule.policy));
        Ok(Self(Arc::new(Loaded {
            schema,
            set,
            permits,
            rules,
            actions,
            settings,
            verdicts: Verdicts::default(),
            names_matter,
            digest,
        })))
    }

    /// SHA-256 over schema, policy files and settings: what a decision was based on.
    pub fn digest(&self) -> Digest32 {
        self.0.digest
    }

    /// The same for one dataset, including the release rules that its steward has set.
    pub fn digest_with(&self, release: &ReleaseRules) -> Digest32 {
        if *release == ReleaseRules::default() {
            return self.digest();
        }
        Digest32::sha256(DIGEST, format!("{} {release:?}", self.digest()).as_bytes())
    }

    /// The limits of a dataset's answers at one tier.
    pub fn limits(&self, release: &ReleaseRules, tier: Tier) -> Settings {
        under(self.0.settings, release.at(tier), release.below_records)
    }

    /// The number of rules.
    pub fn rule_count(&self) -> usize {
        self.0.rules.len()
    }
}

/// The settings of a dataset at one tier: those that its steward has set, and those of the policy set otherwise.
fn under(settings: Settings, set: TierLimits, below_records: QueriesBelowRecords) -> Settings {
    Settings {
        max_days: set.days.map_or(settings.max_days, NonZeroU16::get),
        min_cell: set.min_cell.map_or(settings.min_cell, NonZeroU32::get),
        max_rows: set.max_rows.map_or(settings.max_rows, NonZeroU64::get),
        max_queries_per_day: set
            .queries_per_day
            .map_or(settings.max_queries_per_day, NonZeroU32::get),
        person_queries_below_records: below_records
            .person
            .map_or(settings.person_queries_below_records, NonZeroU32::get),
        institution_queries_below_records: below_records
            .institution
            .map_or(settings.institution_queries_below_records, NonZeroU32::get),
        all_queries_below_records: below_records
            .all
            .map_or(settings.all_queries_below_records, NonZeroU32::get),
        ..settings
    }
}

/// Names each policy by its `@id`, so that reasons name rules as the files do.
fn name_all(file: &str, set: &PolicySet, rules: &mut Vec<Named>, errors: &mut Vec<String>) {
    if set.num_of_templates() > 0 {
        errors.push(in_file(
            file,
            "policies with slots (`?principal`, `?resource`) are not supported",
        ));
    }
    let mut taken: BTreeSet<String> = rules.iter().map(|rule| rule.reason.rule.clone()).collect();
    for policy in set.policies() {
        match named(policy) {
            Ok(rule) if taken.insert(rule.reason.rule.clone()) => rules.push(rule),
            Ok(rule) => errors.push(in_file(file, format!("the id `{}` is used twice", rule.reason.rule))),
            Err(problem) => errors.push(in_file(file, problem)),
        }
    }
}

fn named(policy: &cedar_policy::Policy) -> Result<Named, String> {
    let get = |key: &str| policy.annotation(key).map(str::trim).filter(|text| !text.is_empty());
    let id = get("id").ok_or_else(|| format!("`{}` has no `@id(\"…\")`", policy.id()))?;
    if id.len() > 64
        || !id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        return Err(format!(
            "`{}` is not a valid id; write up to 64 characters of `a-z`, `0-9` and `-`",
            id.escape_debug()
        ));
    }
    let text = get("reason").ok_or_else(|| format!("`{id}` has no `@reason(\"…\")`"))?;
    let remedy = get("remedy").ok_or_else(|| format!("`{id}` has no `@remedy(\"…\")`"))?;
    let effect = match policy.effect() {
        cedar_policy::Effect::Permit => RuleEffect::Permit,
        cedar_policy::Effect::Forbid => RuleEffect::Forbid,
    };
    let name = PolicyId::new(id);
    Ok(Named {
        policy: policy.new_id(name.clone()),
        id: name,
        effect,
        reason: RuleReason::new(id, text, remedy),
    })
}

fn collect<'a>(rules: impl Iterator<Item = &'a Named>, errors: &mut Vec<String>) -> PolicySet {
    PolicySet::from_policies(rules.map(|rule| rule.policy.clone())).unwrap_or_else(|error| {
        errors.push(error.to_string());
        PolicySet::new()
    })
}

fn in_file(file: &str, problem: impl fmt::Display) -> String {
    format!("{file}: {problem}")
}

fn digest(sources: &[(String, String)], settings: Settings) -> Digest32 {
    let mut bytes = Vec::new();
    let mut part = |text: &str| {
        bytes.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    part(SCHEMA);
    sources
        .iter()
        .for_each(|(file, text)| [file, text].into_iter().for_each(|text| part(text)));
    part(&format!("{settings:?}"));
    Digest32::sha256(DIGEST, &bytes)
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("digest", &self.0.digest)
            .field("rules", &self.0.rules.len())
            .finish()
    }
}

/// Everything that is wrong with a policy set; the set is not activated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy set is refused: {}", .0.join("; "))]
pub struct PolicyErrors(Vec<String>);

impl PolicyErrors {
    pub(crate) fn new(errors: Vec<String>) -> Self {
        Self(errors)
    }

    fn one(file: &str, problem: impl fmt::Display) -> Self {
        Self(vec![in_file(file, problem)])
    }

    /// The errors, each one line of text.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl Explain for PolicyErrors {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }
}
