//! Whether the head with a countersignature can contain the entry about it.
//!
//! The consumer enters its signature and then signs the head, so its ledger is longer than at any time before the receipt. A head that it signed
//! before that, by more than clocks may differ, has to be shorter. What the head contains is not known: the protocol carries no proof of the entry.

use concordat_protocol::audit::LedgerHead;
use concordat_protocol::ids::NodeId;
use concordat_protocol::query::MAX_HEAD_DELAY_MS;
use concordat_protocol::time::Timestamp;

use super::LedgerHeads;

impl LedgerHeads {
    /// Whether `head` of `peer` has more entries than each head that this node got from it and that was signed before a receipt of time `receipt`.
    pub fn has_grown(&self, peer: &NodeId, head: &LedgerHead, receipt: Timestamp) -> bool {
        let known = self.known_heads(peer);
        let mut known = known.iter().filter_map(|signed| signed.peek_unverified().ok());
        known.all(|earlier| may_follow(&earlier, head, receipt))
    }
}

/// After a restore that was acknowledged at the peer, its ledger may be shorter.
fn may_follow(earlier: &LedgerHead, head: &LedgerHead, receipt: Timestamp) -> bool {
    let is_before = receipt.since(earlier.at) > MAX_HEAD_DELAY_MS;
    !is_before || (earlier.generation, earlier.tree.size) < (head.generation, head.tree.size)
}

#[cfg(test)]
mod tests {
    use concordat_protocol::audit::TreeHead;
    use concordat_protocol::ids::{Digest32, InstitutionId};

    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn head(generation: u32, size: u64, at: i64) -> LedgerHead {
        LedgerHead {
            institution: InstitutionId::new("zurich").unwrap(),
            node: NodeId::from_bytes([1; 32]),
            generation,
            tree: TreeHead {
                size,
                root: Digest32::ZERO,
            },
            at: NOON.plus_millis(at),
        }
    }

    #[test]
    fn head_of_a_countersignature_is_longer_than_those_before_the_receipt() {
        let before = -MAX_HEAD_DELAY_MS - 1;
        for (earlier, shown, follows) in [
            (head(0, 7, before), head(0, 8, 0), true),
            (head(0, 7, before), head(0, 7, 0), false),
            (head(0, 7, before), head(0, 6, 0), false),
            // It may have been signed after the countersignature, by a clock that is behind.
            (head(0, 7, before + 1), head(0, 6, 0), true),
            (head(0, 7, before), head(1, 6, 0), true),
            (head(1, 7, before), head(0, 8, 0), false),
        ] {
            assert_eq!(may_follow(&earlier, &shown, NOON), follows, "{earlier:?} {shown:?}");
        }
    }
}
