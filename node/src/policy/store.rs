//! How a policy set comes into force: compiled, tested, compared with what is expected, sealed, signed and in the ledger before
//! the first decision is made under it.
//!
//! 1. Sets are kept in the sealed state. No file on the disk is read as a policy.
//! 2. A steward applies a set by its digest, so that what was looked at is what comes into force. Where the set in force or the
//!    new one says `two_people`, it is a proposal until another steward approves the same digest.
//! 3. A set that lets direct identifiers or unclassified columns leave, or anything go to those who are not active members, is
//!    refused whatever its rules say ([`super::matrix::never_allowed`]).
//! 4. A change raises the epoch, so that running answers are decided again.

use std::sync::{Arc, Mutex, PoisonError};

use concordat_protocol::audit::{EntryBody, NodeTask};
use concordat_protocol::identity::InstitutionKey;
use concordat_protocol::ids::{ActorId, Digest32, InstitutionId};
use concordat_protocol::signed::SignatureError;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Attribution, Ledger, LedgerError};
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use serde::{Deserialize, Serialize};

use super::cases::Case;
use super::matrix::{self, Ground};
use super::{LivePolicy, Policy, PolicyErrors, PolicySources, SealedPolicySet};
use crate::attribution::by_node;
use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::fault::{Code, Explain};
use crate::iam::Actor;
use crate::identity::Identity;
use crate::start_state::{StartStateError, Versions};

/// The tree of the one proposal.
const PROPOSALS: TreeId = TreeId::new("policy-proposal");
/// Its key.
const PROPOSAL: &str = "proposal";

/// A set that waits for a second person.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// Files and settings.
    pub sources: PolicySources,
    /// Names the set.
    pub digest: Digest32,
    /// Names the set that was in force when it was proposed.
    pub based_on: Digest32,
    /// Who proposed it.
    pub by: ActorId,
    /// When.
    pub at: Timestamp,
}

/// What came of applying a set.
#[derive(Clone, Debug)]
pub enum Applied {
    /// It is in force.
    InForce(Box<SealedPolicySet>),
    /// It waits for another person.
    Proposed(Box<Proposal>),
}

