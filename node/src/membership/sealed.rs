//! The roster in the sealed state.

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::Digest32;
use concordat_protocol::membership::Roster;
use concordat_protocol::signed::CoSigned;
use concordat_storage::meta::TreeId;
use serde::{Deserialize, Serialize};

use crate::bound_state::Bound;

/// The roster as signed, and its number.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedRoster {
    /// Its number.
    pub(super) number: u64,
    /// As signed by holders of the charter.
    pub(super) signed: CoSigned<Roster>,
}

impl Bound for SealedRoster {
    const WHAT: &'static str = "roster";
    const TREE: TreeId = TreeId::new("roster");
    const HISTORY: Option<TreeId> = None;

    fn digest(&self) -> Digest32 {
        // Bytes without a digest cannot match those that the ledger announced.
        self.signed.payload_digest().unwrap_or(Digest32::ZERO)
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn announced(entry: &EntryBody) -> Option<Digest32> {
        if let EntryBody::RosterAccepted { digest, .. } = entry {
            Some(*digest)
        } else {
            None
        }
    }
}
