//! Agreements that have lost what they were about: a dataset that was erased, or a state of this node that was replaced by an older copy.

use concordat_protocol::audit::NodeTask;
use concordat_protocol::grant::{GrantEvent, Party};
use concordat_protocol::ids::{CollectionRef, GrantId, NegotiationId};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;
use tracing::Instrument;

use super::bound_collection::BoundCollection;
use super::entry::{Entry, Origin};
use super::store::LockedSlot;
use super::{NegotiationError, Negotiations};
use crate::attribution::by_node;
use crate::shutdown::Stage;

/// Why grants are suspended that were agreed before a restoration.
const RESTORED: &str = "this node was restored from an older copy, which may lack a revocation; compare this grant with the other side, then \
                        resume or revoke it";

impl Negotiations {
    /// At the start and after each restoration: suspends the grants from before, and ends what is about erased datasets, until `stage` stops.
    /// Until that is recorded, no lease is issued either: issuing one compares the same values.
    pub(super) async fn follow_restorations(self, stage: Stage) {
        let mut restorations = self.0.restorations.watch();
        loop {
            restorations.borrow_and_update();
            self.suspend_restored().await;
            self.end_erased(&by_node(NodeTask::Maintenance)).await;
            match stage.token().run_until_cancelled(restorations.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    async fn suspend_restored(&self) {
        let by = by_node(NodeTask::Maintenance);
        for id in self.0.grants.active_from_before_a_restoration().await {
            let event = (GrantEvent::Suspend, Reason::sanitized(RESTORED));
            self.change_quietly(&id, event, &by).await;
        }
    }

    /// Revokes the grants over datasets that do not exist any more, and ends the open negotiations over them. Another dataset of the same
    /// name does not count.
    pub(crate) async fn end_erased(&self, by: &Attribution) {
        let now = self.0.clock.now();
        for (id, dataset) in self.0.grants.open_as_provider(now).await {
            match dataset.exists(&self.0.storage).await {
                Ok(true) => {}
                Ok(false) => {
                    let event = (GrantEvent::Revoke, Reason::sanitized("the dataset was erased"));
                    self.change_quietly(&id, event, by).await;
                }
                Err(error) => tracing::warn!(%error, "the dataset of a grant could not be looked up"),
            }
        }
        self.end_former(by).await;
    }

    /// Changes a grant. If the other side is connected, it is notified now, and otherwise when it connects.
    async fn change_quietly(&self, id: &GrantId, event: (GrantEvent, Reason), by: &Attribution) {
        let changing = async {
            match self.record_amendment(id, event, by).await {
                Ok(()) => tracing::warn!("a grant was changed, because it has lost what it was about"),
                Err(error) => tracing::error!(%error, "a grant could not be changed"),
            }
            let connected = self.0.grants.get(id).await.and_then(|view| {
                let peer = view.terms.side(view.party.other());
                self.attested(&peer)
            });
            if connected.is_some()
                && let Err(error) = self.notify(id).await
            {
                tracing::debug!(%error, "the other side has not acknowledged the change");
            }
        };
        changing.instrument(self.span(&NegotiationId::from(*id))).await;
    }

    /// Why a negotiation cannot continue, in a state that this side may end; `None` if it can, or has to wait for the other side to end it.
    pub(super) async fn obstacle(
        &self,
        entry: &Entry,
        locked: &LockedSlot,
        now: Timestamp,
    ) -> Result<Option<Reason>, NegotiationError> {
        if !entry.state_name().may_terminate(entry.party()) {
            return Ok(None);
        }
        match self.changed_sides(entry, locked.admitted(), now)? {
            Some(reason) => Ok(Some(reason)),
            None => self.outdated(entry.party(), entry.collection(), &locked.origin()).await,
        }
    }

    /// Why a negotiation of this node has lost what it was about; `None` if it has not.
    pub(super) async fn outdated(
        &self,
        us: Party,
        collection: Option<&CollectionRef>,
        origin: &Origin,
    ) -> Result<Option<Reason>, NegotiationError> {
        let institution = &self.0.identity.institution;
        if origin.restorations != self.0.restorations.current() {
            let text =
                format!("`{institution}` was restored from an older copy after the negotiation began; start a new one");
            return Ok(Some(Reason::sanitized(&text)));
        }
        let Some(collection) = collection.filter(|_| us == Party::Provider) else {
            return Ok(None);
        };
        let bound = BoundCollection::new(collection.clone(), origin.dataset);
        if bound.exists(&self.0.storage).await? {
            return Ok(None);
        }
        let text = format!(
            "the dataset `{}` was erased after the negotiation began",
            collection.collection
        );
        Ok(Some(Reason::sanitized(&text)))
    }
}
