//! On whose account an entry was made.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ActorId, InstitutionId, NodeId};

/// Who or what caused that which an entry records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cause {
    /// A person of this institution, in a session of their own.
    Person {
        /// The person.
        actor: ActorId,
    },
    /// Two persons of this institution, where one alone may not.
    TwoPeople {
        /// Who asked for it.
        first: ActorId,
        /// Who confirmed it.
        second: ActorId,
    },
    /// Another node, by what it sent or how it behaved.
    Peer {
        /// The node, as the transport proved it.
        node: NodeId,
        /// The institution it has shown to belong to; none before it has shown one.
        institution: Option<InstitutionId>,
        /// The person for whom that institution says it asks.
        actor: Option<ActorId>,
    },
    /// Somebody who is not logged in: a command on the data directory, or a request on the socket.
    OsAccount {
        /// Number of the account at the operating system.
        uid: u32,
    },
    /// The node, by itself.
    Node {
        /// On which occasion.
        task: NodeTask,
    },
}

/// On which occasion a node acts without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeTask {
    /// It starts.
    Start,
    /// It completes what a stop broke off.
    Recovery,
    /// It goes on with a negotiation that both sides have decided.
    Negotiation,
    /// It does what a rule or a timer says.
    Maintenance,
}

impl Cause {
    /// The person of this institution, or the one a peer names; the first of two.
    pub const fn actor(&self) -> Option<&ActorId> {
        match self {
            Self::Person { actor } => Some(actor),
            Self::TwoPeople { first, .. } => Some(first),
            Self::Peer { actor, .. } => actor.as_ref(),
            Self::OsAccount { .. } => None,
            Self::Node { .. } => None,
        }
    }

    /// The institution behind another node.
    pub const fn peer(&self) -> Option<&InstitutionId> {
        match self {
            Self::Peer { institution, .. } => institution.as_ref(),
            Self::Person { .. } => None,
            Self::TwoPeople { .. } => None,
            Self::OsAccount { .. } => None,
            Self::Node { .. } => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person { actor } => write!(f, "{actor}"),
            Self::TwoPeople { first, second } => write!(f, "{first} and {second}"),
            Self::Peer {
                node,
                institution,
                actor,
            } => {
                if let Some(actor) = actor {
                    write!(f, "{actor} at ")?;
                }
                match institution {
                    Some(institution) => write!(f, "node {} of {institution}", node.short()),
                    None => write!(f, "node {}", node.short()),
                }
            }
            Self::OsAccount { uid } => write!(f, "system account {uid}"),
            Self::Node { task } => write!(f, "this node ({})", task.as_str()),
        }
    }
}

impl NodeTask {
    /// The occasion in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Recovery => "recovery",
            Self::Negotiation => "negotiation",
            Self::Maintenance => "maintenance",
        }
    }
}
