//! The catalogs of other institutions, as far as this node may see them.

use concordat_protocol::collection::ColumnRole;
use concordat_protocol::ids::{CollectionName, CollectionRef, DatasetRef, InstitutionId, NodeId};
use concordat_protocol::wire::messages::{
    CatalogColumn, CatalogDataset, CatalogEntry, CatalogReply, CatalogRequest, MAX_CATALOG,
};
use concordat_protocol::wire::streams::CATALOG;

use super::error::FederationError;
use super::handle::Federation;
use super::remote_dataset::RemoteDataset;
use concordat_network::NetworkError;

/// Most pages that are read. A page may be empty, because hidden datasets also count when the holder divides its list into pages.
const MAX_PAGES: usize = 10_000;

/// Most bytes of memory that a remote catalog may take: 10,000 datasets of fifty columns.
const MAX_CATALOG_BYTES: usize = 64 << 20;

impl Federation {
    /// All datasets of `peer` that this node may see.
    ///
    /// # Errors
    /// [`FederationError::Unreachable`], or [`FederationError::Misbehaved`] if the catalog does not end or is too large.
    pub async fn catalog_of(&self, peer: &InstitutionId) -> Result<Vec<RemoteDataset>, FederationError> {
        self.shared_catalog(peer, None).await
    }

    /// The datasets of one collection of another institution that this node may see; none if it may not see the collection. No other is
    /// requested.
    ///
    /// # Errors
    /// As [`Self::catalog_of`].
    pub async fn collection_of(&self, collection: &CollectionRef) -> Result<Vec<RemoteDataset>, FederationError> {
        let mut listed = self
            .shared_catalog(&collection.institution, Some(&collection.collection))
            .await?;
        listed.retain(|listed| listed.dataset.collection() == *collection);
        Ok(listed)
    }

    /// One request at a time to each member; those of other people wait for it.
    async fn shared_catalog(
        &self,
        peer: &InstitutionId,
        collection: Option<&CollectionName>,
    ) -> Result<Vec<RemoteDataset>, FederationError> {
        let parts = &self.0.parts;
        let roster = parts.membership.valid_roster(parts.clock.now());
        let roster = roster.map_err(|error| FederationError::machine("the roster cannot be used", error))?;
        let node = roster.active_member(peer).and_then(|member| member.nodes.first());
        let node = node
            .ok_or_else(|| FederationError::NotMember { provider: peer.clone() })?
            .node;
        let request = self.request_catalog(peer, node, collection);
        self.0.catalogs.share(peer, collection, request).await
    }

    async fn request_catalog(
        &self,
        peer: &InstitutionId,
        node: NodeId,
        collection: Option<&CollectionName>,
    ) -> Result<Vec<RemoteDataset>, FederationError> {
        let parts = &self.0.parts;
        let unreachable = |source: NetworkError| FederationError::Unreachable {
            provider: peer.clone(),
            source,
        };
        let mut stream = parts.network.open(node, CATALOG).await.map_err(unreachable)?;
        let mut known: Vec<RemoteDataset> = Vec::new();
        let mut from: u32 = 0;
        let mut used: usize = 0;
        for _ in 0..MAX_PAGES {
            let request = CatalogRequest {
                from,
                collection: collection.cloned(),
            };
            stream.send(&request).await.map_err(unreachable)?;
            let CatalogReply { collections, next } = stream.expect().await.map_err(unreachable)?;
            used = collections.iter().map(size).fold(used, usize::saturating_add);
            if used > MAX_CATALOG_BYTES {
                return Err(FederationError::Misbehaved {
                    provider: peer.clone(),
                    detail: format!("its catalog is larger than {MAX_CATALOG_BYTES} bytes"),
                });
            }
            known.extend(collections.into_iter().flat_map(|entry| datasets_of(peer, entry)));
            match next {
                None => return Ok(known),
                Some(next) if next > from && known.len() <= MAX_CATALOG => from = next,
                Some(_) => break,
            }
        }
        Err(FederationError::Misbehaved {
            provider: peer.clone(),
            detail: "its catalog does not end".to_owned(),
        })
    }

    /// The active members other than this institution.
    pub fn peers(&self) -> Vec<InstitutionId> {
        let parts = &self.0.parts;
        let Ok(roster) = parts.membership.valid_roster(parts.clock.now()) else {
            return Vec::new();
        };
        let others = roster.active_members().map(|member| &member.institution);
        others
            .filter(|institution| **institution != parts.identity.institution)
            .cloned()
            .collect()
    }
}

/// The datasets of a collection of `peer`.
fn datasets_of(peer: &InstitutionId, entry: CatalogEntry) -> impl Iterator<Item = RemoteDataset> {
    let CatalogEntry {
        collection,
        datasets,
        tier,
        protections: _,
    } = entry;
    let institution = peer.clone();
    datasets.into_iter().map(move |listed| RemoteDataset {
        dataset: DatasetRef {
            institution: institution.clone(),
            collection: collection.clone(),
            dataset: listed.name.clone(),
        },
        listed,
        tier,
    })
}

/// The memory that an entry takes, in bytes.
fn size(entry: &CatalogEntry) -> usize {
    let text = |column: &CatalogColumn| {
        let linked = match &column.role {
            ColumnRole::Link { to, key } => to.as_str().len().saturating_add(key.as_str().len()),
            ColumnRole::Subject | ColumnRole::Key | ColumnRole::Value => 0,
        };
        let unit = column.unit.as_ref().map_or(0, |unit| unit.as_str().len());
        let parts = [
            column.name.as_str().len(),
            column.kind.len(),
            column.class.len(),
            linked,
            unit,
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    };
    let columns = |dataset: &CatalogDataset| {
        let columns = dataset.columns.iter();
        let columns = columns.map(|column| text(column).saturating_add(size_of::<CatalogColumn>()));
        columns.fold(size_of::<RemoteDataset>(), usize::saturating_add)
    };
    entry
        .datasets
        .iter()
        .map(columns)
        .fold(size_of::<CatalogEntry>(), usize::saturating_add)
}
