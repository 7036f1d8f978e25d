//! Which place the state belongs to: the marker that the data directory's objects are found by.

use std::{collections::BTreeSet, path::Path as FsPath};

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::StorageError;
use crate::{
    keys::KeyError,
    meta::{MetaError, SealedDb, SealedTree, TreeId},
    objects::{OwnershipMarker, PlaceError, S3Url, UnknownObjects},
};

const PLACES: TreeId = TreeId::new("object-places");
const PLACE: &str = "place";

/// The place of the objects, as the state remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceRecord {
    url: String,
    marker: OwnershipMarker,
}

/// The marker that this data directory's objects bear. A place at another address keeps the marker; the state names the new
/// address from here on.
pub(super) fn marker(meta: &SealedDb, url: &S3Url) -> Result<OwnershipMarker, StorageError> {
    let places = places(meta)?;
    let url = url.to_string();
    let known = places.get(PLACE)?;
    if let Some(known) = known.as_ref().filter(|known| known.url == url) {
        return Ok(known.marker);
    }
    let marker = match known {
        Some(known) => known.marker,
        None => OwnershipMarker::random().map_err(KeyError::Random)?,
    };
    places.put(PLACE, &PlaceRecord { url, marker })?;
    Ok(marker)
}

/// Forgets which place the state belonged to, as a copy of a data directory must: its objects lie in a place of their own.
pub(super) fn forget(meta: &SealedDb) -> Result<(), MetaError> {
    places(meta)?.remove(PLACE)
}

/// Makes sure that the objects of a data directory without a store are in it, and did not stay in the one that it had before.
pub(super) fn must_be_local(
    meta: &SealedDb,
    objects: &FsPath,
    required: impl FnOnce() -> Result<BTreeSet<Path>, UnknownObjects>,
) -> Result<(), StorageError> {
    let places = places(meta)?;
    let Some(known) = places.get(PLACE)? else { return Ok(()) };
    let required = required().map_err(|source| PlaceError::Unlisted {
        place: known.url.clone(),
        source,
    })?;
    if required.iter().all(|path| objects.join(path.as_ref()).is_file()) {
        return Ok(places.remove(PLACE)?);
    }
    Err(PlaceError::Elsewhere { place: known.url }.into())
}

fn places(meta: &SealedDb) -> Result<SealedTree<PlaceRecord>, MetaError> {
    meta.tree(PLACES)
}
