//! The store: the only code that activates a policy set.

use std::sync::{Arc, Mutex, PoisonError};

use concordat_policy::{Policy, RequestSpace, never_allowed, shipped_sources};
use concordat_protocol::audit::{EntryBody, NodeTask};
use concordat_protocol::identity::InstitutionKey;
use concordat_protocol::ids::{ActorId, Digest32, InstitutionId};
use concordat_protocol::policy_set::{Case, PolicySources};
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Attribution, Ledger};
use concordat_storage::meta::{SealedDb, SealedTree, TreeId};
use serde::{Deserialize, Serialize};

use super::error::PolicyStoreError;
use super::live::LivePolicy;
use super::sealed::SealedPolicySet;
use crate::attribution::by_node;
use crate::bound_state::Versions;
use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::iam::{Accounts, Action, Actor, IamError};
use crate::identity::Identity;

/// The tree of the one proposal.
const PROPOSALS: TreeId = TreeId::new("policy-proposal");
/// Its key.
const PROPOSAL: &str = "proposal";

/// A set that waits for approval by a second person.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// Files and settings.
    pub sources: PolicySources,
    /// Digest of the set.
    pub digest: Digest32,
    /// Digest of the set that was active when it was proposed.
    pub based_on: Digest32,
    /// Who proposed it.
    pub by: ActorId,
    /// When.
    pub at: Timestamp,
    /// The cases that it has to pass, also when it is approved: roster and catalog may have changed since.
    pub cases: Vec<Case>,
}

/// The result of applying a set.
#[derive(Clone, Debug)]
pub enum Applied {
    /// It is active.
    Active(Box<SealedPolicySet>),
    /// It waits for another person.
    Proposed(Box<Proposal>),
}

/// The dependencies of the store.
#[derive(Debug)]
pub struct PolicyStoreParts {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// The sealed state.
    pub meta: SealedDb,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock.
    pub clock: Clock,
    /// Raised when another set is activated.
    pub epoch: Epoch,
}

/// The policy sets of this node; clones share them. Calls block.
#[derive(Clone, Debug)]
pub struct PolicyStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: PolicyStoreParts,
    versions: Versions<SealedPolicySet>,
    proposals: SealedTree<Proposal>,
    live: LivePolicy,
    changing: Mutex<()>,
}

impl PolicyStore {
    /// Loads the active set. A state without one is new and gets the shipped set. A set that was validated against the schema of
    /// another program version is validated against the current schema and activated under the next number.
    ///
    /// # Errors
    /// [`PolicyStoreError`] if the set was changed or is no longer valid.
    pub fn open(parts: PolicyStoreParts) -> Result<Self, PolicyStoreError> {
        let versions = Versions::open(&parts.meta)?;
        let proposals = parts.meta.tree(PROPOSALS)?;
        let now = parts.clock.now();
        let key = parts.identity.institution_key();
        let signer = (&parts.identity.institution, &*key, now);
        let (set, policy) = match versions.current()? {
            None => adopt_shipped(&versions, &parts.ledger, signer, &by_node(NodeTask::Start))?,
            Some(set) => reload(&versions, &parts.ledger, set, signer)?,
        };
        tracing::info!(number = set.number(), digest = %set.digest().short(), "policy set loaded");
        Ok(Self(Arc::new(Inner {
            parts,
            versions,
            proposals,
            live: LivePolicy::new(policy),
            changing: Mutex::default(),
        })))
    }

    /// The active set, for code that decides.
    pub fn live(&self) -> LivePolicy {
        self.0.live.clone()
    }

