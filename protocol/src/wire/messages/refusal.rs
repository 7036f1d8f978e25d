//! Refusals: what one side learns of why the other does not do what it requested.

use serde::{Deserialize, Serialize};

use crate::error_kind::ErrorKind;

/// Why something was refused, as far as the caller may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The kind of refusal.
    pub code: RefusalCode,
    /// Every reason, each with what would have to change for the request to be accepted.
    pub reasons: Vec<Reason>,
}

impl Refusal {
    /// A refusal with one reason.
    pub fn because(code: RefusalCode, text: impl Into<String>) -> Self {
        Self::of_rule(code, None, text)
    }

    /// A refusal with one reason, and the rule behind it if it has a name.
    pub fn of_rule(code: RefusalCode, rule: Option<&'static str>, text: impl Into<String>) -> Self {
        Self {
            code,
            reasons: vec![Reason {
                text: text.into(),
                remedy: None,
                rule: rule.map(str::to_owned),
            }],
        }
    }
}

/// The kind of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// The message is invalid.
    Invalid,
    /// A policy, a grant or its state forbids it.
    Denied,
    /// It does not exist, or the caller may not see it: the two are indistinguishable.
    NotFound,
    /// Too much at once; try again later.
    Busy,
    /// The answering side failed.
    Failed,
    /// Receipts of earlier answers have to be countersigned first.
    CountersignFirst,
}

impl RefusalCode {
    /// What kind of error it is for the side that is refused.
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::Invalid => ErrorKind::Usage,
            Self::Denied | Self::CountersignFirst => ErrorKind::Denied,
            Self::NotFound => ErrorKind::NotFound,
            Self::Busy | Self::Failed => ErrorKind::Unreachable,
        }
    }
}

impl From<ErrorKind> for RefusalCode {
    /// What the peer learns of an error of this side: whether it lies with the request; nothing about a fault of this side.
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage | ErrorKind::Unverified => Self::Invalid,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Unreachable | ErrorKind::Integrity | ErrorKind::Internal => Self::Failed,
            ErrorKind::Locked | ErrorKind::InUse => Self::Failed,
        }
    }
}

/// One reason of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Why it was refused.
    pub text: String,
    /// What would have to change for it to be accepted.
    pub remedy: Option<String>,
    /// The rule that refused it.
    pub rule: Option<String>,
}