/// What the store works with.
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
    /// Raised when another set comes into force.
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
    /// Takes up the set in force. A state without one is new: it gets the set that is shipped. A set that was checked against
    /// the schema of another program is checked against this one's, and comes into force as the next number.
    ///
    /// # Errors
    /// [`PolicyStoreError`] when the set was changed or does not hold any more.
    pub fn open(parts: PolicyStoreParts) -> Result<Self, PolicyStoreError> {
        let versions = Versions::open(&parts.meta)?;
        let proposals = parts.meta.tree(PROPOSALS)?;
        let now = parts.clock.now();
        let key = parts.identity.institution_key();
        let who = (&parts.identity.institution, &*key, now);
        let (set, policy) = match versions.current()? {
            None => first(&versions, &parts.ledger, who, &by_node(NodeTask::Start))?,
            Some(set) => taken_up(&versions, &parts.ledger, set, who)?,
        };
        tracing::info!(number = set.number(), digest = %set.digest().short(), "policy set in force");
        Ok(Self(Arc::new(Inner {
            parts,
            versions,
            proposals,
            live: LivePolicy::new(policy),
            changing: Mutex::default(),
        })))
    }

    /// The set in force, for those who decide.
    pub fn live(&self) -> LivePolicy {
        self.0.live.clone()
    }

    /// The set in force, as it is kept.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn current(&self) -> Result<SealedPolicySet, PolicyStoreError> {
        self.0
            .versions
            .current()?
            .ok_or(PolicyStoreError::NoSuchSet { number: 0 })
    }

    /// All sets, oldest first, with the statements about them.
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

    /// Set number `number`.
    ///
    /// # Errors
    /// [`PolicyStoreError::NoSuchSet`].
    pub fn numbered(&self, number: u64) -> Result<SealedPolicySet, PolicyStoreError> {
        let mut sets = self.history()?.into_iter().map(|(set, _)| set);
        sets.find(|set| set.number() == number)
            .ok_or(PolicyStoreError::NoSuchSet { number })
    }

    /// The set that waits for a second person.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn proposal(&self) -> Result<Option<Proposal>, PolicyStoreError> {
        Ok(self.0.proposals.get(PROPOSAL)?)
    }

    /// Applies a set in the name of `by`, or proposes it where two people are needed.
    ///
    /// # Errors
    /// [`PolicyStoreError`] says why it does not come into force.
    pub fn apply(
        &self,
        sources: PolicySources,
        expected: Digest32,
        cases: &[Case],
        by: &Actor,
        ground: &Ground,
    ) -> Result<Applied, PolicyStoreError> {
        let _changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let policy = self.examined(&sources, expected, cases, ground)?;
        let current = self.current()?;
        if current.digest() == policy.digest() {
            return Err(PolicyStoreError::InForceAlready {
                number: current.number(),
            });
        }
        if current.sources.settings.two_people || sources.settings.two_people {
            return self.propose(sources, &policy, &current, by);
        }
        self.put_in_force(sources, policy, &by.attribution(), &current)
    }

    /// Approves the proposal with this digest as the second person.
    ///
    /// # Errors
    /// [`PolicyStoreError`] when there is none, or the person proposed it.
    pub fn approve(&self, expected: Digest32, by: &Actor, ground: &Ground) -> Result<Applied, PolicyStoreError> {
        let _changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let proposal = self.proposal()?.filter(|proposal| proposal.digest == expected);
        let proposal = proposal.ok_or(PolicyStoreError::NoProposal { expected })?;
        let both = by.attribution_after(&proposal.by);
        let both = both.map_err(|_| PolicyStoreError::SamePerson {
            person: proposal.by.clone(),
        })?;
        let current = self.current()?;
        if current.digest() != proposal.based_on {
            return Err(PolicyStoreError::Overtaken);
        }
        let policy = self.examined(&proposal.sources, expected, &[], ground)?;
        self.put_in_force(proposal.sources, policy, &both, &current)
    }

    /// Compiles a set, and checks that it is the expected one, that the cases come out as they should, and that it does not
    /// allow what no set may allow.
    fn examined(
        &self,
        sources: &PolicySources,
        expected: Digest32,
        cases: &[Case],
        ground: &Ground,
    ) -> Result<Policy, PolicyStoreError> {
        let policy = sources.compile()?;
        if policy.digest() != expected {
            return Err(PolicyStoreError::NotExpected {
                found: policy.digest(),
                expected,
            });
        }
        let failed: Vec<String> = cases
            .iter()
            .map(|case| case.run(&policy, ground))
            .filter(|outcome| !outcome.passed)
            .map(|outcome| outcome.to_string())
            .collect();
        if !failed.is_empty() {
            return Err(PolicyStoreError::Cases { failed });
        }
        let allowed = matrix::never_allowed(&policy, ground);
        if allowed.is_empty() {
            Ok(policy)
        } else {
            Err(PolicyStoreError::TooWide { allowed })
        }
    }

    fn propose(
        &self,
        sources: PolicySources,
        policy: &Policy,
        current: &SealedPolicySet,
        by: &Actor,
    ) -> Result<Applied, PolicyStoreError> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let proposal = Proposal {
            sources,
            digest: policy.digest(),
            based_on: current.digest(),
            by: by.id().clone(),
            at: now,
        };
        let entry = EntryBody::PolicyProposed {
            digest: proposal.digest,
        };
        drop(parts.ledger.append(entry, &by.attribution(), now)?);
        self.0.proposals.put(PROPOSAL, &proposal)?;
        Ok(Applied::Proposed(Box::new(proposal)))
    }

    fn put_in_force(
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
        let who = (&parts.identity.institution, &*key, now);
        let set = SealedPolicySet::sign(sources, &policy, by, Some(current), who)?;
        versions.adopt(set.clone(), &parts.ledger, set.announcement(Some(current)), by, now)?;
        live.replace(policy);
        parts.epoch.raise();
        proposals.remove(PROPOSAL)?;
        tracing::info!(number = set.number(), digest = %set.digest().short(), "another policy set is in force");
        Ok(Applied::InForce(Box::new(set)))
    }
}

type Who<'a> = (&'a InstitutionId, &'a InstitutionKey, Timestamp);

/// Puts the shipped set in force at a new node.
///
/// # Errors
/// If it cannot be written.
pub fn begin(meta: &SealedDb, ledger: &Ledger, who: Who<'_>, by: &Attribution) -> Result<(), PolicyStoreError> {
    first(&Versions::open(meta)?, ledger, who, by).map(drop)
}

fn first(
    versions: &Versions<SealedPolicySet>,
    ledger: &Ledger,
    who: Who<'_>,
    by: &Attribution,
) -> Result<(SealedPolicySet, Policy), PolicyStoreError> {
    let sources = PolicySources::shipped();
    let policy = sources.compile()?;
    let set = SealedPolicySet::sign(sources, &policy, by, None, who)?;
    versions.adopt(set.clone(), ledger, set.announcement(None), by, who.2)?;
    Ok((set, policy))
}

fn taken_up(
    versions: &Versions<SealedPolicySet>,
    ledger: &Ledger,
    set: SealedPolicySet,
    who: Who<'_>,
) -> Result<(SealedPolicySet, Policy), PolicyStoreError> {
    set.checked()?;
    let policy = set.sources.compile()?;
    if policy.digest() == set.digest() {
        return Ok((set, policy));
    }
    if set.has_todays_schema() {
        return Err(PolicyStoreError::Changed { number: set.number() });
    }
    let by = by_node(NodeTask::Start);
    let next = SealedPolicySet::sign(set.sources.clone(), &policy, &by, Some(&set), who)?;
    versions.adopt(next.clone(), ledger, next.announcement(Some(&set)), &by, who.2)?;
    Ok((next, policy))
}

