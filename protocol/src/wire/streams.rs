//! The names by which nodes open streams to each other: the protocols that multistream-select negotiates
//! (<https://github.com/libp2p/specs/blob/master/connections/README.md#protocol-negotiation>).

use std::{borrow::Borrow, fmt};

/// The name of one protocol: `/concordat/PROTOCOL/VERSION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(&'static str);

/// Mutual attestation, the only protocol served to a peer that has not been attested.
pub const HELLO: StreamName = StreamName("/concordat/hello/1");
/// Newer rosters.
pub const ROSTER: StreamName = StreamName("/concordat/roster/1");
/// Addresses that nodes have stated since the roster.
pub const ADDRESSES: StreamName = StreamName("/concordat/addresses/1");
/// What a node states that it enforces below tier `records`.
pub const RULES: StreamName = StreamName("/concordat/rules/1");
/// What a node answers about a canary.
pub const PROBE: StreamName = StreamName("/concordat/probe/1");
/// Which collections a provider lists.
pub const CATALOG: StreamName = StreamName("/concordat/catalog/2");
/// What a grant shows: the datasets with their columns and types.
pub const GRANT_COLUMNS: StreamName = StreamName("/concordat/grant-columns/3");
/// How a query under a grant would be decided, before it is sent.
pub const ESTIMATE: StreamName = StreamName("/concordat/estimate/1");
/// Steps of negotiations.
pub const NEGOTIATION: StreamName = StreamName("/concordat/negotiation/2");
/// Changes of grants that the other side must learn of.
pub const NOTICE: StreamName = StreamName("/concordat/notice/1");
/// Which notices about a grant each side knows, and those that one of them lacks.
pub const GRANT_HEADS: StreamName = StreamName("/concordat/grant-heads/1");
/// Queries and their answers.
pub const QUERY: StreamName = StreamName("/concordat/query/1");
/// Receipts that still lack the consumer's signature.
pub const RECEIPT: StreamName = StreamName("/concordat/receipt/1");

/// Every protocol between nodes.
pub const ALL: [StreamName; 13] = [
    HELLO,
    ROSTER,
    ADDRESSES,
    RULES,
    PROBE,
    CATALOG,
    GRANT_COLUMNS,
    ESTIMATE,
    NEGOTIATION,
    NOTICE,
    GRANT_HEADS,
    QUERY,
    RECEIPT,
];

impl StreamName {
    /// The name as it is negotiated.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

// Its hash and equality are those of the text.
impl Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
