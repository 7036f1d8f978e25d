//! How one institution key follows another.
//!
//! - The old key signs that the new one follows it ([`KeySuccession`]), and the new key signs the application that carries this
//!   statement. Whoever trusted the old key can follow.
//! - If the old key is lost or stolen, the holders of the charter replace it: enough of them sign a roster that says so. Rights of the
//!   old key follow only where people have confirmed the new key with the institution ([`ConfirmedKeys`]).
//!
//! A member's entry on the roster carries every key that it ever had, each with how it was followed ([`EarlierKey`]). The list only
//! grows: a roster that tells another history of a key is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::identity::InstitutionPublicKey;
use crate::ids::InstitutionId;
use crate::labels::{self, Label};
use crate::signed::{Document, SignatureError, Signed, Verified};
use crate::time::Timestamp;

/// Most keys that a member had before its present one: a new key each year for a decade and a half.
pub const MAX_EARLIER_KEYS: usize = 16;

/// An institution states, with its old key, which key follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySuccession {
    /// The institution.
    pub institution: InstitutionId,
    /// The old key, which signs this.
    pub from: InstitutionPublicKey,
    /// The new key.
    pub to: InstitutionPublicKey,
    /// When it was signed.
    pub at: Timestamp,
}

impl Document for KeySuccession {
    const LABEL: Label = labels::KEY_SUCCESSION;
}

impl Signed<KeySuccession> {
    /// Checks that the old key of `institution` signed it.
    ///
    /// # Errors
    /// [`KeySuccessionError`] says what is wrong.
    pub fn of(
        self,
        institution: &InstitutionId,
    ) -> Result<Verified<KeySuccession, InstitutionPublicKey>, KeySuccessionError> {
        let from = self.peek_unverified()?.from;
        let verified = self.verify(from)?;
        let named = verified.document();
        if named.institution != *institution {
            Err(KeySuccessionError::OtherInstitution)
        } else if named.from == named.to {
            Err(KeySuccessionError::SameKey)
        } else {
            Ok(verified)
        }
    }
}

/// The key that `successions` lead to from `key`, each signed by the key before.
///
/// # Errors
/// [`KeySuccessionError`] when one is not signed, is another institution's, or does not begin where the one before ended.
pub fn key_after(
    institution: &InstitutionId,
    key: InstitutionPublicKey,
    successions: &[Signed<KeySuccession>],
) -> Result<InstitutionPublicKey, KeySuccessionError> {
    if successions.len() > MAX_EARLIER_KEYS {
        return Err(KeySuccessionError::TooMany);
    }
    let mut current = key;
    for signed in successions {
        let verified = signed.clone().of(institution)?;
        if verified.document().from != current {
            return Err(KeySuccessionError::Broken);
        }
        current = verified.document().to;
    }
    Ok(current)
}

/// A key that a member had, and why another one is in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierKey {
    /// The key.
    pub key: InstitutionPublicKey,
    /// By whose word the next key follows it.
    pub followed_by: Follows,
}

/// By whose word a key follows another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Follows {
    /// The old key's own.
    OldKey(Signed<KeySuccession>),
    /// That of the holders of the charter, whose signatures are those of the roster.
    Holders {
        /// When they replaced it.
        at: Timestamp,
    },
}

/// Checks the history of a member's keys: bounded, and signed by the old key wherever it says so.
///
/// # Errors
/// [`KeySuccessionError`] says what is wrong.
pub(super) fn check_earlier(
    institution: &InstitutionId,
    earlier: &[EarlierKey],
    present: InstitutionPublicKey,
) -> Result<(), KeySuccessionError> {
    if earlier.len() > MAX_EARLIER_KEYS {
        return Err(KeySuccessionError::TooMany);
    }
    let next = earlier.iter().skip(1).map(|next| next.key).chain([present]);
    for (EarlierKey { key, followed_by }, next) in earlier.iter().zip(next) {
        match followed_by {
            Follows::Holders { .. } => {}
            Follows::OldKey(signed) => {
                let verified = signed.clone().of(institution)?;
                if verified.document().from != *key || verified.document().to != next {
                    return Err(KeySuccessionError::Broken);
                }
            }
        }
    }
    Ok(())
}

/// Keys that people here have compared with the institution itself, each in place of the one that it replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfirmedKeys(BTreeMap<InstitutionId, Vec<InstitutionPublicKey>>);

impl ConfirmedKeys {
    /// Adds a key that replaced another of `institution`.
    pub fn confirm(&mut self, institution: InstitutionId, key: InstitutionPublicKey) {
        let keys = self.0.entry(institution).or_default();
        if !keys.contains(&key) {
            keys.push(key);
        }
    }

    /// Whether `key` of `institution` was confirmed.
    pub fn contains(&self, institution: &InstitutionId, key: &InstitutionPublicKey) -> bool {
        self.0.get(institution).is_some_and(|keys| keys.contains(key))
    }
}

/// Why a key does not follow another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySuccessionError {
    /// The statement is not signed by the old key.
    #[error("the statement is not signed by the old key")]
    Signature(#[from] SignatureError),
    /// It is another institution's.
    #[error("the statement is another institution's")]
    OtherInstitution,
    /// It names one key twice.
    #[error("the statement names the same key as old and as new")]
    SameKey,
    /// It is about other keys.
    #[error("the statements do not lead from one key to the next")]
    Broken,
    /// There are too many.
    #[error("a member can have had {MAX_EARLIER_KEYS} keys before its present one")]
    TooMany,
}
