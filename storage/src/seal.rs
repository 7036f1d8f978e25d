//! Sealed objects: bulk data at rest, encrypted block by block.
//!
//! An object is a header followed by blocks of 64 KiB of plaintext, each sealed separately:
//!
//! ```text
//! header, 56 bytes:  magic "CCSEAL" | format version 1 | suite | key id, 16 | random, 32
//! block n:           ciphertext, 65536 (the last: 1..=65536, or 0 if the object is empty) | tag, 16
//! ```
//!
//! 1. The object's key is derived from the dataset's key with the header's random bytes, so no two objects share a key and
//!    the block number can be used as the nonce.
//! 2. The nonce is three zero bytes, the block number (8 bytes, big endian) and one byte that is 1 for the last block. A
//!    block at another position, or a last block that is not last, does not open.
//! 3. The associated data is the hash of the header, so a block does not open under another header.
//!
//! [`SealedStore`] does this behind the `object_store` interface: above it everything is plain Parquet, below it everything is
//! plain files. A range read opens only the blocks it needs, plus, once per object, the last one: a sealed object that was cut
//! at a block boundary is detected no matter which part is read.
//!
//! The name of an object is *not* part of what is sealed (objects may be renamed); the version's manifest states which objects
//! form a dataset version, with their hashes.

mod error;
mod object;
mod openers;
mod read;
mod store;
mod upload;

pub use error::{SealError, store_error_kind};
pub use object::{BLOCK_LEN, HEADER_LEN, Opener, Sealer, open, plain_len, seal, sealed_len};
pub use store::SealedStore;
pub(crate) use upload::PART_LEN;

#[cfg(test)]
mod tests;
