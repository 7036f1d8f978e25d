//! For monitoring: readiness and a few metrics. No person and no dataset is named here.

use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;

use super::status::{roster_number, unready, verification};
use crate::node::Node;

/// A number for monitoring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gauge {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Its value.
    pub value: u64,
}

/// What a monitor should know about a node that would serve a request now: that its ledger is still being verified.
///
/// # Errors
/// `unreachable` with the reasons why a request would not be served.
pub(crate) fn ready(node: &Node) -> Result<Option<String>, Problem> {
    let reasons = unready(node);
    if reasons.is_empty() {
        Ok(verification(node).map(|verification| verification.note))
    } else {
        Err(Problem::new(ErrorKind::Unreachable, "the node is not ready").because(reasons))
    }
}

/// The metrics.
pub(crate) fn metrics(node: &Node) -> [Gauge; 4] {
    [
        Gauge {
            name: "concordat_ready",
            help: "Whether a request would be served",
            value: u64::from(unready(node).is_empty()),
        },
        Gauge {
            name: "concordat_connected_peers",
            help: "Peers connected now",
            value: node.network().connected_peers().len() as u64,
        },
        Gauge {
            name: "concordat_ledger_entries",
            help: "Entries of the ledger",
            value: node.ledger().size(),
        },
        Gauge {
            name: "concordat_roster_number",
            help: "Number of the current roster",
            value: roster_number(node).unwrap_or(0),
        },
    ]
}
