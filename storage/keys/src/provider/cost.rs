//! The cost of one guess at a passphrase.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};

use crate::KeyError;

/// The cost of one guess at a passphrase (Argon2id, RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argon2Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Argon2Cost {
    /// The highest cost that is accepted from a stored file: 1 GiB, so that a forged file cannot exhaust the machine.
    const MAX: Self = Self {
        memory_kib: 1 << 20,
        passes: 64,
        lanes: 16,
    };

    /// The lowest cost that Argon2 accepts, for tests only: it protects nothing.
    #[must_use]
    pub const fn dangerous_minimum() -> Self {
        Self {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        }
    }

    /// Whether a stored cost is within the limit.
    pub(super) fn is_within_limit(self) -> bool {
        self.memory_kib <= Self::MAX.memory_kib && self.passes <= Self::MAX.passes && self.lanes <= Self::MAX.lanes
    }

    /// Whether `other` is more work and takes at least as much memory, so that replacing this cost by it weakens nothing.
    pub(super) fn is_below(self, other: Self) -> bool {
        let work = |cost: Self| u64::from(cost.memory_kib) * u64::from(cost.passes);
        self.memory_kib <= other.memory_kib && work(self) < work(other)
    }

    pub(crate) fn hasher(self) -> Result<Argon2<'static>, KeyError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, None).map_err(KeyError::Cost)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// 64 MiB and three passes: the second recommendation of RFC 9106 section 4, with one lane for small machines.
impl Default for Argon2Cost {
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_below_another_only_if_replacing_it_weakens_nothing() {
        let cost = |memory_kib, passes| Argon2Cost {
            memory_kib,
            passes,
            lanes: 1,
        };
        let today = cost(64, 3);
        for weaker in [cost(64, 2), cost(32, 3), cost(32, 5), cost(8, 1)] {
            assert!(weaker.is_below(today), "{weaker:?}");
        }
        for other in [today, cost(64, 4), cost(128, 1), cost(32, 6)] {
            assert!(!other.is_below(today), "{other:?}");
        }
    }
}
