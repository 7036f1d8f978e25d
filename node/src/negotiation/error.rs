//! What can go wrong in a negotiation or with a grant.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "sources beyond the named ones are all the same here"
)]

use concordat_protocol::grant::{GrantError, LifecycleError, NoticeError};
use concordat_protocol::ids::{GrantId, InstitutionId, NegotiationId};
use concordat_protocol::negotiation::{NegotiationError, StateName};
use concordat_protocol::scope::Disjoint;
use concordat_protocol::signed::SignatureError;
use concordat_protocol::wire::messages::{Reason, Refusal, RefusalCode};
use concordat_storage::catalog::CatalogError;
use concordat_storage::error_kind::ErrorKind;
use concordat_storage::ledger::LedgerError;
use concordat_storage::meta::MetaError;

use super::RestrictionError;
use crate::changes::ChangeEntryError;
use crate::fault::{Code, Explain};
use crate::membership::MembershipError;
use crate::network::NetworkError;

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NegotiationFault {
    /// No negotiation has that number.
    #[error("there is no negotiation `{negotiation}`; `concordat grant list` shows them")]
    UnknownNegotiation {
        /// The number.
        negotiation: NegotiationId,
    },
    /// No grant has that number.
    #[error("there is no grant `{grant}`; `concordat grant list` shows them")]
    UnknownGrant {
        /// The number.
        grant: GrantId,
    },
    /// A stored grant is between others.
    #[error("the stored grant `{grant}` is not one of this institution")]
    ForeignGrant {
        /// The number.
        grant: GrantId,
    },
    /// The institution is no active member.
    #[error("`{institution}` is no active member of the consortium; `concordat consortium roster show` lists them")]
    NoMember {
        /// The institution.
        institution: InstitutionId,
    },
    /// The institution has another key than the one that the agreement is with.
    #[error(
        "`{institution}` has another key now than the one this was agreed with; compare fingerprints by telephone and begin a new negotiation"
    )]
    OtherKey {
        /// The institution.
        institution: InstitutionId,
    },
    /// A message that names another institution as its sender than the one whose node sent it.
    #[error("the message names `{named}` as its sender, and another institution sent it")]
    ForeignSender {
        /// Whom the message names.
        named: InstitutionId,
    },
    /// Only the provider does this.
    #[error("only the institution that holds the data can do this")]
    NotProvider,
    /// Only the consumer does this.
    #[error("only the institution that asked can do this")]
    NotConsumer,
    /// The state does not allow it.
    #[error("there is nothing to {step}: the negotiation is {state}")]
    NotNow {
        /// What was to be done.
        step: &'static str,
        /// Where it stands.
        state: StateName,
    },
    /// The peer has begun too many negotiations.
    #[error("{max} negotiations that you began are open; end some of them, or wait for their offers")]
    Crowded {
        /// How many may be open.
        max: usize,
    },
    /// The policy allows nothing of what was asked.
    #[error("the policy allows nothing of what was asked")]
    Denied {
        /// Every reason.
        reasons: Vec<Reason>,
    },
    /// The steward would offer more than the policy allows.
    #[error("an offer cannot go beyond what the policy allows of the request")]
    Wider {
        /// Everything that does, each with what is allowed.
        reasons: Vec<Reason>,
    },
    /// What the steward would offer cannot be read.
    #[error(transparent)]
    Restriction(#[from] RestrictionError),
    /// The steward left nothing of it.
    #[error(transparent)]
    NothingLeft(#[from] Disjoint),
    /// The dataset is not there, or not for this peer.
    #[error("there is no dataset `{dataset}`")]
    NoDataset {
        /// Its name as it was asked for.
        dataset: String,
    },
    /// The other side refused.
    #[error("`{peer}` refused")]
    Refused {
        /// The other side.
        peer: InstitutionId,
        /// Its reasons.
        refusal: Refusal,
    },
    /// The other side cannot be reached.
    #[error("`{peer}` cannot be reached now")]
    Unreachable {
        /// The other side.
        peer: InstitutionId,
        /// Why.
        #[source]
        source: NetworkError,
    },
    /// This institution is not on the roster.
    #[error("this institution is not on the roster")]
    NoRoster,
    /// A rule of negotiations.
    #[error(transparent)]
    Protocol(#[from] NegotiationError),
    /// The same rule, outside a negotiation.
    #[error(transparent)]
    Rule(#[from] concordat_protocol::negotiation::Refusal),
    /// The terms are not valid.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The grant's state does not allow the change.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// A notice is not sound.
    #[error(transparent)]
    Notice(#[from] NoticeError),
    /// A signature is wrong.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// There is no consortium, or its roster has expired.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The network failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The catalogue failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The ledger could not record it.
    #[error("the ledger could not record the step, so it was not taken")]
    Ledger(#[from] LedgerError),
    /// The state could not be read or written.
    #[error("the state of negotiations could not be read or written")]
    Meta(#[from] MetaError),
    /// No randomness to be had.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// A helper thread was ended.
    #[error("the node is stopping")]
    Stopping(#[from] tokio::task::JoinError),
}

impl NegotiationFault {
    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownNegotiation { .. }
            | Self::UnknownGrant { .. }
            | Self::NoMember { .. }
            | Self::NoDataset { .. } => ErrorKind::NotFound,
            Self::ForeignSender { .. }
            | Self::OtherKey { .. }
            | Self::NotProvider
            | Self::NotConsumer
            | Self::Crowded { .. }
            | Self::Wider { .. }
            | Self::Denied { .. } => ErrorKind::Denied,
            Self::Refused { refusal, .. } => fault_of(refusal.code),
            Self::Unreachable { .. } | Self::Network(_) => ErrorKind::Unreachable,
            Self::NotNow { .. }
            | Self::Restriction(_)
            | Self::NothingLeft(_)
            | Self::Protocol(NegotiationError::Ours(_))
            | Self::Lifecycle(_)
            | Self::Rule(_) => ErrorKind::Usage,
            Self::ForeignGrant { .. }
            | Self::NoRoster
            | Self::Protocol(_)
            | Self::Grant(_)
            | Self::Notice(_)
            | Self::Signature(_) => ErrorKind::Integrity,
            Self::Membership(source) => source.kind(),
            Self::Catalog(source) => source.kind(),
            Self::Ledger(source) => source.kind(),
            Self::Meta(source) => source.kind(),
            Self::Random(_) | Self::Stopping(_) => ErrorKind::Machine,
        }
    }

    /// The reasons to list below the message.
    pub fn reasons(&self) -> Vec<Reason> {
        match self {
            Self::Denied { reasons } | Self::Wider { reasons } => reasons.clone(),
            Self::Refused { refusal, .. } => refusal.reasons.clone(),
            _ => Vec::new(),
        }
    }

    /// What the peer whose message caused it is told; details of this node stay here.
    pub fn refusal(&self) -> Refusal {
        let code = match self.kind() {
            ErrorKind::NotFound => RefusalCode::NotFound,
            ErrorKind::Denied => RefusalCode::Denied,
            ErrorKind::Usage | ErrorKind::Integrity => RefusalCode::Invalid,
            ErrorKind::Unreachable | ErrorKind::Locked | ErrorKind::Machine => RefusalCode::Failed,
        };
        match self {
            Self::Denied { reasons } => Refusal {
                code,
                reasons: reasons.clone(),
            },
            Self::Crowded { .. } => Refusal::because(RefusalCode::Busy, self.to_string()),
            Self::Protocol(NegotiationError::Peer(rule)) => Refusal::because(code, rule.to_string()),
            _ if code == RefusalCode::Failed => {
                Refusal::because(code, "the other node could not record the message; try again later")
            }
            other => Refusal::because(code, other.to_string()),
        }
    }
}

const fn fault_of(code: RefusalCode) -> ErrorKind {
    match code {
        RefusalCode::Invalid => ErrorKind::Usage,
        RefusalCode::Denied | RefusalCode::CountersignFirst => ErrorKind::Denied,
        RefusalCode::NotFound => ErrorKind::NotFound,
        RefusalCode::Busy | RefusalCode::Failed => ErrorKind::Unreachable,
    }
}

impl Explain for NegotiationFault {
    fn code(&self) -> Code {
        self.kind().into()
    }

    fn reasons(&self) -> Vec<String> {
        Self::reasons(self).into_iter().map(told).collect()
    }
}

/// A reason with what would help, on one line.
fn told(reason: Reason) -> String {
    match reason.remedy {
        Some(remedy) => format!("{} (to change that: {remedy})", reason.text),
        None => reason.text,
    }
}

impl From<ChangeEntryError> for NegotiationFault {
    fn from(error: ChangeEntryError) -> Self {
        match error {
            ChangeEntryError::State(source) => source.into(),
            ChangeEntryError::Ledger(source) => source.into(),
            ChangeEntryError::Random(source) => source.into(),
            ChangeEntryError::Stopping(source) => source.into(),
        }
    }
}
