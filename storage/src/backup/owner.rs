//! The institution whose snapshots are accepted.

use std::{fmt, str::FromStr};

use concordat_protocol::{identity::InstitutionPublicKey, ids::Digest32};

/// The institution whose snapshots are accepted, by its key or the fingerprint of its key. It comes from the operator or from the
/// sealed key of a node, never from a repository: the keys in a repository are chosen by its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(Vec<Named>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Key(InstitutionPublicKey),
    /// As [`InstitutionPublicKey::fingerprint`] formats it.
    Fingerprint(String),
}

/// Digits in a fingerprint.
const FINGERPRINT_DIGITS: usize = 32;

/// Digits in a group of a fingerprint.
const GROUP: usize = 4;

impl Owner {
    /// Whether `key` is one of the institution's.
    #[must_use]
    pub fn is(&self, key: &InstitutionPublicKey) -> bool {
        self.0.iter().any(|named| match named {
            Named::Key(wanted) => wanted == key,
            Named::Fingerprint(wanted) => *wanted == key.fingerprint(),
        })
    }

    /// An institution that has or had all of these keys.
    #[must_use]
    pub fn of_all(owners: impl IntoIterator<Item = Self>) -> Self {
        Self(owners.into_iter().flat_map(|owner| owner.0).collect())
    }

    /// The fingerprints of the institution's keys, with `, ` between them.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let fingerprints: Vec<String> = self.0.iter().map(Named::fingerprint).collect();
        fingerprints.join(", ")
    }
}

impl Named {
    fn fingerprint(&self) -> String {
        match self {
            Self::Key(key) => key.fingerprint(),
            Self::Fingerprint(fingerprint) => fingerprint.clone(),
        }
    }
}

impl From<InstitutionPublicKey> for Owner {
    fn from(key: InstitutionPublicKey) -> Self {
        Self(vec![Named::Key(key)])
    }
}

impl From<&[InstitutionPublicKey]> for Owner {
    fn from(keys: &[InstitutionPublicKey]) -> Self {
        Self(keys.iter().copied().map(Named::Key).collect())
    }
}

/// Text that is neither a public key nor a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is neither the fingerprint of a key (8 groups of 4 hexadecimal digits) nor a public key (64 hexadecimal digits)"
)]
pub struct InvalidOwner;

impl FromStr for Owner {
    type Err = InvalidOwner;

    /// Accepts a whole fingerprint, with or without the separators between its groups, or a public key. Part of a fingerprint is
    /// rejected: it would match other keys.
    fn from_str(text: &str) -> Result<Self, InvalidOwner> {
        let text = text.trim();
        if let Ok(bytes) = text.parse::<Digest32>() {
            let key = InstitutionPublicKey::from_bytes(*bytes.as_bytes()).map_err(|_| InvalidOwner)?;
            return Ok(Self(vec![Named::Key(key)]));
        }
        let digits: Vec<char> = text
            .chars()
            .filter(|character| !matches!(character, '-' | ':' | ' '))
            .map(|character| character.to_ascii_lowercase())
            .collect();
        if digits.len() != FINGERPRINT_DIGITS || !digits.iter().all(char::is_ascii_hexdigit) {
            return Err(InvalidOwner);
        }
        let groups: Vec<String> = digits.chunks(GROUP).map(|group| group.iter().collect()).collect();
        Ok(Self(vec![Named::Fingerprint(groups.join("-"))]))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::identity::{InstitutionKey, PrivateKey};
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn owner_is_named_by_a_whole_key_or_fingerprint() {
        let key = InstitutionKey::from_seed(&Zeroizing::new([1; 32])).public();
        let other = InstitutionKey::from_seed(&Zeroizing::new([2; 32])).public();
        let fingerprint = key.fingerprint();
        let bare = fingerprint.replace('-', "");
        for text in [
            &fingerprint,
            &fingerprint.to_uppercase(),
            &bare,
            &key.to_string(),
            &format!(" {key}\n"),
        ] {
            let owner: Owner = text.parse().unwrap();
            assert!(owner.is(&key) && !owner.is(&other), "{text}");
            assert_eq!(owner.fingerprint(), fingerprint);
        }
        for part in [
            "",
            "-",
            fingerprint.get(..34).unwrap(),
            bare.get(..31).unwrap(),
            &format!("{bare}0"),
            &"0".repeat(64),
            "/etc/passwd",
        ] {
            assert_eq!(part.parse::<Owner>(), Err(InvalidOwner), "{part}");
        }
    }
}
