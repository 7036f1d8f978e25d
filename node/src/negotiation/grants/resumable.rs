//! What a grant needs before it is resumed.

use concordat_protocol::ids::InstitutionId;

use super::record::Record;
use crate::negotiation::NegotiationError;
use crate::restorations::RestorationCount;

/// The other side of a suspended grant is a member. Whether its notices were compared since the last restoration is checked under the lock.
#[derive(Debug)]
pub(in crate::negotiation) struct Resumable {
    peer: InstitutionId,
    peer_since: u64,
    restorations: RestorationCount,
}

impl Resumable {
    /// The other side `peer` was admitted with roster `peer_since`.
    pub(super) const fn new(peer: InstitutionId, peer_since: u64, restorations: RestorationCount) -> Self {
        Self {
            peer,
            peer_since,
            restorations,
        }
    }

    /// The roster that admitted the other side.
    pub(in crate::negotiation) const fn peer_since(&self) -> u64 {
        self.peer_since
    }

    /// The restorations of this node until now.
    pub(in crate::negotiation) const fn restorations(&self) -> RestorationCount {
        self.restorations
    }

    /// Checks that what this node did to the grant and does not know any more was learned from the other side.
    ///
    /// # Errors
    /// [`NegotiationError::NotCompared`] as long as the other side has not connected since the last restoration.
    pub(in crate::negotiation) fn check_compared(&self, record: &Record) -> Result<(), NegotiationError> {
        if record.compared == self.restorations {
            Ok(())
        } else {
            Err(NegotiationError::NotCompared {
                peer: self.peer.clone(),
            })
        }
    }
}
