//! What the bodies of entries say in one word, or in one word and a reason.

use serde::{Deserialize, Serialize};

use crate::text::Reason;

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// This node.
    Sent,
    /// The peer.
    Received,
}

/// What happened to a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantChange {
    /// It became active.
    Activated,
    /// It was suspended.
    Suspended,
    /// It was resumed.
    Resumed,
    /// Both sides signed new terms.
    Amended,
    /// The provider ended it.
    Revoked,
    /// The consumer relinquished it.
    Relinquished,
    /// Its time ran out.
    Expired,
}

/// What was done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyChange {
    /// It was made.
    Created,
    /// It was replaced by another.
    Rotated,
    /// It was backed up.
    BackedUp,
    /// It was replaced by means of a backup, because the one before was lost.
    Recovered,
    /// It was destroyed, and with it the data that it sealed.
    Destroyed,
}

/// How the release of an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// All of it was released.
    Completed,
    /// It was stopped before its end.
    Cut {
        /// Why.
        reason: Reason,
    },
    /// Something failed.
    Failed {
        /// What.
        reason: Reason,
    },
    /// The provider refused to answer.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// The reader stopped before its end.
    Abandoned,
}
