//! All labels of key derivations and hashes, one per line; a label is never reused or changed. In format 1, which is no longer read,
//! `concordat/1 state` and `concordat/1 identity` were labels of root keys.

/// Key-encrypting key from the contents of a key file.
pub(crate) const KEY_FILE: &str = "concordat/1 key file";
/// Input of the HMAC in a token, before the salt.
pub(crate) const TOKEN_HMAC: &str = "concordat/1 token";
/// Key-encrypting key from the HMAC of a token.
pub(crate) const TOKEN_KEY: &str = "concordat/1 token key";
/// Name of the escrow that a share of a recovery key belongs to.
pub(crate) const SHARE_NAME: &str = "concordat/1 share of escrow";
/// Checksum of a share.
pub(crate) const SHARE_CHECK: &str = "concordat/1 share checksum";
/// Checksum of `master.key`.
pub(crate) const MASTER_CHECK: &str = "concordat/1 master key checksum";
/// Digest of `master.key`, by which the state knows the current file.
pub(crate) const MASTER_FILE: &str = "concordat/1 master key file";
/// The master key, wrapped under the key-encrypting key.
pub(crate) const MASTER_WRAP: &str = "concordat/1 master key wrap";
/// Master key to the key that wraps the root keys: the keys of state, ledger and identity.
pub(crate) const ROOTS: &str = "concordat/1 roots";
/// The root keys, wrapped.
pub(crate) const ROOTS_WRAP: &str = "concordat/1 roots wrap";
/// The master key before a rotation, wrapped under the new one until it is no longer needed.
pub(crate) const PREVIOUS_WRAP: &str = "concordat/1 previous master key wrap";
/// State key to the key of its values.
pub(crate) const STATE_VALUES: &str = "concordat/1 state values";
/// State key to the key that hashes logical keys.
pub(crate) const STATE_NAMES: &str = "concordat/1 state names";
/// Root key of the state to the key of the hash of all values.
pub(crate) const STATE_CONTENTS: &str = "concordat/1 state contents";
/// What is sealed under the root key of the ledger, with its position.
pub(crate) const LEDGER: &str = "concordat/1 ledger";
/// A small secret, sealed under the identity key.
pub(crate) const IDENTITY_SECRET: &str = "concordat/1 identity secret";
/// Master key to the key that wraps segment keys.
pub(crate) const SEGMENTS: &str = "concordat/1 segments";
/// A segment key, wrapped.
pub(crate) const SEGMENT_WRAP: &str = "concordat/1 segment key wrap";
/// A dataset key, wrapped.
pub(crate) const DATASET_WRAP: &str = "concordat/1 dataset key wrap";
/// The secret of a dataset's pseudonyms, wrapped.
pub(crate) const PSEUDONYM_WRAP: &str = "concordat/1 pseudonym secret wrap";
/// Dataset key to its public id.
pub(crate) const DATASET_ID: &str = "concordat/1 dataset key id";
/// Dataset key to the key of one object.
pub(crate) const OBJECT: &str = "concordat/1 object";
/// Hash of an object's header, the associated data of its blocks.
pub const OBJECT_HEADER: &str = "concordat/1 object header";
/// Hash of an object's plaintext, as stated in its manifest.
pub const OBJECT_CONTENT: &str = "concordat/1 object content";
/// One value of the state database.
pub(crate) const META_VALUE: &str = "concordat/1 state value";
/// One value of the state database, in the hash of all of them.
pub(crate) const META_CONTENTS: &str = "concordat/1 state contents value";
/// The commit counter next to the state database.
pub(crate) const META_HEAD: &str = "concordat/1 state head";
/// Secret of a dataset to the key of the pseudonyms under one grant.
pub(crate) const PSEUDONYM: &str = "concordat/1 pseudonyms";
/// Secret of a dataset to the key of the order in which rows of one version are released under one grant.
pub(crate) const ROW_ORDER: &str = "concordat/1 row order";
/// Secret of a collection to the key of the hashes that identify its subjects at rest.
pub(crate) const SUBJECT_IDENTITIES: &str = "concordat/1 subject identities";
/// Secret of a collection to the key of the keys of the hashes over its rows.
pub(crate) const SUBJECT_ROWS: &str = "concordat/1 subject rows";
/// Secret of a collection to the key of the answers that are stored about it.
pub(crate) const ANSWERS: &str = "concordat/1 answers";
/// Secret of a collection to the secret that all noise of its statistics comes from.
pub(crate) const CELL_KEYS: &str = "concordat/1 cell keys";
/// One record of the answers that were released, for its log and number.
pub(crate) const ANSWER_RECORD: &str = "concordat/1 answer record";
/// Chain of the sealed records of a log of answers.
pub const ANSWER_CHAIN: &str = "concordat/1 answer chain";
