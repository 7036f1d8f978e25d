//! The policy sets: reading, testing, comparing and applying them.

mod view;

use concordat_documents::Items;
use concordat_documents::policy::{
    AppliedPolicy, CheckedPolicy, ComparedSet, CurrentPolicySet, NewPolicySet, PolicyApproval, PolicyComparison,
    PolicyDiff, PolicyRollback, PolicySet, PolicySetSummary, PolicySources, PolicyTest, PolicyTestReport,
};
use concordat_documents::problem::Problem;

use self::view::{applied, current, set, summary};
use super::run::blocking;
use super::work;
use crate::iam::{Action, Actor};
use crate::negotiation::party;
use crate::node::Node;
use crate::policies::{PolicyStoreError, facts_of_collection};
use concordat_policy::{Party, Policy, RequestSpace, diff, never_allowed, sampled};
use concordat_protocol::policy_set::Case;

/// Most cases in one request; with these, a test takes seconds.
const MAX_CASES: usize = 1000;

/// The current policy set.
///
/// # Errors
/// `denied` without the role; `integrity` or `internal` if the sets cannot be read. So for all functions of this file.
pub(crate) async fn show(node: &Node, caller: &Actor) -> Result<CurrentPolicySet, Problem> {
    caller.require(Action::ReadPolicy)?;
    blocking(node, |node| {
        let store = node.policies();
        let sets = node.policies().history()?;
        let (newest, at) = sets.last().ok_or(PolicyStoreError::NoSuchSet { number: 0 })?;
        let rules = store.live().current().rule_count();
        Ok::<_, PolicyStoreError>(current(newest, *at, rules, store.proposal()?))
    })
    .await
}

/// All policy sets, the newest first.
///
/// # Errors
/// As [`show`].
pub(crate) async fn history(node: &Node, caller: &Actor) -> Result<Items<PolicySetSummary>, Problem> {
    caller.require(Action::ReadPolicy)?;
    let sets = blocking(node, |node| node.policies().history()).await?;
    Ok(sets.iter().rev().map(|(set, at)| summary(set, *at)).collect())
}

/// A policy set by its number.
///
/// # Errors
/// `not_found` if there is none of that number.
pub(crate) async fn numbered(node: &Node, caller: &Actor, number: u64) -> Result<PolicySet, Problem> {
    caller.require(Action::ReadPolicy)?;
    blocking(node, move |node| {
        let sets = node.policies().history()?;
        let found = sets.iter().find(|(set, _)| set.number() == number);
        let (found, at) = found.ok_or(PolicyStoreError::NoSuchSet { number })?;
        Ok::<_, PolicyStoreError>(set(found, *at))
    })
    .await
}

/// Validates a policy set; nothing is applied.
///
/// # Errors
/// `usage` with everything that is wrong with it; `denied` if it allows what no set may allow.
pub(crate) async fn check(node: &Node, caller: &Actor, new: PolicySources) -> Result<CheckedPolicy, Problem> {
    caller.require(Action::ReadPolicy)?;
    blocking(node, move |node| {
        let policy = Policy::compile(&new).map_err(PolicyStoreError::from)?;
        let space = request_space(node)?.until(work::canceled());
        let allowed = never_allowed(&policy, &space);
        work::check_canceled()?;
        if !allowed.is_empty() {
            return Err(Problem::from(PolicyStoreError::TooWide { allowed }));
        }
        Ok(CheckedPolicy {
            digest: policy.digest(),
            rules: policy.rule_count(),
            sample: sampled(&policy, &space),
        })
    })
    .await
}

/// Runs cases against a policy set. A case that fails is part of the report, not an error.
///
/// # Errors
/// `usage` if the set is not valid, or there are too many cases.
pub(crate) async fn test(node: &Node, caller: &Actor, test: PolicyTest) -> Result<PolicyTestReport, Problem> {
    caller.require(Action::ReadPolicy)?;
    check_number(&test.cases)?;
    blocking(node, move |node| {
        let policy = match test.sources {
            Some(new) => Policy::compile(&new).map_err(PolicyStoreError::from)?,
            None => node.policies().live().current(),
        };
        let space = request_space(node)?.until(work::canceled());
        let items: Vec<_> = test.cases.iter().map(|case| policy.run(case, &space)).collect();
        let never_allowed = never_allowed(&policy, &space);
        work::check_canceled()?;
        Ok::<_, Problem>(PolicyTestReport {
            digest: policy.digest(),
            failed: items.iter().filter(|outcome| !outcome.passed).count(),
            never_allowed,
            items,
        })
    })
    .await
}

