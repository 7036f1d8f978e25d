//! The handle to the federated query service.

use std::sync::Arc;

use concordat_storage::ledger::Ledger;
use tokio_util::sync::CancellationToken;

use super::catalog_requests::CatalogRequests;
use super::column_cache::GrantColumns;
use super::known_texts::KnownTexts;
use super::local_engine::KnownQueries;
use super::outgoing::OutgoingQueries;
use super::parsing::Parsing;
use super::remote_dataset::RemoteDataset;
use crate::clock::Clock;
use crate::evidence::Evidence;
use crate::identity::Identity;
use crate::membership::Membership;
use crate::negotiation::Grants;
use crate::sharing::Sharing;
use concordat_network::NetworkHandle;

/// A cloneable handle to the federated query service.
#[derive(Clone, Debug)]
pub struct Federation(pub(super) Arc<Inner>);

/// What all clones of the handle share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) parts: FederationParts,
    pub(super) grant_columns: GrantColumns,
    pub(super) outgoing: OutgoingQueries,
    pub(super) known: KnownQueries,
    pub(super) parsing: Parsing,
    pub(super) known_texts: KnownTexts,
    pub(super) catalogs: CatalogRequests<RemoteDataset>,
}

/// The dependencies of [`Federation`].
#[derive(Debug)]
pub struct FederationParts {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock.
    pub clock: Clock,
    /// The network.
    pub network: NetworkHandle,
    /// The consortium.
    pub membership: Membership,
    /// The register of grants.
    pub grants: Grants,
    /// Access to our own datasets.
    pub sharing: Sharing,
    /// The evidence records of queries.
    pub evidence: Evidence,
    /// Canceled when this node begins to stop.
    pub stopping: CancellationToken,
}

impl Federation {
    /// Creates the service.
    pub fn new(parts: FederationParts) -> Self {
        Self(Arc::new(Inner {
            parts,
            grant_columns: GrantColumns::default(),
            outgoing: OutgoingQueries::default(),
            known: KnownQueries::default(),
            parsing: Parsing::default(),
            known_texts: KnownTexts::default(),
            catalogs: CatalogRequests::default(),
        }))
    }
}
