//! What the engine is run with, and how many queries that gives room to.

use std::io;
use std::path::PathBuf;

use concordat_storage::query::Bounds;

/// Queries that the engine's memory is to have room for: as many as an institution and our own people may have between them.
const QUERIES: usize = 16;
/// Least memory of one query's groups and orders, in bytes.
const LEAST: usize = 32 << 20;
/// Memory of all queries together, in bytes, unless something else is set: sixteen queries with 256 MiB each for their groups and orders.
pub const DEFAULT_MEMORY: usize = QUERIES * (384 << 20);

/// What the engine is run with.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The program `concordat`, of which each query gets a process.
    pub program: PathBuf,
    /// What all queries together may take, in bytes.
    pub memory: usize,
}

impl EngineConfig {
    /// This program, and the memory that is the default.
    ///
    /// # Errors
    /// When the program's own path is not known.
    pub fn of_this_program() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        // Names the file that runs, also when another has been put in its place.
        let running = PathBuf::from("/proc/self/exe");
        Ok(Self {
            program: if running.exists() { running } else { program },
            memory: DEFAULT_MEMORY,
        })
    }

    /// What one query may take: an equal share, and no more than the default.
    pub fn bounds(&self) -> Bounds {
        let most = Bounds::default();
        let fixed = Bounds { memory: 0, ..most }.process();
        let share = (self.memory / QUERIES).saturating_sub(fixed);
        Bounds {
            // A process takes a quarter more than its groups and orders.
            memory: (share / 5).saturating_mul(4).clamp(LEAST, most.memory),
            ..most
        }
    }

    /// How many queries the memory has room for.
    pub fn queries(&self) -> usize {
        self.memory.checked_div(self.bounds().process()).unwrap_or(0).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_never_take_more_than_there_is_together() {
        for memory in [256 << 20, 1 << 30, 3 << 30, DEFAULT_MEMORY, 1 << 40] {
            let engine = EngineConfig {
                program: PathBuf::new(),
                memory,
            };
            assert!(engine.queries() * engine.bounds().process() <= memory, "{memory}");
        }
        let engine = EngineConfig {
            program: PathBuf::new(),
            memory: DEFAULT_MEMORY,
        };
        assert_eq!(
            (engine.queries(), engine.bounds().memory),
            (QUERIES, Bounds::default().memory)
        );
    }
}
