//! A dataset of another institution, as its catalog lists it.

use concordat_protocol::ids::DatasetRef;
use concordat_protocol::scope::Tier;
use concordat_protocol::wire::messages::CatalogDataset;
use serde::{Deserialize, Serialize};

/// A dataset at another institution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteDataset {
    /// The dataset and its institution.
    pub dataset: DatasetRef,
    /// What its holder publishes about it.
    pub listed: CatalogDataset,
    /// The highest tier that a request can obtain.
    pub tier: Tier,
}
