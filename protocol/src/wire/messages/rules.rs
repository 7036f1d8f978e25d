//! What a node enforces below tier `records`, as it announces it to its peers.
//!
//! 1. A node signs what it enforces there ([`RulesStatement`]): for each tier the least that its published collections and its policy set
//!    have, and never anything that a peer has sent.
//! 2. Over `/concordat/rules/1` the opener sends its statement and gets that of the other side ([`RulesFrame`]). The dialer of a session does so
//!    after the hello, and each side when its statement has changed.
//! 3. The reader checks a statement against what the session has proved of its sender ([`ValidRules`]), and accepts only one that is later
//!    than the one it knows ([`RulesStatement::compare`]).
//!
//! A statement shows what a node is set to; it does not prove that the node does it.

mod check;
mod weakening;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use check::{RulesError, RulesSender, ValidRules};
pub use weakening::{Weakening, WeakerRule};

use crate::ids::{Digest32, InstitutionId, NodeId};
use crate::labels::{self, DomainLabel};
use crate::membership::{NodeStart, StartOrder};
use crate::scope::{ProtectionName, Tier};
use crate::signed::{Document, Signed};
use crate::text::Label;
use crate::time::Timestamp;
use crate::wire::codec::Frame;

/// Most bytes of a signed statement. One with the longest names has some 1,000.
pub const MAX_RULES: usize = 2048;
/// Limit of a message with one statement.
const RULES_FRAME: usize = MAX_RULES + 1024;

/// What a node enforces at one tier, for all of its published collections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierRules {
    /// Fewest subjects behind a released cell.
    pub min_cell: u32,
    /// The protections that its answers can have.
    pub protections: BTreeSet<ProtectionName>,
    /// Most queries of one grant in 24 hours.
    pub queries_per_day: u32,
    /// Longest duration of a grant, in days.
    pub days: u16,
}

/// What a node enforces at each tier below `records`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesByTier {
    /// Whether enough subjects match.
    pub exists: TierRules,
    /// How many match.
    pub count: TierRules,
    /// Statistics over groups.
    pub aggregate: TierRules,
}

impl RulesByTier {
    /// What `rules` states for each tier.
    pub fn of(mut rules: impl FnMut(Tier) -> TierRules) -> Self {
        Self {
            exists: rules(Tier::Exists),
            count: rules(Tier::Count),
            aggregate: rules(Tier::Aggregate),
        }
    }

    /// The rules with their tiers, the lowest first.
    pub const fn each(&self) -> [(Tier, &TierRules); 3] {
        [
            (Tier::Exists, &self.exists),
            (Tier::Count, &self.count),
            (Tier::Aggregate, &self.aggregate),
        ]
    }
}

/// The content of a statement: what changes only when the node is set otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnforcedRules {
    version: Label,
    policy: Digest32,
    tiers: RulesByTier,
}

impl EnforcedRules {
    /// What a program of this version enforces under the policy set with the digest `policy`. In a node one file calls it, which has only
    /// the records of collections and the policy set.
    pub const fn new(version: Label, policy: Digest32, tiers: RulesByTier) -> Self {
        Self { version, policy, tiers }
    }

    /// Version of the program.
    pub const fn version(&self) -> &Label {
        &self.version
    }

    /// Digest of the policy set: schema, rules and settings.
    pub const fn policy(&self) -> Digest32 {
        self.policy
    }

    /// The rules of each tier.
    pub const fn tiers(&self) -> &RulesByTier {
        &self.tiers
    }
}

/// What a node states that it enforces, signed by its node key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesStatement {
    /// The node, which signs this.
    pub node: NodeId,
    /// Its institution.
    pub institution: InstitutionId,
    /// The start of the node in which it was made.
    pub start: NodeStart,
    /// Rises with each statement of a start.
    pub revision: u32,
    /// When it was signed.
    pub at: Timestamp,
    /// What it enforces.
    pub rules: EnforcedRules,
}

impl Document for RulesStatement {
    const LABEL: DomainLabel = labels::RULES;
}

/// How a statement relates to the one that is known of the same node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulesOrder {
    /// It is the same.
    Same,
    /// It was made later.
    Later,
    /// It was made earlier, or in a start that is not the newest one.
    Earlier,
    /// It has the place of the other one and another content.
    Contradiction,
}

impl RulesStatement {
    /// How this statement relates to the statement `known` of the same node. Its time does not count: clocks are set back, and the starts
    /// of a node are ordered across restores.
    #[must_use]
    pub fn compare(&self, known: &Self) -> RulesOrder {
        match self.start.compare(&known.start) {
            StartOrder::Later => RulesOrder::Later,
            StartOrder::Earlier | StartOrder::Beside => RulesOrder::Earlier,
            StartOrder::Same if self.revision > known.revision => RulesOrder::Later,
            StartOrder::Same if self.revision < known.revision => RulesOrder::Earlier,
            StartOrder::Same if self == known => RulesOrder::Same,
            StartOrder::Same => RulesOrder::Contradiction,
        }
    }
}

/// The statement of the sender.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesFrame {
    /// As its node signed it; at most [`MAX_RULES`] bytes.
    pub statement: Signed<RulesStatement>,
}

impl Frame for RulesFrame {
    const MAX: usize = RULES_FRAME;
}

#[cfg(test)]
mod tests;
