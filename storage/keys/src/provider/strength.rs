//! The least that is required of a new passphrase.
//!
//! A person with a copy of the disk can guess as often as time allows, so a passphrase needs more than the password of an account,
//! for which the node counts wrong guesses. The requirement is length, of characters that do not follow from the ones before: no rules of composition,
//! which make passphrases worse (NIST SP 800-63B, section 3.1.1.2).

/// Fewest characters.
pub(super) const MIN_CHARS: usize = 12;
/// Fewest characters that do not follow from the ones before.
pub(super) const MIN_FREE: usize = 8;

/// Words with which guessing begins. Each counts as one character.
const COMMON: [&str; 16] = [
    "password",
    "passwort",
    "passphrase",
    "kennwort",
    "motdepasse",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "qwerty",
    "qwertz",
    "azerty",
    "asdfghjkl",
    "letmein",
    "welcome",
    "concordat",
    "hospital",
];

/// Whether a passphrase is long enough, and does not only repeat or continue a few characters.
pub(super) fn is_sufficient(passphrase: &str) -> bool {
    passphrase.chars().count() >= MIN_CHARS && free_characters(passphrase) >= MIN_FREE
}

/// The characters that do not follow from the ones before: `aaa`, `abc`, `321` and a common word count as one each.
fn free_characters(passphrase: &str) -> usize {
    let mut text = zeroize::Zeroizing::new(passphrase.to_lowercase());
    for word in COMMON {
        *text = text.replace(word, "\u{0}");
    }
    let mut before: Option<u32> = None;
    let mut free = 0;
    for character in text.chars().map(u32::from) {
        let follows = before.is_some_and(|before| before.abs_diff(character) <= 1);
        free += usize::from(!follows);
        before = Some(character);
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_predictable_passphrases_are_not_sufficient() {
        for weak in [
            "",
            "abc",
            "eleven char",
            "aaaaaaaaaaaaaaaa",
            "abcdefghijklmnop",
            "123456789012",
            "abcabcabcabcabc",
            "password1234",
            "Passwort12345",
            "concordatconcordat",
            "qwertyuiop12",
        ] {
            assert!(!is_sufficient(weak), "{weak}");
        }
        for good in [
            "one two three four five six",
            "correct horse",
            "847362910574",
            "übermäßig grün",
            "hospital zurich 2026",
            "病历号病历年龄性别医院血压",
        ] {
            assert!(is_sufficient(good), "{good}");
        }
    }
}
