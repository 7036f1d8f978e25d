//! What can go wrong in a negotiation or with a grant.

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::grant::{GrantError, LifecycleError, NoticeError};
use concordat_protocol::ids::{GrantId, InstitutionId, NegotiationId};
use concordat_protocol::negotiation::{NegotiationError as ProtocolError, Refusal as BrokenRule, StateName};
use concordat_protocol::scope::Disjoint;
use concordat_protocol::signed::SignatureError;
use concordat_protocol::text;
use concordat_protocol::wire::messages::{Reason, Refusal, RefusalCode};
use concordat_storage::catalog::CatalogError;
use concordat_storage::ledger::LedgerError;
use concordat_storage::meta::MetaError;

use super::next_step::next_step;
use super::restriction::{NarrowError, RestrictionError};
use crate::changes::ChangeEntryError;
use crate::iam::IamError;
use crate::membership::MembershipError;
use concordat_network::NetworkError;

/// Why a step of a negotiation or a change of a grant failed.
#[derive(Debug, thiserror::Error)]
pub enum NegotiationError {
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
    /// A stored grant is between two other institutions.
    #[error("this institution is not a party to the stored grant `{grant}`")]
    ForeignGrant {
        /// The number.
        grant: GrantId,
    },
    /// The institution is not an active member.
    #[error("`{institution}` is not an active member of the consortium; `concordat consortium roster show` lists them")]
    NotMember {
        /// The institution.
        institution: InstitutionId,
    },
    /// The institution has a different key than the one that the agreement was made with.
    #[error(
        "the key of `{institution}` is not the one this was agreed with; compare fingerprints by telephone and start a new negotiation"
    )]
    OtherKey {
        /// The institution.
        institution: InstitutionId,
    },
    /// A message names a sender other than the institution whose node sent it.
    #[error("the message names `{named}` as its sender, but a different institution sent it")]
    ForeignSender {
        /// The sender that the message names.
        named: InstitutionId,
    },
    /// Only the provider can do this.
    #[error("only the institution that holds the data can do this")]
    NotProvider,
    /// Only the consumer can do this.
    #[error("only the institution that requested the data can do this")]
    NotConsumer,
    /// The state does not allow it.
    #[error("cannot {step}: the negotiation is {state}")]
    WrongState {
        /// The step that was attempted.
        step: &'static str,
        /// The state of the negotiation.
        state: StateName,
    },
    /// The peer has too many open negotiations.
    #[error("you have {max} open negotiations; end some of them, or wait for their offers")]
    TooManyOpen {
        /// The maximum number of open negotiations.
        max: usize,
    },
    /// The peer has begun too many negotiations.
    #[error("you have begun {max} negotiations within a day, ended ones included; try again tomorrow")]
    TooManyBegun {
        /// The maximum number of negotiations in 24 hours.
        max: u32,
    },
    /// The requests of the negotiations that the peer has begun are too long together.
    #[error(
        "the requests that you have begun within a day would have more than {mebibytes} MiB, ended ones included; name fewer columns and values, or try \
         again tomorrow"
    )]
    TooMuchBegun {
        /// The maximum of all requests in 24 hours, in MiB.
        mebibytes: u64,
    },
    /// The peer has resumed a grant too often.
    #[error("this grant was resumed {max} times within an hour; send the notice again later")]
    TooManyResumptions {
        /// The maximum number of resumptions in an hour.
        max: usize,
    },
    /// One side was removed from the consortium after the negotiation began.
    #[error(
        "`{institution}` was removed from the consortium and admitted again after this negotiation began; start a new one"
    )]
    Readmitted {
        /// The institution.
        institution: InstitutionId,
    },
    /// The grant was not compared with the other side since this node was restored.
    #[error(
        "this node was restored from an older copy, and `{peer}` may know that the grant was revoked since; it can be resumed when `{peer}` has connected"
    )]
    NotCompared {
        /// The other side.
        peer: InstitutionId,
    },
    /// The negotiation has lost what it was about.
    #[error("{reason}")]
    Outdated {
        /// Why.
        reason: text::Reason,
    },
    /// A notice that the other side returned is not one of this node.
    #[error("the notice is not one that this node has sent about the grant")]
    ForeignNotice,
    /// It is not known who made the offer.
    #[error("it is not recorded who made the offer")]
    UnknownAuthor,
    /// The account of the person who made the offer does not permit it any more.
    #[error("the person who made the offer may not make it any more")]
    Author(#[source] IamError),
    /// The policy allows nothing of the request.
    #[error("the policy allows nothing of the request")]
    Denied {
        /// Every reason.
        reasons: Vec<Reason>,
    },
    /// The steward would offer more than the policy allows.
    #[error("an offer cannot exceed what the policy allows for the request")]
    ExceedsPolicy {
        /// Everything that exceeds the policy, each with what is allowed.
        reasons: Vec<Reason>,
    },
    /// The options of the steward cannot be parsed.
    #[error(transparent)]
    Restriction(#[from] RestrictionError),
    /// The options of the steward leave nothing to offer.
    #[error(transparent)]
    NothingLeft(#[from] Disjoint),
    /// The dataset does not exist, or is not visible to this peer.
    #[error("there is no dataset `{dataset}`")]
    NoDataset {
        /// Its name as requested.
        dataset: String,
    },
    /// The other side refused the message.
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
    /// A rule of negotiations was violated.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The same rule, outside a negotiation.
    #[error(transparent)]
    Rule(#[from] concordat_protocol::negotiation::Refusal),
    /// The terms are not valid.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The grant's state does not allow the change.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// A notice is invalid.
    #[error(transparent)]
    Notice(#[from] NoticeError),
    /// A signature is invalid.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// There is no consortium, or its roster has expired.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The network failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The ledger could not record it.
    #[error("the ledger could not record the step, so it was not taken")]
    Ledger(#[from] LedgerError),
    /// The state could not be read or written.
    #[error("the state of negotiations could not be read or written")]
    Meta(#[from] MetaError),
    /// The system's random number generator failed.
    #[error("the system's random number generator failed")]
    Random(#[from] getrandom::Error),
    /// A blocking task was canceled.
    #[error("the node is stopping")]
    Stopping(#[from] tokio::task::JoinError),
}

impl NegotiationError {
    /// The reasons to list after the message, as they are sent to peers.
    pub fn wire_reasons(&self) -> Vec<Reason> {
        match self {
            Self::Denied { reasons } | Self::ExceedsPolicy { reasons } => reasons.clone(),
            Self::Refused { refusal, .. } => refusal.reasons.clone(),
            Self::UnknownNegotiation { .. }
            | Self::UnknownGrant { .. }
            | Self::ForeignGrant { .. }
            | Self::NotMember { .. }
            | Self::OtherKey { .. }
            | Self::ForeignSender { .. }
            | Self::NotProvider
            | Self::NotConsumer
            | Self::WrongState { .. }
            | Self::TooManyOpen { .. }
            | Self::TooManyBegun { .. }
            | Self::TooMuchBegun { .. }
            | Self::TooManyResumptions { .. }
            | Self::Readmitted { .. }
            | Self::NotCompared { .. }
            | Self::Outdated { .. }
            | Self::UnknownAuthor
            | Self::Author(_)
            | Self::ForeignNotice
            | Self::Restriction(_)
            | Self::NothingLeft(_)
            | Self::NoDataset { .. }
            | Self::Unreachable { .. }
            | Self::NoRoster
            | Self::Protocol(_)
            | Self::Rule(_)
            | Self::Grant(_)
            | Self::Lifecycle(_)
            | Self::Notice(_)
            | Self::Signature(_)
            | Self::Membership(_)
            | Self::Network(_)
            | Self::Catalog(_)
            | Self::Ledger(_)
            | Self::Meta(_)
            | Self::Random(_)
            | Self::Stopping(_) => Vec::new(),
        }
    }

    /// The refusal to send to the peer whose message caused the error; internal details are not included.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Denied { reasons } => Refusal {
                code: self.kind().into(),
                reasons: reasons.clone(),
            },
            Self::TooManyOpen { .. }
            | Self::TooManyBegun { .. }
            | Self::TooMuchBegun { .. }
            | Self::TooManyResumptions { .. } => Refusal::of_rule(RefusalCode::Busy, self.rule(), self.to_string()),
            // The peer's own bytes are invalid, not those of this node.
            Self::Protocol(ProtocolError::Peer(broken)) => {
                Refusal::of_rule(RefusalCode::Invalid, self.rule(), broken.to_string())
            }
            Self::ForeignGrant { .. }
            | Self::ForeignNotice
            | Self::Protocol(_)
            | Self::Grant(_)
            | Self::Notice(_)
            | Self::Signature(_) => Refusal::because(RefusalCode::Invalid, self.to_string()),
            Self::UnknownNegotiation { .. }
            | Self::UnknownGrant { .. }
            | Self::NotMember { .. }
            | Self::OtherKey { .. }
            | Self::ForeignSender { .. }
            | Self::NotProvider
            | Self::NotConsumer
            | Self::WrongState { .. }
            | Self::Readmitted { .. }
            | Self::NotCompared { .. }
            | Self::Outdated { .. }
            | Self::UnknownAuthor
            | Self::Author(_)
            | Self::ExceedsPolicy { .. }
            | Self::Restriction(_)
            | Self::NothingLeft(_)
            | Self::NoDataset { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::NoRoster
            | Self::Rule(_)
            | Self::Lifecycle(_)
            | Self::Membership(_)
            | Self::Network(_)
            | Self::Catalog(_)
            | Self::Ledger(_)
            | Self::Meta(_)
            | Self::Random(_)
            | Self::Stopping(_) => self.refusal_by_kind(),
        }
    }

    /// The refusal of every other error; the details of a failure of this node are not sent.
    fn refusal_by_kind(&self) -> Refusal {
        let code = self.kind().into();
        if code == RefusalCode::Failed {
            Refusal::because(code, "the other node could not record the message; try again later")
        } else {
            Refusal::of_rule(code, self.rule(), self.to_string())
        }
    }

    /// The name of the rule that a peer's message broke, as it is sent to that peer.
    const fn rule(&self) -> Option<&'static str> {
        match self {
            Self::Protocol(ProtocolError::Peer(broken)) | Self::Rule(broken) => Some(broken.rule()),
            Self::NoDataset { .. } => Some("dataset-known"),
            Self::TooManyOpen { .. } => Some("open-negotiations"),
            Self::TooManyBegun { .. } => Some("negotiations-a-day"),
            Self::TooMuchBegun { .. } => Some("negotiation-bytes-a-day"),
            Self::TooManyResumptions { .. } => Some("resumptions-an-hour"),
            Self::UnknownNegotiation { .. }
            | Self::UnknownGrant { .. }
            | Self::ForeignGrant { .. }
            | Self::NotMember { .. }
            | Self::OtherKey { .. }
            | Self::ForeignSender { .. }
            | Self::NotProvider
            | Self::NotConsumer
            | Self::WrongState { .. }
            | Self::Readmitted { .. }
            | Self::NotCompared { .. }
            | Self::Outdated { .. }
            | Self::UnknownAuthor
            | Self::Author(_)
            | Self::ForeignNotice
            | Self::Denied { .. }
            | Self::ExceedsPolicy { .. }
            | Self::Restriction(_)
            | Self::NothingLeft(_)
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::NoRoster
            | Self::Protocol(_)
            | Self::Grant(_)
            | Self::Lifecycle(_)
            | Self::Notice(_)
            | Self::Signature(_)
            | Self::Membership(_)
            | Self::Network(_)
            | Self::Catalog(_)
            | Self::Ledger(_)
            | Self::Meta(_)
            | Self::Random(_)
            | Self::Stopping(_) => None,
        }
    }
}

impl Explain for NegotiationError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownNegotiation { .. }
            | Self::UnknownGrant { .. }
            | Self::NotMember { .. }
            | Self::NoDataset { .. } => ErrorKind::NotFound,
            Self::ForeignSender { .. }
            | Self::OtherKey { .. }
            | Self::NotProvider
            | Self::NotConsumer
            | Self::TooManyOpen { .. }
            | Self::TooManyBegun { .. }
            | Self::TooMuchBegun { .. }
            | Self::TooManyResumptions { .. }
            | Self::Readmitted { .. }
            | Self::NotCompared { .. }
            | Self::Outdated { .. }
            | Self::UnknownAuthor
            | Self::Author(_)
            | Self::ExceedsPolicy { .. }
            | Self::Denied { .. } => ErrorKind::Denied,
            Self::Refused { refusal, .. } => refusal.code.kind(),
            Self::Unreachable { .. } | Self::Network(_) => ErrorKind::Unreachable,
            Self::WrongState { .. }
            | Self::Restriction(_)
            | Self::NothingLeft(_)
            | Self::Protocol(ProtocolError::Ours(_))
            | Self::Lifecycle(_)
            | Self::Rule(_) => ErrorKind::Usage,
            Self::ForeignGrant { .. }
            | Self::ForeignNotice
            | Self::NoRoster
            | Self::Protocol(_)
            | Self::Grant(_)
            | Self::Notice(_)
            | Self::Signature(_) => ErrorKind::Integrity,
            Self::Membership(source) => source.kind(),
            Self::Catalog(source) => source.kind(),
            Self::Ledger(source) => source.kind(),
            Self::Meta(source) => source.kind(),
            Self::Random(_) | Self::Stopping(_) => ErrorKind::Internal,
        }
    }

    fn reasons(&self) -> Vec<String> {
        self.wire_reasons().into_iter().map(one_line).collect()
    }

    fn help(&self) -> Option<String> {
        if let Self::WrongState { state, .. }
        | Self::Protocol(ProtocolError::Ours(BrokenRule::WrongTurn { state, .. })) = self
        {
            Some(next_step(*state).to_owned())
        } else {
            None
        }
    }
}

/// A reason with its remedy, on one line.
fn one_line(reason: Reason) -> String {
    match reason.remedy {
        Some(remedy) => format!("{} (to change that: {remedy})", reason.text),
        None => reason.text,
    }
}

impl From<NarrowError> for NegotiationError {
    fn from(error: NarrowError) -> Self {
        match error {
            NarrowError::Invalid(source) => source.into(),
            NarrowError::Exceeds { reasons } => Self::ExceedsPolicy { reasons },
            NarrowError::NothingLeft(source) => source.into(),
        }
    }
}

impl From<ChangeEntryError> for NegotiationError {
    fn from(error: ChangeEntryError) -> Self {
        match error {
            ChangeEntryError::State(source) => source.into(),
            ChangeEntryError::Ledger(source) => source.into(),
            ChangeEntryError::Random(source) => source.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::grant::Party;

    use super::*;

    #[test]
    fn step_in_a_wrong_state_names_the_next_one() {
        let state = StateName::Terminated;
        let turn = ProtocolError::Ours(BrokenRule::WrongTurn {
            state,
            by: Party::Consumer,
            kind: "acceptance",
        });
        let step = "offer";
        for refused in [NegotiationError::WrongState { step, state }, turn.into()] {
            assert!(refused.help().unwrap().contains("grant request"), "{refused}");
        }
        assert_eq!(NegotiationError::NotProvider.help(), None);
    }
}
