//! The object location that the data directory owns, and its ownership marker.

use std::{collections::BTreeSet, path::Path as FsPath};

use concordat_keys::KeyError;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::StorageError;
use crate::{
    meta::{MetaError, SealedDb, SealedTree, TreeId},
    objects::{LocationError, OwnershipMarker, S3Url, UnknownObjects},
};

const TREE: TreeId = TreeId::new("object-places");
const KEY: &str = "place";

/// The location of the objects, as recorded in the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LocationRecord {
    url: String,
    marker: OwnershipMarker,
}

/// The ownership marker of this data directory. If the location moved to another address, the marker stays the same and the new
/// address is recorded.
pub(super) fn marker(meta: &SealedDb, url: &S3Url) -> Result<OwnershipMarker, StorageError> {
    let tree = tree(meta)?;
    let url = url.to_string();
    let known = tree.get(KEY)?;
    if let Some(known) = known.as_ref().filter(|known| known.url == url) {
        return Ok(known.marker);
    }
    let marker = match known {
        Some(known) => known.marker,
        None => OwnershipMarker::random().map_err(KeyError::Random)?,
    };
    tree.put(KEY, &LocationRecord { url, marker })?;
    Ok(marker)
}

/// Removes the recorded location, as a copy of a data directory must: its objects need a location of their own.
pub(super) fn forget(meta: &SealedDb) -> Result<(), MetaError> {
    tree(meta)?.remove(KEY)
}

/// Checks that the objects of a data directory without a remote store are in it, and were not left in the store that it used
/// before.
pub(super) fn check_local(
    meta: &SealedDb,
    objects: &FsPath,
    required: impl FnOnce() -> Result<BTreeSet<Path>, UnknownObjects>,
) -> Result<(), StorageError> {
    let tree = tree(meta)?;
    let Some(known) = tree.get(KEY)? else { return Ok(()) };
    let required = required().map_err(|source| LocationError::Unlisted {
        location: known.url.clone(),
        source,
    })?;
    if required.iter().all(|path| objects.join(path.as_ref()).is_file()) {
        return Ok(tree.remove(KEY)?);
    }
    Err(LocationError::Elsewhere { location: known.url }.into())
}

fn tree(meta: &SealedDb) -> Result<SealedTree<LocationRecord>, MetaError> {
    meta.tree(TREE)
}