/// What a policy set permits more and less than another one.
///
/// # Errors
/// `not_found` if there is no set of a number; `usage` if a set is not valid.
pub(crate) async fn compare(node: &Node, caller: &Actor, sets: PolicyComparison) -> Result<PolicyDiff, Problem> {
    caller.require(Action::ReadPolicy)?;
    blocking(node, move |node| {
        let from = compared(node, sets.from)?;
        let to = compared(node, sets.to)?;
        let old = Policy::compile(&from).map_err(PolicyStoreError::from)?;
        let new = Policy::compile(&to).map_err(PolicyStoreError::from)?;
        let space = request_space(node)?.until(work::canceled());
        let difference = diff((&from, &old), (&to, &new), &space);
        work::check_canceled()?;
        Ok::<_, Problem>(difference)
    })
    .await
}

/// Applies a policy set, or proposes it if two people are needed. Running answers are evaluated again.
///
/// # Errors
/// `usage` if it is not valid, not the expected one, or fails a case; `denied` if it allows what no set may allow.
pub(crate) async fn apply(node: &Node, caller: &Actor, new: NewPolicySet) -> Result<AppliedPolicy, Problem> {
    caller.require(Action::ManagePolicy)?;
    check_number(&new.cases)?;
    let caller = caller.clone();
    blocking(node, move |node| {
        let store = node.policies();
        let done = store.apply(new.sources, new.expect, &new.cases, &caller, &request_space(node)?)?;
        Ok::<_, Problem>(applied(done))
    })
    .await
}

/// Approves a proposed policy set as the second person. Running answers are evaluated again.
///
/// # Errors
/// `not_found` if no such proposal waits; `denied` if the same person proposed it, or one who is not independent of the caller.
pub(crate) async fn approve(node: &Node, caller: &Actor, approval: PolicyApproval) -> Result<AppliedPolicy, Problem> {
    caller.require(Action::ManagePolicy)?;
    let caller = caller.clone();
    blocking(node, move |node| {
        let store = node.policies();
        let accounts = node.accounts();
        let done = store.approve(approval.expect, &caller, accounts, &request_space(node)?)?;
        Ok::<_, Problem>(applied(done))
    })
    .await
}

/// Applies an earlier set again, under a new number and with the same procedure.
///
/// # Errors
/// `not_found` if there is no set of that number; otherwise as [`apply`].
pub(crate) async fn roll_back(node: &Node, caller: &Actor, rollback: PolicyRollback) -> Result<AppliedPolicy, Problem> {
    caller.require(Action::ManagePolicy)?;
    let caller = caller.clone();
    blocking(node, move |node| {
        let store = node.policies();
        let earlier = store.numbered(rollback.number)?.sources;
        let expect = Policy::compile(&earlier).map_err(PolicyStoreError::from)?.digest();
        let done = store.apply(earlier, expect, &[], &caller, &request_space(node)?)?;
        Ok::<_, Problem>(applied(done))
    })
    .await
}

fn check_number(cases: &[Case]) -> Result<(), Problem> {
    if cases.len() > MAX_CASES {
        let sent = cases.len();
        return Err(Problem::usage(format!(
            "a request has at most {MAX_CASES} cases, not {sent}"
        )));
    }
    Ok(())
}

fn compared(node: &Node, set: ComparedSet) -> Result<PolicySources, PolicyStoreError> {
    Ok(match set {
        ComparedSet::Number(number) => node.policies().numbered(number)?.sources,
        ComparedSet::Current => node.policies().current()?.sources,
        ComparedSet::Sources(new) => new,
    })
}

/// The requests that sets are evaluated over: those of the members of the roster for the collections of the catalog.
fn request_space(node: &Node) -> Result<RequestSpace, Problem> {
    let identity = node.identity();
    let roster = node.membership().newest();
    let members: Vec<Party> = roster
        .iter()
        .flat_map(|roster| {
            let members = roster.roster().members.iter();
            members.filter_map(|member| party(roster, &member.institution))
        })
        .collect();
    let holder = members.iter().find(|member| member.institution == identity.institution);
    let holder = holder.cloned().unwrap_or_else(|| Party {
        institution: identity.institution.clone(),
        jurisdiction: identity.jurisdiction.clone(),
        status: None,
    });
    let datasets = node.storage().catalog().datasets();
    let mut records = datasets.collections()?;
    // Those with many datasets last: only so many requests are evaluated.
    records.sort_by_key(|record| record.datasets().len());
    let mut collections = Vec::new();
    for record in records {
        let manifest = datasets.current_version(&record)?;
        collections.push(facts_of_collection(&identity.institution, &record, &manifest));
    }
    Ok(RequestSpace::new(holder).with(members, collections))
}
