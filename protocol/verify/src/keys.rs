//! The keys that the reader knows, each bound to the name of its institution.

use std::collections::BTreeMap;

use concordat_protocol::identity::InstitutionPublicKey;
use concordat_protocol::ids::InstitutionId;

/// Hexadecimal digits of a fingerprint.
const DIGITS: usize = 32;

/// The keys that the reader knows from elsewhere, each of one institution. An institution may have had several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownKeys(BTreeMap<Fingerprint, InstitutionId>);

/// A fingerprint without its separators.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fingerprint(String);

/// What is known of a key that an institution is stated to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is a given key of this institution.
    Given,
    /// It follows a given key of this institution.
    Follows(InstitutionPublicKey),
    /// No key of this institution was given.
    NotGiven,
    /// Other keys of this institution were given.
    Other,
}

/// A key that was not given as `INSTITUTION=FINGERPRINT`, or belongs to two institutions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKnownKey {
    /// Not of this form.
    #[error("`{given}` is not a key; write `INSTITUTION=FINGERPRINT`, such as `zurich=0123-4567-…`")]
    Form {
        /// What was given.
        given: String,
    },
    /// One key for two institutions.
    #[error("`{first}` and `{second}` were given with the same key; each institution has its own")]
    Shared {
        /// The institution that was given first.
        first: InstitutionId,
        /// The other one.
        second: InstitutionId,
    },
}

impl KnownKeys {
    /// Reads keys, each as `INSTITUTION=FINGERPRINT`.
    ///
    /// # Errors
    /// [`InvalidKnownKey`] names the first one that cannot be used.
    pub fn parse<T: AsRef<str>>(keys: &[T]) -> Result<Self, InvalidKnownKey> {
        let mut known: BTreeMap<Fingerprint, InstitutionId> = BTreeMap::new();
        for given in keys.iter().map(AsRef::as_ref) {
            let (institution, key) = parse_one(given).ok_or_else(|| InvalidKnownKey::Form {
                given: given.to_owned(),
            })?;
            match known.get(&key) {
                Some(first) if *first != institution => {
                    return Err(InvalidKnownKey::Shared {
                        first: first.clone(),
                        second: institution,
                    });
                }
                Some(_) | None => drop(known.insert(key, institution)),
            }
        }
        Ok(Self(known))
    }

    /// What is known of `key`, which a file states to be a key of `institution` that follows `earlier`.
    pub(crate) fn standing(
        &self,
        institution: &InstitutionId,
        key: InstitutionPublicKey,
        earlier: &[InstitutionPublicKey],
    ) -> Standing {
        let given = |key: &InstitutionPublicKey| self.0.get(&Fingerprint::of(*key)) == Some(institution);
        if given(&key) {
            Standing::Given
        } else if let Some(before) = earlier.iter().find(|before| given(before)) {
            Standing::Follows(*before)
        } else if self.0.values().any(|known| known == institution) {
            Standing::Other
        } else {
            Standing::NotGiven
        }
    }
}

impl Fingerprint {
    fn of(key: InstitutionPublicKey) -> Self {
        Self(key.fingerprint().replace('-', ""))
    }

    fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|character| *character != '-').collect();
        let valid = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        valid.then(|| Self(digits.to_ascii_lowercase()))
    }
}

fn parse_one(given: &str) -> Option<(InstitutionId, Fingerprint)> {
    let (institution, fingerprint) = given.split_once('=')?;
    Some((
        InstitutionId::new(institution).ok()?,
        Fingerprint::parse(fingerprint.trim())?,
    ))
}
