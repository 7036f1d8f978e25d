//! What other institutions have: their catalogues, as far as this node may know.

use concordat_protocol::ids::{DatasetRef, InstitutionId};
use concordat_protocol::wire::messages::{CatalogColumn, CatalogEntry, CatalogReply, CatalogRequest, MAX_CATALOG};
use serde::{Deserialize, Serialize};

use super::Federation;
use super::fault::QueryFault;
use crate::network::NetworkError;
use crate::sharing::CATALOG;

/// Most pages that are read; a page may be empty, because datasets that may not be seen count in the holder's order.
const MAX_PAGES: usize = 10_000;

/// Most bytes of memory that a catalogue takes here: 10,000 datasets of fifty columns.
const MAX_KEPT: usize = 64 << 20;

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
    /// [`QueryFault::Unreachable`], or [`QueryFault::Misbehaved`] when the catalogue has no end or is too large.
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
        let (mut known, mut from, mut kept): (Vec<RemoteDataset>, u32, usize) = (Vec::new(), 0, 0);
        for _ in 0..MAX_PAGES {
            stream.send(&CatalogRequest { from }).await.map_err(unreachable)?;
            let CatalogReply { datasets, next } = stream.expect().await.map_err(unreachable)?;
            kept = datasets.iter().map(size).fold(kept, usize::saturating_add);
            if kept > MAX_KEPT {
                return Err(QueryFault::Misbehaved {
                    provider: peer.clone(),
                    detail: format!("its catalogue is larger than {MAX_KEPT} bytes"),
                });
            }
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

/// The memory that an entry takes.
fn size(entry: &CatalogEntry) -> usize {
    let text = |column: &CatalogColumn| {
        let name = column.name.as_str().len();
        name.saturating_add(column.kind.len())
            .saturating_add(column.class.len())
    };
    let columns = entry
        .columns
        .iter()
        .map(|column| text(column).saturating_add(size_of::<CatalogColumn>()));
    columns.fold(size_of::<RemoteDataset>(), usize::saturating_add)
}
