//! How one institution key follows another.
//!
//! - The old key signs that the new one follows it ([`KeySuccession`]), and the new key signs the application that contains this
//!   statement. Members that trusted the old key can verify the succession.
//! - If the old key is lost or stolen, the holders of the charter replace it: enough of them sign a roster that states it. The rights of
//!   the old key transfer only where people have confirmed the new key with the institution ([`ConfirmedKeys`]).
//!
//! A member's entry on the roster lists every key that it ever had, each with the proof of its successor ([`EarlierKey`]). The
//! list only grows: a roster with another history of a key is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::identity::InstitutionPublicKey;
use crate::ids::InstitutionId;
use crate::labels::{self, DomainLabel};
use crate::signed::{Document, SignatureError, Signed, Verified};
use crate::time::Timestamp;

/// Most keys that a member can have had before its current one: a new key each year for a decade and a half.
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
    const LABEL: DomainLabel = labels::KEY_SUCCESSION;
}

impl Signed<KeySuccession> {
    /// Checks that the old key of `institution` signed it.
    ///
    /// # Errors
    /// [`KeySuccessionError`] states what is wrong.
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
/// [`KeySuccessionError`] if one is not signed, belongs to another institution, does not continue from the one before, or leads
/// back to a key that was replaced.
pub fn key_after(
    institution: &InstitutionId,
    key: InstitutionPublicKey,
    successions: &[Signed<KeySuccession>],
) -> Result<InstitutionPublicKey, KeySuccessionError> {
    if successions.len() > MAX_EARLIER_KEYS {
        return Err(KeySuccessionError::TooMany);
    }
    let mut known = vec![key];
    let mut current = key;
    for signed in successions {
        let verified = signed.clone().of(institution)?;
        if verified.document().from != current {
            return Err(KeySuccessionError::Broken);
        }
        current = verified.document().to;
        if known.contains(&current) {
            return Err(KeySuccessionError::Repeated);
        }
        known.push(current);
    }
    Ok(current)
}

/// The keys from which `key` follows by the last of `successions`, each signed by the key before; the nearest first. Statements before
/// one that does not lead there are left out: the next key was not authorized by the one before.
pub fn keys_before(
    institution: &InstitutionId,
    key: InstitutionPublicKey,
    successions: &[Signed<KeySuccession>],
) -> Vec<InstitutionPublicKey> {
    let mut before = Vec::new();
    let mut current = key;
    for signed in successions.iter().rev().take(MAX_EARLIER_KEYS) {
        match signed.clone().of(institution) {
            Ok(verified) if verified.document().to == current => current = verified.document().from,
            Ok(_) | Err(_) => break,
        }
        before.push(current);
    }
    before
}

/// A key that a member had, and who authorized the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierKey {
    /// The key.
    pub key: InstitutionPublicKey,
    /// Who authorized the next key.
    pub followed_by: Follows,
}

/// Who authorized that a key follows another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Follows {
    /// The old key, with this statement.
    OldKey(Signed<KeySuccession>),
    /// The holders of the charter, whose signatures are those of the roster.
    Holders {
        /// When they replaced it.
        at: Timestamp,
    },
}

/// Checks the history of a member's keys: bounded, and signed by the old key wherever the entry claims that.
///
/// # Errors
/// [`KeySuccessionError`] states what is wrong.
pub(super) fn check_earlier(
    institution: &InstitutionId,
    earlier: &[EarlierKey],
    current: InstitutionPublicKey,
) -> Result<(), KeySuccessionError> {
    if earlier.len() > MAX_EARLIER_KEYS {
        return Err(KeySuccessionError::TooMany);
    }
    let next = earlier.iter().skip(1).map(|next| next.key).chain([current]);
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

/// Replacement keys that people at this institution have confirmed with the other institution itself.
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
    /// It belongs to another institution.
    #[error("the statement belongs to another institution")]
    OtherInstitution,
    /// The old and the new key are the same.
    #[error("the statement names the same key as old and as new")]
    SameKey,
    /// The statements do not form a chain.
    #[error("the statements do not lead from one key to the next")]
    Broken,
    /// A key follows that was replaced before: a copy of it could continue from there.
    #[error("the statements lead back to a key that was replaced")]
    Repeated,
    /// There are too many keys.
    #[error("a member can have had at most {MAX_EARLIER_KEYS} keys before its current one")]
    TooMany,
}
