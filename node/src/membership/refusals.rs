//! Enters rejected hellos and rosters in the ledger, in bounded number ([`crate::refusals`]).

use concordat_protocol::audit::EntryBody;

use super::handle::Membership;
use crate::refusals::Due;
use crate::shutdown::Stage;

impl Membership {
    /// Enters the counted refusals once their minute is over, until `stage` stops; then the remaining ones.
    pub(super) async fn enter_counted_refusals(self, stage: Stage) {
        let now = || self.0.clock.now();
        let enter = |due| self.enter_refusals(due);
        let bad_hellos = self.0.bad_hellos.enter_counted(&stage, now, enter);
        tokio::join!(
            bad_hellos,
            self.0.refused_rosters.counted().enter_counted(&stage, now, enter)
        );
    }

    /// Enters the refusals that are due.
    pub(super) async fn enter_refusals(&self, due: Vec<Due>) {
        for Due {
            peer,
            count,
            reason,
            by,
        } in due
        {
            tracing::warn!(peer = %peer.short(), count, %reason, "peer rejected");
            let entry = EntryBody::PeerRefused {
                node: peer,
                count,
                reason,
            };
            if let Err(error) = self.0.ledger.append_async(entry, &by, self.0.clock.now()).await {
                tracing::error!(%error, "the refusal of a peer could not be written to the ledger");
            }
        }
    }
}
