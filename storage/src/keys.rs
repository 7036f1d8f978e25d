//! From a passphrase, key file or token to the key of one object.
//!
//! ```text
//! passphrase --Argon2id--+
//! key file ---HKDF-------+
//! token ------HMAC, HKDF-+--> key-encrypting key --unwraps--> MasterKey           (identity/master.key)
//!                                                               |
//!                             +---------------------------------+ unwraps, in the same file: the roots
//!                             v                                 |
//!              StateKey, LedgerKey, IdentityKey                 | unwraps
//!              (meta, ledger, sealed private keys)              v
//!                                                             SegmentKey       (random, wrapped)
//!                                                               | unwraps
//!                                                               +--> PseudonymSecret (random, wrapped)
//!                                                               v
//!                                                             DatasetKey       (random, wrapped)
//!                                                               | HKDF with the 32 random bytes of an object's header
//!                                                               v
//!                                                             ObjectKey        (one object, never stored)
//! ```
//!
//! Each stage has its own type, so a key cannot be used at the wrong stage. Every derivation has a label; all labels are in
//! `keys/labels.rs`. Wrapped keys have their kind and position as associated data: a key that is moved to another segment or
//! dataset does not open. A key that wraps others is rotated by wrapping them again; data is not rewritten. To erase a dataset,
//! destroy its wrapped keys and rotate the keys that wrapped them.

mod data;
mod error;
mod escrow;
mod identities;
mod labels;
mod locked;
mod master;
mod password;
mod provider;
mod raw;
mod secret;
mod state;
mod wrap;

pub(crate) use data::ObjectKey;
pub use data::{DatasetKey, OrderKey, PseudonymKey, PseudonymSecret, SegmentKey};
pub use error::KeyError;
pub use escrow::{Escrow, Recipient, RecoveryKey, Share, ShareError, SharePlan};
pub use identities::{Identities, IdentityError};
pub(crate) use labels::{META_HEAD, META_VALUE, OBJECT_CONTENT, OBJECT_HEADER};
pub use master::{FileRegister, MasterKey};
pub use password::{PasswordHash, verify_absent};
pub use provider::{
    Argon2Cost, KeyEncryptingKey, KeyFile, KeyProvider, Parameters, Passphrase, TokenError, TokenKey, TokenLocation,
};
pub use secret::Secret;
pub use state::{IdentityKey, LedgerKey, StateKey};
pub use wrap::Wrapped;
pub(crate) use wrap::{context, open, seal};

#[cfg(test)]
pub(crate) use raw::RawKey;

#[cfg(test)]
mod tests;
