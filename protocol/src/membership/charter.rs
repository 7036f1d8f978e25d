//! The charter: whose signatures make a roster valid, and how the charter changes.

use serde::{Deserialize, Serialize};

use crate::identity::InstitutionPublicKey;
use crate::ids::Digest32;
use crate::labels::{self, DomainLabel};
use crate::signed::{CoSigned, Document, SignatureError};
use crate::text::ConsortiumName;
use crate::time::Timestamp;

/// Most keys of a charter: the most signatures of a document.
pub const MAX_CHARTER_KEYS: usize = 8;
/// Most changes of the charter that a roster contains, counted from the first one: more than a decade of yearly elections.
pub const MAX_CHARTER_CHANGES: usize = 16;

/// The keys that sign rosters together, and how many of them must sign. Sorted and without duplicates, so that equal charters
/// are equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Charter {
    keys: Vec<InstitutionPublicKey>,
    threshold: u8,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    keys: Vec<InstitutionPublicKey>,
    threshold: u8,
}

impl TryFrom<Parts> for Charter {
    type Error = CharterError;

    fn try_from(parts: Parts) -> Result<Self, CharterError> {
        let charter = Self::new(parts.keys.clone(), parts.threshold)?;
        if charter.keys == parts.keys {
            Ok(charter)
        } else {
            Err(CharterError::Keys)
        }
    }
}

impl From<Charter> for Parts {
    fn from(Charter { keys, threshold }: Charter) -> Self {
        Self { keys, threshold }
    }
}

impl Charter {
    /// `threshold` of these keys.
    ///
    /// # Errors
    /// [`CharterError`] if a key occurs twice, there are too many keys or none, or the threshold is not between 1 and their number.
    pub fn new(mut keys: Vec<InstitutionPublicKey>, threshold: u8) -> Result<Self, CharterError> {
        keys.sort_by_key(|key| key.to_string());
        let given = keys.len();
        keys.dedup();
        if keys.is_empty() || given > MAX_CHARTER_KEYS || keys.len() != given {
            return Err(CharterError::Keys);
        }
        if threshold == 0 || usize::from(threshold) > keys.len() {
            return Err(CharterError::Threshold { keys: keys.len() });
        }
        Ok(Self { keys, threshold })
    }

    /// A charter with one key.
    pub fn sole(key: InstitutionPublicKey) -> Self {
        Self {
            keys: vec![key],
            threshold: 1,
        }
    }

    /// The keys, in order.
    pub fn keys(&self) -> &[InstitutionPublicKey] {
        &self.keys
    }

    /// How many of them must sign.
    pub const fn threshold(&self) -> u8 {
        self.threshold
    }

    /// Whether `key` is one of them.
    pub fn holds(&self, key: &InstitutionPublicKey) -> bool {
        self.keys.contains(key)
    }

    /// A summary of the charter, without its keys.
    pub fn summary(&self) -> String {
        let k = self.threshold;
        let n = self.keys.len();
        match k {
            1 => format!("charter 1 of {n}: one key can change the roster"),
            _ => format!("charter {k} of {n}: {k} keys together change the roster"),
        }
    }
}

/// A charter and its place in the history of charters: what a member pins.
///
/// Two charters of one history can have the same keys, if the charter was passed on and taken back. The keys alone would not show
/// which of them a member has seen, and the holders in between could continue from the earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedCharter {
    charter: Charter,
    /// Digest of the change that led to it; `None` for the first charter.
    last_change: Option<Digest32>,
}

impl PinnedCharter {
    /// The first charter of a consortium.
    pub const fn first(charter: Charter) -> Self {
        Self {
            charter,
            last_change: None,
        }
    }

    /// The charter that the last of `changes` led to, by its own statement; `charter` if there are none. For a roster whose
    /// charter people have compared, or that was checked.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] if the bytes of the last change are not one.
    pub fn named(charter: Charter, changes: &[CoSigned<CharterChange>]) -> Result<Self, SignatureError> {
        let last_change = changes.last().map(CoSigned::payload_digest).transpose()?;
        Ok(Self { charter, last_change })
    }

