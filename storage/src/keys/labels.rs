//! Every label a key or hash is derived under, one a line; a label is never reused or changed.

/// Key-encrypting key from the contents of a key file.
pub(crate) const KEY_FILE: &str = "concordat/1 key file";
/// Checksum of `master.key`.
pub(crate) const MASTER_CHECK: &str = "concordat/1 master key checksum";
/// The master key, wrapped under the key-encrypting key.
pub(crate) const MASTER_WRAP: &str = "concordat/1 master key wrap";
/// Master key to the key that seals the state database.
pub(crate) const STATE: &str = "concordat/1 state";
/// State key to the key of its values.
pub(crate) const STATE_VALUES: &str = "concordat/1 state values";
/// State key to the key that hashes logical keys.
pub(crate) const STATE_NAMES: &str = "concordat/1 state names";
/// Master key to the key of the ledger.
pub(crate) const LEDGER: &str = "concordat/1 ledger";
/// Master key to the key that seals the node's own private keys.
pub(crate) const IDENTITY: &str = "concordat/1 identity";
/// A small secret, sealed under the identity key.
pub(crate) const IDENTITY_SECRET: &str = "concordat/1 identity secret";
/// Master key to the key that wraps segment keys.
pub(crate) const SEGMENTS: &str = "concordat/1 segments";
/// A segment key, wrapped.
pub(crate) const SEGMENT_WRAP: &str = "concordat/1 segment key wrap";
/// A dataset key, wrapped.
pub(crate) const DATASET_WRAP: &str = "concordat/1 dataset key wrap";
/// Dataset key to its public id.
pub(crate) const DATASET_ID: &str = "concordat/1 dataset key id";
/// Dataset key to the key of one object.
pub(crate) const OBJECT: &str = "concordat/1 object";
/// Hash of an object's header, the associated data of its blocks.
pub(crate) const OBJECT_HEADER: &str = "concordat/1 object header";
/// Hash of an object's plaintext, as its manifest states it.
pub(crate) const OBJECT_CONTENT: &str = "concordat/1 object content";
/// One value of the state database.
pub(crate) const META_VALUE: &str = "concordat/1 state value";
/// The state database's commit counter beside it.
pub(crate) const META_HEAD: &str = "concordat/1 state head";
/// Dataset key to the key of the pseudonyms under one grant.
pub(crate) const PSEUDONYM: &str = "concordat/1 pseudonyms";
