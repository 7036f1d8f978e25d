//! What becomes of a cast that can fail on a value.

use concordat_protocol::scope::Tier;

/// What becomes of a cast that the query wrote and that can fail on a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Casts {
    /// The answer ends with an error: at tier `records`, and on the consumer's node.
    Strict,
    /// The query is refused: below tier `records`, where the error would reveal the value.
    Refused,
}

impl Casts {
    /// The rule of a provider at this tier.
    #[must_use]
    pub const fn at(tier: Tier) -> Self {
        match tier {
            Tier::Records => Self::Strict,
            Tier::Exists | Tier::Count | Tier::Aggregate => Self::Refused,
        }
    }
}
