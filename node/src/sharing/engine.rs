//! What the engine is run with, and how many queries that gives room to.

use std::io;
use std::path::PathBuf;

use concordat_storage::engine::Bounds;

/// Queries that the engine's memory is to have room for.
const QUERIES: usize = ANSWERED + AT_HOME;
/// Those that are answered: eight for one institution, eight for all others and our own people.
const ANSWERED: usize = 16;
/// Those that our own people have computed at home from others' answers.
const AT_HOME: usize = 4;
/// Least memory of one query's groups and orders, in bytes.
const LEAST: usize = 32 << 20;
/// Memory of all queries together, in bytes, unless something else is set: twenty queries with 256 MiB each for their groups and orders.
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

    /// How many queries may be answered at the same time.
    pub fn queries(&self) -> usize {
        self.room().saturating_sub(self.at_home()).max(1)
    }

    /// How many may be computed at home at the same time.
    pub fn at_home(&self) -> usize {
        (self.room().saturating_mul(AT_HOME) / QUERIES).max(1)
    }

    fn room(&self) -> usize {
        self.memory.checked_div(self.bounds().process()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_never_take_more_than_there_is_together() {
        for memory in [512 << 20, 1 << 30, 3 << 30, DEFAULT_MEMORY, 1 << 40] {
            let engine = EngineConfig {
                program: PathBuf::new(),
                memory,
            };
            let together = engine.queries() + engine.at_home();
            assert!(together * engine.bounds().process() <= memory, "{memory}");
        }
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
