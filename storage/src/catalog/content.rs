//! The digests that identify an object.

use concordat_keys::{OBJECT_CONTENT, OBJECT_HEADER};
use concordat_protocol::ids::Digest32;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, Result, path::Path};

use crate::seal::{HEADER_LEN, SealError};

/// The digest that distinguishes a sealed object from every other one.
pub(super) async fn header_digest(sealed: &dyn ObjectStore, location: &Path) -> Result<Digest32> {
    let found = sealed.get_range(location, 0..HEADER_LEN as u64).await;
    let header = found.map_err(|error| {
        if matches!(error, object_store::Error::NotFound { .. }) {
            SealError::Missing.at(location)
        } else {
            error
        }
    })?;
    Ok(Digest32::from_bytes(blake3::derive_key(OBJECT_HEADER, &header)))
}

/// Length and hash of the object's contents, as read through `store`.
pub(super) async fn content(store: &dyn ObjectStore, location: &Path) -> Result<(u64, Digest32)> {
    let mut stream = store.get(location).await?.into_stream();
    let mut hasher = blake3::Hasher::new_derive_key(OBJECT_CONTENT);
    let mut len = 0;
    while let Some(bytes) = stream.try_next().await? {
        hasher.update(&bytes);
        len += bytes.len() as u64;
    }
    Ok((len, Digest32::from_bytes(*hasher.finalize().as_bytes())))
}
