//! Why a step of a negotiation is not taken, and whose fault that is.

use super::state_name::StateName;
use crate::grant::{GrantError, Party};
use crate::ids::{InstitutionId, NegotiationId, NodeId};
use crate::scope::Part;
use crate::signed::SignatureError;
use crate::time::{Staleness, Timestamp};

/// Most narrowings one offer may explain: as many columns as a scope may name, and the other parts.
pub const MAX_NARROWINGS: usize = 4104;

/// Why a step is not taken. The negotiation stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// The peer broke a rule: its message is refused and may be answered with the refusal.
    #[error("the peer's message is refused")]
    Peer(#[source] Refusal),
    /// Our side asked for a step that the rules do not allow; nothing was signed.
    #[error("this step of the negotiation is not possible")]
    Ours(#[source] Refusal),
    /// What is stored does not add up to a negotiation.
    #[error("the stored negotiation is damaged at message {sequence}")]
    Stored {
        /// The first message that does not fit, counted from 1.
        sequence: usize,
        /// What is wrong with it.
        #[source]
        refusal: Refusal,
    },
    /// What is stored was stored by the other side of the negotiation.
    #[error("the stored negotiation is one in which this node is the {role}")]
    OtherRole {
        /// The side it was stored for.
        role: Party,
    },
}

impl NegotiationError {
    /// The rule that was broken, whoever broke it.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Peer(refusal) | Self::Ours(refusal) | Self::Stored { refusal, .. } => Some(refusal),
            Self::OtherRole { .. } => None,
        }
    }
}

/// The rule that a message breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The signature is not that of the node that the message names.
    #[error("the message is not signed by the node it names")]
    Signature(#[source] SignatureError),
    /// The node does not belong to the sender.
    #[error("the node `{node}` does not belong to `{from}`")]
    ForeignNode {
        /// The node that signed.
        node: NodeId,
        /// The institution that the message claims to come from.
        from: InstitutionId,
    },
    /// The sender bears the name of a party and another key.
    #[error("the message comes from another key than the one with which `{from}` began this negotiation")]
    OtherKey {
        /// The sender it names.
        from: InstitutionId,
    },
    /// It belongs to another negotiation.
    #[error("the message belongs to the negotiation `{found}`")]
    OtherNegotiation {
        /// The negotiation it names.
        found: NegotiationId,
    },
    /// Sender and addressee are not the two parties.
    #[error("the message goes from `{from}` to `{to}`, who are not the two parties in this order")]
    OtherParties {
        /// The sender it names.
        from: InstitutionId,
        /// The addressee it names.
        to: InstitutionId,
    },
    /// The two parties are one, or have one key.
    #[error("a negotiation needs two institutions with a key each")]
    OneParty,
    /// Not the next number.
    #[error("message {found} came where message {expected} is due")]
    OutOfOrder {
        /// The number that is due.
        expected: u32,
        /// The number that came.
        found: u32,
    },
    /// It names another message as the one before.
    #[error("the message follows another transcript than ours")]
    OtherPast,
    /// Not of this time, or before the message it answers.
    #[error("the message is not of this time")]
    Stale(#[source] Staleness),
    /// Not this party's turn, or not with this message.
    #[error("the {by} cannot send a {kind} while the negotiation is {state}")]
    WrongTurn {
        /// Where the negotiation stands.
        state: StateName,
        /// Who spoke.
        by: Party,
        /// Kind of the message.
        kind: &'static str,
    },
    /// The transcript is full.
    #[error("the negotiation has too many messages; start a new one")]
    TooLong,
    /// The dataset is not the provider's, or not the one the negotiation began with.
    #[error("the scope is about another dataset")]
    OtherDataset,
    /// The window is over.
    #[error("the time asked for ended at {not_after}")]
    WindowOver {
        /// The end of the window.
        not_after: Timestamp,
    },
    /// The offer goes beyond the request.
    #[error("the offer goes beyond the request in: {}", list(.parts))]
    WiderThanRequest {
        /// In which parts.
        parts: Vec<Part>,
    },
    /// The reasons given do not fit the differences.
    #[error("the reasons given for the offer are not those of its differences from the request")]
    Misexplained,
    /// More narrowings than an offer may carry.
    #[error("the offer lists {found} narrowings, more than {}", MAX_NARROWINGS)]
    TooManyNarrowings {
        /// How many.
        found: usize,
    },
    /// The agreement covers something else than what was offered and accepted, or asked.
    #[error("the terms cover something else than what was {}", origin(.accepted))]
    ScopeChanged {
        /// Whether there was an offer that was accepted; else the agreement answered the request.
        accepted: bool,
    },
    /// The terms name another grant, party, revision, transcript or time.
    #[error("the terms name another {what} than the negotiation")]
    TermsDiffer {
        /// What they name.
        what: &'static str,
    },
    /// The verification is not over the bytes that the provider signed.
    #[error("the consumer signed other terms than the provider")]
    TermsChanged,
    /// The terms are not signed as they must be, or contradict themselves.
    #[error("the terms are not valid")]
    Terms(#[source] GrantError),
    /// The first message must be a request.
    #[error("a negotiation begins with a request")]
    NoRequest,
}

fn origin(accepted: &bool) -> &'static str {
    if *accepted { "accepted" } else { "asked" }
}

fn list(parts: &[Part]) -> String {
    parts.iter().map(Part::to_string).collect::<Vec<_>>().join(", ")
}
