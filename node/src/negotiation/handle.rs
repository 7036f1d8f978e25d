//! The handle to the negotiations of this node, and what it shows of them.

use std::sync::Arc;
use std::time::Duration;

use concordat_protocol::ids::{GrantId, NegotiationId};
use concordat_protocol::negotiation::StateName;
use concordat_storage::{data_dir::Storage, ledger::Ledger};
use tracing::Span;

use super::NegotiationError;
use super::entry::NegotiationView;
use super::grants::Grants;
use super::span;
use super::store::Store;
use super::summary::{ListPosition, NegotiationSummary};
use crate::changes::Changes;
use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::iam::Accounts;
use crate::identity::Identity;
use crate::membership::Membership;
use crate::policies::LivePolicy;
use crate::restorations::Restorations;
use concordat_network::NetworkHandle;

/// A cloneable handle to the negotiations of this node.
#[derive(Clone, Debug)]
pub struct Negotiations(pub(super) Arc<Inner>);

/// The parts of which negotiations consist.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) identity: Arc<Identity>,
    pub(super) storage: Storage,
    pub(super) changes: Changes,
    pub(super) clock: Clock,
    pub(super) epoch: Epoch,
    pub(super) network: NetworkHandle,
    pub(super) membership: Membership,
    pub(super) grants: Grants,
    pub(super) policy: LivePolicy,
    pub(super) store: Store,
    pub(super) accounts: Accounts,
    pub(super) restorations: Restorations,
    pub(super) retry_interval: Duration,
}

/// The parts that [`Negotiations`] needs.
#[derive(Debug)]
pub struct NegotiationParts {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Where negotiations and datasets are stored.
    pub storage: Storage,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock.
    pub clock: Clock,
    /// Raised with each change of a grant.
    pub epoch: Epoch,
    /// The network.
    pub network: NetworkHandle,
    /// The consortium.
    pub membership: Membership,
    /// The register of grants.
    pub grants: Grants,
    /// The policies.
    pub policy: LivePolicy,
    /// The accounts of this institution's people.
    pub accounts: Accounts,
    /// How often this node went on from an older copy of its state.
    pub restorations: Restorations,
    /// How often what a connected peer has not acknowledged is sent again.
    pub retry_interval: Duration,
}

impl Negotiations {
    /// Loads the stored negotiations.
    ///
    /// # Errors
    /// [`NegotiationError`] when the state cannot be read or a negotiation in it is damaged.
    pub fn open(parts: NegotiationParts) -> Result<Self, NegotiationError> {
        let NegotiationParts {
            identity,
            storage,
            ledger,
            clock,
            epoch,
            network,
            membership,
            grants,
            policy,
            accounts,
            restorations,
            retry_interval,
        } = parts;
        let store = Store::open(&storage)?;
        let changes = Changes::open(storage.meta(), ledger)?;
        Ok(Self(Arc::new(Inner {
            identity,
            storage,
            changes,
            clock,
            epoch,
            network,
            membership,
            grants,
            policy,
            store,
            accounts,
            restorations,
            retry_interval,
        })))
    }

    /// One negotiation.
    ///
    /// # Errors
    /// [`NegotiationError::UnknownNegotiation`].
    pub async fn show(&self, id: &NegotiationId) -> Result<NegotiationView, NegotiationError> {
        let mut view = self.0.store.load(id).await?.view();
        view.stopped = self.0.store.stopped(id);
        Ok(view)
    }

    /// What a list shows of the negotiations after `after`, or of all, in the order of their first messages. Reads no record; it still takes a while if
    /// there are many.
    pub fn summaries(&self, after: Option<ListPosition>) -> impl Iterator<Item = NegotiationSummary> {
        let positions = self.0.store.positions(after).into_iter();
        // One that was removed meanwhile is left out.
        positions.filter_map(move |position| self.0.store.summary(&position.id))
    }

    /// The negotiations whose ids start with `prefix`. Reads no record; it still takes a while if there are many.
    pub(crate) fn ids_with_prefix(&self, prefix: &str) -> Vec<NegotiationId> {
        self.0.store.ids_with_prefix(prefix)
    }

    /// Waits until the negotiation has ended or `timeout` has passed, and returns its state at that time.
    ///
    /// # Errors
    /// [`NegotiationError::UnknownNegotiation`].
    pub async fn wait_until_ended(
        &self,
        id: &NegotiationId,
        timeout: Duration,
    ) -> Result<NegotiationView, NegotiationError> {
        let mut changes = self.0.store.watch();
        let ended = async {
            loop {
                changes.mark_unchanged();
                let view = self.show(id).await?;
                if self.has_ended(&view).await || changes.changed().await.is_err() {
                    return Ok(view);
                }
            }
        };
        match tokio::time::timeout(timeout, ended).await {
            Ok(view) => view,
            Err(_) => self.show(id).await,
        }
    }

    /// Whether no automatic step follows: it was terminated, or its grant is in the register.
    async fn has_ended(&self, view: &NegotiationView) -> bool {
        match view.state {
            StateName::Terminated => true,
            StateName::Finalized => self.0.grants.get(&GrantId::from(view.id)).await.is_some(),
            StateName::Requested
            | StateName::Offered
            | StateName::Accepted
            | StateName::Agreed
            | StateName::Verified => false,
        }
    }

    /// The span of a negotiation, for everything that is done in it; none if the negotiation is unknown.
    pub(super) fn span(&self, id: &NegotiationId) -> Span {
        match self.0.store.peer(id) {
            Some(peer) => span::of(id, &peer.institution),
            None => Span::none(),
        }
    }
}
