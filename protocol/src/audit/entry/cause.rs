//! Who or what caused an entry.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ActorId, InstitutionId, NodeId};

/// Who or what caused the event that an entry records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cause {
    /// A person of this institution, in a session of their own.
    Person {
        /// The person.
        actor: ActorId,
    },
    /// Two people of this institution, where one alone is not allowed to act.
    TwoPeople {
        /// Who requested it.
        first: ActorId,
        /// Who confirmed it.
        second: ActorId,
    },
    /// Another node, by what it sent or how it behaved.
    Peer {
        /// The node, as the transport proved it.
        node: NodeId,
        /// The institution that it has proven to belong to; `None` before that.
        institution: Option<InstitutionId>,
        /// The person on whose behalf that institution states that it acts.
        actor: Option<ActorId>,
    },
    /// A user who is not logged in: a command on the data directory, or a request on the socket.
    OsAccount {
        /// User ID of the account in the operating system.
        uid: u32,
    },
    /// The node, by itself.
    Node {
        /// During which task.
        task: NodeTask,
    },
}

/// The tasks in which a node acts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeTask {
    /// It starts.
    Start,
    /// It completes what a stop interrupted.
    Recovery,
    /// It continues a negotiation that both sides have decided.
    Negotiation,
    /// It follows a rule or a timer.
    Maintenance,
}

impl Cause {
    /// The person of this institution, or the one that a peer names; the first if there are two.
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
    /// The name of the task.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Recovery => "recovery",
            Self::Negotiation => "negotiation",
            Self::Maintenance => "maintenance",
        }
    }
}