/// Why a policy set does not come into force.
#[derive(Debug, thiserror::Error)]
pub enum PolicyStoreError {
    /// Its rules do not hold against the schema.
    #[error(transparent)]
    Errors(#[from] PolicyErrors),
    /// It is not the set that was looked at.
    #[error("the set has the digest {found}, not {expected}, which is expected")]
    NotExpected {
        /// The digest of what was sent.
        found: Digest32,
        /// The digest that was named.
        expected: Digest32,
    },
    /// Cases do not come out as they should.
    #[error("{} of the cases do not come out as expected", failed.len())]
    Cases {
        /// Each with what came out.
        failed: Vec<String>,
    },
    /// It allows what no set may allow.
    #[error("the set allows what no policy set may allow")]
    TooWide {
        /// What it allows.
        allowed: Vec<String>,
    },
    /// It is in force.
    #[error("this set is in force already, as number {number}")]
    InForceAlready {
        /// Its number.
        number: u64,
    },
    /// There is no such proposal.
    #[error("no proposal with the digest {expected} waits for approval")]
    NoProposal {
        /// The digest that was named.
        expected: Digest32,
    },
    /// One person is not two.
    #[error("{person} proposed this set; another person has to approve it")]
    SamePerson {
        /// The person.
        person: ActorId,
    },
    /// Another set came into force since.
    #[error("another set came into force since it was proposed")]
    Overtaken,
    /// There is no set of that number.
    #[error("there is no policy set {number}")]
    NoSuchSet {
        /// The number.
        number: u64,
    },
    /// A set in the state is not the one that was signed.
    #[error("policy set {number} is not the one that was signed")]
    Changed {
        /// Its number.
        number: u64,
    },
    /// A statement cannot be signed or is not signed.
    #[error("the statement about a policy set is not signed as it should be")]
    Signature(#[from] SignatureError),
    /// The change could not be bound.
    #[error(transparent)]
    Bound(#[from] StartStateError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The state failed.
    #[error("the policy sets cannot be read or written")]
    State(#[from] MetaError),
}

impl Explain for PolicyStoreError {
    fn code(&self) -> Code {
        match self {
            Self::Errors(_) | Self::NotExpected { .. } | Self::Cases { .. } | Self::InForceAlready { .. } => {
                Code::Usage
            }
            Self::Overtaken => Code::Usage,
            Self::TooWide { .. } | Self::SamePerson { .. } => Code::Denied,
            Self::NoProposal { .. } | Self::NoSuchSet { .. } => Code::NotFound,
            Self::Changed { .. } | Self::Signature(_) => Code::Integrity,
            Self::Bound(source) => source.code(),
            Self::Ledger(source) => source.code(),
            Self::State(source) => source.code(),
        }
    }

    fn reasons(&self) -> Vec<String> {
        match self {
            Self::Errors(errors) => errors.iter().map(str::to_owned).collect(),
            Self::Cases { failed } => failed.clone(),
            Self::TooWide { allowed } => allowed.clone(),
            Self::NotExpected { .. }
            | Self::InForceAlready { .. }
            | Self::NoProposal { .. }
            | Self::SamePerson { .. }
            | Self::Overtaken
            | Self::NoSuchSet { .. }
            | Self::Changed { .. }
            | Self::Signature(_)
            | Self::Bound(_)
            | Self::Ledger(_)
            | Self::State(_) => Vec::new(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Errors(_) => Some("correct the rules and look at them with `concordat policy check`".to_owned()),
            Self::NotExpected { .. } => {
                Some("look at the change with `concordat policy diff`, which names the digest".to_owned())
            }
            Self::Cases { .. } => Some("correct the rules or the cases; `concordat policy test` runs them".to_owned()),
            Self::TooWide { .. } => Some(
                "classify the columns as what they are, or narrow the rules; this bound is not a matter of policy"
                    .to_owned(),
            ),
            Self::SamePerson { .. } => {
                Some("another steward approves it with `concordat policy approve --expect DIGEST`".to_owned())
            }
            Self::NoProposal { .. } => Some("`concordat policy show` shows what waits".to_owned()),
            Self::Overtaken => Some("propose it again with `concordat policy apply`".to_owned()),
            Self::NoSuchSet { .. } => Some("`concordat policy history` lists the sets".to_owned()),
            Self::Changed { .. } => Some("restore a backup into an empty directory".to_owned()),
            Self::Bound(source) => source.help(),
            Self::InForceAlready { .. } | Self::Signature(_) | Self::Ledger(_) | Self::State(_) => None,
        }
    }
}
