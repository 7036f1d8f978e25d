//! The configuration of the engine, and the number of concurrent queries that follows from it.

use std::io;
use std::path::PathBuf;

use concordat_engine::Bounds;

use crate::config::DEFAULT_MEMORY_MIB;

/// Concurrent queries that the engine's memory is divided between.
const QUERIES: usize = ANSWERED + LOCAL + PLANNED;
/// Those that are answered from our own datasets: at most eight for one institution, and at most eight for all our own people.
const ANSWERED: usize = 16;
/// Those that are computed locally for our own people from the answers of others.
const LOCAL: usize = 4;
/// Those of our own people that are being planned.
const PLANNED: usize = 4;
/// Least memory for the groupings and sorts of one query, in bytes.
const MIN_MEMORY: usize = 32 << 20;
/// Default memory of all queries together, in bytes.
pub const DEFAULT_MEMORY: usize = DEFAULT_MEMORY_MIB << 20;

/// The configuration of the engine.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The program `concordat`; each query runs in a process of it.
    pub program: PathBuf,
    /// Memory that all queries together may use, in bytes.
    pub memory: usize,
}

impl EngineConfig {
    /// This program, and the default memory.
    ///
    /// # Errors
    /// If the program's own path is not known.
    pub fn of_this_program() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        // Refers to the running file even if it has been replaced.
        let running = PathBuf::from("/proc/self/exe");
        Ok(Self {
            program: if running.exists() { running } else { program },
            memory: DEFAULT_MEMORY,
        })
    }

    /// The bounds of one query: an equal part of the memory, and at most the default.
    pub fn bounds(&self) -> Bounds {
        let most = Bounds::default();
        let fixed = Bounds { memory: 0, ..most }.process();
        let per_query = (self.memory / QUERIES).saturating_sub(fixed);
        Bounds {
            // A process takes a quarter more than its groupings and sorts.
            memory: (per_query / 5).saturating_mul(4).clamp(MIN_MEMORY, most.memory),
            ..most
        }
    }

    /// How many queries may be answered at the same time.
    pub fn queries(&self) -> usize {
        let own = self.local_queries().saturating_add(self.planned_queries());
        self.capacity().saturating_sub(own).max(1)
    }

    /// How many queries may be computed locally at the same time.
    pub fn local_queries(&self) -> usize {
        (self.capacity().saturating_mul(LOCAL) / QUERIES).max(1)
    }

    /// How many queries of our own people may be planned at the same time.
    pub fn planned_queries(&self) -> usize {
        (self.capacity().saturating_mul(PLANNED) / QUERIES).max(1)
    }

    fn capacity(&self) -> usize {
        self.memory.checked_div(self.bounds().process()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_queries_together_never_exceed_the_memory() {
        for memory in [512 << 20, 1 << 30, 3 << 30, DEFAULT_MEMORY, 1 << 40] {
            let engine = EngineConfig {
                program: PathBuf::new(),
                memory,
            };
            let total = engine.queries() + engine.local_queries() + engine.planned_queries();
            assert!(total * engine.bounds().process() <= memory, "{memory}");
        }
        assert_eq!(DEFAULT_MEMORY, QUERIES * (384 << 20));
        let engine = EngineConfig {
            program: PathBuf::new(),
            memory: DEFAULT_MEMORY,
        };
        assert_eq!(
            (engine.queries(), engine.bounds().memory),
            (ANSWERED, Bounds::default().memory)
        );
    }
}
