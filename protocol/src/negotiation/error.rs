//! Why a step of a negotiation is refused, and which side is responsible.

use super::state_name::StateName;
use crate::grant::{GrantError, Party};
use crate::ids::{InstitutionId, NegotiationId, NodeId};
use crate::scope::{MAX_COLUMNS, MAX_DATASETS, NotApplied, Part};
use crate::signed::SignatureError;
use crate::time::{Staleness, Timestamp};

/// Most narrowings one offer may explain: the most columns that a scope may name, the rows of each dataset, and the other parts.
pub const MAX_NARROWINGS: usize = MAX_COLUMNS + MAX_DATASETS + 16;
/// Largest request, in bytes as it is signed. 4096 columns with names of 30 characters in 39 datasets and 1000 codes of 20 characters need
/// about 190 KiB. An institution stores requests of others before a person has seen them, so this and
/// the number of requests bound what another institution can make it store.
pub const MAX_REQUEST: usize = 256 * 1024;

/// Why a step is refused. The negotiation is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// The peer broke a rule: its message is refused and may be answered with the refusal.
    #[error("the peer's message is refused")]
    Peer(#[source] Refusal),
    /// Our side tried a step that the rules do not allow; nothing was signed.
    #[error("this step of the negotiation is not possible")]
    Ours(#[source] Refusal),
    /// The stored messages do not form a valid negotiation.
    #[error("the stored negotiation is damaged at message {sequence}")]
    Stored {
        /// The first message that does not fit, counted from 1.
        sequence: usize,
        /// What is wrong with it.
        #[source]
        refusal: Refusal,
    },
    /// The stored negotiation belongs to the other side.
    #[error("the stored negotiation is one in which this node is the {role}")]
    OtherRole {
        /// The side it was stored for.
        role: Party,
    },
}

impl NegotiationError {
    /// The rule that was broken, by either side.
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
    /// The node does not belong to the institution of the sender.
    #[error("the node `{node}` does not belong to `{from}`")]
    ForeignNode {
        /// The node that signed.
        node: NodeId,
        /// The institution that the message names as its sender.
        from: InstitutionId,
    },
    /// The sender has the name of a party but another key.
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
    /// Sender and recipient are not the two parties.
    #[error("the message goes from `{from}` to `{to}`, which are not the two parties in this order")]
    OtherParties {
        /// The sender it names.
        from: InstitutionId,
        /// The recipient it names.
        to: InstitutionId,
    },
    /// The two parties are the same, or have the same key.
    #[error("a negotiation needs two institutions with a key each")]
    OneParty,
    /// Its number is not the next one.
    #[error("message {found} was received where message {expected} is expected")]
    OutOfOrder {
        /// The expected number.
        expected: u32,
        /// The received number.
        found: u32,
    },
    /// It names another message as its predecessor.
    #[error("the message follows another transcript than ours")]
    OtherTranscript,
    /// Dated in the future, or before the message that it answers.
    #[error("the time of the message is not acceptable")]
    Stale(#[source] Staleness),
    /// Not this party's turn, or not with this message.
    #[error("the {by} cannot send {} {kind} while the negotiation is {state}", article(kind))]
    WrongTurn {
        /// The state of the negotiation.
        state: StateName,
        /// Who sent the message.
        by: Party,
        /// Kind of the message.
        kind: &'static str,
    },
    /// The transcript is full.
    #[error("the negotiation has too many messages; start a new one")]
    TooLong,
    /// The request has too many bytes.
    #[error("the request has {bytes} bytes, more than {MAX_REQUEST}; name fewer columns or values")]
    RequestTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The collection is not the provider's, or not the one the negotiation began with.
    #[error("the scope is about another collection")]
    OtherCollection,
    /// The scope has a part that is not applied.
    #[error("the scope has a part that is not applied")]
    NotApplied(#[source] NotApplied),
    /// The time window is over.
    #[error("the requested time window ended at {not_after}")]
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
    /// The stated narrowings are not the differences from the request.
    #[error("the narrowings stated in the offer are not its differences from the request")]
    NarrowingsMismatch,
    /// More narrowings than an offer may carry.
    #[error("the offer lists {found} narrowings, more than {}", MAX_NARROWINGS)]
    TooManyNarrowings {
        /// How many it carries.
        found: usize,
    },
    /// The agreement covers something else than what was offered and accepted, or requested.
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
    /// The terms are not signed as required, or contradict themselves.
    #[error("the terms are invalid")]
    Terms(#[source] GrantError),
    /// The first message must be a request.
    #[error("a negotiation begins with a request")]
    NoRequest,
}

impl Refusal {
    /// The name of the broken rule, as peers are sent it.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Signature(_) => "message-signature",
            Self::ForeignNode { .. } => "node-of-sender",
            Self::OtherKey { .. } => "key-of-sender",
            Self::OtherNegotiation { .. } => "negotiation-of-message",
            Self::OtherParties { .. } => "parties",
            Self::OneParty => "two-parties",
            Self::OutOfOrder { .. } => "message-order",
            Self::OtherTranscript => "transcript",
            Self::Stale(_) => "message-time",
            Self::WrongTurn { .. } => "turn",
            Self::TooLong => "message-count",
            Self::RequestTooLarge { .. } => "request-size",
            Self::OtherCollection => "collection-of-negotiation",
            Self::NotApplied(_) => "scope-applied",
            Self::WindowOver { .. } => "time-window",
            Self::WiderThanRequest { .. } => "offer-within-request",
            Self::NarrowingsMismatch => "narrowings-stated",
            Self::TooManyNarrowings { .. } => "narrowing-count",
            Self::ScopeChanged { accepted: true } => "scope-as-accepted",
            Self::ScopeChanged { accepted: false } => "scope-as-requested",
            Self::TermsDiffer { .. } => "terms-of-negotiation",
            Self::TermsChanged => "terms-as-signed",
            Self::Terms(_) => "terms-valid",
            Self::NoRequest => "request-first",
        }
    }
}

/// The indefinite article of a kind of message.
fn article(kind: &str) -> &'static str {
    if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}

fn origin(accepted: &bool) -> &'static str {
    if *accepted { "accepted" } else { "requested" }
}

fn list(parts: &[Part]) -> String {
    parts.iter().map(Part::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_out_of_turn_has_its_article() {
        for (kind, part) in [("acceptance", "send an acceptance"), ("request", "send a request")] {
            let refusal = Refusal::WrongTurn {
                state: StateName::Terminated,
                by: Party::Consumer,
                kind,
            };
            assert!(refusal.to_string().contains(part), "{refusal}");
        }
    }
}
