//! The encoding by which parts of a statistic are compared and identified.

use serde::Serialize;

/// The encoding of a part.
pub(super) fn cbor<T: Serialize>(part: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail, and no part has a type that cannot be encoded.
    let _ = ciborium::into_writer(part, &mut bytes);
    bytes
}
