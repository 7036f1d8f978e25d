//! Whether a statement is the present one of the peer that sends it.

use super::{MAX_RULES, RulesStatement};
use crate::ids::{InstitutionId, NodeId};
use crate::membership::NodeStart;
use crate::signed::{SignatureError, Signed};
use crate::time::{MAX_CLOCK_SKEW_MS, Timestamp};

/// The sender of a statement, as its hello has proved it.
#[derive(Clone, Copy, Debug)]
pub struct RulesSender<'a> {
    /// Its node.
    pub node: NodeId,
    /// Its institution.
    pub institution: &'a InstitutionId,
    /// Its present start.
    pub start: NodeStart,
}

/// A statement of the present start of its sender, signed by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidRules {
    statement: RulesStatement,
    signed: Signed<RulesStatement>,
}

impl ValidRules {
    /// Checks a statement that `sender` has sent.
    ///
    /// # Errors
    /// [`RulesError`] with the rule that it breaks; it is not kept.
    pub fn check(signed: Signed<RulesStatement>, sender: RulesSender<'_>, now: Timestamp) -> Result<Self, RulesError> {
        if signed.as_bytes().len() > MAX_RULES {
            return Err(RulesError::TooLong);
        }
        let verified = signed.verify(sender.node).map_err(RulesError::Signature)?;
        let statement = verified.document();
        if statement.node != sender.node || statement.institution != *sender.institution {
            return Err(RulesError::OtherSender);
        }
        if statement.start != sender.start {
            return Err(RulesError::OtherStart);
        }
        let tiers = statement.rules.tiers().each();
        if tiers.into_iter().any(|(_, rules)| rules.protections.is_empty()) {
            return Err(RulesError::NoProtection);
        }
        if statement.at.since(now) > MAX_CLOCK_SKEW_MS {
            return Err(RulesError::FutureDated { at: statement.at });
        }
        Ok(Self {
            statement: statement.clone(),
            signed: verified.signed().clone(),
        })
    }

    /// What it states.
    #[must_use]
    pub const fn statement(&self) -> &RulesStatement {
        &self.statement
    }

    /// As the node signed it, to be stored.
    #[must_use]
    pub const fn signed(&self) -> &Signed<RulesStatement> {
        &self.signed
    }
}

/// Why a statement of rules is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// The signed statement is too long.
    #[error("a statement of rules has more than {MAX_RULES} bytes")]
    TooLong,
    /// It is malformed, or its sender did not sign it.
    #[error("a statement of rules is not signed by its sender: {0}")]
    Signature(#[source] SignatureError),
    /// It names another node or institution.
    #[error("a statement of rules is about another node than its sender")]
    OtherSender,
    /// It was made in another start of the node.
    #[error("a statement of rules is from another start of its sender than the present one")]
    OtherStart,
    /// A tier has no protection at all.
    #[error("a statement of rules names no protection for a tier")]
    NoProtection,
    /// It is of the future.
    #[error("a statement of rules is dated {at}, in the future; one of the two clocks is wrong")]
    FutureDated {
        /// Its date.
        at: Timestamp,
    },
}