    /// The charter.
    pub const fn charter(&self) -> &Charter {
        &self.charter
    }

    /// The charter, without its place.
    pub fn into_charter(self) -> Charter {
        self.charter
    }

    /// Digest of the change that led to it; `None` for the first charter.
    pub const fn last_change(&self) -> Option<Digest32> {
        self.last_change
    }

    /// The charter after `changes`, which are all changes since the first charter of `consortium`. Each is signed by enough
    /// keys of the charter before it and names the change before it, and this charter is one of those that they lead to.
    ///
    /// # Errors
    /// [`CharterError`] if they do not form a history that contains this charter, or one is not signed.
    pub fn followed_by(
        &self,
        changes: &[CoSigned<CharterChange>],
        consortium: &ConsortiumName,
    ) -> Result<Self, CharterError> {
        if changes.len() > MAX_CHARTER_CHANGES {
            return Err(CharterError::TooLong);
        }
        let mut current = match changes.first() {
            Some(first) => Self::first(first.peek_unverified().map_err(CharterError::Signature)?.from),
            None => Self::first(self.charter.clone()),
        };
        let mut found = current == *self;
        for signed in changes {
            current = current.after(signed, consortium)?;
            found |= current == *self;
        }
        if found {
            Ok(current)
        } else {
            Err(CharterError::OtherCharter)
        }
    }

    /// The charter after one change of this one.
    fn after(&self, signed: &CoSigned<CharterChange>, consortium: &ConsortiumName) -> Result<Self, CharterError> {
        let needed = usize::from(self.charter.threshold);
        let verified = signed.clone().verify_some(self.charter.keys(), needed);
        let verified = verified.map_err(CharterError::Signature)?;
        let change = verified.document();
        self.check_next(change, consortium)?;
        Ok(Self {
            charter: change.to.clone(),
            last_change: Some(signed.payload_digest().map_err(CharterError::Signature)?),
        })
    }

    /// Checks that `change` continues from this charter and from the change that led to it.
    ///
    /// # Errors
    /// [`CharterError::OtherCharter`] and [`CharterError::Unchanged`].
    pub(super) fn check_next(&self, change: &CharterChange, consortium: &ConsortiumName) -> Result<(), CharterError> {
        if change.to == change.from {
            Err(CharterError::Unchanged)
        } else if change.from != self.charter || change.previous != self.last_change || change.consortium != *consortium
        {
            Err(CharterError::OtherCharter)
        } else {
            Ok(())
        }
    }
}

/// The replacement of a charter by another; signed by enough keys of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CharterChange {
    /// Whose charter it is.
    pub consortium: ConsortiumName,
    /// Digest of the change before; `None` for the first. So it is a change of one charter of the history, and of no other
    /// with the same keys.
    pub previous: Option<Digest32>,
    /// The charter before.
    pub from: Charter,
    /// The charter after.
    pub to: Charter,
    /// When it was proposed.
    pub at: Timestamp,
}

impl Document for CharterChange {
    const LABEL: DomainLabel = labels::CHARTER;
}

/// Why a charter or its change is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CharterError {
    /// Too many keys, none, unsorted or duplicate keys.
    #[error("a charter has 1 to {MAX_CHARTER_KEYS} different keys")]
    Keys,
    /// More required signatures than keys, or none.
    #[error("a charter of {keys} keys requires between 1 and {keys} signatures")]
    Threshold {
        /// How many keys there are.
        keys: usize,
    },
    /// The change is not signed by enough keys of the charter before.
    #[error("the change of the charter is not signed by enough of its holders")]
    Signature(#[source] SignatureError),
    /// The charter before and after is the same.
    #[error("the charter already has these keys and this threshold")]
    Unchanged,
    /// The change belongs to another charter or consortium.
    #[error("the change belongs to another charter than the current one")]
    OtherCharter,
    /// There are too many changes.
    #[error("the charter was changed more than {MAX_CHARTER_CHANGES} times")]
    TooLong,
}
