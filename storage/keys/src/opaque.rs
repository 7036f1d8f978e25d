//! One form of a secret that a person types, whatever the keyboard.
//!
//! `é` is one character on some systems and two on others, and a space of another width looks like a space. The form is that of the
//! profile OpaqueString (RFC 8265, section 4.2.2): every space is the ASCII space, and the text is in normalization form C. Upper and
//! lower case and the width of characters stay different. Characters that the profile does not permit are not refused, because
//! which they are changes with the version of Unicode, and a secret must not stop working.
//!
//! Earlier versions used a secret as it was typed, so that form is tried after this one.

use unicode_normalization::{UnicodeNormalization as _, is_nfc};
use zeroize::Zeroizing;

use super::Secret;

/// How many times longer a text can become in normalization form C (Unicode Standard Annex 15, section 9), in UTF-8.
const GROWTH: usize = 3;

impl Secret {
    /// The secret in its one form; `None` if it has that form already or is not text.
    #[must_use]
    pub fn normalized(&self) -> Option<Self> {
        let text = std::str::from_utf8(self.expose()).ok()?;
        if is_nfc(text) && !text.contains(is_other_space) {
            return None;
        }
        // With room for all of it, so that no part of it stays where a shorter text was.
        let mut form = Zeroizing::new(String::with_capacity(text.len() * GROWTH));
        form.extend(
            text.chars()
                .map(|character| if is_other_space(character) { ' ' } else { character })
                .nfc(),
        );
        Some(Self::from(form.as_bytes().to_vec()))
    }
}

/// Whether a character is a space (category Zs) other than that of ASCII.
fn is_other_space(character: char) -> bool {
    matches!(
        character,
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Option<String> {
        let form = Secret::from(text.to_owned()).normalized()?;
        Some(String::from_utf8(form.expose().to_vec()).unwrap())
    }

    #[test]
    fn secrets_have_one_form_on_every_keyboard() {
        for (entered, expected) in [
            ("cafe\u{301} zu\u{308}rich", "café zürich"),
            ("correct\u{a0}horse\u{3000}battery", "correct horse battery"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("A\u{30a}ngstrom \u{212b}", "Ångstrom Å"),
        ] {
            assert_eq!(form(entered).as_deref(), Some(expected), "{entered}");
        }
        for same in ["correct horse", "café", "ABC abc", "ﬁne Ｆｕｌｌ", ""] {
            assert_eq!(form(same), None, "{same}");
        }
        assert!(Secret::from(vec![0xff, 0xfe]).normalized().is_none());
    }
}
