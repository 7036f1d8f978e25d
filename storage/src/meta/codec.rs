//! Encoding of values and keys on disk.

use concordat_keys::StateKey;
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::MetaError;

/// A logical key as it is stored in sled.
pub(super) type HashedKey = [u8; 32];

/// A logical key, hashed for its tree.
pub(super) fn hashed(key: &StateKey, tree: &'static str, logical: &str) -> HashedKey {
    key.hash_name(tree, logical)
}

/// CBOR of a value with its logical key.
pub(super) fn encode<V: Serialize>(
    tree: &'static str,
    logical: &str,
    value: &V,
) -> Result<Zeroizing<Vec<u8>>, MetaError> {
    let mut plain = Zeroizing::new(Vec::with_capacity(512));
    ciborium::into_writer(&(logical, value), &mut *plain).map_err(|_| MetaError::Encode { tree })?;
    Ok(plain)
}

/// The value and its logical key, from CBOR.
pub(super) fn decode<V: DeserializeOwned>(tree: &'static str, plain: &[u8]) -> Result<(String, V), MetaError> {
    ciborium::from_reader(plain).map_err(|_| MetaError::Kind { tree })
}

/// Seals an encoded value for its tree and key.
pub(super) fn seal_value(
    key: &StateKey,
    tree: &'static str,
    hashed: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, MetaError> {
    key.seal_value(tree, hashed, plain).map_err(MetaError::Key)
}

/// Opens a value of a tree and key.
pub(super) fn open_value(
    key: &StateKey,
    tree: &'static str,
    hashed: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, MetaError> {
    key.open_value(tree, hashed, sealed)
        .map_err(|_| MetaError::Value { tree })
}
