//! What other institutions have: their catalogues, as far as this node may know.

use concordat_protocol::ids::{DatasetRef, InstitutionId};
use concordat_protocol::wire::messages::{CatalogEntry, CatalogReply, CatalogRequest, MAX_CATALOG};
use serde::{Deserialize, Serialize};

use super::Federation;
use super::fault::QueryFault;
use crate::network::NetworkError;
use crate::sharing::CATALOG;

/// Most pages that are read; a page may be empty, because datasets that may not be seen count in the holder's order.
const MAX_PAGES: usize = 10_000;

/// A dataset at another institution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteDataset {
    /// Which one, and whose.
    pub dataset: DatasetRef,
    /// What its holder tells of it.
    pub entry: CatalogEntry,
}

impl Federation {
    /// All that this node may know of at `peer`.
    ///
    /// # Errors
    /// [`QueryFault::Unreachable`], or [`QueryFault::Misbehaved`] when the catalogue has no end.
    pub async fn catalog_of(&self, peer: &InstitutionId) -> Result<Vec<RemoteDataset>, QueryFault> {
        let parts = &self.0.parts;
        let roster = parts.membership.in_force(parts.clock.now());
        let roster = roster.map_err(|error| QueryFault::machine("the roster cannot be used", error))?;
        let node = roster.active_member(peer).and_then(|member| member.nodes.first());
        let node = node
            .ok_or_else(|| QueryFault::NotMember { provider: peer.clone() })?
            .node;
        let unreachable = |source: NetworkError| QueryFault::Unreachable {
            provider: peer.clone(),
            source,
        };
        let mut stream = parts.network.open(node, CATALOG).await.map_err(unreachable)?;
        let (mut known, mut from): (Vec<RemoteDataset>, u32) = (Vec::new(), 0);
        for _ in 0..MAX_PAGES {
            stream.send(&CatalogRequest { from }).await.map_err(unreachable)?;
            let CatalogReply { datasets, next } = stream.expect().await.map_err(unreachable)?;
            known.extend(datasets.into_iter().map(|entry| RemoteDataset {
                dataset: DatasetRef {
                    institution: peer.clone(),
                    dataset: entry.dataset.clone(),
                },
                entry,
            }));
            match next {
                None => return Ok(known),
                Some(next) if next > from && known.len() <= MAX_CATALOG => from = next,
                Some(_) => break,
            }
        }
        Err(QueryFault::Misbehaved {
            provider: peer.clone(),
            detail: "its catalogue has no end".to_owned(),
        })
    }

    /// The active members other than this institution.
    pub fn peers(&self) -> Vec<InstitutionId> {
        let parts = &self.0.parts;
        let Ok(roster) = parts.membership.in_force(parts.clock.now()) else {
            return Vec::new();
        };
        let others = roster.active_members().map(|member| &member.institution);
        others
            .filter(|institution| **institution != parts.identity.institution)
            .cloned()
            .collect()
    }
}