    /// The active set, as stored.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn current(&self) -> Result<SealedPolicySet, PolicyStoreError> {
        self.0
            .versions
            .current()?
            .ok_or(PolicyStoreError::NoSuchSet { number: 0 })
    }

    /// All sets, oldest first, with the times of their statements.
    ///
    /// # Errors
    /// If the state cannot be read, or one of them was changed.
    pub fn history(&self) -> Result<Vec<(SealedPolicySet, Timestamp)>, PolicyStoreError> {
        let sets = self.0.versions.history()?;
        sets.into_iter()
            .map(|set| {
                let at = set.checked()?.at;
                Ok((set, at))
            })
            .collect()
    }

    /// The set with this number.
    ///
    /// # Errors
    /// [`PolicyStoreError::NoSuchSet`].
    pub fn numbered(&self, number: u64) -> Result<SealedPolicySet, PolicyStoreError> {
        let mut sets = self.history()?.into_iter().map(|(set, _)| set);
        sets.find(|set| set.number() == number)
            .ok_or(PolicyStoreError::NoSuchSet { number })
    }

    /// The set that waits for approval by a second person.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn proposal(&self) -> Result<Option<Proposal>, PolicyStoreError> {
        Ok(self.0.proposals.get(PROPOSAL)?)
    }

    /// Applies a set on behalf of `by`, or proposes it if two people are needed.
    ///
    /// # Errors
    /// [`PolicyStoreError`] if it is not activated, also because `by` has no role that permits it.
    pub fn apply(
        &self,
        sources: PolicySources,
        expected: Digest32,
        cases: &[Case],
        by: &Actor,
        space: &RequestSpace,
    ) -> Result<Applied, PolicyStoreError> {
        let attribution = by.authorize(Action::ManagePolicy)?;
        let _changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let policy = self.compile_checked(&sources, expected, cases, space)?;
        let current = self.current()?;
        if current.digest() == policy.digest() {
            return Err(PolicyStoreError::AlreadyActive {
                number: current.number(),
            });
        }
        if current.sources.settings.two_people || sources.settings.two_people {
            return self.propose((sources, cases), &policy, &current, (by.id(), &attribution));
        }
        self.activate(sources, policy, &attribution, &current)
    }

    /// Approves the proposal with this digest as the second person. The first must still be permitted to change policies, according
    /// to `accounts`, and the set has to pass its cases again.
    ///
    /// # Errors
    /// [`PolicyStoreError`] if there is none, if the same person proposed it, if `by` has role or password only since then, or if the two are not
    /// independent.
    pub fn approve(
        &self,
        expected: Digest32,
        by: &Actor,
        accounts: &Accounts,
        space: &RequestSpace,
    ) -> Result<Applied, PolicyStoreError> {
        by.require(Action::ManagePolicy)?;
        let _changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let proposal = self.proposal()?.filter(|proposal| proposal.digest == expected);
        let proposal = proposal.ok_or(PolicyStoreError::NoProposal { expected })?;
        let proposer = accounts.permitted_now(&proposal.by, Action::ManagePolicy);
        let proposer = proposer.map_err(|source| PolicyStoreError::Proposer {
            person: proposal.by.clone(),
            source,
        })?;
        let times = (proposal.at, self.0.parts.clock.now());
        let both = by.authorize_second(accounts, &proposer, times).map_err(|error| {
            if matches!(error, IamError::SamePerson { .. }) {
                let person = proposal.by.clone();
                PolicyStoreError::SamePerson { person }
            } else {
                error.into()
            }
        })?;
        let current = self.current()?;
        if current.digest() != proposal.based_on {
            return Err(PolicyStoreError::Superseded);
        }
        let policy = self.compile_checked(&proposal.sources, expected, &proposal.cases, space)?;
        self.activate(proposal.sources, policy, &both, &current)
    }

    /// Compiles a set, and checks that it is the expected one, that the cases pass, and that it does not allow what no set may allow.
    fn compile_checked(
        &self,
        sources: &PolicySources,
        expected: Digest32,
        cases: &[Case],
        space: &RequestSpace,
    ) -> Result<Policy, PolicyStoreError> {
        let policy = Policy::compile(sources)?;
        if policy.digest() != expected {
            return Err(PolicyStoreError::NotExpected {
                found: policy.digest(),
                expected,
            });
        }
        let failed: Vec<String> = cases
            .iter()
            .map(|case| policy.run(case, space))
            .filter(|outcome| !outcome.passed)
            .map(|outcome| outcome.to_string())
            .collect();
        if !failed.is_empty() {
            return Err(PolicyStoreError::Cases { failed });
        }
        let allowed = never_allowed(&policy, space);
        if allowed.is_empty() {
            Ok(policy)
        } else {
            Err(PolicyStoreError::TooWide { allowed })
        }
    }

    fn propose(
        &self,
        (sources, cases): (PolicySources, &[Case]),
        policy: &Policy,
        current: &SealedPolicySet,
        (person, by): (&ActorId, &Attribution),
    ) -> Result<Applied, PolicyStoreError> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let proposal = Proposal {
            sources,
            digest: policy.digest(),
            based_on: current.digest(),
            by: person.clone(),
            at: now,
            cases: cases.to_vec(),
        };
        let entry = EntryBody::PolicyProposed {
            digest: proposal.digest,
        };
        drop(parts.ledger.append(entry, by, now)?);
        self.0.proposals.put(PROPOSAL, &proposal)?;
        Ok(Applied::Proposed(Box::new(proposal)))
    }

    fn activate(
        &self,
        sources: PolicySources,
        policy: Policy,
        by: &Attribution,
        current: &SealedPolicySet,
    ) -> Result<Applied, PolicyStoreError> {
        let Inner {
            parts,
            versions,
            proposals,
            live,
            ..
        } = &*self.0;
        let now = parts.clock.now();
        let key = parts.identity.institution_key();
        let signer = (&parts.identity.institution, &*key, now);
        let set = SealedPolicySet::sign(sources, &policy, by, Some(current), signer)?;
        versions.adopt(set.clone(), &parts.ledger, set.announcement(Some(current)), by, now)?;
        live.replace(policy);
        parts.epoch.raise();
        proposals.remove(PROPOSAL)?;
        tracing::info!(number = set.number(), digest = %set.digest().short(), "policy set activated");
        Ok(Applied::Active(Box::new(set)))
    }
}

