//! Whose place it is: a random number, once in the sealed state and once at the place.

use std::{
    collections::BTreeSet,
    fmt,
    path::Path as FsPath,
    sync::{Arc, OnceLock},
};

use concordat_protocol::ids::Nonce;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::{PlaceError, S3Url};
use crate::{
    catalog::CatalogError,
    keys::KeyError,
    meta::{MetaError, SealedDb, SealedTree, TreeId},
};

const PLACES: TreeId = TreeId::new("object-places");
const PLACE: &str = "place";

/// The mark of a place, as the state remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceRecord {
    url: String,
    mark: Nonce,
}

/// Which objects must be at a place that is new to this data directory.
pub(crate) type Needed = Box<dyn Fn() -> Result<BTreeSet<Path>, CatalogError> + Send + Sync>;

/// The right to one place.
#[derive(Clone)]
pub(super) struct Claim {
    pub(super) mark: Nonce,
    needed: Arc<OnceLock<Needed>>,
}

impl Claim {
    /// The claim that the state remembers, or a new one.
    pub(super) fn remembered(meta: &SealedDb, url: &S3Url) -> Result<Self, PlaceError> {
        let places = places(meta)?;
        let url = url.to_string();
        let known = places.get(PLACE)?;
        if let Some(known) = known.as_ref().filter(|known| known.url == url) {
            return Ok(Self::of(known.mark));
        }
        let mark = match known {
            Some(known) => known.mark,
            None => random()?,
        };
        places.put(PLACE, &PlaceRecord { url, mark })?;
        Ok(Self::of(mark))
    }

    fn of(mark: Nonce) -> Self {
        Self {
            mark,
            needed: Arc::default(),
        }
    }

    /// Says which objects must be there. The first one to say so is heard.
    pub(super) fn need(&self, needed: Needed) {
        // By the order of opening nobody says it twice.
        drop(self.needed.set(needed));
    }

    /// The objects that must be there. Blocks.
    pub(super) fn needed(&self) -> Result<BTreeSet<Path>, CatalogError> {
        self.needed.get().map_or_else(|| Ok(BTreeSet::new()), |needed| needed())
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}

/// Forgets which place the state belonged to, as a copy of a data directory must: its objects lie in a place of their own.
pub(crate) fn forget(meta: &SealedDb) -> Result<(), MetaError> {
    places(meta)?.remove(PLACE)
}

/// Makes sure that the objects of a data directory without a store are in it, and did not stay in the one that it had before.
pub(crate) fn must_be_here(
    meta: &SealedDb,
    objects: &FsPath,
    needed: impl FnOnce() -> Result<BTreeSet<Path>, CatalogError>,
) -> Result<(), PlaceError> {
    let places = places(meta)?;
    let Some(known) = places.get(PLACE)? else { return Ok(()) };
    let needed = needed().map_err(|source| PlaceError::Needed {
        place: known.url.clone(),
        source: Box::new(source),
    })?;
    if needed.iter().all(|path| objects.join(path.as_ref()).is_file()) {
        return Ok(places.remove(PLACE)?);
    }
    Err(PlaceError::Elsewhere { place: known.url })
}

fn places(meta: &SealedDb) -> Result<SealedTree<PlaceRecord>, MetaError> {
    meta.tree(PLACES)
}

fn random() -> Result<Nonce, KeyError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
    Ok(Nonce::from_bytes(bytes))
}
