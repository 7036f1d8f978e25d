//! `[limits]`: what peers may occupy at one time.

use std::fmt;

use super::reader::Section;
use concordat_network::Limits;

/// Default of `memory_mib`: twenty queries with 256 MiB each for their groupings and sorts, four that are planned, and what their processes need
/// besides.
pub(crate) const DEFAULT_MEMORY_MIB: usize = 24 * 384;
/// The minimum that is enough for two concurrent remote queries, as a join needs, one local query, and one that is planned.
const MIN_MEMORY_MIB: usize = 512;

/// `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitsSection {
    /// Established connections in total.
    pub connections: usize,
    /// Streams that all peers together have open here.
    pub streams: usize,
    /// Streams that one peer has open here.
    pub streams_per_peer: usize,
    /// Memory that all queries together may use, in MiB.
    pub memory_mib: usize,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let network = Limits::default();
        Self {
            connections: network.connections,
            streams: network.streams,
            streams_per_peer: network.streams_per_peer,
            memory_mib: DEFAULT_MEMORY_MIB,
        }
    }
}

impl From<LimitsSection> for Limits {
    fn from(limits: LimitsSection) -> Self {
        Self {
            connections: limits.connections,
            streams: limits.streams,
            streams_per_peer: limits.streams_per_peer,
            ..Self::default()
        }
    }
}

/// Reads the section.
pub(super) fn limits(section: &mut Section<'_>) -> LimitsSection {
    let default = LimitsSection::default();
    LimitsSection {
        connections: section.count("connections").unwrap_or(default.connections),
        streams: section.count("streams").unwrap_or(default.streams),
        streams_per_peer: section.count("streams_per_peer").unwrap_or(default.streams_per_peer),
        memory_mib: memory_mib(section).unwrap_or(default.memory_mib),
    }
}

fn memory_mib(section: &mut Section<'_>) -> Option<usize> {
    let given = section.count("memory_mib")?;
    if given < MIN_MEMORY_MIB {
        return section.mistake("memory_mib", format!("must be at least {MIN_MEMORY_MIB}"));
    }
    Some(given)
}

/// The section as `init` writes it.
impl fmt::Display for LimitsSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "[limits]\n# what all peers together, and one of them, may occupy at one time"
        )?;
        writeln!(f, "connections = {}\nstreams = {}", self.connections, self.streams)?;
        writeln!(f, "streams_per_peer = {}", self.streams_per_peer)?;
        writeln!(f, "# memory that all queries together may take, in MiB")?;
        writeln!(f, "memory_mib = {}", self.memory_mib)
    }
}
