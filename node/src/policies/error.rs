//! Errors of policy sets.

use concordat_policy::PolicyErrors;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::{ActorId, Digest32};
use concordat_protocol::signed::SignatureError;
use concordat_storage::ledger::LedgerError;
use concordat_storage::meta::MetaError;

use crate::bound_state::BoundStateError;
use crate::iam::IamError;

/// Why a policy set is not activated.
#[derive(Debug, thiserror::Error)]
pub enum PolicyStoreError {
    /// No role of the person permits to change policies.
    #[error(transparent)]
    NotPermitted(#[from] IamError),
    /// Its rules do not validate against the schema.
    #[error(transparent)]
    Errors(#[from] PolicyErrors),
    /// It is not the set that was reviewed.
    #[error("the set has the digest {found}, but {expected} is expected")]
    NotExpected {
        /// The digest of what was sent.
        found: Digest32,
        /// The digest that was named.
        expected: Digest32,
    },
    /// Some cases fail.
    #[error("{} of the cases do not have the expected result", failed.len())]
    Cases {
        /// Each failed case with its result.
        failed: Vec<String>,
    },
    /// It allows what no set may allow.
    #[error("the set allows what no policy set may allow")]
    TooWide {
        /// What it allows.
        allowed: Vec<String>,
    },
    /// It is already active.
    #[error("this set is already active, as number {number}")]
    AlreadyActive {
        /// Its number.
        number: u64,
    },
    /// There is no such proposal.
    #[error("no proposal with the digest {expected} waits for approval")]
    NoProposal {
        /// The digest that was named.
        expected: Digest32,
    },
    /// The same person proposed and approved it.
    #[error("{person} proposed this set; another person has to approve it")]
    SamePerson {
        /// The person.
        person: ActorId,
    },
    /// The person who proposed it may no longer change policies.
    #[error("{person}, who proposed this set, may not change policies any more")]
    Proposer {
        /// The person.
        person: ActorId,
        /// Why not.
        #[source]
        source: IamError,
    },
    /// Another set has been activated since.
    #[error("another set has been activated since it was proposed")]
    Superseded,
    /// There is no set with that number.
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
    /// A statement cannot be signed or verified.
    #[error("the signature of a policy set statement cannot be made or verified")]
    Signature(#[from] SignatureError),
    /// The change could not be bound into the sealed state.
    #[error(transparent)]
    Bound(#[from] BoundStateError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The state failed.
    #[error("the policy sets cannot be read or written")]
    State(#[from] MetaError),
}

impl Explain for PolicyStoreError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Errors(_) | Self::NotExpected { .. } | Self::Cases { .. } | Self::AlreadyActive { .. } => {
                ErrorKind::Usage
            }
            Self::Superseded => ErrorKind::Usage,
            Self::TooWide { .. } | Self::SamePerson { .. } | Self::Proposer { .. } => ErrorKind::Denied,
            Self::NoProposal { .. } | Self::NoSuchSet { .. } => ErrorKind::NotFound,
            Self::Changed { .. } | Self::Signature(_) => ErrorKind::Integrity,
            Self::NotPermitted(source) => source.kind(),
            Self::Bound(source) => source.kind(),
            Self::Ledger(source) => source.kind(),
            Self::State(source) => source.kind(),
        }
    }

    fn reasons(&self) -> Vec<String> {
        match self {
            Self::Errors(errors) => errors.iter().map(str::to_owned).collect(),
            Self::Cases { failed } => failed.clone(),
            Self::TooWide { allowed } => allowed.clone(),
            Self::NotPermitted(source) => source.reasons(),
            Self::NotExpected { .. }
            | Self::AlreadyActive { .. }
            | Self::NoProposal { .. }
            | Self::SamePerson { .. }
            | Self::Proposer { .. }
            | Self::Superseded
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
            Self::Errors(_) => Some("correct the rules and check them with `concordat policy check`".to_owned()),
            Self::NotExpected { .. } => {
                Some("review the change with `concordat policy diff`, which shows the digest".to_owned())
            }
            Self::Cases { .. } => Some("correct the rules or the cases; `concordat policy test` runs them".to_owned()),
            Self::TooWide { .. } => {
                Some("classify the columns correctly, or narrow the rules; no policy can lift this limit".to_owned())
            }
            Self::SamePerson { .. } => {
                Some("another steward approves it with `concordat policy approve --expect DIGEST`".to_owned())
            }
            Self::NoProposal { .. } => Some("`concordat policy show` shows the waiting proposal".to_owned()),
            Self::Proposer { .. } | Self::Superseded => {
                Some("propose it again with `concordat policy apply`".to_owned())
            }
            Self::NoSuchSet { .. } => Some("`concordat policy history` lists the sets".to_owned()),
            Self::Changed { .. } => Some("restore a backup into an empty directory".to_owned()),
            Self::NotPermitted(source) => source.help(),
            Self::Bound(source) => source.help(),
            Self::AlreadyActive { .. } | Self::Signature(_) | Self::Ledger(_) | Self::State(_) => None,
        }
    }
}
