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
//! `labels.rs`. Wrapped keys have their kind and position as associated data: a key that is moved to another segment or
//! dataset does not open. A key that wraps others is rotated by wrapping them again; data is not rewritten. To erase a dataset,
//! destroy its wrapped keys and rotate the keys that wrapped them.
//!
//! The bytes of a key do not leave this crate: others seal, open and hash with it ([`ObjectCipher`], [`StateKey`], [`LedgerKey`],
//! [`PseudonymKey`], [`SubjectsKey`], [`AnswersKey`]). There are three exceptions. The keys of one answer are sent to the process that computes
//! it ([`KeyInTransit`]), an [`Escrow`] is a file that only a recovery key opens, and noise is computed from a secret that is derived for
//! nothing else ([`PseudonymSecret::cell_secret`]). Files with keys are private and durable ([`fs`]).
//!
//! This crate stores the master key and the private keys of the institution and its node. Wrapped keys of segments and datasets are
//! stored by its callers.

pub mod fs;

mod cipher;
mod data;
mod error;
mod escrow;
mod identities;
mod labels;
mod locked;
mod master;
mod opaque;
mod password;
mod provider;
mod raw;
mod secret;
mod state;
mod token;
mod transit;
mod wrap;

pub use cipher::{ObjectCipher, Suite, TAG_LEN};
pub use data::{
    AnswersKey, ColumnPseudonyms, DatasetKey, OrderKey, PseudonymKey, PseudonymSecret, SegmentKey, SubjectsKey,
};
pub use error::KeyError;
pub use escrow::{Escrow, Recipient, RecoveryKey, Share, ShareError, SharePlan};
pub use identities::{Identities, IdentityError};
pub use labels::{ANSWER_CHAIN, OBJECT_CONTENT, OBJECT_HEADER};
pub use master::{FileRegister, MasterKey};
pub use password::{PasswordHash, verify_absent};
pub use provider::{Argon2Cost, KeyEncryptingKey, KeyFile, KeyProvider, Parameters, Passphrase, TokenKey};
pub use secret::Secret;
pub use state::{IdentityKey, LedgerKey, StateKey};
pub use token::{TokenError, TokenLocation};
pub use transit::KeyInTransit;
pub use wrap::Wrapped;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