type Signer<'a> = (&'a InstitutionId, &'a InstitutionKey, Timestamp);

/// Activates the shipped set at a new node.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn begin(
    meta: &SealedDb,
    ledger: &Ledger,
    signer: Signer<'_>,
    by: &Attribution,
) -> Result<(), PolicyStoreError> {
    adopt_shipped(&Versions::open(meta)?, ledger, signer, by).map(drop)
}

fn adopt_shipped(
    versions: &Versions<SealedPolicySet>,
    ledger: &Ledger,
    signer: Signer<'_>,
    by: &Attribution,
) -> Result<(SealedPolicySet, Policy), PolicyStoreError> {
    let sources = shipped_sources();
    let policy = Policy::compile(&sources)?;
    let set = SealedPolicySet::sign(sources, &policy, by, None, signer)?;
    versions.adopt(set.clone(), ledger, set.announcement(None), by, signer.2)?;
    Ok((set, policy))
}

fn reload(
    versions: &Versions<SealedPolicySet>,
    ledger: &Ledger,
    set: SealedPolicySet,
    signer: Signer<'_>,
) -> Result<(SealedPolicySet, Policy), PolicyStoreError> {
    set.checked()?;
    let policy = Policy::compile(&set.sources)?;
    if policy.digest() == set.digest() {
        return Ok((set, policy));
    }
    if set.has_current_schema() {
        return Err(PolicyStoreError::Changed { number: set.number() });
    }
    let by = by_node(NodeTask::Start);
    let next = SealedPolicySet::sign(set.sources.clone(), &policy, &by, Some(&set), signer)?;
    versions.adopt(next.clone(), ledger, next.announcement(Some(&set)), &by, signer.2)?;
    Ok((next, policy))
}
