//! How many file descriptors this process may have, and how they are divided.
//!
//! Each connection needs one, at the socket of the API as in the network, and so do the processes of queries, the state, the ledger and the
//! objects that are read. When none is left, nothing works that opens something: a query under a valid grant is refused after its decision was
//! entered. So the number of connections follows from the number of descriptors, and leaves the others theirs:
//!
//! | of the descriptors | for |
//! | --- | --- |
//! | a quarter, at most [`MAX_API_CONNECTIONS`] | connections at the socket of the API |
//! | a quarter | established connections of the network |
//! | a quarter | connections of the network that have not finished their handshake, in both directions |
//! | the rest | engine processes, storage, files that are received |

use concordat_network::Limits;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What most systems permit without asking: the limit if it cannot be read.
const USUAL: usize = 1024;
/// Most connections at the socket of the API: ten times what the people of a large institution have at the same time.
const MAX_API_CONNECTIONS: usize = 512;

/// The file descriptors of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptors(usize);

impl Descriptors {
    /// Raises the limit of this process to what the system permits it, and returns it. Programs begin with a lower one for the sake of those that
    /// use `select(2)`, which this one does not.
    pub(crate) fn raise() -> Self {
        let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
            return Self(USUAL);
        };
        let raised = soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
        let limit = if raised { hard } else { soft };
        Self(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// How many connections the socket of the API may have.
    pub(crate) fn api_connections(self) -> usize {
        (self.0 / 4).clamp(1, MAX_API_CONNECTIONS)
    }

    /// The limits of the network: those that are configured, as far as there are descriptors for them.
    pub(crate) fn network(self, configured: &Limits) -> Limits {
        let pending = configured.pending.min(self.0 / 8).max(1);
        let connections = configured.connections.min(self.0 / 4).max(1);
        if pending < configured.pending || connections < configured.connections {
            tracing::warn!(
                descriptors = self.0,
                connections,
                pending,
                "this process may have too few file descriptors for the configured connections, so it accepts fewer; raise its limit (`LimitNOFILE`)"
            );
        }
        Limits {
            pending,
            pending_per_host: configured.pending_per_host.min((pending / 4).max(1)),
            pending_per_block: configured.pending_per_block.min((pending / 2).max(1)),
            pending_unnamed: configured.pending_unnamed.min((pending / 4).saturating_mul(3).max(1)),
            connections,
            ..configured.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_left_whatever_the_connections_need() {
        for limit in [64, 256, 1024, 4096, 65_536, usize::MAX] {
            let descriptors = Descriptors(limit);
            for configured in [256, 100_000] {
                let network = descriptors.network(&Limits {
                    connections: configured,
                    ..Limits::default()
                });
                let used = descriptors.api_connections() + network.connections + 2 * network.pending;
                assert!(used <= limit - limit / 4, "{used} of {limit}");
                let unnamed = network.pending_unnamed;
                assert!(
                    unnamed < network.pending && network.pending_per_host <= unnamed,
                    "{network:?}"
                );
            }
        }
    }

    #[test]
    fn descriptors_of_a_usual_system_change_no_limit() {
        let default = Limits::default();
        let network = Descriptors(4096).network(&default);
        assert_eq!(format!("{network:?}"), format!("{default:?}"));
        assert_eq!(Descriptors(4096).api_connections(), MAX_API_CONNECTIONS);
        assert_eq!(Descriptors(1024).api_connections(), 256);
    }

    #[test]
    fn descriptors_are_raised_to_the_hard_limit() {
        let raised = Descriptors::raise();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
        assert_eq!(u64::try_from(raised.0).unwrap(), soft);
    }
}
